//! The simulated shop over HTTP, as a connector and a receiver of webhooks meet it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use reqwest::StatusCode;
use serde_json::{Value, json};
use spindel_simulators::{
    fault::Fault,
    shopify::{Delivery, Options, OrderSpec, RefundSpec, Restock, ShopifySim, sign},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    async fn of(shop: &ShopifySim) -> Self {
        let http = reqwest::Client::new();
        let (status, answer) = grant(&http, shop, json!({ "grant_type": "client_credentials" })).await;
        assert_eq!((status, &answer["expires_in"]), (StatusCode::OK, &json!(86_399)));
        Self { http, base: shop.base_url(), token: answer["access_token"].as_str().unwrap().into() }
    }

    async fn send(&self, query: &str, variables: Value) -> Result<(StatusCode, String), reqwest::Error> {
        let url = format!("{}/admin/api/2026-07/graphql.json", self.base);
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = self.http.post(url).header("X-Shopify-Access-Token", &self.token).body(body);
        let answer = request.send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    async fn ask(&self, query: &str, variables: Value) -> Value {
        let (status, text) = self.send(query, variables).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    async fn set_stock(&self, rows: Value, key: &str) -> Value {
        self.ask(SET_STOCK, json!({ "input": set_input(rows), "key": key })).await["data"]["inventorySetQuantities"].take()
    }
}

const SET_STOCK: &str = "mutation set($input: InventorySetQuantitiesInput!, $key: String!) {
    inventorySetQuantities(input: $input) @idempotent(key: $key) {
        inventoryAdjustmentGroup { id changes { delta } } userErrors { field message code } } }";

fn set_input(rows: Value) -> Value {
    json!({ "name": "available", "reason": "correction", "referenceDocumentUri": "gid://hub/Sync/1", "quantities": rows })
}

async fn grant(http: &reqwest::Client, shop: &ShopifySim, mut fields: Value) -> (StatusCode, Value) {
    fields["client_id"] = fields.get("client_id").cloned().unwrap_or(json!("client-id"));
    fields["client_secret"] = json!("client-secret");
    let url = format!("{}/admin/oauth/access_token", shop.base_url());
    let request = http.post(url).header("content-type", "application/json").body(fields.to_string());
    let answer = request.send().await.unwrap();
    (answer.status(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

async fn shop() -> ShopifySim {
    ShopifySim::start(Options::default()).await.unwrap()
}

/// Item and location ids of a SKU, as the API wants them.
fn row(shop: &ShopifySim, sku: &str, quantity: i64, from: Option<i64>) -> Value {
    let variant = shop.variants().into_iter().find(|variant| variant.sku == sku).unwrap();
    json!({
        "inventoryItemId": format!("gid://shopify/InventoryItem/{}", variant.inventory_item_id),
        "locationId": format!("gid://shopify/Location/{}", shop.locations()[0]),
        "quantity": quantity,
        "changeFromQuantity": from,
    })
}

#[tokio::test]
async fn a_stock_write_is_refused_when_the_quantity_has_moved_and_then_nothing_of_the_batch_is_done() {
    let shop = shop().await;
    let api = Api::of(&shop).await;
    let rows = json!([row(&shop, "SKU-0001", 5, None), row(&shop, "SKU-0002", 7, Some(999))]);
    let refused = api.set_stock(rows, "k1").await;
    assert_eq!(refused["userErrors"][0]["code"], "CHANGE_FROM_QUANTITY_STALE");
    assert_eq!(refused["userErrors"][0]["field"], json!(["input", "quantities", "1", "changeFromQuantity"]));
    assert_eq!(shop.stock("SKU-0001", None), Some(1_000));

    let rows = json!([row(&shop, "SKU-0001", 5, None), row(&shop, "SKU-0002", 7, Some(1_000))]);
    let done = api.set_stock(rows, "k2").await;
    assert_eq!(done["userErrors"], json!([]));
    assert_eq!(done["inventoryAdjustmentGroup"]["changes"][1]["delta"], -993);
    assert_eq!((shop.stock("SKU-0001", None), shop.stock("SKU-0002", None)), (Some(5), Some(7)));
    assert_eq!(shop.stock_writes().len(), 2);
    let topics: Vec<String> = shop.webhook_log().into_iter().map(|webhook| webhook.topic).collect();
    assert_eq!(topics, ["inventory_levels/update", "products/update", "inventory_levels/update", "products/update"]);
}

#[tokio::test]
async fn a_repeated_key_answers_the_same_and_writes_nothing() {
    let shop = shop().await;
    let api = Api::of(&shop).await;
    let first = api.set_stock(json!([row(&shop, "SKU-0001", 5, None)]), "k").await;
    shop.set_stock_by_hand("SKU-0001", None, 50).unwrap();
    let again = api.set_stock(json!([row(&shop, "SKU-0001", 5, None)]), "k").await;
    assert_eq!(first, again);
    assert_eq!((shop.stock("SKU-0001", None), shop.stock_writes().len()), (Some(50), 1));

    let other = api.set_stock(json!([row(&shop, "SKU-0001", 6, None)]), "k").await;
    assert_eq!(other["userErrors"][0]["code"], "IDEMPOTENCY_KEY_PARAMETER_MISMATCH");
    shop.next_writes_are_concurrent(1);
    let busy = api.set_stock(json!([row(&shop, "SKU-0001", 6, None)]), "k3").await;
    assert_eq!(busy["userErrors"][0]["code"], "IDEMPOTENCY_CONCURRENT_REQUEST");
    for (want, quantity) in [("INVALID_QUANTITY_NEGATIVE", -1), ("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", -1)] {
        let refused = api.set_stock(json!([row(&shop, "SKU-0001", quantity, None)]), "k4").await;
        assert_eq!(refused["userErrors"][0]["code"], want);
    }
}

#[tokio::test]
async fn a_stock_write_needs_a_key_an_explicit_former_quantity_and_at_most_250_rows() {
    let shop = shop().await;
    let api = Api::of(&shop).await;
    let keyless =
        "mutation($input: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $input) { userErrors { code } } }";
    let answer = api.ask(keyless, json!({ "input": set_input(json!([row(&shop, "SKU-0001", 5, None)])) })).await;
    assert!(answer["data"].is_null() && answer["errors"][0]["message"].as_str().unwrap().contains("@idempotent"));

    let mut silent = row(&shop, "SKU-0001", 5, None);
    silent.as_object_mut().unwrap().remove("changeFromQuantity");
    for rows in [json!([silent]), json!(vec![row(&shop, "SKU-0001", 5, None); 251])] {
        let answer = api.ask(SET_STOCK, json!({ "input": set_input(rows), "key": "k" })).await;
        assert!(answer["data"].is_null() && answer["errors"].is_array(), "{answer}");
    }
    assert_eq!(shop.stock_writes().len(), 0);
}

#[tokio::test]
async fn a_cut_connection_leaves_the_write_carried_out_and_the_client_without_an_answer() {
    let shop = shop().await;
    let api = Api::of(&shop).await;
    shop.faults().next(Fault::CutAfter, 1);
    let variables = json!({ "input": set_input(json!([row(&shop, "SKU-0001", 5, None)])), "key": "k" });
    assert!(api.send(SET_STOCK, variables.clone()).await.is_err());
    assert_eq!(shop.stock("SKU-0001", None), Some(5));
    let again = api.ask(SET_STOCK, variables).await;
    assert_eq!(again["data"]["inventorySetQuantities"]["userErrors"], json!([]));
    assert_eq!(shop.stock_writes().len(), 1);
    assert_eq!(shop.faults().counts(), BTreeMap::from([("cut_after", 1)]));
}

#[tokio::test]
async fn the_other_faults_do_what_their_names_say() {
    let shop = shop().await;
    let api = Api::of(&shop).await;
    let faults = shop.faults();
    let ask = || api.send("{ shop { name } }", json!({}));
    faults.set(Some(Fault::Down));
    assert!(ask().await.is_err());
    faults.set(Some(Fault::Error(503)));
    assert_eq!(ask().await.unwrap().0, StatusCode::SERVICE_UNAVAILABLE);
    faults.set(None);
    faults.next(Fault::TooMany { retry_after: Some(3) }, 1);
    assert_eq!(ask().await.unwrap().0, StatusCode::TOO_MANY_REQUESTS);
    faults.next(Fault::Malformed, 1);
    let (status, text) = ask().await.unwrap();
    assert!(status == StatusCode::OK && serde_json::from_str::<Value>(&text).is_err());
    faults.next(Fault::Slow(Duration::from_millis(30)), 1);
    assert_eq!(ask().await.unwrap().0, StatusCode::OK);

    faults.at_random(1, 0.5, vec![Fault::Error(500)]);
    let mut failed = 0;
    for _ in 0..100 {
        failed += u64::from(ask().await.unwrap().0 == StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert!((25..75).contains(&failed), "{failed}");
    assert_eq!(faults.counts()["error"], failed + 1);
}

#[tokio::test]
async fn tokens_are_asked_for_and_end() {
    let shop = ShopifySim::start(Options { refresh_token: Some("r0".into()), ..Options::default() }).await.unwrap();
    let http = reqwest::Client::new();
    let (status, _) = grant(&http, &shop, json!({ "grant_type": "client_credentials", "client_id": "stranger" })).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let api = Api::of(&shop).await;
    assert_eq!(
        api.ask("{ shop { myshopifyDomain } }", json!({})).await["data"]["shop"]["myshopifyDomain"],
        "example.myshopify.com"
    );
    shop.expire_tokens();
    assert_eq!(api.send("{ shop { name } }", json!({})).await.unwrap().0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn refresh_tokens_rotate_and_the_former_works_until_the_new_one_is_used() {
    let shop = ShopifySim::start(Options { refresh_token: Some("r0".into()), ..Options::default() }).await.unwrap();
    let http = reqwest::Client::new();
    let refresh = |token: String| grant(&http, &shop, json!({ "grant_type": "refresh_token", "refresh_token": token }));
    let (status, first) = refresh("r0".into()).await;
    assert_eq!((status, &first["expires_in"]), (StatusCode::OK, &json!(3_600)));
    let second = refresh("r0".into()).await;
    assert_eq!(second.0, StatusCode::OK, "the answer may have been lost");
    let replacement = second.1["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(refresh(replacement).await.0, StatusCode::OK);
    assert_eq!(refresh("r0".into()).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn orders_are_listed_by_page_in_the_order_of_their_changes() {
    let shop = shop().await;
    let api = Api::of(&shop).await;
    let placed: Vec<String> = (0..7).map(|_| shop.place_random_order().unwrap().id).collect();
    let query = "query page($n: Int!, $after: String, $q: String) {
        orders(first: $n, after: $after, sortKey: UPDATED_AT, query: $q) {
            nodes { id name lineItems(first: 1) { nodes { sku } pageInfo { hasNextPage } } total: currentTotalPriceSet { shopMoney { amount } } }
            pageInfo { hasNextPage endCursor } } }";
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let answer = api.ask(query, json!({ "n": 3, "after": after, "q": "updated_at:>='2020-01-01T00:00:00Z'" })).await;
        let orders = &answer["data"]["orders"];
        for node in orders["nodes"].as_array().unwrap() {
            seen.push(node["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
            assert_eq!(node["lineItems"]["nodes"].as_array().unwrap().len(), 1);
            assert!(node["total"]["shopMoney"]["amount"].is_string());
        }
        assert!(answer["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"].is_number());
        if orders["pageInfo"]["hasNextPage"] != true {
            break;
        }
        after = orders["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(seen, placed);
    let named = api.ask(query, json!({ "n": 5, "q": "name:#1003" })).await;
    assert_eq!(named["data"]["orders"]["nodes"][0]["name"], "#1003");
    let unquoted = api.ask(query, json!({ "n": 5, "q": "updated_at:>2020-01-01T00:00:00Z" })).await;
    assert!(unquoted["errors"][0]["message"].as_str().unwrap().contains("quoted"));
    let unknown = api.ask("{ shop { flavour } }", json!({})).await;
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "undefinedField");
}

#[tokio::test]
async fn an_empty_bucket_throttles_with_status_200() {
    let shop = ShopifySim::start(Options { bucket_size: 30.0, restore_rate: 0.001, ..Options::default() }).await.unwrap();
    let api = Api::of(&shop).await;
    let page = "{ products(first: 100) { nodes { id } } }";
    let mut answer = api.ask(page, json!({})).await;
    for _ in 0..10 {
        if answer["errors"].is_array() {
            break;
        }
        answer = api.ask(page, json!({})).await;
    }
    assert_eq!(answer["errors"][0]["extensions"]["code"], "THROTTLED");
    assert!(
        answer["extensions"]["cost"]["requestedQueryCost"].as_f64()
            > answer["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"].as_f64()
    );
    shop.deny_access(&["orders"]);
    assert_eq!(
        api.ask("{ orders(first: 1) { nodes { name } } }", json!({})).await["errors"][0]["extensions"]["code"],
        "ACCESS_DENIED"
    );
}

#[tokio::test]
async fn an_order_is_fulfilled_refunded_and_cancelled_through_the_api() {
    let shop = shop().await;
    let api = Api::of(&shop).await;
    let order = shop.place_order(&OrderSpec::of([("SKU-0001", 2), ("SKU-0002", 1)])).unwrap();
    let gid = format!("gid://shopify/Order/{}", order.id);
    let read = "query($id: ID!) { order(id: $id) { id lineItems(first: 5) { nodes { id } } transactions(first: 5) { id kind }
        fulfillmentOrders(first: 5) { nodes { id status lineItems(first: 5) { nodes { id remainingQuantity } } } } } }";
    let whole = api.ask(read, json!({ "id": gid })).await["data"]["order"].take();
    let part = &whole["fulfillmentOrders"]["nodes"][0];
    let fulfil = "mutation($f: FulfillmentInput!) { fulfillmentCreate(fulfillment: $f) { fulfillment { id status } userErrors { message } } }";
    let line = &part["lineItems"]["nodes"][0];
    let input = json!({
        "lineItemsByFulfillmentOrder": [{ "fulfillmentOrderId": part["id"], "fulfillmentOrderLineItems": [{ "id": line["id"], "quantity": 2 }] }],
        "trackingInfo": { "company": "Bring", "number": "370" },
    });
    let made = api.ask(fulfil, json!({ "f": input })).await;
    assert_eq!(made["data"]["fulfillmentCreate"]["fulfillment"]["status"], "SUCCESS");
    let twice = api.ask(fulfil, json!({ "f": input })).await;
    assert!(twice["data"]["fulfillmentCreate"]["userErrors"][0]["message"].is_string());
    let view = shop.order(&order.id).unwrap();
    assert_eq!((view.fulfilment_status.as_deref(), &view.tracking[0].1[..]), (Some("partial"), "370"));

    let refund = "mutation($input: RefundInput!, $key: String!) { refundCreate(input: $input) @idempotent(key: $key) { refund { id } userErrors { message } } }";
    let input = json!({
        "orderId": gid,
        "refundLineItems": [{ "lineItemId": whole["lineItems"]["nodes"][1]["id"], "quantity": 1, "restockType": "NO_RESTOCK" }],
        "transactions": [{ "orderId": gid, "parentId": whole["transactions"][0]["id"], "kind": "REFUND", "gateway": "bogus", "amount": "1.00" }],
    });
    for _ in 0..2 {
        let done = api.ask(refund, json!({ "input": input, "key": "r" })).await;
        assert_eq!(done["data"]["refundCreate"]["userErrors"], json!([]));
    }
    let view = shop.order(&order.id).unwrap();
    assert_eq!((view.refunded.to_string().as_str(), view.lines[1].current_quantity), ("1.00", 0));

    let cancel = "mutation($id: ID!, $reason: OrderCancelReason!) { orderCancel(orderId: $id, reason: $reason, restock: true) { job { id done } orderCancelUserErrors { message code } } }";
    let refused = api.ask(cancel, json!({ "id": gid, "reason": "CUSTOMER" })).await;
    assert_eq!(refused["data"]["orderCancel"]["orderCancelUserErrors"][0]["code"], "INVALID");
    let other = shop.place_order(&OrderSpec::of([("SKU-0003", 1)])).unwrap();
    let done = api.ask(cancel, json!({ "id": format!("gid://shopify/Order/{}", other.id), "reason": "CUSTOMER" })).await;
    assert_eq!(done["data"]["orderCancel"]["orderCancelUserErrors"], json!([]));
    assert!(shop.order(&other.id).unwrap().cancelled);
}

#[tokio::test]
async fn a_refund_of_an_order_in_another_currency_names_that_currency_and_is_exact_in_both() {
    let shop = shop().await;
    let api = Api::of(&shop).await;
    let order = shop.place_order(&OrderSpec { presentment: true, ..OrderSpec::of([("SKU-0001", 1)]) }).unwrap();
    let gid = format!("gid://shopify/Order/{}", order.id);
    let read = "query($id: ID!) { order(id: $id) { lineItems(first: 5) { nodes { id } } transactions(first: 5) { id amountSet { presentmentMoney { amount } } } } }";
    let whole = api.ask(read, json!({ "id": gid })).await["data"]["order"].take();
    let payment = &whole["transactions"][0];
    let mut input = json!({
        "orderId": gid,
        "refundLineItems": [{ "lineItemId": whole["lineItems"]["nodes"][0]["id"], "quantity": 1, "restockType": "NO_RESTOCK" }],
        "transactions": [{ "orderId": gid, "parentId": payment["id"], "kind": "REFUND", "gateway": "bogus", "amount": payment["amountSet"]["presentmentMoney"]["amount"] }],
    });
    let refund = "mutation($input: RefundInput!, $key: String!) { refundCreate(input: $input) @idempotent(key: $key) { userErrors { message } } }";
    let refused = api.ask(refund, json!({ "input": input, "key": "a" })).await;
    assert!(refused["data"]["refundCreate"]["userErrors"][0]["message"].as_str().unwrap().contains("SEK"));
    input["currency"] = json!("SEK");
    let done = api.ask(refund, json!({ "input": input, "key": "b" })).await;
    assert_eq!(done["data"]["refundCreate"]["userErrors"], json!([]));
    let view = shop.order(&order.id).unwrap();
    assert_eq!((view.refunded, view.financial_status.as_str()), (view.placed_total, "refunded"));
    assert!(view.current_total.is_zero() && view.current_total_presentment.is_zero());
}

/// Takes webhooks as a receiver should, and notes their ids.
#[derive(Clone, Default)]
struct Receiver {
    taken: Arc<Mutex<Vec<(String, String)>>>,
    refuse_first: Arc<Mutex<u32>>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    if header("x-shopify-hmac-sha256") != sign("client-secret", &body) {
        return StatusCode::UNAUTHORIZED;
    }
    let mut refuse = receiver.refuse_first.lock().unwrap();
    if *refuse > 0 {
        *refuse -= 1;
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    receiver.taken.lock().unwrap().push((header("x-shopify-topic"), header("x-shopify-webhook-id")));
    StatusCode::OK
}

async fn receiver() -> (Receiver, String) {
    let receiver = Receiver::default();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/in/shop", listener.local_addr().unwrap());
    let router = Router::new().route("/in/shop", post(receive)).with_state(receiver.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (receiver, url)
}

fn quick() -> Options {
    Options { retry_base: Duration::from_millis(1), ..Options::default() }
}

#[tokio::test]
async fn every_webhook_arrives_signed_and_one_event_has_one_id() {
    let shop = ShopifySim::start(quick()).await.unwrap();
    let (receiver, url) = receiver().await;
    shop.set_target(Some(&url));
    let order = shop.place_order(&OrderSpec::of([("SKU-0001", 2)])).unwrap();
    let refund = RefundSpec { lines: vec![(0, 1)], shipping: false, restock: Restock::Return, note: None };
    shop.refund_order(&order.id, &refund).unwrap();
    let sent = shop.flush().await;
    assert_eq!((sent.sent, sent.given_up), (sent.acknowledged, 0));
    assert_eq!(receiver.taken.lock().unwrap().len() as u64, sent.sent);

    let log = shop.webhook_log();
    let event =
        |topic: &str| log.iter().find(|webhook| webhook.topic == topic).unwrap().header("X-Shopify-Event-Id").unwrap().to_owned();
    assert_eq!(event("orders/create"), event("orders/paid"));
    assert_eq!(event("refunds/create"), event("orders/updated"));
    assert_ne!(event("orders/create"), event("refunds/create"));
    let created = log.iter().find(|webhook| webhook.topic == "orders/create").unwrap();
    assert_eq!(created.order_id.as_ref(), Some(&order.id));
    let body: Value = serde_json::from_slice(&created.body).unwrap();
    assert!(body["id"].as_u64().unwrap() > 1 << 53);
    assert!(body["updated_at"].as_str().unwrap().ends_with("+01:00"));
}

#[tokio::test]
async fn failures_are_retried_and_doubles_and_losses_are_counted() {
    let shop = ShopifySim::start(quick()).await.unwrap();
    let (receiver, url) = receiver().await;
    shop.set_target(Some(&url));
    shop.set_delivery(Delivery { duplicates: 0.5, reorder_window: 16, drop: 0.2 });
    *receiver.refuse_first.lock().unwrap() = 5;
    for _ in 0..20 {
        shop.place_random_order().unwrap();
    }
    let sent = shop.flush().await;
    assert_eq!((sent.given_up, sent.retries), (0, 5));
    assert!(sent.duplicates_sent > 0 && sent.dropped > 0);
    assert_eq!(sent.sent + sent.dropped, shop.webhook_log().len() as u64 + sent.duplicates_sent);
    let taken = receiver.taken.lock().unwrap().clone();
    let wanted: Vec<String> = shop.webhook_log().iter().map(|it| it.header("X-Shopify-Webhook-Id").unwrap().to_owned()).collect();
    let places: Vec<usize> = taken.iter().map(|(_, id)| wanted.iter().position(|known| known == id).unwrap()).collect();
    assert!(!places.is_sorted(), "shuffled");
}

#[tokio::test]
async fn forgeries_are_turned_away_by_a_receiver_that_looks() {
    let shop = ShopifySim::start(quick()).await.unwrap();
    let (_receiver, url) = receiver().await;
    shop.set_target(Some(&url));
    shop.place_random_order().unwrap();
    shop.flush().await;
    let forged = shop.forge(12).await;
    assert_eq!((forged.sent, forged.accepted), (12, 0));
}

#[tokio::test]
async fn a_subscription_made_through_the_api_is_deleted_after_eight_failures() {
    let shop = ShopifySim::start(quick()).await.unwrap();
    let api = Api::of(&shop).await;
    let (_receiver, url) = receiver().await;
    let subscribe = "mutation($t: WebhookSubscriptionTopic!, $s: WebhookSubscriptionInput!) {
        webhookSubscriptionCreate(topic: $t, webhookSubscription: $s) { webhookSubscription { id topic uri } userErrors { message } } }";
    for uri in [url.clone(), url.replace("/in/shop", "/gone")] {
        let made = api.ask(subscribe, json!({ "t": "ORDERS_CREATE", "s": { "uri": uri } })).await;
        assert_eq!(made["data"]["webhookSubscriptionCreate"]["userErrors"], json!([]));
    }
    let list = "{ webhookSubscriptions(first: 10, topics: [ORDERS_CREATE]) { nodes { uri topic } } }";
    let nodes = |answer: Value| answer["data"]["webhookSubscriptions"]["nodes"].as_array().unwrap().len();
    assert_eq!(nodes(api.ask(list, json!({})).await), 2);
    shop.place_random_order().unwrap();
    let sent = shop.flush().await;
    assert_eq!((sent.acknowledged, sent.given_up), (1, 1));
    assert_eq!(shop.subscriptions(), [("ORDERS_CREATE".to_owned(), url)]);
}

#[tokio::test]
async fn prices_and_products_are_written() {
    let shop = shop().await;
    let api = Api::of(&shop).await;
    let variant = shop.variants().remove(0);
    let update = "mutation($p: ID!, $v: [ProductVariantsBulkInput!]!) { productVariantsBulkUpdate(productId: $p, variants: $v) { productVariants { price } userErrors { field code } } }";
    let product = format!("gid://shopify/Product/{}", variant.product_id);
    let id = format!("gid://shopify/ProductVariant/{}", variant.variant_id);
    let done = api.ask(update, json!({ "p": product, "v": [{ "id": id, "price": "12.50" }] })).await;
    assert_eq!(done["data"]["productVariantsBulkUpdate"]["productVariants"][0]["price"], "12.50");
    let refused = api.ask(update, json!({ "p": product, "v": [{ "id": id, "price": "-1" }] })).await;
    assert_eq!(refused["data"]["productVariantsBulkUpdate"]["userErrors"][0]["code"], "NEGATIVE_PRICE_VALUE");
    assert_eq!(shop.variants()[0].price.to_string(), "12.50");

    let set = "mutation($i: ProductSetIdentifiers, $p: ProductSetInput!) { productSet(identifier: $i, input: $p, synchronous: true) { product { id handle variants(first: 5) { nodes { id sku } } } userErrors { code } } }";
    let input = json!({
        "title": "Ny kopp", "productOptions": [{ "name": "Farge", "values": [{ "name": "Blå" }] }],
        "variants": [{ "optionValues": [{ "optionName": "Farge", "name": "Blå" }], "sku": "NY-1", "price": "99.00" }],
    });
    let variables = json!({ "i": { "handle": "ny-kopp" }, "p": input });
    let first = api.ask(set, variables.clone()).await;
    let second = api.ask(set, variables).await;
    assert_eq!(first["data"]["productSet"]["product"], second["data"]["productSet"]["product"]);
    assert_eq!(shop.stock("NY-1", None), Some(0));
}
