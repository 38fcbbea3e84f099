//! Events: money exact in every currency, the right mode and account, and one key for one event.
#![allow(clippy::unwrap_used)]

use http::{HeaderMap, Method};
use serde_json::{Value, json};
use spindel_connect::{Connector, Incoming, ParseError, Receive, Verified};
use spindel_connector_stripe::Stripe;
use spindel_model::{Change, Record, Timestamp, TransactionKind, Version};

fn stripe(extra: Value) -> Stripe {
    let mut settings = json!({ "api_key": "rk_test_x", "webhook_secret": "whsec_fjell" });
    for (key, value) in extra.as_object().unwrap() {
        settings[key] = value.clone();
    }
    Stripe::connect(serde_json::from_value(settings).unwrap()).unwrap().0
}

fn verified(stripe: &Stripe, event: &Value) -> Verified {
    let mut incoming = Incoming {
        method: Method::POST,
        uri: "/in/stripe".into(),
        origin: "https://hooks.example.no".into(),
        headers: HeaderMap::new(),
        body: event.to_string().into(),
    };
    let now = Timestamp::from_second(1_795_168_000).unwrap();
    let proof = stripe.proof(&[]);
    proof.sign(&mut incoming, now).unwrap();
    proof.check(incoming, now).unwrap()
}

fn changes(stripe: &Stripe, event: &Value) -> Result<Vec<Change>, ParseError> {
    stripe.changes(&verified(stripe, event))
}

fn event(kind: &str, object: Value) -> Value {
    json!({
        "id": "evt_1", "object": "event", "api_version": "2026-10-28.endive", "created": 1_795_168_000, "livemode": false,
        "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null }, "type": kind, "data": { "object": object }
    })
}

fn paid(minor: i64, currency: &str) -> Value {
    let payment = json!({
        "id": "pi_1", "object": "payment_intent", "amount": minor, "amount_capturable": 0, "amount_received": minor,
        "capture_method": "automatic", "created": 1_795_167_000, "currency": currency, "last_payment_error": null,
        "latest_charge": "ch_1", "livemode": false, "metadata": { "order_id": "7" }, "status": "succeeded"
    });
    event("payment_intent.succeeded", payment)
}

fn transaction(change: &Change) -> &spindel_model::Transaction {
    let Record::Transaction { transaction, .. } = &change.record else { panic!("{change:?}") };
    transaction
}

#[test]
fn money_is_exact_in_every_currency_and_of_any_size() {
    for (minor, currency, text) in [
        (44_700, "nok", "447.00 NOK"),
        (1, "sek", "0.01 SEK"),
        (999_999_999_999, "dkk", "9999999999.99 DKK"),
        (10_010, "eur", "100.10 EUR"),
        (447, "jpy", "447 JPY"),
        (12_340, "kwd", "12.340 KWD"),
        (500, "isk", "5 ISK"),
        // One more than a float can hold.
        (9_007_199_254_740_993, "nok", "90071992547409.93 NOK"),
    ] {
        let found = changes(&stripe(json!({})), &paid(minor, currency)).unwrap();
        assert_eq!(transaction(&found[0]).amount.to_string(), text);
    }
}

#[test]
fn an_amount_with_a_fraction_or_of_no_currency_is_refused_with_its_place() {
    let mut odd = paid(1, "nok");
    odd["data"]["object"]["amount_received"] = json!(1.5);
    let error = changes(&stripe(json!({})), &odd).unwrap_err().to_string();
    assert!(error.contains("data.object.amount_received"), "{error}");
    let error = changes(&stripe(json!({})), &paid(1, "btc")).unwrap_err().to_string();
    assert!(error.contains("data.object.currency") && error.contains("ISO 4217"), "{error}");
}

#[test]
fn what_is_authorised_captured_and_refunded_adds_up() {
    let stripe = stripe(json!({}));
    for currency in ["nok", "sek", "dkk", "eur", "jpy", "kwd"] {
        let mut held = paid(44_700, currency)["data"]["object"].clone();
        held["status"] = json!("requires_capture");
        held["capture_method"] = json!("manual");
        held["amount_received"] = json!(0);
        held["amount_capturable"] = json!(44_700);
        let mut taken = held.clone();
        taken["status"] = json!("succeeded");
        taken["amount_received"] = json!(24_800);
        let back = json!({
            "id": "re_1", "object": "refund", "amount": 24_800, "charge": "ch_1", "payment_intent": "pi_1", "currency": currency,
            "status": "succeeded", "reason": null, "metadata": { "order_id": "7" }, "created": 1_795_168_000
        });
        let held = changes(&stripe, &event("payment_intent.amount_capturable_updated", held)).unwrap();
        let taken = changes(&stripe, &event("payment_intent.succeeded", taken)).unwrap();
        let back = changes(&stripe, &event("refund.created", back)).unwrap();
        let (held, taken) = (transaction(&held[0]), transaction(&taken[0]));
        let Record::Refund(back) = &back[0].record else { panic!("{back:?}") };
        assert_eq!((held.kind, taken.kind), (TransactionKind::Authorization, TransactionKind::Capture));
        assert_eq!(taken.parent_id.as_deref(), Some(held.id.as_str()));
        assert_eq!(held.amount.to_minor(), Some(44_700));
        assert!(taken.amount.try_sub(back.total.presentment).unwrap().is_zero());
        assert!(back.outstanding().unwrap().is_zero());
        let adjusted = back
            .adjustments
            .iter()
            .try_fold(spindel_model::Money::zero(taken.amount.currency), |sum, it| sum.try_add(it.amount.shop));
        assert_eq!(adjusted.unwrap(), back.total.shop);
    }
}

#[test]
fn an_event_of_the_other_mode_is_refused() {
    let error = changes(&stripe(json!({ "api_key": "rk_live_x" })), &paid(1, "nok")).unwrap_err().to_string();
    assert!(error.contains("test mode") && error.contains("live mode"), "{error}");
    let mut live = paid(1, "nok");
    live["livemode"] = json!(true);
    assert!(changes(&stripe(json!({})), &live).is_err());
    assert!(changes(&stripe(json!({ "api_key": "sk_x" })), &live).is_ok(), "a key that does not say its mode");
}

#[test]
fn an_event_of_another_account_is_refused() {
    let mut other = paid(1, "nok");
    other["account"] = json!("acct_2");
    assert!(changes(&stripe(json!({})), &other).is_err());
    assert!(changes(&stripe(json!({ "account": "acct_1" })), &other).is_err());
    assert!(changes(&stripe(json!({ "account": "acct_2" })), &other).is_ok());
    assert!(changes(&stripe(json!({ "account": "acct_2" })), &paid(1, "nok")).is_err());
}

#[test]
fn the_order_is_where_the_settings_say() {
    let shop = stripe(json!({ "order_metadata": "woo_order", "number_metadata": "woo_number" }));
    let mut event = paid(1, "nok");
    event["data"]["object"]["metadata"] = json!({ "woo_order": "77", "woo_number": "1042", "order_id": "other" });
    let found = changes(&shop, &event).unwrap();
    let Record::Transaction { order, .. } = &found[0].record else { panic!("{found:?}") };
    assert_eq!((order.id.as_deref(), order.number.as_deref()), (Some("77"), Some("1042")));
}

#[test]
fn an_event_keeps_its_key_and_changes_of_one_second_their_order() {
    let stripe = stripe(json!({}));
    let mut again = paid(1, "nok");
    again["pending_webhooks"] = json!(3);
    assert_eq!(stripe.delivery_key(&verified(&stripe, &paid(1, "nok"))).as_deref(), Some("evt_1"));
    assert_eq!(stripe.delivery_key(&verified(&stripe, &again)).as_deref(), Some("evt_1"));
    let versions: Vec<Version> = ["created", "updated", "paid", "failed"]
        .into_iter()
        .map(|kind| {
            let payout = json!({ "id": "po_1", "amount": 1, "currency": "nok", "status": kind, "created": 1_795_168_000 });
            changes(&stripe, &event(&format!("payout.{kind}"), payout)).unwrap()[0].version
        })
        .collect();
    assert!(versions.is_sorted_by(|one, next| one < next), "{versions:?}");
}

#[test]
fn states_that_nobody_knows_yet_are_tolerated() {
    let mut strange = paid(1, "nok");
    strange["data"]["object"]["status"] = json!("half_succeeded");
    assert_eq!(changes(&stripe(json!({})), &strange).unwrap(), []);
    assert_eq!(changes(&stripe(json!({})), &event("charge.teleported", json!({}))).unwrap(), []);
}
