//! One module a command.

mod check;
mod connectors;
mod deliveries;
mod events;
mod send;
mod serve;
mod subscriptions;
mod trace;

use crate::{
    cli::{Cli, Command, Global, LogFormat},
    demo,
    output::{CONFIG_INVALID, Out},
    server,
};
use spindel_config::{Loaded, Problems};
use spindel_store::SqliteStore;
use std::{io::IsTerminal as _, path::Path, process::ExitCode, sync::Arc};
use tracing_subscriber::EnvFilter;

pub async fn run(cli: Cli, out: &Out) -> anyhow::Result<ExitCode> {
    let quiet = !matches!(cli.command, Command::Serve);
    log(&cli.global, quiet);
    match cli.command {
        Command::Demo(args) => demo::run(args, out).await,
        Command::Serve => serve::run(&cli.global, out).await,
        Command::Check(args) => check::run(&cli.global, &args, out).await,
        Command::Connectors { name } => connectors::run(name.as_deref(), out),
        Command::Events(command) => events::run(&cli.global, command, out).await,
        Command::Deliveries(command) => deliveries::run(&cli.global, command, out).await,
        Command::Trace(command) => trace::run(&cli.global, command, out).await,
        Command::Subscriptions(command) => subscriptions::run(&cli.global, command, out).await,
        Command::Send(args) => send::run(&cli.global, &args, out).await,
        Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// Log lines go to stderr; only `serve` tells of its work unasked.
fn log(global: &Global, quiet: bool) {
    let unasked = if quiet { "off" } else { "info" };
    let filter = EnvFilter::try_new(global.log.as_deref().unwrap_or(unasked)).unwrap_or_else(|_| EnvFilter::new(unasked));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match global.log_format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).init(),
    }
}

/// The config file, or an exit after all its problems were shown.
fn load(path: &Path, out: &Out) -> Result<Loaded, ExitCode> {
    load_with(path, &|name| std::env::var(name).ok(), out)
}

fn load_with(path: &Path, env: spindel_config::Env<'_>, out: &Out) -> Result<Loaded, ExitCode> {
    spindel_config::load(path, env).map_err(|problems| show_problems(&problems, out))
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
fn store(global: &Global, out: &Out) -> Result<anyhow::Result<Arc<SqliteStore>>, ExitCode> {
    // Nobody is called, so the vendors' secrets need not be set in the shell of whoever looks.
    let unset = |name: &str| std::env::var(name).ok().or_else(|| Some("unset".into()));
    let settings = load_with(&global.config, &unset, out)?.settings;
    if !settings.store.path.exists() {
        let path = settings.store.path.display();
        return Ok(Err(anyhow::anyhow!(
            "there is no store at {path} yet: `spindel serve` makes it; a relative path starts where you are"
        )));
    }
    Ok(server::open_store(&settings))
}

/// `let store = opened!(global, out);`: the store, or the right exit.
macro_rules! opened {
    ($global:expr, $out:expr) => {
        match $crate::commands::store($global, $out) {
            Ok(store) => store?,
            Err(code) => return Ok(code),
        }
    };
}
use opened;
