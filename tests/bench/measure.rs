//! One turn: a fresh process under one load, with fresh destinations, and what it did and used.

use crate::{
    body::Orders,
    load::{Load, Pace, Seen, Sent},
    machine::{self, Disk, Processor, Used},
    process::{Bench, Kind, Running, Setup, Shape},
    sink::{Manner, Sink},
    stalls::Stalls,
};
use serde::Serialize;
use std::{
    sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

/// More than any turn brings about.
const IDS: u64 = 1_500_000;
/// What has not arrived when nothing has come for so long is lost.
const NOTHING_FOR: Duration = Duration::from_secs(20);
/// After a failure: a breaker may rest for half a minute.
const NOTHING_FOR_AFTER_FAILURE: Duration = Duration::from_secs(45);
pub const RETRY: &str = r#"{ first = "200ms", factor = 2, max = "2s", give_up_after = "1h" }"#;

#[derive(Clone)]
pub struct Spec {
    pub workload: &'static str,
    /// What tells the turns of one workload apart, besides shape, kind and size.
    pub variant: &'static str,
    pub shape: Shape,
    pub kind: Kind,
    pub size: usize,
    pub connections: usize,
    pub pace: Pace,
    /// Not measured: the first part of the load.
    pub warm_up: Duration,
    pub destinations: Vec<Manner>,
    pub repeats: u8,
    pub ends: Ends,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// When the load ends.
    AtOnce,
    /// When all has arrived at the destinations that work.
    WhenArrived,
    /// When all has arrived everywhere: what did not work is mended after the load.
    WhenMended,
}

impl Spec {
    /// A closed loop on 64 connections.
    pub fn closed(workload: &'static str, shape: Shape, kind: Kind, size: usize, warm_up: Duration, time: Duration) -> Self {
        let pace = Pace::Closed(warm_up + time);
        Self { pace, warm_up, ..Self::open(workload, shape, kind, size, 1.0, Duration::ZERO) }
    }

    /// A fixed rate on 64 connections, after half a second at the same rate.
    pub fn open(workload: &'static str, shape: Shape, kind: Kind, size: usize, rate: f64, time: Duration) -> Self {
        let warm_up = Duration::from_millis(500);
        Self {
            workload,
            variant: "",
            shape,
            kind,
            size,
            connections: 64,
            pace: Pace::Open(rate, warm_up + time),
            warm_up,
            destinations: vec![Manner::Good],
            repeats: 0,
            ends: Ends::WhenArrived,
        }
    }

    /// Of the load with its warm-up, if it is known.
    fn time(&self) -> Option<Duration> {
        match self.pace {
            Pace::Closed(time) | Pace::Open(_, time) => Some(time),
            Pace::Count(_) | Pace::Paced(..) => None,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub workload: &'static str,
    pub variant: &'static str,
    pub shape: Shape,
    pub kind: Kind,
    pub body_bytes: usize,
    pub round: u32,
    /// Others used too much of the machine in every try.
    pub disturbed: bool,
    pub accepted: usize,
    pub put_off: u64,
    pub accepted_per_second: f64,
    pub acknowledged: Latency,
    pub destinations: Vec<Arrived>,
    /// Seconds of processor time for 100,000 events: the process, database and broker (not a number without them), senders and
    /// sink.
    pub cpu_seconds_per_100k: f64,
    pub servers_cpu_seconds_per_100k: f64,
    pub bench_cpu_seconds_per_100k: f64,
    pub written_bytes_per_event: f64,
    pub servers_written_bytes_per_event: f64,
    pub disk_bytes_per_event: f64,
    /// In MiB, before the load, and at most.
    pub idle_mib: f64,
    pub peak_mib: f64,
    pub servers_mib: f64,
    /// The share of the machine that others used.
    pub foreign_share: f64,
    pub disk: Disk,
    pub stalls: u32,
}

/// In milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

impl Latency {
    pub fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        let at = |share: f64| took.get((took.len() as f64 * share) as usize).map_or(f64::NAN, |it| it.as_secs_f64() * 1000.0);
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}

/// What one destination got.
#[derive(Clone, Debug, Serialize)]
pub struct Arrived {
    pub requests: u64,
    pub events: u64,
    pub doubled: u64,
    /// Accepted and not arrived in the end.
    pub missing: u64,
    /// While the load was on.
    pub per_second: f64,
    /// From the warm-up to the last arrival.
    pub sustained_per_second: f64,
    /// From when it was due to be sent until it arrived.
    pub end_to_end: Latency,
}

pub async fn measure(bench: &Bench, spec: &Spec, round: u32) -> anyhow::Result<Run> {
    let epoch = Instant::now();
    let sink = Sink::start(epoch, &spec.destinations, IDS).await?;
    let disk = machine::probe(&bench.folder)?;
    let running = bench.start(&setup(spec, &sink)).await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let empty = running.on_disk().await?;
    let idle_mib = running.memory()?.now;
    let stalls = Stalls::watch(running.folder.path())?;

    let before = Snapshot::read(&running)?;
    let (start, posted) = (Instant::now(), total(&sink));
    let seen = load(spec, &running).await?;
    let took = start.elapsed();
    let accepted = if spec.kind == Kind::BarePost { total(&sink) - posted } else { fresh(&seen) };
    drain(spec, &sink, accepted).await?;
    let after = Snapshot::read(&running)?;

    let all = accepted.max(1) as f64;
    let (own, bench_used) = (after.own - before.own, after.bench - before.bench);
    let servers = after.servers.zip(before.servers).map(|(after, before)| after - before);
    let all_used = own.cpu + bench_used.cpu + servers.unwrap_or_default().cpu;
    let servers = servers.unwrap_or(Used { cpu: f64::NAN, written: f64::NAN });
    let window = (start + spec.warm_up, (start + spec.time().unwrap_or(took)).max(start + spec.warm_up));
    let measured: Vec<Sent> = seen.accepted.iter().filter(|it| it.at >= window.0 && it.at < window.1).copied().collect();
    let per_100k = |used: Used| used.cpu / all * 100_000.0;
    let time = (window.1 - window.0).as_secs_f64();
    let run = Run {
        workload: spec.workload,
        variant: spec.variant,
        shape: spec.shape,
        kind: spec.kind,
        body_bytes: spec.size,
        round,
        disturbed: false,
        accepted: seen.accepted.len(),
        put_off: seen.put_off,
        accepted_per_second: measured.iter().filter(|it| it.at + it.took < window.1).count() as f64 / time,
        acknowledged: Latency::of(measured.iter().map(|it| it.took).collect()),
        destinations: arrived(&sink, &seen, &measured, (window.0 - epoch, window.1 - epoch)),
        cpu_seconds_per_100k: per_100k(own),
        servers_cpu_seconds_per_100k: per_100k(servers),
        bench_cpu_seconds_per_100k: per_100k(bench_used),
        written_bytes_per_event: own.written / all,
        servers_written_bytes_per_event: servers.written / all,
        disk_bytes_per_event: running.on_disk().await?.saturating_sub(empty) as f64 / all,
        idle_mib,
        peak_mib: running.memory()?.peak,
        servers_mib: running.servers_memory(),
        foreign_share: after.processor.foreign_since(&before.processor, all_used),
        disk,
        stalls: stalls.count(),
    };
    running.remove().await?;
    Ok(run)
}

pub fn setup(spec: &Spec, sink: &Sink) -> Setup {
    Setup { kind: spec.kind, shape: spec.shape, destinations: sink.urls(), retry: RETRY, size: spec.size }
}

async fn load(spec: &Spec, running: &Running<'_>) -> anyhow::Result<Seen> {
    if spec.kind == Kind::BarePost {
        // It makes its own load, until it is killed.
        tokio::time::sleep(spec.time().unwrap_or_default()).await;
        return Ok(Seen::default());
    }
    let load = Load {
        orders: Orders::new(spec.size)?,
        address: running.address,
        connections: spec.connections,
        pace: spec.pace.clone(),
        ids: Arc::new(AtomicU64::new(1)),
        repeats: spec.repeats,
        patient: false,
    };
    load.run().await
}

fn total(sink: &Sink) -> u64 {
    sink.destinations.iter().map(|it| it.arrived.load(Relaxed)).sum()
}

/// Different events.
fn fresh(seen: &Seen) -> u64 {
    seen.accepted.iter().filter(|it| !it.repeated).count() as u64
}

async fn drain(spec: &Spec, sink: &Sink, accepted: u64) -> anyhow::Result<()> {
    let works = |manner: &Manner| *manner == Manner::Good;
    match spec.ends {
        Ends::AtOnce => Ok(()),
        _ if spec.kind == Kind::BarePost => Ok(()),
        Ends::WhenArrived => {
            let working: Vec<usize> = (0..spec.destinations.len()).filter(|at| works(&spec.destinations[*at])).collect();
            wait_for(sink, &working, accepted, NOTHING_FOR).await;
            Ok(())
        }
        Ends::WhenMended => {
            sink.mend()?;
            let all: Vec<usize> = (0..spec.destinations.len()).collect();
            wait_for(sink, &all, accepted, NOTHING_FOR_AFTER_FAILURE).await;
            Ok(())
        }
    }
}

/// Until so many events have arrived at each of these destinations, or nothing comes any more.
pub async fn wait_for(sink: &Sink, which: &[usize], events: u64, patience: Duration) {
    let (mut before, mut last) = (0, Instant::now());
    while last.elapsed() < patience {
        let arrived: Vec<u64> = which.iter().map(|at| sink.destinations[*at].arrived.load(Relaxed)).collect();
        if arrived.iter().all(|it| *it >= events) {
            return;
        }
        let sum = arrived.iter().sum();
        if sum > before {
            (before, last) = (sum, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn arrived(sink: &Sink, seen: &Seen, measured: &[Sent], window: (Duration, Duration)) -> Vec<Arrived> {
    let of = |it: &Arc<crate::sink::Destination>| {
        let after: Vec<Duration> = it.arrivals().filter(|at| *at >= window.0).collect();
        let last = after.iter().max().copied().unwrap_or(window.1);
        let end_to_end = measured.iter().filter(|it| !it.repeated).filter_map(|sent| it.end_to_end(sent));
        Arrived {
            requests: it.requests.load(Relaxed),
            events: it.arrived.load(Relaxed),
            doubled: it.doubled.load(Relaxed),
            missing: seen.accepted.iter().filter(|sent| !sent.repeated && it.arrival(sent.id).is_none()).count() as u64,
            per_second: after.iter().filter(|at| **at < window.1).count() as f64 / (window.1 - window.0).as_secs_f64(),
            sustained_per_second: after.len() as f64 / (last.max(window.1) - window.0).as_secs_f64(),
            end_to_end: Latency::of(end_to_end.collect()),
        }
    };
    sink.destinations.iter().map(of).collect()
}

/// What was used so far.
struct Snapshot {
    own: Used,
    servers: Option<Used>,
    bench: Used,
    processor: Processor,
}

impl Snapshot {
    fn read(running: &Running<'_>) -> anyhow::Result<Self> {
        // Children that have ended are other runs.
        let bench = machine::used_alone(std::process::id());
        Ok(Self { own: running.used(), servers: running.servers_used(), bench, processor: Processor::read()? })
    }
}
