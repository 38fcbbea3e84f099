//! `spindel subscriptions`: which webhooks the vendor sends here, and which are missing.

use super::load;
use crate::{
    cli::{Global, SubscriptionsCommand},
    output::{FAILED, NOTHING_MATCHED, Out, UNREACHABLE},
    server,
};
use serde::Serialize;
use spindel_connect::{CallError, Subscription};
use spindel_engine::Account;
use spindel_http::{Client, MemoryTokens, TokenKeeper};
use spindel_model::Clock;
use std::{process::ExitCode, sync::Arc};

/// One topic and where the vendor sends it.
#[derive(Serialize)]
struct Row {
    topic: String,
    /// Addresses that the vendor sends it to; empty when it is missing.
    addresses: Vec<String>,
    /// Registered by this run.
    registered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub async fn run(global: &Global, command: SubscriptionsCommand, out: &Out) -> anyhow::Result<ExitCode> {
    let (name, repair) = match &command {
        SubscriptionsCommand::List { connection } => (connection, false),
        SubscriptionsCommand::Repair { connection } => (connection, true),
    };
    let loaded = match load(&global.config, out) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let public_url = loaded.settings.server.public_url.clone();
    let tokens: Arc<dyn TokenKeeper> = Arc::new(MemoryTokens::default());
    let wiring = server::wire(loaded.settings, &Client::new(), &tokens, &Clock::system())?;
    let Some(account) = wiring.account(name) else {
        let known: Vec<&str> = wiring.accounts.keys().map(String::as_str).collect();
        out.refuse(&format!("there is no connection `{name}`"), &format!("the config has {}", known.join(", ")));
        return Ok(ExitCode::from(NOTHING_MATCHED));
    };
    let Some(listing) = account.connection.subscriptions(&account.api) else {
        out.refuse(
            &format!("`{}` has no subscriptions that can be listed", account.connection.info().id),
            "register the webhooks in the vendor's own pages",
        );
        return Ok(ExitCode::from(NOTHING_MATCHED));
    };
    let listed = match listing.await {
        Ok(listed) => listed,
        Err(error) => return Ok(unreachable(&error, out)),
    };
    let address = public_url.map(|url| format!("{}/in/{name}", url.as_str().trim_end_matches('/')));
    let Some(address) = address else {
        if repair {
            out.refuse("there is no address to register", "set `server.public_url`");
            return Ok(ExitCode::from(FAILED));
        }
        return Ok(show(&rows(account, &listed), out));
    };
    let mut rows = rows(account, &listed);
    if repair {
        register_missing(account, &address, &mut rows).await;
    }
    Ok(show(&rows, out))
}

fn unreachable(error: &CallError, out: &Out) -> ExitCode {
    out.refuse(&error.to_string(), "`spindel check --live` tries the credentials");
    ExitCode::from(UNREACHABLE)
}

/// The wanted topics first, then what else the vendor sends.
fn rows(account: &Account, listed: &[Subscription]) -> Vec<Row> {
    let wanted = account.connection.subscription_topics();
    let others = listed.iter().map(|one| one.topic.as_str()).filter(|topic| !wanted.contains(topic));
    let mut topics: Vec<&str> = wanted.iter().copied().chain(others).collect();
    topics.dedup();
    let row = |topic: &str| Row {
        topic: topic.to_owned(),
        addresses: listed.iter().filter(|one| one.topic == topic).map(|one| one.address.clone()).collect(),
        registered: false,
        problem: None,
    };
    topics.into_iter().map(row).collect()
}

async fn register_missing(account: &Account, address: &str, rows: &mut [Row]) {
    for row in rows.iter_mut().filter(|row| !row.addresses.iter().any(|one| one == address)) {
        let Some(registering) = account.connection.subscribe(&account.api, &row.topic, address) else { return };
        match registering.await {
            Ok(subscription) => {
                row.addresses.push(subscription.address);
                row.registered = true;
            }
            Err(error) => row.problem = Some(error.to_string()),
        }
    }
}

fn show(rows: &[Row], out: &Out) -> ExitCode {
    out.show(&rows, |out| {
        let text = |row: &Row| match (&row.problem, row.addresses.is_empty()) {
            (Some(problem), _) => problem.clone(),
            (None, true) => "missing".into(),
            (None, false) => format!("{}{}", row.addresses.join(", "), if row.registered { " (registered now)" } else { "" }),
        };
        out.table(&["topic", "sent to"], rows.iter().map(|row| vec![row.topic.clone(), text(row)]));
    });
    let failed = rows.iter().any(|row| row.problem.is_some());
    ExitCode::from(if failed { FAILED } else { 0 })
}
