//! The binary: command line and wiring.

mod bus;
mod cli;
mod commands;
mod demo;
mod flow_tests;
mod log;
mod output;
mod roles;
mod server;
mod watch;

use clap::Parser as _;
use cli::{Cli, Command};
use output::Out;
use std::process::ExitCode;

/// An eighth of the processor's time went into the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A jq child has limits and an empty environment: nothing else of this binary may start in it.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == cli::WORKER_JQ) {
        return spindel_engine::jq::child_main();
    }
    let cli = Cli::parse();
    let out = Out::new(cli.global.json, cli.global.color);
    if let Command::Completions { shell } = cli.command {
        cli::print_completions(shell);
        return ExitCode::SUCCESS;
    }
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 16);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return out.failure(&anyhow::anyhow!("cannot start: {error}")),
    };
    match runtime.block_on(commands::run(cli, &out)) {
        Ok(code) => code,
        Err(error) => out.failure(&error),
    }
}
