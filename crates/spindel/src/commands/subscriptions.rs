//! `spindel subscriptions`: which webhooks the vendor sends here, and which are missing, switched off or about to end.

use super::load;
use crate::{
    cli::{Global, SubscriptionsCommand},
    output::{FAILED, NOTHING_MATCHED, Out, UNREACHABLE},
    server::{self, StoredTokens},
};
use serde::Serialize;
use spindel_connect::CallError;
use spindel_http::{Client, TokenKeeper};
use spindel_model::Clock;
use spindel_sync::{Health, Standing, owed, repair, standings};
use std::{process::ExitCode, sync::Arc};

pub async fn run(global: &Global, command: SubscriptionsCommand, out: &Out) -> anyhow::Result<ExitCode> {
    let (name, mend) = match &command {
        SubscriptionsCommand::List { connection } => (connection, false),
        SubscriptionsCommand::Repair { connection } => (connection, true),
    };
    let loaded = match load(&global.config, out) {
        Ok(loaded) => loaded,
        Err(code) => return Ok(code),
    };
    let public_url = loaded.settings.server.public_url.clone();
    // Where refresh tokens are kept that are good for one use, and where secrets go that a vendor gives.
    let store = server::open_store(&loaded.settings.store).await?;
    let tokens: Arc<dyn TokenKeeper> = Arc::new(StoredTokens(Arc::clone(&store)));
    let wiring = server::wire(loaded.settings, &Client::new(), &tokens, &Clock::system())?;
    let Some(account) = wiring.account(name) else {
        let known: Vec<&str> = wiring.accounts.keys().map(String::as_str).collect();
        out.refuse(&format!("there is no connection `{name}`"), &format!("the config has {}", known.join(", ")));
        return Ok(ExitCode::from(NOTHING_MATCHED));
    };
    let address = public_url.map(|url| format!("{}/in/{name}", url.as_str().trim_end_matches('/')));
    let now = Clock::system().now();
    let Some(found) = standings(account, address.as_deref(), now).await else {
        out.refuse(
            &format!("`{}` has no subscriptions that can be listed", account.connection.info().id),
            "register the webhooks in the vendor's own pages",
        );
        return Ok(ExitCode::from(NOTHING_MATCHED));
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => return Ok(unreachable(&error, out)),
    };
    match (mend, address) {
        (false, _) => Ok(show(&found.into_iter().map(|(standing, _)| standing).collect::<Vec<_>>(), out)),
        (true, Some(address)) => {
            let code = show(&repair(&*store, account, &address, found, now).await?, out);
            if let Some(since) = owed(&*store, name).await? {
                out.hint(&format!("the running Spindel asks {name} for what it did not tell since {since}"));
            }
            Ok(code)
        }
        (true, None) => {
            out.refuse("there is no address to register", "set `server.public_url`");
            Ok(ExitCode::from(FAILED))
        }
    }
}

fn unreachable(error: &CallError, out: &Out) -> ExitCode {
    out.refuse(&error.to_string(), "`spindel check --live` tries the credentials");
    ExitCode::from(UNREACHABLE)
}

/// One topic and where the vendor sends it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    standing: &'a Standing,
    /// By this run.
    registered: bool,
}

fn show(standings: &[Standing], out: &Out) -> ExitCode {
    let row = |standing| Row { standing, registered: matches!(standing.state, Health::Registered) };
    let rows: Vec<Row> = standings.iter().map(row).collect();
    out.show(&rows, |out| {
        out.table(&["topic", "sent to"], standings.iter().map(|it| vec![it.topic.clone(), text(it)]));
    });
    let failed = standings.iter().any(|it| it.problem.is_some());
    ExitCode::from(if failed { FAILED } else { 0 })
}

fn text(standing: &Standing) -> String {
    if let Some(problem) = &standing.problem {
        return problem.clone();
    }
    let note = match standing.state {
        Health::Missing if standing.addresses.is_empty() => return "missing".to_owned(),
        Health::Active => "",
        Health::Missing => " (not to this server)",
        Health::Inactive => " (switched off by the vendor)",
        Health::EndsSoon => " (ends soon)",
        Health::Registered => " (registered now)",
        Health::Repaired => " (repaired now)",
    };
    format!("{}{note}", standing.addresses.iter().map(|it| shown(it)).collect::<Vec<_>>().join(", "))
}

/// Some vendors are given a secret in the query of the address.
fn shown(address: &str) -> String {
    address.split_once('?').map_or_else(|| address.to_owned(), |(path, _)| format!("{path}?…"))
}
