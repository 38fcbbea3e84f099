//! The connector against a simulated Klarna, through the client that Spindel itself calls vendors with.
use crate::hub::Hub;
use http::{HeaderMap, Method};
use jiff::SignedDuration;
use serde_json::{Value, json};
use spindel_connect::{Api, Around, Ask, CallError, Connector, Incoming, Maps, Perform, Poll, Read, Receive, Verified};
use spindel_connector_klarna::Klarna;
use spindel_model::{
    AcknowledgePayment, CancelPayment, CapturePayment, Change, Clock, Currency, Dispute, DisputeState, ErrorClass,
    ExtendAuthorization, Money, MoneyBag, OrderRef, Payout, Performed, Record, Refund, RefundAdjustment, RefundOrder, Topic,
    Transaction, TransactionStatus,
};
use spindel_simulators::{
    fault::Fault,
    klarna::{KlarnaSim, Line, Options},
};
use std::time::Duration;
use uuid::Uuid;

const START: &str = "2026-11-20T10:00:00Z";
const SECRET: &str = "a-callback-secret-of-a-test";

struct World {
    sim: KlarnaSim,
    klarna: Klarna,
    api: Api,
    clock: Clock,
    maps: Maps,
}

impl World {
    async fn new(webhooks: &str) -> Self {
        let clock = Clock::manual(START.parse().unwrap());
        let sim = KlarnaSim::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
        let (klarna, api) = connected(&sim, &clock, json!({ "webhooks": webhooks }));
        Self { sim, klarna, api, clock, maps: Maps::default() }
    }

    fn around(&self, key: u128) -> Around<'_> {
        Around { from: "shop", key: Uuid::from_u128(key), known: None, maps: &self.maps, attempt: 1, now: self.clock.now() }
    }

    async fn capture(&self, key: u128, payment: &str, amount: Option<i64>) -> Result<Performed, CallError> {
        let amount = amount.map(|it| Money::from_minor(it, Currency::NOK));
        let verb = CapturePayment { order: order(), payment: Some(payment.to_owned()), amount, shipment: None };
        self.klarna.perform(&self.api, Ask { verb: &verb, around: self.around(key) }).await
    }

    async fn refund(&self, key: u128, payment: &str, amount: i64) -> Result<Performed, CallError> {
        let verb = RefundOrder { refund: Box::new(refund(payment, amount)) };
        self.klarna.perform(&self.api, Ask { verb: &verb, around: self.around(key) }).await
    }

    async fn cancel(&self, key: u128, payment: &str) -> Result<Performed, CallError> {
        let verb = CancelPayment { order: order(), payment: Some(payment.to_owned()), reason: None };
        self.klarna.perform(&self.api, Ask { verb: &verb, around: self.around(key) }).await
    }

    async fn acknowledge(&self, key: u128, payment: &str) -> Result<Performed, CallError> {
        let verb = AcknowledgePayment { order: order(), payment: Some(payment.to_owned()) };
        self.klarna.perform(&self.api, Ask { verb: &verb, around: self.around(key) }).await
    }

    /// A request whose proof held.
    fn proven(&self, uri: &str, headers: &[(String, String)], body: Vec<u8>) -> Verified {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(http::HeaderName::try_from(name.as_str()).unwrap(), value.parse().unwrap());
        }
        let (uri, origin) = (uri.to_owned(), "https://hub.example.no".to_owned());
        let incoming = Incoming { method: Method::POST, uri, origin, headers: map, body: body.into() };
        self.klarna.proof(&[]).check(incoming, self.clock.now()).unwrap()
    }

    fn told(&self) -> Vec<Change> {
        let log = self.sim.webhook_log();
        let understood = |it: &spindel_simulators::klarna::Webhook| {
            self.klarna.changes(&self.proven("/in/klarna", &it.headers, it.body.to_vec())).unwrap()
        };
        log.iter().flat_map(understood).collect()
    }
}

fn connected(sim: &KlarnaSim, clock: &Clock, extra: Value) -> (Klarna, Api) {
    let mut settings = json!({
        "region": "eu", "playground": true, "username": "K100200_simulated", "password": "simulated-password",
        "callback_secret": SECRET, "signing_keys": "simulated_signing_key", "api_key": "klarna_test_api_simulated",
        "base_url": sim.base_url(), "global_url": sim.global_url(),
    });
    for (key, value) in extra.as_object().unwrap() {
        settings[key] = value.clone();
    }
    let (klarna, _) = Klarna::connect(serde_json::from_value(settings.clone()).unwrap()).unwrap();
    (klarna, Hub::of::<Klarna>(settings, clock).api)
}

fn order() -> OrderRef {
    OrderRef { id: Some("5523987001345".into()), number: Some("1042".into()) }
}

fn refund(payment: &str, amount: i64) -> Refund {
    let total = MoneyBag::single(Money::from_minor(amount, Currency::NOK));
    Refund {
        id: "R-1".into(),
        order: order(),
        payment: Some(payment.to_owned()),
        created_at: START.parse().unwrap(),
        note: None,
        lines: Vec::new(),
        shipping: None,
        adjustments: vec![RefundAdjustment { reason: "goodwill".into(), amount: total }],
        transactions: Vec::new(),
        total,
    }
}

#[tokio::test]
async fn a_capture_whose_answer_was_lost_is_made_once_within_a_day_and_after_it() {
    let world = World::new("network").await;
    let id = world.sim.place("NOK", None, &[Line::goods("SWEATER-M", "Sweater", 2, 22_400), Line::shipping("Home", 4_900)]);
    // The order is read, then captured: the second answer is lost.
    world.sim.faults().next(Fault::Slow(Duration::ZERO), 1);
    world.sim.faults().next(Fault::CutAfter, 1);
    assert_eq!(world.capture(1, &id, Some(10_000)).await.unwrap_err().class, ErrorClass::Transient);
    for hours in [0, 30] {
        world.clock.advance(SignedDuration::from_hours(hours));
        let done = world.capture(1, &id, Some(10_000)).await.unwrap();
        assert_eq!((done.changes.len(), world.sim.order(&id).unwrap().captured), (1, 10_000));
    }
    // All that is left, for which the lines are not known; then there is nothing left.
    assert!(!world.capture(2, &id, None).await.unwrap().unchanged);
    assert!(world.capture(3, &id, None).await.unwrap().unchanged);
    assert_eq!(world.sim.order(&id).unwrap().captured, 49_700);
}

#[tokio::test]
async fn all_of_an_order_is_captured_with_its_lines() {
    let world = World::new("network").await;
    let discounted = Line { discount: 3_000, ..Line::goods("CUP", "Cup", 3, 9_900) };
    let id = world.sim.place("NOK", None, &[discounted, Line::shipping("Home", 4_900)]);
    world.capture(1, &id, None).await.unwrap();
    assert_eq!(world.sim.order(&id).unwrap().captures, [(2, vec![])]);
    world.refund(2, &id, 4_900).await.unwrap();
    assert_eq!(world.sim.order(&id).unwrap().refunded, 4_900);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_nothing_is_done() {
    let world = World::new("network").await;
    let class = |result: Result<Performed, CallError>| result.unwrap_err().class;
    let id = world.sim.authorize(10_000, "NOK", None);
    assert_eq!(class(world.capture(1, &id, Some(10_001)).await), ErrorClass::Data);
    assert_eq!(class(world.refund(2, &id, 100).await), ErrorClass::Data);
    let reviewed = world.sim.place_under_review(10_000, "NOK", None);
    assert_eq!(class(world.capture(3, &reviewed, None).await), ErrorClass::MissingDependency);
    world.sim.end_review(&reviewed, true).unwrap();
    world.capture(3, &reviewed, None).await.unwrap();
    let lapsed = world.sim.authorize(10_000, "NOK", None);
    world.sim.expire(&lapsed).unwrap();
    assert_eq!(class(world.capture(4, &lapsed, None).await), ErrorClass::Data);
    let verb = ExtendAuthorization { order: order(), payment: Some(lapsed.clone()) };
    let extended = world.klarna.perform(&world.api, Ask { verb: &verb, around: world.around(5) }).await;
    assert_eq!(class(extended), ErrorClass::Data);
    assert_eq!(class(world.capture(6, "00000000-0000-4000-8000-00000000dead", None).await), ErrorClass::Gone);
    assert_eq!((world.sim.order(&id).unwrap().captured, world.sim.order(&lapsed).unwrap().captured), (0, 0));
    world.sim.faults().next(Fault::Slow(Duration::ZERO), 1);
    world.sim.faults().next(Fault::Error(503), 1);
    assert_eq!(class(world.capture(7, &id, None).await), ErrorClass::Transient);
    let (klarna, api) = connected(&world.sim, &world.clock, json!({ "password": "wrong" }));
    assert_eq!(klarna.probe(&api).await.unwrap_err().class, ErrorClass::Auth);
    assert!(world.klarna.probe(&world.api).await.unwrap().contains("eu"));
}

#[tokio::test]
async fn letting_go_cancels_before_a_capture_and_releases_the_rest_after_one() {
    let world = World::new("network").await;
    let (whole, part) = (world.sim.authorize(10_000, "NOK", None), world.sim.authorize(10_000, "NOK", None));
    assert!(!world.cancel(1, &whole).await.unwrap().unchanged);
    assert!(world.cancel(1, &whole).await.unwrap().unchanged);
    // Read before the capture, cancelled after it: the next try of the same delivery sees it.
    world.sim.capture_by_hand(&part, 4_000).unwrap();
    world.cancel(2, &part).await.unwrap();
    let (whole, part) = (world.sim.order(&whole).unwrap(), world.sim.order(&part).unwrap());
    assert_eq!((whole.state.as_str(), part.state.as_str(), part.remaining), ("CANCELLED", "CAPTURED", 0));
}

#[tokio::test]
async fn a_push_leads_to_the_order_and_its_acknowledgement_ends_the_pushes() {
    let world = World::new("classic").await;
    let id = world.sim.authorize(10_000, "NOK", None);
    let pushed = world.proven(&format!("/in/klarna?klarna_order_id={id}&secret={SECRET}"), &[], Vec::new());
    let change = world.klarna.changes(&pushed).unwrap().remove(0);
    assert_eq!((change.entity.id.as_str(), &change.record), (id.as_str(), &Record::Nudge));
    let (named, held) = Read::<(OrderRef, Transaction)>::read(&world.klarna, &world.api, &id).await.unwrap().unwrap();
    assert_eq!((named.id.as_deref(), held.amount.to_string(), held.test), (Some(id.as_str()), "100.00 NOK".to_owned(), true));
    assert_eq!(held.expires_at.unwrap().to_string(), "2026-12-18T10:00:00Z");
    world.acknowledge(1, &id).await.unwrap();
    assert_eq!(world.sim.push_again(), 0);
    let view = world.sim.order(&id).unwrap();
    assert_eq!((view.number.as_deref(), view.second_reference.as_deref()), (Some("1042"), Some("5523987001345")));
    let named = Read::<(OrderRef, Transaction)>::read(&world.klarna, &world.api, &id).await.unwrap().unwrap().0;
    assert_eq!(named.number.as_deref(), Some("1042"));
}

#[tokio::test]
async fn every_webhook_of_the_network_leads_to_the_order_or_tells_the_dispute() {
    let world = World::new("network").await;
    let id = world.sim.authorize(10_000, "NOK", Some("1042"));
    world.sim.capture_by_hand(&id, 10_000).unwrap();
    let dispute = world.sim.dispute(&id, "PRODUCTS_OR_SERVICES_NOT_RECEIVED").unwrap();
    world.clock.advance(SignedDuration::from_hours(48));
    world.sim.close_dispute(&dispute, false).unwrap();
    let told = world.told();
    let topics: Vec<Topic> = told.iter().map(|it| it.topic).collect();
    use Topic::{DisputeCreated, DisputeUpdated, TransactionCreated};
    assert_eq!(topics, [TransactionCreated, TransactionCreated, DisputeCreated, DisputeUpdated]);
    let Record::Dispute(first) = &told[2].record else { panic!("{:?}", told[2]) };
    assert_eq!(
        (first.state, first.amount.to_string(), first.order.number.as_deref()),
        (DisputeState::NeedsResponse, "100.00 NOK".into(), Some("1042"))
    );
    assert_eq!((&told[3].record, &told[3].entity.id), (&Record::Nudge, &dispute));
    assert!(told[3].version > told[2].version);
    let read = Read::<Dispute>::read(&world.klarna, &world.api, &dispute).await.unwrap().unwrap();
    assert_eq!((read.state, read.payment.as_deref()), (DisputeState::Lost, Some(id.as_str())));
    assert_eq!((read.amount, &read.reason), (first.amount, &first.reason));
}

#[tokio::test]
async fn captures_and_refunds_that_were_made_can_be_read_back() {
    let world = World::new("network").await;
    let id = world.sim.authorize(10_000, "NOK", Some("1042"));
    let made = [world.capture(1, &id, None).await.unwrap(), world.refund(2, &id, 700).await.unwrap()];
    for (performed, amount) in made.iter().zip(["100.00 NOK", "7.00 NOK"]) {
        let told = &performed.changes[0];
        let (order, read) =
            Read::<(OrderRef, Transaction)>::read(&world.klarna, &world.api, &told.entity.id).await.unwrap().unwrap();
        let Record::Transaction { transaction, .. } = &told.record else { panic!("{told:?}") };
        assert_eq!((&read, read.amount.to_string(), order.number.as_deref()), (transaction, amount.to_owned(), Some("1042")));
        assert_eq!(read.status, TransactionStatus::Success);
    }
}

#[tokio::test]
async fn the_lines_of_every_payout_add_up_debts_and_lost_disputes_included() {
    let world = World::new("network").await;
    let (first, second) = (world.sim.authorize(76_400, "NOK", Some("1042")), world.sim.authorize(90_000, "NOK", Some("1043")));
    world.capture(1, &first, None).await.unwrap();
    world.refund(2, &first, 27_300).await.unwrap();
    let dispute = world.sim.dispute(&first, "UNAUTHORIZED_PURCHASE").unwrap();
    let mut references = vec![world.sim.pay_out("NOK").unwrap()];
    world.sim.close_dispute(&dispute, false).unwrap();
    references.push(world.sim.pay_out("NOK").unwrap());
    world.sim.capture_by_hand(&second, 90_000).unwrap();
    references.push(world.sim.pay_out("NOK").unwrap());
    world.clock.advance(SignedDuration::from_hours(1));
    let page = Poll::<Payout>::page(&world.klarna, &world.api, None, world.clock.now()).await.unwrap();
    assert!(!page.more);
    let found: Vec<&str> = page.changes.iter().map(|it| it.entity.id.as_str()).collect();
    assert_eq!(found, references);
    let mut amounts = Vec::new();
    for change in &page.changes {
        let Record::Payout(payout) = &change.record else { panic!("{change:?}") };
        let zero = Money::from_minor(0, Currency::NOK);
        let sum = payout.lines.iter().try_fold(zero, |sum, line| sum.try_add(line.net)).unwrap();
        assert_eq!(sum, payout.amount);
        let view = world.sim.payout(&payout.id).unwrap();
        let rest = payout.lines.iter().filter(|it| it.id == "rest").count();
        assert_eq!((payout.amount.to_minor(), payout.lines.len() - rest), (Some(view.amount), view.rows));
        amounts.push((view.amount, rest));
    }
    // 764 − 19.02 − 3 − 273; nothing and 491 owed; 900 − 22.41 − 3 − 491.
    assert_eq!(amounts, [(46_898, 0), (0, 1), (38_359, 1)]);
    let read = Read::<Payout>::read(&world.klarna, &world.api, &references[0]).await.unwrap().unwrap();
    assert!(read.lines.iter().all(|it| it.order.number.as_deref() == Some("1042")));
}
