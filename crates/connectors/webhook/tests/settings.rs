//! Each way in which a webhook connection can be set up, and each mistake in it.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use spindel_connect::{
    Api, Around, BoxFuture, Connection, Failure, Incoming, Job, Maps, Proof, Reply, Request, Secret, Transport, entry,
};
use spindel_connector_webhook::Webhook;
use spindel_model::{Action, ActionKind, Clock, EntityKind, Record, Timestamp, Topic, specimen_change};
use std::sync::{Arc, Mutex};
use uuid::Uuid;

const NOW: i64 = 1_795_168_800;

fn connect(settings: Value) -> Result<Arc<dyn Connection>, String> {
    (entry::<Webhook>().connect)(settings).map(|(connection, _)| connection).map_err(|error| error.to_string())
}

fn receiving(receive: Value) -> Arc<dyn Connection> {
    connect(json!({ "receive": receive })).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn request(headers: &[(&'static str, &str)], body: impl Into<String>) -> Incoming {
    let headers = headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
    Incoming {
        method: http::Method::POST,
        uri: "/in/erp".into(),
        origin: "https://hooks.example.no".into(),
        headers: headers.collect(),
        body: body.into().into_bytes().into(),
    }
}

/// The record alone, as its own JSON.
fn bare(record: &Record) -> String {
    serde_json::to_value(record).unwrap()["data"].to_string()
}

#[test]
fn an_hmac_of_the_body_is_believed_in_the_form_of_the_settings() {
    let connection = receiving(json!({
        "scheme": "hmac", "header": "X-Signature", "digest": "sha512", "encoding": "base64", "prefix": "sha512=",
        "secrets": ["new", "old"], "topic": "stock.changed", "delivery_header": "X-Id"
    }));
    let sent = specimen_change(Topic::StockChanged);
    let mut incoming = request(&[("x-id", "17")], bare(&sent.record));
    let sender = Proof::hmac("x-signature").digest(spindel_connect::Digest::Sha512).base64().prefix("sha512=");
    sender.secrets(&[Secret::new("old")]).sign(&mut incoming, at(NOW)).unwrap();

    let verified = connection.proof(&[]).unwrap().check(incoming, at(NOW)).unwrap();
    assert_eq!(connection.topic(&verified).unwrap().unwrap(), "stock.changed");
    assert_eq!(connection.delivery_key(&verified).as_deref(), Some("17"));
    let change = connection.changes(&verified).unwrap().unwrap().remove(0);
    assert_eq!((change.topic, change.record), (Topic::StockChanged, sent.record));
}

#[test]
fn a_time_that_is_signed_must_be_near() {
    let connection = receiving(json!({
        "scheme": "hmac", "header": "x-sig", "timestamp_header": "x-time", "tolerance": "30s", "secrets": "s", "topic": "order.created"
    }));
    let proof = connection.proof(&[]).unwrap();
    let mut incoming = request(&[], "{}");
    proof.sign(&mut incoming, at(NOW)).unwrap();
    assert!(proof.check(incoming.clone(), at(NOW + 30)).is_ok());
    assert!(proof.check(incoming.clone(), at(NOW + 31)).is_err());
    incoming.headers.insert("x-time", (NOW + 31).to_string().parse().unwrap());
    assert!(proof.check(incoming, at(NOW + 31)).is_err(), "the time can be changed");
}

#[test]
fn a_token_in_a_header_is_believed() {
    let connection = receiving(json!({ "scheme": "token", "header": "x-token", "secrets": "t0ken", "topic_header": "x-topic" }));
    let proof = connection.proof(&[]).unwrap();
    assert!(proof.check(request(&[("x-token", "t0keN")], "{}"), at(NOW)).is_err());
    let verified = proof.check(request(&[("x-token", "t0ken"), ("x-topic", "order.deleted")], r#"{"id":"7"}"#), at(NOW)).unwrap();
    let change = connection.changes(&verified).unwrap().unwrap().remove(0);
    assert_eq!((change.entity.id.as_str(), change.record), ("7", Record::Deleted));
    let unknown = proof.check(request(&[("x-token", "t0ken"), ("x-topic", "order.eaten")], "{}"), at(NOW)).unwrap();
    assert!(connection.changes(&unknown).unwrap().unwrap_err().to_string().contains("order.eaten"));
}

#[test]
fn signing_secrets_serve_for_receiving_too() {
    let connection = connect(json!({
        "url": "https://erp.example.com/", "signing_secrets": "whsec_c2hhcmVk", "receive": { "scheme": "standard-webhooks" }
    }));
    let proof = connection.unwrap().proof(&[]).unwrap();
    let mut incoming = request(&[("webhook-id", "m")], "{}");
    Proof::standard_webhooks(&[Secret::new("c2hhcmVk")]).sign(&mut incoming, at(NOW)).unwrap();
    assert!(proof.check(incoming, at(NOW)).is_ok());
}

#[test]
fn a_connection_that_does_not_receive_believes_nothing() {
    let connection = connect(json!({ "url": "https://erp.example.com/", "signing_secrets": "whsec_c2hhcmVk" })).unwrap();
    let mut incoming = request(&[("webhook-id", "m")], "{}");
    Proof::standard_webhooks(&[Secret::new("c2hhcmVk")]).sign(&mut incoming, at(NOW)).unwrap();
    assert!(connection.proof(&[]).unwrap().check(incoming, at(NOW)).is_err());
}

#[test]
fn bare_records_of_every_kind_become_changes() {
    for kind in [
        EntityKind::Order,
        EntityKind::Refund,
        EntityKind::Transaction,
        EntityKind::Shipment,
        EntityKind::Product,
        EntityKind::Stock,
        EntityKind::Price,
        EntityKind::Customer,
    ] {
        let topic = *Topic::ALL.iter().find(|it| it.entity() == kind).unwrap();
        let connection = receiving(json!({ "scheme": "token", "header": "x-token", "secrets": "t", "topic": topic.as_str() }));
        let sent = specimen_change(topic);
        let incoming = request(&[("x-token", "t")], bare(&sent.record));
        let verified = connection.proof(&[]).unwrap().check(incoming, at(NOW)).unwrap();
        let change = connection.changes(&verified).unwrap().unwrap().remove(0);
        assert_eq!((change.entity, change.record), (sent.entity, sent.record), "{kind}");
    }
}

#[test]
fn a_record_of_another_kind_than_its_topic_is_refused() {
    let connection = receiving(json!({ "scheme": "standard-webhooks", "secrets": "s" }));
    let proof = connection.proof(&[]).unwrap();
    let record = serde_json::to_value(specimen_change(Topic::PriceChanged).record).unwrap();
    let body = json!({
        "type": "stock.changed",
        "data": { "entity": { "kind": "stock", "id": "a@b" }, "version": 1, "record": record }
    });
    let mut incoming = request(&[("webhook-id", "m")], body.to_string());
    proof.sign(&mut incoming, at(NOW)).unwrap();
    let verified = proof.check(incoming, at(NOW)).unwrap();
    let refused = connection.changes(&verified).unwrap().unwrap_err().to_string();
    assert_eq!(refused, "stock.changed is about stock, but `data` has an entity of kind stock and a record of kind price");
}

/// Keeps what was sent and accepts it.
#[derive(Default)]
struct Taker(Mutex<Vec<Request>>);

impl Transport for Taker {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>> {
        self.0.lock().unwrap().push(request.clone());
        let reply = Reply { status: 204, headers: http::HeaderMap::new(), body: Default::default() };
        Box::pin(async { Ok(reply) })
    }
}

async fn send(connection: &dyn Connection, topic: Topic, now: i64) -> Request {
    let taker = Arc::new(Taker::default());
    let api = Api::new(taker.clone(), entry::<Webhook>().refine, Clock::manual(at(now)));
    let action = Action::from_change(ActionKind::SendChange, &specimen_change(topic)).unwrap();
    let maps = Maps::default();
    let around = Around { from: "shop", key: Uuid::from_u128(7), known: None, maps: &maps, attempt: 1, now: at(now) };
    let outcome = connection.perform(&api, &[Job { action: &action, around }]).unwrap().await.remove(0);
    assert!(outcome.is_ok(), "{outcome:?}");
    taker.0.lock().unwrap().remove(0)
}

#[tokio::test]
async fn what_one_spindel_sends_another_understands() {
    let sender =
        connect(json!({ "url": "https://b.example.com/in/a", "signing_secrets": ["whsec_bmV3", "whsec_b2xk"] })).unwrap();
    for secret in ["bmV3", "b2xk"] {
        let receiver = receiving(json!({ "scheme": "standard-webhooks", "secrets": secret }));
        for topic in Topic::ALL {
            let sent = send(&*sender, *topic, NOW).await;
            let incoming = Incoming {
                method: sent.method,
                uri: "/in/a".into(),
                origin: "https://hooks.example.no".into(),
                headers: sent.headers,
                body: sent.body,
            };
            let verified = receiver.proof(&[]).unwrap().check(incoming, at(NOW + 60)).unwrap();
            assert_eq!(receiver.topic(&verified).unwrap().unwrap(), topic.as_str());
            assert_eq!(receiver.changes(&verified).unwrap().unwrap(), [specimen_change(*topic)], "{topic}");
        }
    }
}

#[tokio::test]
async fn a_second_try_has_the_same_id_and_body_and_a_time_of_its_own() {
    let sender = connect(json!({ "url": "https://b.example.com/", "signing_secrets": "whsec_bmV3" })).unwrap();
    let first = send(&*sender, Topic::OrderCreated, NOW).await;
    let second = send(&*sender, Topic::OrderCreated, NOW + 3600).await;
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_eq!(first.body, second.body);
    assert_eq!(second.headers["webhook-timestamp"], (NOW + 3600).to_string().as_str());
    assert_ne!(first.headers["webhook-signature"], second.headers["webhook-signature"]);
}

#[test]
fn mistakes_in_the_settings_are_named() {
    let hmac = |extra: Value| {
        let mut receive = json!({ "scheme": "hmac", "header": "x-sig", "secrets": "s" });
        receive.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "receive": receive })
    };
    let sends = |extra: Value| {
        let mut settings = json!({ "url": "https://erp.example.com/", "signing_secrets": "s" });
        settings.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        settings
    };
    for (settings, message) in [
        (json!({}), "set `url` to send, `receive` to receive, or both"),
        (json!({ "headers": { "x-a": "b" } }), "`headers`: nothing is sent without `url`"),
        (sends(json!({ "url": "erp.example.com" })), "`url`: expected a whole address"),
        (sends(json!({ "url": "https://u:p@erp.example.com/" })), "`url`: must not hold a user name"),
        (json!({ "url": "https://erp.example.com/" }), "`signing_secrets`: needed to sign"),
        (sends(json!({ "signing_secrets": ["s", ""] })), "`signing_secrets`: a secret is empty"),
        (sends(json!({ "headers": { "a b": "c" } })), "`headers.a b`: is no header name"),
        (sends(json!({ "headers": { "Webhook-Id": "c" } })), "`headers.Webhook-Id`: is set by Spindel itself"),
        (sends(json!({ "headers": { "x-a": "hush\n" } })), "(value withheld)"),
        (hmac(json!({ "scheme": "rsa" })), "`receive.scheme`: unknown variant `rsa`"),
        (hmac(json!({ "secrets": [] })), "`receive.secrets`: at least one secret is needed"),
        (hmac(json!({ "header": null })), "`receive.header`: needed"),
        (hmac(json!({ "header": "x sig" })), "`receive.header`: is no header name"),
        (hmac(json!({ "scheme": "token", "prefix": "p" })), "`receive.prefix`: has no meaning without this `scheme`"),
        (hmac(json!({ "scheme": "standard-webhooks" })), "`receive.header`: has no meaning without this `scheme`"),
        (hmac(json!({ "tolerance": "5m" })), "`receive.tolerance`: has no meaning without `timestamp_header`"),
        (hmac(json!({ "timestamp_header": "t", "tolerance": "soon" })), "`receive.tolerance`: expected a length of time"),
        (hmac(json!({ "topic": "order.eaten" })), "`receive.topic`: `order.eaten` is not a topic; there are order.created,"),
        (hmac(json!({ "topic": "order.created", "topic_header": "t" })), "`receive.topic_header`: set this or `topic`, not both"),
    ] {
        let error = connect(settings.clone()).err().unwrap_or_else(|| panic!("accepted: {settings}"));
        assert!(error.contains(message), "{settings}\nsays: {error}\nexpected: {message}");
        assert!(!error.contains("hush"), "{error}");
    }
}
