//! What Linux tells about processes and about the machine around them.

use anyhow::{Context as _, ensure};
use serde::Serialize;
use std::{
    collections::HashMap,
    fs,
    io::{Seek as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The kernel counts processor time in these.
const TICKS_PER_SECOND: f64 = 100.0;
const SYNCS: usize = 100;
const MIB: f64 = 1024.0;

/// Resident memory in MiB.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    pub now: f64,
    pub peak: f64,
}

pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    Ok(Memory { now: kib(&status, "VmRSS:")? / MIB, peak: kib(&status, "VmHWM:")? / MIB })
}

fn kib(text: &str, name: &str) -> anyhow::Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}

/// What this machine is, in a line.
pub fn describe() -> String {
    let read = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches([':', ' ', '\t']).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let gib = read("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / MIB / MIB;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores ({}), {gib:.0} GiB, Linux {}.", read("/proc/cpuinfo", "model name"), kernel.trim())
}

/// What a process has used so far, with all that it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Seconds of processor time.
    pub cpu: f64,
    /// Bytes written to disk.
    pub written: f64,
}

impl std::ops::Sub for Used {
    type Output = Self;
    fn sub(self, before: Self) -> Self {
        Self { cpu: self.cpu - before.cpu, written: self.written - before.written }
    }
}

impl std::ops::Add for Used {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, written: self.written + other.written }
    }
}

pub fn used(root: u32) -> Used {
    family(root).into_iter().map(of_process).fold(Used::default(), |sum, one| sum + one)
}

/// Of this process alone, without those that it started.
pub fn used_alone(pid: u32) -> Used {
    let ticks: f64 = stat(pid).iter().flatten().skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum();
    Used { cpu: ticks / TICKS_PER_SECOND, written: 0.0 }
}

/// Memory of a process and all that it started, in MiB; what they share is counted once.
pub fn shared_memory(root: u32) -> f64 {
    let of = |pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        kib(&text, "Pss:").ok()
    };
    family(root).into_iter().filter_map(of).sum::<f64>() / MIB
}

/// A process and all that it started.
fn family(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in pids() {
        if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse().ok()) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut family = vec![root];
    let mut at = 0;
    while let Some(pid) = family.get(at) {
        family.extend(children.remove(pid).unwrap_or_default());
        at += 1;
    }
    family
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The fields of `/proc/PID/stat` after the name in brackets, which may hold spaces: state, parent …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// Of one process and its children that have ended. One that is gone has used nothing that can still be seen.
fn of_process(pid: u32) -> Used {
    let ticks: f64 = stat(pid).iter().flatten().skip(11).take(4).filter_map(|it| it.parse::<f64>().ok()).sum();
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).and_then(|it| it.trim().parse().ok());
    Used { cpu: ticks / TICKS_PER_SECOND, written: written.unwrap_or_default() }
}

/// Processor time of the machine so far, in seconds.
#[derive(Clone, Copy)]
pub struct Processor {
    all: f64,
    busy: f64,
}

impl Processor {
    pub fn read() -> anyhow::Result<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let first = stat.lines().next().unwrap_or_default();
        // user nice system idle iowait irq softirq steal; what follows is counted in user already
        let ticks: Vec<f64> = first.split_whitespace().skip(1).take(8).map(str::parse).collect::<Result<_, _>>()?;
        ensure!(ticks.len() == 8, "/proc/stat looks unlike what was expected: {first}");
        let all: f64 = ticks.iter().sum::<f64>() / TICKS_PER_SECOND;
        let idle = (ticks[3] + ticks[4]) / TICKS_PER_SECOND;
        Ok(Self { all, busy: all - idle })
    }

    /// The share of the machine that was used since `before`, less `ours` seconds.
    pub fn foreign_since(&self, before: &Self, ours: f64) -> f64 {
        ((self.busy - before.busy - ours) / (self.all - before.all)).clamp(0.0, 1.0)
    }
}

/// Small durable writes: what the disk alone allows, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Disk {
    pub overwrite_p50_ms: f64,
    pub overwrite_p99_ms: f64,
    pub append_p50_ms: f64,
    pub append_p99_ms: f64,
}

pub fn probe(folder: &Path) -> anyhow::Result<Disk> {
    let path = folder.join("probe");
    let (overwrite_p50_ms, overwrite_p99_ms) = syncs(&path, true)?;
    let (append_p50_ms, append_p99_ms) = syncs(&path, false)?;
    fs::remove_file(path)?;
    Ok(Disk { overwrite_p50_ms, overwrite_p99_ms, append_p50_ms, append_p99_ms })
}

fn syncs(path: &PathBuf, in_place: bool) -> anyhow::Result<(f64, f64)> {
    let mut file = fs::File::create(path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        if in_place {
            file.rewind()?;
        }
        let start = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    Ok((ms(times[SYNCS / 2]), ms(times[SYNCS * 99 / 100])))
}

/// The process that listens on a port of this machine, if its name begins like this.
pub fn listener(port: u16, name: &str) -> Option<u32> {
    let sockets = listening(port);
    let holds = |pid: &u32| {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        links
            .filter_map(|link| fs::read_link(link.path()).ok())
            .any(|target| sockets.iter().any(|it| target.as_os_str() == it.as_str()))
    };
    let called = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|it| it.starts_with(name));
    // The oldest: others may have inherited the socket.
    pids().filter(called).filter(holds).min()
}

fn listening(port: u16) -> Vec<String> {
    let mut sockets = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // local address, state (0A listens), inode
            let (Some(local), Some(&"0A"), Some(inode)) = (fields.get(1), fields.get(3), fields.get(9)) else { continue };
            if local.ends_with(&format!(":{port:04X}")) {
                sockets.push(format!("socket:[{inode}]"));
            }
        }
    }
    sockets
}
