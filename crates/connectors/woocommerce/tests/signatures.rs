//! Signatures of webhooks, and the ping that has none.
#![allow(clippy::unwrap_used)]

use http::{HeaderValue, Method};
use serde_json::{Value, json};
use spindel_connect::{Connection, Incoming, ParseError, Proof, Secret, Unproven, Verified, entry};
use spindel_connector_woocommerce::Woocommerce;
use spindel_model::Timestamp;
use std::sync::Arc;

const BODY: &str = r#"{"id":727,"status":"processing","currency":"NOK","total":"129.00"}"#;
const SECRET: &str = "wc_hook_secret_01";
const SIGNATURE: &str = "MJvLtRMzq1bp60knGlV67+DVPeu/xkuWb8rJBSQE24o=";

fn connection(secret: Value) -> Arc<dyn Connection> {
    let settings = json!({
        "url": "https://shop.example.no", "consumer_key": "ck_x", "consumer_secret": "cs_y", "webhook_secret": secret,
    });
    (entry::<Woocommerce>().connect)(settings).unwrap().0
}

fn proof(secret: Value) -> Proof {
    connection(secret).proof(&[]).unwrap()
}

fn incoming(body: &[u8], headers: &[(&'static str, &str)]) -> Incoming {
    spindel_testkit::post("/in/shop", headers, body.to_vec())
}

fn signed(signature: &str) -> Incoming {
    incoming(BODY.as_bytes(), &[("x-wc-webhook-signature", signature), ("x-wc-webhook-topic", "order.updated")])
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn check(secret: Value, request: Incoming) -> Result<Verified, Unproven> {
    proof(secret).check(request, at("2026-11-20T10:00:00Z"))
}

#[test]
fn known_signatures_hold_in_the_form_of_every_version() {
    for (secret, signature) in [
        (SECRET, SIGNATURE),
        // Newer versions sign with the secret as it was typed, older ones with its HTML form.
        ("a&b'c", "O6gkggba5N9Gj31armIuSKnmbA2N8sbbbnSaMhF6/CQ="),
        ("a&b'c", "6Kz6cw6ibKgGIL8ModF4AI2XuX1CGbRSuN05UkoUw+8="),
    ] {
        check(json!(secret), signed(signature)).unwrap();
    }
}

#[test]
fn no_time_is_signed_so_an_old_request_is_believed_and_the_key_finds_it_again() {
    for now in ["2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z"] {
        proof(json!(SECRET)).check(signed(SIGNATURE), at(now)).unwrap();
    }
    let shop = connection(json!(SECRET));
    let first = check(json!(SECRET), signed(SIGNATURE)).unwrap();
    let again = check(json!(SECRET), signed(SIGNATURE)).unwrap();
    assert_eq!(shop.delivery_key(&first), shop.delivery_key(&again));
}

#[test]
fn another_secret_is_refused_and_while_it_changes_both_are_accepted() {
    assert_eq!(check(json!("wc_hook_secret_02"), signed(SIGNATURE)).unwrap_err(), Unproven::NoMatch);
    check(json!(["wc_hook_secret_02", SECRET]), signed(SIGNATURE)).unwrap();
    check(json!([SECRET, "wc_hook_secret_02"]), signed(SIGNATURE)).unwrap();
    let kept = connection(json!("wc_hook_secret_02")).proof(&[Secret::new(SECRET)]).unwrap();
    kept.check(signed(SIGNATURE), at("2026-11-20T10:00:00Z")).unwrap();
}

#[test]
fn one_flipped_bit_anywhere_is_refused() {
    let original = signed(SIGNATURE);
    for byte in 0..original.body.len() {
        for bit in 0..8 {
            let mut body = original.body.to_vec();
            body[byte] ^= 1 << bit;
            assert!(check(json!(SECRET), Incoming { body: body.into(), ..original.clone() }).is_err(), "{byte} {bit}");
        }
    }
}

#[test]
fn the_case_of_header_names_does_not_matter() {
    let mut request = signed(SIGNATURE);
    request.headers.clear();
    for (name, value) in [("X-WC-Webhook-Signature", SIGNATURE), ("X-Wc-Webhook-Topic", "order.updated")] {
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers.insert(name, HeaderValue::from_str(value).unwrap());
    }
    let verified = check(json!(SECRET), request).unwrap();
    assert_eq!(connection(json!(SECRET)).topic(&verified).unwrap().unwrap(), "order.updated");
}

#[test]
fn missing_huge_and_senseless_signatures_are_refused() {
    let bare = incoming(BODY.as_bytes(), &[("x-wc-webhook-topic", "order.updated")]);
    assert_eq!(check(json!(SECRET), bare).unwrap_err(), Unproven::SignatureMissing);
    let huge = "A".repeat(256 * 1024);
    for signature in [huge.as_str(), "", "not base64!", "c2hvcnQ="] {
        assert_eq!(check(json!(SECRET), signed(signature)).unwrap_err(), Unproven::SignatureMalformed);
    }
    let hex = "309bcbb51333ab56e9eb49271a557aefe0d53deb bf c64b966fcac9052404db8a";
    assert!(check(json!(SECRET), signed(hex)).is_err());
}

#[test]
fn a_body_that_is_no_text_is_proved_by_its_bytes_and_then_not_understood() {
    let proof = proof(json!(SECRET));
    let now = at("2026-11-20T10:00:00Z");
    let mut request = incoming(&[0xff, 0xfe, 0x00, 0x80], &[("x-wc-webhook-topic", "order.updated")]);
    proof.sign(&mut request, now).unwrap();
    let verified = proof.check(request, now).unwrap();
    assert!(connection(json!(SECRET)).changes(&verified).unwrap().is_err());
}

#[test]
fn two_deliveries_of_one_second_are_told_apart_by_topic_and_a_second_deletion_by_its_id() {
    let shop = connection(json!(SECRET));
    let key = |topic: &str, delivery: &str| {
        let headers = [
            ("x-wc-webhook-topic", topic),
            ("x-wc-webhook-delivery-id", delivery),
            ("x-wc-webhook-source", "https://shop.example.no/"),
        ];
        let request = incoming(BODY.as_bytes(), &headers);
        shop.delivery_key(&Verified::from_store(request.headers, request.body)).unwrap()
    };
    assert_ne!(key("order.created", "d1"), key("order.updated", "d1"));
    assert_eq!(key("order.updated", "d1"), key("order.updated", "d2"));
    assert_ne!(key("order.deleted", "d1"), key("order.deleted", "d2"));
}

#[test]
fn the_unsigned_ping_of_a_new_webhook_is_answered_and_nothing_else_is() {
    let shop = connection(json!(SECRET));
    let answer = shop.challenge(&incoming(b"webhook_id=123", &[])).unwrap();
    assert_eq!(answer.status, http::StatusCode::OK);
    for body in ["", "webhook_id=", "webhook_id=12a", "webhook_id=1&id=2", "webhook_id=123\n", BODY] {
        assert!(shop.challenge(&incoming(body.as_bytes(), &[])).is_none(), "{body}");
    }
    assert!(shop.challenge(&incoming(b"webhook_id=1", &[("x-wc-webhook-signature", SIGNATURE)])).is_none());
    let get = Incoming { method: Method::GET, ..incoming(b"webhook_id=123", &[]) };
    assert!(shop.challenge(&get).is_none());
}

#[test]
fn a_webhook_whose_maker_lost_the_rights_says_so() {
    let body = br#"{"code":"woocommerce_rest_cannot_view","message":"Sorry","data":{"status":401}}"#;
    let request = incoming(body, &[("x-wc-webhook-topic", "order.updated")]);
    let error = connection(json!(SECRET)).changes(&Verified::from_store(request.headers, request.body)).unwrap().unwrap_err();
    assert!(matches!(&error, ParseError::Content(text) if text.contains("woocommerce_rest_cannot_view")), "{error}");
}
