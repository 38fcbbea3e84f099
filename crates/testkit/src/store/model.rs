//! Random interleavings of placing, claiming and finishing, checked step by step against a few lines of plain lists.

use super::fixture::*;
use jiff::Timestamp;
use proptest::{
    collection::vec,
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use spindel_model::{DeliveryId, State};
use spindel_store::{Claim, Claimed, DeliveryFilter, NewDelivery};
use std::collections::BTreeMap;

const CASES: usize = 40;
const LANES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Place { lane: usize, version: i64, in_seconds: i64 },
    Claim,
    Finish { which: prop::sample::Index, how: How },
    Retry { which: prop::sample::Index },
    Discard { which: prop::sample::Index },
    Pass { seconds: i64 },
}

#[derive(Clone, Copy, Debug)]
enum How {
    Delivered,
    Dead,
    Again,
    InDoubt,
    Paused,
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        4 => Just(How::Delivered),
        1 => Just(How::Dead),
        2 => Just(How::Again),
        1 => Just(How::InDoubt),
        1 => Just(How::Paused),
    ];
    prop_oneof![
        5 => (0..LANES, 0..6_i64, prop_oneof![3 => Just(0), 1 => Just(20)])
            .prop_map(|(lane, version, in_seconds)| Step::Place { lane, version, in_seconds }),
        3 => Just(Step::Claim),
        5 => (any::<prop::sample::Index>(), how).prop_map(|(which, how)| Step::Finish { which, how }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::Retry { which }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::Discard { which }),
        2 => (1..30_i64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

/// A delivery as the model sees it; its key is the order of arrival.
#[derive(Clone, Debug)]
struct Entry {
    id: DeliveryId,
    lane: usize,
    version: i64,
    state: &'static str,
    at: Timestamp,
}

#[derive(Default)]
struct Model {
    entries: BTreeMap<usize, Entry>,
    now: i64,
}

impl Model {
    fn now(&self) -> Timestamp {
        at(self.now)
    }

    fn head(&self, lane: usize) -> Option<usize> {
        let active = |it: &Entry| ["due", "running", "in_doubt", "paused"].contains(&it.state);
        let heads: Vec<_> = self.entries.iter().filter(|(_, it)| it.lane == lane && active(it)).map(|(key, _)| *key).collect();
        assert!(heads.len() <= 1, "the model itself keeps one at the head");
        heads.first().copied()
    }

    fn rank(&self, key: usize) -> (i64, usize) {
        (self.entries[&key].version, key)
    }

    fn first_behind(&self, lane: usize) -> Option<usize> {
        let behind = self.entries.iter().filter(|(_, it)| it.lane == lane && it.state == "waiting").map(|(key, _)| *key);
        behind.min_by_key(|key| self.rank(*key))
    }

    fn set(&mut self, key: usize, state: &'static str, at: Timestamp) {
        let it = self.entries.get_mut(&key).expect("a key of the model");
        (it.state, it.at) = (state, at);
    }

    fn raise(&mut self, key: usize) {
        let due = self.entries[&key].at.max(self.now());
        self.set(key, "due", due);
    }

    /// `key` has no place and comes in.
    fn enter(&mut self, key: usize, due: Timestamp) {
        let lane = self.entries[&key].lane;
        match self.head(lane) {
            None => self.set(key, "due", due),
            Some(head) if self.entries[&head].state == "due" && self.rank(key) < self.rank(head) => {
                let at = self.entries[&head].at;
                self.set(head, "waiting", at);
                self.set(key, "due", due);
            }
            Some(_) => self.set(key, "waiting", due),
        }
    }

    fn let_older_go_first(&mut self, key: usize) {
        let lane = self.entries[&key].lane;
        if let Some(older) = self.first_behind(lane).filter(|older| self.rank(*older) < self.rank(key)) {
            let at = self.entries[&key].at;
            self.set(key, "waiting", at);
            self.raise(older);
        }
    }

    fn leave(&mut self, key: usize, state: &'static str) {
        let lane = self.entries[&key].lane;
        let was_head = self.head(lane) == Some(key);
        self.set(key, state, self.now());
        if let Some(next) = self.first_behind(lane).filter(|_| was_head) {
            self.raise(next);
        }
    }

    fn claimable(&self) -> Vec<DeliveryId> {
        let due = |it: &&Entry| ["due", "in_doubt"].contains(&it.state) && it.at <= self.now();
        self.entries.values().filter(due).map(|it| it.id).collect()
    }

    fn key(&self, id: DeliveryId) -> usize {
        *self.entries.iter().find(|(_, it)| it.id == id).expect("an id of the model").0
    }
}

pub async fn any_interleaving_agrees_with_the_model(store: Shared) {
    let mut runner = TestRunner::deterministic();
    for case in 0..CASES {
        let steps = vec(step(), 1..80).new_tree(&mut runner).expect("a value").current();
        run(&store, format!("erp-{case}"), &steps).await;
    }
}

async fn run(store: &Shared, to: String, steps: &[Step]) {
    let mut model = Model::default();
    let mut running: Vec<Claimed> = Vec::new();
    for (done, step) in steps.iter().enumerate() {
        take(store, &to, step, &mut model, &mut running).await;
        let filter = DeliveryFilter { to: Some(to.clone()), ..everything() };
        let found = store.deliveries(filter).await.unwrap();
        assert_eq!(found.len(), model.entries.len(), "nothing is lost");
        for it in found {
            let expected = &model.entries[&model.key(it.id)];
            let agrees = match &it.state {
                State::Waiting { at } | State::Due { at } => *at == expected.at,
                _ => true,
            };
            assert!(
                it.state.name() == expected.state && agrees,
                "after {:#?}\n{:?} of lane {} is to be {} at {}",
                &steps[..=done],
                it.state,
                expected.lane,
                expected.state,
                expected.at,
            );
        }
    }
}

async fn take(store: &Shared, to: &str, step: &Step, model: &mut Model, running: &mut Vec<Claimed>) {
    let now = model.now();
    match step {
        Step::Place { lane, version, in_seconds } => {
            let due = at(model.now + in_seconds);
            let new = NewDelivery { to: to.into(), state: State::Due { at: due }, ..push(&lane.to_string(), *version) };
            let key = model.entries.len();
            model.entries.insert(key, Entry { id: new.id, lane: *lane, version: *version, state: "", at: due });
            model.enter(key, due);
            plan_at(store, vec![new], now).await;
        }
        Step::Claim => {
            let ids = model.entries.values().map(|it| it.id).collect();
            let claimed = store.claim(Claim { to: to.into(), ids, by: by(now) }).await.unwrap();
            assert_eq!(claimed.iter().map(|it| it.delivery.id).collect::<Vec<_>>(), model.claimable());
            for it in claimed {
                model.set(model.key(it.delivery.id), "running", now);
                running.push(it);
            }
        }
        Step::Finish { which, how } if !running.is_empty() => {
            let claimed = running.swap_remove(which.index(running.len()));
            let key = model.key(claimed.delivery.id);
            let later = at(model.now + 10);
            let state = match how {
                How::Delivered => State::Delivered,
                How::Dead => dead(),
                How::Again => State::Due { at: later },
                How::InDoubt => State::InDoubt { look_up_at: Some(later) },
                How::Paused => State::Paused { reason: "by hand".into() },
            };
            match how {
                How::Delivered | How::Dead => model.leave(key, state.name()),
                How::InDoubt | How::Paused => model.set(key, state.name(), later),
                How::Again => {
                    model.set(key, "due", later);
                    model.let_older_go_first(key);
                }
            }
            finish(store, outcome(&claimed, state, now)).await;
        }
        Step::Retry { which } if !model.entries.is_empty() => {
            let key = which.index(model.entries.len());
            match model.entries[&key].state {
                "dead" | "discarded" => model.enter(key, now),
                "in_doubt" => model.set(key, "in_doubt", now),
                "due" | "paused" => {
                    model.set(key, "due", now);
                    model.let_older_go_first(key);
                }
                _ => {}
            }
            store.retry(vec![model.entries[&key].id], now).await.unwrap();
        }
        Step::Discard { which } if !model.entries.is_empty() => {
            let key = which.index(model.entries.len());
            if !["running", "delivered", "discarded"].contains(&model.entries[&key].state) {
                model.leave(key, "discarded");
            }
            store.discard(vec![model.entries[&key].id], "kari", "old", now).await.unwrap();
        }
        Step::Pass { seconds } => model.now += seconds,
        _ => {}
    }
}
