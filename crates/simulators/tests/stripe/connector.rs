//! The connector against a simulated Stripe, through the client that Spindel itself calls vendors with.
use crate::hub::Hub;
use http::{HeaderMap, Method};
use jiff::SignedDuration;
use serde_json::json;
use spindel_connect::{Api, Around, Ask, Connector, Incoming, Maps, Perform, Poll, Read, Receive, Secret, Subscribe};
use spindel_connector_stripe::Stripe;
use spindel_model::{
    AcknowledgePayment, CancelPayment, CapturePayment, Change, Clock, Currency, ErrorClass, Money, MoneyBag, OrderRef, Payout,
    Record, Refund, RefundAdjustment, RefundOrder, Topic, Transaction, TransactionKind, TransactionStatus,
};
use spindel_simulators::{
    fault::Fault,
    stripe::{Options, StripeSim, Webhook},
};
use std::time::Duration;
use uuid::Uuid;

const START: &str = "2026-11-20T10:00:00Z";
const ORDER: [(&str, &str); 1] = [("order_id", "1042")];
const ADDRESS: &str = "https://hub.example.no/in/stripe";

struct World {
    sim: StripeSim,
    stripe: Stripe,
    api: Api,
    clock: Clock,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::manual(START.parse().unwrap());
        let options = Options { search_lag: SignedDuration::from_secs(30), clock: clock.clone(), ..Options::default() };
        let sim = StripeSim::start(options).await.unwrap();
        let (stripe, api) = connected(&sim, &clock, "rk_test_simulated");
        Self { sim, stripe, api, clock }
    }

    fn around<'a>(&self, key: u128, maps: &'a Maps) -> Around<'a> {
        Around { from: "shop", key: Uuid::from_u128(key), known: None, maps, attempt: 1, now: self.clock.now() }
    }

    async fn capture(&self, key: u128, payment: Option<&str>, amount: Option<i64>) -> Result<bool, ErrorClass> {
        let amount = amount.map(|it| Money::from_minor(it, Currency::NOK));
        let verb = CapturePayment { order: order(), payment: payment.map(str::to_owned), amount, shipment: None };
        let done = self.stripe.perform(&self.api, Ask { verb: &verb, around: self.around(key, &Maps::default()) }).await;
        done.map(|it| it.unchanged).map_err(|error| error.class)
    }

    async fn refund(&self, key: u128, payment: Option<&str>, amount: i64) -> Result<bool, ErrorClass> {
        let verb = RefundOrder { refund: Box::new(refund(payment, amount)) };
        let done = self.stripe.perform(&self.api, Ask { verb: &verb, around: self.around(key, &Maps::default()) }).await;
        done.map(|it| it.unchanged).map_err(|error| error.class)
    }

    /// What a webhook means, once its proof held.
    fn understood(&self, webhook: &Webhook, kept: &[Secret]) -> Vec<Change> {
        let mut headers = HeaderMap::new();
        for (name, value) in &webhook.headers {
            headers.insert(http::HeaderName::try_from(name.as_str()).unwrap(), value.parse().unwrap());
        }
        let incoming = Incoming {
            method: Method::POST,
            uri: "/in/stripe".into(),
            origin: "https://hub.example.no".into(),
            headers,
            body: webhook.body.clone(),
        };
        let verified = self.stripe.proof(kept).check(incoming, self.clock.now()).unwrap();
        self.stripe.changes(&verified).unwrap()
    }

    fn told(&self) -> Vec<Change> {
        let kept = [Secret::new("whsec_simulated")];
        self.sim.webhook_log().iter().flat_map(|it| self.understood(it, &kept)).collect()
    }
}

fn connected(sim: &StripeSim, clock: &Clock, key: &str) -> (Stripe, Api) {
    let settings = json!({ "api_key": key, "base_url": sim.base_url() });
    let (stripe, _) = Stripe::connect(serde_json::from_value(settings.clone()).unwrap()).unwrap();
    (stripe, Hub::of::<Stripe>(settings, clock).api)
}

fn order() -> OrderRef {
    OrderRef { id: Some("1042".into()), number: None }
}

fn refund(payment: Option<&str>, amount: i64) -> Refund {
    let total = MoneyBag::single(Money::from_minor(amount, Currency::NOK));
    Refund {
        id: "R-1".into(),
        order: order(),
        payment: payment.map(str::to_owned),
        created_at: START.parse().unwrap(),
        note: None,
        lines: Vec::new(),
        shipping: None,
        adjustments: vec![RefundAdjustment { reason: "goodwill".into(), amount: total }],
        transactions: Vec::new(),
        total,
    }
}

fn movements(changes: &[Change]) -> Vec<(TransactionKind, TransactionStatus, String)> {
    let movement = |it: &Change| match &it.record {
        Record::Transaction { transaction, .. } => Some((transaction.kind, transaction.status, transaction.amount.to_string())),
        _ => None,
    };
    changes.iter().filter_map(movement).collect()
}

#[tokio::test]
async fn a_capture_whose_answer_was_lost_is_made_once() {
    let world = World::new().await;
    let payment = world.sim.authorize(44_700, "nok", &ORDER);
    // The payment is read, then captured: the second answer is lost.
    world.sim.faults().next(Fault::Slow(Duration::ZERO), 1);
    world.sim.faults().next(Fault::CutAfter, 1);
    assert_eq!(world.capture(1, Some(&payment), Some(44_700)).await, Err(ErrorClass::Transient));
    assert_eq!(world.sim.payment(&payment).unwrap().captured, 44_700);
    assert_eq!(world.capture(1, Some(&payment), Some(44_700)).await, Ok(true));
    assert_eq!(world.sim.calls()[&format!("POST /v1/payment_intents/{payment}/capture")], 1);
    assert_eq!(world.capture(2, Some(&payment), Some(44_600)).await, Err(ErrorClass::Data));
}

#[tokio::test]
async fn more_than_is_held_is_refused_and_nothing_is_taken() {
    let world = World::new().await;
    let payment = world.sim.authorize(10_000, "nok", &ORDER);
    assert_eq!(world.capture(1, Some(&payment), Some(10_001)).await, Err(ErrorClass::Data));
    assert_eq!(world.refund(2, Some(&payment), 100).await, Err(ErrorClass::Data));
    assert_eq!((world.sim.payment(&payment).unwrap().captured, world.sim.payment(&payment).unwrap().refunded), (0, 0));
    assert_eq!(world.capture(3, Some(&payment), None).await, Ok(false));
    assert_eq!(world.refund(4, Some(&payment), 10_001).await, Err(ErrorClass::Data));
    assert_eq!(world.refund(5, Some(&payment), 10_000).await, Ok(false));
    assert_eq!(world.sim.payment(&payment).unwrap().refunded, 10_000);
}

#[tokio::test]
async fn a_payment_is_found_by_its_order_once_the_search_knows_it() {
    let world = World::new().await;
    let payment = world.sim.authorize(10_000, "nok", &ORDER);
    assert_eq!(world.capture(1, None, None).await, Err(ErrorClass::MissingDependency));
    world.clock.advance(SignedDuration::from_secs(31));
    assert_eq!(world.capture(1, None, None).await, Ok(false));
    assert_eq!(world.sim.payment(&payment).unwrap().captured, 10_000);
    let verb = AcknowledgePayment { order: OrderRef { id: None, number: Some("#1042".into()) }, payment: Some(payment.clone()) };
    world.stripe.perform(&world.api, Ask { verb: &verb, around: world.around(2, &Maps::default()) }).await.unwrap();
    assert_eq!(world.sim.payment(&payment).unwrap().metadata["order_number"], "#1042");
}

#[tokio::test]
async fn a_refund_is_recognised_after_stripe_forgot_its_key() {
    let world = World::new().await;
    let payment = world.sim.sell(10_000, "nok", &ORDER);
    assert_eq!(world.refund(1, Some(&payment), 1_000).await, Ok(false));
    world.clock.advance(SignedDuration::from_hours(30));
    assert_eq!(world.refund(1, Some(&payment), 1_000).await, Ok(true));
    assert_eq!(world.refund(2, Some(&payment), 1_000).await, Ok(false));
    assert_eq!(world.sim.payment(&payment).unwrap().refunded, 2_000);
    world.sim.next_keys_are_in_use(1);
    assert_eq!(world.refund(3, Some(&payment), 1_000).await, Err(ErrorClass::Transient));
}

#[tokio::test]
async fn webhooks_tell_what_happened_and_money_that_was_only_held_is_no_refund() {
    use TransactionKind::{Authorization, Capture, Refund, Sale, Void};
    use TransactionStatus::{Failure, Success};
    let world = World::new().await;
    let (part, let_go, lapsed) = (
        world.sim.authorize(10_000, "nok", &ORDER),
        world.sim.authorize(20_000, "nok", &ORDER),
        world.sim.authorize(300, "jpy", &ORDER),
    );
    world.sim.capture_by_hand(&part, Some(6_000)).unwrap();
    let verb = CancelPayment { order: order(), payment: Some(let_go), reason: Some("customer".into()) };
    world.stripe.perform(&world.api, Ask { verb: &verb, around: world.around(1, &Maps::default()) }).await.unwrap();
    world.sim.expire(&lapsed).unwrap();
    let sold = world.sim.sell(5_000, "nok", &ORDER);
    assert_eq!(world.refund(2, Some(&sold), 500).await, Ok(false));
    world.sim.decline(100, "nok", &ORDER);
    let told = world.told();
    let expected = [
        (Authorization, Success, "100.00 NOK"),
        (Authorization, Success, "200.00 NOK"),
        (Authorization, Success, "300 JPY"),
        (Capture, Success, "60.00 NOK"),
        (Void, Success, "200.00 NOK"),
        (Void, Success, "300 JPY"),
        (Sale, Success, "50.00 NOK"),
        (Authorization, Failure, "1.00 NOK"),
    ];
    assert_eq!(movements(&told), expected.map(|(kind, status, amount)| (kind, status, amount.to_owned())));
    let refunds: Vec<&Change> = told.iter().filter(|it| it.topic == Topic::RefundCreated).collect();
    assert_eq!(refunds.len(), 1, "{refunds:?}");
    let Record::Refund(refund) = &refunds[0].record else { panic!("{refunds:?}") };
    assert_eq!((refund.total.shop.to_string(), refund.transactions[0].kind), ("5.00 NOK".to_owned(), Refund));
}

#[tokio::test]
async fn what_a_poll_finds_is_what_the_webhooks_told_and_a_refund_by_hand_is_read_back_with_its_order() {
    let world = World::new().await;
    let payment = world.sim.authorize(10_000, "nok", &ORDER);
    world.sim.capture_by_hand(&payment, None).unwrap();
    let refund = world.sim.refund_by_hand(&payment, Some(700)).unwrap();
    let failing = world.sim.refund_by_hand(&payment, Some(100)).unwrap();
    world.sim.fail_refund(&failing).unwrap();
    let transactions = Poll::<(OrderRef, Transaction)>::page(&world.stripe, &world.api, None, world.clock.now()).await.unwrap();
    let polled = movements(&transactions.changes);
    let webhooks = movements(&world.told());
    assert_eq!(polled, webhooks);
    assert_eq!(polled.len(), 2, "{polled:?}");
    let refunds = Poll::<Refund>::page(&world.stripe, &world.api, None, world.clock.now()).await.unwrap();
    assert!(refunds.changes.iter().all(|it| it.record == Record::Nudge) && refunds.changes.len() == 2);
    let read = Read::<Refund>::read(&world.stripe, &world.api, &refund).await.unwrap().unwrap();
    assert_eq!((read.order, read.total.shop.to_string()), (order(), "7.00 NOK".to_owned()));
    let failed = Read::<(OrderRef, Transaction)>::read(&world.stripe, &world.api, &failing).await.unwrap().unwrap().1;
    assert_eq!(failed.status, TransactionStatus::Failure);
    // Nothing new since: the cursor holds.
    let again = Poll::<Refund>::page(&world.stripe, &world.api, Some(&refunds.cursor), world.clock.now()).await.unwrap();
    assert_eq!((again.changes.len(), again.more), (2, false), "the window overlaps");
    // Five days later the authorisations that are left are about to lapse.
    world.sim.authorize(900, "nok", &ORDER);
    world.clock.advance(SignedDuration::from_hours(5 * 24 + 1));
    let later = Poll::<(OrderRef, Transaction)>::page(&world.stripe, &world.api, None, world.clock.now()).await.unwrap();
    let expiring: Vec<&Change> = later.changes.iter().filter(|it| it.topic == Topic::TransactionExpiring).collect();
    assert_eq!(expiring.len(), 1, "{later:?}");
}

#[tokio::test]
async fn the_lines_of_a_payout_add_up_and_name_their_orders() {
    let world = World::new().await;
    let sold = world.sim.sell(44_700, "nok", &ORDER);
    let disputed = world.sim.sell(9_900, "nok", &[("order_id", "1043")]);
    world.sim.refund_by_hand(&sold, Some(5_000)).unwrap();
    let dispute = world.sim.dispute(&disputed, "fraudulent").unwrap();
    world.sim.close_dispute(&dispute, true).unwrap();
    let id = world.sim.pay_out("nok").unwrap();
    let found = Poll::<Payout>::page(&world.stripe, &world.api, None, world.clock.now()).await.unwrap();
    assert_eq!(found.changes.iter().map(|it| it.entity.id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    let payout = Read::<Payout>::read(&world.stripe, &world.api, &id).await.unwrap().unwrap();
    assert_eq!(payout.amount.to_minor(), Some(world.sim.payout(&id).unwrap().amount));
    let zero = Money::from_minor(0, Currency::NOK);
    let sum = payout.lines.iter().try_fold(zero, |sum, line| sum.try_add(line.net)).unwrap();
    assert_eq!((payout.lines.len(), sum), (5, payout.amount));
    assert!(payout.lines.iter().all(|it| it.gross.try_sub(it.fee).unwrap() == it.net));
    let of = |id: &str| payout.lines.iter().filter(|it| it.order.id.as_deref() == Some(id)).count();
    assert_eq!((of("1042"), of("1043")), (1, 1), "refunds by hand and disputes name no order");
    let told = Read::<spindel_model::Dispute>::read(&world.stripe, &world.api, &dispute).await.unwrap().unwrap();
    assert_eq!((told.order.id.as_deref(), told.state), (Some("1043"), spindel_model::DisputeState::Won));
}

#[tokio::test]
async fn one_endpoint_is_registered_for_all_topics_and_its_secret_proves_what_comes() {
    let world = World::new().await;
    let mut secrets = Vec::new();
    for topic in &Stripe::TOPICS[..3] {
        let made = world.stripe.register(&world.api, topic, ADDRESS).await.unwrap();
        secrets.extend(made.secret);
    }
    assert_eq!(secrets.len(), 1);
    let listed = world.stripe.list(&world.api).await.unwrap();
    assert_eq!(listed.len(), Stripe::TOPICS.len());
    world.sim.switch_off(&listed[0].id);
    let off = world.stripe.list(&world.api).await.unwrap().remove(0);
    assert!(!off.active);
    assert!(world.stripe.repair(&world.api, &off).await.unwrap().subscription.active);
}

#[tokio::test]
async fn a_wrong_key_is_told_from_a_failing_vendor() {
    let world = World::new().await;
    let (stripe, api) = connected(&world.sim, &world.clock, "rk_test_wrong");
    assert_eq!(stripe.probe(&api).await.unwrap_err().class, ErrorClass::Auth);
    assert!(world.stripe.probe(&world.api).await.unwrap().contains("test mode"));
    world.sim.faults().next(Fault::Error(503), 1);
    assert_eq!(world.stripe.probe(&world.api).await.unwrap_err().class, ErrorClass::Transient);
    world.sim.faults().next(Fault::TooMany { retry_after: Some(3) }, 1);
    assert_eq!(world.stripe.probe(&world.api).await.unwrap_err().class, ErrorClass::RateLimited);
}
