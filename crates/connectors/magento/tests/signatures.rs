//! How what comes in proves itself: the published examples, and what strangers and mistakes may make of them.
#![allow(clippy::unwrap_used)]

use http::Method;
use serde_json::{Value, json};
use spindel_connect::{Connection, Incoming, Proof, Unproven, Verified, entry};
use spindel_connector_magento::Magento;
use spindel_model::{Record, Timestamp, Topic};
use std::sync::Arc;

/// Published by Adobe with its own library.
const EVENT: &str = r#"{"event_id":"eventId1","event":{"hello":"world"},"recipient_client_id":"client_id1"}"#;
const EVENT_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArGwUIIdaBSUrZq4V24cL
R3I19gel9uBBmXE3lt4oVHF0lMsHnA72cJNf/IPFYDWElM/tE4bat8p78O2ZQpus
6nzi/ISfSWprWhvTuI5sKx6CVgbRIzUM6VTIcvo8o3PK49HbgacRiUABZ1uNo7Cz
Pfmu5xAY+l2Ie1Dt8yperotKAKJmuPYeFWKGe9tzbPYgFluCy8DjPp2gGsmjsorR
/CVRJq8fWl5aTLha+ZHSTuyNY+RQhC/fZ7CHf89EdSvonyu6W7/SJmSf9DGGjmX0
HJNREqdTE9QdbSBMfNn/pa9fCGwR3yEoAZCkfVG06Xx02vOI0Q1RAkf2tGhO4bsZ
cwIDAQAB
-----END PUBLIC KEY-----";
const EVENT_SIGNATURE: &str = "Hgq9NEIAtFItHQfHYi2x94zAaHG7088PUDLdpSTdsFjLPD+IJCrKpSf4bxNeh3vHmMqj6zUVYfFEYvgI0riJNx12b3wIMHhoa/MxQGzzCcN4GnB/LVaTm9/1LZSxKpyR34FhaaYxbN3u3dSE60zk5swjzMKUFRmFiiE6k0knjcM+e0E3f1g9kFXgy/dUIOlty4SlS3hbv1UHS/BYXakH7d0lb4mrNxHIGNuIyFRmMpbZ4KyXDJo5nCQqvW0dZKAikpavf58/S8xbYyhJTImNJaUMZYQ5m8KD6H1ME48Hr3Q+Vgte9cXrTCreK1tVqCCy/ZaQGC7Z/qPOC+D849hi9g==";

/// Made with openssl, over the base64 of the body.
const WEBHOOK: &str = r#"{"order":{"increment_id":"000000042","grand_total":129.0}}"#;
const WEBHOOK_KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAl1aD7UIi/XnpdetdVdBJ
ddGI7NLJaPlYgeu8oX8cLsWWBhXVx0RGh4rT77OGDZsdNkVCZddNaZyJwbYBzf1W
UStzeaQ2JsrU6w9qghytIyO5l0vd+XqTU4RBtGWc0sDQKxyOwJvUC86RpSGkQtot
nrrG2ujk3rpuH8o+7MDHFZNa67BeMH/uxvXCLijP9WQHiiEeODTUawF+WG2UStBD
88s1K7Ah90CwfBsoAZ2Lfs3oNomiCYQ7kx9Jcgm3EyxcJvBe2zKtUbch6js3jn0U
/1J6pdERHuvuGG3OsnODNFyRJBVec2fm1MvIO7bV82wwRPoJelAB8uVV/gY4XZMv
VwIDAQAB
-----END PUBLIC KEY-----";
const WEBHOOK_SIGNATURE: &str = "diV0+GK9IMdtdA2fYxE+XRmjbfwb27bnV6tG9wmAXxxpiHWuaehVzEMribD15kURrm0vTV/xLMzOYvZzUPHbYjBKBu9ahNDBOTFYvw7/BM2g+a1L2bLxR7+fnRvnGqSLJCVST/hO9lk1wwjcuF0uSy0CzU7XI26GtBFUJlCz10V5oi6VznDZmj4dPYsxTBPOjiRMHu6RbFJYm0FUVv6yhi5uvo9ecsRkYVQ46Ub30jHoXOj3XhtfaciqWtR5yukhXvkmI0rSi3OpRAWaRymud+zCKYkEuYj7dUhwg/suWBEYxXSCvfwvWMS24F9jO7qepkF/chOCD4uQIb8osyb7dQ==";

fn connection(events: Value) -> Arc<dyn Connection> {
    let mut settings = json!({ "url": "https://shop.example.no", "access_token": "t", "currency": "NOK" });
    for (key, value) in events.as_object().unwrap() {
        settings[key] = value.clone();
    }
    (entry::<Magento>().connect)(settings).unwrap().0
}

fn events() -> Value {
    json!({ "events": "io-events", "client_id": "client_id1", "public_keys": [EVENT_KEY] })
}

fn webhooks() -> Value {
    json!({ "events": "commerce-webhooks", "public_keys": [WEBHOOK_KEY] })
}

fn incoming(uri: &str, body: &[u8], headers: &[(&str, &str)]) -> Incoming {
    spindel_testkit::post(uri, headers, body.to_vec())
}

fn event() -> Incoming {
    incoming("/in/shop", EVENT.as_bytes(), &[("x-adobe-digital-signature-1", EVENT_SIGNATURE)])
}

fn webhook() -> Incoming {
    let uri = "/in/shop?hook=observer.sales_order_save_after";
    incoming(uri, WEBHOOK.as_bytes(), &[("x-adobe-commerce-webhook-signature", WEBHOOK_SIGNATURE)])
}

fn now() -> Timestamp {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

fn proof(settings: Value) -> Proof {
    connection(settings).proof(&[]).unwrap()
}

fn check(settings: Value, request: Incoming) -> Result<Verified, Unproven> {
    proof(settings).check(request, now())
}

#[test]
fn the_published_event_holds_with_either_of_its_signatures() {
    check(events(), event()).unwrap();
    let second = [("x-adobe-digital-signature-1", "c3RhbGU="), ("x-adobe-digital-signature-2", EVENT_SIGNATURE)];
    check(events(), incoming("/in/shop", EVENT.as_bytes(), &second)).unwrap();
}

#[test]
fn the_published_webhook_holds_over_the_base64_of_its_body() {
    check(webhooks(), webhook()).unwrap();
}

#[test]
fn keys_that_change_are_both_accepted_and_another_one_is_not() {
    let both = json!({ "events": "io-events", "client_id": "client_id1", "public_keys": [WEBHOOK_KEY, EVENT_KEY] });
    check(both, event()).unwrap();
    let other = json!({ "events": "io-events", "client_id": "client_id1", "public_keys": [WEBHOOK_KEY] });
    assert_eq!(check(other, event()).unwrap_err(), Unproven::NoMatch);
    let other = json!({ "events": "commerce-webhooks", "public_keys": [EVENT_KEY] });
    assert_eq!(check(other, webhook()).unwrap_err(), Unproven::NoMatch);
}

#[test]
fn published_keys_are_asked_for_at_adobe_alone() {
    let settings = json!({ "events": "io-events", "client_id": "client_id1" });
    let path = "/prod/keys/pub-key-2fd0c8a0-0001.pem";
    let mut asked = event();
    asked.headers.insert("x-adobe-public-key1-path", path.parse().unwrap());
    let mut proof = proof(settings);
    assert!(proof.check(asked.clone(), now()).is_err(), "no key is known yet");
    let wanted = proof.wanted_keys(&asked);
    assert_eq!(wanted, [format!("https://static.adobeioevents.com{path}")]);
    for stray in
        ["https://evil.example/prod/keys/pub-key-1.pem", "/prod/keys/../../evil.pem", "/dev/keys/pub-key-1.pem", "//evil"]
    {
        let mut asked = event();
        asked.headers.insert("x-adobe-public-key1-path", stray.parse().unwrap());
        assert!(proof.wanted_keys(&asked).is_empty(), "{stray}");
    }
    proof.supply(&[(wanted[0].clone(), EVENT_KEY.to_owned())]);
    proof.check(asked, now()).unwrap();
}

#[test]
fn one_flipped_bit_anywhere_is_refused() {
    for (settings, original) in [(events(), event()), (webhooks(), webhook())] {
        let proof = proof(settings);
        for byte in 0..original.body.len() {
            let mut body = original.body.to_vec();
            body[byte] ^= 1 << (byte % 8);
            assert!(proof.check(Incoming { body: body.into(), ..original.clone() }, now()).is_err(), "{byte}");
        }
    }
}

#[test]
fn no_time_is_signed_so_an_old_event_is_believed_and_its_id_finds_it_again() {
    for then in ["2020-01-01T00:00:00Z", "2040-01-01T00:00:00Z"] {
        proof(events()).check(event(), then.parse().unwrap()).unwrap();
    }
    let shop = connection(events());
    let key = |delivery: &str| {
        let headers = [("x-adobe-event-id", "e1"), ("x-adobe-delivery-id", delivery), ("x-adobe-retry-count", "1")];
        let request = incoming("/in/shop", EVENT.as_bytes(), &headers);
        shop.delivery_key(&Verified::from_store(request.headers, request.body)).unwrap()
    };
    assert_eq!(key("first"), key("second"));
    let bare = check(events(), event()).unwrap();
    assert_eq!(shop.delivery_key(&bare).unwrap(), "eventId1");
}

#[test]
fn missing_huge_and_senseless_signatures_are_refused() {
    let bare = incoming("/in/shop", EVENT.as_bytes(), &[]);
    assert_eq!(check(events(), bare).unwrap_err(), Unproven::SignatureMissing);
    let huge = "A".repeat(256 * 1024);
    for text in [huge.as_str(), "not base64!"] {
        let request = incoming("/in/shop", EVENT.as_bytes(), &[("x-adobe-digital-signature-1", text)]);
        assert_eq!(check(events(), request).unwrap_err(), Unproven::SignatureMalformed);
    }
    let empty = incoming("/in/shop", b"", &[("x-adobe-digital-signature-1", EVENT_SIGNATURE)]);
    assert_eq!(check(events(), empty).unwrap_err(), Unproven::EmptyBody);
}

#[test]
fn the_case_of_header_names_does_not_matter() {
    let request = incoming("/in/shop", EVENT.as_bytes(), &[("X-Adobe-Digital-Signature-1", EVENT_SIGNATURE)]);
    check(events(), request).unwrap();
}

#[test]
fn a_body_that_is_no_text_is_refused_and_would_not_be_understood() {
    let raw = [0xff, 0xfe, 0x00, 0x80];
    let request = incoming("/in/shop", &raw, &[("x-adobe-digital-signature-1", EVENT_SIGNATURE)]);
    assert!(check(events(), request.clone()).is_err());
    let shop = connection(events());
    assert!(shop.changes(&Verified::from_store(request.headers, request.body)).unwrap().is_err());
}

#[test]
fn a_webhook_without_signature_has_a_secret_in_its_header() {
    let settings = |secret: Value| json!({ "events": "commerce-webhooks", "webhook_token": secret });
    let request = |secret: &str| incoming("/in/shop", WEBHOOK.as_bytes(), &[("x-spindel-token", secret)]);
    check(settings(json!("s3cret")), request("s3cret")).unwrap();
    check(settings(json!(["new", "s3cret"])), request("s3cret")).unwrap();
    assert!(check(settings(json!("s3cret")), request("s3cres")).is_err());
    assert!(check(settings(json!("s3cret")), webhook()).is_err());
}

#[test]
fn a_shop_that_sends_nothing_is_not_believed_anything() {
    for request in [event(), webhook()] {
        assert!(check(json!({}), request).is_err());
    }
}

#[test]
fn an_event_for_another_client_is_not_taken_for_ours() {
    let settings = json!({ "events": "io-events", "client_id": "client_id2", "public_keys": [EVENT_KEY] });
    let verified = check(settings.clone(), event()).unwrap();
    let error = connection(settings).changes(&verified).unwrap().unwrap_err();
    assert!(error.to_string().contains("another client"), "{error}");
}

#[test]
fn a_webhook_means_the_record_of_its_hook() {
    let shop = connection(webhooks());
    let told = |body: Value| {
        let settings = json!({ "events": "commerce-webhooks", "webhook_token": "s" });
        let text = body.to_string();
        let uri = "/in/shop?hook=observer.sales_order_save_after";
        let verified = check(settings, incoming(uri, text.as_bytes(), &[("x-spindel-token", "s")])).unwrap();
        assert_eq!(shop.topic(&verified).unwrap().unwrap(), "observer.sales_order_save_after");
        shop.changes(&verified).unwrap()
    };
    let fields = json!({ "entity_id": "42", "state": "canceled", "updated_at": "2026-11-20 10:15:04" });
    for body in [fields.clone(), json!({ "order": fields }), json!({ "data": { "order": fields } })] {
        let changes = told(body).unwrap();
        assert_eq!((changes[0].topic, changes[0].entity.id.as_str()), (Topic::OrderCancelled, "42"));
        assert_eq!(changes[0].record, Record::Nudge);
    }
    // The published body has no id.
    assert!(told(serde_json::from_str(WEBHOOK).unwrap()).unwrap_err().to_string().contains("`entity_id`"));
    let nameless = check(webhooks(), Incoming { uri: "/in/shop".into(), ..webhook() }).unwrap();
    assert!(shop.topic(&nameless).unwrap().is_err());
}

#[test]
fn the_challenge_of_a_new_registration_is_echoed_and_nothing_else_is() {
    let shop = connection(events());
    let ask = |query: &str| Incoming { method: Method::GET, ..incoming(&format!("/in/shop{query}"), b"", &[]) };
    let answer = shop.challenge(&ask("?challenge=8ec8d794-e0ab-42df-9017-e3dada8e84f7")).unwrap();
    assert_eq!((answer.status, answer.content_type), (http::StatusCode::OK, "text/plain"));
    assert_eq!(answer.body, "8ec8d794-e0ab-42df-9017-e3dada8e84f7");
    let long = format!("?challenge={}", "a".repeat(300));
    for query in ["", "?challenge=", "?challenge=%3Cscript%3E", "?other=1", long.as_str()] {
        assert!(shop.challenge(&ask(query)).is_none(), "{query}");
    }
    let post = Incoming { method: Method::POST, ..ask("?challenge=abc") };
    assert!(shop.challenge(&post).is_none());
    assert!(connection(json!({})).challenge(&ask("?challenge=abc")).is_none());
}
