//! The simulated Klarna over HTTP, as a client and a receiver of notifications meet it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod connector;
#[path = "../hub/mod.rs"]
mod hub;
#[path = "../inbox/mod.rs"]
mod inbox;

use hmac::{Hmac, KeyInit as _, Mac as _};
use inbox::Inbox;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use spindel_model::Clock;
use spindel_simulators::{
    fault::Fault,
    klarna::{Delivery, KlarnaSim, Line, Options},
};

const KEYS: [&str; 3] =
    ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"];

struct Api {
    http: reqwest::Client,
    base: String,
}

struct Reply {
    status: u16,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn refusal(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(self.headers["klarna-correlation-id"], body["correlation_id"].as_str().unwrap());
        (self.status, body["error_code"].as_str().unwrap().to_owned())
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

impl Api {
    fn of(sim: &KlarnaSim) -> Self {
        Self { http: reqwest::Client::new(), base: sim.base_url() }
    }

    async fn send(&self, method: Method, path: &str, key: Option<&str>, body: Option<Value>) -> Reply {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let mut request = request.basic_auth("K100200_simulated", Some("simulated-password"));
        if let Some(key) = key {
            request = request.header("klarna-idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Reply { status, headers, text: answer.text().await.unwrap() }
    }

    async fn order(&self, id: &str) -> Value {
        self.send(Method::GET, &path(id, ""), None, None).await.json()
    }

    async fn capture(&self, id: &str, key: Option<&str>, amount: i64) -> Reply {
        self.send(Method::POST, &path(id, "/captures"), key, Some(json!({ "captured_amount": amount }))).await
    }

    async fn command(&self, id: &str, what: &str) -> Reply {
        self.send(Method::POST, &path(id, what), None, None).await
    }
}

fn path(order: &str, rest: &str) -> String {
    format!("/ordermanagement/v1/orders/{order}{rest}")
}

async fn sim() -> KlarnaSim {
    KlarnaSim::start(Options::default()).await.unwrap()
}

#[tokio::test]
async fn an_order_is_captured_in_parts_and_given_back_and_ids_are_in_headers_only() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let lines = [Line::goods("SWEATER-M", "Sweater", 2, 22_400), Line::shipping("Home delivery", 4_900)];
    let id = sim.place("NOK", Some("1042"), &lines);
    let order = api.order(&id).await;
    assert_eq!(
        (&order["status"], &order["order_amount"], &order["merchant_reference1"]),
        (&json!("AUTHORIZED"), &json!(49_700), &json!("1042"))
    );
    assert_eq!(
        (&order["order_lines"][0]["total_tax_amount"], &order["remaining_authorized_amount"]),
        (&json!(8_960), &json!(49_700))
    );

    let captured = api.capture(&id, None, 22_400).await;
    assert_eq!((captured.status, captured.text.as_str()), (201, ""));
    assert!(captured.header("location").ends_with(captured.header("capture-id")));
    let read = api.send(Method::GET, &path(&id, &format!("/captures/{}", captured.header("capture-id"))), None, None).await;
    assert_eq!(read.json()["captured_amount"], 22_400);
    assert_eq!(api.order(&id).await["status"], "PART_CAPTURED");
    assert_eq!(api.command(&id, "/cancel").await.refusal(), (403, "CANCEL_NOT_ALLOWED".into()));
    assert_eq!(api.command(&id, "/release-remaining-authorization").await.status, 204);
    let refund = api.send(Method::POST, &path(&id, "/refunds"), None, Some(json!({ "refunded_amount": 400 }))).await;
    assert_eq!((refund.status, refund.text.as_str(), refund.header("refund-id").len()), (201, "", 36));
    let view = sim.order(&id).unwrap();
    assert_eq!((view.captured, view.refunded, view.remaining, view.state.as_str()), (22_400, 400, 0, "CAPTURED"));
}

#[tokio::test]
async fn what_the_order_does_not_allow_is_a_403_with_a_code() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let id = sim.authorize(10_000, "NOK", None);
    assert_eq!(api.capture(&id, None, 10_001).await.refusal(), (403, "CAPTURE_NOT_ALLOWED".into()));
    let refund = async |amount: i64| {
        api.send(Method::POST, &path(&id, "/refunds"), None, Some(json!({ "refunded_amount": amount }))).await
    };
    assert_eq!(refund(1).await.refusal(), (403, "REFUND_NOT_ALLOWED".into()));
    assert_eq!(api.capture(&id, None, 10_000).await.status, 201);
    assert_eq!(refund(10_001).await.refusal(), (403, "REFUND_NOT_ALLOWED".into()));
    let expired = sim.authorize(10_000, "NOK", None);
    sim.expire(&expired).unwrap();
    assert_eq!(api.capture(&expired, None, 1).await.refusal(), (403, "CAPTURE_NOT_ALLOWED".into()));
    assert_eq!(api.command(&expired, "/extend-authorization-time").await.refusal(), (403, "NOT_ALLOWED".into()));
    assert_eq!(api.order(&expired).await["status"], "EXPIRED");
    let reviewed = sim.place_under_review(10_000, "NOK", None);
    assert_eq!(api.capture(&reviewed, None, 1).await.refusal().0, 403);
    sim.end_review(&reviewed, true).unwrap();
    assert_eq!(api.capture(&reviewed, None, 1).await.status, 201);
    let cancelled = sim.authorize(10_000, "NOK", None);
    assert_eq!(api.command(&cancelled, "/cancel").await.status, 204);
    assert_eq!(api.command(&cancelled, "/release-remaining-authorization").await.refusal(), (403, "NOT_ALLOWED".into()));
    assert_eq!(api.capture("00000000-0000-0000-0000-000000000000", None, 1).await.refusal(), (404, "NO_SUCH_ORDER".into()));
}

#[tokio::test]
async fn lines_that_do_not_come_to_the_amount_are_a_bad_value() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let id = sim.authorize(10_000, "NOK", None);
    let line = |total: i64, tax: i64| json!({ "name": "Goods", "quantity": 1, "unit_price": 10_000, "tax_rate": 2_500, "total_amount": total, "total_tax_amount": tax });
    for (amount, line) in [(9_000, line(10_000, 2_000)), (9_000, line(9_000, 1_800)), (10_000, line(10_000, 2_500))] {
        let body = json!({ "captured_amount": amount, "order_lines": [line] });
        let refused = api.send(Method::POST, &path(&id, "/captures"), None, Some(body)).await;
        assert_eq!(refused.refusal(), (400, "BAD_VALUE".into()));
    }
    // One off is allowed.
    let body = json!({ "captured_amount": 10_000, "order_lines": [line(10_000, 1_999)] });
    assert_eq!(api.send(Method::POST, &path(&id, "/captures"), None, Some(body)).await.status, 201);
    assert_eq!(sim.order(&id).unwrap().captures, [(1, vec![])]);
}

#[tokio::test]
async fn of_an_idempotency_key_only_the_key_matters_and_without_one_two_captures_are_two() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let sim = KlarnaSim::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
    let api = Api::of(&sim);
    let id = sim.authorize(10_000, "NOK", None);
    let first = api.capture(&id, Some(KEYS[0]), 1_000).await;
    let other_amount = api.capture(&id, Some(KEYS[0]), 2_000).await;
    assert_eq!(first.header("capture-id"), other_amount.header("capture-id"));
    assert_eq!(sim.order(&id).unwrap().captured, 1_000);
    api.capture(&id, None, 1_000).await;
    api.capture(&id, None, 1_000).await;
    assert_eq!(sim.order(&id).unwrap().captured, 3_000);
    assert_eq!(api.capture(&id, Some("no uuid"), 1_000).await.refusal(), (400, "BAD_VALUE".into()));
    // A refusal is not kept.
    assert_eq!(api.capture(&id, Some(KEYS[1]), 99_000).await.status, 403);
    assert_eq!(api.capture(&id, Some(KEYS[1]), 1_000).await.status, 201);
    clock.advance(SignedDuration::from_hours(25));
    assert_eq!(api.capture(&id, Some(KEYS[0]), 1_000).await.status, 201);
    assert_eq!(sim.order(&id).unwrap().captured, 5_000);
    sim.faults().next(Fault::CutAfter, 1);
    let cut = api
        .http
        .post(format!("{}{}", api.base, path(&id, "/captures")))
        .basic_auth("K100200_simulated", Some("simulated-password"));
    let cut = cut.header("klarna-idempotency-key", KEYS[2]).body(r#"{"captured_amount":500}"#).send().await;
    assert!(cut.is_err());
    assert_eq!(api.capture(&id, Some(KEYS[2]), 500).await.status, 201);
    assert_eq!(sim.order(&id).unwrap().captured, 5_500);
}

#[tokio::test]
async fn wrong_credentials_and_wrong_paths_are_answered_with_nothing() {
    let sim = sim().await;
    let http = reqwest::Client::new();
    let url = format!("{}{}", sim.base_url(), path("x", ""));
    for request in [http.get(&url), http.get(&url).basic_auth("K100200_simulated", Some("wrong"))] {
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (401, ""));
    }
    let nowhere = Api::of(&sim).send(Method::GET, "/ordermanagement/v1/search?number=1042", None, None).await;
    assert_eq!((nowhere.status, nowhere.text.as_str()), (403, ""));
}

#[tokio::test]
async fn an_order_is_pushed_again_until_it_is_acknowledged() {
    let inbox = Inbox::open().await;
    let push = format!("{}?klarna_order_id={{checkout.order.id}}&secret=x", inbox.url);
    let options = Options { push_url: Some(push), notification_url: Some(inbox.url.clone()), ..Options::default() };
    let sim = KlarnaSim::start(options).await.unwrap();
    let api = Api::of(&sim);
    inbox.refuse(1, 503);
    let id = sim.place_under_review(10_000, "NOK", None);
    // A push that fails is not tried again by itself.
    assert_eq!(sim.flush().await.given_up, 1);
    assert_eq!(sim.push_again(), 1);
    sim.flush().await;
    let pushed = inbox.taken();
    assert_eq!((pushed.len(), pushed[0].uri.query().unwrap()), (1, format!("klarna_order_id={id}&secret=x").as_str()));
    assert!(pushed[0].body.is_empty());
    let references = json!({ "merchant_reference1": "1042" });
    assert_eq!(api.send(Method::PATCH, &path(&id, "/merchant-references"), None, Some(references)).await.status, 204);
    assert_eq!(api.command(&id, "/acknowledge").await.status, 204);
    assert_eq!(sim.push_again(), 0);
    assert_eq!((sim.order(&id).unwrap().number.as_deref(), sim.order(&id).unwrap().acknowledged), (Some("1042"), true));
    sim.end_review(&id, false).unwrap();
    sim.flush().await;
    let notified = inbox.taken().pop().unwrap().json();
    assert_eq!(notified, json!({ "order_id": id, "event_type": "FRAUD_RISK_REJECTED" }));
}

#[tokio::test]
async fn webhooks_of_the_network_are_signed_retried_doubled_and_shuffled() {
    let sim = sim().await;
    let inbox = Inbox::open().await;
    sim.set_target(Some(&inbox.url));
    // Of the 2xx only four count.
    inbox.refuse(3, 203);
    let id = sim.authorize(10_000, "NOK", Some("1042"));
    let sent = sim.flush().await;
    assert_eq!((sent.acknowledged, sent.retries), (1, 3));
    let taken = inbox.taken().remove(0);
    let mut mac = Hmac::<Sha256>::new_from_slice(b"simulated_signing_key").unwrap();
    mac.update(&taken.body);
    let signed: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (taken.header("klarna-signature"), taken.json()["payload"]["order_id"].as_str()),
        (signed.as_str(), Some(id.as_str()))
    );
    inbox.refuse(7, 404);
    sim.capture_by_hand(&id, 1_000).unwrap();
    assert_eq!(sim.flush().await.given_up, 1);
    sim.set_delivery(Delivery { duplicates: 1.0, reorder_window: 8, drop: 0.0 });
    (0..8).for_each(|_| drop(sim.capture_by_hand(&id, 1_000).unwrap()));
    assert_eq!(sim.flush().await.duplicates_sent, 8);
    let log: Vec<Value> = sim.webhook_log().iter().map(|it| serde_json::from_slice(&it.body).unwrap()).collect();
    let order: Vec<usize> = inbox
        .told(|it| &it["metadata"]["event_id"])
        .iter()
        .map(|id| log.iter().position(|it| it["metadata"]["event_id"] == id.as_str()).unwrap())
        .collect();
    assert_eq!(order.len(), 1 + 16);
    assert!(!order.is_sorted());
    assert_eq!(sim.forge(4).await.accepted, 4, "this receiver checks nothing");
}

#[tokio::test]
async fn a_payout_is_the_sum_of_its_rows_and_a_debt_is_repaid_by_the_next() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let get = async |path: &str| api.send(Method::GET, path, None, None).await.json();
    let (first, second) = (sim.authorize(76_400, "NOK", Some("1042")), sim.authorize(10_000, "NOK", Some("1043")));
    sim.capture_by_hand(&first, 76_400).unwrap();
    sim.refund_by_hand(&first, 27_300).unwrap();
    let paid = sim.pay_out("NOK").unwrap();
    let view = sim.payout(&paid).unwrap();
    // 2.49 % and 3 kroner.
    assert_eq!((view.sales, view.returns, view.fees, view.amount), (76_400, 27_300, 1_902 + 300, 46_898));
    let rows = get(&format!("/settlements/v1/transactions?payment_reference={paid}&size=2&offset=2")).await;
    assert_eq!((&rows["pagination"]["total"], rows["transactions"].as_array().unwrap().len()), (&json!(4), 2));
    assert_eq!((&rows["transactions"][1]["type"], &rows["transactions"][1]["amount"]), (&json!("RETURN"), &json!(27_300)));
    assert_eq!(rows["transactions"][1]["merchant_reference1"], "1042");
    assert_eq!(sim.pay_out("NOK"), None);

    let dispute = sim.dispute(&first, "PRODUCTS_OR_SERVICES_NOT_RECEIVED").unwrap();
    sim.close_dispute(&dispute, false).unwrap();
    let owed = sim.pay_out("NOK").unwrap();
    assert_eq!((sim.payout(&owed).unwrap().amount, sim.payout(&owed).unwrap().reversals), (0, 49_100));
    sim.capture_by_hand(&second, 10_000).unwrap();
    let repaid = sim.payout(&sim.pay_out("NOK").unwrap()).unwrap();
    assert_eq!((repaid.amount, repaid.repaid), (0, 10_000 - 249 - 300));
    let listed = get("/settlements/v1/payouts?start_date=2020-01-01T00:00:00Z&currency_code=NOK&size=2").await;
    assert_eq!((&listed["pagination"]["count"], &listed["pagination"]["total"]), (&json!(2), &json!(3)));
    assert_eq!(listed["payouts"][1]["totals"]["closing_debt_balance_amount"], 49_100);
    assert_eq!(get("/settlements/v1/payouts?end_date=2020-01-01T00:00:00Z").await["payouts"], json!([]));
    let unknown = api.send(Method::GET, "/settlements/v1/payouts/NOTTHERE", None, None).await;
    assert_eq!(unknown.refusal(), (404, "NOT_FOUND".into()));
}

#[tokio::test]
async fn a_dispute_is_told_whole_once_and_read_with_a_key_of_its_own() {
    let sim = sim().await;
    let id = sim.authorize(10_000, "NOK", Some("1042"));
    assert!(sim.dispute(&id, "FRAUD").is_err());
    sim.capture_by_hand(&id, 10_000).unwrap();
    let dispute = sim.dispute(&id, "PRODUCTS_OR_SERVICES_NOT_RECEIVED").unwrap();
    sim.close_dispute(&dispute, true).unwrap();
    let told: Vec<Value> = sim.webhook_log().iter().rev().take(2).map(|it| serde_json::from_slice(&it.body).unwrap()).collect();
    assert_eq!(told[1]["payload"]["dispute_details"]["dispute_amount"], 10_000);
    assert_eq!((&told[0]["payload"]["state"], &told[0]["payload"]["dispute_details"]), (&json!("CLOSED"), &Value::Null));
    let url = format!("{}/v4/payment/disputes/{dispute}", sim.global_url());
    let http = reqwest::Client::new();
    let read = async |key: &str| {
        let answer = http.get(&url).header("authorization", format!("Basic {key}")).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    assert_eq!(read("wrong").await.1["error_type"], "ACCESS_ERROR");
    let (status, body) = read("klarna_test_api_simulated").await;
    assert_eq!((status, &body["state_context"]["dispute_outcome"]), (200, &json!("WON")));
}
