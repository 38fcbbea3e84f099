//! The simulated Magento shop as the real connector meets it, and as plain HTTP does.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod hub;

use hub::{Hub, Receiver, now};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use spindel_connector_magento::Magento;
use spindel_model::{Change, Clock, Decimal, EntityKind, ErrorClass, Order, Record, Topic};
use spindel_simulators::{
    fault::Fault,
    magento::{MagentoSim, Options, OrderSpec, PUBLIC_KEY, Payment, Push},
};

fn settings(url: &str) -> Value {
    json!({
        "url": url, "consumer_key": "consumerkey01", "consumer_secret": "consumersecret01", "access_token": "accesstoken01",
        "access_token_secret": "tokensecret01", "currency": "NOK", "time_zone": "Europe/Oslo",
    })
}

async fn shop_with(change: impl FnOnce(&mut Options), more: Value) -> (MagentoSim, Hub, Clock) {
    let clock = Clock::manual(now());
    let mut options = Options { clock: clock.clone(), ..Options::default() };
    change(&mut options);
    let sim = MagentoSim::start(options).await.unwrap();
    let mut settings = settings(&sim.base_url());
    for (key, value) in more.as_object().unwrap() {
        settings[key] = value.clone();
    }
    let hub = Hub::of::<Magento>(settings, &clock);
    (sim, hub, clock)
}

async fn shop() -> (MagentoSim, Hub, Clock) {
    shop_with(|_| {}, json!({})).await
}

fn amount(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn order(change: &Change) -> &Order {
    let Record::Order(order) = &change.record else { panic!("no order: {:?}", change.record) };
    order
}

/// With a token of an admin, so that a test can ask what it likes.
async fn plain(sim: &MagentoSim, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let http = reqwest::Client::new();
    let login = json!({ "username": "spindel", "password": "admin-password" }).to_string();
    let login = http.post(format!("{}/rest/all/V1/integration/admin/token", sim.base_url())).body(login);
    let token: Value = serde_json::from_str(&login.send().await.unwrap().text().await.unwrap()).unwrap();
    let request = http.request(method, format!("{}/rest{path}", sim.base_url())).bearer_auth(token.as_str().unwrap());
    let answer = if body.is_null() { request.send() } else { request.body(body.to_string()).send() }.await.unwrap();
    let status = answer.status();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

#[tokio::test]
async fn orders_of_all_kinds_are_polled_once_and_add_up_in_both_currencies() {
    let euro = |options: &mut Options| options.order_currency = Some(("EUR".into(), amount("0.0861")));
    for (currencies, included) in [(false, true), (false, false), (true, true)] {
        let change = |options: &mut Options| {
            options.prices_include_tax = included;
            if currencies {
                euro(options);
            }
        };
        let (sim, hub, clock) = shop_with(change, json!({ "prices_include_tax": included })).await;
        let probe = hub.connection.probe(&hub.api).await.unwrap();
        assert_eq!(probe, "base currency NOK; store views: default (nb_NO), en (en_GB)");
        let mut cursor = None;
        assert!(hub.poll(EntityKind::Order, &mut cursor).await.is_empty());

        let mixed = [("SKU-01", 3), ("TEE-M", 2), ("SET", 1), ("BOX", 1)];
        let spec = OrderSpec { discount_percent: 10, coupon: Some("HOST10".into()), ..OrderSpec::of(&mixed) };
        let placed = sim.place_order(&spec).unwrap();
        let changes = hub.poll(EntityKind::Order, &mut cursor).await;
        let topics: Vec<Topic> = changes.iter().map(|it| it.topic).collect();
        assert_eq!(topics, [Topic::OrderCreated, Topic::OrderPaid]);
        let seen = order(&changes[0]);
        let skus: Vec<&str> = seen.lines.iter().filter_map(|it| it.sku.as_deref()).collect();
        assert_eq!(skus, ["SKU-01", "TEE-M", "SKU-01", "SKU-02", "BOX"], "every row once");
        assert_eq!(seen.totals.grand.shop.amount, sim.order(&placed.id).unwrap().total);
        let rest = seen.residue().unwrap();
        assert!(rest.shop.is_zero() && rest.presentment.is_zero());
        assert!(seen.totals.rounding.shop.is_zero(), "{:?}", seen.totals);
        assert!(seen.totals.rounding.presentment.amount.abs() <= amount("0.07"), "{:?}", seen.totals);

        clock.advance(SignedDuration::from_mins(10));
        let again = hub.poll(EntityKind::Order, &mut cursor).await;
        assert_eq!(again, changes, "what lies in the overlap is told with the same words");
        sim.place_order(&OrderSpec::of(&[("SKU-02", 1)])).unwrap();
        assert_eq!(hub.poll(EntityKind::Order, &mut cursor).await.len(), 4);
        clock.advance(SignedDuration::from_mins(10));
        assert_eq!(hub.poll(EntityKind::Order, &mut cursor).await.len(), 2, "the first is out of sight");
    }
}

#[tokio::test]
async fn a_long_list_is_walked_by_id_and_pages_beyond_the_last_repeat_it() {
    let (sim, hub, _) = shop().await;
    for _ in 0..230 {
        sim.place_order(&OrderSpec { payment: Payment::Offline, ..OrderSpec::of(&[("SKU-01", 1)]) }).unwrap();
    }
    let changes = hub.poll(EntityKind::Order, &mut None).await;
    let mut ids: Vec<&str> = changes.iter().map(|it| it.entity.id.as_str()).collect();
    ids.dedup();
    assert_eq!((changes.len(), ids.len()), (230, 230), "new ones that nobody paid are told once");

    let page = "/all/V1/orders?searchCriteria[pageSize]=100&searchCriteria[currentPage]=";
    let (_, third) = plain(&sim, Method::GET, &format!("{page}3"), Value::Null).await;
    let (_, ninth) = plain(&sim, Method::GET, &format!("{page}9"), Value::Null).await;
    assert_eq!((third["items"].as_array().unwrap().len(), &third["total_count"]), (30, &json!(230)));
    assert_eq!(third["items"], ninth["items"]);
    let (status, refused) = plain(&sim, Method::GET, "/all/V1/orders?searchCriteria[pageSize]=301", Value::Null).await;
    assert_eq!((status, &refused["parameters"]["max"]), (StatusCode::BAD_REQUEST, &json!("300")));
    let either = "/all/V1/orders?searchCriteria[filter_groups][0][filters][0][field]=increment_id&searchCriteria[filter_groups][0]\
        [filters][0][value]=000000007&searchCriteria[filter_groups][0][filters][1][field]=increment_id&searchCriteria[filter_groups]\
        [0][filters][1][value]=000000009&fields=items[increment_id]";
    let (_, found) = plain(&sim, Method::GET, either, Value::Null).await;
    assert_eq!(found, json!({ "items": [{ "increment_id": "000000007" }, { "increment_id": "000000009" }] }));
}

fn shipment(id: &str, order: &str, lines: Value) -> Value {
    json!({ "do": "create_fulfilment", "notify_customer": true, "shipment": {
        "id": id, "order": { "number": order }, "state": "shipped", "carrier": "Bring", "tracking": [{ "number": format!("370-{id}") }],
        "lines": lines, "location": "oslo", "shipped_at": "2026-11-20T09:00:00Z", "updated_at": "2026-11-20T09:00:00Z" } })
}

#[tokio::test]
async fn a_parcel_is_sent_once_however_often_it_is_tried() {
    let (sim, hub, clock) = shop().await;
    let placed = sim.place_order(&OrderSpec::of(&[("TEE-M", 3), ("SET", 1)])).unwrap();
    let part = shipment("P1", &placed.number, json!([{ "sku": "TEE-M", "quantity": "2" }]));
    let mut cursor = None;
    hub.poll(EntityKind::Shipment, &mut cursor).await;
    // The answer is lost after the shop has looked for it and the order twice.
    sim.faults().next(Fault::Slow(std::time::Duration::ZERO), 2);
    sim.faults().next(Fault::CutAfter, 1);
    let lost = hub.perform(None, part.clone()).await.unwrap_err();
    assert_eq!(lost.effect, spindel_connect::Effect::Unknown);
    assert!(hub.look_up(None, part.clone()).await.unwrap().is_some());
    let again = hub.perform(None, part).await.unwrap();
    assert!(again.unchanged);
    assert_eq!((sim.shipments(&placed.id).len(), sim.stock("TEE-M", "oslo")), (1, Some(amount("998"))));
    assert_eq!(sim.tracks(&placed.id), ["370-P1"]);
    assert_eq!(sim.order(&placed.id).unwrap().state, "processing");

    let told = hub.poll(EntityKind::Shipment, &mut cursor).await;
    let Record::Shipment(seen) = &told[0].record else { panic!("no shipment") };
    assert_eq!((told[0].topic, seen.order.number.as_deref()), (Topic::ShipmentCreated, Some(placed.number.as_str())));
    assert_eq!((seen.lines[0].sku.as_deref(), seen.lines[0].quantity), (Some("TEE-M"), Decimal::TWO));

    // All that is left: one tee, and the bundle as a whole.
    clock.advance(SignedDuration::from_mins(1));
    hub.perform(Some(&placed.id), shipment("P2", &placed.number, json!([]))).await.unwrap();
    assert_eq!(sim.order(&placed.id).unwrap().state, "complete");
    assert_eq!((sim.stock("TEE-M", "oslo"), sim.stock("SKU-01", "oslo")), (Some(amount("997")), Some(amount("998"))));
    let none = hub.perform(Some(&placed.id), shipment("P3", &placed.number, json!([]))).await.unwrap_err();
    assert_eq!(none.message, format!("nothing of order {} is left to be sent", placed.number));
    let Some(Record::Shipment(whole)) =
        hub.read(EntityKind::Shipment, sim.shipments(&placed.id)[1]["entity_id"].to_string().as_str()).await
    else {
        panic!("no shipment")
    };
    let skus: Vec<&str> = whole.lines.iter().filter_map(|it| it.sku.as_deref()).collect();
    assert_eq!(skus, ["TEE-M", "SKU-01", "SKU-02"], "the bundle is told by its parts");
}

#[tokio::test]
async fn parts_of_bundles_are_sent_apart_where_the_shop_does_so() {
    let (sim, hub, _) = shop_with(|it| it.bundles_apart = true, json!({ "bundles_ship_separately": true })).await;
    for (bundle, part, rest) in [("SET", "SKU-01", "SKU-02"), ("BOX", "SKU-01", "SKU-03")] {
        let placed = sim.place_order(&OrderSpec::of(&[(bundle, 1)])).unwrap();
        hub.perform(None, shipment(bundle, &placed.number, json!([]))).await.unwrap();
        assert_eq!(sim.order(&placed.id).unwrap().state, "complete", "{bundle}");
        assert_eq!(sim.stock(rest, "oslo"), Some(amount("999")), "{part}");
    }
}

#[tokio::test]
async fn where_a_parcel_is_stands_in_the_history_once() {
    let (sim, hub, _) = shop().await;
    let placed = sim.place_order(&OrderSpec::of(&[("SKU-01", 1)])).unwrap();
    let tracking = |state: &str, number: &str| {
        let mut action = shipment("P1", &placed.number, json!([]));
        action["do"] = "record_tracking".into();
        action["shipment"]["state"] = state.into();
        action["shipment"]["tracking"] = json!([{ "number": number }]);
        action
    };
    let early = hub.perform(None, tracking("in_transit", "370-1")).await.unwrap_err();
    assert_eq!(early.class, ErrorClass::MissingDependency);
    hub.perform(None, shipment("P1", &placed.number, json!([]))).await.unwrap();
    for unchanged in [false, true] {
        assert_eq!(hub.perform(None, tracking("in_transit", "370-1")).await.unwrap().unchanged, unchanged);
    }
    hub.perform(None, tracking("delivered", "370-1")).await.unwrap();
    assert_eq!(sim.tracks(&placed.id), ["370-P1", "370-1"]);
    let remarks = sim.order(&placed.id).unwrap().remarks;
    assert!(remarks.len() == 2 && remarks[1].starts_with("Bring 370-1: delivered (ref "), "{remarks:?}");
}

fn refund(id: &str, verb: &str, order: &Order, total: &str, lines: Value, shipping: Option<&str>) -> Value {
    let bag = |text: &str| {
        let money = json!({ "amount": text, "currency": "NOK" });
        json!({ "shop": money, "presentment": money })
    };
    json!({ "do": verb, "refund": {
        "id": id, "order": { "number": order.number }, "created_at": "2026-11-20T09:00:00Z", "note": "for stor", "lines": lines,
        "shipping": shipping.map(bag), "total": bag(total) } })
}

fn line(order: &Order, sku: &str, quantity: &str) -> Value {
    let it = order.lines.iter().find(|it| it.sku.as_deref() == Some(sku)).unwrap();
    let money = json!({ "amount": "0.00", "currency": "NOK" });
    let bag = json!({ "shop": money, "presentment": money });
    json!({ "line_id": it.id, "sku": sku, "quantity": quantity, "subtotal": bag, "tax": bag, "restock": "return" })
}

#[tokio::test]
async fn refunds_are_booked_to_the_penny_and_once() {
    let (sim, hub, _) = shop().await;
    let mut cursor = None;
    hub.poll(EntityKind::Refund, &mut cursor).await;
    let placed = sim.place_order(&OrderSpec { discount_percent: 10, ..OrderSpec::of(&[("TEE-M", 3), ("SET", 1)]) }).unwrap();
    let Some(Record::Order(seen)) = hub.read(EntityKind::Order, &placed.id).await else { panic!("no order") };
    for (id, verb, total, lines, shipping) in [
        ("r1", "refund", "228.00", json!([line(&seen, "TEE-M", "1")]), Some("49.00")),
        ("r2", "record_refund", "20.00", json!([]), None),
        ("r3", "record_refund", "150.00", json!([line(&seen, "TEE-M", "1")]), None),
    ] {
        let action = refund(id, verb, &seen, total, lines, shipping);
        assert!(hub.look_up(None, action.clone()).await.unwrap().is_none());
        assert!(!hub.perform(None, action.clone()).await.unwrap().unchanged, "{id}");
        assert!(hub.look_up(None, action.clone()).await.unwrap().is_some());
        assert!(hub.perform(None, action).await.unwrap().unchanged, "{id}");
        let booked = sim.credit_memos(&placed.id).last().unwrap()["base_grand_total"].to_string();
        assert_eq!(amount(&booked), amount(total), "{id}");
    }
    assert_eq!((sim.credit_memos(&placed.id).len(), sim.order(&placed.id).unwrap().refunded), (3, amount("398.00")));
    assert_eq!(sim.stock("TEE-M", "default"), Some(amount("1002")));
    let told = hub.poll(EntityKind::Refund, &mut cursor).await;
    let sums: Vec<(String, bool)> = told
        .iter()
        .map(|it| {
            let Record::Refund(it) = &it.record else { panic!("no refund") };
            let lines: Decimal = it.lines.iter().map(|it| it.subtotal.shop.amount).sum();
            let rest: Decimal = it.adjustments.iter().map(|it| it.amount.shop.amount).sum();
            let freight = it.shipping.map(|it| it.shop.amount).unwrap_or_default();
            assert_eq!(lines + rest + freight, it.total.shop.amount);
            (it.total.shop.amount.to_string(), it.outstanding().unwrap().is_zero())
        })
        .collect();
    assert_eq!(sums, [("228.00".into(), true), ("20.00".into(), false), ("150.00".into(), false)]);

    let much = refund("r4", "record_refund", &seen, "9999.00", json!([]), None);
    let error = hub.perform(None, much).await.unwrap_err();
    assert!(error.class == ErrorClass::Data && error.message.contains("The most money available"), "{error}");
    sim.refuse_refunds(Some("declined"));
    let error = hub.perform(None, refund("r5", "refund", &seen, "10.00", json!([]), None)).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Data);
    let offline = sim.place_order(&OrderSpec { payment: Payment::Offline, ..OrderSpec::of(&[("SKU-01", 1)]) }).unwrap();
    sim.invoice_order(&offline.id).unwrap();
    let Some(Record::Order(offline)) = hub.read(EntityKind::Order, &offline.id).await else { panic!("no order") };
    let error = hub.perform(None, refund("r6", "refund", &offline, "10.00", json!([]), None)).await.unwrap_err();
    assert!(error.message.contains("was not paid through a payment method"), "{error}");
}

#[tokio::test]
async fn payments_are_taken_and_booked_by_invoices() {
    let (sim, hub, _) = shop().await;
    let held = sim.place_order(&OrderSpec { payment: Payment::Authorized, ..OrderSpec::of(&[("SKU-01", 2)]) }).unwrap();
    let capture =
        json!({ "do": "capture_payment", "order": { "number": held.number }, "payment": null, "amount": null, "shipment": null });
    assert!(hub.look_up(None, capture.clone()).await.unwrap().is_none());
    hub.perform(None, capture.clone()).await.unwrap();
    assert!(hub.perform(None, capture.clone()).await.unwrap().unchanged && hub.look_up(None, capture).await.unwrap().is_some());
    assert_eq!(sim.order(&held.id).unwrap().paid, amount("247"));
    assert!(sim.invoices(&held.id)[0]["transaction_id"].is_string());

    let open = sim.place_order(&OrderSpec { payment: Payment::Offline, ..OrderSpec::of(&[("SKU-01", 2)]) }).unwrap();
    let came = |text: &str| {
        json!({ "do": "record_payment", "order": { "number": open.number }, "transaction": { "id": "b1", "gateway": "bank", "kind": "sale",
            "status": "success", "amount": { "amount": text, "currency": "NOK" }, "processed_at": "2026-11-20T09:00:00Z" } })
    };
    assert_eq!(hub.perform(None, came("100.00")).await.unwrap_err().class, ErrorClass::Data);
    hub.perform(None, came("247.00")).await.unwrap();
    assert!(hub.perform(None, came("247.00")).await.unwrap().unchanged);
    assert!(sim.invoices(&open.id)[0]["transaction_id"].is_null());

    let cancel = |number: &str| json!({ "do": "cancel_order", "order": { "number": number }, "reason": null, "at": "2026-11-20T09:00:00Z", "restock": true });
    let error = hub.perform(None, cancel(&open.number)).await.unwrap_err();
    assert!(error.message.contains("cannot be cancelled"), "{error}");
    let fresh = sim.place_order(&OrderSpec { payment: Payment::Authorized, ..OrderSpec::of(&[("SKU-01", 1)]) }).unwrap();
    for unchanged in [false, true] {
        assert_eq!(hub.perform(None, cancel(&fresh.number)).await.unwrap().unchanged, unchanged);
    }
    assert_eq!(sim.order(&fresh.id).unwrap().state, "canceled");
}

fn set_stock(sku: &str, quantity: &str) -> Value {
    json!({ "do": "set_stock", "expected": null, "stock": {
        "sku": sku, "location": "default", "available": quantity, "as_of": "2026-11-20T09:00:00Z" } })
}

#[tokio::test]
async fn stock_is_set_many_at_a_time_and_never_for_a_sku_that_no_product_has() {
    let (sim, hub, _) = shop_with(|it| it.products = 30, json!({})).await;
    let mut actions: Vec<Value> = (1..=28).map(|it| set_stock(&format!("SKU-{it:02}"), "7")).collect();
    actions.push(set_stock("SKU-29", "1000"));
    actions.push(set_stock("GHOST", "5"));
    let outcomes = hub.perform_all(actions).await;
    assert!(outcomes[..28].iter().all(|it| it.as_ref().is_ok_and(|it| !it.unchanged)));
    assert!(outcomes[28].as_ref().unwrap().unchanged);
    assert_eq!(outcomes[29].as_ref().unwrap_err().message, "the shop has no product with SKU `GHOST`");
    assert_eq!((sim.stock("SKU-28", "default"), sim.stock("SKU-28", "oslo")), (Some(amount("7")), Some(amount("1000"))));
    assert_eq!(sim.stock("GHOST", "default"), None);
    let writes = sim.calls().iter().filter(|it| *it == "POST V1/inventory/source-items").count();
    assert_eq!(writes, 2, "a shop with input limits takes twenty rows");

    sim.set_stock_by_hand("SKU-01", "default", 7, false);
    hub.perform(None, set_stock("SKU-01", "9")).await.unwrap();
    hub.perform(None, set_stock("SKU-02", "-3")).await.unwrap();
    assert_eq!((sim.is_in_stock("SKU-01", "default"), sim.is_in_stock("SKU-02", "default")), (Some(false), Some(false)));
    assert_eq!(sim.stock("SKU-02", "default"), Some(Decimal::ZERO));
    let Some(Record::Stock(level)) = hub.read(EntityKind::Stock, "SKU-01@default").await else { panic!("no stock") };
    assert_eq!((level.on_hand, level.location.as_str()), (Some(amount("9")), "default"));
}

#[tokio::test]
async fn the_bulk_api_takes_all_at_once_and_works_through_it_later() {
    let bulk = json!({ "stock": "bulk", "prices": "bulk" });
    let (sim, hub, _) = shop_with(|it| (it.products, it.consumer_runs) = (30, false), bulk.clone()).await;
    let actions: Vec<Value> = (1..=28).map(|it| set_stock(&format!("SKU-{it:02}"), "7")).collect();
    assert!(hub.perform_all(actions).await.iter().all(Result::is_ok));
    assert_eq!(sim.stock("SKU-28", "default"), Some(amount("1000")), "it is only queued");
    sim.run_consumer();
    assert_eq!(sim.stock("SKU-28", "default"), Some(amount("7")));
    let writes = sim.calls().iter().filter(|it| *it == "POST async/bulk/V1/inventory/source-items").count();
    assert_eq!(writes, 1);

    // A consumer that runs at once knows at once what went wrong.
    let (sim, mut hub, _) = shop_with(|_| {}, bulk).await;
    hub.maps = serde_json::from_value(json!({ "location": { "default": "nowhere" } })).unwrap();
    let error = hub.perform(None, set_stock("SKU-01", "5")).await.unwrap_err();
    assert!(error.class == ErrorClass::Data && error.message.contains("\"nowhere\" does not exist"), "{error}");
    hub.perform(None, set_price("SKU-01", "79.50", None)).await.unwrap();
    assert_eq!(sim.price("SKU-01"), Some(amount("79.5")));
}

fn set_price(sku: &str, text: &str, before: Option<&str>) -> Value {
    let mut price = json!({ "sku": sku, "amount": { "amount": text, "currency": "NOK" }, "includes_tax": true, "as_of": "2026-11-20T09:00:00Z" });
    if let Some(before) = before {
        price["compare_at"] = json!({ "amount": before, "currency": "NOK" });
    }
    json!({ "do": "set_price", "price": price })
}

#[tokio::test]
async fn a_sale_has_its_days_in_the_shops_own_time_and_ends() {
    let (sim, hub, _) = shop().await;
    let mut sale = set_price("SKU-01", "79.00", Some("99.00"));
    sale["price"]["sale_from"] = "2026-11-20T23:00:00Z".into();
    sale["price"]["sale_until"] = "2026-11-30T22:59:59Z".into();
    for unchanged in [false, true] {
        assert_eq!(hub.perform(None, sale.clone()).await.unwrap().unchanged, unchanged);
    }
    let days = (Some("2026-11-21 00:00:00".to_owned()), Some("2026-11-30 23:59:59".to_owned()));
    assert_eq!(sim.special_price("SKU-01"), Some((amount("79"), days.0, days.1)));
    // The same sale without end: days that are left out would stay.
    hub.perform(None, set_price("SKU-01", "79.00", Some("99.00"))).await.unwrap();
    assert_eq!(sim.special_price("SKU-01"), Some((amount("79"), None, None)));
    hub.perform(None, set_price("SKU-01", "109.00", None)).await.unwrap();
    assert_eq!((sim.price("SKU-01"), sim.special_price("SKU-01")), (Some(amount("109")), None));

    let mixed = vec![set_price("SKU-02", "1.00", None), set_price("GHOST", "1.00", None), set_price("TEE", "1.00", None)];
    let outcomes = hub.perform_all(mixed).await;
    assert!(outcomes[0].is_ok() && outcomes[1..].iter().all(|it| it.as_ref().is_err_and(|it| it.class == ErrorClass::Data)));
}

fn product(id: &str, sku: &str, title: &str, variants: Value) -> Value {
    json!({ "do": "upsert_product", "product": {
        "id": id, "handle": sku.to_lowercase(), "title": title, "description": "<p>Ull</p>", "status": "active", "variants": variants,
        "translations": { "en-GB": { "title": "Cup", "description": "<p>Wool</p>" }, "de-DE": { "title": "Tasse" } },
        "updated_at": "2026-11-20T09:00:00Z" } })
}

#[tokio::test]
async fn a_product_has_its_texts_in_every_store_view() {
    let (sim, mut hub, _) = shop().await;
    hub.maps = serde_json::from_value(json!({ "locale": { "en-GB": "en" } })).unwrap();
    let variants = json!([{ "id": "v", "sku": "CUP/1", "price": { "amount": "149.00", "currency": "NOK" }, "grams": "350" }]);
    let action = product("p", "cup", "Kopp", variants);
    let made = hub.perform(None, action.clone()).await.unwrap().reference.unwrap();
    let of = |store: &str, name: &str| sim.product_value("CUP/1", store, name).unwrap();
    assert_eq!((of("all", "name"), of("default", "name"), of("en", "name")), (json!("Kopp"), json!("Kopp"), json!("Cup")));
    assert_eq!((of("en", "description"), of("all", "url_key")), (json!("<p>Wool</p>"), json!("cup")));
    assert_eq!((sim.price("CUP/1"), sim.product_id("CUP/1")), (Some(amount("149")), Some(made.id.clone())));

    let again = hub.perform(Some(&made.id), action).await.unwrap().reference.unwrap();
    assert_eq!(again.id, made.id);
    let changes = hub.poll(EntityKind::Product, &mut None).await;
    let cup = changes.iter().find(|it| it.entity.id == made.id).unwrap();
    let Record::Product(seen) = &cup.record else { panic!("no product") };
    assert_eq!((seen.title.as_str(), seen.variants[0].sku.as_deref()), ("Kopp", Some("CUP/1")));
    let tee = changes.iter().find(|it| Some(&it.entity.id) == sim.product_id("TEE").as_ref()).unwrap();
    assert_eq!(tee.record, Record::Nudge, "its variants stand in the list for themselves");

    hub.maps = serde_json::from_value(json!({ "locale": { "en-GB": "nowhere" } })).unwrap();
    let error =
        hub.perform(Some(&made.id), product("p", "cup", "Kopp", json!([{ "id": "v", "sku": "CUP/1" }]))).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Config, "{error}");
}

#[tokio::test]
async fn variants_are_products_and_new_values_are_added_to_their_attribute() {
    let (sim, mut hub, _) = shop().await;
    hub.maps = serde_json::from_value(json!({ "attribute": { "Size": "size" } })).unwrap();
    let variant = |size: &str| {
        json!({ "id": size, "sku": format!("JUMPER-{size}"), "options": [["Size", size]],
        "price": { "amount": "499.00", "currency": "NOK" } })
    };
    let action = product("j", "jumper", "Jumper", json!([variant("M"), variant("XL")]));
    let made = hub.perform(None, action.clone()).await.unwrap().reference.unwrap();
    assert_eq!((made.number.as_deref(), sim.variants("jumper").len()), (Some("jumper"), 2));
    hub.perform(None, action).await.unwrap();
    let Some(Record::Product(seen)) = hub.read(EntityKind::Product, &made.id).await else { panic!("no product") };
    let options: Vec<(String, String)> = seen.variants.iter().flat_map(|it| it.options.clone()).collect();
    assert_eq!(options, [("Size".into(), "M".into()), ("Size".into(), "XL".into())]);
    assert_eq!(seen.variants[1].price.unwrap().amount, amount("499.00"));
    let (_, attribute) = plain(&sim, Method::GET, "/all/V1/products/attributes/size", Value::Null).await;
    let labels: Vec<&str> = attribute["options"].as_array().unwrap().iter().filter_map(|it| it["label"].as_str()).collect();
    assert_eq!(labels, [" ", "M", "L", "XL"]);
}

#[tokio::test]
async fn customers_are_polled_with_their_consent() {
    let (sim, hub, clock) = shop().await;
    let mut cursor = None;
    sim.add_customer("kari@example.no", "Kari", "Nordmann", true);
    let id = sim.add_customer("ola@example.no", "Ola", "Dahl", false);
    let told = hub.poll(EntityKind::Customer, &mut cursor).await;
    let consents: Vec<Value> = told
        .iter()
        .map(|it| {
            let Record::Customer(it) = &it.record else { panic!("no customer") };
            serde_json::to_value(it.email_consent.state).unwrap()
        })
        .collect();
    assert_eq!(consents, [json!("given"), json!("unknown")]);
    clock.advance(SignedDuration::from_mins(30));
    hub.poll(EntityKind::Customer, &mut cursor).await;
    let Some(Record::Customer(ola)) = hub.read(EntityKind::Customer, &id).await else { panic!("no customer") };
    assert_eq!(ola.email.as_deref(), Some("ola@example.no"));
    assert!(hub.read(EntityKind::Customer, "999999").await.is_none());
}

#[tokio::test]
async fn calls_must_be_signed_or_carry_a_token_that_the_shop_allows() {
    let (sim, _, clock) = shop().await;
    let hub = |change: Value| {
        let mut settings = settings(&sim.base_url());
        for (key, value) in change.as_object().unwrap() {
            settings[key] = value.clone();
        }
        settings.as_object_mut().unwrap().retain(|_, it| !it.is_null());
        Hub::of::<Magento>(settings, &clock)
    };
    for (change, words) in [
        (json!({ "access_token_secret": "wrong" }), "The signature is invalid"),
        (json!({ "consumer_key": "wrong" }), "A consumer having the specified key does not exist"),
        (json!({ "access_token": "wrong" }), "Token is not an access token"),
        (
            json!({ "consumer_key": null, "consumer_secret": null, "access_token_secret": null }),
            "The consumer isn't authorized to access Magento_Sales::sales.",
        ),
    ] {
        let hub = hub(change);
        let error = hub.connection.probe(&hub.api).await.unwrap_err();
        assert!(error.class == ErrorClass::Auth && error.message.contains(words), "{error}");
    }
    let (open, bearer, _) =
        shop_with(|it| it.bearer = true, json!({ "consumer_key": null, "consumer_secret": null, "access_token_secret": null }))
            .await;
    bearer.connection.probe(&bearer.api).await.unwrap();
    drop(open);
    let login = json!({ "username": "spindel", "password": "guess" }).to_string();
    let url = format!("{}/rest/all/V1/integration/admin/token", sim.base_url());
    assert_eq!(reqwest::Client::new().post(url).body(login).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn errors_are_sentences_with_holes_and_routes_that_are_not_there_are_for_the_settings() {
    let (sim, hub, _) = shop().await;
    let (status, body) = plain(&sim, Method::GET, "/all/V1/customers/77777", Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        body,
        json!({ "message": "No such entity with %fieldName = %fieldValue",
        "parameters": { "fieldName": "customerId", "fieldValue": "77777" } })
    );
    let (status, body) = plain(&sim, Method::GET, "/all/V1/nothing", Value::Null).await;
    assert_eq!((status, body["message"].as_str().unwrap()), (StatusCode::NOT_FOUND, "Request does not match any route."));
    // A SKU with a slash does not get through in a path.
    assert_eq!(plain(&sim, Method::GET, "/all/V1/products/CUP%2F1", Value::Null).await.0, StatusCode::NOT_FOUND);
    let twice = "/all/V1/products/attributes/size/options";
    let (status, body) = plain(&sim, Method::POST, twice, json!({ "option": { "label": "M" } })).await;
    assert_eq!((status, &body["parameters"]), (StatusCode::BAD_REQUEST, &json!(["M"])));
    sim.faults().next(Fault::Error(503), 1);
    let error = hub.connection.probe(&hub.api).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "maintenance");
}

#[tokio::test]
async fn events_are_believed_by_their_key_come_again_and_are_read_back() {
    let push = Push::IoEvents { client_id: "client01".into() };
    let io = json!({ "events": "io-events", "client_id": "client01", "public_keys": [PUBLIC_KEY] });
    let (sim, hub, clock) = shop_with(|it| it.push = push, io).await;
    let (receiver, url) = Receiver::start(&hub).await;
    sim.set_target(&url);
    receiver.answer(503);
    let placed = sim.place_order(&OrderSpec { payment: Payment::Authorized, ..OrderSpec::of(&[("SKU-01", 1)]) }).unwrap();
    clock.advance(SignedDuration::from_mins(1));
    sim.ship_order(&placed.id, &[], "370").unwrap();
    while sim.tries() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    receiver.answer(0);
    sim.flush().await;
    let told = receiver.take();
    let topics: Vec<Topic> = told.iter().flat_map(|it| &it.changes).map(|it| it.topic).collect();
    assert_eq!(topics, [Topic::OrderCreated, Topic::ShipmentCreated, Topic::OrderUpdated]);
    assert!(sim.sent()[0].tries > 1, "it came again until it was taken");
    assert!(told.iter().all(|it| it.key.as_deref().is_some_and(|key| key.starts_with("event-"))));
    assert!(told.iter().flat_map(|it| &it.changes).all(|it| it.record == Record::Nudge));
    let Some(Record::Order(read)) = hub.read(EntityKind::Order, &told[0].changes[0].entity.id).await else { panic!("no order") };
    assert_eq!(read.number, placed.number);
    sim.rename_product("SKU-01", "Other").unwrap();
    sim.refund_order(&placed.id, &[], amount("1"), false).unwrap_err();
    sim.flush().await;
    assert_eq!(receiver.take()[0].changes[0].topic, Topic::ProductUpdated);
    let forged = sim.forge(8).await;
    assert_eq!((forged.sent, forged.accepted), (8, 0));
}

#[tokio::test]
async fn webhooks_are_signed_over_the_base64_of_their_body_and_come_once() {
    let signed = json!({ "events": "commerce-webhooks", "public_keys": [PUBLIC_KEY] });
    let (sim, hub, _) = shop_with(|it| it.push = Push::Webhooks, signed).await;
    let (receiver, url) = Receiver::start(&hub).await;
    sim.set_target(&url);
    let placed = sim.place_order(&OrderSpec::of(&[("SKU-01", 1)])).unwrap();
    let memo = sim.refund_order(&placed.id, &[("SKU-01", 1)], Decimal::ZERO, true).unwrap();
    sim.flush().await;
    let told: Vec<(Topic, String)> =
        receiver.take().into_iter().flat_map(|it| it.changes).map(|it| (it.topic, it.entity.id)).collect();
    let order = placed.id.clone();
    assert_eq!(
        told,
        [
            (Topic::OrderCreated, order.clone()),
            (Topic::OrderUpdated, order.clone()),
            (Topic::OrderPaid, order.clone()),
            (Topic::RefundCreated, memo),
            (Topic::OrderFulfilled, order),
        ]
    );
    assert_eq!(sim.forge(4).await.accepted, 0);
    receiver.answer(500);
    sim.rename_product("SKU-01", "Other").unwrap();
    sim.flush().await;
    assert_eq!(sim.sent().last().map(|it| (it.status, it.tries)), Some((500, 1)), "nobody sends it again");
}
