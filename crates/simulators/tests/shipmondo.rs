//! The simulated Shipmondo account as the real connector meets it, and as plain HTTP does.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};
use spindel_connect::{Api, Around, CallError, Connection, Effect, Incoming, Job, Maps, Parcel, Subscription, entry};
use spindel_connector_shipmondo::Shipmondo;
use spindel_http::{Client, MemoryTokens};
use spindel_model::{Action, Change, Clock, EntityKind, ErrorClass, Performed, Record, Shipment, ShipmentState};
use spindel_simulators::{
    fault::Fault,
    shipmondo::{Options, Scan, ShipmondoSim},
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use uuid::Uuid;

const KEY: &str = "a-webhook-key-of-32-characters-or-more";

/// The connector, connected to a simulated account.
struct Hub {
    connection: Arc<dyn Connection>,
    api: Api,
    clock: Clock,
    maps: Maps,
}

fn now() -> Timestamp {
    "2026-11-20T09:00:00Z".parse().unwrap()
}

fn key() -> Uuid {
    let seconds = u64::try_from(now().as_second()).unwrap();
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0))
}

impl Hub {
    fn of(sim: &ShipmondoSim, clock: &Clock) -> Self {
        let settings = json!({
            "api_user": "api-user",
            "api_key": "api-key",
            "webhook_key": KEY,
            "base_url": sim.base_url(),
            "label_format": "10x19_zpl",
            "services": [
                { "product": "GLSDK_SD", "with": ["EMAIL_NT", "SMS_NT"], "title": "Pakkeshop", "days": [1, 2] },
                { "product": "DAO_STS" },
            ],
            "service": "GLSDK_SD",
            "sender": {
                "name": "Fjord Handel ApS", "address": "Vej 1", "postal_code": "5000", "city": "Odense", "country": "DK",
            },
            "parcel": { "packaging_grams": 100 },
        });
        let entry = entry::<Shipmondo>();
        let (connection, mut endpoint) = (entry.connect)(settings).unwrap();
        endpoint.limits.per_second = None;
        let mut options = spindel_http::Options::new("shipmondo", Clock::system(), Arc::new(MemoryTokens::default()));
        options.allow = vec!["127.0.0.0/8".parse().unwrap()];
        let transport = Client::new().transport(endpoint, entry.budget, options).unwrap();
        let api = Api::new(Arc::new(transport), entry.refine, clock.clone());
        Self { connection, api, clock: clock.clone(), maps: Maps::default() }
    }

    fn around<'a>(&'a self, key: Uuid, known: Option<&'a str>) -> Around<'a> {
        Around { from: "shop", key, known, maps: &self.maps, attempt: 1, now: self.clock.now() }
    }

    async fn perform(&self, key: Uuid, known: Option<&str>, action: Value) -> Result<Performed, CallError> {
        let action: Action = serde_json::from_value(action).unwrap();
        let jobs = [Job { action: &action, around: self.around(key, known) }];
        self.connection.perform(&self.api, &jobs).unwrap().await.pop().unwrap()
    }

    async fn look_up(&self, key: Uuid, action: Value) -> Result<Option<Performed>, CallError> {
        let action: Action = serde_json::from_value(action).unwrap();
        self.connection.look_up(&self.api, Job { action: &action, around: self.around(key, None) }).unwrap().await
    }

    async fn track(&self, shipments: &[&str]) -> Result<Vec<Shipment>, CallError> {
        let parcel = |id: &&str| Parcel { shipment: (*id).to_owned(), number: "1".to_owned(), order: Default::default() };
        let parcels: Vec<Parcel> = shipments.iter().map(parcel).collect();
        let changes = self.connection.track(&self.api, &parcels).unwrap().await?;
        Ok(changes.iter().map(shipment).collect())
    }

    async fn read(&self, id: &str) -> Result<Option<Shipment>, CallError> {
        let record = self.connection.read(&self.api, EntityKind::Shipment, id).unwrap().await?;
        Ok(record.map(|it| {
            let Record::Shipment(it) = it else { panic!("no shipment") };
            *it
        }))
    }
}

fn shipment(change: &Change) -> Shipment {
    let Record::Shipment(it) = &change.record else { panic!("no shipment") };
    (**it).clone()
}

fn booking(number: &str, service: &str) -> Value {
    json!({ "do": "book_shipment", "booking": {
        "order": { "id": "5001", "number": number },
        "recipient": {
            "first_name": "Kari", "last_name": "Hansen", "line1": "Vej 2", "postal_code": "8000", "city": "Aarhus", "country": "DK",
        },
        "email": "kari@example.dk",
        "phone": "+4512345678",
        "parcels": [{ "grams": "1100" }],
        "service": service,
        "value": { "amount": "799.00", "currency": "DKK" },
        "items": [],
    } })
}

fn cancelling(number: &str) -> Value {
    json!({ "do": "cancel_shipment", "order": { "id": "5001", "number": number } })
}

async fn account(change: impl FnOnce(&mut Options)) -> (ShipmondoSim, Hub, Clock) {
    let clock = Clock::manual(now());
    let mut options = Options { clock: clock.clone(), ..Options::default() };
    change(&mut options);
    let sim = ShipmondoSim::start(options).await.unwrap();
    let hub = Hub::of(&sim, &clock);
    (sim, hub, clock)
}

/// What a Spindel would have taken in.
struct Receiver {
    connection: Arc<dyn Connection>,
    refuses: AtomicBool,
    believed: Mutex<Vec<Believed>>,
}

struct Believed {
    key: Option<String>,
    changes: Vec<Change>,
}

impl Receiver {
    async fn start(hub: &Hub) -> (Arc<Self>, String) {
        let connection = Arc::clone(&hub.connection);
        let receiver = Arc::new(Self { connection, refuses: AtomicBool::new(false), believed: Mutex::default() });
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/in/shipmondo", listener.local_addr().unwrap());
        let router = Router::new().route("/in/shipmondo", post(take)).with_state(Arc::clone(&receiver));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    fn changes(&self) -> Vec<Change> {
        self.believed.lock().unwrap().iter().flat_map(|it| it.changes.clone()).collect()
    }
}

async fn take(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if receiver.refuses.load(Ordering::SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let incoming = Incoming {
        method: http::Method::POST,
        uri: "/in/shipmondo".into(),
        origin: "https://hooks.example.no".into(),
        headers,
        body,
    };
    let Ok(verified) = receiver.connection.proof(&[]).unwrap().check(incoming, now()) else { return StatusCode::UNAUTHORIZED };
    receiver.connection.topic(&verified).unwrap().unwrap();
    let changes = receiver.connection.changes(&verified).unwrap().unwrap();
    let key = receiver.connection.delivery_key(&verified);
    receiver.believed.lock().unwrap().push(Believed { key, changes });
    StatusCode::OK
}

#[tokio::test]
async fn a_parcel_goes_from_its_price_to_its_delivery() {
    let (sim, hub, clock) = account(|_| ()).await;
    let (receiver, url) = Receiver::start(&hub).await;
    sim.set_target(Some(&url));
    assert_eq!(hub.connection.probe(&hub.api).await.unwrap(), "Fjord Handel ApS");

    let near = json!({ "line1": "Vej 2", "postal_code": "8000", "city": "Aarhus", "country": "DK" });
    let asked = json!({ "currency": "DKK", "destination": near, "items": [
        { "quantity": "1", "grams": "1100", "price": { "amount": "799.00", "currency": "DKK" } } ] });
    let asked = serde_json::from_value(asked).unwrap();
    let rates = hub.connection.quote(&hub.api, &asked).unwrap().await.unwrap();
    let told: Vec<(&str, String)> = rates.iter().map(|it| (it.service.as_str(), it.price.to_string())).collect();
    assert_eq!(told, [("GLSDK_SD", "47.5 DKK".to_owned()), ("DAO_STS", "39.38 DKK".to_owned())]);
    assert_eq!(rates[0].latest.unwrap().to_string(), "2026-11-24");

    let query = serde_json::from_value(json!({ "near": near, "service": "GLSDK_SD", "limit": 5 })).unwrap();
    let points = hub.connection.pickup_points(&hub.api, &query).unwrap().await.unwrap();
    // The second of the five hands out nothing.
    assert_eq!(points.iter().map(|it| it.metres.unwrap()).collect::<Vec<_>>(), [120, 380, 510, 640]);

    let mut booking = booking("#1042", "GLSDK_SD");
    booking["booking"]["pickup_point"] = json!(points[1].id);
    let booked = hub.perform(key(), None, booking).await.unwrap();
    let id = booked.reference.unwrap().id;
    let zpl = &booked.documents[0];
    assert_eq!((booked.documents.len(), zpl.media_type.as_str()), (1, "x-application/zpl"));
    let view = &sim.shipments()[0];
    assert_eq!((view.id.as_str(), view.reference.as_deref(), view.grams), (id.as_str(), Some("1042@shop"), 1_200));
    assert_eq!((view.service_point.as_ref(), view.services.as_str()), (Some(&points[1].id), "EMAIL_NT,SMS_NT"));
    assert_eq!((view.price, sim.charged()), (rates[0].price.amount, rates[0].price.amount));

    assert_eq!(hub.track(&[&id, "99"]).await.unwrap(), [], "nothing is told before the carrier has it");
    for (scan, state) in [
        (Scan::en_route().at("Odense"), ShipmentState::InTransit),
        (Scan::code("SORTED_BY_ROBOT"), ShipmentState::InTransit),
        (Scan::en_route().danger(), ShipmentState::Exception),
        (Scan::available(), ShipmentState::ReadyForPickup),
        (Scan::delivered(), ShipmentState::Delivered),
    ] {
        clock.advance(SignedDuration::from_mins(7));
        let code = scan.status.clone();
        sim.scan(&view.numbers[0], scan).unwrap();
        let told = hub.track(&[&id]).await.unwrap().remove(0);
        assert_eq!((told.state, &told.raw_state, told.updated_at), (state, &Some(code), clock.now()));
        assert_eq!(told.tracking[0].number, view.numbers[0]);
        sim.flush().await;
        let nudge = receiver.changes().pop().unwrap();
        assert_eq!((&nudge.entity.id, nudge.version, &nudge.record), (&id, told.updated_at.into(), &Record::Nudge));
        let read = hub.read(&id).await.unwrap().unwrap();
        assert_eq!((read.state, &read.raw_state, read.updated_at), (state, &told.raw_state, told.updated_at));
        assert_eq!((read.order.number.as_deref(), &read.tracking), (Some("1042"), &told.tracking));
    }
    assert_eq!(receiver.believed.lock().unwrap().len(), 7, "the booking, five scans, and the delivery once more");
    assert_eq!(receiver.changes().len(), 6, "but the booking was told before");
}

#[tokio::test]
async fn a_booking_whose_answer_was_lost_is_found_and_paid_once() {
    for (fault, said) in [(Fault::CutAfter, "no answer"), (Fault::Malformed, "")] {
        let (sim, hub, clock) = account(|it| it.list_lag = SignedDuration::from_mins(5)).await;
        // It was asked for long ago, so that only the connector's own memory tells that it is new.
        let key = key();
        clock.advance(SignedDuration::from_hours(2));
        sim.faults().next(fault, 1);
        let lost = hub.perform(key, None, booking("#1042", "GLSDK_SD")).await.unwrap_err();
        assert!(lost.effect == Effect::Unknown && lost.message.contains(said), "{lost}");
        let hidden = hub.look_up(key, booking("#1042", "GLSDK_SD")).await.unwrap_err();
        assert_eq!((hidden.class, hidden.retry_after.unwrap().as_secs()), (ErrorClass::Transient, 600));
        clock.advance(SignedDuration::from_mins(10));
        let found = hub.look_up(key, booking("#1042", "GLSDK_SD")).await.unwrap().unwrap();
        assert_eq!(found.reference.unwrap().id, sim.shipments()[0].id);
        assert_eq!(found.documents.len(), 1, "the labels are fetched");
        assert_eq!((sim.shipments().len(), sim.calls()["POST /shipments"]), (1, 1));
    }
}

#[tokio::test]
async fn a_booking_that_never_arrived_is_looked_for_in_vain_and_may_be_sent_again() {
    let (sim, hub, clock) = account(|_| ()).await;
    let key = key();
    sim.faults().next(Fault::Error(500), 1);
    assert_eq!(hub.perform(key, None, booking("#1042", "GLSDK_SD")).await.unwrap_err().effect, Effect::Unknown);
    assert_eq!(hub.look_up(key, booking("#1042", "GLSDK_SD")).await.unwrap_err().class, ErrorClass::Transient);
    clock.advance(SignedDuration::from_mins(10));
    assert_eq!(hub.look_up(key, booking("#1042", "GLSDK_SD")).await.unwrap(), None);
    let booked = hub.perform(key, None, booking("#1042", "GLSDK_SD")).await.unwrap();
    // Once it is known, it is not even asked for.
    let id = booked.reference.unwrap().id;
    assert!(hub.perform(key, Some(&id), booking("#1042", "GLSDK_SD")).await.unwrap().unchanged);
    assert_eq!((sim.shipments().len(), sim.calls()["POST /shipments"]), (1, 1));
}

#[tokio::test]
async fn bookings_are_cancelled_as_far_as_carrier_and_parcel_allow() {
    let (sim, hub, _) = account(|_| ()).await;
    let first = hub.perform(key(), None, booking("#1", "GLSDK_SD")).await.unwrap().reference.unwrap().id;
    let cancelled = hub.perform(key(), Some(&first), cancelling("#1")).await.unwrap();
    assert_eq!(shipment(&cancelled.changes[0]).state, ShipmentState::Cancelled);
    let link = cancelled.reference.unwrap().id;
    assert!(sim.shipments()[0].cancelled);
    assert!(hub.perform(key(), Some(&link), cancelling("#1")).await.unwrap().unchanged);
    let again = hub.perform(key(), Some(&link), booking("#1", "GLSDK_SD")).await.unwrap();
    assert_ne!(again.reference.unwrap().id, first, "what was cancelled may be booked again");

    hub.perform(key(), None, booking("#2", "DAO_STS")).await.unwrap();
    let cancelled = hub.perform(key(), None, cancelling("#2")).await.unwrap();
    assert_eq!(shipment(&cancelled.changes[0]).raw_state.as_deref(), Some("not_cancelled_at_carrier"));

    let third = hub.perform(key(), None, booking("#3", "GLSDK_SD")).await.unwrap().reference.unwrap().id;
    sim.scan(&third, Scan::en_route()).unwrap();
    let refused = hub.perform(key(), Some(&third), cancelling("#3")).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Data);
    assert!(hub.perform(key(), None, cancelling("#4")).await.unwrap().unchanged, "it was never booked");
    let gone = hub.perform(key(), Some("99"), cancelling("#5")).await.unwrap_err();
    assert_eq!(gone.class, ErrorClass::Gone);
    assert!(sim.scan(&first, Scan::en_route()).is_err(), "a cancelled parcel does not move");
}

#[tokio::test]
async fn what_cannot_be_booked_is_refused_and_nothing_is_paid() {
    let (sim, hub, _) = account(|_| ()).await;
    let mut without_email = booking("#1", "GLSDK_SD");
    without_email["booking"]["email"].take();
    let mut elsewhere = booking("#1", "GLSDK_SD");
    elsewhere["booking"]["pickup_point"] = json!("nowhere");
    let mut heavy = booking("#1", "GLSDK_SD");
    heavy["booking"]["parcels"][0]["grams"] = json!("20000");
    let mut abroad = booking("#1", "GLSDK_SD");
    abroad["booking"]["recipient"]["country"] = json!("SE");
    for (asked, words) in [
        (without_email, "Receiver email is required"),
        (elsewhere, "service_point_id"),
        (heavy, "parcels.weight"),
        (abroad, "receiver.country_code"),
    ] {
        let refused = hub.perform(key(), None, asked).await.unwrap_err();
        assert_eq!((refused.class, refused.effect), (ErrorClass::Data, Effect::None));
        assert!(refused.message.contains(words) && !refused.message.contains("kari"), "{refused}");
    }
    assert_eq!((sim.shipments().len(), sim.charged()), (0, 0.into()));
}

#[tokio::test]
async fn webhooks_are_registered_looked_after_and_believed() {
    let (sim, hub, _) = account(|it| it.double_encoded = false).await;
    let (receiver, url) = Receiver::start(&hub).await;
    let connection = &hub.connection;
    receiver.refuses.store(true, Ordering::SeqCst);
    let topics = connection.subscription_topics();
    let refused = connection.subscribe(&hub.api, topics[0], &url).unwrap().await.err().unwrap();
    assert!(refused.message.contains("Endpoint did not respond"), "{refused}");
    receiver.refuses.store(false, Ordering::SeqCst);
    for topic in topics {
        let made = connection.subscribe(&hub.api, topic, &url).unwrap().await.unwrap();
        assert_eq!((made.subscription.topic.as_str(), made.subscription.active), (*topic, true));
    }
    assert_eq!(receiver.believed.lock().unwrap().len(), topics.len(), "each is called once when it is made");
    assert_eq!(receiver.changes(), [], "and that means nothing");

    sim.switch_off_webhooks();
    let id = sim.book_by_hand(Some("Gave"), Some("1043"));
    let listed: Vec<Subscription> = connection.subscriptions(&hub.api).unwrap().await.unwrap();
    assert!(listed.len() == topics.len() && listed.iter().all(|it| !it.active && it.address == url));
    for subscription in &listed {
        assert!(connection.repair(&hub.api, subscription).unwrap().await.unwrap().subscription.active);
    }
    assert_eq!(sim.flush().await.sent, 0, "nobody listened");

    sim.cancel_by_hand(&id).unwrap();
    sim.send_again(1);
    assert_eq!(sim.flush().await.acknowledged, 2);
    let told: Vec<Shipment> = receiver.changes().iter().map(shipment).collect();
    assert_eq!((told[0].state, told[0].order.number.as_deref()), (ShipmentState::Cancelled, Some("1043")));
    let keys: Vec<_> = receiver.believed.lock().unwrap().iter().rev().take(2).map(|it| it.key.clone().unwrap()).collect();
    assert_eq!(keys[0], keys[1], "one event has one key");

    assert_eq!(sim.forge(10).await, 0);
    receiver.refuses.store(true, Ordering::SeqCst);
    sim.book_by_hand(None, None);
    assert_eq!(sim.flush().await.lost, 1, "nothing is sent a second time by itself");
}

#[tokio::test]
async fn a_shipment_is_found_among_many_pages() {
    let (sim, hub, clock) = account(|_| ()).await;
    let old = sim.book_by_hand(Some("1@shop"), None);
    clock.advance(SignedDuration::from_mins(1));
    for _ in 0..120 {
        sim.book_by_hand(Some("Gave"), None);
    }
    let cancelled = hub.perform(key(), None, cancelling("#1")).await.unwrap();
    assert_eq!(cancelled.reference.unwrap().id, format!("cancelled:{old}"));
    assert_eq!(sim.calls()["GET /shipments"], 3);

    let http = reqwest::Client::new();
    let get =
        |query: &str| http.get(format!("{}/shipments?{query}", sim.base_url())).basic_auth("api-user", Some("api-key")).send();
    let answer = get("per_page=500&page=3").await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(["X-Current-Page", "X-Per-Page", "X-Total-Count", "X-Total-Pages"].map(header), ["3", "50", "121", "3"]);
    let rows: Vec<Value> = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!((rows.len(), rows[20]["id"].to_string()), (21, old.clone()));
    for (query, count) in [("created_at_min=2026-11-20T09:00:30Z&page=3", 20), (&format!("id={old}"), 1), ("page=9", 0)] {
        let rows: Vec<Value> = serde_json::from_str(&get(query).await.unwrap().text().await.unwrap()).unwrap();
        assert_eq!(rows.len(), count, "{query}");
    }
}

#[tokio::test]
async fn strangers_the_hasty_and_the_lost_are_turned_away_in_the_vendors_words() {
    let (sim, hub, clock) = account(|it| it.per_second = Some(2)).await;
    let http = reqwest::Client::new();
    let get = |path: &str, key: &str| http.get(format!("{}{path}", sim.base_url())).basic_auth("api-user", Some(key)).send();
    let answer = get("/account/", "wrong").await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.text().await.unwrap(), r#"{"error":"Invalid API User or API Key"}"#);
    for (path, status, text) in [
        ("/shipments/99", 404, r#"{"error":"Resource not found"}"#),
        ("/shipments?created_at_min=soon", 422, r#"{"error":"Invalid or not found parameter(s): created_at_min"}"#),
        ("/account/", 429, "Too many requests"),
    ] {
        let answer = get(path, "api-key").await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (status, text), "{path}");
    }
    let hasty = hub.perform(key(), None, booking("#1", "GLSDK_SD")).await.unwrap_err();
    assert_eq!((hasty.class, hasty.effect), (ErrorClass::RateLimited, Effect::None));
    clock.advance(SignedDuration::from_secs(1));
    hub.perform(key(), None, booking("#1", "GLSDK_SD")).await.unwrap();
    sim.change_api_key("a new one");
    assert_eq!(hub.track(&["1168"]).await.unwrap_err().class, ErrorClass::Auth);
}

#[tokio::test]
async fn without_the_monitor_the_connector_says_what_is_missing_and_shipments_stay_booked() {
    let (sim, hub, _) = account(|it| it.monitor_answers = false).await;
    let id = sim.book_by_hand(None, None);
    sim.scan(&id, Scan::delivered()).unwrap();
    let error = hub.track(&[&id]).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Config);
    assert!(error.message.contains("/shipment_monitor_statuses"), "{error}");
    let read = hub.read(&id).await.unwrap().unwrap();
    assert_eq!(read.state, ShipmentState::Booked, "a shipment itself does not say where it is");
    assert_eq!(hub.read("99").await.unwrap(), None);
    assert_eq!(hub.read("../account").await.unwrap_err().class, ErrorClass::Data);
}

#[tokio::test]
async fn labels_come_in_every_form() {
    let (sim, ..) = account(|_| ()).await;
    let http = reqwest::Client::new();
    let body = json!({
        "own_agreement": true, "product_code": "GLSDK_HD", "service_codes": "", "label_format": "compact_png", "test_mode": true,
        "sender": { "name": "A", "address1": "B", "zipcode": "5000", "city": "C", "country_code": "DK" },
        "receiver": { "name": "A", "address1": "B", "zipcode": "8000", "city": "C", "country_code": "DK" },
        "parcels": [{ "weight_kg": "1.5", "quantity": 2 }],
    });
    let post = http.post(format!("{}/shipments", sim.base_url())).basic_auth("api-user", Some("api-key"));
    let answer = post.body(body.to_string()).send().await.unwrap();
    let made: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(made["labels"].as_array().unwrap().len(), 2, "one picture for each parcel");
    assert_eq!((sim.shipments()[0].grams, sim.charged()), (3_000, 0.into()));
    for (form, kind, count) in [("a4_pdf", "pdf", 1), ("10x19_zpl", "zpl", 1), ("10x19_png", "png", 2)] {
        let url = format!("{}/shipments/{}/labels?label_format={form}", sim.base_url(), made["id"]);
        let answer = http.get(url).basic_auth("api-user", Some("api-key")).send().await.unwrap();
        let labels: Vec<Value> = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!((labels.len(), labels[0]["file_format"].as_str()), (count, Some(kind)));
    }
}
