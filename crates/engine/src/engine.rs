//! The engine as a whole: what it is made of, how it starts, is rewired, and stops.

use crate::{Gate, Pass, Wiring, deliver, jq, plan, sweep};
use arc_swap::ArcSwap;
use spindel_model::{Clock, Event, EventId, EventState, Timestamp};
use spindel_queue::{Channel, Message, Queue, Work};
use spindel_store::{EventPlan, Ready, Store, StoreError};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What an engine is made of.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub queue: Arc<dyn Queue>,
    pub wiring: Wiring,
    pub jq: jq::Pool,
    pub clock: Clock,
    /// Names this node in leases. An embedded Spindel keeps its name across restarts.
    pub node: String,
    /// No other node works on this store: what this node's name holds at start was left behind by a dead process.
    pub alone: bool,
}

pub struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) jq: jq::Pool,
    pub(crate) clock: Clock,
    pub(crate) node: String,
    pub(crate) stop: CancellationToken,
    wiring: ArcSwap<Wiring>,
    alone: bool,
    gates: Mutex<HashMap<String, Gate>>,
    destinations: Mutex<BTreeMap<String, Destination>>,
    tasks: TaskTracker,
}

/// The tasks of one destination.
struct Destination {
    stop: CancellationToken,
    /// Something became due sooner than its sweeper knows.
    hint: Arc<Notify>,
}

/// Plan workers; planning is parsing and a commit, so a few keep the store busy.
const PLANNERS: usize = 2;
/// Events that are planned together.
const PLAN_BATCH: usize = 64;

impl Engine {
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            store: parts.store,
            queue: parts.queue,
            jq: parts.jq,
            clock: parts.clock,
            node: parts.node,
            stop: CancellationToken::new(),
            wiring: ArcSwap::from_pointee(parts.wiring),
            alone: parts.alone,
            gates: Mutex::default(),
            destinations: Mutex::default(),
            tasks: TaskTracker::new(),
        })
    }

    pub fn wiring(&self) -> Arc<Wiring> {
        self.wiring.load_full()
    }

    /// Takes up what an earlier process left, then starts the workers.
    pub async fn start(self: &Arc<Self>) {
        if self.alone {
            sweep::recover(self, Some(&self.node)).await;
        }
        for _ in 0..PLANNERS {
            self.tasks.spawn(Arc::clone(self).plan_events());
        }
        self.tasks.spawn(sweep::events(Arc::clone(self)));
        self.tasks.spawn(sweep::leases(Arc::clone(self)));
        self.attend_destinations();
    }

    /// Takes a new configuration from now on; what runs is finished with the old one.
    pub fn rewire(self: &Arc<Self>, wiring: Wiring) {
        self.wiring.store(Arc::new(wiring));
        // Settings may have mended what closed a gate.
        self.gates().clear();
        self.attend_destinations();
    }

    /// Stops taking work, and waits for what runs. What is not finished in time keeps its lease and is taken up later.
    pub async fn drain(&self, within: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(within, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                seconds = within.as_secs(),
                "stopped with deliveries still running: they are looked up or tried again at the next start"
            );
        }
    }

    /// One dispatcher and one sweeper for each destination of the configuration, none for those that left it.
    fn attend_destinations(self: &Arc<Self>) {
        let wiring = self.wiring();
        let mut destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        destinations.retain(|name, destination| {
            let stays = wiring.accounts.contains_key(name);
            if !stays {
                destination.stop.cancel();
            }
            stays
        });
        for name in wiring.accounts.keys() {
            destinations.entry(name.clone()).or_insert_with(|| {
                let (stop, hint) = (self.stop.child_token(), Arc::new(Notify::new()));
                self.tasks.spawn(deliver::dispatch(Arc::clone(self), name.clone(), stop.clone()));
                self.tasks.spawn(sweep::destination(Arc::clone(self), name.clone(), stop.clone(), Arc::clone(&hint)));
                Destination { stop, hint }
            });
        }
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    pub(crate) fn hint(&self, to: &str) {
        let destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(destination) = destinations.get(to) {
            destination.hint.notify_one();
        }
    }

    fn gates(&self) -> std::sync::MutexGuard<'_, HashMap<String, Gate>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn gate<T>(&self, to: &str, change: impl FnOnce(&mut Gate) -> T) -> T {
        let mut gates = self.gates();
        match gates.get_mut(to) {
            Some(gate) => change(gate),
            None => change(gates.entry(to.to_owned()).or_default()),
        }
    }

    /// Whether a connection may be called now, for people.
    pub fn gate_state(&self, to: &str, now: Timestamp) -> Option<String> {
        match self.gate(to, |gate| gate.peek(now)) {
            Pass::Open | Pass::OneOnly => None,
            Pass::Closed { why, .. } => Some(why),
        }
    }

    // --- announcing

    /// Announces a committed event. When the queue does not take it, the sweeper announces it again.
    pub async fn announce(&self, event: EventId) {
        self.publish(&Channel::Plan, vec![Message { work: Work::Plan(event), fresh: true }]).await;
    }

    pub(crate) async fn announce_ready(&self, ready: Vec<Ready>) {
        let mut by_destination: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for one in ready {
            let message = Message { work: Work::Deliver(one.id), fresh: one.fresh };
            by_destination.entry(one.to).or_default().push(message);
        }
        for (to, messages) in by_destination {
            self.publish(&Channel::Deliver(to), messages).await;
        }
    }

    pub(crate) async fn publish(&self, channel: &Channel, messages: Vec<Message>) {
        if let Err(error) = self.queue.publish(channel, messages).await {
            tracing::debug!(%error, ?channel, "not announced; the sweeper does it later");
        }
    }

    // --- planning

    async fn plan_events(self: Arc<Self>) {
        loop {
            let consumer = tokio::select! {
                () = self.stop.cancelled() => return,
                consumer = self.queue.consume(&Channel::Plan) => consumer,
            };
            match consumer {
                Ok(consumer) => self.plan_from(consumer).await,
                Err(error) => {
                    tracing::warn!(%error, "no consumer for events to plan; trying again");
                    self.pause(Duration::from_secs(1)).await;
                }
            }
            if self.stop.is_cancelled() {
                return;
            }
        }
    }

    async fn plan_from(&self, mut consumer: Box<dyn spindel_queue::Consumer>) {
        loop {
            let messages = tokio::select! {
                () = self.stop.cancelled() => return,
                messages = consumer.receive(PLAN_BATCH, PLAN_BATCH) => messages,
            };
            let Ok(messages) = messages else { return };
            let ids = messages.iter().filter_map(|message| match message.work {
                Work::Plan(id) => Some(id),
                Work::Deliver(_) => None,
            });
            if let Err(error) = self.plan_batch(ids.collect()).await {
                tracing::warn!(%error, "events could not be planned; they are announced again");
                self.pause(Duration::from_secs(1)).await;
            }
            if consumer.acknowledge(&messages).await.is_err() {
                return;
            }
        }
    }

    async fn plan_batch(&self, ids: Vec<EventId>) -> Result<(), StoreError> {
        let events = match self.store.to_plan(ids.clone()).await {
            // One that cannot be read must not hold back the others.
            Err(StoreError::Corrupt(_)) if ids.len() > 1 => {
                for id in ids {
                    Box::pin(self.plan_batch(vec![id])).await?;
                }
                return Ok(());
            }
            Err(StoreError::Corrupt(reason)) => return self.quarantine(ids, reason).await,
            events => events?,
        };
        // All at once, so that their commits are one commit.
        let plans = futures::future::join_all(events.iter().map(async |event| {
            let plan = self.plan_one(event).await;
            if let EventState::Quarantined { reason } = &plan.state {
                tracing::warn!(event = %event.id, connection = event.connection, topic = event.topic, reason, "event quarantined");
            }
            self.store.plan(plan).await
        }))
        .await;
        let (planned, failed): (Vec<_>, Vec<_>) = plans.into_iter().partition(Result::is_ok);
        self.announce_ready(planned.into_iter().flatten().flat_map(|planned| planned.ready).collect()).await;
        failed.into_iter().next().map_or(Ok(()), |failed| failed.map(|_| ()))
    }

    async fn quarantine(&self, ids: Vec<EventId>, reason: String) -> Result<(), StoreError> {
        for event in ids {
            tracing::error!(%event, reason, "an event cannot be read from the store");
            let state = EventState::Quarantined { reason: reason.clone() };
            let plan = EventPlan { event, state, indexed: Vec::new(), deliveries: Vec::new(), now: self.clock.now() };
            self.store.plan(plan).await?;
        }
        Ok(())
    }

    /// Plans with the configuration as it is when the plan is ready: a mapping may take its time, and a reload meanwhile is
    /// perhaps what this event waits for.
    async fn plan_one(&self, event: &Event) -> EventPlan {
        loop {
            let wiring = self.wiring();
            let plan = plan(&wiring, &self.jq, event, self.clock.now()).await;
            if Arc::ptr_eq(&wiring, &self.wiring()) {
                return plan;
            }
        }
    }

    /// Sleeps, unless the engine stops.
    pub(crate) async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(time) => {}
        }
    }
}
