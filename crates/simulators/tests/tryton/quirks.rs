//! What gets in the way of an integration, brought about in the simulated Tryton.

use crate::{
    hub::Hub,
    orders::Spec,
    shapes::Raw,
    simulated::Simulated,
    walk::{self, Books},
};
use serde_json::{Value, json};
use spindel_connect::{CallError, Effect};
use spindel_model::{Currency, Decimal, EntityKind, ErrorClass, Record};
use spindel_simulators::fault::Fault;

struct Shop {
    tryton: Simulated,
    hub: Hub,
}

impl Shop {
    async fn open() -> Self {
        Self::with(json!({})).await
    }

    async fn with(change: Value) -> Self {
        let tryton = Simulated::start().await;
        let mut settings = tryton.settings();
        settings.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let hub = walk::hub(&tryton, settings);
        Self { tryton, hub }
    }

    fn spec(&self, id: &str) -> Spec<'static> {
        let mut spec = Spec::of(id, Currency::NOK, true, vec![("SKU-0", 2, "100.00", "0")], self.tryton.now());
        spec.tip = Some("10.00");
        spec
    }

    async fn push(&self, id: &str) -> Result<Spec<'static>, CallError> {
        let spec = self.spec(id);
        self.hub.perform(None, spec.push().0).await.map(|_| spec)
    }

    async fn refused(&self, action: Value) -> CallError {
        self.hub.perform(None, action).await.unwrap_err()
    }
}

#[tokio::test]
async fn a_session_that_ended_is_opened_anew_and_nothing_is_lost() {
    let shop = Shop::open().await;
    shop.push("1").await.unwrap();
    shop.tryton.sim.end_sessions();
    shop.push("2").await.unwrap();
    assert_eq!(shop.tryton.sim.sales("erp/2")[0].state, "processing");
}

#[tokio::test]
async fn a_payment_wants_a_fresh_session_and_gets_one() {
    let shop = Shop::open().await;
    let spec = shop.push("1").await.unwrap();
    shop.tryton.sim.age_sessions();
    shop.hub.perform(None, spec.payment("t1", Decimal::from(210))).await.unwrap();
    assert_eq!(shop.tryton.sim.sales("erp/1")[0].invoice_state, "paid");
    assert_eq!(shop.tryton.sim.entries("erp/vipps:1-t1"), 1);
}

#[tokio::test]
async fn a_wrong_password_pauses_and_says_nothing_of_it() {
    let shop = Shop::with(json!({ "password": "not-this-one" })).await;
    let error = shop.push("1").await.err().unwrap();
    assert!(error.class == ErrorClass::Auth && !error.message.contains("not-this-one"), "{error}");
}

#[tokio::test]
async fn collisions_are_tried_again_and_have_had_no_effect() {
    let shop = Shop::open().await;
    for hinder in [|shop: &Shop| shop.tryton.sim.conflicts(1), |shop: &Shop| shop.tryton.sim.lock(1)] {
        hinder(&shop);
        let error = shop.refused(shop.spec("1").push().0).await;
        assert_eq!((error.class, error.effect), (ErrorClass::Transient, Effect::None), "{error}");
    }
    shop.push("1").await.unwrap();
    assert_eq!(shop.tryton.sim.sales("erp/1").len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_lost_never_makes_a_second_sale_payment_or_credit_note() {
    let shop = Shop::open().await;
    let spec = shop.spec("1");
    let refund = spec.refund("r1", 1, false, "0").0;
    let steps = [spec.push().0, spec.payment("t1", Decimal::from(210)), refund];
    for action in steps {
        // The answer to each call of the action in turn is lost, until it is through without any.
        for calls in 0..40 {
            if shop.hub.look_up(None, action.clone()).await.unwrap().is_some() {
                assert!(calls > 0);
                break;
            }
            for _ in 0..calls {
                shop.tryton.sim.faults().next(Fault::Slow(std::time::Duration::ZERO), 1);
            }
            shop.tryton.sim.faults().next(Fault::CutAfter, 1);
            let done = shop.hub.perform(None, action.clone()).await;
            shop.tryton.sim.faults().clear();
            assert!(done.is_ok() || done.is_err_and(|it| it.class == ErrorClass::Transient), "{action}");
        }
        assert!(shop.hub.perform(None, action).await.unwrap().unchanged);
    }
    let sales = shop.tryton.sim.sales("erp/1");
    assert_eq!((sales.len(), sales[0].total, sales[0].lines.len()), (1, Decimal::from(210), 2));
    assert_eq!(shop.tryton.sim.entries("erp/vipps:1-t1"), 1);
    assert_eq!(shop.tryton.sim.booked("erp/refund/r1"), [Decimal::from(-100)]);
}

#[tokio::test]
async fn warnings_are_accepted_or_left_to_a_person() {
    // A tip has other taxes than its product: Tryton asks whether that is meant.
    let careful = Shop::with(json!({ "accept_warnings": false })).await;
    let spec = careful.push("1").await.unwrap();
    let error = careful.refused(spec.payment("t1", Decimal::from(210))).await;
    assert!(error.class == ErrorClass::Data && error.message.contains("does not have the default taxes"), "{error}");
    assert_eq!(careful.tryton.sim.sales("erp/1")[0].invoice_state, "pending");
    let shop = Shop::open().await;
    let spec = shop.push("1").await.unwrap();
    shop.hub.perform(None, spec.payment("t1", Decimal::from(210))).await.unwrap();
    assert_eq!(shop.tryton.sim.calls().get("model.res.user.warning.skip"), Some(&1));
}

#[tokio::test]
async fn what_is_missing_is_named_for_the_person_who_can_mend_it() {
    let shop = Shop::open().await;
    shop.tryton.sim.deny("Sale");
    let error = shop.refused(shop.spec("1").push().0).await;
    assert!(error.class == ErrorClass::Auth && error.message.contains("Sale"), "{error}");

    let shop = Shop::with(json!({ "charge_product": null })).await;
    let error = shop.refused(shop.spec("1").push().0).await;
    assert!(error.class == ErrorClass::Config && error.message.contains("charge_product"), "{error}");

    let mut shop = Shop::open().await;
    shop.hub.maps = serde_json::from_value(json!({ "tax": { "NO/25/included": "4711" } })).unwrap();
    let error = shop.refused(shop.spec("1").push().0).await;
    assert!(error.class == ErrorClass::Config && error.message.contains("Taxes"), "{error}");

    let shop = Shop::with(json!({ "database": "elsewhere" })).await;
    let error = shop.refused(shop.spec("1").push().0).await;
    assert_eq!(error.class, ErrorClass::Auth, "{error}");

    let shop = Shop::open().await;
    shop.tryton.sim.archive_product("SKU-0");
    let error = shop.refused(shop.spec("1").push().0).await;
    assert!(error.class == ErrorClass::Data && error.message.contains("SKU-0"), "{error}");

    let shop = Shop::with(json!({ "web_shop": 99 })).await;
    let error = shop.hub.connection.probe(&shop.hub.api).await.unwrap_err();
    assert!(error.class == ErrorClass::Config && error.message.contains("web_shop"), "{error}");
}

#[tokio::test]
async fn what_people_did_in_tryton_is_respected() {
    let shop = Shop::open().await;
    let spec = shop.push("1").await.unwrap();
    shop.tryton.sim.rewrite_notes("erp/1", "call before delivery");
    shop.hub.perform(None, spec.payment("t1", Decimal::from(210))).await.unwrap();
    // Without its note a line is not known to be a line of the shop.
    let error = shop.refused(spec.refund("r1", 1, false, "0").0).await;
    assert!(error.class == ErrorClass::MissingDependency && error.message.contains("is on no invoice"), "{error}");
    assert!(shop.tryton.sim.booked("erp/refund/r1").is_empty());

    let quoting = Shop::with(json!({ "confirm": false })).await;
    quoting.push("2").await.unwrap();
    assert!(quoting.tryton.sim.press("erp/2", "cancel"));
    let mut changed = quoting.spec("2");
    changed.lines = vec![("SKU-1", 1, "10.00", "0")];
    let error = quoting.refused(changed.push().0).await;
    assert!(error.class == ErrorClass::Data && error.message.contains("was cancelled in Tryton"), "{error}");
}

#[tokio::test]
async fn discounts_stand_below_the_title_and_notes_name_the_rows() {
    let shop = Shop::open().await;
    let spec = Spec::of("1", Currency::NOK, true, vec![("SKU-0", 3, "100.00", "13.00")], shop.tryton.now());
    shop.hub.perform(None, spec.push().0).await.unwrap();
    let sale = &shop.tryton.sim.sales("erp/1")[0];
    let (quantity, price, text, note) = &sale.lines[0];
    assert_eq!((quantity.to_string().as_str(), price.to_string().as_str()), ("3", "76.5333"));
    assert_eq!(text, "Thing SKU-0\nHOST: -13.00");
    assert!(note.starts_with("erp/1 line 1-0\nspindel 1 incl d:"), "{note}");
    assert_eq!((sale.reference.as_str(), sale.total), ("#1", Decimal::from(287)));
    let party = shop.tryton.sim.party("erp/C-1").unwrap();
    assert_eq!(party.addresses, [("Oslo".to_owned(), "Storgata 1\nOppgang B".to_owned())]);
}

#[tokio::test]
async fn prices_of_a_price_list_are_all_polled_again_when_it_changes() {
    let tryton = Simulated::start().await;
    let list = tryton.sim.add_price_list("1.25");
    let mut settings = tryton.settings();
    settings["price_list"] = json!(list);
    let hub = walk::hub(&tryton, settings);
    let prices = |changes: Vec<spindel_model::Change>| {
        let price = |it: spindel_model::Change| match it.record {
            Record::Price(it) if it.sku.starts_with("SKU") => Some((it.amount.to_string(), it.includes_tax)),
            _ => None,
        };
        changes.into_iter().filter_map(price).collect::<Vec<_>>()
    };
    let hour = jiff::SignedDuration::from_hours(1);
    let mut cursor = None;
    let first = prices(hub.poll(EntityKind::Price, &mut cursor).await);
    assert_eq!((first.len(), first[0].clone()), (4, ("125.00 NOK".to_owned(), true)));
    tryton.clock.advance(hour);
    tryton.sim.set_price("SKU-1", "200");
    // What changed within the overlap comes again, all of it.
    assert!(prices(hub.poll(EntityKind::Price, &mut cursor).await).contains(&("250.00 NOK".to_owned(), true)));
    assert_eq!(prices(hub.poll(EntityKind::Price, &mut cursor).await), [("250.00 NOK".to_owned(), true)]);
    tryton.clock.advance(hour);
    tryton.sim.set_price_list(list, "1.5");
    assert_eq!(prices(hub.poll(EntityKind::Price, &mut cursor).await).len(), 4);
    tryton.clock.advance(hour);
    assert!(
        prices(hub.poll(EntityKind::Price, &mut cursor).await).is_empty(),
        "a list that did not change is not gone through again"
    );
}

#[tokio::test]
async fn a_call_that_is_no_json_and_one_without_session_are_refused_as_tryton_does() {
    let tryton = Simulated::start().await;
    let url = format!("{}/hub/rpc/", tryton.sim.base_url());
    spindel_http::init();
    let client = reqwest::Client::new();
    assert_eq!(client.post(&url).body("{}").send().await.unwrap().status(), 400);
    let raw = Raw::of(&tryton.settings());
    let (status, body) = raw.rpc("model.sale.sale.search", json!([[], 0, 1, null, {}])).await;
    assert_eq!((status, body), (401, Value::Null));
    let answer =
        client.post(&url).header("content-type", "application/json").body("{\"id\":1,\"method\":\"x\",\"params\":[]}").send();
    assert_eq!(answer.await.unwrap().headers()["www-authenticate"], "Basic realm=\"Tryton\"");
}
