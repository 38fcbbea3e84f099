//! One module a command.

mod check;
mod connectors;
mod deliveries;
mod events;
mod health;
mod payments;
mod send;
mod serve;
mod subscriptions;
mod trace;

use crate::{
    cli::{Cli, Command, Global},
    demo, log,
    output::{CONFIG_INVALID, Out},
    server,
};
use spindel_config::{Loaded, Problems, StoreLocation};
use spindel_store::Store;
use std::{path::Path, process::ExitCode, sync::Arc};
use tracing_subscriber::EnvFilter;

pub async fn run(cli: Cli, out: &Out) -> anyhow::Result<ExitCode> {
    let quiet = !matches!(cli.command, Command::Serve(_));
    start_log(&cli.global, quiet);
    match cli.command {
        Command::Demo(args) => demo::run(args, out).await,
        Command::Serve(args) => serve::run(&cli.global, args, out).await,
        Command::Check(args) => check::run(&cli.global, &args, out).await,
        Command::Connectors { name } => connectors::run(name.as_deref(), out),
        Command::Events(command) => events::run(&cli.global, command, out).await,
        Command::Deliveries(command) => deliveries::run(&cli.global, command, out).await,
        Command::Trace(command) => trace::run(&cli.global, command, out).await,
        Command::Payments(command) => payments::run(&cli.global, command, out).await,
        Command::Subscriptions(command) => subscriptions::run(&cli.global, command, out).await,
        Command::Send(args) => send::run(&cli.global, &args, out).await,
        Command::Health { url } => health::run(&url, out).await,
        Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// Log lines go to stderr; only `serve` tells of its work unasked.
fn start_log(global: &Global, quiet: bool) {
    let unasked = if quiet { "off" } else { "info" };
    let filter = EnvFilter::try_new(global.log.as_deref().unwrap_or(unasked)).unwrap_or_else(|_| EnvFilter::new(unasked));
    log::start(global.log_format, filter);
}

/// The config file, or an exit after all its problems were shown.
fn load(path: &Path, out: &Out) -> Result<Loaded, ExitCode> {
    spindel_config::load(path, &variable).map_err(|problems| show_problems(&problems, out))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn show_problems(problems: &Problems, out: &Out) -> ExitCode {
    if out.json {
        out.json(&serde_json::json!({ "file": problems.file_name(), "problems": problems.list }));
    } else {
        out.complain(problems.report(out.colour).trim_end());
    }
    ExitCode::from(CONFIG_INVALID)
}

/// The store of the config file, for commands that look or mend while a server may run.
async fn store(global: &Global, out: &Out) -> Result<anyhow::Result<Arc<dyn Store>>, ExitCode> {
    let loaded = spindel_config::load_to_look(&global.config, &variable);
    let settings = loaded.map_err(|problems| show_problems(&problems, out))?.settings;
    if let StoreLocation::Sqlite { path } = &settings.store.location
        && !path.exists()
    {
        let path = path.display();
        return Ok(Err(anyhow::anyhow!(
            "there is no store at {path} yet: `spindel serve` makes it; a relative path starts where you are"
        )));
    }
    Ok(server::open_store(&settings.store).await)
}

/// `let store = opened!(global, out);`: the store, or the right exit.
macro_rules! opened {
    ($global:expr, $out:expr) => {
        match $crate::commands::store($global, $out).await {
            Ok(store) => store?,
            Err(code) => return Ok(code),
        }
    };
}
use opened;
