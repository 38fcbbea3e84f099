//! Durable ingest by the number of senders: every turn on a fresh process and a fresh database, all turns of a round
//! close together, so that what the machine does meanwhile cannot favour one of them.

use crate::{
    body::Orders,
    machine::{self, Processor},
    process::{Bench, SECRET},
    senders::{Until, send},
};
use rand::seq::SliceRandom as _;
use serde::Serialize;
use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

pub const SENDERS: [usize; 3] = [1, 8, 64];
pub const SIZES: [usize; 2] = [2 * 1024, 10 * 1024];
const WARM_UP: Duration = Duration::from_secs(1);

/// One turn.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    pub round: u32,
    pub body_bytes: usize,
    pub senders: usize,
    pub accepted: usize,
    pub put_off: u64,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Processor time of Spindel for 100,000 events, planning included, in seconds.
    pub cpu_seconds_per_100k: f64,
    /// What Spindel wrote to disk for an event, planning included.
    pub written_bytes_per_event: f64,
    /// The share of the machine that neither Spindel nor the senders used.
    pub foreign_share: f64,
    /// One small durable write before the turn.
    pub sync_ms: f64,
}

pub async fn measure(bench: &Bench, rounds: u32, seconds: u32) -> anyhow::Result<Vec<Turn>> {
    let mut turns = Vec::new();
    for round in 1..=rounds {
        let mut cells: Vec<(usize, usize)> = SIZES.iter().flat_map(|size| SENDERS.map(|senders| (*size, senders))).collect();
        cells.shuffle(&mut rand::rng());
        for (size, senders) in cells {
            let turn = turn(bench, round, size, senders, Duration::from_secs(seconds.into())).await?;
            eprintln!(
                "round {round}/{rounds}: {size} bytes, {senders} senders: {:.0}/s, others used {:.0} % of the machine",
                turn.per_second,
                turn.foreign_share * 100.0
            );
            turns.push(turn);
        }
    }
    Ok(turns)
}

async fn turn(bench: &Bench, round: u32, size: usize, senders: usize, time: Duration) -> anyhow::Result<Turn> {
    let mut spindel = bench.start(|_| String::new()).await?;
    let sync = machine::sync_time(spindel.folder.path())?;
    let orders = Orders::new(size, spindel.address, SECRET)?;
    let (before, written_before) = (Processor::read(spindel.pid())?, machine::written(spindel.pid())?);
    let seen = send(&orders, spindel.address, senders, Until::Over(WARM_UP + time), &Arc::new(AtomicU64::new(1))).await?;
    let (after, written_after) = (Processor::read(spindel.pid())?, machine::written(spindel.pid())?);
    spindel.stop().await?;

    let all = seen.accepted.len().max(1) as f64;
    let measured = |(sent, took): &(Duration, Duration)| *sent + *took >= WARM_UP && *sent + *took < WARM_UP + time;
    let mut took: Vec<Duration> = seen.accepted.iter().filter(|one| measured(one)).map(|(_, took)| *took).collect();
    took.sort();
    let percentile =
        |share: f64| took.get((took.len() as f64 * share) as usize).map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0);
    Ok(Turn {
        round,
        body_bytes: size,
        senders,
        accepted: took.len(),
        put_off: seen.put_off,
        per_second: took.len() as f64 / time.as_secs_f64(),
        p50_ms: percentile(0.5),
        p99_ms: percentile(0.99),
        cpu_seconds_per_100k: (after.theirs - before.theirs) / all * 100_000.0,
        written_bytes_per_event: (written_after - written_before) as f64 / all,
        foreign_share: after.foreign_since(&before),
        sync_ms: sync.as_secs_f64() * 1000.0,
    })
}
