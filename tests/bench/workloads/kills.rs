//! W8: SIGKILL at random moments under load, again and again, and SIGTERM in the end: what was acknowledged arrives.

use super::World;
use crate::{
    body::Orders,
    load::{Load, Pace},
    measure::{Spec, setup, wait_for},
    process::{Kind, Shape},
    report::{Goal, Section, Spread, failed, table},
    rounds::shape,
    sink::{Manner, Sink},
};
use rand::RngExt as _;
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Leases of a killed process run out first.
const NOTHING_FOR: Duration = Duration::from_secs(120);
const CONNECTIONS: usize = 64;
/// Most of the capacity: more would only pile up.
const RATE_OF_CAPACITY: f64 = 0.6;

#[derive(Serialize)]
struct Kills {
    shape: Shape,
    kills: u32,
    acknowledged: u64,
    lost: u64,
    doubled: u64,
    restart_seconds: Vec<f64>,
    terminate_seconds: f64,
    until_all_arrived_seconds: f64,
}

pub async fn kills(world: &mut World<'_>) -> anyhow::Result<Section> {
    let mut all = Vec::new();
    for (name, rate) in world.rates().await {
        match one(world, name, rate * RATE_OF_CAPACITY).await {
            Ok(kills) => all.push(kills),
            Err(error) => failed(shape(name), &error),
        }
    }
    let mut rows = table(&[
        "shape",
        "kills",
        "acknowledged",
        "lost",
        "arrived twice",
        "s until it listens again",
        "s to stop",
        "s until all arrived",
    ]);
    for it in &all {
        let restart = Spread::of(it.restart_seconds.iter().copied());
        rows.add_row([
            shape(it.shape).to_owned(),
            it.kills.to_string(),
            it.acknowledged.to_string(),
            it.lost.to_string(),
            it.doubled.to_string(),
            restart.text(2),
            format!("{:.2}", it.terminate_seconds),
            format!("{:.1}", it.until_all_arrived_seconds),
        ]);
        let name = shape(it.shape);
        world.goals.push(Goal::at_most(format!("{name} acknowledged and lost by kills"), 0.0, &Spread::of([it.lost as f64])));
        world.goals.push(Goal::at_most(format!("{name} seconds until it listens after a kill"), 1.0, &restart));
    }
    Section::new("W8", "SIGKILL at random moments", vec![rows], &all)
}

async fn one(world: &World<'_>, shape: Shape, rate: f64) -> anyhow::Result<Kills> {
    let (kills, size) = (world.plan.kills, world.size());
    let sink = Sink::start(Instant::now(), &[Manner::Good], 4_000_000).await?;
    let spec = Spec::open("w8", shape, Kind::Spindel, size, rate, Duration::ZERO);
    let mut running = world.bench.start(&setup(&spec, &sink)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let load = Load {
        orders: Orders::new(size)?,
        address: running.address,
        connections: CONNECTIONS,
        pace: Pace::Paced(rate, Arc::clone(&stop)),
        ids: Arc::new(AtomicU64::new(1)),
        repeats: 0,
        patient: true,
    };
    let sending = tokio::spawn(async move { load.run().await });
    let mut restart_seconds = Vec::new();
    for _ in 0..kills {
        let moment = rand::rng().random_range(200..1500);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        running.kill()?;
        restart_seconds.push(running.launch().await?.as_secs_f64());
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let told = Instant::now();
    running.stop().await?;
    let terminate_seconds = told.elapsed().as_secs_f64();
    running.launch().await?;
    stop.store(true, Relaxed);
    let seen = sending.await??;
    let ended = Instant::now();
    wait_for(&sink, &[0], seen.accepted.len() as u64, NOTHING_FOR).await;
    let to = &sink.destinations[0];
    let result = Kills {
        shape,
        kills,
        acknowledged: seen.accepted.len() as u64,
        lost: seen.accepted.iter().filter(|it| to.arrival(it.id).is_none()).count() as u64,
        doubled: to.doubled.load(Relaxed),
        restart_seconds,
        terminate_seconds,
        until_all_arrived_seconds: ended.elapsed().as_secs_f64(),
    };
    running.remove().await?;
    Ok(result)
}
