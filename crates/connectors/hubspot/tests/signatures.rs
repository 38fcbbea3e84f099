//! How webhooks prove themselves, and what strangers and mistakes may make of them.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde_json::json;
use spindel_connect::{Connector, Incoming, Proof, Receive, Unproven};
use spindel_connector_hubspot::Hubspot;
use spindel_model::Timestamp;

/// Reckoned apart from this program: base64 of HMAC-SHA256 over `POST`, the address, the body and the time.
const SECRET: &str = "an-app-secret";
const BODY: &str = r#"[{"eventId":1}]"#;
const TIME: &str = "1795168800000";
const SIGNATURE: &str = "mWtFv0T0hgNINXaN5Tzfe1kD0azhAEuw5QwiwtTMw+0=";

fn hubspot(secrets: &[&str]) -> Hubspot {
    let settings = json!({ "access_token": "t", "client_secret": secrets });
    Hubspot::connect(serde_json::from_value(settings).unwrap()).unwrap().0
}

fn proof(secrets: &[&str]) -> Proof {
    hubspot(secrets).proof(&[])
}

fn known() -> Incoming {
    let headers = [("x-hubspot-signature-v3", SIGNATURE), ("x-hubspot-request-timestamp", TIME)];
    spindel_testkit::post("/in/crm?a=b", &headers, BODY)
}

fn after(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(TIME.parse::<i64>().unwrap() + millis).unwrap()
}

fn refused(incoming: Incoming) -> Unproven {
    proof(&[SECRET]).check(incoming, after(0)).err().unwrap()
}

fn with(name: &'static str, value: &str) -> Incoming {
    let mut incoming = known();
    incoming.headers.insert(name, HeaderValue::from_str(value).unwrap());
    incoming
}

#[test]
fn a_known_signature_is_believed_and_made() {
    assert!(proof(&[SECRET]).check(known(), after(0)).is_ok());
    let mut incoming = known();
    incoming.headers.clear();
    proof(&[SECRET]).sign(&mut incoming, after(0)).unwrap();
    assert_eq!(incoming.headers["x-hubspot-signature-v3"], SIGNATURE);
    assert_eq!(incoming.headers["x-hubspot-request-timestamp"], TIME);
}

#[test]
fn both_secrets_are_accepted_while_one_is_being_changed_and_no_other() {
    assert!(proof(&["the new one", SECRET]).check(known(), after(0)).is_ok());
    for secrets in [&[][..], &["another"], &[""]] {
        assert_eq!(proof(secrets).check(known(), after(0)).err(), Some(Unproven::NoMatch), "{secrets:?}");
    }
}

#[test]
fn five_minutes_are_allowed_in_both_directions_and_no_more() {
    for (millis, expected) in
        [(300_000, None), (-300_000, None), (300_001, Some(Unproven::TooOld)), (-300_001, Some(Unproven::TooNew))]
    {
        assert_eq!(proof(&[SECRET]).check(known(), after(millis)).err(), expected, "{millis}");
    }
}

#[test]
fn what_is_signed_cannot_be_changed() {
    for other in [
        Incoming { uri: "/in/crm".into(), ..known() },
        Incoming { origin: "http://hooks.example.no".into(), ..known() },
        Incoming { origin: "https://another.example".into(), ..known() },
        Incoming { method: Method::PUT, ..known() },
        Incoming { body: Bytes::from_static(br#"[{"eventId":2}]"#), ..known() },
        with("x-hubspot-request-timestamp", "1795168800001"),
    ] {
        assert_eq!(refused(other), Unproven::NoMatch);
    }
}

#[test]
fn one_flipped_bit_of_the_body_is_noticed() {
    for at in 0..BODY.len() {
        let mut body = BODY.as_bytes().to_vec();
        body[at] ^= 1;
        assert_eq!(refused(Incoming { body: body.into(), ..known() }), Unproven::NoMatch, "byte {at}");
    }
}

#[test]
fn the_older_signatures_are_not_accepted() {
    let mut older = known();
    older.headers.remove("x-hubspot-signature-v3");
    older.headers.insert("x-hubspot-signature", HeaderValue::from_static(SIGNATURE));
    older.headers.insert("x-hubspot-signature-version", HeaderValue::from_static("v2"));
    assert_eq!(refused(older), Unproven::SignatureMissing);
}

#[test]
fn missing_and_malformed_headers_are_refused() {
    let mut timeless = known();
    timeless.headers.remove("x-hubspot-request-timestamp");
    assert_eq!(refused(timeless), Unproven::SignedHeaderMissing);
    assert_eq!(refused(with("x-hubspot-request-timestamp", "Fri, 20 Nov 2026 10:00:00 GMT")), Unproven::TimestampMalformed);
    let huge = "A".repeat(64 * 1024);
    for value in ["", "v3", &SIGNATURE[..40], huge.as_str()] {
        assert_eq!(refused(with("x-hubspot-signature-v3", value)), Unproven::SignatureMalformed, "{} bytes", value.len());
    }
    let mut doubled = known();
    doubled.headers.append("x-hubspot-signature-v3", HeaderValue::from_static(SIGNATURE));
    assert_eq!(refused(doubled), Unproven::HeaderDoubled);
}

#[test]
fn header_names_have_no_case() {
    let mut incoming = known();
    incoming.headers.clear();
    for (name, value) in [("X-HubSpot-Signature-v3", SIGNATURE), ("X-HUBSPOT-REQUEST-TIMESTAMP", TIME)] {
        incoming.headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value));
    }
    assert!(proof(&[SECRET]).check(incoming, after(0)).is_ok());
}

#[test]
fn a_body_that_is_no_text_may_be_genuine_and_means_nothing() {
    let hubspot = hubspot(&[SECRET]);
    let mut incoming = known();
    incoming.body = Bytes::from_static(&[0xff, 0xfe, 0x00, 0x80]);
    hubspot.proof(&[]).sign(&mut incoming, after(0)).unwrap();
    let verified = hubspot.proof(&[]).check(incoming, after(0)).unwrap();
    assert!(hubspot.topic(&verified).is_err());
    assert!(hubspot.changes(&verified).is_err());
    assert_eq!(hubspot.delivery_key(&verified), None);
}
