//! How webhooks prove themselves: the published example, and what strangers and mistakes may make of it.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::json;
use spindel_connect::{Connector, Incoming, Proof, Receive, Secret, Unproven};
use spindel_connector_vipps::Vipps;
use spindel_model::Timestamp;

/// Published with the Webhooks API.
const SECRET: &str = "A0+AeKBRG2KRGvnNwJpQlb6IJFk48CKXCIcrLoHncVJKDILsQSxS6NWCccwWm6r6FhGKhiHTBsG2wo/xU6FY/A==";
const BODY: &str = r#"{"some-unique-content":"ee6e441b-cc4a-46f8-895d-a5af79bcc233/hello-world"}"#;
const DATE: &str = "Thu, 30 Mar 2023 08:38:32 GMT";
const HASH: &str = "lNlsp1XA03N34HrQsVzPgJKtC+r7l/RBF4V3JQUWMj4=";
const AUTHORIZATION: &str =
    "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=agAiSyogQbDHpeucoNwYz+yAr5nJ+v+zasdkSbqzv+U=";

fn vipps(secrets: &[&str]) -> Vipps {
    let settings = json!({
        "merchant_serial_number": "123456", "client_id": "id", "client_secret": "s", "subscription_key": "k",
        "webhook_secrets": secrets,
    });
    Vipps::connect(serde_json::from_value(settings).unwrap()).unwrap().0
}

fn proof(secrets: &[&str]) -> Proof {
    vipps(secrets).proof(&[])
}

fn published() -> Incoming {
    let mut headers = HeaderMap::new();
    for (name, value) in [("x-ms-date", DATE), ("x-ms-content-sha256", HASH), ("authorization", AUTHORIZATION)] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Incoming {
        method: Method::POST,
        uri: "/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63".into(),
        origin: "https://webhook.site".into(),
        headers,
        body: Bytes::from_static(BODY.as_bytes()),
    }
}

fn with(name: &'static str, value: &str) -> Incoming {
    let mut incoming = published();
    incoming.headers.insert(name, HeaderValue::from_str(value).unwrap());
    incoming
}

fn then() -> Timestamp {
    "2023-03-30T08:38:32Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(then().as_second() + seconds).unwrap()
}

fn refused(incoming: Incoming) -> Unproven {
    proof(&[SECRET]).check(incoming, then()).err().unwrap()
}

#[test]
fn the_published_example_is_believed() {
    let verified = proof(&[SECRET]).check(published(), then()).unwrap();
    assert_eq!(verified.body(), BODY.as_bytes());
}

#[test]
fn signing_makes_the_published_example() {
    let mut incoming = published();
    incoming.headers.clear();
    proof(&[SECRET]).sign(&mut incoming, then()).unwrap();
    assert_eq!(incoming.headers["authorization"], AUTHORIZATION);
    assert_eq!(incoming.headers["x-ms-date"], DATE);
    assert_eq!(incoming.headers["x-ms-content-sha256"], HASH);
}

#[test]
fn a_secret_that_vipps_gave_at_the_registration_counts_beside_those_of_the_settings() {
    let kept = [Secret::new("another registration's"), Secret::new(SECRET)];
    assert!(vipps(&[]).proof(&kept).check(published(), then()).is_ok());
    assert!(vipps(&["made by hand"]).proof(&kept).check(published(), then()).is_ok());
    assert!(vipps(&["made by hand", SECRET]).proof(&[]).check(published(), then()).is_ok());
}

#[test]
fn another_secret_is_no_secret() {
    for secrets in [&[][..], &["another"], &[""], &[&SECRET[..SECRET.len() - 1]]] {
        assert_eq!(proof(secrets).check(published(), then()).err(), Some(Unproven::NoMatch), "{} secret(s)", secrets.len());
    }
}

#[test]
fn five_minutes_are_allowed_in_both_directions_and_no_second_more() {
    for (seconds, expected) in [
        (300, None),
        (-300, None),
        (301, Some(Unproven::TooOld)),
        (-301, Some(Unproven::TooNew)),
        (86_400, Some(Unproven::TooOld)),
    ] {
        assert_eq!(proof(&[SECRET]).check(published(), after(seconds)).err(), expected, "{seconds}");
    }
}

#[test]
fn a_time_that_was_moved_does_not_match() {
    assert_eq!(refused(with("x-ms-date", "Thu, 30 Mar 2023 08:38:33 GMT")), Unproven::NoMatch);
    assert_eq!(refused(with("x-ms-date", "1680165512")), Unproven::TimestampMalformed);
}

#[test]
fn one_flipped_bit_of_the_body_is_noticed() {
    for at in [0, BODY.len() / 2, BODY.len() - 1] {
        let mut body = BODY.as_bytes().to_vec();
        body[at] ^= 1;
        assert!(proof(&[SECRET]).check(Incoming { body: body.into(), ..published() }, then()).is_err(), "byte {at}");
    }
}

#[test]
fn a_body_with_its_own_hash_but_the_signature_of_another_is_refused() {
    let mut other = published();
    other.body = Bytes::from_static(b"{}");
    let mut signed = other.clone();
    proof(&[SECRET]).sign(&mut signed, then()).unwrap();
    other.headers.insert("x-ms-content-sha256", signed.headers["x-ms-content-sha256"].clone());
    assert_eq!(proof(&[SECRET]).check(other, then()).err(), Some(Unproven::NoMatch));
}

#[test]
fn another_address_or_method_does_not_match() {
    for other in [
        Incoming { uri: "/another".into(), ..published() },
        Incoming { uri: format!("{}?a=b", published().uri), ..published() },
        Incoming { origin: "https://webhook.site:8443".into(), ..published() },
        Incoming { origin: "https://another.example".into(), ..published() },
        Incoming { method: Method::PUT, ..published() },
    ] {
        assert_eq!(refused(other), Unproven::NoMatch);
    }
}

#[test]
fn a_missing_header_is_named() {
    let without = |name: &str| {
        let mut incoming = published();
        incoming.headers.remove(name);
        proof(&[SECRET]).check(incoming, then()).err().unwrap()
    };
    assert_eq!(without("authorization"), Unproven::SignatureMissing);
    for name in ["x-ms-date", "x-ms-content-sha256"] {
        assert_eq!(without(name), Unproven::SignedHeaderMissing, "{name}");
    }
}

#[test]
fn header_names_have_no_case_and_the_other_name_is_taken() {
    let mut incoming = published();
    incoming.headers.clear();
    for (name, value) in [("X-MS-DATE", DATE), ("X-Ms-Content-SHA256", HASH), ("X-Vipps-Authorization", AUTHORIZATION)] {
        incoming.headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static(value));
    }
    assert!(proof(&[SECRET]).check(incoming, then()).is_ok());
}

#[test]
fn a_signature_of_any_other_form_is_refused() {
    let bare = AUTHORIZATION.rsplit_once("Signature=").unwrap().1;
    let huge = format!("{AUTHORIZATION}{}", "A".repeat(64 * 1024));
    for value in ["", bare, "Bearer token", &AUTHORIZATION[..AUTHORIZATION.len() - 1], huge.as_str()] {
        assert_eq!(refused(with("authorization", value)), Unproven::SignatureMalformed, "{} bytes", value.len());
    }
    let mut doubled = published();
    doubled.headers.append("authorization", HeaderValue::from_static(AUTHORIZATION));
    assert_eq!(refused(doubled), Unproven::HeaderDoubled);
}

#[test]
fn a_body_that_is_no_text_may_be_genuine_and_means_nothing() {
    let vipps = vipps(&[SECRET]);
    let mut incoming = published();
    incoming.body = Bytes::from_static(&[0xff, 0xfe, 0x00, 0x80]);
    vipps.proof(&[]).sign(&mut incoming, then()).unwrap();
    let verified = vipps.proof(&[]).check(incoming, then()).unwrap();
    assert!(vipps.topic(&verified).is_err());
    assert!(vipps.changes(&verified).is_err());
    assert_eq!(vipps.delivery_key(&verified), None);
}

#[test]
fn the_same_movement_told_by_two_registrations_has_one_key() {
    let vipps = vipps(&["first", "second"]);
    let body = json!({
        "msn": "123456", "reference": "acme-order-1042", "pspReference": "1", "name": "CAPTURED", "success": true,
        "amount": { "currency": "NOK", "value": 100 }, "timestamp": "2026-11-20T09:00:00Z",
    });
    let key = |secret: &str| {
        let mut incoming = Incoming { body: body.to_string().into(), ..published() };
        proof(&[secret]).sign(&mut incoming, then()).unwrap();
        vipps.delivery_key(&vipps.proof(&[]).check(incoming, then()).unwrap())
    };
    assert_eq!(key("first").as_deref(), Some("123456/acme-order-1042/1/captured"));
    assert_eq!(key("first"), key("second"));
}
