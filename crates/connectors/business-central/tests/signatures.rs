//! How notifications prove themselves, and which answers they get before they did.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use spindel_connect::{Connector, Incoming, Receive, Unproven, Verified};
use spindel_connector_business_central::BusinessCentral;
use spindel_model::{Record, Timestamp};

const COMPANY: &str = "5d115c9c-44e3-ea11-bb43-000d3a2feca1";
const OLD: &str = "an-older-client-state-0001";
const NEW: &str = "a-newer-client-state-00002";

fn erp(secrets: Value) -> BusinessCentral {
    let settings = json!({
        "tenant": "fjord.onmicrosoft.com", "company": COMPANY, "client_id": "app", "client_secret": "fake-secret",
        "currency": "NOK", "webhook_secret": secrets,
    });
    BusinessCentral::connect(serde_json::from_value(settings).unwrap()).ok().unwrap().0
}

fn incoming(uri: &str, body: impl Into<Bytes>) -> Incoming {
    spindel_testkit::post::<&str>(uri, &[], body)
}

fn notification(state: Value) -> Value {
    json!({
        "subscriptionId": "s1", "clientState": state, "changeType": "updated",
        "resource": format!("api/v2.0/companies({COMPANY})/items(91000000-0000-4000-8000-000000000001)"),
        "lastModifiedDateTime": "2026-11-20T09:59:00Z",
    })
}

fn body(states: &[&str]) -> Bytes {
    json!({ "value": states.iter().map(|it| notification(json!(it))).collect::<Vec<_>>() }).to_string().into()
}

fn check(erp: &BusinessCentral, body: impl Into<Bytes>) -> Result<Verified, Unproven> {
    erp.proof(&[]).check(incoming("/in/erp", body), Timestamp::UNIX_EPOCH)
}

fn status(erp: &BusinessCentral, request: &Incoming) -> Option<StatusCode> {
    erp.challenge(request).map(|it| it.status)
}

#[test]
fn every_notification_of_a_request_must_bring_the_secret() {
    let erp = erp(json!(NEW));
    assert!(check(&erp, body(&[NEW])).is_ok());
    assert!(check(&erp, body(&[NEW, NEW])).is_ok());
    assert_eq!(check(&erp, body(&[NEW, OLD])).err(), Some(Unproven::NoMatch));
    assert_eq!(check(&erp, body(&[OLD])).err(), Some(Unproven::NoMatch));
    assert_eq!(check(&erp, body(&[&NEW[1..]])).err(), Some(Unproven::NoMatch));
    assert_eq!(check(&erp, body(&[""])).err(), Some(Unproven::NoMatch));
    assert_eq!(check(&erp, body(&[&"a".repeat(100_000)])).err(), Some(Unproven::NoMatch));
}

#[test]
fn a_request_that_brings_no_secret_at_all_is_refused() {
    let erp = erp(json!(NEW));
    let without = json!({ "value": [{ "subscriptionId": "s1" }] }).to_string();
    for body in ["", "{}", "[]", r#"{"value":[]}"#, r#"{"value":{}}"#, &without, "no json"] {
        assert!(check(&erp, body.to_owned()).is_err(), "{body}");
    }
    assert!(check(&erp, json!({ "value": [notification(json!(7))] }).to_string()).is_err());
    assert!(check(&erp, vec![0xff, 0xfe, b'{', b'}']).is_err());
}

#[test]
fn both_secrets_are_accepted_while_one_is_being_changed() {
    let both = erp(json!([NEW, OLD]));
    assert!(check(&both, body(&[NEW])).is_ok());
    assert!(check(&both, body(&[OLD])).is_ok());
    assert!(check(&both, body(&[OLD, NEW])).is_ok());
}

#[test]
fn without_a_secret_in_the_settings_nothing_is_believed() {
    let erp = erp(json!([]));
    assert!(check(&erp, body(&[NEW])).is_err());
    assert!(check(&erp, body(&[""])).is_err());
}

#[test]
fn what_is_kept_of_a_notification_does_not_hold_the_secret() {
    let verified = check(&erp(json!(NEW)), body(&[NEW])).unwrap();
    assert!(!String::from_utf8_lossy(verified.body()).contains(NEW));
}

#[test]
fn the_handshake_is_answered_with_the_token_as_plain_text_before_any_proof() {
    let erp = erp(json!(NEW));
    let asked = incoming("/in/erp?validationToken=0b6fc8a1%2D7%2Bx%3D", Bytes::new());
    let answer = erp.challenge(&asked).unwrap();
    assert_eq!((answer.status, answer.content_type), (StatusCode::OK, "text/plain"));
    assert_eq!(answer.body, "0b6fc8a1-7+x=");
}

#[test]
fn a_notification_with_another_secret_is_put_off_so_that_its_subscription_is_not_deleted() {
    let erp = erp(json!(NEW));
    assert_eq!(status(&erp, &incoming("/in/erp", body(&[OLD]))), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(status(&erp, &incoming("/in/erp", body(&[NEW]))), None);
    // No subscription of this connection sends such requests: they are refused and recorded like those of any stranger.
    assert_eq!(status(&erp, &incoming("/in/erp", "{}")), None);
    assert_eq!(status(&erp, &incoming("/in/erp", Bytes::new())), None);
}

#[test]
fn a_notification_of_another_company_is_not_taken() {
    let erp = erp(json!(NEW));
    let mut other = notification(json!(NEW));
    other["resource"] =
        json!("api/v2.0/companies(00000000-0000-4000-8000-000000000009)/items(91000000-0000-4000-8000-000000000001)");
    let verified = check(&erp, json!({ "value": [other] }).to_string()).unwrap();
    assert!(erp.changes(&verified).unwrap_err().to_string().contains("another company"));
}

#[test]
fn what_a_notification_says_is_read_back() {
    let erp = erp(json!(NEW));
    let verified = check(&erp, body(&[NEW])).unwrap();
    let changes = erp.changes(&verified).unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].record, Record::Nudge);
    assert_eq!(erp.topic(&verified).unwrap(), "items");
}
