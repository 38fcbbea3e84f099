//! The connector at work in a simulated company: what arrives there, however often it is tried, and what comes back.
#![allow(clippy::unwrap_used)]

mod line;

use line::{Inbox, Line};
use serde_json::{Value, json};
use spindel_connect::{Api, Around, Ask, CallError, Connector, Fixture, Maps, Perform, Poll, Subscribe};
use spindel_connector_business_central::BusinessCentral;
use spindel_model::{
    CancelOrder, Change, Clock, Customer, Decimal, ErrorClass, Money, MoneyBag, Order, Performed, Price, PushOrder, Record,
    RecordPayment, RecordRefund, Shipment, StockLevel, UpsertCustomer, Verb,
};
use spindel_simulators::{
    business_central::{BusinessCentralSim, DocumentView, Setup},
    fault::Fault,
};

const SECRET: &str = "fake-client-state-0123456789";

struct World {
    sim: BusinessCentralSim,
    erp: BusinessCentral,
    api: Api,
    maps: Maps,
    clock: Clock,
}

fn fixture(name: &str) -> Value {
    let found = BusinessCentral::FIXTURES.iter().find(|it| it.name == name);
    let Some(Fixture { json, .. }) = found else { panic!("no fixture {name}") };
    serde_json::from_str(json).unwrap()
}

fn settings(sim: &BusinessCentralSim) -> Value {
    let mut settings = fixture("config");
    settings["url"] = json!(sim.api_url());
    settings["token_url"] = json!(sim.token_url());
    settings
}

impl World {
    async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    async fn with(setup: Setup) -> Self {
        let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
        let setup = Setup { clock: clock.clone(), token_seconds: 1_000_000, ..setup };
        let sim = BusinessCentralSim::start(setup).await.unwrap();
        let (erp, endpoint) = BusinessCentral::connect(serde_json::from_value(settings(&sim)).unwrap()).ok().unwrap();
        let api = Api::new(Line::to(endpoint).await, BusinessCentral::refine, clock.clone());
        let maps = json!({
            "tax": { "NO/25/included": "MVA25", "NO/15/included": "MVA15", "none": "MVA0" }, "payment": { "vipps": "VIPPS" },
        });
        Self { sim, erp, api, maps: serde_json::from_value(maps).unwrap(), clock }
    }

    fn ask<'a, V>(&'a self, verb: &'a V, known: Option<&'a str>) -> Ask<'a, V> {
        let around = Around { from: "shop", key: uuid::Uuid::nil(), known, maps: &self.maps, attempt: 1, now: self.clock.now() };
        Ask { verb, around }
    }

    async fn perform<V: Verb>(&self, verb: &V, known: Option<&str>) -> Result<Performed, CallError>
    where
        BusinessCentral: Perform<V>,
    {
        self.erp.perform(&self.api, self.ask(verb, known)).await
    }

    async fn look_up<V: Verb>(&self, verb: &V) -> Option<Performed>
    where
        BusinessCentral: Perform<V>,
    {
        self.erp.look_up(&self.api, self.ask(verb, None)).await.unwrap()
    }

    /// All pages of a round.
    async fn poll<R>(&self, cursor: &mut Option<spindel_connect::Cursor>) -> Vec<Change>
    where
        R: spindel_connect::Readable,
        BusinessCentral: Poll<R>,
    {
        let mut changes = Vec::new();
        loop {
            let page = Poll::<R>::page(&self.erp, &self.api, cursor.as_ref(), self.clock.now()).await.unwrap();
            *cursor = Some(page.cursor);
            changes.extend(page.changes);
            if !page.more {
                return changes;
            }
        }
    }

    fn order(&self) -> DocumentView {
        let orders = self.sim.orders();
        assert_eq!(orders.len(), 1, "{orders:?}");
        orders[0].clone()
    }
}

fn push() -> PushOrder {
    let order: Order = serde_json::from_value(fixture("push_order_new")["actions"][0]["order"].clone()).unwrap();
    PushOrder { order: Box::new(order) }
}

fn verb<V: serde::de::DeserializeOwned>(name: &str) -> V {
    serde_json::from_value(fixture(name)["actions"][0].clone()).unwrap()
}

fn amount(text: &str) -> Decimal {
    text.parse().unwrap()
}

// --- orders

#[tokio::test]
async fn an_order_arrives_once_with_the_shops_total_however_often_it_is_sent() {
    let world = World::new().await;
    let push = push();
    assert_eq!(world.look_up(&push).await, None);
    let done = world.perform(&push, None).await.unwrap();
    let order = world.order();
    assert_eq!(done, Performed::at(&order.id).numbered(&order.number));
    assert_eq!((order.total, order.external_number.as_str()), (amount("1664.56"), "#1042"));
    assert_eq!(order.lines.iter().map(|it| it.number.as_str()).collect::<Vec<_>>(), ["ULL-M-BLK", "TE-03", "3410"]);
    assert!(world.perform(&push, None).await.unwrap().unchanged);
    assert!(world.look_up(&push).await.is_some());
    assert_eq!(world.order(), order);
    assert_eq!(world.sim.customers().iter().filter(|it| it.email == "Kari@example.no").count(), 1);
}

#[tokio::test]
async fn an_answer_that_was_lost_on_its_way_makes_no_second_order() {
    let world = World::new().await;
    let push = push();
    // After the searches for the order, its invoices and its customer, and the customer's creation comes the order's.
    for calls_before in 0..6 {
        for _ in 0..calls_before {
            world.sim.faults().next(Fault::Slow(std::time::Duration::ZERO), 1);
        }
        world.sim.faults().next(Fault::CutAfter, 1);
        let _lost = world.perform(&push, None).await;
        world.sim.faults().clear();
        if world.look_up(&push).await.is_none() {
            world.perform(&push, None).await.unwrap();
        }
        assert_eq!(world.order().total, amount("1664.56"), "after {calls_before} calls");
        assert_eq!(world.sim.customers().len(), 2);
        world.sim.delete_order(&world.order().number).unwrap();
    }
}

#[tokio::test]
async fn a_customer_whose_prices_hold_vat_gets_the_same_total() {
    let world = World::new().await;
    world.sim.add_customer("Kari Nordmann", "kari@example.no", true);
    world.perform(&push(), None).await.unwrap();
    let order = world.order();
    assert_eq!((order.total, order.lines[0].unit_price), (amount("1664.56"), amount("799.2")));
}

#[tokio::test]
async fn an_edited_order_changes_its_lines_and_what_people_added_stays() {
    let world = World::new().await;
    let mut push = push();
    world.perform(&push, None).await.unwrap();
    let id = world.order().id;
    // The shop's total without the tea.
    push.order.lines[1].quantity = Decimal::ZERO;
    push.order.totals.grand = MoneyBag::single(Money::new(amount("1517.56"), push.order.currency));
    assert!(!world.perform(&push, Some(&id)).await.unwrap().unchanged);
    let order = world.order();
    assert_eq!((order.id.as_str(), order.total, order.lines.len()), (id.as_str(), amount("1517.56"), 2));
    assert!(world.look_up(&push).await.is_some());
    world.sim.add_line(&order.number, "LUE-01", 1).unwrap();
    let error = world.perform(&push, Some(&id)).await.unwrap_err();
    assert!(error.class == ErrorClass::Data && error.message.contains("totals_mismatch"), "{error}");
    assert_eq!(world.order().lines.len(), 3);
}

#[tokio::test]
async fn an_order_that_people_released_is_left_to_them() {
    let world = World::new().await;
    let mut push = push();
    world.perform(&push, None).await.unwrap();
    world.sim.release(&world.order().number).unwrap();
    push.order.lines[0].title = "Ullgenser, blå".into();
    let error = world.perform(&push, None).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Data, "{error}");
    world.sim.reopen(&world.order().number).unwrap();
    world.perform(&push, None).await.unwrap();
    assert_eq!(world.order().lines[0].description, "Ullgenser, blå");
}

#[tokio::test]
async fn an_order_that_people_entered_under_the_same_number_stays_as_it_is() {
    let world = World::new().await;
    world.sim.enter_order("#1042", &[("TE-03", 1)]).unwrap();
    assert_eq!(world.perform(&push(), None).await.unwrap_err().class, ErrorClass::Data);
    assert_eq!(world.order().lines.len(), 1);
}

#[tokio::test]
async fn a_cancelled_order_is_deleted_once_and_an_invoiced_one_is_not() {
    let world = World::new().await;
    let cancel: CancelOrder = verb("cancel_order");
    assert_eq!(world.perform(&cancel, None).await.unwrap_err().class, ErrorClass::MissingDependency);
    let id = world.perform(&push(), None).await.unwrap().reference.unwrap().id;
    world.perform(&cancel, Some(&id)).await.unwrap();
    assert_eq!(world.sim.orders(), []);
    assert!(world.perform(&cancel, Some(&id)).await.unwrap().unchanged);
    world.perform(&push(), None).await.unwrap();
    let number = world.order().number;
    world.sim.ship(&number).unwrap();
    assert_eq!(world.perform(&cancel, None).await.unwrap_err().class, ErrorClass::Data);
    world.sim.invoice(&number).unwrap();
    assert_eq!(world.perform(&cancel, None).await.unwrap_err().class, ErrorClass::Data);
}

// --- money

#[tokio::test]
async fn shipment_payment_and_refund_are_equal_at_both_ends_and_repeating_them_changes_nothing() {
    let world = World::new().await;
    let mut shipments = None;
    assert_eq!(world.poll::<Shipment>(&mut shipments).await, []);
    world.perform(&push(), None).await.unwrap();
    let number = world.order().number;
    world.sim.ship_some(&number, &[("ULL-M-BLK", 2), ("3410", 1)]).unwrap();
    let told = world.poll::<Shipment>(&mut shipments).await;
    let Record::Shipment(shipment) = &told[0].record else { panic!("{told:?}") };
    assert_eq!((told.len(), shipment.order.number.as_deref()), (1, Some("#1042")));
    assert_eq!(shipment.lines.len(), 1);
    assert_eq!((shipment.lines[0].line_id.as_deref(), shipment.lines[0].quantity), (Some("13574089285953"), 2.into()));
    world.sim.ship(&number).unwrap();
    world.sim.invoice(&number).unwrap();
    assert!(world.perform(&push(), None).await.unwrap().unchanged);

    let payment: RecordPayment = verb("record_payment");
    for _ in 0..2 {
        world.perform(&payment, None).await.unwrap();
        assert_eq!(world.sim.payments().len(), 1);
    }
    assert_eq!(world.sim.payments()[0].amount, -payment.transaction.amount.amount);
    world.sim.post_journal("VIPPS").unwrap();
    assert!(world.look_up(&payment).await.is_some());
    assert!(world.perform(&payment, None).await.unwrap().unchanged);
    assert_eq!(world.sim.payments(), []);

    let refund: RecordRefund = verb("record_refund");
    for _ in 0..2 {
        world.perform(&refund, None).await.unwrap();
        let memos = world.sim.credit_memos();
        assert_eq!(memos.iter().map(|it| it.total).collect::<Vec<_>>(), [refund.refund.total.shop.amount]);
        assert_ne!(memos[0].status, "Draft");
    }
    assert!(world.look_up(&refund).await.is_some());
}

#[tokio::test]
async fn a_refund_before_the_invoice_waits_for_it() {
    let world = World::new().await;
    world.perform(&push(), None).await.unwrap();
    let refund: RecordRefund = verb("record_refund");
    assert_eq!(world.perform(&refund, None).await.unwrap_err().class, ErrorClass::MissingDependency);
    assert_eq!(world.sim.credit_memos(), []);
}

// --- what comes out

#[tokio::test]
async fn stock_is_told_of_all_items_first_and_then_of_those_that_moved_late_entries_included() {
    let world = World::new().await;
    let stock = |changes: &[Change]| {
        let level = |change: &Change| match &change.record {
            Record::Stock(StockLevel { sku, on_hand, .. }) => (sku.clone().unwrap(), on_hand.unwrap().to_string()),
            other => panic!("{other:?}"),
        };
        changes.iter().map(level).collect::<Vec<_>>()
    };
    let mut cursor = None;
    assert_eq!(world.poll::<StockLevel>(&mut cursor).await.len(), 3);
    world.poll::<StockLevel>(&mut cursor).await;
    assert_eq!(world.poll::<StockLevel>(&mut cursor).await, []);
    world.sim.adjust_stock_slowly("LUE-01", 5).unwrap();
    world.sim.adjust_stock("TE-03", -7).unwrap();
    assert_eq!(stock(&world.poll::<StockLevel>(&mut cursor).await), [("TE-03".into(), "93".into())]);
    world.sim.end_slowly();
    assert_eq!(stock(&world.poll::<StockLevel>(&mut cursor).await), [("LUE-01".into(), "105".into())]);
}

#[tokio::test]
async fn more_items_than_a_page_are_all_told() {
    let items = (0..230).map(|it| (format!("ITEM-{it:03}"), amount("10.50"), Decimal::ONE)).collect();
    let world = World::with(Setup { items, ..Setup::default() }).await;
    let (mut prices, mut stock) = (None, None);
    assert_eq!(world.poll::<Price>(&mut prices).await.len(), 230);
    assert_eq!(world.poll::<StockLevel>(&mut stock).await.len(), 230);
    world.clock.advance(std::time::Duration::from_secs(3600).try_into().unwrap());
    world.sim.set_price("ITEM-229", amount("11")).unwrap();
    let told = world.poll::<Price>(&mut prices).await;
    assert!(
        told.iter().any(|it| matches!(&it.record, Record::Price(it) if it.sku == "ITEM-229" && it.amount.amount == amount("11")))
    );
}

#[tokio::test]
async fn a_customer_is_found_by_address_and_written_only_when_something_differs() {
    let world = World::new().await;
    let upsert: UpsertCustomer = verb("upsert_customer_new");
    world.perform(&upsert, None).await.unwrap();
    assert!(world.perform(&upsert, None).await.unwrap().unchanged);
    let mut customers = None;
    let told = world.poll::<Customer>(&mut customers).await;
    assert!(told.iter().any(|it| matches!(&it.record, Record::Customer(it) if it.email == upsert.customer.email)), "{told:?}");
}

// --- subscriptions

#[tokio::test]
async fn a_subscription_lives_on_by_renewal_and_brings_what_changed() {
    let world = World::new().await;
    let inbox = Inbox::start(settings(&world.sim)).await;
    for topic in BusinessCentral::TOPICS {
        world.erp.register(&world.api, topic, &inbox.url).await.unwrap();
    }
    world.sim.set_price("TE-03", amount("50")).unwrap();
    world.sim.flush().await;
    assert_eq!(inbox.changes.lock().unwrap()[0].record, Record::Nudge);
    world.clock.advance(std::time::Duration::from_secs(48 * 3600).try_into().unwrap());
    for known in world.erp.list(&world.api).await.unwrap() {
        world.erp.repair(&world.api, &known).await.unwrap();
    }
    world.clock.advance(std::time::Duration::from_secs(48 * 3600).try_into().unwrap());
    assert_eq!(world.sim.subscriptions().len(), 2);
    let known = world.erp.list(&world.api).await.unwrap().remove(0);
    world.clock.advance(std::time::Duration::from_secs(48 * 3600).try_into().unwrap());
    assert_eq!(world.erp.list(&world.api).await.unwrap(), []);
    // One that is gone is made anew; one that is there already is renewed.
    world.erp.repair(&world.api, &known).await.unwrap();
    world.erp.register(&world.api, &known.topic, &inbox.url).await.unwrap();
    assert_eq!(world.sim.subscriptions().len(), 1);
}

#[tokio::test]
async fn no_answer_of_ours_ends_a_subscription_and_no_forgery_is_believed() {
    let world = World::new().await;
    let mut others = settings(&world.sim);
    others["webhook_secret"] = json!("another-client-state-not-yet-known");
    let inbox = Inbox::start(others).await;
    world.erp.register(&world.api, "items", &inbox.url).await.unwrap();
    world.sim.set_price("TE-03", amount("50")).unwrap();
    world.sim.flush().await;
    assert!(world.sim.sent().iter().all(|it| it.status == Some(503)), "{:?}", world.sim.sent());
    assert_eq!((world.sim.subscriptions().len(), inbox.changes.lock().unwrap().len()), (1, 0));
    let mut both = settings(&world.sim);
    both["webhook_secret"] = json!([SECRET, "another-client-state-not-yet-known"]);
    let inbox = Inbox::start(both).await;
    world.erp.register(&world.api, "items", &inbox.url).await.unwrap();
    let forged = world.sim.forge(&inbox.url, 8).await;
    assert_eq!((forged.sent, forged.accepted, inbox.changes.lock().unwrap().len()), (8, 0, 0));
}
