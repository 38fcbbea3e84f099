//! Renewing a subscription before its three days are over.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use spindel_connect::{Api, Connector, Expected, Registered, Subscribe, Subscription};
use spindel_connector_business_central::BusinessCentral;
use spindel_model::{Clock, ErrorClass};
use spindel_testkit::script::Script;
use std::sync::Arc;

const COMPANY: &str = "5d115c9c-44e3-ea11-bb43-000d3a2feca1";
const SECRET: &str = "fake-client-state-0123456789";
const ADDRESS: &str = "https://hooks.example.com/in/erp";

fn found(expires: &str) -> Value {
    json!({
        "@odata.etag": "W/\"JzE5OzE7MDsn\"", "subscriptionId": "s1", "notificationUrl": ADDRESS,
        "resource": format!("/api/v2.0/companies({COMPANY})/items"), "clientState": "", "expirationDateTime": expires,
    })
}

async fn repair(exchanges: Value) -> (Result<Registered, spindel_connect::CallError>, Vec<String>) {
    let settings = json!({
        "tenant": "fjord.onmicrosoft.com", "company": COMPANY, "client_id": "app", "client_secret": "fake-secret",
        "currency": "NOK", "webhook_secret": SECRET,
    });
    let (erp, _) = BusinessCentral::connect(serde_json::from_value(settings).unwrap()).ok().unwrap();
    let exchanges: Vec<Expected> = serde_json::from_value(exchanges).unwrap();
    let script = Arc::new(Script::new(exchanges));
    let api = Api::new(script.clone(), BusinessCentral::refine, Clock::manual("2026-11-20T10:00:00Z".parse().unwrap()));
    let outcome = erp.repair(&api, &Subscription::new("s1", "items", ADDRESS)).await;
    (outcome, script.problems())
}

#[tokio::test]
async fn a_subscription_is_renewed_under_its_etag_with_the_secret_of_now() {
    let (outcome, problems) = repair(json!([
        { "method": "GET", "path": "/subscriptions('s1')", "reply": { "body": found("2026-11-20T18:00:00Z") } },
        {
            "method": "PATCH", "path": "/subscriptions('s1')", "headers": { "if-match": "W/\"JzE5OzE7MDsn\"" },
            "body": { "notificationUrl": ADDRESS, "resource": format!("/api/v2.0/companies({COMPANY})/items"), "clientState": SECRET },
            "reply": { "body": found("2026-11-23T10:00:00Z") }
        }
    ]))
    .await;
    assert_eq!(problems, Vec::<String>::new());
    let renewed = outcome.ok().unwrap().subscription;
    assert_eq!(renewed.expires_at, Some("2026-11-23T10:00:00Z".parse().unwrap()));
    assert_eq!(renewed.topic, "items");
}

#[tokio::test]
async fn a_subscription_that_is_gone_is_made_anew() {
    let gone = json!({ "error": { "code": "Internal_RecordNotFound", "message": "The record does not exist." } });
    let (outcome, problems) = repair(json!([
        { "method": "GET", "path": "/subscriptions('s1')", "reply": { "status": 404, "body": gone } },
        { "method": "POST", "path": "/subscriptions", "body": { "notificationUrl": ADDRESS }, "reply": { "status": 201, "body": found("2026-11-23T10:00:00Z") } }
    ]))
    .await;
    assert_eq!(problems, Vec::<String>::new());
    assert!(outcome.is_ok());
}

#[tokio::test]
async fn one_that_was_changed_meanwhile_is_tried_again() {
    let changed =
        json!({ "error": { "code": "Request_EntityChanged", "message": "Another user has already changed the record." } });
    let (outcome, _) = repair(json!([
        { "method": "GET", "path": "/subscriptions('s1')", "reply": { "body": found("2026-11-20T18:00:00Z") } },
        { "method": "PATCH", "path": "/subscriptions('s1')", "reply": { "status": 409, "body": changed } }
    ]))
    .await;
    assert_eq!(outcome.err().map(|it| it.class), Some(ErrorClass::Transient));
}
