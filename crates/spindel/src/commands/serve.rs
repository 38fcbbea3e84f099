//! `spindel serve`

use super::{load, show_problems};
use crate::{cli::Global, output::Out, server, server::Server};
use spindel_config::Problems;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

pub async fn run(global: &Global, out: &Out) -> anyhow::Result<ExitCode> {
    let loaded = match checked(global, out).await? {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let (mut hangup, mut terminate) = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
    let flows = loaded.settings.flows.len();
    let running = Server::start(loaded.settings).await?;
    tracing::info!(address = %running.address, flows, "spindel is up: webhooks go to /in/{{connection}}");
    loop {
        tokio::select! {
            _ = hangup.recv() => match checked(global, out).await {
                Ok(Ok(loaded)) => match running.reload(loaded.settings) {
                    Ok(()) => tracing::info!("config reloaded"),
                    Err(error) => tracing::error!("config not reloaded, the old one stays: {error:#}"),
                },
                Ok(Err(_)) => tracing::error!("config not reloaded, the old one stays: mend what stands above"),
                Err(error) => tracing::error!("config not reloaded, the old one stays: {error:#}"),
            },
            _ = terminate.recv() => break,
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    tracing::info!("stopping: no new requests, what runs is finished");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// The config with its mappings tried; or the exit code, once its problems were shown.
async fn checked(global: &Global, out: &Out) -> anyhow::Result<Result<spindel_config::Loaded, ExitCode>> {
    let loaded = match load(&global.config, out) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(Err(code)),
    };
    let problems = server::try_mappings(&loaded, &server::jq_pool()?).await;
    if problems.is_empty() {
        return Ok(Ok(loaded));
    }
    let problems: Problems = loaded.problems(problems);
    Ok(Err(show_problems(&problems, out)))
}
