//! What is noted of payments and parcels, and who looks at it again.

#![allow(clippy::unwrap_used)]

use serde_json::json;
use spindel_connect::{
    Ability, Api, Auth, BoxFuture, CallError, ConfigError, Connector, Cursor, Endpoint, Failure, Fixture, Info, Kind, Page,
    Parcel, Poll, Reply, Request, Track, Transport, entry, polls, tracks,
};
use spindel_engine::{Account, Engine, Parts, Wiring, jq};
use spindel_model::{
    Change, Clock, Currency, EntityKind, EntityRef, Event, LedgerKind, Money, OrderRef, Payments, Record, Shipment,
    ShipmentState, Timestamp, Topic, Tracking, Transaction, TransactionKind, TransactionStatus, Version,
};
use spindel_queue::Embedded;
use spindel_store::{EventFilter, Options, SqliteStore, Store};
use spindel_sync::{Bookkeeper, Poller, ledger};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

const FEW: Duration = Duration::from_secs(10);

/// Keeps money and carries parcels.
struct Post;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

impl Connector for Post {
    const INFO: Info = Info { id: "post", name: "Post", kind: Kind::Shipping, about: "a post office of these tests" };
    type Config = Nothing;
    const ABILITIES: &'static [Ability<Self>] = &[polls::<(OrderRef, Transaction), Self>(), tracks::<Self>()];
    const FIXTURES: &'static [Fixture] = &[];

    fn connect(_: Nothing) -> Result<(Self, Endpoint), ConfigError> {
        Ok((Self, Endpoint::new("https://post.example.no", Auth::None)))
    }

    async fn probe(&self, _: &Api) -> Result<String, CallError> {
        Ok("here".into())
    }
}

impl Poll<(OrderRef, Transaction)> for Post {
    async fn page(&self, api: &Api, _: Option<&Cursor>, _: Timestamp) -> Result<Page, CallError> {
        let changes = api.get("payments", "/payments").fetch().await?;
        Ok(Page { changes, cursor: Cursor("done".into()), more: false })
    }
}

impl Track for Post {
    const MAX: usize = 2;

    async fn track(&self, api: &Api, parcels: &[Parcel]) -> Result<Vec<Change>, CallError> {
        let numbers: Vec<&str> = parcels.iter().map(|it| it.number.as_str()).collect();
        api.get("track", format!("/parcels/{}", numbers.join(","))).fetch().await
    }
}

/// The vendor's side: what it answers, and what it was asked.
#[derive(Default)]
struct Vendor {
    payments: Mutex<Vec<Change>>,
    parcels: Mutex<Vec<Change>>,
    asked: Mutex<Vec<String>>,
}

impl Transport for Vendor {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>> {
        self.asked.lock().unwrap().push(request.path.clone());
        let body = match request.path.as_str() {
            "/payments" => json!(*self.payments.lock().unwrap()),
            _ => json!(*self.parcels.lock().unwrap()),
        };
        Box::pin(async move { Ok(Reply { status: 200, headers: http::HeaderMap::new(), body: body.to_string().into() }) })
    }
}

struct World {
    vendor: Arc<Vendor>,
    store: Arc<SqliteStore>,
    engine: Arc<Engine>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("spindel.db"), Options::default()).unwrap();
        let vendor = Arc::new(Vendor::default());
        let (connection, _) = (entry::<Post>().connect)(json!({})).unwrap();
        let account = Account {
            name: "post".into(),
            api: Api::new(vendor.clone(), |_| None, Clock::system()),
            connection,
            concurrency: 1,
            timeout: FEW,
            body_limit: 1024,
            fixtures: &[],
            insecure_accept_unsigned: false,
        };
        let payments = Payments {
            orders: vec!["shop".into()],
            providers: vec!["post".into()],
            every: FEW,
            payment_after: FEW,
            payout_after: FEW,
            warn_before: Duration::from_secs(2 * 3600),
            except: Vec::new(),
        };
        let mut wiring = Wiring { payments: Some(payments), ..Wiring::default() };
        wiring.accounts.insert("post".into(), Arc::new(account));
        let engine = Engine::new(Parts {
            store: store.clone(),
            queue: Arc::new(Embedded::new()),
            wiring,
            jq: jq::Pool::new(vec!["false".into()], 1),
            clock: Clock::system(),
            wall: Clock::system(),
            node: "test".into(),
            alone: true,
            worker: true,
        });
        engine.start().await;
        Self { vendor, store, engine, _folder: folder }
    }

    fn poller(&self) -> Poller {
        Poller { engine: Arc::clone(&self.engine), store: self.store.clone(), clock: Clock::system(), node: "test".into() }
    }

    /// Polls, and waits until all of it is planned.
    async fn poll(&self, kind: EntityKind) -> usize {
        let new = self.poller().round("post", kind).await.unwrap();
        let until = tokio::time::Instant::now() + FEW;
        while self.events().await.iter().any(|event| event.state.name() == "accepted") {
            assert!(tokio::time::Instant::now() < until, "an event stays unplanned");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        new
    }

    async fn events(&self) -> Vec<Event> {
        self.store.events(EventFilter { limit: 100, ..EventFilter::default() }).await.unwrap()
    }

    async fn warned_of(&self) -> Vec<String> {
        let told = self.events().await.into_iter().filter(|event| event.topic == "transaction.expiring");
        let ids = told.map(|event| {
            let changes: Vec<Change> = serde_json::from_slice(&event.body).unwrap();
            changes[0].entity.id.clone()
        });
        ids.collect()
    }
}

fn payment(kind: TransactionKind, id: &str, of: &str, minor: i64, lapses_in_hours: Option<u64>) -> Change {
    let now = Clock::system().now();
    let transaction = Transaction {
        id: id.into(),
        parent_id: None,
        gateway: "post".into(),
        kind,
        status: TransactionStatus::Success,
        amount: Money::from_minor(minor, Currency::NOK),
        processed_at: now,
        reference: Some(of.into()),
        expires_at: lapses_in_hours.map(|hours| now + Duration::from_secs(hours * 3600)),
        test: false,
    };
    Change {
        topic: Topic::TransactionCreated,
        entity: EntityRef::new(EntityKind::Transaction, id),
        version: Version::from(now),
        record: Record::Transaction { order: OrderRef { id: None, number: Some("#1001".into()) }, transaction },
    }
}

fn parcel(number: &str, state: ShipmentState, version: i64) -> Change {
    let shipment = Shipment {
        id: format!("shipment of {number}"),
        order: OrderRef { id: None, number: Some("1001".into()) },
        state,
        raw_state: None,
        carrier: None,
        tracking: vec![Tracking { number: number.into(), url: None }],
        lines: Vec::new(),
        completes_order: false,
        location: None,
        shipped_at: None,
        updated_at: Clock::system().now(),
    };
    Change {
        topic: Topic::ShipmentUpdated,
        entity: EntityRef::new(EntityKind::Shipment, &shipment.id),
        version: Version(version),
        record: Record::Shipment(Box::new(shipment)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorisation_about_to_lapse_with_money_left_is_told_of_once() {
    let world = World::start().await;
    *world.vendor.payments.lock().unwrap() = vec![
        payment(TransactionKind::Authorization, "soon", "soon", 50_000, Some(1)),
        payment(TransactionKind::Authorization, "later", "later", 50_000, Some(30)),
        payment(TransactionKind::Authorization, "taken", "taken", 50_000, Some(1)),
        payment(TransactionKind::Capture, "capture", "taken", 50_000, None),
        payment(TransactionKind::Authorization, "partly", "partly", 50_000, Some(1)),
        payment(TransactionKind::Capture, "part", "partly", 20_000, None),
        payment(TransactionKind::Authorization, "void", "void", 50_000, Some(1)),
        payment(TransactionKind::Void, "let go", "void", 50_000, None),
    ];
    assert_eq!(world.poll(EntityKind::Transaction).await, 8);
    let bookkeeper = Bookkeeper(world.poller());
    assert_eq!(bookkeeper.round().await.unwrap(), 2);
    let mut told = world.warned_of().await;
    told.sort();
    assert_eq!(told, ["partly", "soon"]);
    assert_eq!(world.poll(EntityKind::Transaction).await, 0);
    assert_eq!(bookkeeper.round().await.unwrap(), 0, "once is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_noted_where_payments_name_the_connection() {
    let world = World::start().await;
    *world.vendor.payments.lock().unwrap() = vec![payment(TransactionKind::Capture, "c1", "p1", 50_000, None)];
    world.poll(EntityKind::Transaction).await;
    let entries = ledger(&*world.store, "post", Timestamp::MIN).await.unwrap();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((entry.kind, entry.order.as_deref(), entry.payment.as_deref()), (LedgerKind::Capture, Some("1001"), Some("p1")));
    assert_eq!(entry.amount, Money::from_minor(50_000, Currency::NOK));
    assert!(ledger(&*world.store, "shop", Timestamp::MIN).await.unwrap().is_empty());
    assert!(world.events().await.iter().all(|event| event.state.name() == "planned"), "noted is not unrouted");
}

#[tokio::test(flavor = "multi_thread")]
async fn parcels_are_asked_about_until_they_have_arrived() {
    let world = World::start().await;
    let set = |parcels: Vec<Change>| *world.vendor.parcels.lock().unwrap() = parcels;
    // What a booking tells comes in as an event of the carrier.
    let known = vec![
        parcel("A", ShipmentState::Booked, 1),
        parcel("B", ShipmentState::InTransit, 1),
        parcel("C", ShipmentState::Booked, 1),
        parcel("D", ShipmentState::Delivered, 1),
    ];
    *world.vendor.payments.lock().unwrap() = known;
    world.poll(EntityKind::Transaction).await;
    set(vec![parcel("A", ShipmentState::Delivered, 2)]);
    assert_eq!(world.poll(EntityKind::Shipment).await, 1);
    world.poll(EntityKind::Shipment).await;
    let asked: Vec<String> = world.vendor.asked.lock().unwrap().iter().filter(|it| it.starts_with("/parcels")).cloned().collect();
    assert_eq!(asked, ["/parcels/A,B", "/parcels/C", "/parcels/B,C"], "two at a time, and none that has arrived");
}
