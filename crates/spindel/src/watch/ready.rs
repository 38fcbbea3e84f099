//! Whether this node is ready, part by part. A flood of questions costs no more than a look every two seconds.

use super::Watched;
use serde::Serialize;
use spindel_connect::BoxFuture;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::Mutex, time::Instant};

/// A store that has not answered by then takes no webhooks in time either; who asks is answered soon after.
const LOOK_WITHIN: Duration = Duration::from_secs(1);
const STORE_EVERY: Duration = Duration::from_secs(2);
const JQ_EVERY: Duration = Duration::from_secs(30);

/// How one part is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Part {
    Up,
    /// Something does not work as it should, and nothing is refused or lost by it.
    Degraded {
        why: String,
    },
    Down {
        why: String,
    },
    /// Not wanted here.
    Unused,
}

#[derive(Debug, Serialize)]
pub struct Report {
    /// No part is down.
    pub ready: bool,
    pub node: String,
    pub parts: BTreeMap<&'static str, Part>,
}

type Look<T> = Box<dyn Fn() -> T + Send + Sync>;
type Asking = BoxFuture<'static, Result<(), String>>;

pub struct Readiness {
    node: String,
    ingest: Look<Part>,
    queue: Look<Part>,
    probe_store: Look<Asking>,
    /// Answers `None` where no flow has a mapping.
    probe_jq: Look<Option<Asking>>,
    store: Kept,
    jq: Kept,
}

impl Readiness {
    pub fn of(watched: &Watched) -> Self {
        let (ingest, stop) = (watched.ingest, watched.stop.clone());
        let (queue, store, engine) = (Arc::clone(&watched.queue), Arc::clone(&watched.store), Arc::clone(&watched.engine));
        Self {
            node: watched.node.clone(),
            ingest: Box::new(move || match (stop.is_cancelled(), ingest) {
                (true, _) => Part::Down { why: "this node is stopping".into() },
                (false, true) => Part::Up,
                (false, false) => Part::Unused,
            }),
            // The store announces again what a broker does not take, so that nothing waits for it but speed.
            queue: Box::new(move || queue.trouble().map_or(Part::Up, |why| Part::Degraded { why })),
            probe_store: Box::new(move || {
                let store = Arc::clone(&store);
                Box::pin(async move { store.probe().await.map_err(|error| error.to_string()) })
            }),
            probe_jq: Box::new(move || {
                let engine = Arc::clone(&engine);
                let mapped = engine.wiring().flows.iter().any(|flow| flow.map.is_some());
                mapped.then(|| -> Asking {
                    Box::pin(async move {
                        engine.jq().apply(".", serde_json::Value::Null).await.map(drop).map_err(|error| error.to_string())
                    })
                })
            }),
            store: Kept::of(STORE_EVERY, LOOK_WITHIN),
            jq: Kept::of(JQ_EVERY, LOOK_WITHIN),
        }
    }

    pub async fn report(&self) -> Report {
        let (store, jq) = tokio::join!(self.store.get((self.probe_store)()), self.jq());
        let parts = BTreeMap::from([
            ("store", store.map_or_else(|why| Part::Down { why }, |()| Part::Up)),
            ("queue", (self.queue)()),
            ("ingest", (self.ingest)()),
            ("jq", jq),
        ]);
        let ready = !parts.values().any(|part| matches!(part, Part::Down { .. }));
        Report { ready, node: self.node.clone(), parts }
    }

    async fn jq(&self) -> Part {
        let Some(asking) = (self.probe_jq)() else { return Part::Unused };
        self.jq.get(asking).await.map_or_else(|why| Part::Degraded { why }, |()| Part::Up)
    }
}

/// The last answer, for as long as it is good. Who asks meanwhile waits for the one look that is under way.
struct Kept {
    good_for: Duration,
    within: Duration,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Kept {
    fn of(good_for: Duration, within: Duration) -> Self {
        Self { good_for, within, last: Mutex::default() }
    }

    async fn get(&self, asking: Asking) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if let Some((_, result)) = last.as_ref().filter(|(at, _)| at.elapsed() < self.good_for) {
            return result.clone();
        }
        let late = |_| Err(format!("no answer within {:?}", self.within));
        let result = tokio::time::timeout(self.within, asking).await.unwrap_or_else(late);
        *last = Some((Instant::now(), result.clone()));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn readiness(probe_store: Look<Asking>, queue: Part, store: Kept) -> Readiness {
        Readiness {
            node: "n1".into(),
            ingest: Box::new(|| Part::Up),
            queue: Box::new(move || queue.clone()),
            probe_store,
            probe_jq: Box::new(|| None),
            store,
            jq: Kept::of(JQ_EVERY, LOOK_WITHIN),
        }
    }

    fn works() -> Look<Asking> {
        Box::new(|| Box::pin(async { Ok(()) }))
    }

    #[tokio::test]
    async fn a_store_that_refuses_or_hangs_is_named_and_no_longer_once_it_works() {
        let answers = Arc::new(AtomicUsize::new(0));
        let asked = Arc::clone(&answers);
        let readiness = readiness(
            Box::new(move || match asked.fetch_add(1, Ordering::SeqCst) {
                0 => Box::pin(async { Err("the store takes no writes: disk full".into()) }),
                1 => Box::pin(std::future::pending()),
                _ => Box::pin(async { Ok(()) }),
            }),
            Part::Up,
            Kept::of(Duration::ZERO, Duration::from_millis(100)),
        );
        for why in ["the store takes no writes: disk full", "no answer within 100ms"] {
            let report = readiness.report().await;
            assert!(!report.ready);
            assert_eq!(report.parts["store"], Part::Down { why: why.into() });
            assert_eq!(report.parts["queue"], Part::Up);
        }
        assert!(readiness.report().await.ready);
    }

    #[tokio::test]
    async fn a_flood_of_questions_asks_the_store_once() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let readiness = readiness(
            Box::new(move || {
                let counter = Arc::clone(&counter);
                Box::pin(async move {
                    counter.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Ok(())
                })
            }),
            Part::Up,
            Kept::of(Duration::from_secs(3600), LOOK_WITHIN),
        );
        let reports = futures::future::join_all((0..1000).map(|_| readiness.report())).await;
        assert!(reports.iter().all(|report| report.ready));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_broker_that_is_away_is_told_of_and_does_not_make_the_node_unready() {
        let trouble = Part::Degraded { why: "no broker".into() };
        let report = readiness(works(), trouble.clone(), Kept::of(STORE_EVERY, LOOK_WITHIN)).report().await;
        assert!(report.ready);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["parts"]["queue"], serde_json::json!({ "state": "degraded", "why": "no broker" }));
        assert_eq!(json["node"], "n1");
    }
}
