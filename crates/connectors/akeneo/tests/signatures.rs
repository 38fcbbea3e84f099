//! How events prove themselves, and what strangers and mistakes may make of them.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::json;
use spindel_connect::{Connector, Incoming, Proof, Receive, Unproven};
use spindel_connector_akeneo::Akeneo;
use spindel_model::Timestamp;

/// Reckoned apart from this program: hex of HMAC-SHA256 over the body.
const BODY: &str = r#"{"specversion":"1.0","id":"e-1","type":"com.akeneo.pim.v1.product.deleted"}"#;
const PRIMARY: (&str, &str) = ("a-primary-secret", "d23c902c465b06b2da97570762261617f697ebd89a9b321b96781a8a4abb9e43");
const SECONDARY: (&str, &str) = ("a-secondary-secret", "cfcdb4445c2630ed05780f58e95bfadb509e84907c2b5b0b83c30af0fc1220c1");

/// The same of the older Events API: over time, dot and body.
const OLDER_BODY: &str = r#"{"events":[]}"#;
const OLDER: (&str, &str) = ("an-events-api-secret", "0737aa9d820b1a02a4cb8d3cebda1cfcacb211f47d8a103d5645bce479691099");
const TIME: i64 = 1_795_168_800;

const PRIMARY_HEADER: &str = "x-akeneo-signature-primary";
const SECONDARY_HEADER: &str = "x-akeneo-signature-secondary";
const OLDER_HEADER: &str = "x-akeneo-request-signature";
const TIME_HEADER: &str = "x-akeneo-request-timestamp";

fn akeneo(secrets: &[&str]) -> Akeneo {
    let settings = json!({
        "url": "https://fjord.cloud.akeneo.com", "app_token": "t", "channel": "ecommerce", "locales": ["nb_NO"],
        "currency": "NOK", "webhook_secret": secrets, "events_api_secret": OLDER.0,
    });
    Akeneo::connect(serde_json::from_value(settings).unwrap()).unwrap().0
}

fn proof(secrets: &[&str]) -> Proof {
    akeneo(secrets).proof(&[])
}

fn incoming(body: &'static str, headers: &[(&'static str, &str)]) -> Incoming {
    spindel_testkit::post("/in/pim", headers, body)
}

/// As the Event Platform sends it, with both secrets.
fn event() -> Incoming {
    incoming(
        BODY,
        &[(PRIMARY_HEADER, PRIMARY.1), (SECONDARY_HEADER, SECONDARY.1), ("x-akeneo-signature-algorithm", "HmacSHA256")],
    )
}

fn older() -> Incoming {
    incoming(OLDER_BODY, &[(OLDER_HEADER, OLDER.1), (TIME_HEADER, &TIME.to_string())])
}

fn after(seconds: i64) -> Timestamp {
    Timestamp::from_second(TIME + seconds).unwrap()
}

fn refused(incoming: Incoming) -> Unproven {
    proof(&[PRIMARY.0]).check(incoming, after(0)).err().unwrap()
}

#[test]
fn an_event_is_believed_by_either_of_its_signatures() {
    for secrets in [&[PRIMARY.0][..], &[SECONDARY.0], &[PRIMARY.0, SECONDARY.0], &["the new one", PRIMARY.0]] {
        assert!(proof(secrets).check(event(), after(0)).is_ok(), "{secrets:?}");
    }
    for header in [PRIMARY_HEADER, SECONDARY_HEADER] {
        let alone = incoming(BODY, &[(header, PRIMARY.1)]);
        assert!(proof(&[PRIMARY.0]).check(alone, after(0)).is_ok(), "{header}");
    }
    for secrets in [&[][..], &["another"], &[""], &[OLDER.0]] {
        assert_eq!(proof(secrets).check(event(), after(0)).err(), Some(Unproven::NoMatch), "{secrets:?}");
    }
}

#[test]
fn an_event_has_no_time_and_is_believed_when_it_is_sent_again_later() {
    assert!(proof(&[PRIMARY.0]).check(event(), after(35 * 60)).is_ok());
}

#[test]
fn a_request_of_the_events_api_signs_its_time_and_five_minutes_are_allowed() {
    for (seconds, expected) in
        [(0, None), (300, None), (-300, None), (301, Some(Unproven::TooOld)), (-301, Some(Unproven::TooNew))]
    {
        assert_eq!(proof(&[PRIMARY.0]).check(older(), after(seconds)).err(), expected, "{seconds}");
    }
    let other_time = incoming(OLDER_BODY, &[(OLDER_HEADER, OLDER.1), (TIME_HEADER, "1795168801")]);
    assert_eq!(refused(other_time), Unproven::NoMatch);
    assert_eq!(refused(incoming(OLDER_BODY, &[(OLDER_HEADER, OLDER.1)])), Unproven::SignedHeaderMissing);
    let no_number = incoming(OLDER_BODY, &[(OLDER_HEADER, OLDER.1), (TIME_HEADER, "2026-11-20T10:00:00Z")]);
    assert_eq!(refused(no_number), Unproven::TimestampMalformed);
}

#[test]
fn the_secret_of_one_way_is_none_of_the_other() {
    let without_older = json!({
        "url": "https://fjord.cloud.akeneo.com", "app_token": "t", "channel": "ecommerce", "locales": ["nb_NO"],
        "currency": "NOK", "webhook_secret": OLDER.0,
    });
    let akeneo = Akeneo::connect(serde_json::from_value(without_older).unwrap()).unwrap().0;
    assert_eq!(akeneo.proof(&[]).check(older(), after(0)).err(), Some(Unproven::NoMatch));
}

#[test]
fn one_flipped_bit_of_the_body_is_noticed() {
    for (text, incoming) in [(BODY, event()), (OLDER_BODY, older())] {
        for at in 0..text.len() {
            let mut body = text.as_bytes().to_vec();
            body[at] ^= 1;
            assert_eq!(refused(Incoming { body: body.into(), ..incoming.clone() }), Unproven::NoMatch, "byte {at}");
        }
    }
}

#[test]
fn missing_doubled_and_malformed_signatures_are_refused() {
    assert_eq!(refused(incoming(BODY, &[])), Unproven::SignatureMissing);
    let huge = "a".repeat(64 * 1024);
    for value in ["", "no hex", &PRIMARY.1[..63], &PRIMARY.1[..32], huge.as_str()] {
        assert_eq!(refused(incoming(BODY, &[(PRIMARY_HEADER, value)])), Unproven::SignatureMalformed, "{} bytes", value.len());
    }
    let doubled = incoming(BODY, &[(PRIMARY_HEADER, PRIMARY.1), (PRIMARY_HEADER, PRIMARY.1)]);
    assert_eq!(refused(doubled), Unproven::HeaderDoubled);
    let mut no_text = incoming(BODY, &[]);
    no_text.headers.insert(PRIMARY_HEADER, HeaderValue::from_bytes(&[0xc3, 0x28, 0xff]).unwrap());
    assert_eq!(refused(no_text), Unproven::SignatureMalformed);
}

#[test]
fn header_names_have_no_case() {
    let mut incoming = incoming(BODY, &[]);
    let name = HeaderName::from_bytes(b"X-AKENEO-SIGNATURE-PRIMARY").unwrap();
    incoming.headers.insert(name, HeaderValue::from_static(PRIMARY.1));
    assert!(proof(&[PRIMARY.0]).check(incoming, after(0)).is_ok());
}

#[test]
fn a_body_that_is_no_text_may_be_genuine_and_means_nothing() {
    let akeneo = akeneo(&[PRIMARY.0]);
    let mut incoming = incoming(BODY, &[]);
    incoming.body = Bytes::from_static(&[0xff, 0xfe, 0x00, 0x80]);
    akeneo.proof(&[]).sign(&mut incoming, after(0)).unwrap();
    let verified = akeneo.proof(&[]).check(incoming, after(0)).unwrap();
    assert!(akeneo.topic(&verified).is_err());
    assert!(akeneo.changes(&verified).is_err());
    assert_eq!(akeneo.delivery_key(&verified), None);
}
