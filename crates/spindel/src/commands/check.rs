//! `spindel check`

use super::{load, show_problems};
use crate::{
    cli::{CheckArgs, Global},
    flow_tests,
    output::{CONFIG_INVALID, Out, UNREACHABLE},
    server,
};
use serde::Serialize;
use spindel_config::Problem;
use spindel_engine::Wiring;
use spindel_http::{Client, MemoryTokens, TokenKeeper};
use spindel_model::Clock;
use std::{process::ExitCode, sync::Arc};

#[derive(Serialize)]
struct Report {
    file: String,
    connections: usize,
    flows: usize,
    warnings: Vec<Problem>,
    tests: Vec<TestResult>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    live: Vec<LiveResult>,
}

#[derive(Serialize)]
struct TestResult {
    name: String,
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Serialize)]
struct LiveResult {
    connection: String,
    ok: bool,
    message: String,
}

pub async fn run(global: &Global, args: &CheckArgs, out: &Out) -> anyhow::Result<ExitCode> {
    let loaded = match load(&global.config, out) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let jq = server::jq_pool()?;
    let problems = server::try_mappings(&loaded, &jq).await;
    if !problems.is_empty() {
        return Ok(show_problems(&loaded.problems(problems), out));
    }
    let mut report = Report {
        file: global.config.display().to_string(),
        connections: loaded.settings.connections.len(),
        flows: loaded.settings.flows.len(),
        warnings: loaded.warnings.clone(),
        tests: Vec::new(),
        live: Vec::new(),
    };
    let warnings = loaded.problems(loaded.warnings.clone());
    let tests = loaded.settings.tests.clone();
    let clock = Clock::system();
    let tokens: Arc<dyn TokenKeeper> = Arc::new(MemoryTokens::default());
    let wiring = server::wire(loaded.settings, &Client::new(), &tokens, &clock)?;
    for test in &tests {
        let problem = flow_tests::run_test(&wiring, &jq, test, &clock).await.err();
        report.tests.push(TestResult { name: test.name.clone(), line: test.line, problem });
    }
    if args.live {
        report.live = try_connections(&wiring).await;
    }
    out.show(&report, |out| {
        if !warnings.list.is_empty() {
            out.complain(warnings.report(out.colour).trim_end());
        }
        print(&report, out);
    });
    Ok(ExitCode::from(if report.tests.iter().any(|test| test.problem.is_some()) {
        CONFIG_INVALID
    } else if report.live.iter().any(|live| !live.ok) {
        UNREACHABLE
    } else {
        0
    }))
}

async fn try_connections(wiring: &Wiring) -> Vec<LiveResult> {
    let tries = wiring.accounts.values().map(async |account| {
        let result = account.connection.probe(&account.api).await;
        let (ok, message) = match result {
            Ok(message) => (true, message),
            Err(error) => (false, error.to_string()),
        };
        LiveResult { connection: account.name.clone(), ok, message }
    });
    futures::future::join_all(tries).await
}

fn print(report: &Report, out: &Out) {
    for test in &report.tests {
        match &test.problem {
            None => out.line(&format!("ok      {}", test.name)),
            Some(problem) => {
                out.line(&format!("FAILED  {} ({}:{})", test.name, report.file, test.line));
                out.line(&format!("        {problem}"));
            }
        }
    }
    for live in &report.live {
        out.line(&format!("{}  {}: {}", if live.ok { "ok    " } else { "FAILED" }, live.connection, live.message));
    }
    let failed = report.tests.iter().filter(|test| test.problem.is_some()).count();
    out.line(&format!(
        "{}: {} connections, {} flows, {} tests passed, {failed} failed",
        report.file,
        report.connections,
        report.flows,
        report.tests.len() - failed
    ));
}
