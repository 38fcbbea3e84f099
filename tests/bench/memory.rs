//! What a Spindel needs in memory and on disk while events wait for a destination that is down, and after a restart.

use crate::{
    body::Orders,
    machine::{self, Memory},
    process::{Bench, SECRET, Spindel},
    senders::{Until, send},
};
use anyhow::ensure;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};
use tokio::net::TcpSocket;

const SENDERS: usize = 64;
const BODY_BYTES: usize = 2 * 1024;
const MARKS: u64 = 4;
const PLANNED_WITHIN: Duration = Duration::from_secs(180);
/// How long a restarted Spindel is watched.
const WATCHED: Duration = Duration::from_secs(15);

#[derive(Debug, Serialize)]
pub struct Waiting {
    pub body_bytes: usize,
    pub marks: Vec<Mark>,
    pub restart: Restart,
}

/// So many events wait.
#[derive(Debug, Serialize)]
pub struct Mark {
    pub waiting: u64,
    /// In MiB, when the last of them was accepted; the peak is that since the start.
    pub accepted: Memory,
    /// In MiB, once all of them were planned.
    pub planned: Memory,
    pub disk_bytes: u64,
    pub per_second: f64,
    pub put_off: u64,
}

#[derive(Debug, Serialize)]
pub struct Restart {
    pub seconds_until_it_listens: f64,
    pub waiting: u64,
    /// In MiB, after a while of trying.
    pub memory: Memory,
    pub deliveries: BTreeMap<String, u64>,
}

pub async fn measure(bench: &Bench, events: u64) -> anyhow::Result<Waiting> {
    // Bound and never listening: nobody answers there, and nobody else can take the port.
    let nobody = TcpSocket::new_v4()?;
    nobody.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let closed = nobody.local_addr()?;
    let mut spindel = bench.start(|folder| flow(folder, closed)).await?;
    let ids = Arc::new(AtomicU64::new(1));
    let now = machine::memory(spindel.pid())?;
    let mut marks =
        vec![Mark { waiting: 0, accepted: now, planned: now, disk_bytes: spindel.on_disk(), per_second: 0.0, put_off: 0 }];
    for _ in 0..MARKS {
        let mark = mark(&spindel, &ids, events / MARKS).await?;
        eprintln!("{} wait: {:.0} MiB", mark.waiting, mark.planned.now);
        marks.push(mark);
    }
    spindel.stop().await?;
    let restart = restart(&mut spindel).await?;
    spindel.stop().await?;
    ensure!(restart.waiting == events / MARKS * MARKS, "{} of {events} events wait after the restart", restart.waiting);
    Ok(Waiting { body_bytes: BODY_BYTES, marks, restart })
}

fn flow(folder: &Path, closed: SocketAddr) -> String {
    let secret = folder.join("secret");
    let secret = secret.display();
    format!(
        r#"[connections.erp]
connector = "webhook"
url = "http://{closed}/hooks"
signing_secrets = {{ file = "{secret}" }}

[flows.orders]
from = "shop"
on = ["order.created"]
to = "erp"
do = "send_change"
"#
    )
}

async fn mark(spindel: &Spindel, ids: &Arc<AtomicU64>, more: u64) -> anyhow::Result<Mark> {
    let orders = Orders::new(BODY_BYTES, spindel.address, SECRET)?;
    let start = Instant::now();
    let seen = send(&orders, spindel.address, SENDERS, Until::Accepted(more), ids).await?;
    let per_second = seen.accepted.len() as f64 / start.elapsed().as_secs_f64();
    let accepted = machine::memory(spindel.pid())?;
    let waiting = wait_until_planned(spindel).await?;
    let planned = machine::memory(spindel.pid())?;
    Ok(Mark { waiting, accepted, planned, disk_bytes: spindel.on_disk(), per_second, put_off: seen.put_off })
}

/// Answers how many deliveries have not arrived.
async fn wait_until_planned(spindel: &Spindel) -> anyhow::Result<u64> {
    let start = Instant::now();
    loop {
        let counts = spindel.counts().await?;
        if counts.events.get("accepted").copied().unwrap_or_default() == 0 {
            return Ok(undelivered(&counts.deliveries));
        }
        ensure!(start.elapsed() < PLANNED_WITHIN, "not planned in time: {counts:?}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

fn undelivered(deliveries: &BTreeMap<String, u64>) -> u64 {
    ["due", "waiting", "running", "in_doubt", "held", "paused"].iter().filter_map(|state| deliveries.get(*state)).sum()
}

async fn restart(spindel: &mut Spindel) -> anyhow::Result<Restart> {
    let listens = spindel.launch().await?;
    tokio::time::sleep(WATCHED).await;
    let memory = machine::memory(spindel.pid())?;
    let deliveries = spindel.counts().await?.deliveries;
    Ok(Restart { seconds_until_it_listens: listens.as_secs_f64(), waiting: undelivered(&deliveries), memory, deliveries })
}
