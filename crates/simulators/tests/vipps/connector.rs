//! The connector against a simulated Vipps MobilePay, through the client that Spindel itself calls vendors with.
use crate::hub::Hub;
use http::{HeaderMap, Method};
use jiff::SignedDuration;
use serde_json::{Value, json};
use spindel_connect::{Api, Around, Ask, CallError, Connector, Incoming, Maps, Perform, Poll, Read, Receive, Secret, Subscribe};
use spindel_connector_vipps::Vipps;
use spindel_model::{
    CancelPayment, CapturePayment, Change, Clock, Currency, ErrorClass, Money, MoneyBag, OrderRef, Payout, PayoutLineKind,
    Performed, Record, Refund, RefundAdjustment, RefundOrder, Transaction, TransactionKind, TransactionStatus,
};
use spindel_simulators::{
    fault::Fault,
    vipps::{Options, VippsSim, Webhook},
};
use std::time::Duration;
use uuid::Uuid;

const START: &str = "2026-11-20T10:00:00Z";
const REFERENCE: &str = "acme-order-1042";
const HUB: &str = "https://hub.example.no";

struct World {
    sim: VippsSim,
    vipps: Vipps,
    api: Api,
    clock: Clock,
    maps: Maps,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::manual(START.parse().unwrap());
        let options = Options { changes_per_minute: 100, report_page: 3, clock: clock.clone(), ..Options::default() };
        let sim = VippsSim::start(options).await.unwrap();
        let (vipps, api) = connected(&sim, &clock, json!({}));
        // The first call fetches a token.
        vipps.probe(&api).await.unwrap();
        Self { sim, vipps, api, clock, maps: Maps::default() }
    }

    fn around(&self, key: u128) -> Around<'_> {
        Around { from: "shop", key: Uuid::from_u128(key), known: None, maps: &self.maps, attempt: 1, now: self.clock.now() }
    }

    /// By the order's number alone.
    async fn capture(&self, key: u128, amount: Option<i64>) -> Result<Performed, CallError> {
        let amount = amount.map(|it| Money::from_minor(it, Currency::NOK));
        let verb = CapturePayment { order: order(), payment: None, amount, shipment: None };
        self.vipps.perform(&self.api, Ask { verb: &verb, around: self.around(key) }).await
    }

    async fn refund(&self, key: u128, amount: i64) -> Result<Performed, CallError> {
        let verb = RefundOrder { refund: Box::new(refund(amount)) };
        self.vipps.perform(&self.api, Ask { verb: &verb, around: self.around(key) }).await
    }

    async fn cancel(&self, key: u128) -> Result<Performed, CallError> {
        let verb = CancelPayment { order: order(), payment: None, reason: None };
        self.vipps.perform(&self.api, Ask { verb: &verb, around: self.around(key) }).await
    }

    fn sums(&self) -> (i64, i64, i64, i64) {
        let view = self.sim.payment(REFERENCE).unwrap();
        (view.authorized, view.captured, view.refunded, view.cancelled)
    }

    /// The calls before it are answered as usual.
    fn fail_call(&self, number: u32, fault: Fault) {
        self.sim.faults().next(Fault::Slow(Duration::ZERO), number - 1);
        self.sim.faults().next(fault, 1);
    }

    fn understood(&self, webhook: &Webhook, uri: &str, kept: &[Secret]) -> Vec<Change> {
        let mut headers = HeaderMap::new();
        for (name, value) in &webhook.headers {
            headers.insert(http::HeaderName::try_from(name.as_str()).unwrap(), value.parse().unwrap());
        }
        let (uri, origin, body) = (uri.to_owned(), HUB.to_owned(), webhook.body.clone());
        let incoming = Incoming { method: Method::POST, uri, origin, headers, body };
        self.vipps.changes(&self.vipps.proof(kept).check(incoming, self.clock.now()).unwrap()).unwrap()
    }
}

fn connected(sim: &VippsSim, clock: &Clock, extra: Value) -> (Vipps, Api) {
    let mut settings = json!({
        "environment": "test", "merchant_serial_number": "123456", "client_id": "simulated-client",
        "client_secret": "simulated-secret", "subscription_key": "simulated-subscription-key",
        "reference_prefix": "acme-order-", "base_url": sim.base_url(),
    });
    for (key, value) in extra.as_object().unwrap() {
        settings[key] = value.clone();
    }
    let (vipps, _) = Vipps::connect(serde_json::from_value(settings.clone()).unwrap()).unwrap();
    (vipps, Hub::of::<Vipps>(settings, clock).api)
}

fn order() -> OrderRef {
    OrderRef { id: None, number: Some("#1042".into()) }
}

fn refund(amount: i64) -> Refund {
    let total = MoneyBag::single(Money::from_minor(amount, Currency::NOK));
    Refund {
        id: "R-1".into(),
        order: order(),
        payment: None,
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
async fn a_payment_is_captured_given_back_and_let_go_by_the_orders_number() {
    let world = World::new().await;
    world.sim.authorize(REFERENCE, 44_700, "NOK").unwrap();
    let done = world.capture(1, Some(40_000)).await.unwrap();
    assert_eq!((done.unchanged, done.reference.unwrap().id.as_str()), (false, REFERENCE));
    world.refund(2, 10_000).await.unwrap();
    world.cancel(3).await.unwrap();
    assert_eq!(world.sums(), (44_700, 40_000, 10_000, 4_700));
    assert!(world.cancel(4).await.unwrap().unchanged);
    assert!(world.capture(5, Some(40_000)).await.unwrap().unchanged);
}

#[tokio::test]
async fn a_capture_whose_answer_was_lost_is_made_once() {
    let world = World::new().await;
    world.sim.authorize(REFERENCE, 44_700, "NOK").unwrap();
    // The payment is read, then its log, then it is captured.
    world.fail_call(3, Fault::CutAfter);
    assert_eq!(world.capture(1, Some(10_000)).await.unwrap_err().class, ErrorClass::Transient);
    assert_eq!(world.sums().1, 10_000);
    world.capture(1, Some(10_000)).await.unwrap();
    assert_eq!(world.sums().1, 10_000);
    world.refund(2, 1_000).await.unwrap();
    world.refund(2, 1_000).await.unwrap();
    assert_eq!(world.sums(), (44_700, 10_000, 1_000, 0));
}

#[tokio::test]
async fn a_try_that_failed_at_the_bank_is_followed_by_one_under_another_key() {
    let world = World::new().await;
    world.sim.authorize(REFERENCE, 44_700, "NOK").unwrap();
    world.sim.fail_next(2);
    for _ in 0..2 {
        assert_eq!(world.capture(1, None).await.unwrap_err().class, ErrorClass::Transient);
    }
    world.capture(1, None).await.unwrap();
    assert_eq!(world.sums().1, 44_700);
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_nothing_is_done() {
    let world = World::new().await;
    let class = |result: Result<Performed, CallError>| result.unwrap_err().class;
    assert_eq!(class(world.capture(1, None).await), ErrorClass::Data, "there is no such payment");
    world.sim.begin(REFERENCE, 10_000, "NOK").unwrap();
    assert_eq!(class(world.capture(1, None).await), ErrorClass::MissingDependency);
    world.sim.approve(REFERENCE).unwrap();
    assert_eq!(class(world.capture(1, Some(10_001)).await), ErrorClass::Data);
    assert_eq!(class(world.refund(2, 100).await), ErrorClass::MissingDependency);
    world.capture(1, None).await.unwrap();
    assert_eq!(class(world.refund(2, 10_001).await), ErrorClass::Data);
    assert_eq!(class(world.cancel(3).await), ErrorClass::Data);
    assert_eq!(world.sums(), (10_000, 10_000, 0, 0));
    let (vipps, api) = connected(&world.sim, &world.clock, json!({ "merchant_serial_number": "654321" }));
    assert_eq!(vipps.probe(&api).await.unwrap_err().class, ErrorClass::Auth);
    assert!(world.vipps.probe(&world.api).await.unwrap().contains("123456"));
}

#[tokio::test]
async fn a_limit_of_the_vendor_is_told_as_one() {
    let clock = Clock::manual(START.parse().unwrap());
    let sim = VippsSim::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
    let (vipps, api) = connected(&sim, &clock, json!({}));
    let world = World { sim, vipps, api, clock, maps: Maps::default() };
    world.sim.authorize(REFERENCE, 10_000, "NOK").unwrap();
    for key in 1..=5 {
        world.capture(key, Some(100)).await.unwrap();
    }
    assert_eq!(world.capture(6, Some(100)).await.unwrap_err().class, ErrorClass::RateLimited);
    world.clock.advance(SignedDuration::from_mins(2));
    world.capture(6, Some(100)).await.unwrap();
    assert_eq!(world.sums().1, 600);
}

#[tokio::test]
async fn a_payment_that_the_buyer_left_is_ended_or_told_as_failed() {
    let world = World::new().await;
    world.sim.begin(REFERENCE, 10_000, "NOK").unwrap();
    world.cancel(1).await.unwrap();
    assert_eq!(world.sim.payment(REFERENCE).unwrap().state, "TERMINATED");
    assert_eq!(world.capture(2, None).await.unwrap_err().class, ErrorClass::Data);
    let read = Read::<(OrderRef, Transaction)>::read(&world.vipps, &world.api, REFERENCE).await.unwrap().unwrap().1;
    assert_eq!(read.status, TransactionStatus::Failure);
}

#[tokio::test]
async fn webhooks_are_proven_with_the_secret_of_their_registration_and_what_they_tell_can_be_read_back() {
    use TransactionKind::{Authorization, Capture, Refund, Void};
    let world = World::new().await;
    let address = format!("{HUB}/in/vipps");
    world.sim.set_target(Some(&address));
    let made = world.vipps.register(&world.api, "epayments.payment.captured.v1", &address).await.unwrap();
    assert!(made.secret.is_some());
    world.sim.authorize(REFERENCE, 44_700, "NOK").unwrap();
    world.sim.capture_by_hand(REFERENCE, 40_000).unwrap();
    world.sim.refund_by_hand(REFERENCE, 500).unwrap();
    world.sim.cancel_by_hand(REFERENCE).unwrap();
    let kept = [Secret::new("another"), Secret::new(Options::default().webhook_secret)];
    let told: Vec<Change> = world.sim.webhook_log().iter().flat_map(|it| world.understood(it, "/in/vipps", &kept)).collect();
    let mut kinds = Vec::new();
    for change in &told {
        let Record::Transaction { order, transaction } = &change.record else { panic!("{change:?}") };
        assert_eq!((order.number.as_deref(), transaction.status), (Some("1042"), TransactionStatus::Success));
        kinds.push((transaction.kind, transaction.amount.to_string()));
        let read = Read::<(OrderRef, Transaction)>::read(&world.vipps, &world.api, &change.entity.id).await.unwrap().unwrap();
        assert_eq!(&read.1, transaction);
    }
    let expected = [(Authorization, "447.00 NOK"), (Capture, "400.00 NOK"), (Refund, "5.00 NOK"), (Void, "47.00 NOK")];
    assert_eq!(kinds, expected.map(|(kind, amount)| (kind, amount.to_owned())));
}

#[tokio::test]
async fn a_registration_is_renewed_before_the_old_one_goes() {
    let world = World::new().await;
    let address = format!("{HUB}/in/vipps");
    for topic in Vipps::TOPICS {
        world.vipps.register(&world.api, topic, &address).await.unwrap();
    }
    let before = world.vipps.list(&world.api).await.unwrap();
    assert_eq!(before.len(), Vipps::TOPICS.len());
    let renewed = world.vipps.repair(&world.api, &before[0]).await.unwrap();
    assert!(renewed.secret.is_some());
    let after = world.vipps.list(&world.api).await.unwrap();
    assert_eq!(after.len(), before.len());
    assert!(!after.iter().any(|it| it.id == before[0].id));
}

#[tokio::test]
async fn the_lines_of_a_payout_add_up_with_each_fee_by_its_payment() {
    let world = World::new().await;
    world.sim.authorize(REFERENCE, 44_700, "NOK").unwrap();
    world.sim.authorize("acme-order-1043", 9_900, "NOK").unwrap();
    world.sim.authorize("acme-order-2000", 5_000, "DKK").unwrap();
    world.sim.capture_by_hand(REFERENCE, 44_700).unwrap();
    world.sim.capture_by_hand("acme-order-1043", 9_900).unwrap();
    world.clock.advance(SignedDuration::from_hours(24));
    world.sim.refund_by_hand(REFERENCE, 10_000).unwrap();
    world.sim.retain_disputed("acme-order-1043").unwrap();
    let first = world.sim.pay_out("NOK").unwrap();
    world.clock.advance(SignedDuration::from_hours(24));
    world.sim.abort_payout(&first).unwrap();
    world.sim.capture_by_hand("acme-order-2000", 5_000).unwrap();
    let danish = world.sim.pay_out("DKK").unwrap();
    let second = world.sim.pay_out("NOK").unwrap();

    // The day is not over: nothing yet of what was paid out on it.
    let (mut cursor, mut found) = (None, Vec::new());
    for hours in [0, 24] {
        world.clock.advance(SignedDuration::from_hours(hours));
        loop {
            let page = Poll::<Payout>::page(&world.vipps, &world.api, cursor.as_ref(), world.clock.now()).await.unwrap();
            cursor = Some(page.cursor);
            found.extend(page.changes);
            if !page.more {
                break;
            }
        }
        assert_eq!(found.len(), if hours == 0 { 1 } else { 3 });
    }
    for reference in [&first, &danish, &second] {
        let view = world.sim.payout(reference).unwrap();
        let id = format!("{}/{reference}", view.ledger);
        let told = found.iter().find(|it| it.entity.id == id).unwrap();
        let Record::Payout(payout) = &told.record else { panic!("{told:?}") };
        let zero = Money::from_minor(0, payout.amount.currency);
        let sum = payout.lines.iter().try_fold(zero, |sum, line| sum.try_add(line.net)).unwrap();
        assert_eq!((sum, payout.amount.to_minor()), (payout.amount, Some(view.amount)));
        assert!(payout.lines.iter().all(|it| !it.id.ends_with("-rest")), "{payout:?}");
    }
    let Record::Payout(payout) = &found[0].record else { panic!("{found:?}") };
    let fees: Vec<(Option<&str>, Option<i64>)> = payout
        .lines
        .iter()
        .filter(|it| it.kind == PayoutLineKind::Fee)
        .map(|it| (it.order.number.as_deref(), it.fee.to_minor()))
        .collect();
    // 2.75 % and 1 krone.
    // Days went by at the vendor, and the token with them: it was renewed after each refusal.
    assert!(world.sim.tokens_issued() > 1);
    assert_eq!(fees, [(Some("1042"), Some(1_329)), (Some("1043"), Some(372))]);
}
