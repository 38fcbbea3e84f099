//! Tokens that Shipmondo signs by HS256: believed with a current key, and with no other algorithm.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use serde_json::{Value, json};
use spindel_connect::{Connector as _, Incoming, Proof, Receive as _, Secret, Unproven, Verified};
use spindel_connector_shipmondo::Shipmondo;
use spindel_model::Record;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";

/// `{"alg":"HS256"}`, as Shipmondo has it.
const HEADER: &str = "eyJhbGciOiJIUzI1NiJ9";
/// `{"typ":"JWT","alg":"HS256"}`
const TYPED: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9";
/// A delivered parcel.
const CLAIMS: &str = "eyJ3ZWJob29rIjoiU3BpbmRlbCBTaGlwbWVudCBNb25pdG9yL2RlbGl2ZXJlZCIsImRhdGEiOnsic2hpcG1lbnRfaWQiOjExNjgsImN1cnJlbnRfc3RhdHVzIjoiREVMSVZFUkVEIiwiY3VycmVudF9zdGF0dXNfcmVnaXN0ZXJlZF9hdCI6IjIwMjYtMTEtMjBUMTA6MjU6NDQuNTU3KzAyOjAwIn0sInVybCI6Imh0dHBzOi8vaG9va3MuZXhhbXBsZS5uby9pbi9zaGlwbW9uZG8ifQ";
/// The same as a text that holds JSON.
const DOUBLE: &str = "IntcIndlYmhvb2tcIjpcIlNwaW5kZWwgU2hpcG1lbnQgTW9uaXRvci9kZWxpdmVyZWRcIixcImRhdGFcIjp7XCJzaGlwbWVudF9pZFwiOjExNjgsXCJjdXJyZW50X3N0YXR1c1wiOlwiREVMSVZFUkVEXCIsXCJjdXJyZW50X3N0YXR1c19yZWdpc3RlcmVkX2F0XCI6XCIyMDI2LTExLTIwVDEwOjI1OjQ0LjU1NyswMjowMFwifSxcInVybFwiOlwiaHR0cHM6Ly9ob29rcy5leGFtcGxlLm5vL2luL3NoaXBtb25kb1wifSI";
/// Made with another program than the one that checks them.
const SIGNATURE: &str = "gn9XY8JL7cvQ2i1oc70AB9xb3Zs7wUzb6cZGc7P54G0";
const TYPED_SIGNATURE: &str = "ePy0nsFzG91s0aCXgaDXgxS-CmdXgdB1PvTc-w8vuII";
const DOUBLE_SIGNATURE: &str = "IiJJK1SX-t5qoIayS-sn4Y0ak5EUaQRMcYZI410fmh8";
const HS512_SIGNATURE: &str = "W7QILtbNrHWlmQUQJdZQuL9e8Hhlet8DibcKv31xRVqcAGDcSSUv6WP7qi6H9drPlHeBkJG0lNktw76aXU3tEQ";

fn shipmondo(keys: Value) -> Shipmondo {
    let mut settings: Value = serde_json::from_str(include_str!("../fixtures/config.json")).unwrap();
    settings["webhook_key"] = keys;
    Shipmondo::connect(serde_json::from_value(settings).unwrap()).unwrap().0
}

fn check(proof: &Proof, body: impl Into<Bytes>) -> Result<Verified, Unproven> {
    proof.check(incoming(body), "2026-11-20T10:00:00Z".parse().unwrap())
}

fn incoming(body: impl Into<Bytes>) -> Incoming {
    spindel_testkit::post("/in/shipmondo", &[("SMD-Resource-Type", "Shipments")], body)
}

fn body(header: &str, claims: &str, signature: &str) -> String {
    json!({ "data": format!("{header}.{claims}.{signature}") }).to_string()
}

#[test]
fn tokens_of_another_program_are_believed_and_mean_what_they_say() {
    let shipmondo = shipmondo(json!(KEY));
    let proof = shipmondo.proof(&[]);
    for (header, claims, signature) in
        [(HEADER, CLAIMS, SIGNATURE), (TYPED, CLAIMS, TYPED_SIGNATURE), (HEADER, DOUBLE, DOUBLE_SIGNATURE)]
    {
        let verified = check(&proof, body(header, claims, signature)).unwrap();
        assert_eq!(shipmondo.topic(&verified).unwrap(), "Shipment Monitor/delivered");
        let changes = shipmondo.changes(&verified).unwrap();
        assert_eq!((changes.len(), changes[0].entity.id.as_str(), &changes[0].record), (1, "1168", &Record::Nudge));
        assert_eq!(changes[0].version.0, 1_795_163_144_557_000);
    }
}

#[test]
fn only_current_keys_are_believed() {
    let sent = || body(HEADER, CLAIMS, SIGNATURE);
    assert!(check(&shipmondo(json!(OTHER_KEY)).proof(&[]), sent()).is_err());
    assert!(check(&shipmondo(json!([OTHER_KEY, KEY])).proof(&[]), sent()).is_ok());
    assert!(check(&shipmondo(json!(OTHER_KEY)).proof(&[Secret::new(KEY)]), sent()).is_ok());
    assert!(check(&shipmondo(json!([])).proof(&[]), sent()).is_err());
}

#[test]
fn no_other_algorithm_is_believed() {
    let proof = shipmondo(json!(KEY)).proof(&[]);
    // `{"alg":"none"}`, `{"alg":"HS512"}`
    for (header, signature) in
        [("eyJhbGciOiJub25lIn0", ""), ("eyJhbGciOiJub25lIn0", SIGNATURE), ("eyJhbGciOiJIUzUxMiJ9", HS512_SIGNATURE)]
    {
        assert!(check(&proof, body(header, CLAIMS, signature)).is_err(), "{header}.….{signature}");
    }
}

#[test]
fn a_token_that_is_changed_anywhere_is_refused() {
    let proof = shipmondo(json!(KEY)).proof(&[]);
    for (header, claims, signature) in [
        (TYPED, CLAIMS, SIGNATURE),
        (HEADER, DOUBLE, SIGNATURE),
        (HEADER, &CLAIMS[1..], SIGNATURE),
        (HEADER, CLAIMS, &SIGNATURE[..42]),
        (HEADER, CLAIMS, ""),
        ("", "", ""),
    ] {
        assert!(check(&proof, body(header, claims, signature)).is_err());
    }
    let upper = SIGNATURE.to_ascii_uppercase();
    assert!(check(&proof, body(HEADER, CLAIMS, &upper)).is_err());
}

#[test]
fn a_body_without_a_token_is_refused() {
    let proof = shipmondo(json!(KEY)).proof(&[]);
    let huge = json!({ "data": "a".repeat(64 * 1024) }).to_string();
    for body in ["", "null", "{}", "[]", r#"{"data":null}"#, r#"{"data":{}}"#, r#"{"data":""}"#, r#"{"data":".."}"#, &huge] {
        assert!(check(&proof, body.to_owned()).is_err(), "{:.40}", body);
    }
    assert!(check(&proof, Bytes::from_static(&[0xff, 0xfe, 0x00])).is_err());
    // A token anywhere else proves nothing.
    let elsewhere = json!({ "token": format!("{HEADER}.{CLAIMS}.{SIGNATURE}") }).to_string();
    assert!(check(&proof, elsewhere).is_err());
}

#[test]
fn headers_that_nobody_signed_change_nothing() {
    let shipmondo = shipmondo(json!(KEY));
    let verified = check(&shipmondo.proof(&[]), body(HEADER, CLAIMS, SIGNATURE)).unwrap();
    // The header says `Shipments`.
    assert_eq!(shipmondo.topic(&verified).unwrap(), "Shipment Monitor/delivered");
}

#[test]
fn one_event_has_one_key_however_often_it_is_sent() {
    let shipmondo = shipmondo(json!(KEY));
    let proof = shipmondo.proof(&[]);
    let key = |header, claims, signature| shipmondo.delivery_key(&check(&proof, body(header, claims, signature)).unwrap());
    let first = key(HEADER, CLAIMS, SIGNATURE);
    assert!(first.is_some());
    assert_eq!(first, key(TYPED, CLAIMS, TYPED_SIGNATURE));
    assert_eq!(first, key(HEADER, DOUBLE, DOUBLE_SIGNATURE));
}

#[test]
fn only_a_call_that_says_nothing_is_answered_without_a_proof() {
    let shipmondo = shipmondo(json!(KEY));
    for nothing in ["", " \n", "{}"] {
        assert_eq!(shipmondo.challenge(&incoming(nothing)).unwrap().status, 200);
    }
    for something in [body(HEADER, CLAIMS, "").as_str(), r#"{"data":null}"#, "[]", "webhook_id=1"] {
        assert_eq!(shipmondo.challenge(&incoming(something.to_owned())), None);
    }
}
