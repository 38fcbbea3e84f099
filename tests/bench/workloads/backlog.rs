//! W7: many events wait for a destination that is down; Spindel is restarted; the destination comes back.

use super::World;
use crate::{
    body::Orders,
    load::{Load, Pace},
    machine::{self, Memory, Processor, Used},
    measure::{Spec, setup, wait_for},
    process::{Kind, Running, Shape},
    report::{Goal, Section, Spread, failed, table},
    rounds::{self, shape},
    sink::{Manner, Sink},
};
use anyhow::Context as _;
use serde::Serialize;
use std::{
    sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Until all that was accepted is planned.
const PLANNED_WITHIN: Duration = Duration::from_secs(600);
/// A breaker rests half a minute at most.
const NOTHING_FOR: Duration = Duration::from_secs(60);
const STEADY: f64 = 200.0;

#[derive(Serialize)]
struct Backlog {
    shape: Shape,
    events: u64,
    start_empty_seconds: f64,
    /// In MiB.
    idle: Memory,
    accepted_per_second: f64,
    accepted: Memory,
    /// Once all is planned and waits.
    waiting: Memory,
    servers_waiting_mib: f64,
    disk_bytes_per_event: f64,
    start_full_seconds: f64,
    first_arrival_seconds: f64,
    /// From the restart, with 200 live events a second beside it.
    drained_seconds: f64,
    drained_per_second: f64,
    draining: Memory,
    live_acknowledged_p99_ms: f64,
    missing: u64,
    doubled: u64,
    foreign_share: f64,
}

pub async fn backlog(world: &mut World<'_>) -> anyhow::Result<Section> {
    let mut all = Vec::new();
    for shape in &world.plan.shapes {
        match one(world, *shape).await {
            Ok(one) => all.push(one),
            Err(error) => failed(rounds::shape(*shape), &error),
        }
    }
    let mut rows = table(&["", "embedded", "production"]);
    let mut row = |what: &str, value: &dyn Fn(&Backlog) -> String| {
        let of = |shape| all.iter().find(|it| it.shape == shape).map_or_else(|| "–".into(), value);
        rows.add_row([what.to_owned(), of(Shape::Embedded), of(Shape::Production)]);
    };
    row("events that wait", &|it| it.events.to_string());
    row("accepted/s meanwhile", &|it| format!("{:.0}", it.accepted_per_second));
    row("s until it listens, empty", &|it| format!("{:.3}", it.start_empty_seconds));
    row("s until it listens, with all of them", &|it| format!("{:.3}", it.start_full_seconds));
    row("s from restart to the first arrival", &|it| format!("{:.2}", it.first_arrival_seconds));
    row("s from restart to the last arrival", &|it| format!("{:.1}", it.drained_seconds));
    row("arrived/s meanwhile", &|it| format!("{:.0}", it.drained_per_second));
    row("ack p99 ms of 200 live events/s meanwhile", &|it| format!("{:.1}", it.live_acknowledged_p99_ms));
    row("MiB idle, empty", &|it| format!("{:.1}", it.idle.now));
    row("MiB while accepting, at most", &|it| format!("{:.1}", it.accepted.peak));
    row("MiB once all wait", &|it| format!("{:.1}", it.waiting.now));
    row("MiB after the restart, at most", &|it| format!("{:.1}", it.draining.peak));
    row("servers' MiB once all wait", &|it| Spread::of([it.servers_waiting_mib]).text(0));
    row("KiB on disk/event", &|it| format!("{:.1}", it.disk_bytes_per_event / 1024.0));
    row("missing", &|it| it.missing.to_string());
    row("arrived twice", &|it| it.doubled.to_string());
    row("others' share of the machine while draining, %", &|it| format!("{:.0}", it.foreign_share * 100.0));
    for it in &all {
        let name = shape(it.shape);
        let mut most = |what: &str, most, value| {
            world.goals.push(Goal::at_most(format!("{name} {what}, {} waiting", it.events), most, &Spread::of([value])));
        };
        most("seconds until it listens", 0.3, it.start_full_seconds);
        most("seconds to the first arrival", 2.0, it.first_arrival_seconds);
        most("MiB", 250.0, it.waiting.peak.max(it.draining.peak));
        if let Some(usual) = world.rates.get(&it.shape) {
            let ratio = Spread::of([it.drained_per_second / usual]);
            world.goals.push(Goal::at_least(format!("{name} drain against W2"), 0.8, &ratio));
        }
    }
    Section::new("W7", "a backlog, a restart, a destination that comes back", vec![rows], &all)
}

/// All that is not foreign.
fn ours(running: &Running<'_>) -> Used {
    running.used() + running.servers_used().unwrap_or_default() + machine::used_alone(std::process::id())
}

async fn one(world: &World<'_>, shape: Shape) -> anyhow::Result<Backlog> {
    let (events, size) = (world.plan.backlog, world.size());
    let sink = Sink::start(Instant::now(), &[Manner::Refusing], events * 2 + 1_000_000).await?;
    let spec = Spec::open("w7", shape, Kind::Spindel, size, STEADY, Duration::ZERO);
    let mut running = world.bench.start(&setup(&spec, &sink)).await?;
    // Once more, now that the schema is there and the page cache is warm.
    running.stop().await?;
    let start_empty = running.launch().await?;
    running.idle(Duration::from_secs(5)).await;
    let (idle, empty) = (running.memory()?, running.on_disk().await?);

    let mut load = Load {
        orders: Orders::new(size)?,
        address: running.address,
        connections: 64,
        pace: Pace::Count(events),
        ids: Arc::new(AtomicU64::new(1)),
        repeats: 0,
        patient: false,
    };
    let start = Instant::now();
    load.run().await?;
    let accepted_per_second = events as f64 / start.elapsed().as_secs_f64();
    let accepted = running.memory()?;
    running.idle(PLANNED_WITHIN).await;
    let (waiting, servers_waiting_mib) = (running.memory()?, running.servers_memory());
    let disk_bytes_per_event = running.on_disk().await?.saturating_sub(empty) as f64 / events as f64;
    eprintln!("W7 {shape:?}: {events} accepted and waiting");
    running.stop().await?;

    sink.mend()?;
    let (processor, restart) = (Processor::read()?, Instant::now());
    let start_full = running.launch().await?;
    let before = ours(&running);
    load.pace = Pace::Open(STEADY, Duration::from_secs(3));
    let live = tokio::spawn(async move { load.run().await });
    wait_for(&sink, &[0], events, NOTHING_FOR).await;
    let live = live.await??;
    wait_for(&sink, &[0], events + live.accepted.len() as u64, NOTHING_FOR).await;
    let to = &sink.destinations[0];
    let all = to.arrived.load(Relaxed);
    let (first, last) = (to.arrivals().min().context("nothing has arrived")?, to.arrivals().max().unwrap_or_default());
    let began = restart - sink.epoch;
    let drained = last.saturating_sub(began).as_secs_f64();
    let used = ours(&running) - before;
    let result = Backlog {
        shape,
        events,
        start_empty_seconds: start_empty.as_secs_f64(),
        idle,
        accepted_per_second,
        accepted,
        waiting,
        servers_waiting_mib,
        disk_bytes_per_event,
        start_full_seconds: start_full.as_secs_f64(),
        first_arrival_seconds: first.saturating_sub(began).as_secs_f64(),
        drained_seconds: drained,
        drained_per_second: all as f64 / drained,
        draining: running.memory()?,
        live_acknowledged_p99_ms: crate::measure::Latency::of(live.accepted.iter().map(|it| it.took).collect()).p99,
        missing: (events + live.accepted.len() as u64).saturating_sub(all),
        doubled: to.doubled.load(Relaxed),
        foreign_share: Processor::read()?.foreign_since(&processor, used.cpu),
    };
    running.remove().await?;
    Ok(result)
}
