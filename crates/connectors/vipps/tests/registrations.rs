//! Renewing a registration: nothing is missed, and the new secret is never lost.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use spindel_connect::{Api, Connector, Registered, Subscribe, Subscription};
use spindel_connector_vipps::Vipps;
use spindel_model::{Clock, Timestamp};
use spindel_testkit::script::Script;
use std::sync::Arc;

const TOPIC: &str = "epayments.payment.captured.v1";
const ADDRESS: &str = "https://hooks.example.com/in/vipps";
const WEBHOOKS: &str = "/webhooks/v1/webhooks";

async fn repaired(exchanges: Value) -> Registered {
    let settings =
        json!({ "merchant_serial_number": "123456", "client_id": "id", "client_secret": "s", "subscription_key": "k" });
    let vipps = Vipps::connect(serde_json::from_value(settings).unwrap()).unwrap().0;
    let script = Arc::new(Script::new(serde_json::from_value(exchanges).unwrap()));
    let api = Api::new(script.clone(), Vipps::refine, Clock::manual(Timestamp::UNIX_EPOCH));
    let registered = vipps.repair(&api, &Subscription::new("old-1", TOPIC, ADDRESS)).await.unwrap();
    assert_eq!(script.problems(), Vec::<String>::new());
    registered
}

fn made() -> Value {
    json!({
        "method": "POST", "path": WEBHOOKS, "body": { "url": ADDRESS, "events": [TOPIC] },
        "reply": { "status": 201, "body": { "id": "new-1", "secret": "told once" } },
    })
}

fn listed(events: &[&str]) -> Value {
    let old = json!({ "id": "old-1", "url": ADDRESS, "events": events });
    let new = json!({ "id": "new-1", "url": ADDRESS, "events": [TOPIC] });
    json!({ "method": "GET", "path": WEBHOOKS, "reply": { "body": { "webhooks": [old, new] } } })
}

fn deleted(status: u16) -> Value {
    json!({ "method": "DELETE", "path": format!("{WEBHOOKS}/old-1"), "reply": { "status": status } })
}

fn is_new(registered: &Registered) {
    assert_eq!(registered.subscription, Subscription::new("new-1", TOPIC, ADDRESS));
    assert_eq!(registered.secret.as_ref().unwrap().expose(), "told once");
}

#[tokio::test]
async fn the_old_registration_is_deleted_after_the_new_one_is_made() {
    is_new(&repaired(json!([made(), listed(&[TOPIC]), deleted(204)])).await);
}

#[tokio::test]
async fn a_registration_that_is_for_other_events_too_is_left_alone() {
    is_new(&repaired(json!([made(), listed(&[TOPIC, "epayments.payment.refunded.v1"])])).await);
}

#[tokio::test]
async fn the_new_secret_is_kept_when_the_old_registration_cannot_be_deleted() {
    is_new(&repaired(json!([made(), listed(&[TOPIC]), deleted(500)])).await);
    let unlisted = json!({ "method": "GET", "path": WEBHOOKS, "reply": { "status": 503 } });
    is_new(&repaired(json!([made(), unlisted])).await);
}
