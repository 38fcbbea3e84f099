//! Subscriptions at a vendor that forgets them, switches them off, and signs with a secret of its own.

#![allow(clippy::unwrap_used)]

use jiff::SignedDuration;
use serde_json::{Value, json};
use spindel_connect::{
    Ability, Api, Auth, BoxFuture, CallError, ConfigError, Connector, Cursor, Endpoint, Failure, Fixture, Info, Kind, Page, Poll,
    Registered, Reply, Request, Secret, Subscribe, Subscription, Transport, entry, polls, subscribes,
};
use spindel_engine::{Account, Engine, Parts, Wiring, jq};
use spindel_model::{
    ActionKind, Cause, Change, Clock, EntityKind, EntityRef, EventId, Filter, Flow, Order, RetryPolicy, Timestamp, Topic, Trust,
    Version, specimen,
};
use spindel_queue::Embedded;
use spindel_store::{EventFilter, NewEvent, Options, SqliteStore, Store};
use spindel_sync::{Health, Keeper, Poller, Standing, kept_secrets, owed, repair, standings};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const INBOX: &str = "https://hooks.example.no/in/";
const ADDRESS: &str = "https://hooks.example.no/in/shop";

struct Stall;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Nothing {}

impl Connector for Stall {
    const INFO: Info = Info { id: "stall", name: "Stall", kind: Kind::Shop, about: "a shop of these tests" };
    type Config = Nothing;
    const ABILITIES: &'static [Ability<Self>] = &[polls::<Order, Self>(), subscribes::<Self>()];
    const FIXTURES: &'static [Fixture] = &[];

    fn connect(_: Nothing) -> Result<(Self, Endpoint), ConfigError> {
        Ok((Self, Endpoint::new("https://stall.example.no", Auth::None)))
    }

    async fn probe(&self, _: &Api) -> Result<String, CallError> {
        Ok("here".into())
    }
}

impl Subscribe for Stall {
    const TOPICS: &'static [&'static str] = &["orders", "stock"];

    async fn list(&self, api: &Api) -> Result<Vec<Subscription>, CallError> {
        api.get("list", "/subscriptions").fetch().await
    }

    async fn register(&self, api: &Api, topic: &str, address: &str) -> Result<Registered, CallError> {
        let subscription = api.post("register", "/subscriptions").json(&Subscription::new(topic, topic, address)).fetch().await?;
        Ok(Registered { subscription, secret: Some(Secret::new(format!("secret of {topic}"))) })
    }

    async fn repair(&self, api: &Api, subscription: &Subscription) -> Result<Registered, CallError> {
        let sound = Subscription { active: true, expires_at: None, ..subscription.clone() };
        Ok(api.put("repair", "/subscriptions").json(&sound).fetch::<Subscription>().await?.into())
    }
}

impl Poll<Order> for Stall {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, _: Timestamp) -> Result<Page, CallError> {
        let since = cursor.map_or("", |it| it.0.as_str());
        let changes: Vec<Change> = api.get("orders", format!("/orders?since={since}")).fetch().await?;
        Ok(Page { changes, cursor: Cursor("done".into()), more: false })
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Cursor(at.as_second().to_string()))
    }
}

/// The vendor's side.
#[derive(Default)]
struct Vendor {
    subscriptions: Mutex<Vec<Subscription>>,
    asked: Mutex<Vec<String>>,
    is_down: AtomicBool,
}

impl Transport for Vendor {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>> {
        let mut subscriptions = self.subscriptions.lock().unwrap();
        self.asked.lock().unwrap().push(format!("{} {}", request.method, request.path));
        let sent: Option<Subscription> = serde_json::from_slice(&request.body).ok();
        if let Some(sent) = &sent {
            subscriptions.retain(|it| it.id != sent.id);
            subscriptions.push(sent.clone());
        }
        let body: Value = match (&sent, request.path.starts_with("/orders")) {
            (_, true) => json!([missed()]),
            (Some(sent), _) => json!(sent),
            (None, _) => json!(*subscriptions),
        };
        let status = if self.is_down.load(Ordering::SeqCst) { 503 } else { 200 };
        let reply = Reply { status, headers: http::HeaderMap::new(), body: body.to_string().into() };
        Box::pin(async { Ok(reply) })
    }
}

/// An order that was placed while the webhooks were silent.
fn missed() -> Change {
    Change {
        topic: Topic::OrderUpdated,
        entity: EntityRef::new(EntityKind::Order, "missed"),
        version: Version(1),
        record: specimen(EntityKind::Order),
    }
}

struct World {
    vendor: Arc<Vendor>,
    store: Arc<SqliteStore>,
    keeper: Keeper,
    account: Arc<Account>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start(subscriptions: Vec<Subscription>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("spindel.db"), Options::default()).unwrap();
        let vendor = Arc::new(Vendor { subscriptions: Mutex::new(subscriptions), ..Vendor::default() });
        let (connection, _) = (entry::<Stall>().connect)(json!({})).unwrap();
        let account = Arc::new(Account {
            name: "shop".into(),
            api: Api::new(vendor.clone(), |_| None, Clock::system()),
            connection,
            concurrency: 1,
            timeout: Duration::from_secs(5),
            body_limit: 1024,
            fixtures: &[],
            insecure_accept_unsigned: false,
        });
        let flow = Flow {
            name: "orders".into(),
            from: "shop".into(),
            on: vec![Topic::OrderUpdated],
            to: "erp".into(),
            action: ActionKind::PushOrder,
            when: Filter::default(),
            lag: Duration::ZERO,
            trust: Trust::Payload,
            every: None,
            attributes: Default::default(),
            map: None,
            retry: RetryPolicy::default(),
        };
        let mut wiring = Wiring { flows: vec![Arc::new(flow)], ..Wiring::default() };
        wiring.accounts.insert("shop".into(), Arc::clone(&account));
        let engine = Engine::new(Parts {
            store: store.clone(),
            queue: Arc::new(Embedded::new()),
            wiring,
            jq: jq::Pool::new(vec!["false".into()], 1),
            clock: Clock::system(),
            wall: Clock::system(),
            node: "test".into(),
            alone: true,
            worker: false,
        });
        let poller = Poller { engine, store: store.clone(), clock: Clock::system(), node: "test".into() };
        let keeper = Keeper { poller, inbox: INBOX.into() };
        Self { vendor, store, keeper, account, _folder: folder }
    }

    async fn append(&self, topic: &str, cause: Cause, at: Timestamp) {
        let event = NewEvent {
            id: EventId::new(),
            connection: "shop".into(),
            topic: topic.into(),
            cause,
            dedupe_key: format!("{topic} {at}"),
            received_at: at,
            headers: Vec::new(),
            body: b"{}".to_vec(),
        };
        self.store.append(event).await.unwrap();
    }

    fn asked(&self) -> Vec<String> {
        self.vendor.asked.lock().unwrap().clone()
    }

    async fn states(&self) -> Vec<(String, Health)> {
        let found = standings(&self.account, Some(ADDRESS), now()).await.unwrap().unwrap();
        found.into_iter().map(|(it, _)| (it.topic, it.state)).collect()
    }
}

fn now() -> Timestamp {
    Clock::system().now()
}

fn orders() -> Subscription {
    Subscription::new("orders", "orders", ADDRESS)
}

fn stock() -> Subscription {
    Subscription::new("stock", "stock", ADDRESS)
}

#[tokio::test]
async fn what_is_missing_switched_off_about_to_end_or_elsewhere_is_told_apart() {
    let soon = now() + Duration::from_secs(3600);
    for (found, expected) in [
        (vec![orders(), stock()], [("orders", Health::Active), ("stock", Health::Active)]),
        (vec![orders()], [("orders", Health::Active), ("stock", Health::Missing)]),
        (vec![Subscription { active: false, ..orders() }, stock()], [("orders", Health::Inactive), ("stock", Health::Active)]),
        (
            vec![Subscription { expires_at: Some(soon), ..orders() }, stock()],
            [("orders", Health::EndsSoon), ("stock", Health::Active)],
        ),
        (
            vec![Subscription { address: "https://elsewhere.example.no".into(), ..orders() }, stock()],
            [("orders", Health::Missing), ("stock", Health::Active)],
        ),
    ] {
        let world = World::start(found).await;
        assert_eq!(world.states().await, expected.map(|(topic, state)| (topic.to_owned(), state)));
    }
}

#[tokio::test]
async fn a_repair_registers_and_switches_on_and_keeps_the_vendors_secret() {
    let world = World::start(vec![Subscription { active: false, ..orders() }]).await;
    let found = standings(&world.account, Some(ADDRESS), now()).await.unwrap().unwrap();
    let repaired = repair(&*world.store, &world.account, ADDRESS, found, now()).await.unwrap();
    let did: Vec<Health> = repaired.iter().map(|it| it.state).collect();
    assert_eq!(did, [Health::Repaired, Health::Registered]);
    assert_eq!(world.states().await, [("orders".to_owned(), Health::Active), ("stock".to_owned(), Health::Active)]);
    let kept = kept_secrets(&*world.store, "shop").await.unwrap();
    assert_eq!(kept.iter().map(Secret::expose).collect::<Vec<_>>(), ["secret of stock"]);
    assert!(kept_secrets(&*world.store, "other").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_secret_of_each_topic_is_kept_however_many_topics_there_are() {
    let world = World::start(Vec::new()).await;
    let topics: Vec<String> = (0..12).map(|n| format!("topic {n}")).collect();
    let missing = |topic: &String| {
        let (topic, addresses, state) = (topic.clone(), Vec::new(), Health::Missing);
        (Standing { topic, addresses, state, expires_at: None, problem: None }, None)
    };
    let missing: Vec<(Standing, Option<Subscription>)> = topics.iter().map(missing).collect();
    for _ in 0..3 {
        repair(&*world.store, &world.account, ADDRESS, missing.clone(), now()).await.unwrap();
    }
    let kept = kept_secrets(&*world.store, "shop").await.unwrap();
    for topic in &topics {
        assert!(kept.iter().any(|it| it.expose() == format!("secret of {topic}")), "{topic}");
    }
    assert_eq!(kept.len(), topics.len());
}

#[tokio::test]
async fn after_a_repair_the_gap_is_filled_from_shortly_before_the_last_webhook() {
    let world = World::start(vec![Subscription { active: false, ..orders() }, stock()]).await;
    let last: Timestamp = "2025-11-20T10:00:00Z".parse().unwrap();
    world.append("orders", Cause::Webhook, last).await;
    // What was polled, or told of something else, says nothing of these webhooks.
    world.append("orders", Cause::Poll, last + Duration::from_secs(7200)).await;
    world.append("stock", Cause::Webhook, last + Duration::from_secs(7200)).await;
    assert_eq!(world.keeper.check("shop").await.unwrap(), 1);
    assert_eq!(world.keeper.fill("shop").await.unwrap(), 1);
    assert_eq!(world.asked().last().unwrap(), &format!("GET /orders?since={}", last.as_second() - 600));
    let events = world.store.events(EventFilter { limit: 10, ..EventFilter::default() }).await.unwrap();
    assert!(events.iter().any(|it| it.cause == Cause::Poll && it.topic == "order.updated"));
    // The regular poll, which there may be as well, goes on from where it stood.
    assert_eq!(world.store.cursor("shop", "order").await.unwrap(), None);
    let asked = world.asked().len();
    assert_eq!(world.keeper.fill("shop").await.unwrap(), 0);
    assert_eq!(world.asked().len(), asked, "once is enough");
}

#[tokio::test]
async fn what_fell_silent_since_the_last_check_may_have_been_silent_ever_since() {
    let world = World::start(vec![stock()]).await;
    let hour_ago = now() - Duration::from_secs(3600);
    world.append("stock", Cause::Webhook, now()).await;
    world.keeper.check("shop").await.unwrap();
    let since = owed(&*world.store, "shop").await.unwrap().unwrap();
    assert!(since.duration_since(hour_ago).abs() < SignedDuration::from_secs(60), "{since}");
}

#[tokio::test]
async fn a_gap_is_owed_until_the_vendor_has_answered() {
    let world = World::start(vec![Subscription { active: false, ..orders() }, stock()]).await;
    world.append("orders", Cause::Webhook, "2025-11-20T10:00:00Z".parse().unwrap()).await;
    // As somebody does on the command line: nothing is asked for by that.
    let found = standings(&world.account, Some(ADDRESS), now()).await.unwrap().unwrap();
    repair(&*world.store, &world.account, ADDRESS, found, now()).await.unwrap();
    world.vendor.is_down.store(true, Ordering::SeqCst);
    assert!(world.keeper.fill("shop").await.is_err());
    world.vendor.is_down.store(false, Ordering::SeqCst);
    assert_eq!(world.keeper.check("shop").await.unwrap(), 0, "it is mended already");
    assert_eq!(world.keeper.fill("shop").await.unwrap(), 1);
    assert_eq!(owed(&*world.store, "shop").await.unwrap(), None);
}

#[tokio::test]
async fn a_vendor_that_never_told_anything_left_nothing_out() {
    let world = World::start(Vec::new()).await;
    assert_eq!(world.keeper.check("shop").await.unwrap(), 2);
    assert_eq!(owed(&*world.store, "shop").await.unwrap(), None);
}

#[tokio::test]
async fn sound_subscriptions_are_left_alone() {
    let world = World::start(vec![orders(), stock()]).await;
    world.append("orders", Cause::Webhook, now()).await;
    assert_eq!(world.keeper.check("shop").await.unwrap(), 0);
    assert_eq!(world.keeper.fill("shop").await.unwrap(), 0);
    assert_eq!(world.asked(), ["GET /subscriptions"]);
}
