//! `spindel serve`

use super::show_problems;
use crate::{
    cli::{Global, ServeArgs},
    output::Out,
    roles::Roles,
    server::{self, Server},
};
use spindel_config::{Level, Loaded, Problem, Problems, Settings, StoreLocation};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// `spindel check` shows the rest.
const LOGGED: usize = 20;

pub async fn run(global: &Global, args: ServeArgs, out: &Out) -> anyhow::Result<ExitCode> {
    let loaded = match checked(global).await? {
        Ok(loaded) => loaded,
        Err(problems) => return Ok(show_problems(&problems, out)),
    };
    let (mut hangup, mut terminate) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
    let (flows, roles) = (loaded.settings.flows.len(), args.roles);
    warn_of_work_nobody_does(&loaded.settings, roles);
    let running = Server::start(loaded.settings, roles).await?;
    tracing::info!(address = %running.address, %roles, flows, version = env!("CARGO_PKG_VERSION"), "spindel is up: webhooks go to /in/{{connection}}");
    loop {
        tokio::select! {
            _ = hangup.recv() => match checked(global).await {
                Ok(Ok(loaded)) => match running.reload(loaded.settings) {
                    Ok(()) => tracing::info!("config reloaded"),
                    Err(error) => tracing::error!(error = format!("{error:#}"), "config not reloaded: the old one stays"),
                },
                Ok(Err(problems)) => log_problems(&problems),
                Err(error) => tracing::error!(error = format!("{error:#}"), "config not reloaded: the old one stays"),
            },
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    tracing::info!("stopping: no new requests, what runs is finished");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// A SQLite file belongs to this process: what it leaves out, no other node does.
fn warn_of_work_nobody_does(settings: &Settings, roles: Roles) {
    let alone = matches!(settings.store.location, StoreLocation::Sqlite { .. });
    if alone && !(roles.ingest && roles.worker && roles.sync) {
        tracing::warn!(%roles, "one process uses a SQLite file, so nobody has the other roles; several nodes need postgres as `store.url`");
    }
}

/// The config with its mappings tried, or what is wrong with it.
async fn checked(global: &Global) -> anyhow::Result<Result<Loaded, Problems>> {
    let loaded = match spindel_config::load(&global.config, &|name| std::env::var(name).ok()) {
        Ok(loaded) => loaded,
        Err(problems) => return Ok(Err(problems)),
    };
    let problems = server::try_mappings(&loaded, &server::jq_pool()?).await;
    Ok(if problems.is_empty() { Ok(loaded) } else { Err(loaded.problems(problems)) })
}

/// A reload has no screen: each problem is a line of the log.
fn log_problems(problems: &Problems) {
    let file = problems.file_name();
    for problem in problems.list.iter().filter(|problem| problem.level == Level::Error).take(LOGGED) {
        let Problem { path, line, message, hint, .. } = problem;
        tracing::error!(file, line, path, problem = message, hint, "config not reloaded: the old one stays");
    }
}
