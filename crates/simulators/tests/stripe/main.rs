//! The simulated Stripe over HTTP, as a client and a receiver of webhooks meet it.
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
    stripe::{Delivery, Options, StripeSim},
};

const ORDER: [(&str, &str); 1] = [("order_id", "1042")];

struct Api {
    http: reqwest::Client,
    base: String,
    key: &'static str,
}

struct Reply {
    status: u16,
    replayed: bool,
    body: Value,
}

impl Reply {
    /// Status, and type and code of the error.
    fn refusal(&self) -> (u16, &str, &str) {
        let text = |field: &str| self.body["error"][field].as_str().unwrap_or_default();
        (self.status, text("type"), text("code"))
    }
}

impl Api {
    fn of(sim: &StripeSim) -> Self {
        Self { http: reqwest::Client::new(), base: sim.base_url(), key: "sk_test_simulated" }
    }

    async fn send(&self, method: Method, path: &str, key: Option<&str>, form: &str) -> Reply {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(self.key).body(form.to_owned());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.unwrap();
        assert!(answer.headers()["request-id"].to_str().unwrap().starts_with("req_"));
        let replayed = answer.headers().contains_key("idempotent-replayed");
        let status = answer.status().as_u16();
        Reply { status, replayed, body: serde_json::from_str(&answer.text().await.unwrap()).unwrap() }
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self.send(Method::GET, path, None, "").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    }

    async fn post(&self, path: &str, key: &str, form: &str) -> Reply {
        self.send(Method::POST, path, Some(key), form).await
    }
}

async fn sim() -> StripeSim {
    StripeSim::start(Options::default()).await.unwrap()
}

fn topics(sim: &StripeSim) -> Vec<String> {
    sim.webhook_log().into_iter().map(|it| it.topic).collect()
}

fn signature(secret: &str, time: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_payment_is_authorised_captured_and_given_back_and_every_step_is_told() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let payment = sim.authorize(44_700, "NOK", &ORDER);
    assert_eq!(
        (sim.payment(&payment).unwrap().state.as_str(), sim.payment(&payment).unwrap().capturable),
        ("requires_capture", 44_700)
    );
    let captured = api.post(&format!("/v1/payment_intents/{payment}/capture"), "k1", "").await;
    assert_eq!((captured.status, &captured.body["amount_received"]), (200, &json!(44_700)));
    let form = format!("payment_intent={payment}&amount=10000&metadata[order_id]=1042");
    let refund = api.post("/v1/refunds", "k2", &form).await;
    assert_eq!(
        (refund.status, &refund.body["status"], &refund.body["metadata"]["order_id"]),
        (200, &json!("succeeded"), &json!("1042"))
    );
    let view = sim.payment(&payment).unwrap();
    assert_eq!((view.captured, view.refunded, view.state.as_str()), (44_700, 10_000, "succeeded"));
    assert_eq!(
        topics(&sim),
        [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.amount_capturable_updated",
            "charge.captured",
            "payment_intent.succeeded",
            "refund.created",
            "charge.refunded",
        ]
    );
}

#[tokio::test]
async fn more_than_is_held_is_not_captured_and_more_than_is_left_is_not_given_back() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let payment = sim.authorize(10_000, "nok", &ORDER);
    let capture = format!("/v1/payment_intents/{payment}/capture");
    let refused = api.post(&capture, "k1", "amount_to_capture=10001").await;
    assert_eq!(refused.refusal(), (400, "invalid_request_error", "amount_too_large"));
    assert_eq!(sim.payment(&payment).unwrap().captured, 0);
    let uncaptured = api.post("/v1/refunds", "k2", &format!("payment_intent={payment}")).await;
    assert!(uncaptured.body["error"]["message"].as_str().unwrap().contains("You must cancel the PaymentIntent"));

    assert_eq!(api.post(&capture, "k3", "").await.status, 200);
    let again = api.post(&capture, "k4", "").await;
    assert_eq!(again.refusal(), (400, "invalid_request_error", "payment_intent_unexpected_state"));
    assert_eq!(again.body["error"]["payment_intent"]["status"], "succeeded");
    let too_much = api.post("/v1/refunds", "k5", &format!("payment_intent={payment}&amount=10001")).await;
    assert_eq!((too_much.status, &too_much.body["error"]["param"]), (400, &json!("amount")));
    assert_eq!(api.post("/v1/refunds", "k6", &format!("payment_intent={payment}")).await.status, 200);
    let none_left = api.post("/v1/refunds", "k7", &format!("payment_intent={payment}")).await;
    assert_eq!(none_left.refusal().2, "charge_already_refunded");
    let cancel = api.post(&format!("/v1/payment_intents/{payment}/cancel"), "k8", "").await;
    assert_eq!(cancel.refusal().2, "payment_intent_unexpected_state");
}

#[tokio::test]
async fn a_key_is_answered_the_same_and_refused_for_another_request_and_forgotten_after_a_day() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let sim = StripeSim::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
    let api = Api::of(&sim);
    let payment = sim.sell(10_000, "nok", &ORDER);
    let form = |amount: i64| format!("payment_intent={payment}&amount={amount}");
    let first = api.post("/v1/refunds", "k", &form(1_000)).await;
    let second = api.post("/v1/refunds", "k", &form(1_000)).await;
    assert_eq!((first.replayed, second.replayed, &first.body), (false, true, &second.body));
    let other = api.post("/v1/refunds", "k", &form(2_000)).await;
    assert_eq!(other.refusal(), (400, "idempotency_error", ""));
    sim.next_keys_are_in_use(1);
    let busy = api.post("/v1/refunds", "k9", &form(1_000)).await;
    assert_eq!(busy.refusal(), (409, "idempotency_error", "idempotency_key_in_use"));
    assert_eq!(sim.payment(&payment).unwrap().refunded, 1_000);

    // What was refused as things stood is repeated; what made no sense is not remembered.
    for replayed in [false, true] {
        let refused = api.post("/v1/refunds", "k2", &form(99_999)).await;
        assert_eq!((refused.status, refused.replayed), (400, replayed));
        let senseless = api.post("/v1/refunds", "k3", &format!("payment_intent={payment}&amount=1.5")).await;
        assert_eq!((senseless.refusal().2, senseless.replayed), ("parameter_invalid_integer", false));
    }
    clock.advance(SignedDuration::from_hours(25));
    assert!(!api.post("/v1/refunds", "k", &form(1_000)).await.replayed);
    assert_eq!(sim.payment(&payment).unwrap().refunded, 2_000);
}

#[tokio::test]
async fn nobody_gets_in_without_a_key_and_nothing_unknown_is_taken() {
    let sim = sim().await;
    let mut api = Api::of(&sim);
    for (path, form, code) in [
        ("/v1/refunds", "payment_intent=pi_1&colour=red", "parameter_unknown"),
        ("/v1/refunds", "payment_intent=pi_1", "resource_missing"),
        ("/v1/refunds", "amount=1", "parameter_missing"),
        ("/v1/payment_intents/pi_1/capture", "", "resource_missing"),
    ] {
        assert_eq!(api.post(path, form, form).await.refusal().2, code, "{path} {form}");
    }
    assert_eq!(api.send(Method::GET, "/v1/payment_intents?limit=101", None, "").await.status, 400);
    assert_eq!(api.send(Method::GET, "/v1/nothing", None, "").await.status, 404);
    api.key = "sk_test_of_somebody_else";
    let refused = api.send(Method::GET, "/v1/payment_intents", None, "").await;
    assert_eq!(refused.refusal().0, 401);
    assert!(!refused.body.to_string().contains("somebody_else"));
}

#[tokio::test]
async fn the_api_begins_a_payment_as_the_documentation_has_it_and_a_declined_card_is_a_402() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let form = "amount=44700&currency=nok&capture_method=manual&payment_method=pm_card_visa&confirm=true&metadata[order_id]=7";
    let made = api.post("/v1/payment_intents", "k1", form).await;
    assert_eq!(
        (made.status, &made.body["status"], &made.body["amount_capturable"]),
        (200, &json!("requires_capture"), &json!(44_700))
    );
    let id = made.body["id"].as_str().unwrap();
    let saved = api.post(&format!("/v1/payment_intents/{id}"), "k2", "metadata[order_number]=1042&metadata[order_id]=").await;
    assert_eq!(saved.body["metadata"], json!({ "order_number": "1042" }));
    let charge = saved.body["latest_charge"].as_str().unwrap();
    // The charge keeps what the payment said when it was made.
    assert_eq!(api.get(&format!("/v1/charges/{charge}")).await["metadata"], json!({ "order_id": "7" }));
    let form = form.replace("pm_card_visa", "pm_card_visa_chargeDeclined");
    let declined = api.post("/v1/payment_intents", "k3", &form).await;
    assert_eq!(declined.refusal(), (402, "card_error", "card_declined"));
    assert_eq!(declined.body["error"]["payment_intent"]["status"], "requires_payment_method");
}

#[tokio::test]
async fn what_was_only_held_goes_back_as_a_refund_that_moves_nothing() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let (lapsed, part) = (sim.authorize(10_000, "nok", &ORDER), sim.authorize(10_000, "nok", &ORDER));
    sim.expire(&lapsed).unwrap();
    sim.capture_by_hand(&part, Some(6_000)).unwrap();
    for (payment, amount, reason) in [(&lapsed, 10_000, json!("expired_uncaptured_charge")), (&part, 4_000, Value::Null)] {
        let refunds = api.get(&format!("/v1/refunds?payment_intent={payment}")).await["data"].take();
        assert_eq!(refunds.as_array().unwrap().len(), 1);
        assert_eq!((&refunds[0]["amount"], &refunds[0]["balance_transaction"]), (&json!(amount), &Value::Null));
        assert_eq!(refunds[0]["reason"], reason);
        assert_eq!(sim.payment(payment).unwrap().refunded, 0);
    }
    assert_eq!(sim.payment(&lapsed).unwrap().state, "canceled");
    let told = topics(&sim);
    assert_eq!(told[6..10], ["charge.expired", "refund.created", "charge.refunded", "payment_intent.canceled"]);
    assert_eq!(sim.payment(&part).unwrap().captured, 6_000);
}

#[tokio::test]
async fn a_payout_is_the_sum_of_its_balance_transactions_fees_disputes_and_failed_refunds_included() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let (sold, disputed) = (sim.sell(44_700, "nok", &ORDER), sim.sell(100_000, "nok", &ORDER));
    let refund = sim.refund_by_hand(&sold, Some(5_000)).unwrap();
    sim.fail_refund(&refund).unwrap();
    sim.refund_by_hand(&sold, Some(700)).unwrap();
    let dispute = sim.dispute(&disputed, "fraudulent").unwrap();
    let disputed_charge = sim.refund_by_hand(&disputed, None).unwrap_err();
    assert!(disputed_charge.0.contains("charged back"), "{disputed_charge}");
    sim.close_dispute(&dispute, true).unwrap();
    let payout = sim.pay_out("NOK").unwrap();
    let view = sim.payout(&payout).unwrap();
    // Fees: 10.73 + 2 and 24 + 2, and 150 of the dispute.
    assert_eq!((view.gross, view.fees), (44_700 + 100_000 - 700, 1_273 + 2_600 + 15_000));
    assert_eq!((view.amount, view.state.as_str(), view.movements), (view.gross - view.fees, "paid", 7));

    let listed =
        api.get(&format!("/v1/balance_transactions?payout={payout}&limit=100&expand[]=data.source")).await["data"].take();
    let sum: i64 = listed.as_array().unwrap().iter().map(|it| it["net"].as_i64().unwrap()).sum();
    assert_eq!((listed.as_array().unwrap().len(), sum), (8, 0), "the payout itself is among its transactions");
    assert!(listed.as_array().unwrap().iter().all(|it| it["source"].is_object()), "{listed}");
    assert_eq!(api.get(&format!("/v1/payouts/{payout}")).await["reconciliation_status"], "completed");
    assert_eq!(sim.pay_out("NOK"), None);
    sim.fail_payout(&payout).unwrap();
    let second = sim.pay_out("NOK").unwrap();
    assert_eq!(sim.payout(&second).unwrap().amount, view.amount);
}

#[tokio::test]
async fn lists_go_from_the_newest_page_by_page_and_events_can_be_asked_for() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let made: Vec<String> = (0..5).map(|_| sim.authorize(100, "nok", &ORDER)).collect();
    let mut listed = Vec::new();
    let mut path = "/v1/payment_intents?limit=2".to_owned();
    for more in [true, true, false] {
        let page = api.get(&path).await;
        assert_eq!(page["has_more"], more);
        listed.extend(page["data"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        path = format!("/v1/payment_intents?limit=2&starting_after={}", listed.last().unwrap());
    }
    listed.reverse();
    assert_eq!(listed, made);
    let events = api.get("/v1/events?types[]=charge.succeeded&types[]=payout.paid&created[gte]=1&limit=100").await;
    assert_eq!(events["data"].as_array().unwrap().len(), 5);
    assert_eq!(api.get("/v1/events?created[gt]=99999999999").await["data"], json!([]));
}

#[tokio::test]
async fn a_search_finds_by_metadata_and_by_state_what_is_old_enough() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let lag = SignedDuration::from_secs(60);
    let sim = StripeSim::start(Options { search_lag: lag, clock: clock.clone(), ..Options::default() }).await.unwrap();
    let api = Api::of(&sim);
    let payment = sim.authorize(100, "nok", &[("order_id", "it's 7"), ("order_number", "1042")]);
    sim.sell(100, "nok", &[]);
    let found = async |query: &str| {
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/v1/payment_intents/search?query={query}&expand[]=data.latest_charge");
        let found = api.get(&path).await["data"].take();
        found.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let by_order = r"metadata['order_id']:'it\'s 7' OR metadata['order_number']:'9'";
    assert_eq!(found(by_order).await, [""; 0]);
    clock.advance(lag);
    for query in [by_order, "status:'requires_capture'"] {
        assert_eq!(found(query).await, [payment.as_str()], "{query}");
    }
    let mixed = api.send(Method::GET, "/v1/payment_intents/search?query=a+OR+b+AND+c", None, "").await;
    assert_eq!(mixed.status, 400);
}

#[tokio::test]
async fn an_endpoint_of_the_api_gets_what_it_wants_with_its_own_secret_and_a_retry_is_signed_anew() {
    let sim = sim().await;
    let (api, inbox) = (Api::of(&sim), Inbox::open().await);
    let form = format!("url={}&enabled_events[]=payment_intent.succeeded&enabled_events[]=refund.created", inbox.url);
    let made = api.post("/v1/webhook_endpoints", "k", &form).await.body;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let listed = api.get("/v1/webhook_endpoints").await;
    assert!(listed["data"][0]["secret"].is_null());
    inbox.refuse(2, 500);
    let payment = sim.sell(44_700, "nok", &ORDER);
    sim.refund_by_hand(&payment, None).unwrap();
    let sent = sim.flush().await;
    assert_eq!((sent.sent, sent.acknowledged, sent.retries, sent.given_up), (2, 2, 2, 0));
    for taken in inbox.taken() {
        assert_eq!(taken.uri.path(), "/in/shop");
        let header = taken.header("stripe-signature");
        let (time, signed) = header.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        assert_eq!(signed, signature(secret, time, &taken.body));
    }
    // Three tries in test mode.
    inbox.refuse(3, 302);
    sim.sell(100, "nok", &[]);
    assert_eq!(sim.flush().await.given_up, 1);

    let id = made["id"].as_str().unwrap();
    sim.switch_off(id);
    let before = inbox.taken().len();
    sim.sell(100, "nok", &[]);
    sim.flush().await;
    assert_eq!(inbox.taken().len(), before);
    let on = api.post(&format!("/v1/webhook_endpoints/{id}"), "k2", "disabled=false").await.body;
    assert_eq!(on["status"], "enabled");
}

#[tokio::test]
async fn a_rolled_secret_signs_beside_the_new_one_for_a_day() {
    let clock = Clock::manual("2026-11-20T10:00:00Z".parse().unwrap());
    let sim = StripeSim::start(Options { clock: clock.clone(), ..Options::default() }).await.unwrap();
    sim.set_target(Some("http://127.0.0.1:9/in/stripe"));
    let new = sim.roll_secret();
    let signatures = |sim: &StripeSim| {
        sim.authorize(100, "nok", &[]);
        let last = sim.webhook_log().pop().unwrap();
        let header = last.header("stripe-signature").unwrap().to_owned();
        let mut parts = header.split(',');
        let time = parts.next().unwrap().strip_prefix("t=").unwrap().to_owned();
        let told: Vec<String> = parts.map(|it| it.strip_prefix("v1=").unwrap().to_owned()).collect();
        let known = [new.as_str(), "whsec_simulated"].map(|secret| signature(secret, &time, &last.body));
        (told, known)
    };
    let (told, known) = signatures(&sim);
    assert_eq!(told, known);
    clock.advance(SignedDuration::from_hours(25));
    let (told, known) = signatures(&sim);
    assert_eq!(told, known[..1]);
}

#[tokio::test]
async fn events_come_doubled_and_shuffled_on_demand_and_forgeries_are_told_apart_by_who_accepts_them() {
    let sim = sim().await;
    let inbox = Inbox::open().await;
    sim.set_target(Some(&inbox.url));
    sim.set_delivery(Delivery { duplicates: 1.0, reorder_window: 8, drop: 0.0 });
    for _ in 0..6 {
        sim.authorize(100, "nok", &ORDER);
    }
    let sent = sim.flush().await;
    assert_eq!((sent.acknowledged, sent.duplicates_sent), (36, 18));
    let mut ids = inbox.told(|it| &it["id"]);
    assert!(!ids.is_sorted(), "eighteen events came in order");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 18);
    // This receiver checks nothing.
    let forged = sim.forge(4).await;
    assert_eq!((forged.sent, forged.accepted), (4, 4));
}

#[tokio::test]
async fn a_cut_connection_leaves_the_capture_made_and_its_key_known() {
    let sim = sim().await;
    let api = Api::of(&sim);
    let payment = sim.authorize(100, "jpy", &ORDER);
    let path = format!("/v1/payment_intents/{payment}/capture");
    sim.faults().next(Fault::CutAfter, 1);
    let request = api.http.post(format!("{}{path}", api.base)).bearer_auth(api.key).header("idempotency-key", "k");
    assert!(request.send().await.is_err());
    let again = api.post(&path, "k", "").await;
    assert_eq!((again.status, again.replayed), (200, true));
    assert_eq!(sim.calls()[&format!("POST {path}")], 1);
}
