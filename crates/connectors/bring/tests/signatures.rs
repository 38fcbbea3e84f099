//! The header in which Bring sends what its webhooks were registered with: believed with a current value, and only then.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use spindel_connect::{Connector as _, Incoming, Proof, Receive as _, Secret, Unproven, Verified};
use spindel_connector_bring::Bring;

const HEADER: &str = "x-spindel-secret";
const BODY: &str =
    r#"{"status":"DELIVERED","id":"e-1","shipment":"70438101268018539","package":"37","created":"2026-11-20T09:45:25+0000"}"#;

fn bring(secret: Value, extra: Value) -> Bring {
    let mut settings: Value = serde_json::from_str(include_str!("../fixtures/config.json")).unwrap();
    settings["webhook_secret"] = secret;
    for (key, value) in extra.as_object().unwrap() {
        settings[key] = value.clone();
    }
    Bring::connect(serde_json::from_value(settings).unwrap()).unwrap().0
}

fn check(proof: &Proof, headers: &[(&'static str, &[u8])], body: impl Into<Bytes>) -> Result<Verified, Unproven> {
    proof.check(spindel_testkit::post("/in/bring", headers, body), "2026-11-20T10:00:00Z".parse().unwrap())
}

#[test]
fn the_registered_value_is_believed_and_any_other_is_not() {
    let proof = bring(json!("first-secret"), json!({})).proof(&[]);
    assert!(check(&proof, &[(HEADER, b"first-secret")], BODY).is_ok());
    for wrong in ["", "first-secre", "first-secret ", "FIRST-SECRET", "other"] {
        assert!(check(&proof, &[(HEADER, wrong.as_bytes())], BODY).is_err(), "{wrong}");
    }
}

#[test]
fn two_values_are_believed_while_one_is_being_changed() {
    let proof = bring(json!(["first-secret", "second-secret"]), json!({})).proof(&[Secret::new("kept-secret")]);
    for right in ["first-secret", "second-secret", "kept-secret"] {
        assert!(check(&proof, &[(HEADER, right.as_bytes())], BODY).is_ok(), "{right}");
    }
}

#[test]
fn without_a_configured_value_nobody_is_believed() {
    for none in [json!([]), json!([""]), json!("")] {
        let proof = bring(none, json!({})).proof(&[]);
        assert!(check(&proof, &[(HEADER, b"")], BODY).is_err());
        assert!(check(&proof, &[(HEADER, b"guess")], BODY).is_err());
    }
}

#[test]
fn a_missing_doubled_huge_or_senseless_header_is_refused() {
    let proof = bring(json!("first-secret"), json!({})).proof(&[]);
    assert!(check(&proof, &[], BODY).is_err());
    assert!(check(&proof, &[(HEADER, b"first-secret"), (HEADER, b"first-secret")], BODY).is_err());
    assert!(check(&proof, &[(HEADER, &[b'a'; 64 * 1024])], BODY).is_err());
    assert!(check(&proof, &[(HEADER, &[0xc3, 0x28, 0xff])], BODY).is_err());
}

#[test]
fn the_name_of_the_header_is_a_setting_and_has_no_case() {
    let proof = bring(json!("first-secret"), json!({ "webhook_header": "X-Hub-Secret" })).proof(&[]);
    assert!(check(&proof, &[("x-hub-secret", b"first-secret")], BODY).is_ok());
    assert!(check(&proof, &[(HEADER, b"first-secret")], BODY).is_err());
    let mut shouted = HeaderMap::new();
    let name = http::HeaderName::from_bytes(b"X-HUB-SECRET").unwrap();
    shouted.insert(name, "first-secret".parse().unwrap());
    let incoming = Incoming {
        method: http::Method::POST,
        uri: "/in/bring".into(),
        origin: String::new(),
        headers: shouted,
        body: BODY.into(),
    };
    assert!(proof.check(incoming, "2026-11-20T10:00:00Z".parse().unwrap()).is_ok());
}

#[test]
fn a_genuine_request_without_sense_is_an_error_and_no_panic() {
    let bring = bring(json!("first-secret"), json!({}));
    let proof = bring.proof(&[]);
    let bodies: [&[u8]; 5] = [
        &[0xff, 0xfe],
        b"{}",
        br#"{"status":"X","created":"yesterday"}"#,
        b"null",
        br#"{"status":"X","created":"2026-11-20T09:45:25+0000"}"#,
    ];
    for body in bodies {
        let verified = check(&proof, &[(HEADER, b"first-secret")], Bytes::from_static(body)).unwrap();
        assert!(bring.changes(&verified).is_err());
    }
}

#[test]
fn one_event_has_one_key_however_often_it_is_sent() {
    let bring = bring(json!("first-secret"), json!({}));
    let proof = bring.proof(&[]);
    let key = |body: &str| {
        let verified = check(&proof, &[(HEADER, b"first-secret")], body.to_owned()).unwrap();
        bring.delivery_key(&verified)
    };
    assert_eq!(key(BODY), key(&BODY.replace("e-1", "e-2")));
    assert_ne!(key(BODY), key(&BODY.replace("DELIVERED", "RETURN")));
    assert_ne!(key(BODY), key(&BODY.replace("09:45", "09:46")));
}
