//! Signatures, keys and versions of webhooks; what they mean is shown by the fixtures.

use super::*;
use bytes::Bytes;
use http::HeaderMap;
use spindel_connect::{Connector, Incoming, Secret, Secrets, Unproven};

fn shop(secrets: &[&str]) -> Shopify {
    let (first, rest) = secrets.split_first().unwrap();
    let mut config: crate::Config = serde_json::from_value(json!({
        "shop": "fjell.myshopify.com", "client_id": "id", "client_secret": first,
    }))
    .unwrap();
    config.webhook_secrets = Secrets::Several(rest.iter().map(|secret| Secret::new(*secret)).collect());
    Shopify::connect(config).map(|(shop, _)| shop).unwrap_or_else(|error| panic!("{error}"))
}

fn incoming(headers: &[(&'static str, &str)], body: &str) -> Incoming {
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    Incoming {
        method: http::Method::POST,
        uri: "/in/shop".into(),
        origin: "https://hooks.example.no".into(),
        headers,
        body: Bytes::from(body.to_owned()),
    }
}

fn delivery(headers: &[(&'static str, &str)], body: &str) -> Verified {
    let it = incoming(headers, body);
    Verified::from_store(it.headers, it.body)
}

fn check(shop: &Shopify, headers: &[(&'static str, &str)], body: &str) -> Result<Verified, Unproven> {
    shop.proof(&[]).check(incoming(headers, body), Timestamp::UNIX_EPOCH)
}

const KITTIES: (&str, &str, &str) = ("kitties are cute", r#"{"foo": "bar"}"#, "whZTLhA7huY97fFO2wQU8i6CSxBGsM289q1MWkxqp2g=");
const HUSH: (&str, &str, &str) =
    ("hush", r##"{"id":820982911946154508,"name":"#1001"}"##, "Mkf2s8BiWQBb/dlay3RDP15QWaH8IejS3UDTmBxVmfo=");

#[test]
fn known_signatures_are_believed_under_either_header_name() {
    for (secret, body, signature) in [KITTIES, HUSH] {
        for header in ["x-shopify-hmac-sha256", "shopify-hmac-sha256"] {
            assert!(check(&shop(&[secret]), &[(header, signature)], body).is_ok(), "{secret}");
        }
        let other = check(&shop(&["another"]), &[("x-shopify-hmac-sha256", signature)], body);
        assert_eq!(other.err(), Some(Unproven::NoMatch));
    }
}

#[test]
fn a_second_secret_is_accepted_while_the_first_is_being_changed() {
    let (secret, body, signature) = HUSH;
    assert!(check(&shop(&["new", "made by hand", secret]), &[("x-shopify-hmac-sha256", signature)], body).is_ok());
}

#[test]
fn one_event_that_concerns_two_topics_has_two_keys_and_a_retry_has_the_same() {
    let shop = shop(&["s"]);
    let key = |topic: &str, webhook: &str| {
        let headers = [("x-shopify-topic", topic), ("x-shopify-event-id", "e1"), ("x-shopify-webhook-id", webhook)];
        shop.delivery_key(&delivery(&headers, "{}"))
    };
    assert_eq!(key("orders/create", "w1"), key("orders/create", "w2"));
    assert_ne!(key("orders/create", "w1"), key("orders/updated", "w1"));
    let bare = delivery(&[("x-shopify-topic", "orders/create"), ("x-shopify-webhook-id", "w1")], "{}");
    assert_eq!(shop.delivery_key(&bare).as_deref(), Some("orders/create:w1"));
}

fn version_of(topic: &'static str, triggered_at: Option<&str>) -> i64 {
    let mut headers = vec![("x-shopify-topic", topic)];
    headers.extend(triggered_at.map(|at| ("x-shopify-triggered-at", at)));
    version(&delivery(&headers, "{}"), "2026-11-20T10:15:02Z".parse().unwrap()).0
}

#[test]
fn changes_within_one_second_are_ordered_by_when_they_were_triggered() {
    let base = version_of("orders/create", None);
    assert_eq!(version_of("orders/create", Some("2026-11-20T10:15:02.25Z")), base + 250_000);
    assert_eq!(version_of("orders/create", Some("2026-11-20T11:15:01.75+01:00")), base);
    assert_eq!(version_of("orders/create", Some("2026-11-20T10:15:09Z")), base + 999_999);
}

#[test]
fn without_a_time_what_must_come_first_comes_first() {
    let order = ["orders/create", "orders/updated", "orders/cancelled"].map(|topic| version_of(topic, None));
    assert!(order.is_sorted_by(|a, b| a < b));
    let gone = shop(&["s"]).changes(&delivery(&[("x-shopify-topic", "orders/delete")], r#"{"id":1}"#)).unwrap();
    assert!(gone[0].version.0 > order[2]);
}

#[test]
fn a_webhook_of_another_shop_with_the_same_app_is_refused() {
    let headers = [("x-shopify-topic", "orders/delete"), ("x-shopify-shop-domain", "stranger.myshopify.com")];
    let error = shop(&["s"]).changes(&delivery(&headers, r#"{"id":1}"#)).unwrap_err();
    assert!(error.to_string().contains("stranger.myshopify.com"), "{error}");
}

#[test]
fn genuine_webhooks_of_no_interest_mean_nothing() {
    let nothing = shop(&["s"]).changes(&delivery(&[("x-shopify-topic", "themes/publish")], r#"{"id":1}"#)).unwrap();
    assert_eq!(nothing, []);
}

#[test]
fn a_request_without_a_topic_says_which_header_is_missing() {
    let bare = Verified::from_store(HeaderMap::new(), Bytes::from_static(b"{}"));
    assert_eq!(shop(&["s"]).topic(&bare).unwrap_err().to_string(), "no `x-shopify-topic` header");
}
