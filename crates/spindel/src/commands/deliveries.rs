//! `spindel deliveries`

use super::opened;
use crate::{
    cli::{ChooseArgs, DeliveriesCommand, DeliveryFilterArgs, Global},
    output::{NOTHING_MATCHED, Out, moment},
};
use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use spindel_model::{Attempt, Delivery, DeliveryId, State};
use spindel_store::{DeliveryDetail, DeliveryFilter, Store};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Deliveries that one command changes at most; run it again for more.
const AT_A_TIME: usize = 10_000;
const PARTS_A_SECOND: usize = 20;
const PART_EVERY: Duration = Duration::from_millis(50);

pub async fn run(global: &Global, command: DeliveriesCommand, out: &Out) -> anyhow::Result<ExitCode> {
    let store = opened!(global, out);
    match command {
        DeliveriesCommand::List(args) => list(&*store, args, out).await,
        DeliveriesCommand::Show { id } => show(&*store, id, out).await,
        DeliveriesCommand::Documents { id, save } => documents(&*store, id, save.as_deref(), out).await,
        DeliveriesCommand::Retry { choose, rate } => retry(&*store, choose, rate, out).await,
        DeliveriesCommand::Discard { choose, why } => discard(&*store, choose, &why, out).await,
    }
}

async fn list(store: &dyn Store, args: DeliveryFilterArgs, out: &Out) -> anyhow::Result<ExitCode> {
    let limit = args.limit as usize;
    let filter = DeliveryFilter {
        flow: args.flow,
        to: args.to,
        states: args.state,
        event: None,
        undelivered: args.undelivered,
        before: args.before,
        limit,
    };
    let deliveries = store.deliveries(filter).await?;
    out.show(&deliveries, |out| {
        table(&deliveries, out);
        if deliveries.len() == limit {
            out.hint(&format!("there may be more: --before {}", deliveries[limit - 1].id));
        }
    });
    Ok(ExitCode::SUCCESS)
}

pub fn table(deliveries: &[Delivery], out: &Out) {
    let rows = deliveries.iter().map(|delivery| {
        vec![
            delivery.id.to_string(),
            moment(delivery.updated_at),
            delivery.flow.clone(),
            delivery.to.clone(),
            delivery.action.to_string(),
            delivery.label.clone().unwrap_or_default(),
            delivery.attempts.to_string(),
            state(&delivery.state, out),
        ]
    });
    out.table(&["delivery", "changed", "flow", "to", "action", "about", "attempts", "state"], rows);
}

/// The state and why.
pub fn state(state: &State, out: &Out) -> String {
    let name = out.state(state.name());
    match state {
        State::Due { at } | State::Waiting { at } => format!("{name} at {}", moment(*at)),
        State::InDoubt { look_up_at: Some(at) } => format!("{name}, looked up at {}", moment(*at)),
        State::InDoubt { look_up_at: None } => format!("{name}: retry it or discard it once you know whether it happened"),
        State::Held { guard } => format!("{name} by {guard}"),
        State::Superseded { by } => format!("{name} by {by}"),
        State::Paused { reason } | State::Skipped { reason } | State::Conflict { reason } => format!("{name}: {reason}"),
        State::Dead { class, reason } => format!("{name} ({class}): {reason}"),
        State::Discarded { by, why } => format!("{name} by {by}: {why}"),
        _ => name,
    }
}

async fn show(store: &dyn Store, id: DeliveryId, out: &Out) -> anyhow::Result<ExitCode> {
    let Some(detail) = store.delivery(id).await? else {
        out.refuse(&format!("there is no delivery {id}"), "`spindel deliveries list` shows the latest");
        return Ok(ExitCode::from(NOTHING_MATCHED));
    };
    out.show(&view(&detail), |out| {
        table(std::slice::from_ref(&detail.delivery), out);
        out.line(&format!(
            "event {}, lane {}, version {}",
            detail.delivery.event, detail.delivery.lane, detail.delivery.version.0
        ));
        if let Some(reference) = &detail.reference {
            out.line(&format!("at {}: {}", detail.delivery.to, reference.number.as_deref().unwrap_or(&reference.id)));
        }
        for (number, attempt) in detail.attempts.iter().enumerate() {
            out.line("");
            print_attempt(number + 1, attempt, out);
        }
        if let Some(action) = action(&detail) {
            out.line("");
            out.line(&serde_json::to_string_pretty(&action).unwrap_or_default());
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// A document as `--json` prints it.
#[derive(serde::Serialize)]
struct Paper<'a> {
    name: &'a str,
    media_type: &'a str,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<PathBuf>,
}

async fn documents(store: &dyn Store, id: DeliveryId, save: Option<&Path>, out: &Out) -> anyhow::Result<ExitCode> {
    let documents = store.documents(id).await?;
    if documents.is_empty() {
        out.refuse(&format!("delivery {id} has no documents"), "`spindel deliveries show` tells what came of it");
        return Ok(ExitCode::from(NOTHING_MATCHED));
    }
    let mut papers = Vec::with_capacity(documents.len());
    for document in &documents {
        let content = STANDARD.decode(&document.base64).context("the document is damaged")?;
        let saved = save.map(|folder| folder.join(file_name(&document.name)));
        if let Some(path) = &saved {
            std::fs::write(path, &content).with_context(|| format!("cannot write {}", path.display()))?;
        }
        papers.push(Paper { name: &document.name, media_type: &document.media_type, bytes: content.len(), saved });
    }
    out.show(&papers, |out| {
        let saved = |it: &Paper| it.saved.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let rows = papers.iter().map(|it| vec![it.name.to_owned(), it.media_type.to_owned(), it.bytes.to_string(), saved(it)]);
        out.table(&["document", "type", "bytes", "saved as"], rows);
        if save.is_none() {
            out.hint("--save FOLDER writes them");
        }
    });
    Ok(ExitCode::SUCCESS)
}

/// A vendor's name for it, fit for a file of ours and for no other folder.
fn file_name(name: &str) -> String {
    let fit = |char: char| if char.is_alphanumeric() || "-_.".contains(char) { char } else { '_' };
    let name: String = name.chars().take(120).map(fit).collect();
    match name.trim_start_matches('.') {
        "" => "document".to_owned(),
        name => name.to_owned(),
    }
}

fn action(detail: &DeliveryDetail) -> Option<serde_json::Value> {
    serde_json::from_slice(detail.action_json.as_deref()?).ok()
}

pub fn view(detail: &DeliveryDetail) -> serde_json::Value {
    serde_json::json!({ "delivery": detail.delivery, "reference": detail.reference, "attempts": detail.attempts, "action": action(detail) })
}

pub fn print_attempt(number: usize, attempt: &Attempt, out: &Out) {
    let took = attempt.ended_at.duration_since(attempt.started_at);
    out.line(&format!(
        "{number}. {} {} ({} ms): {}",
        moment(attempt.started_at),
        attempt.step,
        took.as_millis(),
        attempt.message
    ));
    for exchange in &attempt.exchanges {
        let answer = match (exchange.status, &exchange.error) {
            (Some(status), _) => status.to_string(),
            (None, Some(error)) => error.clone(),
            (None, None) => "no answer".into(),
        };
        out.line(&out.dim(&format!(
            "   {} {} {} -> {answer}, {} ms",
            exchange.operation, exchange.method, exchange.path, exchange.millis
        )));
    }
}

async fn chosen(store: &dyn Store, choose: &ChooseArgs) -> anyhow::Result<Vec<DeliveryId>> {
    if !choose.ids.is_empty() {
        return Ok(choose.ids.clone());
    }
    let filter = DeliveryFilter {
        flow: choose.flow.clone(),
        to: choose.to.clone(),
        states: choose.state.clone(),
        limit: AT_A_TIME,
        ..DeliveryFilter::default()
    };
    Ok(store.deliveries(filter).await?.into_iter().map(|delivery| delivery.id).collect())
}

async fn retry(store: &dyn Store, choose: ChooseArgs, rate: u32, out: &Out) -> anyhow::Result<ExitCode> {
    let ids = chosen(store, &choose).await?;
    if choose.dry_run {
        return Ok(would(ids.len(), "tried again", out));
    }
    let asked = ids.len();
    let mut done: Vec<DeliveryId> = Vec::new();
    // A little at a time: each part is one transaction, and what it makes due takes its turn among the rest.
    let mut pace = tokio::time::interval(PART_EVERY);
    for part in ids.chunks((rate as usize / PARTS_A_SECOND).max(1)) {
        pace.tick().await;
        done.extend(store.retry(part.to_vec(), store.time().await?).await?.into_iter().map(|ready| ready.id));
    }
    out.show(&done, |out| {
        out.line(&format!("{} of {asked} deliveries are due now; the rest has arrived, runs, or waits for its turn", done.len()));
    });
    Ok(if done.is_empty() { ExitCode::from(NOTHING_MATCHED) } else { ExitCode::SUCCESS })
}

async fn discard(store: &dyn Store, choose: ChooseArgs, why: &str, out: &Out) -> anyhow::Result<ExitCode> {
    let ids = chosen(store, &choose).await?;
    if choose.dry_run {
        return Ok(would(ids.len(), "discarded", out));
    }
    let who = std::env::var("USER").unwrap_or_else(|_| "command line".into());
    let asked = ids.len();
    let done = store.discard(ids, &who, why, store.time().await?).await?;
    out.show(&done, |out| out.line(&format!("{} of {asked} deliveries are discarded", done.len())));
    Ok(if done.is_empty() { ExitCode::from(NOTHING_MATCHED) } else { ExitCode::SUCCESS })
}

fn would(count: usize, what: &str, out: &Out) -> ExitCode {
    out.show(&serde_json::json!({ "would_change": count }), |out| out.line(&format!("{count} deliveries would be {what}")));
    ExitCode::SUCCESS
}
