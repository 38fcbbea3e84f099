//! The engine as a whole: what it is made of, how it starts, is rewired, and stops.

use crate::{Gate, Pass, Wiring, announce::Announcer, deliver, jq, meter, plan, sweep};
use arc_swap::ArcSwap;
use spindel_model::{Clock, Delivery, DeliveryId, Event, EventId, EventState, Timestamp};
use spindel_queue::{Channel, Message, Queue, Work};
use spindel_store::{EventPlan, Ready, Store, StoreError};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
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
    /// For leases, timers and pauses.
    pub clock: Clock,
    /// The machine's clock, for what vendors compare with theirs.
    pub wall: Clock,
    /// Names this node in leases. An embedded Spindel keeps its name across restarts.
    pub node: String,
    /// No other node works on this store: what this node's name holds at start was left behind by a dead process.
    pub alone: bool,
    /// Plans and delivers. Without it the engine only announces what comes in.
    pub worker: bool,
}

pub struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) jq: jq::Pool,
    pub(crate) clock: Clock,
    pub(crate) wall: Clock,
    pub(crate) node: String,
    pub(crate) stop: CancellationToken,
    /// What still runs when the time to stop is over is given up.
    pub(crate) give_up: CancellationToken,
    /// Deliveries that this process carries out right now.
    pub(crate) at_work: Mutex<HashSet<DeliveryId>>,
    announcer: Announcer,
    wiring: ArcSwap<Wiring>,
    alone: bool,
    worker: bool,
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
            announcer: Announcer::start(Arc::clone(&parts.queue)),
            queue: parts.queue,
            jq: parts.jq,
            clock: parts.clock,
            wall: parts.wall,
            node: parts.node,
            stop: CancellationToken::new(),
            give_up: CancellationToken::new(),
            at_work: Mutex::default(),
            wiring: ArcSwap::from_pointee(parts.wiring),
            alone: parts.alone,
            worker: parts.worker,
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
        if !self.worker {
            return;
        }
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

    /// Stops taking work and waits for what runs. What has not ended in time is given up and its lease released at once:
    /// another node looks it up or tries it again.
    pub async fn drain(&self, within: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(within, self.tasks.wait()).await.is_err() {
            let running = self.at_work().len();
            tracing::warn!(seconds = within.as_secs(), running, "deliveries still ran when the time to stop was over");
            self.give_up.cancel();
            self.tasks.wait().await;
            sweep::recover(self, Some(&self.node)).await;
        }
        self.announcer.flush().await;
    }

    /// One dispatcher and one sweeper for each destination of the configuration, none for those that left it.
    fn attend_destinations(self: &Arc<Self>) {
        if !self.worker {
            return;
        }
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

    /// Whether the breaker of a connection is open, and whether the connection rests because its credentials were refused.
    pub fn breaker_and_pause(&self, to: &str) -> (bool, bool) {
        self.gates().get(to).map_or((false, false), |gate| (gate.breaker_is_open(), gate.is_paused()))
    }

    pub fn jq(&self) -> &jq::Pool {
        &self.jq
    }

    // --- announcing

    /// Announces a committed event.
    pub fn announce(&self, event: EventId) {
        self.announcer.announce(Channel::Plan, vec![Message { work: Work::Plan(event), fresh: true }]);
    }

    pub(crate) fn announce_ready(&self, ready: Vec<Ready>) {
        let mut by_destination: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for one in ready {
            let message = Message { work: Work::Deliver(one.id), fresh: one.fresh };
            by_destination.entry(one.to).or_default().push(message);
        }
        for (to, messages) in by_destination {
            self.announcer.announce(Channel::Deliver(to), messages);
        }
    }

    pub(crate) fn announce_all(&self, channel: &Channel, messages: Vec<Message>) {
        self.announcer.announce(channel.clone(), messages);
    }

    pub(crate) fn at_work(&self) -> std::sync::MutexGuard<'_, HashSet<DeliveryId>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that nobody works on any more: what this process carries out right now it will finish itself, however late.
    pub(crate) fn left_behind(&self, expired: Vec<Delivery>) -> Vec<Delivery> {
        let at_work = self.at_work();
        expired.into_iter().filter(|delivery| !at_work.contains(&delivery.id)).collect()
    }

    /// Whether this node is the one that does this now: one at a time of all that share the store.
    pub(crate) async fn has_duty(&self, duty: &str) -> bool {
        const HELD_FOR: jiff::SignedDuration = jiff::SignedDuration::from_secs(15);
        let now = self.clock.now();
        self.alone || self.store.hold_duty(duty, &self.node, now, now + HELD_FOR).await.unwrap_or(false)
    }

    // --- planning

    async fn plan_events(self: Arc<Self>) {
        loop {
            let consumer = tokio::select! {
                () = self.stop.cancelled() => return,
                consumer = self.queue.consume(&Channel::Plan, PLAN_BATCH as u16 * 2) => consumer,
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
            meter::log_plan(event, &plan);
            let state = plan.state.name();
            self.store.plan(plan).await.inspect(|_| meter::planned(state))
        }))
        .await;
        let (planned, failed): (Vec<_>, Vec<_>) = plans.into_iter().partition(Result::is_ok);
        self.announce_ready(planned.into_iter().flatten().flat_map(|planned| planned.ready).collect());
        failed.into_iter().next().map_or(Ok(()), |failed| failed.map(|_| ()))
    }

    async fn quarantine(&self, ids: Vec<EventId>, reason: String) -> Result<(), StoreError> {
        for event in ids {
            tracing::error!(%event, reason, "an event cannot be read from the store");
            let state = EventState::Quarantined { reason: reason.clone() };
            let plan =
                EventPlan { event, state, indexed: Vec::new(), deliveries: Vec::new(), notes: Vec::new(), now: self.clock.now() };
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
