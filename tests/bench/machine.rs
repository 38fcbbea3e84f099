//! What Linux tells about a process and about the machine around it.

use anyhow::{Context as _, ensure};
use serde::Serialize;
use std::{
    fs,
    io::{Seek as _, Write as _},
    path::Path,
    time::{Duration, Instant},
};

/// The kernel counts processor time in these.
const TICKS_PER_SECOND: f64 = 100.0;
const SYNCS: usize = 100;

/// Resident memory in MiB.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    pub now: f64,
    pub peak: f64,
}

pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let read = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name} for {pid}"))?;
        let kib: f64 = line.trim_end_matches("kB").trim().parse()?;
        anyhow::Ok(kib / 1024.0)
    };
    Ok(Memory { now: read("VmRSS:")?, peak: read("VmHWM:")? })
}

/// Bytes that a process had written to disk so far.
pub fn written(pid: u32) -> anyhow::Result<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("no write_bytes")?;
    Ok(line.trim().parse()?)
}

/// Processor time so far, in seconds: all of the machine, all that was not idle, this process, the measured one.
#[derive(Clone, Copy)]
pub struct Processor {
    all: f64,
    busy: f64,
    ours: f64,
    pub theirs: f64,
}

impl Processor {
    pub fn read(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let first = stat.lines().next().unwrap_or_default();
        // user nice system idle iowait irq softirq steal; what follows is counted in user already
        let ticks: Vec<f64> = first.split_whitespace().skip(1).take(8).map(str::parse).collect::<Result<_, _>>()?;
        ensure!(ticks.len() == 8, "/proc/stat looks unlike what was expected: {first}");
        let all: f64 = ticks.iter().sum::<f64>() / TICKS_PER_SECOND;
        let idle = (ticks[3] + ticks[4]) / TICKS_PER_SECOND;
        Ok(Self { all, busy: all - idle, ours: of_process("self")?, theirs: of_process(&pid.to_string())? })
    }

    /// The share of the machine that others used since `before`.
    pub fn foreign_since(&self, before: &Self) -> f64 {
        let (ours, theirs) = (self.ours - before.ours, self.theirs - before.theirs);
        ((self.busy - before.busy - ours - theirs) / (self.all - before.all)).max(0.0)
    }
}

fn of_process(pid: &str) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold spaces.
    let rest = stat.rsplit_once(')').context("no name in stat")?.1;
    let ticks: Vec<f64> = rest.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// The median time of one small durable write in this folder: what the disk alone allows.
pub fn sync_time(folder: &Path) -> anyhow::Result<Duration> {
    let path = folder.join("probe");
    let mut file = fs::File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.rewind()?;
        let start = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    fs::remove_file(path)?;
    times.sort();
    Ok(times[SYNCS / 2])
}
