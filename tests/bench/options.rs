//! The command line, and what it asks to be measured.

use crate::{limits::Limit, process::Shape};
use clap::{Parser, Subcommand, ValueEnum};
use std::{path::PathBuf, time::Duration};

/// Measures a release build of Spindel on this machine, over loopback, beside bare programs that do the least that the same
/// work needs. Prints Markdown tables; every run is in `target/bench/*.json`.
///
/// The production shape is measured where SPINDEL_TEST_POSTGRES and SPINDEL_TEST_AMQP are set: `./scripts/services up`,
/// then `eval "$(./scripts/services env)"`.
#[derive(Parser)]
#[command(name = "scripts/bench", max_term_width = 100, args_conflicts_with_subcommands = true)]
pub struct Options {
    /// Only these, as in `--only w1,w2`
    #[arg(long, value_enum, value_delimiter = ',', ignore_case = true, value_name = "NAMES")]
    only: Vec<Name>,
    /// What is measured; `both` when left out, without production where there are no services
    #[arg(long, value_enum)]
    shape: Option<Shapes>,
    /// Body sizes in KiB, 2,10,50 when left out; the first is that of all workloads but `w1` and `w2`
    #[arg(long, value_delimiter = ',', value_name = "KIB", value_parser = clap::value_parser!(u32).range(2..=1000))]
    size: Vec<u32>,
    /// A few minutes, to try: 1 round of 1 s, the first size, 10,000 waiting events, on a busy machine as well; without `w6`,
    /// `w8` and `ten`
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// An hour or more: 5 rounds of 5 s with all sizes, 15 s for latencies, 1,000,000 waiting events, 20 kills
    #[arg(long)]
    full: bool,
    /// Rounds; in each, everything that is compared has its turn, in a new order
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// How long each turn is measured
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: Option<u32>,
    /// Events that wait for a destination that is down (`w7`)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1000..=2_000_000))]
    backlog: Option<u64>,
    /// Deliveries that are replayed beside live traffic (`replay`)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1000..=1_000_000))]
    replay: Option<u64>,
    /// How often the process is killed (`w8`)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    kills: Option<u32>,
    /// How often a turn is tried until others leave the machine alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10))]
    tries: Option<u32>,
    /// Deliveries at the same time, to each destination
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub concurrency: u32,
    /// The program to measure, instead of the one built beside this benchmark
    #[arg(long, value_name = "FILE")]
    pub spindel: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// One of the bare programs
    #[command(hide = true)]
    Limit(Limit),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shapes {
    Embedded,
    Production,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// Durable ingest, no destination
    W1,
    /// Accepted to arrived, as fast as it goes
    W2,
    /// Latency at half of that, and at 400 events a second
    W3,
    /// 20,000 events in a second
    W4,
    /// One of two destinations is slow
    W5,
    /// One of two destinations fails
    W6,
    /// Many events wait for a destination that is down; restart; it comes back. Memory, disk, start-up
    W7,
    /// SIGKILL at random moments, under load
    W8,
    /// One event to five destinations
    W9,
    /// Three in ten requests are repetitions
    W10,
    /// One of ten destinations is dead
    Ten,
    /// Many deliveries are retried beside live traffic
    Replay,
}

/// What is measured, and how long.
pub struct Plan {
    pub only: Vec<Name>,
    pub shapes: Vec<Shape>,
    /// In bytes.
    pub sizes: Vec<usize>,
    pub rounds: u32,
    /// Sizes but the first take part in the first round alone.
    pub sizes_once: bool,
    pub warm_up: Duration,
    pub time: Duration,
    /// For latencies.
    pub long: Duration,
    pub burst: u64,
    pub backlog: u64,
    pub replay: u64,
    pub kills: u32,
    pub tries: u32,
}

impl Options {
    pub fn plan(&self) -> anyhow::Result<Plan> {
        // quick, default, full
        let of = |three: [u64; 3]| three[if self.quick { 0 } else { 1 + usize::from(self.full) }];
        let few = |three: [u64; 3]| of(three) as u32;
        let seconds = |given: Option<u32>, three| Duration::from_secs(given.map_or(of(three), u64::from));
        let long = [Name::W6, Name::W8, Name::Ten];
        let usual = Name::value_variants().iter().filter(|name| !(self.quick && long.contains(name)));
        let plan = Plan {
            only: if self.only.is_empty() { usual.copied().collect() } else { self.only.clone() },
            shapes: self.shapes()?,
            sizes: self.sizes().into_iter().map(|kib| kib as usize * 1024).collect(),
            rounds: self.rounds.unwrap_or(few([1, 3, 5])),
            sizes_once: !self.full,
            warm_up: Duration::from_millis(of([300, 700, 1000])),
            time: seconds(self.seconds, [1, 2, 5]),
            long: seconds(self.seconds.map(|given| given * 2), [2, 4, 15]),
            burst: of([5_000, 20_000, 20_000]),
            backlog: self.backlog.unwrap_or(of([10_000, 50_000, 1_000_000])),
            replay: self.replay.unwrap_or(of([5_000, 10_000, 100_000])),
            kills: self.kills.unwrap_or(few([3, 6, 20])),
            tries: self.tries.unwrap_or(few([1, 2, 3])),
        };
        Ok(plan)
    }

    fn sizes(&self) -> Vec<u32> {
        match (self.size.as_slice(), self.quick) {
            ([], true) => vec![2],
            ([], false) => vec![2, 10, 50],
            (given, _) => given.to_vec(),
        }
    }

    fn shapes(&self) -> anyhow::Result<Vec<Shape>> {
        let services = crate::services::given();
        match self.shape {
            Some(Shapes::Embedded) => Ok(vec![Shape::Embedded]),
            None if !services => {
                eprintln!("SPINDEL_TEST_POSTGRES or SPINDEL_TEST_AMQP is not set: the production shape is left out");
                Ok(vec![Shape::Embedded])
            }
            _ if !services => anyhow::bail!(
                "the production shape needs SPINDEL_TEST_POSTGRES and SPINDEL_TEST_AMQP: `./scripts/services up`, then \
                 `eval \"$(./scripts/services env)\"`"
            ),
            Some(Shapes::Production) => Ok(vec![Shape::Production]),
            _ => Ok(vec![Shape::Embedded, Shape::Production]),
        }
    }
}
