//! `spindel events`

use super::opened;
use crate::{
    cli::{EventFilterArgs, EventsCommand, Global},
    output::{NOTHING_MATCHED, Out, moment},
};
use serde::Serialize;
use spindel_model::{Event, EventId, EventState, Timestamp};
use spindel_store::{DeliveryFilter, EventFilter, Store};
use std::{process::ExitCode, time::Duration};

/// How often `tail` looks for more.
const TAIL_EVERY: Duration = Duration::from_millis(500);
/// Events that one command sets back at most; run it again for more.
const REPROCESS_AT_A_TIME: usize = 1000;
/// Events that are read at once: their bodies come with them.
const PAGE: usize = 50;

/// An event as it is printed.
#[derive(Serialize)]
pub struct EventView<'a> {
    id: EventId,
    connection: &'a str,
    topic: &'a str,
    cause: spindel_model::Cause,
    received_at: Timestamp,
    #[serde(flatten)]
    state: &'a EventState,
    duplicates: u32,
    bytes: usize,
}

impl<'a> From<&'a Event> for EventView<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            id: event.id,
            connection: &event.connection,
            topic: &event.topic,
            cause: event.cause,
            received_at: event.received_at,
            state: &event.state,
            duplicates: event.duplicates,
            bytes: event.body.len(),
        }
    }
}

pub async fn run(global: &Global, command: EventsCommand, out: &Out) -> anyhow::Result<ExitCode> {
    let store = opened!(global, out);
    match command {
        EventsCommand::List(args) => list(&*store, args, out).await,
        EventsCommand::Show { id } => show(&*store, id, out).await,
        EventsCommand::Reprocess { ids, state, connection } => reprocess(&*store, ids, state, connection, out).await,
        EventsCommand::Tail { connection } => tail(&*store, connection, out).await,
    }
}

async fn list(store: &dyn Store, args: EventFilterArgs, out: &Out) -> anyhow::Result<ExitCode> {
    if args.rejected {
        let rejected = store.rejected(args.limit as usize).await?;
        out.show(&rejected, |out| {
            let rows = rejected.iter().map(|one| {
                vec![moment(one.at), one.connection.clone(), one.status.to_string(), one.size.to_string(), one.reason.clone()]
            });
            out.table(&["at", "connection", "status", "bytes", "reason"], rows);
        });
        return Ok(ExitCode::SUCCESS);
    }
    let filter = EventFilter {
        connection: args.connection,
        topic: args.topic,
        state: args.state,
        before: args.before,
        limit: args.limit as usize,
        ..EventFilter::default()
    };
    let events = store.events(filter).await?;
    out.show(&events.iter().map(EventView::from).collect::<Vec<_>>(), |out| {
        out.table(&["event", "received", "connection", "topic", "state"], events.iter().map(|event| row(event, out)));
        if events.len() == args.limit as usize {
            out.hint(&format!("there may be more: --before {}", events[events.len() - 1].id));
        }
    });
    Ok(ExitCode::SUCCESS)
}

fn row(event: &Event, out: &Out) -> Vec<String> {
    let mut state = out.state(event.state.name());
    if let EventState::Quarantined { reason } = &event.state {
        state = format!("{state}: {reason}");
    }
    if event.duplicates > 0 {
        state = format!("{state} (came {} times)", event.duplicates + 1);
    }
    vec![event.id.to_string(), moment(event.received_at), event.connection.clone(), event.topic.clone(), state]
}

async fn show(store: &dyn Store, id: EventId, out: &Out) -> anyhow::Result<ExitCode> {
    let Some(event) = store.event(id).await? else {
        out.refuse(
            &format!("there is no event {id}"),
            "`spindel events list` shows the latest; old ones are deleted after `store.retention`",
        );
        return Ok(ExitCode::from(NOTHING_MATCHED));
    };
    let deliveries = store.deliveries(DeliveryFilter { event: Some(id), limit: 1000, ..DeliveryFilter::default() }).await?;
    let body = String::from_utf8_lossy(&event.body).into_owned();
    let whole =
        serde_json::json!({ "event": EventView::from(&event), "headers": event.headers, "body": body, "deliveries": deliveries });
    out.show(&whole, |out| {
        out.table(&["event", "received", "connection", "topic", "state"], [row(&event, out)]);
        out.line("");
        for (name, value) in &event.headers {
            out.line(&format!("{}: {value}", out.dim(name)));
        }
        out.line("");
        out.line(&pretty(&body));
        out.line("");
        super::deliveries::table(&deliveries, out);
    });
    Ok(ExitCode::SUCCESS)
}

/// Indented when it is JSON whose numbers survive it, else as it came.
fn pretty(body: &str) -> String {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(body) else { return body.to_owned() };
    serde_json::to_string_pretty(&json).unwrap_or_else(|_| body.to_owned())
}

async fn reprocess(
    store: &dyn Store,
    mut ids: Vec<EventId>,
    state: Option<String>,
    connection: Option<String>,
    out: &Out,
) -> anyhow::Result<ExitCode> {
    if let Some(state) = state {
        let mut filter = EventFilter { state: Some(state), connection, limit: PAGE, ..EventFilter::default() };
        while ids.len() < REPROCESS_AT_A_TIME {
            let page = store.events(filter.clone()).await?;
            ids.extend(page.iter().map(|event| event.id));
            if page.len() < PAGE {
                break;
            }
            filter.before = page.last().map(|event| event.id);
        }
    }
    let asked = ids.len();
    let done = store.replan(ids).await?;
    out.show(&done, |out| {
        out.line(&format!("{} of {asked} events are planned again, by the running Spindel or at its next start", done.len()));
    });
    Ok(if done.is_empty() { ExitCode::from(NOTHING_MATCHED) } else { ExitCode::SUCCESS })
}

async fn tail(store: &dyn Store, connection: Option<String>, out: &Out) -> anyhow::Result<ExitCode> {
    let newest = EventFilter { connection: connection.clone(), limit: 10, ..EventFilter::default() };
    let mut shown = store.events(newest).await?;
    shown.reverse();
    let mut last = None;
    loop {
        for event in &shown {
            last = Some(event.id);
            if out.json {
                out.json_line(&EventView::from(event));
            } else {
                out.line(&row(event, out).join("  "));
            }
        }
        let more = async {
            tokio::time::sleep(TAIL_EVERY).await;
            // With nothing seen yet, everything is after the smallest id there can be.
            let after = Some(last.unwrap_or(EventId(uuid::Uuid::nil())));
            store.events(EventFilter { connection: connection.clone(), after, limit: 200, ..EventFilter::default() }).await
        };
        shown = tokio::select! {
            more = more => more?,
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::SUCCESS),
        };
    }
}
