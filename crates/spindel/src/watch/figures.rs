//! Figures that are looked up when somebody asks: what waits, how old it is, what rests. At most one look in five seconds,
//! and none that scans a table.

use super::{Watched, process::Process};
use metrics::{counter, gauge};
use spindel_model::{Clock, Timestamp};
use spindel_queue::Channel;
use spindel_store::StoreError;
use std::{collections::BTreeSet, time::Duration};
use tokio::{sync::Mutex, time::Instant};

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// What has not answered by then keeps its last figures.
const LOOK_WITHIN: Duration = Duration::from_secs(2);
/// Beyond this, a backlog is counted no further.
const COUNTED: usize = 10_000;

pub struct Figures {
    watched: Watched,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    looked: Option<Instant>,
    /// Every connection that was in the config since the start: what is left for one that went has not arrived either.
    connections: BTreeSet<String>,
}

impl Figures {
    pub fn of(watched: Watched) -> Self {
        Self { watched, last: Mutex::default() }
    }

    pub async fn refresh(&self) {
        let mut last = self.last.lock().await;
        if last.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        last.connections.extend(self.watched.engine.wiring().accounts.keys().cloned());
        self.look(&last.connections).await;
        last.looked = Some(Instant::now());
    }

    async fn look(&self, connections: &BTreeSet<String>) {
        let Watched { engine, queue, node, .. } = &self.watched;
        let labels = [("version", env!("CARGO_PKG_VERSION").to_owned()), ("node", node.clone())];
        gauge!("spindel_info", &labels).set(1.0);
        for name in connections {
            let (open, paused) = engine.breaker_and_pause(name);
            gauge!("spindel_breaker_open", "connection" => name.clone()).set(flag(open));
            gauge!("spindel_connection_paused", "connection" => name.clone()).set(flag(paused));
        }
        let store = tokio::time::timeout(LOOK_WITHIN, self.backlogs(connections)).await;
        gauge!("spindel_store_up").set(flag(matches!(store, Ok(Ok(())))));
        gauge!("spindel_queue_up").set(flag(queue.trouble().is_none()));
        // A queue that is away says so above.
        let _ = tokio::time::timeout(LOOK_WITHIN, self.depths(connections)).await;
        process();
    }

    async fn backlogs(&self, connections: &BTreeSet<String>) -> Result<(), StoreError> {
        let (store, now) = (&self.watched.store, self.watched.clock.now());
        let wall = Clock::system().now();
        let oldest = store.unplanned(now, 1).await?.into_iter().next();
        gauge!("spindel_oldest_unplanned_seconds").set(oldest.map_or(0.0, |id| spindel_engine::age(id, wall).as_secs_f64()));
        for name in connections {
            let backlog = store.backlog(name, now, COUNTED).await?;
            gauge!("spindel_backlog_ready", "to" => name.clone()).set(backlog.ready as f64);
            gauge!("spindel_backlog_delayed", "to" => name.clone()).set(backlog.delayed as f64);
            let age = |oldest: Timestamp| now.duration_since(oldest).as_secs_f64().max(0.0);
            gauge!("spindel_oldest_undelivered_seconds", "to" => name.clone()).set(backlog.oldest.map_or(0.0, age));
        }
        Ok(())
    }

    async fn depths(&self, connections: &BTreeSet<String>) {
        let channels = connections.iter().map(|name| (format!("deliver.{name}"), Channel::Deliver(name.clone())));
        for (name, channel) in channels.chain([("plan".to_owned(), Channel::Plan)]) {
            if let Ok(depth) = self.watched.queue.depth(&channel).await {
                gauge!("spindel_queue_depth", "channel" => name).set(depth as f64);
            }
        }
    }
}

fn process() {
    let Process { resident_bytes, open_files, cpu_seconds } = Process::read();
    if let Some(bytes) = resident_bytes {
        gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    if let Some(files) = open_files {
        gauge!("process_open_fds").set(files as f64);
    }
    if let Some(seconds) = cpu_seconds {
        counter!("process_cpu_seconds_total").absolute(seconds);
    }
}

fn flag(on: bool) -> f64 {
    if on { 1.0 } else { 0.0 }
}
