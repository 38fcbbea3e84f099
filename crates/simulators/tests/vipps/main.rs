//! The simulated Vipps MobilePay over HTTP, as a client and a receiver of webhooks meet it.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod connector;
#[path = "../hub/mod.rs"]
mod hub;
#[path = "../inbox/mod.rs"]
mod inbox;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use inbox::{Inbox, Taken};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spindel_model::Clock;
use spindel_simulators::{
    fault::Fault,
    vipps::{Delivery, Options, VippsSim},
};

const REFERENCE: &str = "acme-order-1042";

struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    async fn of(sim: &VippsSim) -> Self {
        let mut api = Self { http: reqwest::Client::new(), base: sim.base_url(), token: String::new() };
        let (status, answer) = api.login("simulated-secret").await;
        assert_eq!((status, &answer["expires_in"]), (200, &json!("3599")), "a number as text");
        api.token = answer["access_token"].as_str().unwrap().into();
        api
    }

    async fn login(&self, secret: &str) -> (u16, Value) {
        let request = self.http.post(format!("{}/accesstoken/get", self.base));
        let request = request.header("client_id", "simulated-client").header("client_secret", secret);
        read(request.header("ocp-apim-subscription-key", "simulated-subscription-key")).await
    }

    async fn send(&self, method: Method, path: &str, key: Option<&str>, body: Value) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        let request = request.header("ocp-apim-subscription-key", "simulated-subscription-key");
        let mut request = request.header("merchant-serial-number", "123456");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        read(if body.is_null() { request } else { request.body(body.to_string()) }).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, None, Value::Null).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn change(&self, what: &str, key: &str, value: i64) -> (u16, Value) {
        let body = json!({ "modificationAmount": { "currency": "NOK", "value": value } });
        self.send(Method::POST, &path(&format!("/{what}")), Some(key), body).await
    }

    async fn cancel(&self, key: &str) -> (u16, Value) {
        self.send(Method::POST, &path("/cancel"), Some(key), Value::Null).await
    }
}

async fn read(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

fn path(rest: &str) -> String {
    format!("/epayment/v1/payments/{REFERENCE}{rest}")
}

/// With room for as many changes as a test makes.
async fn sim() -> VippsSim {
    VippsSim::start(Options { changes_per_minute: 100, ..Options::default() }).await.unwrap()
}

fn sums(sim: &VippsSim) -> (i64, i64, i64, i64) {
    let view = sim.payment(REFERENCE).unwrap();
    (view.authorized, view.captured, view.refunded, view.cancelled)
}

/// Whether a webhook is signed with this secret, worked out from what came over the wire.
fn is_signed(taken: &Taken, secret: &str) -> bool {
    let (date, hash, host) = (taken.header("x-ms-date"), taken.header("x-ms-content-sha256"), taken.header("host"));
    assert_eq!(hash, STANDARD.encode(Sha256::digest(&taken.body)));
    let text = format!("POST\n{}\n{date};{host};{hash}", taken.uri.path_and_query().unwrap());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let prefix = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=";
    taken.header("authorization") == format!("{prefix}{signature}")
}

#[tokio::test]
async fn a_payment_stays_authorised_while_its_sums_tell_what_happened() {
    let sim = sim().await;
    let api = Api::of(&sim).await;
    sim.authorize(REFERENCE, 44_700, "NOK").unwrap();
    let (status, captured) = api.change("capture", "k1", 40_000).await;
    assert_eq!((status, &captured["aggregate"]["capturedAmount"]["value"]), (200, &json!(40_000)));
    assert_eq!(api.change("refund", "k2", 10_000).await.0, 200);
    assert_eq!(api.cancel("k3").await.0, 200);
    assert_eq!(sums(&sim), (44_700, 40_000, 10_000, 4_700));
    let payment = api.get(&path("")).await;
    assert_eq!(
        (&payment["state"], &payment["aggregate"]["cancelledAmount"]),
        (&json!("AUTHORIZED"), &json!({ "currency": "NOK", "value": 4_700 }))
    );
    let log = api.get(&path("/events")).await;
    let names: Vec<&str> = log.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["CREATED", "AUTHORIZED", "CAPTURED", "REFUNDED", "CANCELLED"]);
    assert_eq!((&log[2]["idempotencyKey"], &log[2]["success"]), (&json!("k1"), &json!(true)));
    assert_eq!(log[2]["pspReference"], captured["pspReference"]);
}

#[tokio::test]
async fn what_cannot_be_done_is_a_problem_with_a_title() {
    let sim = sim().await;
    let api = Api::of(&sim).await;
    sim.begin(REFERENCE, 10_000, "NOK").unwrap();
    let title = |answer: (u16, Value)| (answer.0, answer.1["title"].as_str().unwrap_or_default().to_owned());
    let (status, early) = api.change("capture", "k1", 100).await;
    assert_eq!((status, &early["extraDetails"][0]["reason"]), (400, &json!("6080")));
    assert_eq!(title(api.change("refund", "k2", 100).await), (400, "Attempted refund before reservation".into()));
    sim.approve(REFERENCE).unwrap();
    assert_eq!(title(api.change("capture", "k3", 10_001).await), (400, "Capture amount too high".into()));
    assert_eq!(api.change("capture", "k4", 10_000).await.0, 200);
    assert_eq!(title(api.change("refund", "k5", 10_001).await), (400, "Refund amount too high".into()));
    assert_eq!(title(api.cancel("k6").await), (400, "Cannot cancel a non-reserved payment".into()));
    assert_eq!(sums(&sim), (10_000, 10_000, 0, 0));
    let other = json!({ "modificationAmount": { "currency": "EUR", "value": 100 } });
    assert_eq!(api.send(Method::POST, &path("/capture"), Some("k7"), other).await.0, 400);
    assert_eq!(api.send(Method::GET, "/epayment/v1/payments/acme-order-9999", None, Value::Null).await.0, 404);
}

#[tokio::test]
async fn captures_and_refunds_have_their_time() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let sim = VippsSim::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
    sim.authorize(REFERENCE, 10_000, "NOK").unwrap();
    clock.advance(SignedDuration::from_hours(24 * 180));
    sim.capture_by_hand(REFERENCE, 5_000).unwrap();
    clock.advance(SignedDuration::from_hours(25));
    assert_eq!(sim.capture_by_hand(REFERENCE, 5_000).unwrap_err().0, "Capture period expired");
    assert_eq!(sim.cancel_by_hand(REFERENCE).unwrap_err().0, "Cancel period expired");
    clock.advance(SignedDuration::from_hours(24 * 365));
    assert_eq!(sim.refund_by_hand(REFERENCE, 100).unwrap_err().0, "Refund period expired");
}

#[tokio::test]
async fn an_answer_is_repeated_for_its_key_refusals_too_and_another_request_is_a_conflict() {
    let sim = sim().await;
    let api = Api::of(&sim).await;
    sim.begin(REFERENCE, 10_000, "NOK").unwrap();
    let refused = api.change("capture", "k1", 100).await;
    sim.approve(REFERENCE).unwrap();
    let again = api.change("capture", "k1", 100).await;
    assert_eq!((again.0, &again.1["traceId"]), (400, &refused.1["traceId"]));
    assert_eq!(api.change("capture", "k1", 200).await.0, 409);
    let first = api.change("capture", "k2", 100).await;
    assert_eq!(first, api.change("capture", "k2", 100).await);
    assert_eq!(sums(&sim).1, 100);
    let keyless = json!({ "modificationAmount": { "currency": "NOK", "value": 100 } });
    assert_eq!(api.send(Method::POST, &path("/capture"), None, keyless).await.0, 400);

    // A try that fails stands in the log, and its key is free for another try.
    sim.fail_next(1);
    assert_eq!(api.change("capture", "k3", 100).await.0, 500);
    assert_eq!(api.get(&path("/events")).await[3]["success"], false);
    assert_eq!(api.change("capture", "k3", 100).await.0, 200);
    sim.faults().next(Fault::CutAfter, 1);
    let cut = api.http.post(format!("{}{}", api.base, path("/capture"))).bearer_auth(&api.token);
    let cut = cut.header("ocp-apim-subscription-key", "simulated-subscription-key").header("merchant-serial-number", "123456");
    let body = json!({ "modificationAmount": { "currency": "NOK", "value": 300 } }).to_string();
    assert!(cut.header("idempotency-key", "k4").body(body).send().await.is_err());
    assert_eq!(api.change("capture", "k4", 300).await.0, 200);
    assert_eq!(sums(&sim).1, 500);
}

#[tokio::test]
async fn a_payment_takes_five_changes_a_minute() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let sim = VippsSim::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
    let api = Api::of(&sim).await;
    sim.authorize(REFERENCE, 10_000, "NOK").unwrap();
    for number in 0..5 {
        assert_eq!(api.change("capture", &format!("k{number}"), 100).await.0, 200);
    }
    let limited = api.change("capture", "k5", 100).await;
    assert_eq!((limited.0, &limited.1["statusCode"]), (429, &json!(429)));
    clock.advance(SignedDuration::from_secs(61));
    assert_eq!(api.change("capture", "k5", 100).await.0, 200);
}

#[tokio::test]
async fn the_gateway_wants_a_token_that_holds_the_subscription_key_and_the_sales_unit() {
    let sim = sim().await;
    let api = Api::of(&sim).await;
    assert_eq!(api.login("wrong").await.0, 401);
    let url = format!("{}{}", api.base, path(""));
    let key = |request: reqwest::RequestBuilder| request.header("ocp-apim-subscription-key", "simulated-subscription-key");
    let unit = |request: reqwest::RequestBuilder, msn: &str| request.header("merchant-serial-number", msn);
    let get = || api.http.get(&url);
    for (request, status) in [
        (unit(get().bearer_auth(&api.token), "123456"), 401),
        (unit(key(get()), "123456"), 401),
        (unit(key(get().bearer_auth(&api.token)), "654321"), 403),
        (unit(key(get().bearer_auth(&api.token)), "123456"), 404),
    ] {
        assert_eq!(read(request).await.0, status);
    }
    sim.expire_tokens();
    assert_eq!(api.send(Method::GET, &path(""), None, Value::Null).await.0, 401);
    Api::of(&sim).await;
    assert_eq!(sim.tokens_issued(), 2);
}

#[tokio::test]
async fn the_api_makes_a_payment_once_for_a_reference_and_a_tester_approves_it() {
    let sim = sim().await;
    let api = Api::of(&sim).await;
    let body = json!({
        "amount": { "currency": "NOK", "value": 44_700 }, "paymentMethod": { "type": "WALLET" }, "reference": REFERENCE,
        "userFlow": "WEB_REDIRECT", "returnUrl": "https://shop.example/r", "metadata": { "orderid": "1042" },
    });
    let make = async |key: &str, body: Value| api.send(Method::POST, "/epayment/v1/payments", Some(key), body).await;
    assert_eq!(make("k1", body.clone()).await.0, 201);
    assert_eq!(make("k2", body.clone()).await.0, 409);
    for (field, value) in
        [("reference", json!("short")), ("amount", json!({ "currency": "NOK", "value": 99 })), ("userFlow", Value::Null)]
    {
        let mut wrong = body.clone();
        wrong[field] = value;
        assert_eq!(make(field, wrong).await.0, 400, "{field}");
    }
    let approve = format!("/epayment/v1/test/payments/{REFERENCE}/approve");
    assert_eq!(api.send(Method::POST, &approve, None, json!({ "customer": { "phoneNumber": "4712345678" } })).await.0, 200);
    let payment = api.get(&path("")).await;
    assert_eq!((&payment["state"], &payment["metadata"]["orderid"]), (&json!("AUTHORIZED"), &json!("1042")));
    sim.begin("acme-order-1043", 100, "NOK").unwrap();
    sim.abort("acme-order-1043").unwrap();
    sim.begin("acme-order-1044", 100, "EUR").unwrap();
    sim.expire("acme-order-1044").unwrap();
    let states: Vec<String> = sim.payments().into_iter().map(|it| it.state).collect();
    assert_eq!(states, ["AUTHORIZED", "ABORTED", "EXPIRED"]);
}

#[tokio::test]
async fn every_registration_has_its_secret_and_one_that_fails_holds_up_only_its_own() {
    let sim = sim().await;
    let (api, good, bad) = (Api::of(&sim).await, Inbox::open().await, Inbox::open().await);
    let register = async |url: &str| {
        let body = json!({ "url": url, "events": ["epayments.payment.captured.v1", "epayments.payment.refunded.v1"] });
        api.send(Method::POST, "/webhooks/v1/webhooks", None, body).await
    };
    let (status, made) = register(&format!("{}?x=1", good.url)).await;
    assert_eq!(status, 201);
    assert_eq!(register(&bad.url).await.0, 201);
    assert_eq!(register("http://hub.example.no/in/vipps").await.0, 400);
    let listed = api.get("/webhooks/v1/webhooks").await;
    assert_eq!((listed["webhooks"].as_array().unwrap().len(), &listed["webhooks"][0]["secret"]), (2, &Value::Null));
    bad.refuse(5, 404);
    sim.authorize(REFERENCE, 44_700, "NOK").unwrap();
    for _ in 0..3 {
        sim.capture_by_hand(REFERENCE, 100).unwrap();
    }
    sim.refund_by_hand(REFERENCE, 100).unwrap();
    let sent = sim.flush().await;
    assert_eq!((sent.sent, sent.acknowledged, sent.retries), (8, 8, 5));
    for inbox in [&good, &bad] {
        assert_eq!(inbox.told(|it| &it["name"]), ["CAPTURED", "CAPTURED", "CAPTURED", "REFUNDED"]);
        assert!(inbox.told(|it| &it["pspReference"]).is_sorted(), "out of order");
    }
    let first = &good.taken()[0];
    assert!(is_signed(first, made["secret"].as_str().unwrap()) && !is_signed(first, "another"));
    assert_eq!((first.header("webhook-id"), &first.json()["msn"]), (made["id"].as_str().unwrap(), &json!("123456")));
    let gone = format!("/webhooks/v1/webhooks/{}", made["id"].as_str().unwrap());
    assert_eq!(api.send(Method::DELETE, &gone, None, Value::Null).await.0, 204);
    assert_eq!(api.get("/webhooks/v1/webhooks").await["webhooks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn one_event_has_25_registrations_at_most() {
    let sim = sim().await;
    let api = Api::of(&sim).await;
    let body = json!({ "url": "https://hub.example.no/in/vipps", "events": ["epayments.payment.captured.v1"] });
    for number in 0..26 {
        let status = api.send(Method::POST, "/webhooks/v1/webhooks", None, body.clone()).await.0;
        assert_eq!(status, if number < 25 { 201 } else { 400 });
    }
}

#[tokio::test]
async fn webhooks_come_doubled_and_shuffled_on_demand() {
    let sim = sim().await;
    let inbox = Inbox::open().await;
    sim.set_target(Some(&inbox.url));
    sim.set_delivery(Delivery { duplicates: 1.0, reorder_window: 8, drop: 0.0 });
    sim.authorize(REFERENCE, 44_700, "NOK").unwrap();
    (0..8).for_each(|_| sim.capture_by_hand(REFERENCE, 100).unwrap());
    let sent = sim.flush().await;
    assert_eq!((sent.acknowledged, sent.duplicates_sent), (20, 10));
    assert!(!inbox.told(|it| &it["pspReference"]).is_sorted());
    assert!(inbox.taken().iter().all(|it| is_signed(it, &Options::default().webhook_secret)));
    assert_eq!(sim.forge(4).await.accepted, 4, "this receiver checks nothing");
}

#[tokio::test]
async fn a_day_of_a_ledger_is_told_when_it_is_over_page_by_page_and_adds_up() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let options = Options { report_page: 2, changes_per_minute: 100, clock: clock.clone(), ..Options::default() };
    let sim = VippsSim::start(options).await.unwrap();
    sim.authorize(REFERENCE, 44_700, "NOK").unwrap();
    sim.capture_by_hand(REFERENCE, 40_000).unwrap();
    sim.refund_by_hand(REFERENCE, 10_000).unwrap();
    sim.authorize("acme-order-2000", 5_000, "DKK").unwrap();
    sim.capture_by_hand("acme-order-2000", 5_000).unwrap();
    let paid = sim.pay_out("NOK").unwrap();
    let view = sim.payout(&paid).unwrap();
    // 2.75 % and 1 krone.
    assert_eq!((view.captured, view.refunded, view.fees, view.amount), (40_000, 10_000, 1_200, 28_800));
    assert_eq!(sim.pay_out("NOK"), None);

    let api = Api::of(&sim).await;
    let ledgers = api.get("/settlement/v1/ledgers?settlesForRecipientHandles=api%3A123456").await;
    assert_eq!(ledgers["items"].as_array().unwrap().len(), 2, "one for each currency");
    let day = |topic: &str, date: &str| format!("/report/v2/ledgers/{}/{topic}/dates/{date}", view.ledger);
    assert_eq!(api.get(&day("funds", "2026-11-20")).await["tryLater"], true);
    for date in ["2026-11-21", "2026-11-16"] {
        assert_eq!(api.send(Method::GET, &day("funds", date), None, Value::Null).await.0, 404, "{date}");
    }
    assert_eq!(api.get(&day("funds", "2026-11-18")).await["items"], json!([]));
    clock.advance(SignedDuration::from_hours(24));
    let api = Api::of(&sim).await;
    let first = api.get(&day("funds", "2026-11-20")).await;
    assert_eq!(first["hasMore"], true);
    let cursor = first["cursor"].as_str().unwrap().replace('=', "%3D");
    let second = api.get(&format!("{}?cursor={cursor}", day("funds", "2026-11-20"))).await;
    let entries: Vec<&Value> = [&first, &second].iter().flat_map(|it| it["items"].as_array().unwrap()).collect();
    let kinds: Vec<&str> = entries.iter().map(|it| it["entryType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["capture", "refund", "fees-retained", "payout-scheduled"]);
    assert_eq!((&second["hasMore"], &entries[3]["balanceAfter"]), (&json!(false), &json!(0)));
    let fees = api.get(&day("fees", "2026-11-20")).await["items"].take();
    assert_eq!((&fees[0]["amount"], &fees[1]["balanceAfter"]), (&json!(-1_200), &json!(0)));
    sim.abort_payout(&paid).unwrap();
    assert_eq!(sim.payout(&sim.pay_out("NOK").unwrap()).unwrap().amount, 28_800);
}
