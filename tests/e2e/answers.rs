//! What a sender is told, with webhooks signed as the README shows.

use crate::world::{FLOWS, World, wait_for};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{KeyInit as _, Mac as _};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use spindel_simulators::shopify::Options;
use std::time::Duration;

fn sign(body: &[u8]) -> String {
    let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"client-secret").unwrap();
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

fn request(world: &World, body: &[u8], signature: &str) -> RequestBuilder {
    Client::new()
        .post(format!("http://{}/in/shop", world.address))
        .header("X-Shopify-Topic", "orders/create")
        .header("X-Shopify-Hmac-Sha256", signature)
        .body(body.to_vec())
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_genuine_requests_of_a_sane_size_are_accepted() {
    let world = World::start(FLOWS, Options::plus()).await;
    let body = br#"{"id":1}"#;
    let signature = sign(body);

    assert_eq!(status(request(&world, body, &signature)).await, 200);
    assert_eq!(status(request(&world, br#"{"id":2}"#, &signature)).await, 401);
    assert_eq!(status(request(&world, body, &sign(b"other"))).await, 401);
    let unsigned = Client::new().post(format!("http://{}/in/shop", world.address)).body("{}");
    assert_eq!(status(unsigned).await, 401);
    let large = vec![b'x'; 3 << 20];
    assert_eq!(status(request(&world, &large, &sign(&large))).await, 413);
    assert_eq!(status(request(&world, body, &signature).header("content-encoding", "gzip")).await, 415);
    assert_eq!(status(Client::new().post(format!("http://{}/in/nobody", world.address)).body("{}")).await, 404);

    // Every refusal is on record with its reason, and no secret.
    wait_for("refusals on record", Duration::from_secs(5), || {
        let rejected = world.cli(&["events", "list", "--rejected"]).to_string();
        assert!(!rejected.contains("client-secret") && !rejected.contains(&signature));
        rejected.contains("does not match") && rejected.contains("larger than") && rejected.contains("missing")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_too_large_is_refused_even_when_it_hides_its_length() {
    let world = World::start(FLOWS, Options::plus()).await;
    let large = vec![b'x'; 3 << 20];
    let chunks = large.chunks(1 << 16).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>();
    let stream = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let request = request(&world, b"", &sign(&large)).body(stream);
    // The connection is closed as soon as the limit is passed; the answer may be lost with it.
    if let Ok(answer) = request.send().await {
        assert_eq!(answer.status().as_u16(), 413);
    }
    assert_eq!(world.cli(&["events", "list"]), Value::Array(vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_body_that_is_no_json_is_taken_and_quarantined_with_a_reason() {
    let world = World::start(FLOWS, Options::plus()).await;
    let body = b"this is no JSON";
    assert_eq!(status(request(&world, body, &sign(body))).await, 200);
    wait_for("quarantine", Duration::from_secs(10), || {
        let events = world.cli(&["events", "list", "--state", "quarantined"]);
        events[0]["reason"].as_str().is_some_and(|reason| reason.contains("JSON"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genuine_webhook_that_does_not_say_its_topic_is_taken_and_quarantined_with_a_reason() {
    let world = World::start(FLOWS, Options::plus()).await;
    let body = br#"{"id":1}"#;
    let request = Client::new()
        .post(format!("http://{}/in/shop", world.address))
        .header("X-Shopify-Hmac-Sha256", sign(body))
        .body(body.to_vec());
    assert_eq!(status(request).await, 200);
    wait_for("quarantine", Duration::from_secs(10), || {
        let events = world.cli(&["events", "list", "--state", "quarantined"]);
        events[0]["reason"].as_str().is_some_and(|reason| reason.contains("x-shopify-topic"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_webhook_is_answered_alike_and_counted_and_a_differing_body_is_never_dropped() {
    let world = World::start(FLOWS, Options::plus()).await;
    let send = async |body: &[u8], topic: &'static str| {
        let request = Client::new()
            .post(format!("http://{}/in/shop", world.address))
            .header("X-Shopify-Topic", topic)
            .header("X-Shopify-Event-Id", "the-same")
            .header("X-Shopify-Hmac-Sha256", sign(body))
            .body(body.to_vec());
        let answer: Value = serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
        (answer["outcome"].as_str().unwrap().to_owned(), answer["event"].as_str().unwrap().to_owned())
    };
    let (outcome, first) = send(br#"{"id":1}"#, "orders/create").await;
    assert_eq!(outcome, "accepted");
    assert_eq!(send(br#"{"id":1}"#, "orders/create").await, ("duplicate".to_owned(), first));
    assert_eq!(send(br#"{"id":2}"#, "orders/create").await.0, "accepted");
    assert_eq!(send(br#"{"id":1}"#, "orders/updated").await.0, "accepted");
}
