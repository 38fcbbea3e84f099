//! The simulated WooCommerce shop as the real connector meets it, and as plain HTTP does.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod hub;

use hub::{Hub, Receiver, now};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use spindel_connect::Effect;
use spindel_connector_woocommerce::Woocommerce;
use spindel_model::{Change, Clock, Decimal, EntityKind, ErrorClass, Order, Record, Topic};
use spindel_simulators::{
    fault::Fault,
    woocommerce::{Options, OrderSpec, WoocommerceSim},
};

fn settings(url: &str) -> Value {
    json!({
        "url": url, "consumer_key": "ck_simulated", "consumer_secret": "cs_simulated", "webhook_secret": "simulatedsecret",
        "currency": "NOK", "prices_include_tax": true,
    })
}

async fn shop(change: impl FnOnce(&mut Options)) -> (WoocommerceSim, Hub, Clock) {
    let clock = Clock::manual(now());
    let mut options = Options { clock: clock.clone(), ..Options::default() };
    change(&mut options);
    let sim = WoocommerceSim::start(options).await.unwrap();
    let mut hub = Hub::of::<Woocommerce>(settings(&sim.base_url()), &Clock::system());
    // Calls are signed with the machine's time, and all else happens when the test says.
    hub.clock = clock.clone();
    (sim, hub, clock)
}

/// The shop's clock must fit that of whoever signs calls.
async fn shop_now() -> (WoocommerceSim, Hub) {
    let sim = WoocommerceSim::start(Options::default()).await.unwrap();
    let hub = Hub::of::<Woocommerce>(settings(&sim.base_url()), &Clock::system());
    (sim, hub)
}

fn order(change: &Change) -> &Order {
    let Record::Order(order) = &change.record else { panic!("no order: {:?}", change.record) };
    order
}

fn amount(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// Over TLS the keys go as they are.
async fn plain(sim: &WoocommerceSim, method: Method, path: &str, body: Value) -> (StatusCode, Value, reqwest::header::HeaderMap) {
    use base64::Engine as _;
    let keys = base64::engine::general_purpose::STANDARD.encode("ck_simulated:cs_simulated");
    let url = format!("{}/wp-json/wc/v3{path}", sim.base_url());
    let request = reqwest::Client::new().request(method, url).header("authorization", format!("Basic {keys}"));
    let answer = if body.is_null() { request.send() } else { request.body(body.to_string()).send() }.await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default(), headers)
}

#[tokio::test]
async fn an_order_is_told_twice_read_once_and_adds_up() {
    let (sim, hub) = shop_now().await;
    let (receiver, url) = Receiver::start(&hub).await;
    sim.set_target(&url);
    assert_eq!(hub.connection.probe(&hub.api).await.unwrap(), "a WooCommerce shop in NOK");

    let spec = OrderSpec { coupon: Some(("host10".into(), 10)), ..OrderSpec::of(&[("SKU-01", 3), ("SKU-02", 1)]) };
    let placed = sim.place_order(&spec).unwrap();
    sim.flush().await;
    let told: Vec<_> = receiver.take().into_iter().filter(|it| it.topic.starts_with("order.")).collect();
    let topics: Vec<&str> = told.iter().map(|it| it.topic.as_str()).collect();
    assert_eq!(topics, ["order.created", "order.updated", "order.updated"]);
    assert!(told.iter().all(|it| it.body == told[0].body), "the same is said each time");
    assert_eq!(told[1].key, told[2].key, "the same delivery for whoever counts them");
    assert_ne!(told[0].key, told[1].key);
    let topics: Vec<Topic> = told.iter().map(|it| it.changes[0].topic).collect();
    assert_eq!(topics, [Topic::OrderCreated, Topic::OrderPaid, Topic::OrderPaid], "it was paid at once");

    let seen = order(&told[0].changes[0]).clone();
    assert_eq!((seen.id.as_str(), seen.number.as_str()), (placed.id.as_str(), placed.number.as_str()));
    assert!(seen.residue().unwrap().shop.amount.is_zero(), "{:?}", seen.totals);
    let view = sim.order(&placed.id).unwrap();
    // 3 × 99 + 149 = 446, less a tenth; freight 39.20 and its tax.
    assert_eq!((view.total, seen.totals.grand.shop.amount), (amount("450.40"), amount("450.40")));
    assert_eq!(seen.totals.discount.shop.amount, amount("44.60"));
    // Its `price` is a float, and its key would let anybody see the order.
    let raw = String::from_utf8(told[0].body.to_vec()).unwrap();
    assert!(raw.contains("\"price\":71.28") && raw.contains("wc_order_") && raw.contains("Bj\\u00f8rnson"), "{raw}");
    assert!(!serde_json::to_string(&seen).unwrap().contains("wc_order_"));
    assert_eq!(seen.billing_address.as_ref().unwrap().line1.as_deref(), Some("Bjørnstjerne Bjørnsons gate 1"));

    let Some(Record::Order(read)) = hub.read(EntityKind::Order, &placed.id).await else { panic!("no order") };
    assert_eq!((read.totals, &read.lines), (seen.totals, &seen.lines));
    assert_eq!(sim.stock("SKU-01"), Some(997));
    let forged = sim.forge(8).await;
    assert_eq!((forged.sent, forged.accepted), (8, 0));
}

#[tokio::test]
async fn a_webhook_is_pinged_believed_given_up_after_failures_and_switched_on_again() {
    let (sim, hub) = shop_now().await;
    let (receiver, url) = Receiver::start(&hub).await;
    let connection = &hub.connection;
    let made = connection.subscribe(&hub.api, "order.updated", &url).unwrap().await.unwrap();
    assert!(made.subscription.active && made.secret.is_none());
    assert_eq!(sim.webhooks()[0].pinged, Some(200), "the unsigned ping is answered with exactly 200");

    let placed = sim.place_order(&OrderSpec::of(&[("SKU-01", 1)])).unwrap();
    sim.flush().await;
    assert_eq!(receiver.take().len(), 2);
    receiver.answer(500);
    for round in 1..=4 {
        sim.complete_order(&placed.id).unwrap();
        sim.flush().await;
        let hook = &sim.webhooks()[0];
        let expected = if round < 4 { ("active", round * 2) } else { ("disabled", 6) };
        assert_eq!((hook.status.as_str(), hook.failures), expected);
    }
    let tried = sim.sent().len();
    receiver.answer(0);
    sim.complete_order(&placed.id).unwrap();
    sim.flush().await;
    assert_eq!((sim.sent().len(), receiver.take().len()), (tried, 0), "nothing is repeated, and nothing comes any more");

    let listed = connection.subscriptions(&hub.api).unwrap().await.unwrap();
    assert_eq!((listed.len(), listed[0].active, listed[0].address.as_str()), (1, false, url.as_str()));
    let again = connection.repair(&hub.api, &listed[0]).unwrap().await.unwrap();
    assert!(again.subscription.active && again.subscription.id == listed[0].id);
    sim.cancel_order(&placed.id).unwrap();
    sim.flush().await;
    let told = receiver.take();
    assert_eq!(told[0].changes[0].topic, Topic::OrderCancelled);
    // What was missed meanwhile is found by asking.
    let found = hub.poll(EntityKind::Order, &mut None).await;
    assert_eq!((found.len(), order(&found[0]).id.as_str()), (1, placed.id.as_str()));
}

#[tokio::test]
async fn a_walk_over_many_orders_finds_each_of_them_once_and_then_what_changed() {
    let (sim, hub) = shop_now().await;
    let placed: Vec<String> = (0..120).map(|_| sim.place_order(&OrderSpec::of(&[("SKU-01", 1)])).unwrap().id).collect();
    sim.place_order(&OrderSpec { draft: true, ..OrderSpec::of(&[("SKU-01", 1)]) }).unwrap();
    let trashed = sim.place_order(&OrderSpec::of(&[("SKU-02", 1)])).unwrap();
    sim.delete_order(&trashed.id).unwrap();
    let mut cursor = None;
    let found = hub.poll(EntityKind::Order, &mut cursor).await;
    let mut ids: Vec<String> = found.iter().map(|it| order(it).id.clone()).collect();
    ids.dedup();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), placed.len(), "drafts and what lies in the trash are none");
    let payments = hub.poll(EntityKind::Transaction, &mut None).await;
    assert!(payments.len() >= placed.len());
}

#[tokio::test]
async fn stock_and_prices_go_in_batches_and_one_bad_row_does_not_hold_up_the_others() {
    let (sim, hub) = shop_now().await;
    let stock = |sku: &str, available: &str| {
        json!({ "do": "set_stock", "expected": null,
            "stock": { "sku": sku, "location": "main", "available": available, "as_of": "2026-11-20T09:00:00Z" } })
    };
    let done = hub.perform_all(vec![stock("SKU-01", "7"), stock("NOWHERE", "1"), stock("SKU-02", "1000")]).await;
    assert!(!done[0].as_ref().unwrap().unchanged && done[2].as_ref().unwrap().unchanged);
    assert_eq!(done[1].as_ref().unwrap_err().class, ErrorClass::Data);
    assert_eq!(sim.stock("SKU-01"), Some(7));

    let price = |sku: &str, now: &str, before: Option<&str>| {
        let money = |it: &str| json!({ "amount": it, "currency": "NOK" });
        json!({ "do": "set_price", "price": { "sku": sku, "amount": money(now), "includes_tax": true,
            "compare_at": before.map(money), "as_of": "2026-11-20T09:00:00Z" } })
    };
    let done = hub.perform_all(vec![price("SKU-01", "79", Some("99")), price("SKU-03", "210.5", None)]).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(sim.price("SKU-01").as_deref(), Some("99.00"));
    assert_eq!(sim.price("SKU-03").as_deref(), Some("210.50"));
    let prices = hub.poll(EntityKind::Price, &mut None).await;
    let sale = prices.iter().find_map(|it| match &it.record {
        Record::Price(it) if it.sku == "SKU-01" => Some((it.amount.amount, it.compare_at.unwrap().amount)),
        _ => None,
    });
    assert_eq!(sale, Some((amount("79.00"), amount("99.00"))));
    sim.set_stock_by_hand("SKU-01", 3).unwrap();
    let levels = hub.poll(EntityKind::Stock, &mut None).await;
    assert!(levels.iter().any(|it| matches!(&it.record, Record::Stock(it) if it.available == Some(Decimal::from(3)))));
}

#[tokio::test]
async fn products_with_variations_and_customers_are_made_once_and_then_kept() {
    let (sim, hub) = shop_now().await;
    let variant = |sku: &str, size: &str| {
        let price = json!({ "amount": "500", "currency": "NOK" });
        json!({ "id": sku, "sku": sku, "options": [["Size", size]], "price": price })
    };
    let product = |variants: Value| {
        json!({ "do": "upsert_product", "product": { "id": "P2", "title": "Genser", "handle": "genser", "status": "active",
            "variants": variants, "updated_at": "2026-11-20T09:00:00Z" } })
    };
    let both = json!([variant("GENSER-M", "M"), variant("GENSER-XL", "XL")]);
    let made = hub.perform(None, product(both.clone())).await.unwrap().reference.unwrap().id;
    let again = hub.perform(None, product(both)).await.unwrap().reference.unwrap().id;
    assert_eq!((made.as_str(), sim.skus().len()), (again.as_str(), 14));
    let Some(Record::Product(read)) = hub.read(EntityKind::Product, &made).await else { panic!("no product") };
    assert_eq!(read.variants.len(), 2);
    let stock = json!({ "do": "set_stock", "expected": null,
        "stock": { "sku": "GENSER-M", "location": "main", "available": "4", "as_of": "2026-11-20T09:00:00Z" } });
    let variation = hub.perform(None, stock).await.unwrap().reference.unwrap().id;
    assert!(variation.starts_with(&format!("{made}/")), "{variation}");
    assert_eq!(sim.stock("GENSER-M"), Some(4));
    sim.place_order(&OrderSpec::of(&[("GENSER-M", 1)])).unwrap();
    assert_eq!(sim.stock("GENSER-M"), Some(3));

    let customer = |name: &str| {
        json!({ "do": "upsert_customer", "customer": { "id": "C1", "email": "Ola@example.no", "first_name": name,
            "default_address": { "line1": "Fjellveien 3", "city": "Bergen", "postal_code": "5003", "country": "NO" } } })
    };
    let first = hub.perform(None, customer("Ola")).await.unwrap().reference.unwrap().id;
    let second = hub.perform(None, customer("Ole")).await.unwrap().reference.unwrap().id;
    assert_eq!((first.as_str(), sim.customers()), (second.as_str(), vec![("ola@example.no".to_owned(), second.clone())]));
    let kept: Vec<String> = hub.journal.take().into_iter().map(|it| it.path).collect();
    assert!(kept.iter().any(|it| it.contains("/customers?email=…&")), "{kept:?}");
    assert!(kept.iter().all(|it| !it.contains("example.no")), "{kept:?}");
}

#[tokio::test]
async fn an_order_is_paid_sent_and_given_back_once() {
    let (sim, hub) = shop_now().await;
    let placed = sim.place_order(&OrderSpec { paid: false, ..OrderSpec::of(&[("SKU-01", 2)]) }).unwrap();
    let total = sim.order(&placed.id).unwrap().total;
    let payment = json!({ "do": "record_payment", "order": { "number": placed.number }, "transaction": {
        "id": "t1", "gateway": "vipps", "kind": "capture", "status": "success", "reference": "psp-1",
        "amount": { "amount": total.to_string(), "currency": "NOK" }, "processed_at": "2026-11-20T09:00:00Z" } });
    hub.perform(None, payment.clone()).await.unwrap();
    assert!(hub.perform(None, payment).await.unwrap().unchanged);
    let view = sim.order(&placed.id).unwrap();
    assert_eq!((view.status.as_str(), view.transaction_id.as_deref()), ("processing", Some("psp-1")));

    let parcel = json!({ "do": "create_fulfilment", "notify_customer": true, "shipment": {
        "id": "WH/OUT/7", "order": { "number": placed.number }, "state": "shipped", "carrier": "Bring", "lines": [],
        "tracking": [{ "number": "370438" }], "updated_at": "2026-11-20T09:00:00Z" } });
    sim.faults().next(Fault::Error(503), 1);
    assert_eq!(hub.perform(None, parcel.clone()).await.unwrap_err().class, ErrorClass::Transient);
    assert_eq!(hub.look_up(None, parcel.clone()).await.unwrap(), None);
    hub.perform(None, parcel.clone()).await.unwrap();
    assert!(hub.look_up(None, parcel).await.unwrap().is_some());
    let view = sim.order(&placed.id).unwrap();
    assert_eq!((view.status.as_str(), view.told.len()), ("completed", 1));
    assert!(view.told[0].contains("370438"));

    let refund = |id: &str, gross: &str, tax: &str| {
        let money = |it: &str| json!({ "amount": it, "currency": "NOK" });
        let bag = |it: &str| json!({ "shop": money(it), "presentment": money(it) });
        json!({ "do": "refund", "refund": { "id": id, "order": { "number": placed.number }, "created_at": "2026-11-20T09:00:00Z",
            "transactions": [], "total": bag(gross), "lines": [{ "line_id": "1", "sku": "SKU-01", "quantity": "1",
                "subtotal": bag(gross), "tax": bag(tax), "restock": "return" }] } })
    };
    sim.refuse_refunds(Some("Card 4242 was refused"));
    let refused = hub.perform(None, refund("R1", "99.00", "19.80")).await.unwrap_err();
    assert_eq!((refused.class, refused.effect), (ErrorClass::Data, Effect::Unknown));
    assert!(!refused.message.contains("4242"));
    sim.refuse_refunds(None);
    // It was carried out, and nobody said so.
    sim.faults().next(Fault::Slow(std::time::Duration::ZERO), 1);
    sim.faults().next(Fault::CutAfter, 1);
    let lost = hub.perform(None, refund("R1", "99.00", "19.80")).await.unwrap_err();
    assert_eq!(lost.effect, Effect::Unknown, "{lost}");
    assert!(hub.look_up(None, refund("R1", "99.00", "19.80")).await.unwrap().is_some());
    assert!(hub.perform(None, refund("R1", "99.00", "19.80")).await.unwrap().unchanged);
    let view = sim.order(&placed.id).unwrap();
    assert_eq!((view.refunded, sim.stock("SKU-01")), (amount("99.00"), Some(999)));
    let refunds = hub.poll(EntityKind::Refund, &mut None).await;
    let Record::Refund(told) = &refunds[0].record else { panic!("no refund") };
    assert_eq!((told.total.shop.amount, told.lines[0].subtotal.shop.amount), (amount("99.00"), amount("99.00")));
    let too_much = hub.perform(None, refund("R2", "499.00", "99.80")).await.unwrap_err();
    assert_eq!((too_much.class, too_much.effect), (ErrorClass::Data, Effect::None));
}

#[tokio::test]
async fn a_refund_by_hand_and_a_cancellation_come_as_changes_of_the_order() {
    let (sim, hub) = shop_now().await;
    let (receiver, url) = Receiver::start(&hub).await;
    sim.set_target(&url);
    let kept = sim.place_order(&OrderSpec::of(&[("SKU-02", 2)])).unwrap();
    let gone = sim.place_order(&OrderSpec::of(&[("SKU-03", 2)])).unwrap();
    sim.flush().await;
    receiver.take();
    sim.refund_item(&kept.id, "SKU-02", 1).unwrap();
    sim.cancel_order(&gone.id).unwrap();
    sim.flush().await;
    let told = receiver.take();
    let of = |id: &str| told.iter().flat_map(|it| &it.changes).find(|it| it.entity.id == id).unwrap();
    assert_eq!(order(of(&kept.id)).totals.refunded.shop.amount, amount("149.00"));
    assert_eq!(of(&gone.id).topic, Topic::OrderCancelled);
    assert_eq!((sim.stock("SKU-02"), sim.stock("SKU-03")), (Some(999), Some(1_000)));
    let raw = sim.order(&kept.id).unwrap().json;
    assert_eq!(raw["refunds"][0]["total"], "-149.00");
    // By hand and by number, from the other side.
    let order =
        json!({ "do": "cancel_order", "order": { "number": gone.number }, "at": "2026-11-20T09:00:00Z", "restock": true });
    assert!(hub.perform(None, order).await.unwrap().unchanged);
}

#[tokio::test]
async fn keys_signatures_and_rights_are_checked() {
    let (sim, hub) = shop_now().await;
    let (status, body, _) = plain(&sim, Method::GET, "/orders", Value::Null).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNAUTHORIZED, &json!("woocommerce_rest_cannot_view")), "no TLS");
    let mut wrong = settings(&sim.base_url());
    wrong["consumer_secret"] = "cs_other".into();
    let other = Hub::of::<Woocommerce>(wrong, &Clock::system());
    assert_eq!(other.connection.probe(&other.api).await.unwrap_err().class, ErrorClass::Auth);
    let late = Clock::manual(now());
    let behind = WoocommerceSim::start(Options { clock: late, ..Options::default() }).await.unwrap();
    let skewed = Hub::of::<Woocommerce>(settings(&behind.base_url()), &Clock::system());
    let skew = skewed.clock.now().duration_since(now()).abs();
    if skew > SignedDuration::from_mins(16) {
        assert_eq!(skewed.connection.probe(&skewed.api).await.unwrap_err().class, ErrorClass::Auth);
    }
    let reader = WoocommerceSim::start(Options { read_only: true, ..Options::default() }).await.unwrap();
    let reading = Hub::of::<Woocommerce>(settings(&reader.base_url()), &Clock::system());
    assert!(reading.connection.probe(&reading.api).await.is_ok());
    let customer = json!({ "do": "upsert_customer", "customer": { "id": "C1", "email": "ola@example.no" } });
    assert_eq!(reading.perform(None, customer).await.unwrap_err().class, ErrorClass::Auth);
    let mut plain_permalinks = settings(&sim.base_url());
    plain_permalinks["plain_permalinks"] = true.into();
    let unpretty = Hub::of::<Woocommerce>(plain_permalinks, &Clock::system());
    assert_eq!(unpretty.connection.probe(&unpretty.api).await.unwrap(), "a WooCommerce shop in NOK");
    drop(hub);
}

#[tokio::test]
async fn pages_batches_and_refusals_are_those_of_the_vendor() {
    let (sim, ..) = shop(|it| it.tls = true).await;
    for _ in 0..25 {
        sim.place_order(&OrderSpec::of(&[("SKU-01", 1)])).unwrap();
    }
    let (status, body, headers) = plain(&sim, Method::GET, "/orders?per_page=10&page=2&order=asc", Value::Null).await;
    assert_eq!((status, body.as_array().unwrap().len()), (StatusCode::OK, 10));
    assert_eq!((&headers["x-wp-total"], &headers["x-wp-totalpages"]), (&"25".parse().unwrap(), &"3".parse().unwrap()));
    let link = headers["link"].to_str().unwrap();
    assert!(link.contains("page=1>; rel=\"prev\"") && link.contains("page=3>; rel=\"next\""), "{link}");
    let code = |body: &Value| body["code"].as_str().unwrap_or_default().to_owned();
    let (status, body, _) = plain(&sim, Method::GET, "/orders?per_page=101", Value::Null).await;
    assert_eq!(
        (status.as_u16(), code(&body), &body["data"]["params"]["per_page"].is_string()),
        (400, "rest_invalid_param".into(), &true)
    );
    let (status, body, _) = plain(&sim, Method::GET, "/orders/1", Value::Null).await;
    assert_eq!((status.as_u16(), code(&body)), (404, "woocommerce_rest_shop_order_invalid_id".into()));
    let (status, body, _) = plain(&sim, Method::GET, "/nothing", Value::Null).await;
    assert_eq!((status.as_u16(), code(&body)), (404, "rest_no_route".into()));
    let rows: Vec<Value> = (0..101).map(|id| json!({ "id": id, "stock_quantity": 1 })).collect();
    let (status, body, _) = plain(&sim, Method::POST, "/products/batch", json!({ "update": rows })).await;
    assert_eq!((status.as_u16(), code(&body)), (413, "woocommerce_rest_request_entity_too_large".into()));
    let (status, body, _) = plain(&sim, Method::POST, "/products", json!({ "name": "A", "sku": "SKU-01" })).await;
    assert_eq!((status.as_u16(), code(&body)), (400, "product_invalid_sku".into()));
    let (status, body, _) = plain(&sim, Method::POST, "/products", json!({ "name": "A", "regular_price": 10 })).await;
    assert_eq!(
        (status.as_u16(), &body["data"]["params"]["regular_price"]),
        (400, &json!("regular_price is not of type string."))
    );
    let (status, body, _) = plain(&sim, Method::POST, "/customers", json!({ "first_name": "A" })).await;
    assert_eq!((status.as_u16(), code(&body)), (400, "rest_missing_callback_param".into()));
    let (status, body, _) = plain(&sim, Method::GET, "/products?sku=SKU-01,SKU-02&_fields=id,sku", Value::Null).await;
    assert_eq!((status.as_u16(), body.as_array().unwrap().len(), body[0].as_object().unwrap().len()), (200, 2, 2));
}
