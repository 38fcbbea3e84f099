//! How fast Spindel takes in and carries on, beside bare programs that do no more than the same work must cost.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod body;
mod limits;
mod load;
mod machine;
mod measure;
mod options;
mod process;
mod report;
mod rounds;
mod services;
mod sink;
mod stalls;
mod workloads;

use clap::Parser as _;
use options::{Command, Options};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match &options.command {
        // The bare programs are processes of their own, so that what they use is counted apart.
        Some(Command::Limit(limit)) => limits::run(limit).await,
        None => bench(options).await,
    }
}

async fn bench(options: Options) -> anyhow::Result<()> {
    let plan = options.plan()?;
    let bench = process::Bench::find(&options).await?;
    let outcome = tokio::select! {
        outcome = workloads::run(&bench, &plan) => outcome,
        () = told_to_stop() => Err(anyhow::anyhow!("stopped before the end")),
    };
    // What was made for the runs goes, whatever became of them.
    let cleaned = bench.clean_up().await;
    outcome.and(cleaned)
}

async fn told_to_stop() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
