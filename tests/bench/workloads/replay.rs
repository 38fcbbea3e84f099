//! A replay beside live traffic: deliveries that a destination had refused are all retried at once, by the command line, while
//! new events come in for the same destination.

use super::World;
use crate::{
    body::Orders,
    load::{Load, Pace, Seen},
    measure::{Latency, Spec, setup},
    process::{Kind, Running, Shape},
    report::{Goal, Section, Spread, failed, table},
    rounds::{self, shape},
    sink::{Destination, Manner, Sink},
};
use anyhow::{bail, ensure};
use serde::Serialize;
use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

const LIVE: f64 = 400.0;
/// Exit code of a command that found nothing to change.
const NOTHING_MATCHED: i32 = 6;
const PLANNED_WITHIN: Duration = Duration::from_secs(300);
const REPLAYED_WITHIN: Duration = Duration::from_secs(300);

#[derive(Serialize)]
struct Replay {
    shape: Shape,
    deliveries: u64,
    seconds: f64,
    /// In milliseconds, from when an event was due to be sent until it arrived.
    alone: Latency,
    beside: Latency,
    acknowledged_alone: Latency,
    acknowledged_beside: Latency,
    not_replayed: u64,
}

pub async fn replay(world: &mut World<'_>) -> anyhow::Result<Section> {
    let mut all = Vec::new();
    for shape in &world.plan.shapes {
        match one(world, *shape).await {
            Ok(one) => all.push(one),
            Err(error) => failed(rounds::shape(*shape), &error),
        }
    }
    let mut rows = table(&[
        "shape",
        "replayed",
        "seconds",
        "replayed/s",
        "live p50 ms alone",
        "beside",
        "live p99 ms alone",
        "beside",
        "ratio",
        "ack p99 ms alone",
        "beside",
        "not replayed",
    ]);
    for it in &all {
        let ratio = it.beside.p99 / it.alone.p99;
        rows.add_row([
            shape(it.shape).to_owned(),
            it.deliveries.to_string(),
            format!("{:.1}", it.seconds),
            format!("{:.0}", it.deliveries as f64 / it.seconds),
            format!("{:.2}", it.alone.p50),
            format!("{:.2}", it.beside.p50),
            format!("{:.1}", it.alone.p99),
            format!("{:.1}", it.beside.p99),
            format!("{ratio:.2}"),
            format!("{:.1}", it.acknowledged_alone.p99),
            format!("{:.1}", it.acknowledged_beside.p99),
            it.not_replayed.to_string(),
        ]);
        let what = format!("{} live p99 beside a replay", shape(it.shape));
        world.goals.push(Goal::at_most(what, 2.0, &Spread::of([ratio])));
    }
    Section::new("replay", "deliveries are retried beside 400 live events a second", vec![rows], &all)
}

async fn one(world: &World<'_>, shape: Shape) -> anyhow::Result<Replay> {
    let (deliveries, size) = (world.plan.replay, world.size());
    // Refused for its content: dead at once, and no reason to think that the destination is down.
    let sink = Sink::start(Instant::now(), &[Manner::Failing(100, 422)], deliveries + 1_000_000).await?;
    let to = Arc::clone(&sink.destinations[0]);
    let spec = Spec::open("replay", shape, Kind::Spindel, size, LIVE, Duration::ZERO);
    let running = world.bench.start(&setup(&spec, &sink)).await?;
    let mut load = Load {
        orders: Orders::new(size)?,
        address: running.address,
        connections: 64,
        pace: Pace::Count(deliveries),
        ids: Arc::new(AtomicU64::new(1)),
        repeats: 0,
        patient: false,
    };
    load.run().await?;
    let refused = Instant::now();
    while to.requests.load(Relaxed) < deliveries {
        ensure!(refused.elapsed() < PLANNED_WITHIN, "not all were refused in time:\n{}", running.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.idle(PLANNED_WITHIN).await;
    sink.mend()?;

    load.pace = Pace::Open(LIVE, world.plan.long);
    let alone = load.run().await?;
    let stop = Arc::new(AtomicBool::new(false));
    load.pace = Pace::Paced(LIVE, Arc::clone(&stop));
    let live = tokio::spawn(async move { load.run().await });
    let start = Instant::now();
    let replayed = retry_all(&running, &to, deliveries, shape).await;
    let seconds = start.elapsed().as_secs_f64();
    stop.store(true, Relaxed);
    let beside = live.await??;
    replayed?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let result = Replay {
        shape,
        deliveries,
        seconds,
        alone: end_to_end(&alone, &to),
        beside: end_to_end(&beside, &to),
        acknowledged_alone: Latency::of(alone.accepted.iter().map(|it| it.took).collect()),
        acknowledged_beside: Latency::of(beside.accepted.iter().map(|it| it.took).collect()),
        not_replayed: deliveries - old(&to, deliveries),
    };
    running.remove().await?;
    Ok(result)
}

/// As a person would: again, until nothing is left.
async fn retry_all(running: &Running<'_>, to: &Destination, deliveries: u64, shape: Shape) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut done = false;
    while old(to, deliveries) < deliveries {
        ensure!(start.elapsed() < REPLAYED_WITHIN, "{} of {deliveries} were replayed in time", old(to, deliveries));
        if !done {
            done = retry(running.command(&["deliveries", "retry", "--state", "dead", "--to", "to0"])).await?;
            eprintln!("replay {shape:?}: {} of {deliveries} arrived", old(to, deliveries));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Whether nothing was left to retry.
async fn retry(mut command: Command) -> anyhow::Result<bool> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    match output.status.code() {
        Some(0) => Ok(false),
        Some(NOTHING_MATCHED) => Ok(true),
        _ => bail!("`spindel deliveries retry` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

/// How many of the first events have arrived.
fn old(to: &Destination, deliveries: u64) -> u64 {
    (1..=deliveries).filter(|id| to.arrival(*id).is_some()).count() as u64
}

fn end_to_end(seen: &Seen, to: &Destination) -> Latency {
    Latency::of(seen.accepted.iter().filter_map(|sent| to.end_to_end(sent)).collect())
}
