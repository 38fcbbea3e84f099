//! An engine with all that it needs, and short ways to put something in and to wait for what comes of it.

use crate::vendor::Vendor;
use jiff::{SignedDuration, Timestamp};
use spindel_connect::{Api, BoxFuture, CallError, Failure, Maps, Reply, Request, Transport};
use spindel_engine::{Account, Engine, Parts, Wiring, jq};
use spindel_model::{
    ActionKind, Cause, Change, Clock, Delivery, EntityKind, EntityRef, ErrorClass, EventId, Filter, Flow, Record, RetryPolicy,
    Topic, Trust, Version, specimen,
};
use spindel_queue::{Channel, Consumer, Embedded, Message, Queue, QueueError};
use spindel_store::{DeliveryDetail, DeliveryFilter, NewEvent, Options, SqliteStore, Store};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::watch;

pub use spindel_connect::Repeat;

pub const SHOP: &str = "shop";
pub const ERP: &str = "erp";
/// For one call; a lease holds half a minute longer.
pub const TIMEOUT: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(5);

/// What a test wants to be different.
pub struct Setup {
    pub clock: Clock,
    pub concurrency: usize,
    pub repeat: Repeat,
    pub batch: usize,
    pub flows: Vec<Flow>,
    /// Destinations beside the ERP.
    pub beside: Vec<&'static str>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            concurrency: 4,
            repeat: Repeat::Harmless,
            batch: 1,
            flows: vec![orders()],
            beside: Vec::new(),
        }
    }
}

/// Orders from the shop to the ERP, tried again after milliseconds.
pub fn orders() -> Flow {
    Flow {
        name: "orders".into(),
        from: SHOP.into(),
        on: vec![Topic::OrderCreated, Topic::OrderUpdated],
        to: ERP.into(),
        action: ActionKind::PushOrder,
        when: Filter::default(),
        lag: Duration::ZERO,
        trust: Trust::Payload,
        every: None,
        attributes: Default::default(),
        map: None,
        retry: RetryPolicy {
            first: Duration::from_millis(10),
            factor: 2.0,
            max: Duration::from_millis(100),
            give_up_after: Duration::from_secs(72 * 3600),
        },
    }
}

pub struct World {
    pub store: Arc<SqliteStore>,
    pub engine: Arc<Engine>,
    pub queue: Arc<Leaky>,
    pub clock: Clock,
    pub vendors: BTreeMap<&'static str, Arc<Vendor>>,
    setup: Setup,
    // Last, so that the store is closed before its folder goes.
    _folder: TempDir,
}

impl World {
    pub async fn start(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("spindel.db"), Options::default()).unwrap();
        let clock = setup.clock.clone();
        let names = [SHOP, ERP].into_iter().chain(setup.beside.iter().copied());
        let vendors: BTreeMap<_, _> =
            names.map(|name| (name, Arc::new(Vendor::new(clock.clone(), setup.repeat, setup.batch)))).collect();
        let queue = Arc::new(Leaky::default());
        let wiring = wiring(&setup, &vendors, Maps::default());
        let engine = engine(&store, &queue, &clock, wiring, "a");
        engine.start().await;
        Self { store, engine, queue, clock, vendors, setup, _folder: folder }
    }

    pub fn erp(&self) -> &Vendor {
        &self.vendors[ERP]
    }

    pub fn shop(&self) -> &Vendor {
        &self.vendors[SHOP]
    }

    /// Reloads the configuration, with these maps.
    pub fn rewire(&self, maps: Maps) {
        self.engine.rewire(wiring(&self.setup, &self.vendors, maps));
    }

    /// Reloads the configuration, with these flows.
    pub fn rewire_flows(&self, flows: Vec<Flow>) {
        let wiring =
            Wiring { flows: flows.into_iter().map(Arc::new).collect(), ..wiring(&self.setup, &self.vendors, Maps::default()) };
        self.engine.rewire(wiring);
    }

    /// Another node on the same store, with a queue and an ERP of its own choice.
    pub async fn another(&self, node: &str, queue: &Arc<Leaky>, erp: &Arc<Vendor>) -> Arc<Engine> {
        let vendors = BTreeMap::from([(SHOP, Arc::clone(&self.vendors[SHOP])), (ERP, Arc::clone(erp))]);
        let other = engine(&self.store, queue, &self.clock, wiring(&self.setup, &vendors, Maps::default()), node);
        other.start().await;
        other
    }

    pub fn advance(&self, by: Duration) {
        self.clock.advance(SignedDuration::try_from(by).unwrap());
    }

    /// Commits one event with these changes and announces it.
    pub async fn put(&self, changes: impl IntoIterator<Item = Change>) {
        self.put_as(Cause::Poll, changes).await;
    }

    pub async fn put_as(&self, cause: Cause, changes: impl IntoIterator<Item = Change>) {
        let changes: Vec<Change> = changes.into_iter().collect();
        let id = EventId::new();
        let event = NewEvent {
            id,
            connection: SHOP.into(),
            topic: changes[0].topic.as_str().into(),
            cause,
            dedupe_key: id.to_string(),
            received_at: self.clock.now(),
            headers: Vec::new(),
            body: serde_json::to_vec(&changes).unwrap(),
        };
        self.store.append(event).await.unwrap();
        self.engine.announce(id);
    }

    pub async fn deliveries(&self) -> Vec<Delivery> {
        self.store.deliveries(DeliveryFilter { limit: 10_000, ..DeliveryFilter::default() }).await.unwrap()
    }

    /// The newest delivery about this entity.
    pub async fn delivery(&self, id: &str) -> Option<Delivery> {
        self.deliveries().await.into_iter().find(|delivery| delivery.entity.id == id)
    }

    pub async fn detail(&self, id: &str) -> DeliveryDetail {
        let delivery = self.delivery(id).await.unwrap();
        self.store.delivery(delivery.id).await.unwrap().unwrap()
    }

    /// The only delivery about this entity, once it is in this state.
    pub async fn until_state(&self, id: &str, state: &str) -> Delivery {
        let is = async || self.delivery(id).await.is_some_and(|delivery| delivery.state.name() == state);
        until(&format!("{id} to be {state}"), is).await;
        self.delivery(id).await.unwrap()
    }

    /// How many deliveries are in this state.
    pub async fn count(&self, state: &str) -> u64 {
        self.store.counts().await.unwrap().deliveries.get(state).copied().unwrap_or(0)
    }

    /// Waits until so many deliveries were delivered, and no other is left.
    pub async fn until_all_delivered(&self, count: u64) {
        let all = BTreeMap::from([("delivered".to_owned(), count)]);
        let mut seen = BTreeMap::new();
        let deadline = Instant::now() + PATIENCE;
        while seen != all {
            assert!(Instant::now() < deadline, "wanted {count} deliveries, all delivered; there are {seen:?}");
            tokio::time::sleep(PAUSE).await;
            seen = self.store.counts().await.unwrap().deliveries;
            seen.retain(|_, count| *count > 0);
        }
    }

    /// Why the ERP may not be called now.
    pub fn gate(&self) -> Option<String> {
        self.engine.gate_state(ERP, self.clock.now())
    }
}

fn engine(store: &Arc<SqliteStore>, queue: &Arc<Leaky>, clock: &Clock, wiring: Wiring, node: &str) -> Arc<Engine> {
    Engine::new(Parts {
        store: Arc::clone(store) as Arc<dyn Store>,
        queue: Arc::clone(queue) as Arc<dyn Queue>,
        wiring,
        // A mapping that never answers.
        jq: jq::Pool::new(vec!["sleep".into(), "60".into()], 1),
        clock: clock.clone(),
        wall: clock.clone(),
        node: node.into(),
        alone: false,
        worker: true,
    })
}

fn wiring(setup: &Setup, vendors: &BTreeMap<&'static str, Arc<Vendor>>, maps: Maps) -> Wiring {
    let account = |name: &str, vendor: &Arc<Vendor>| Account {
        name: name.into(),
        connection: Arc::clone(vendor) as _,
        api: Api::new(Arc::new(NoNetwork), |_| None, setup.clock.clone()),
        concurrency: setup.concurrency,
        timeout: TIMEOUT,
        body_limit: 1 << 20,
        fixtures: &[],
        insecure_accept_unsigned: false,
    };
    Wiring {
        payments: None,
        accounts: vendors.iter().map(|(name, vendor)| ((*name).to_owned(), Arc::new(account(name, vendor)))).collect(),
        flows: setup.flows.iter().cloned().map(Arc::new).collect(),
        maps: Arc::new(maps),
    }
}

struct NoNetwork;

impl Transport for NoNetwork {
    fn send<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(async { Err(Failure::NoConnection("there is no network here".into())) })
    }
}

/// Which channels' messages are lost.
type Loses = fn(&Channel) -> bool;

/// An embedded queue that loses what it is told to lose.
#[derive(Default)]
pub struct Leaky {
    queue: Embedded,
    loses: Mutex<Option<Loses>>,
    lost: AtomicUsize,
    resets: watch::Sender<u64>,
}

impl Leaky {
    /// From now on messages of these channels are lost; `None`: no more.
    pub fn lose(&self, channels: Option<Loses>) {
        *self.loses.lock().unwrap_or_else(PoisonError::into_inner) = channels;
    }

    pub fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }

    /// Says that it may have forgotten what it was told.
    pub fn forget(&self) {
        self.resets.send_modify(|resets| *resets += 1);
    }
}

impl Queue for Leaky {
    fn publish(&self, channel: &Channel, messages: Vec<Message>) -> spindel_queue::BoxFuture<'_, Result<(), QueueError>> {
        let loses = *self.loses.lock().unwrap_or_else(PoisonError::into_inner);
        if loses.is_some_and(|loses| loses(channel)) {
            self.lost.fetch_add(messages.len(), Ordering::SeqCst);
            return Box::pin(async { Ok(()) });
        }
        self.queue.publish(channel, messages)
    }

    fn consume(&self, channel: &Channel, prefetch: u16) -> spindel_queue::BoxFuture<'_, Result<Box<dyn Consumer>, QueueError>> {
        self.queue.consume(channel, prefetch)
    }

    fn depth(&self, channel: &Channel) -> spindel_queue::BoxFuture<'_, Result<usize, QueueError>> {
        self.queue.depth(channel)
    }

    fn resets(&self) -> watch::Receiver<u64> {
        self.resets.subscribe()
    }

    fn trouble(&self) -> Option<String> {
        self.queue.trouble()
    }
}

/// A clock that a test moves by hand.
pub fn manual() -> Clock {
    Clock::manual(at(0))
}

/// So many seconds after a manual clock's start.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_170_000 + seconds).unwrap()
}

/// The order with this id as it stood so many seconds after the start; its note says the seconds.
pub fn order(id: &str, seconds: i64) -> Change {
    let record = order_record(id, seconds, &seconds.to_string());
    Change {
        topic: Topic::OrderUpdated,
        entity: EntityRef::new(EntityKind::Order, id),
        version: Version::from(at(seconds)),
        record,
    }
}

pub fn order_record(id: &str, seconds: i64, note: &str) -> Record {
    let Record::Order(mut order) = specimen(EntityKind::Order) else { unreachable!("the specimen of an order is one") };
    (order.id, order.number) = (id.into(), format!("#{id}"));
    (order.updated_at, order.note) = (at(seconds), Some(note.into()));
    Record::Order(order)
}

/// Only the word that the order with this id changed.
pub fn nudge(id: &str, seconds: i64) -> Change {
    Change { record: Record::Nudge, ..order(id, seconds) }
}

pub fn stock(sku: &str) -> Change {
    let Record::Stock(mut level) = specimen(EntityKind::Stock) else { unreachable!("the specimen of a stock level is one") };
    level.sku = Some(sku.into());
    Change {
        topic: Topic::StockChanged,
        entity: EntityRef::new(EntityKind::Stock, sku),
        version: Version::from(at(0)),
        record: Record::Stock(level),
    }
}

/// A failure without an effect.
pub fn failure(class: ErrorClass) -> CallError {
    CallError::new("push_order", class, "the test wants it so")
}

/// A failure that may have had its effect.
pub fn cut() -> CallError {
    CallError::transient("push_order", "the connection was cut").with_unknown_effect()
}

/// Waits for a condition, with a deadline that says what was waited for.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
