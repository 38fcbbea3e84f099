//! How Klarna's notifications prove themselves: signed webhooks of the network, and classic calls with a secret in the address.

#![allow(clippy::unwrap_used)]

use spindel_connect::{Connector as _, Incoming, Receive as _, Secret, Unproven, Verified};
use spindel_connector_klarna::Klarna;
use spindel_model::{Record, Timestamp};

const KEY: &str = "klarna_signing_key_01";
const BODY: &str = concat!(
    r#"{"metadata":{"event_type":"payment.request.state-change.completed","event_id":"d9f9b1a0-5b1a-4b0e-9b0a-9e9b1a0d5b1a","#,
    r#""event_version":"v2","occurred_at":"2026-11-22T10:00:00Z","#,
    r#""webhook_id":"krn:partner:global:notification:webhook:120e5b7e-dee8-43ca-9858-dca726e639b5","live":false},"#,
    r#""payload":{"payment_request_id":"krn:payment:eu1:request:552603c0-fe8b-4ab1-aacb-41d55fafbdb4","state":"COMPLETED"}}"#,
);
const SIGNATURE: &str = "2d625d24bdd84a1f1586732aec16f21df68b9fb568712f3a345ce2741ce9783c";

const CALLBACK: &str = "a-secret-for-the-callback-url";
const ORDER: &str = "b71c5d0e-3f5a-4c1e-9a66-2d1f0c7e4a10";

fn klarna(more: serde_json::Value) -> Klarna {
    let mut config = serde_json::json!({ "region": "eu", "username": "K1_2", "password": "p" });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let config = serde_json::from_value(config).unwrap();
    Klarna::connect(config).map(|(it, _)| it).unwrap_or_else(|error| panic!("{error}"))
}

fn network(keys: &[&str]) -> Klarna {
    klarna(serde_json::json!({ "webhooks": "network", "signing_keys": keys }))
}

fn classic() -> Klarna {
    klarna(serde_json::json!({ "callback_secret": [CALLBACK, "the-next-secret-for-the-url"] }))
}

fn incoming(uri: &str, headers: &[(&str, &[u8])], body: &[u8]) -> Incoming {
    spindel_testkit::post(uri, headers, body.to_vec())
}

fn now() -> Timestamp {
    "2026-11-22T10:00:05Z".parse().unwrap()
}

fn signed(klarna: &Klarna, headers: &[(&str, &[u8])], body: &[u8]) -> Result<Verified, Unproven> {
    klarna.proof(&[]).check(incoming("/in/klarna", headers, body), now())
}

fn called(klarna: &Klarna, query: &str, body: &str) -> Result<Verified, Unproven> {
    klarna.proof(&[]).check(incoming(&format!("/in/klarna?{query}"), &[], body.as_bytes()), now())
}

#[test]
fn the_known_signature_is_believed_in_any_case_of_its_header() {
    for header in ["Klarna-Signature", "klarna-signature", "KLARNA-SIGNATURE"] {
        let verified = signed(&network(&[KEY]), &[(header, SIGNATURE.as_bytes())], BODY.as_bytes()).unwrap();
        assert_eq!(network(&[KEY]).topic(&verified).unwrap(), "payment.request.state-change.completed");
        let key = network(&[KEY]).delivery_key(&verified);
        assert_eq!(key.as_deref(), Some("d9f9b1a0-5b1a-4b0e-9b0a-9e9b1a0d5b1a"));
    }
}

#[test]
fn a_webhook_that_comes_hours_later_is_believed_as_klarna_signs_no_time() {
    let it = incoming("/in/klarna", &[("klarna-signature", SIGNATURE.as_bytes())], BODY.as_bytes());
    for at in ["2026-11-23T10:00:00Z", "2026-11-22T09:00:00Z"] {
        assert!(network(&[KEY]).proof(&[]).check(it.clone(), at.parse().unwrap()).is_ok(), "{at}");
    }
}

#[test]
fn old_and_new_key_are_accepted_while_they_are_changed_and_no_other() {
    let headers: &[(&str, &[u8])] = &[("klarna-signature", SIGNATURE.as_bytes())];
    assert!(signed(&network(&["the new one", KEY]), headers, BODY.as_bytes()).is_ok());
    assert_eq!(signed(&network(&["the new one"]), headers, BODY.as_bytes()).err(), Some(Unproven::NoMatch));
    let kept = network(&["the new one"]).proof(&[Secret::new(KEY)]);
    assert!(kept.check(incoming("/in/klarna", headers, BODY.as_bytes()), now()).is_ok());
}

#[test]
fn without_any_key_nothing_is_believed() {
    let headers: &[(&str, &[u8])] = &[("klarna-signature", SIGNATURE.as_bytes())];
    assert!(signed(&network(&[]), headers, BODY.as_bytes()).is_err());
}

#[test]
fn a_missing_huge_or_senseless_signature_is_refused() {
    let huge = vec![b'a'; 64 * 1024];
    assert_eq!(signed(&network(&[KEY]), &[], BODY.as_bytes()).err(), Some(Unproven::SignatureMissing));
    for value in [huge.as_slice(), b"", b"zz", &SIGNATURE.as_bytes()[..63], b"\xc3\x28"] {
        let refused = signed(&network(&[KEY]), &[("klarna-signature", value)], BODY.as_bytes());
        assert_eq!(refused.err(), Some(Unproven::SignatureMalformed), "{} bytes", value.len());
    }
    let base64 = b"LWJdJL3YSh8VhnMq7BbyHfabn7VocS86NFziQc6XijM=";
    assert!(signed(&network(&[KEY]), &[("klarna-signature", base64)], BODY.as_bytes()).is_err());
}

#[test]
fn another_body_is_refused_whether_it_is_text_or_not() {
    let headers: &[(&str, &[u8])] = &[("klarna-signature", SIGNATURE.as_bytes())];
    for body in [BODY.replace("COMPLETED", "DECLINED").as_bytes(), b"\xff\xfe\x00", &BODY.as_bytes()[1..]] {
        assert_eq!(signed(&network(&[KEY]), headers, body).err(), Some(Unproven::NoMatch));
    }
}

#[test]
fn a_push_with_the_secret_has_the_order_looked_at() {
    let query = format!("klarna_order_id={ORDER}&secret={CALLBACK}");
    let verified = called(&classic(), &query, "").unwrap();
    let changes = classic().changes(&verified).unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].entity.to_string(), &changes[0].record), (format!("transaction:{ORDER}"), &Record::Nudge));
    assert_eq!(classic().topic(&verified).unwrap(), "push");
    assert_eq!(classic().delivery_key(&verified), Some(format!("push/{ORDER}")));
}

#[test]
fn the_secret_of_a_push_is_not_kept_with_it() {
    let verified = called(&classic(), &format!("klarna_order_id={ORDER}&secret={CALLBACK}"), "").unwrap();
    assert_eq!(verified.query("secret"), None);
    assert!(verified.headers().values().all(|value| !String::from_utf8_lossy(value.as_bytes()).contains(CALLBACK)));
}

#[test]
fn a_push_without_the_secret_or_with_another_is_refused() {
    for query in
        ["", &format!("klarna_order_id={ORDER}"), &format!("klarna_order_id={ORDER}&secret=guessed-and-long-enough"), "secret="]
    {
        assert!(called(&classic(), query, "").is_err(), "{query}");
    }
    assert!(called(&classic(), &format!("klarna_order_id={ORDER}&secret=the-next-secret-for-the-url"), "").is_ok());
}

#[test]
fn a_fraud_review_that_ended_has_the_order_looked_at_whatever_it_claims() {
    let body = format!(r#"{{"order_id":"{ORDER}","event_type":"FRAUD_RISK_REJECTED"}}"#);
    let verified = called(&classic(), &format!("secret={CALLBACK}"), &body).unwrap();
    assert_eq!(classic().topic(&verified).unwrap(), "FRAUD_RISK_REJECTED");
    assert_eq!(classic().delivery_key(&verified), Some(format!("FRAUD_RISK_REJECTED/{ORDER}")));
    let changes = classic().changes(&verified).unwrap();
    assert_eq!((changes[0].entity.id.as_str(), &changes[0].record), (ORDER, &Record::Nudge));
}

#[test]
fn an_authorised_session_has_no_order_yet_and_means_nothing() {
    let body = r#"{"authorization_token":"6c1d…","session_id":"0e9b8c7d-0000-4111-8222-333344445555"}"#;
    let verified = called(&classic(), &format!("secret={CALLBACK}"), body).unwrap();
    assert_eq!((classic().topic(&verified).unwrap().as_str(), classic().changes(&verified).unwrap().len()), ("authorization", 0));
}

#[test]
fn a_push_that_names_no_order_says_what_its_url_must_hold() {
    let verified = called(&classic(), &format!("secret={CALLBACK}"), "").unwrap();
    let error = classic().changes(&verified).unwrap_err().to_string();
    assert!(error.contains("klarna_order_id={checkout.order.id}"), "{error}");
}

#[test]
fn what_is_no_id_never_becomes_part_of_a_path() {
    for id in ["..%2F..%2Fsettlements", "a%2Fcancel", "x%3Fy", "%20"] {
        let verified = called(&classic(), &format!("klarna_order_id={id}&secret={CALLBACK}"), "").unwrap();
        assert!(classic().changes(&verified).is_err(), "{id}");
    }
}

#[test]
fn a_body_of_a_callback_that_is_no_json_is_an_error() {
    let verified = klarna(serde_json::json!({ "callback_secret": CALLBACK }))
        .proof(&[])
        .check(incoming(&format!("/in/klarna?secret={CALLBACK}"), &[], b"\xff\xfe"), now())
        .unwrap();
    assert!(classic().changes(&verified).is_err());
}
