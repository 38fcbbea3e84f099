//! How fast a Spindel accepts webhooks durably, by the number of senders, and what memory it needs when many wait.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod body;
mod machine;
mod memory;
mod process;
mod rate;
mod report;
mod senders;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use process::Bench;
use std::path::PathBuf;

/// Measures a release build of Spindel on this machine, over loopback.
#[derive(Parser)]
#[command(name = "scripts/bench", max_term_width = 100)]
struct Options {
    /// A short run, to try: 2 rounds of 1 s, 20,000 waiting events
    #[arg(long)]
    quick: bool,
    /// What to measure
    #[arg(long, value_enum, default_value_t = What::All)]
    what: What,
    /// Rounds; in each, every number of senders and every body size has its turn, in a new order
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// How long each turn is measured, after a second of warming up
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Events that wait for a destination that is down
    #[arg(long, default_value_t = 200_000, value_name = "N", value_parser = clap::value_parser!(u64).range(4..=2_000_000))]
    events: u64,
    /// The program to measure, instead of the one built beside this benchmark
    #[arg(long, value_name = "FILE")]
    spindel: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    All,
    Rate,
    Memory,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut options = Options::parse();
    if options.quick {
        (options.rounds, options.seconds, options.events) = (2, 1, 20_000);
    }
    let bench = Bench::find(options.spindel)?;
    let mut report = report::Report::default();
    if options.what != What::Memory {
        report.rate = rate::measure(&bench, options.rounds, options.seconds).await?;
    }
    if options.what != What::Rate {
        report.memory = Some(memory::measure(&bench, options.events).await?);
    }
    print!("{}", report.text());
    let file = bench.folder.join("ingest.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&report)?).with_context(|| format!("cannot write {}", file.display()))?;
    println!("\nEvery run: {}", file.display());
    Ok(())
}
