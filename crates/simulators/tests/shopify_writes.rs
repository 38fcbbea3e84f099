//! The simulated shop as the real connector writes to it: tracking, payments, products in several languages; and how both
//! ways out of the shop, webhooks and the API, tell the same of payments and refunds.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod hub;

use hub::Hub;
use serde_json::{Value, json};
use spindel_connector_shopify::Shopify;
use spindel_model::{Clock, Currency, EntityKind, ErrorClass, Order, Record, Refund, Timestamp};
use spindel_simulators::shopify::{Options, OrderSpec, Placed, RefundSpec, Restock, ShopifySim, TranslationView, Webhook};

async fn shop(options: Options) -> (ShopifySim, Hub) {
    let clock = Clock::manual(hub::now());
    let sim = ShopifySim::start(Options { clock: clock.clone(), ..options }).await.unwrap();
    let settings = json!({
        "shop": "example.myshopify.com", "client_id": "client-id", "client_secret": "client-secret", "base_url": sim.base_url(),
    });
    let hub = Hub::of::<Shopify>(settings, &clock);
    (sim, hub)
}

fn topics(sim: &ShopifySim, from: usize) -> Vec<String> {
    sim.webhook_log().into_iter().skip(from).map(|it| it.topic).collect()
}

fn body(sim: &ShopifySim, topic: &str) -> Value {
    let log = sim.webhook_log();
    let webhook: &Webhook = log.iter().rev().find(|it| it.topic == topic).unwrap();
    serde_json::from_slice(&webhook.body).unwrap()
}

fn shipment(order: &Placed, state: &str, at: &str) -> Value {
    json!({
        "id": "7001", "order": { "id": "42", "number": order.number }, "state": state, "carrier": "Bring",
        "tracking": [{ "number": "370" }], "lines": [], "updated_at": at,
    })
}

fn tracking(order: &Placed, state: &str, at: &str) -> Value {
    json!({ "do": "record_tracking", "shipment": shipment(order, state, at) })
}

#[tokio::test]
async fn the_buyer_is_told_where_the_parcel_is_once_for_each_event() {
    let (sim, hub) = shop(Options::default()).await;
    let order = sim.place_order(&OrderSpec::of([("SKU-0001", 2)])).unwrap();
    let early = hub.perform(None, tracking(&order, "in_transit", "2026-11-20T07:00:00Z")).await.unwrap_err();
    assert_eq!(early.class, ErrorClass::MissingDependency);
    let sent = json!({ "do": "create_fulfilment", "shipment": shipment(&order, "booked", "2026-11-20T06:00:00Z"), "notify_customer": false });
    hub.perform(None, sent).await.unwrap();
    let before = sim.webhook_log().len();

    for (state, at) in [
        ("in_transit", "2026-11-20T07:00:00.250Z"),
        ("delivered", "2026-11-20T08:30:00Z"),
        ("out_for_delivery", "2026-11-20T08:00:00Z"),
    ] {
        assert!(!hub.perform(None, tracking(&order, state, at)).await.unwrap().unchanged);
        assert!(hub.perform(None, tracking(&order, state, at)).await.unwrap().unchanged, "{state} twice");
        assert!(hub.look_up(None, tracking(&order, state, at)).await.unwrap().is_some());
    }
    assert!(hub.look_up(None, tracking(&order, "in_transit", "2026-11-20T07:00:01Z")).await.unwrap().is_none());
    assert!(hub.perform(None, tracking(&order, "pending", "2026-11-20T08:45:00Z")).await.unwrap().unchanged);

    let events: Vec<(String, String)> =
        sim.order(&order.id).unwrap().events.into_iter().map(|it| (it.status, it.happened_at.to_string())).collect();
    let told = |status: &str, at: &str| (status.to_owned(), at.to_owned());
    assert_eq!(
        events,
        [
            told("IN_TRANSIT", "2026-11-20T07:00:00Z"),
            told("DELIVERED", "2026-11-20T08:30:00Z"),
            told("OUT_FOR_DELIVERY", "2026-11-20T08:00:00Z"),
        ]
    );
    assert_eq!(topics(&sim, before), ["fulfillments/update", "orders/updated"].repeat(3));
    assert_eq!(body(&sim, "fulfillments/update")["shipment_status"], "delivered", "the last that happened, not that was told");
}

fn payment(order: &Placed, amount: &str, currency: &str, at: &str) -> Value {
    json!({ "do": "record_payment", "order": { "id": "42", "number": order.number }, "transaction": {
        "id": "np-77", "gateway": "nordpay", "kind": "capture", "status": "success", "processed_at": at, "reference": "np_73f",
        "amount": { "amount": amount, "currency": currency },
    } })
}

#[tokio::test]
async fn an_order_on_invoice_is_paid_in_two_parts_and_no_further() {
    let (sim, hub) = shop(Options::default()).await;
    let spec = OrderSpec { pending: true, gateway: Some("invoice".into()), ..OrderSpec::of([("SKU-0001", 2)]) };
    let order = sim.place_order(&spec).unwrap();
    let view = sim.order(&order.id).unwrap();
    assert_eq!((view.financial_status.as_str(), view.outstanding), ("pending", view.placed_total));
    assert_eq!(topics(&sim, 0)[..2], ["orders/create", "order_transactions/create"]);
    assert_eq!(body(&sim, "order_transactions/create")["status"], "pending");
    assert!(sim.capture_order(&order.id).is_err() && sim.refund_order_at_random(&order.id).is_err());

    let rest = (view.outstanding - rust_decimal::Decimal::TEN).to_string();
    let first = payment(&order, "10.00", "NOK", "2026-11-20T07:00:00.9Z");
    hub.perform(None, first.clone()).await.unwrap();
    assert_eq!(sim.order(&order.id).unwrap().financial_status, "partially_paid");
    assert!(hub.perform(None, first.clone()).await.unwrap().unchanged);
    assert!(hub.look_up(None, first).await.unwrap().is_some());
    let second = |amount: &str| payment(&order, amount, "NOK", "2026-11-20T08:00:00Z");
    assert!(hub.look_up(None, second(&rest)).await.unwrap().is_none());
    for wrong in [second(&view.outstanding.to_string()), payment(&order, &rest, "SEK", "2026-11-20T08:00:00Z")] {
        assert_eq!(hub.perform(None, wrong).await.unwrap_err().class, ErrorClass::Data);
    }
    let before = sim.webhook_log().len();
    hub.perform(None, second(&rest)).await.unwrap();
    assert_eq!(topics(&sim, before), ["order_transactions/create", "orders/paid", "orders/updated"]);
    let told = body(&sim, "order_transactions/create");
    assert_eq!((&told["kind"], &told["gateway"], &told["status"]), (&json!("sale"), &json!("nordpay"), &json!("success")));
    let view = sim.order(&order.id).unwrap();
    assert_eq!((view.financial_status.as_str(), view.outstanding.is_zero()), ("paid", true));
    assert!(
        hub.perform(None, payment(&order, "5.00", "NOK", "2026-11-20T08:30:00Z")).await.unwrap().unchanged,
        "nothing is owed"
    );

    let by_hand = sim.place_order(&spec).unwrap();
    sim.mark_order_paid(&by_hand.id).unwrap();
    assert_eq!(sim.order(&by_hand.id).unwrap().financial_status, "paid");
    assert!(sim.mark_order_paid(&by_hand.id).is_err());
}

#[tokio::test]
async fn a_payment_in_the_buyers_currency_settles_the_order_in_both() {
    let (sim, hub) = shop(Options::default()).await;
    let spec = OrderSpec { pending: true, presentment: true, ..OrderSpec::of([("SKU-0003", 3)]) };
    let order = sim.place_order(&spec).unwrap();
    let owed = sim.order(&order.id).unwrap().outstanding.to_string();
    assert_eq!(
        hub.perform(None, payment(&order, &owed, "NOK", "2026-11-20T08:00:00Z")).await.unwrap_err().class,
        ErrorClass::Data
    );
    hub.perform(None, payment(&order, &owed, "SEK", "2026-11-20T08:00:00Z")).await.unwrap();
    let Some(Record::Order(read)) = hub.read(EntityKind::Order, &order.id).await else { panic!("no order") };
    assert_eq!(read.payment_state, spindel_model::PaymentState::Paid);
    assert_eq!(read.transactions.last().unwrap().amount, read.totals.grand.shop);
}

fn product(material: &str) -> Value {
    json!({ "do": "upsert_product", "product": {
        "id": "P-17", "handle": "ullgenser", "title": "Ullgenser", "description": "<p>Varm</p>", "status": "active",
        "updated_at": "2026-11-20T08:00:00Z",
        "attributes": { "pim.material": material, "pim.grams": 420, "erp_only": 1 },
        "media": [{ "id": "m1", "url": "https://pim.example.no/f/genser.jpg?v=1", "alt": "Forfra" }, { "id": "m2", "url": "https://pim.example.no/f/bak.png" }],
        "translations": {
            "en": { "title": "Wool sweater", "description": "<p>Warm</p>", "attributes": { "pim.material": "Wool" } },
            "sv-SE": { "title": "Ylletröja" },
        },
        "variants": [
            { "id": "1", "sku": "UG-RM", "options": [["Farge", "Rød"], ["Størrelse", "M"]], "price": { "amount": "899.00", "currency": "NOK" } },
            { "id": "2", "sku": "UG-RL", "options": [["Farge", "Rød"], ["Størrelse", "L"]], "price": { "amount": "899.00", "currency": "NOK" } },
        ],
    } })
}

#[tokio::test]
async fn a_product_arrives_with_metafields_pictures_and_all_its_languages_and_again_without_doubles() {
    let (sim, mut hub) = shop(Options::default()).await;
    let named = hub.perform(None, product("Ull")).await.unwrap_err();
    assert_eq!(named.class, ErrorClass::Data);
    assert!(named.to_string().contains("INVALID_LOCALE_FOR_SHOP"), "{named}");
    hub.maps.0.insert("locale".into(), [("sv-SE".to_owned(), "sv".to_owned())].into());

    hub.perform(None, product("Ull")).await.unwrap();
    let first = sim.product("UG-RM").unwrap();
    hub.perform(None, product("Ull")).await.unwrap();
    let again = sim.product("UG-RL").unwrap();
    assert_eq!((&first.id, &first.pictures), (&again.id, &again.pictures));
    let variant = |sku: &str, size: &str| (sku.to_owned(), vec!["Rød".to_owned(), size.to_owned()]);
    assert_eq!(again.variants, [variant("UG-RM", "M"), variant("UG-RL", "L")]);
    let field = |name: &str, kind: &str, value: &str| (name.to_owned(), kind.to_owned(), value.to_owned());
    let mut metafields = again.metafields.clone();
    metafields.sort();
    assert_eq!(metafields, [field("pim.grams", "number_integer", "420"), field("pim.material", "single_line_text_field", "Ull")]);
    let names: Vec<&str> = again.pictures.iter().map(|it| it.filename.as_str()).collect();
    assert_eq!((names, again.pictures[0].alt.as_deref()), (vec!["genser.jpg", "bak.png"], Some("Forfra")));
    let text = |locale: &str, field: &str, value: &str| TranslationView {
        locale: locale.into(),
        field: field.into(),
        value: value.into(),
        outdated: false,
    };
    let wanted = [
        text("en", "body_html", "<p>Warm</p>"),
        text("en", "pim.material", "Wool"),
        text("en", "title", "Wool sweater"),
        text("sv", "title", "Ylletröja"),
    ];
    assert_eq!(again.translations, wanted);
    assert_eq!(body(&sim, "products/update")["images"][0]["alt"], "Forfra");

    sim.update_product("UG-RM", Some("Genser av ull"), None).unwrap();
    let outdated: Vec<bool> = sim.product("UG-RM").unwrap().translations.iter().map(|it| it.outdated).collect();
    assert_eq!(outdated, [false, false, true, true]);
}

#[tokio::test]
async fn what_another_app_keeps_at_the_product_stays() {
    let (sim, mut hub) = shop(Options::default()).await;
    hub.maps.0.insert("locale".into(), [("sv-SE".to_owned(), "sv".to_owned())].into());
    hub.perform(None, product("Ull")).await.unwrap();
    let mut fewer = product("Ull");
    fewer["product"]["attributes"] = json!({ "reviews.stars": 5 });
    hub.perform(None, fewer).await.unwrap();
    assert_eq!(sim.product("UG-RM").unwrap().metafields.len(), 3);
}

fn order_of(hub: &Hub, webhook: &Webhook) -> Option<Record> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &webhook.headers {
        headers.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let incoming = spindel_connect::Incoming {
        method: http::Method::POST,
        uri: "/in/shop".into(),
        origin: "https://hub.example.no".into(),
        headers,
        body: webhook.body.clone(),
    };
    let verified = hub.connection.proof(&[]).unwrap().check(incoming, Timestamp::now()).ok().unwrap();
    hub.connection.changes(&verified).unwrap().unwrap().pop().map(|change| change.record)
}

#[tokio::test]
async fn a_refund_names_the_payment_that_it_went_back_through_in_webhooks_and_when_read_back() {
    let (sim, hub) = shop(Options::default()).await;
    let spec = OrderSpec { paid: false, payment_reference: Some("ref-81c2".into()), ..OrderSpec::of([("SKU-0001", 2)]) };
    let order = sim.place_order(&spec).unwrap();
    sim.capture_order(&order.id).unwrap();
    let refund = RefundSpec { lines: vec![(0, 1)], shipping: false, restock: Restock::Return, note: None };
    sim.refund_order(&order.id, &refund).unwrap();

    let log = sim.webhook_log();
    let of = |topic: &str| log.iter().filter(|it| it.topic == topic).collect::<Vec<_>>();
    for webhook in of("order_transactions/create") {
        let Some(Record::Transaction { transaction, .. }) = order_of(&hub, webhook) else { panic!("no transaction") };
        assert_eq!(transaction.reference.as_deref(), Some("ref-81c2"), "{:?}", transaction.kind);
    }
    let Some(Record::Refund(told)) = order_of(&hub, of("refunds/create")[0]) else { panic!("no refund") };
    assert_eq!(told.payment.as_deref(), Some("ref-81c2"));
    let Some(Record::Order(read)) = hub.read(EntityKind::Order, &order.id).await else { panic!("no order") };
    let payments: Vec<Option<&str>> = read.refunds.iter().map(|it: &Refund| it.payment.as_deref()).collect();
    assert_eq!((read.payment(), payments), (Some("ref-81c2"), vec![Some("ref-81c2")]));
}

async fn ask(hub: &Hub, document: &'static str, variables: Value) -> Value {
    hub.api.graphql("ask", "/admin/api/2026-07/graphql.json", document, variables, 10.0).await.unwrap()
}

#[tokio::test]
async fn a_translation_is_of_the_text_as_it_is_now_and_of_a_language_that_the_shop_has() {
    let (sim, hub) = shop(Options::default()).await;
    let gid = format!("gid://shopify/Product/{}", sim.product("SKU-0001").unwrap().id);
    let read = "query($ids: [ID!]!) { shopLocales { locale primary } translatableResourcesByIds(first: 5, resourceIds: $ids) {
        nodes { resourceId translatableContent { key value digest } translations(locale: \"sv\") { key value outdated } } } }";
    let content = ask(&hub, read, json!({ "ids": [gid] })).await;
    assert_eq!(content["shopLocales"][0], json!({ "locale": "nb", "primary": true }));
    let title = content["translatableResourcesByIds"]["nodes"][0]["translatableContent"][0].clone();
    assert_eq!(title["digest"].as_str().unwrap().len(), 64);

    let write = "mutation($id: ID!, $t: [TranslationInput!]!) { translationsRegister(resourceId: $id, translations: $t) { userErrors { code } } }";
    let text = |locale: &str, key: &str, digest: &Value| json!([{ "locale": locale, "key": key, "value": "Tröja", "translatableContentDigest": digest }]);
    let own = &title["digest"];
    for (id, translations, code) in [
        (&gid[..], text("nb", "title", own), json!("INVALID_LOCALE_FOR_SHOP")),
        (&gid, text("sv", "colour", own), json!("INVALID_KEY_FOR_MODEL")),
        (&gid, text("sv", "title", &json!("0".repeat(64))), json!("INVALID_TRANSLATABLE_CONTENT")),
        ("gid://shopify/Product/1", text("sv", "title", own), json!("RESOURCE_NOT_FOUND")),
        (&gid, text("sv", "title", own), Value::Null),
    ] {
        let done = ask(&hub, write, json!({ "id": id, "t": translations })).await;
        assert_eq!(done["translationsRegister"]["userErrors"][0]["code"], code);
    }
    sim.update_product("SKU-0001", Some("Ny tittel"), None).unwrap();
    let stale = ask(&hub, write, json!({ "id": gid, "t": text("sv", "title", own) })).await;
    assert_eq!(stale["translationsRegister"]["userErrors"][0]["code"], "INVALID_TRANSLATABLE_CONTENT");
    let kept = ask(&hub, read, json!({ "ids": [gid] })).await["translatableResourcesByIds"]["nodes"][0]["translations"].take();
    assert_eq!(kept, json!([{ "key": "title", "value": "Tröja", "outdated": true }]));
}

#[tokio::test]
async fn what_the_shop_refuses_is_refused_with_the_vendors_codes() {
    let (sim, hub) = shop(Options::default()).await;
    let order = sim.place_order(&OrderSpec { pending: true, ..OrderSpec::of([("SKU-0001", 1)]) }).unwrap();
    let id = format!("gid://shopify/Order/{}", order.id);
    let pay = "mutation($id: ID!, $m: MoneyInput, $at: DateTime) { orderCreateManualPayment(id: $id, amount: $m, processedAt: $at) { userErrors { code } } }";
    let money = |amount: &str| json!({ "amount": amount, "currencyCode": "NOK" });
    for (id, amount, at, code) in [
        ("gid://shopify/Order/1", money("1.00"), Value::Null, json!("ORDER_NOT_FOUND")),
        (&id, money("0"), Value::Null, json!("AMOUNT_NOT_POSITIVE")),
        (&id, money("1.00"), json!("2026-11-20T09:00:01Z"), json!("PROCESSED_AT_INVALID")),
        (&id, Value::Null, Value::Null, Value::Null),
        (&id, money("0.01"), Value::Null, json!("AMOUNT_EXCEEDS_BALANCE")),
    ] {
        let done = ask(&hub, pay, json!({ "id": id, "m": amount, "at": at })).await;
        assert_eq!(done["orderCreateManualPayment"]["userErrors"][0]["code"], code);
    }

    let fulfilment = sim.fulfil_order(&order.id).unwrap();
    let tell = "mutation($e: FulfillmentEventInput!) { fulfillmentEventCreate(fulfillmentEvent: $e) { fulfillmentEvent { status happenedAt } userErrors { message } } }";
    let event = |id: &str| json!({ "e": { "fulfillmentId": format!("gid://shopify/Fulfillment/{id}"), "status": "DELAYED" } });
    let done = ask(&hub, tell, event("1")).await;
    assert_eq!(done["fulfillmentEventCreate"]["userErrors"][0]["message"], "Fulfillment does not exist.");
    let done = ask(&hub, tell, event(&fulfilment)).await;
    assert_eq!(
        done["fulfillmentEventCreate"]["fulfillmentEvent"],
        json!({ "status": "DELAYED", "happenedAt": "2026-11-20T09:00:00Z" })
    );
    let shown =
        ask(&hub, "query($id: ID!) { order(id: $id) { fulfillments(first: 1) { displayStatus } } }", json!({ "id": id })).await;
    assert_eq!(shown["order"]["fulfillments"][0]["displayStatus"], "DELAYED");
}

#[tokio::test]
async fn metafields_within_a_product_are_a_whole_and_set_by_themselves_they_are_not() {
    let (sim, hub) = shop(Options::default()).await;
    let id = format!("gid://shopify/Product/{}", sim.product("SKU-0001").unwrap().id);
    let set = "mutation($m: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $m) { metafields { key } userErrors { code elementIndex } } }";
    let field = |key: &str, kind: &str, value: &str| json!({ "ownerId": id, "namespace": "pim", "key": key, "type": kind, "value": value });
    let fine = field("material", "single_line_text_field", "Ull");
    let done = ask(&hub, set, json!({ "m": [fine, field("grams", "number_integer", "four")] })).await;
    assert_eq!(done["metafieldsSet"]["userErrors"][0], json!({ "code": "INVALID_VALUE", "elementIndex": 1 }));
    assert!(sim.product("SKU-0001").unwrap().metafields.is_empty(), "all or nothing");
    for value in [fine, field("grams", "number_integer", "4")] {
        let done = ask(&hub, set, json!({ "m": [value] })).await;
        assert_eq!(done["metafieldsSet"]["userErrors"], json!([]));
    }
    assert_eq!(sim.product("SKU-0001").unwrap().metafields.len(), 2);

    let whole = "mutation($i: ProductSetIdentifiers, $p: ProductSetInput!) { productSet(identifier: $i, input: $p, synchronous: true) { userErrors { code } } }";
    let other = json!({ "namespace": "pim", "key": "colour", "type": "single_line_text_field", "value": "Rød" });
    let done = ask(&hub, whole, json!({ "i": { "id": id }, "p": { "metafields": [other] } })).await;
    assert_eq!(done["productSet"]["userErrors"], json!([]));
    let left: Vec<String> = sim.product("SKU-0001").unwrap().metafields.into_iter().map(|(name, ..)| name).collect();
    assert_eq!(left, ["pim.colour"]);
    let by_key = json!({ "customId": { "namespace": "erp", "key": "id", "value": "P-1" } });
    let done = ask(&hub, whole, json!({ "i": by_key, "p": { "title": "Ny", "metafields": [other] } })).await;
    assert_eq!(done["productSet"]["userErrors"][0]["code"], "METAFIELD_MISMATCH");
}

/// What must be the same whichever way an order came: all but what only one of the two tells.
fn essence(order: &Order) -> Value {
    let refunds: Vec<Value> = order
        .refunds
        .iter()
        .map(|it| json!({ "id": it.id, "total": it.total, "shipping": it.shipping, "lines": it.lines.len(), "payment": it.payment }))
        .collect();
    let lines: Vec<Value> = order.lines.iter().map(|it| json!([it.id, it.quantity, it.total, it.discounts, it.taxes])).collect();
    json!({ "totals": order.totals, "lines": lines, "shipping": order.shipping_lines, "refunds": refunds })
}

#[tokio::test]
async fn orders_in_three_currencies_are_the_same_by_webhook_and_read_back_and_add_up() {
    for (seed, currency) in [(1, Currency::NOK), (2, Currency::JPY), (3, Currency::KWD)] {
        let (sim, hub) = shop(Options { currency, seed, ..Options::plus() }).await;
        for _ in 0..15 {
            let id = sim.place_random_order().unwrap().id;
            // Refused where the order has nothing left to change.
            let _ = sim.edit_order_at_random(&id);
            let _ = sim.refund_order_at_random(&id);
            let newest = sim.webhook_log().into_iter().rev().find(|it| it.topic == "orders/updated");
            let Some(webhook) = newest.filter(|it| it.order_id.as_ref() == Some(&id)) else { continue };
            let Some(Record::Order(told)) = order_of(&hub, &webhook) else { panic!("no order") };
            let Some(Record::Order(read)) = hub.read(EntityKind::Order, &id).await else { panic!("no order") };
            assert_eq!(essence(&told), essence(&read), "{} in {}", told.number, currency.code());
            let residue = read.residue().unwrap();
            assert!(residue.shop.is_zero() && residue.presentment.is_zero(), "{}: {residue:?}", read.number);
        }
    }
}
