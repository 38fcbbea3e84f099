//! Events of both ways: what they say, how they are signed, and what becomes of those that are not accepted.

use super::*;
use spindel_simulators::akeneo::sign;

#[tokio::test]
async fn events_name_the_product_and_are_signed_with_both_secrets() {
    let pim = AkeneoSim::start(options(&clock())).await.unwrap();
    let (hub, url) = Hub::start().await;
    pim.set_target(Some(&url));
    let uuid = pim.create_product(mug()).unwrap();
    pim.flush().await;
    let (headers, body) = hub.take().remove(0);
    assert_eq!(headers["x-akeneo-signature-primary"], sign("primary-secret", &[&body]));
    assert_eq!(headers["x-akeneo-signature-secondary"], sign("secondary-secret", &[&body]));
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["type"], "com.akeneo.pim.v1.product.created");
    assert_eq!(event["data"]["product"], json!({ "uuid": uuid }));
    pim.rotate_secret("new-secret");
    pim.publish(&uuid).unwrap();
    pim.unpublish(&uuid).unwrap();
    pim.flush().await;
    let (headers, body) = hub.take().remove(0);
    assert_eq!(headers["x-akeneo-signature-primary"], sign("new-secret", &[&body]));
    assert_eq!(headers["x-akeneo-signature-secondary"], sign("primary-secret", &[&body]));
    assert_eq!(pim.event_log().len(), 2, "publishing what is published changes nothing");
}

#[tokio::test]
async fn a_delta_says_what_changed() {
    let pim = AkeneoSim::start(Options { delta: true, ..options(&clock()) }).await.unwrap();
    let (hub, url) = Hub::start().await;
    let [black, _] = jumper(&pim);
    pim.set_target(Some(&url));
    pim.change_product(&black, vec![Val::new("ean", "7090000000029")]).unwrap();
    pim.move_product(&black, "ull_red").unwrap();
    pim.flush().await;
    let mut events = hub.events();
    events.sort_by_key(|it| it["data"]["product"]["changes"]["parent"].is_object());
    assert!(events.iter().all(|it| it["type"] == "com.akeneo.pim.v1.product.updated.delta"));
    let value = &events[0]["data"]["product"]["changes"]["values"]["ean"][0];
    assert_eq!((&value["previous"], &value["new"]), (&Value::Null, &json!("7090000000029")));
    assert_eq!(events[1]["data"]["product"]["changes"]["parent"], json!({ "previous": "ull_black", "new": "ull_red" }));
}

#[tokio::test]
async fn failures_are_tried_three_times_more_and_an_answer_of_not_found_suspends() {
    let pim = AkeneoSim::start(Options { speed: 1_000_000, ..options(&clock()) }).await.unwrap();
    let (hub, url) = Hub::start().await;
    let uuid = pim.create_product(mug()).unwrap();
    pim.set_target(Some(&url));
    hub.status.store(500, SeqCst);
    pim.unpublish(&uuid).unwrap();
    let sent = pim.flush().await;
    assert_eq!((sent.dropped, sent.retries, hub.take().len(), pim.is_suspended()), (1, 3, 4, false));
    hub.status.store(404, SeqCst);
    pim.publish(&uuid).unwrap();
    pim.flush().await;
    assert!(pim.is_suspended());
    hub.status.store(200, SeqCst);
    pim.unpublish(&uuid).unwrap();
    assert_eq!((pim.flush().await.lost, hub.take().len()), (1, 1));
    pim.resume();
    pim.duplicate_next(1);
    pim.publish(&uuid).unwrap();
    pim.flush().await;
    let came = hub.take();
    assert_eq!((came.len(), &came[0].1), (2, &came[1].1), "the same event twice");
}

#[tokio::test]
async fn the_events_api_sends_up_to_ten_whole_products_once() {
    let pim = AkeneoSim::start(options(&clock())).await.unwrap();
    let (hub, url) = Hub::start().await;
    let uuids: Vec<String> = (0..12).map(|_| pim.create_product(mug()).unwrap()).collect();
    pim.set_events_api_target(Some(&url));
    let all: Vec<&str> = uuids.iter().map(String::as_str).collect();
    pim.publish_all(&all, false).unwrap();
    pim.flush().await;
    let mut came = hub.take();
    came.sort_by_key(|(_, body)| body.len());
    let [(_, second), (headers, first)] = &came[..] else { panic!("{} requests", came.len()) };
    let time = headers["x-akeneo-request-timestamp"].to_str().unwrap();
    let signature = sign("events-api-secret", &[time.as_bytes(), b".", first]);
    assert_eq!(headers["x-akeneo-request-signature"], signature);
    let events = |body: &Bytes| serde_json::from_slice::<Value>(body).unwrap()["events"].as_array().unwrap().clone();
    assert_eq!((events(first).len(), events(second).len()), (10, 2));
    let event = &events(first)[0];
    assert_eq!(event["action"], "product.updated");
    assert_eq!(
        (&event["data"]["resource"]["identifier"], &event["data"]["resource"]["enabled"]),
        (&json!("KRUS"), &json!(false))
    );
    hub.status.store(500, SeqCst);
    pim.publish(&uuids[0]).unwrap();
    assert_eq!((pim.flush().await.retries, hub.take().len()), (0, 1));
}
