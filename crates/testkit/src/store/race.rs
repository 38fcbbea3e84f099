//! Two nodes on one database: whoever plans, claims, finishes, retries and discards at the same moment, the lanes hold.

use super::fixture::*;
use spindel_model::{Delivery, DeliveryId, EntityRef, EventId, State};
use spindel_store::{Claim, Claimant, Claimed, DeliveryFilter, EventPlan, NewDelivery, Store};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

const ROUNDS: u64 = 4;
const EVENTS_A_ROUND: usize = 40;
const LANES: u64 = 8;
const WORKERS_A_NODE: u64 = 2;
/// What a worker does in a round.
const STEPS: usize = 12;

/// Version, number of the event, number of the change: the order in a lane.
type Rank = (i64, usize, u32);

pub async fn racing_nodes_keep_every_lane_in_order(one: Shared, two: Shared) {
    let world = Arc::new(World::default());
    let mut dice = Dice(7);
    for round in 0..ROUNDS {
        let plans = world.events(&one, &two, &mut dice).await;
        let nodes = [Arc::clone(&one), Arc::clone(&two)];
        let mut tasks = Vec::new();
        for (number, store) in nodes.into_iter().enumerate() {
            let number = number as u64;
            let node = |task| Node {
                store: Arc::clone(&store),
                world: Arc::clone(&world),
                dice: Dice(1 + round * 100 + number * 10 + task),
            };
            // Both plan all: each event is planned once.
            tasks.push(tokio::spawn(node(0).plan(plans.clone())));
            tasks.push(tokio::spawn(node(1).meddle()));
            tasks.extend((0..WORKERS_A_NODE).map(|worker| tokio::spawn(node(2 + worker).work())));
        }
        for task in tasks {
            task.await.expect("no task fails");
        }
        world.check(&one).await;
    }
    world.drain(&one, &two).await;
}

/// What all nodes do, seen from outside.
#[derive(Default)]
struct World {
    clock: AtomicI64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    events: usize,
    ranks: HashMap<DeliveryId, Rank>,
    ids: Vec<DeliveryId>,
    running: HashMap<EntityRef, DeliveryId>,
    /// Planned under its name, each event once.
    planned: HashMap<EventId, usize>,
}

impl World {
    fn now(&self) -> jiff::Timestamp {
        at(0) + Duration::from_millis(self.clock.fetch_add(1, Relaxed) as u64)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("no task fails")
    }

    /// Takes in events, each with what it means.
    async fn events(&self, one: &Shared, two: &Shared, dice: &mut Dice) -> Vec<EventPlan> {
        let mut plans = Vec::new();
        for _ in 0..EVENTS_A_ROUND {
            let id = accepted(if dice.roll(2) == 0 { one } else { two }).await;
            let mut known = self.known();
            known.events += 1;
            let deliveries: Vec<_> = (0..1 + dice.roll(3) as u32).map(|change| any_delivery(dice, change)).collect();
            for new in &deliveries {
                let rank = (new.version.0, known.events, new.change);
                known.ranks.insert(new.id, rank);
                known.ids.push(new.id);
            }
            plans.push(plan_of(id, deliveries, at(0)));
        }
        plans
    }

    /// Between two rounds nothing moves, and every lane is as it should be.
    async fn check(&self, store: &Shared) {
        let all = store.deliveries(everything()).await.expect("a list");
        let known = self.known();
        assert!(known.planned.values().all(|times| *times == 1), "each event is planned once");
        assert_eq!(all.len(), known.ids.len(), "nothing is lost, nothing is doubled");
        let mut lanes: BTreeMap<EntityRef, Vec<&Delivery>> = BTreeMap::new();
        for it in all.iter().filter(|it| !it.state.is_end()) {
            lanes.entry(it.lane.clone()).or_default().push(it);
        }
        for (lane, members) in lanes {
            let (behind, heads): (Vec<_>, Vec<_>) = members.into_iter().partition(|it| it.state.name() == "waiting");
            assert_eq!(heads.len(), 1, "one at the head of {lane}");
            let first = behind.iter().map(|it| known.ranks[&it.id]).min();
            if let (State::Due { .. }, Some(first)) = (&heads[0].state, first) {
                assert!(known.ranks[&heads[0].id] < first, "an older one waits behind the head of {lane}");
            }
        }
    }

    /// Everything ends, lane by lane in order, whoever takes it.
    async fn drain(self: &Arc<Self>, one: &Shared, two: &Shared) {
        let stuck = ["paused", "in_doubt", "held"].map(str::to_owned).to_vec();
        let stuck = one.deliveries(DeliveryFilter { states: stuck, ..everything() }).await.expect("a list");
        one.retry(stuck.iter().map(|it| it.id).collect(), self.now()).await.expect("a retry");
        let claimed: Arc<Mutex<HashMap<EntityRef, Vec<Rank>>>> = Arc::default();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let open = one.deliveries(everything()).await.expect("a list");
            let open: Vec<_> = open.iter().filter(|it| !it.state.is_end()).map(|it| it.id).collect();
            if open.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "{} deliveries do not end", open.len());
            let tasks = [one, two].map(|store| {
                let (world, store, open, claimed) = (Arc::clone(self), Arc::clone(store), open.clone(), Arc::clone(&claimed));
                tokio::spawn(async move {
                    for it in world.claim(&store, open).await {
                        if !it.in_doubt {
                            let rank = world.known().ranks[&it.delivery.id];
                            claimed.lock().expect("no task fails").entry(it.delivery.lane.clone()).or_default().push(rank);
                        }
                        world.finish(&store, &it, State::Delivered).await;
                    }
                })
            });
            for task in tasks {
                task.await.expect("no task fails");
            }
        }
        for (lane, ranks) in claimed.lock().expect("no task fails").iter() {
            assert!(ranks.is_sorted(), "{lane} was carried out as {ranks:?}");
        }
    }

    async fn claim(&self, store: &Shared, ids: Vec<DeliveryId>) -> Vec<Claimed> {
        let by = Claimant { node: "node".into(), now: self.now(), lease: LEASE };
        let claimed = store.claim(Claim { to: ERP.into(), ids, by }).await.expect("a claim");
        for it in &claimed {
            let before = self.known().running.insert(it.delivery.lane.clone(), it.delivery.id);
            assert_eq!(before, None, "two run in lane {}", it.delivery.lane);
        }
        claimed
    }

    async fn finish(&self, store: &Shared, claimed: &Claimed, state: State) {
        self.known().running.remove(&claimed.delivery.lane);
        finish(store, outcome(claimed, state, self.now())).await;
    }
}

/// One task at one node.
struct Node {
    store: Arc<dyn Store>,
    world: Arc<World>,
    dice: Dice,
}

impl Node {
    async fn plan(mut self, mut plans: Vec<EventPlan>) {
        while !plans.is_empty() {
            let some: Vec<_> = (0..1 + self.dice.roll(4).min(plans.len() as u64 - 1))
                .map(|_| plans.swap_remove(self.dice.roll(plans.len() as u64) as usize))
                .collect();
            let written: Vec<_> = some
                .into_iter()
                .map(|plan| {
                    let (store, now) = (Arc::clone(&self.store), self.world.now());
                    tokio::spawn(async move { (plan.event, store.plan(EventPlan { now, ..plan }).await.expect("a plan")) })
                })
                .collect();
            for task in written {
                let (event, planned) = task.await.expect("no task fails");
                if planned != Default::default() {
                    *self.world.known().planned.entry(event).or_default() += 1;
                }
            }
        }
    }

    async fn work(mut self) {
        for _ in 0..STEPS {
            let ids = self.some_ids();
            for it in self.world.claim(&self.store, ids).await {
                let state = match self.dice.roll(12) {
                    0 => dead(),
                    1 => State::Paused { reason: "by hand".into() },
                    2 => State::InDoubt { look_up_at: Some(self.world.now()) },
                    3..=5 => State::Due { at: self.world.now() },
                    _ => State::Delivered,
                };
                self.world.finish(&self.store, &it, state).await;
            }
        }
    }

    async fn meddle(mut self) {
        for _ in 0..STEPS {
            let ids = self.some_ids();
            let now = self.world.now();
            if self.dice.roll(4) == 0 {
                self.store.discard(ids.into_iter().take(2).collect(), "kari", "old", now).await.expect("a discard");
            } else {
                self.store.retry(ids, now).await.expect("a retry");
            }
        }
    }

    fn some_ids(&mut self) -> Vec<DeliveryId> {
        let known = self.world.known();
        (0..12).map(|_| known.ids[self.dice.roll(known.ids.len() as u64) as usize]).collect()
    }
}

fn any_delivery(dice: &mut Dice, change: u32) -> NewDelivery {
    let (lane, version) = (dice.roll(LANES).to_string(), dice.roll(20) as i64);
    let new = if dice.roll(3) == 0 { stock(&lane, version) } else { push(&lane, version) };
    NewDelivery { change, ..new }
}

/// The same choices in every run (splitmix64); how the tasks interleave is up to the machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (it ^ (it >> 31)) % sides
    }
}
