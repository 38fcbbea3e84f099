//! Webhook endpoints that Stripe switched off, and the secret that it says once.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use spindel_connect::{Api, Connector, Expected, Subscribe, Subscription};
use spindel_connector_stripe::Stripe;
use spindel_model::Clock;
use spindel_testkit::script::Script;
use std::sync::Arc;

const ADDRESS: &str = "https://hooks.example.com/in/shop";

fn scripted(exchanges: serde_json::Value) -> (Stripe, Api, Arc<Script>) {
    let (stripe, _) = Stripe::connect(serde_json::from_value(json!({ "api_key": "rk_test_x" })).unwrap()).unwrap();
    let exchanges: Vec<Expected> = serde_json::from_value(exchanges).unwrap();
    let script = Arc::new(Script::new(exchanges));
    let api = Api::new(script.clone(), Stripe::refine, Clock::manual("2026-11-20T10:00:00Z".parse().unwrap()));
    (stripe, api, script)
}

#[tokio::test]
async fn an_endpoint_that_was_switched_off_is_switched_on_again() {
    let (stripe, api, script) = scripted(json!([{
        "method": "POST", "path": "/v1/webhook_endpoints/we_1", "body": "disabled=false",
        "reply": { "body": { "id": "we_1", "url": ADDRESS, "status": "enabled", "enabled_events": ["payout.paid"] } }
    }]));
    let off = Subscription { active: false, ..Subscription::new("we_1", "payout.paid", ADDRESS) };
    let repaired = stripe.repair(&api, &off).await.unwrap();
    assert!(repaired.subscription.active && repaired.secret.is_none());
    assert_eq!(script.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn the_secret_of_a_new_endpoint_is_handed_on() {
    let (stripe, api, script) = scripted(json!([
        { "method": "GET", "path": "/v1/webhook_endpoints?limit=100", "reply": { "body": { "data": [], "has_more": false } } },
        { "method": "POST", "path": "/v1/webhook_endpoints", "reply": { "body": {
            "id": "we_1", "url": ADDRESS, "status": "enabled", "enabled_events": Stripe::TOPICS, "secret": "whsec_once"
        } } }
    ]));
    let registered = stripe.register(&api, "payout.paid", ADDRESS).await.unwrap();
    assert_eq!(registered.secret.unwrap().expose(), "whsec_once");
    assert_eq!(script.problems(), Vec::<String>::new());
}
