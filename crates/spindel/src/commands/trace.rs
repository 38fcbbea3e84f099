//! `spindel trace`

use super::{deliveries, opened};
use crate::{
    cli::{Global, TraceCommand},
    output::{NOTHING_MATCHED, Out, moment},
};
use spindel_model::{Event, Timestamp};
use spindel_store::{DeliveryDetail, Trace};
use std::process::ExitCode;

/// One line of the journey.
struct Moment {
    at: Timestamp,
    text: String,
}

pub async fn run(global: &Global, command: TraceCommand, out: &Out) -> anyhow::Result<ExitCode> {
    let store = opened!(global, out);
    let TraceCommand::Order { number } = command;
    let trace = store.trace_order(&number).await?;
    if trace.events.is_empty() && trace.deliveries.is_empty() {
        out.refuse(
            &format!("nothing is known of an order {number}"),
            "its webhook may not have come in: `spindel events list --rejected` shows what was refused",
        );
        return Ok(ExitCode::from(NOTHING_MATCHED));
    }
    out.show(&view(&trace), |out| print(&number, &trace, out));
    Ok(ExitCode::SUCCESS)
}

fn view(trace: &Trace) -> serde_json::Value {
    let links: Vec<serde_json::Value> = trace
        .links
        .iter()
        .map(|(connection, reference)| serde_json::json!({ "connection": connection, "id": reference.id, "number": reference.number }))
        .collect();
    serde_json::json!({
        "events": trace.events.iter().map(super::events::EventView::from).collect::<Vec<_>>(),
        "deliveries": trace.deliveries.iter().map(deliveries::view).collect::<Vec<_>>(),
        "links": links,
    })
}

/// Prints the journey in the order of time, so that cause and effect stand under each other.
pub fn print(number: &str, trace: &Trace, out: &Out) {
    out.line(&out.bold(&format!("order {number}")));
    for (connection, reference) in &trace.links {
        let name = reference.number.as_deref().unwrap_or(&reference.id);
        out.line(&format!("  in {connection} it is {name} (id {})", reference.id));
    }
    let mut moments: Vec<Moment> = trace.events.iter().map(|event| came_in(event, out)).collect();
    moments.extend(trace.deliveries.iter().flat_map(|detail| carried(detail, out)));
    moments.sort_by_key(|moment| moment.at);
    out.line("");
    for one in moments {
        out.line(&format!("{}  {}", out.dim(&moment(one.at)), one.text));
    }
}

fn came_in(event: &Event, out: &Out) -> Moment {
    let mut text =
        format!("{} {} came in from {}: {}", out.bold("in "), event.topic, event.connection, out.state(event.state.name()));
    if event.duplicates > 0 {
        text.push_str(&format!(", and {} more times without a second effect", event.duplicates));
    }
    Moment { at: event.received_at, text: format!("{text}  {}", out.dim(&event.id.to_string())) }
}

fn carried(detail: &DeliveryDetail, out: &Out) -> Vec<Moment> {
    let delivery = &detail.delivery;
    let what = format!("{} at {} (flow {})", delivery.action, delivery.to, delivery.flow);
    let mut moments: Vec<Moment> = detail
        .attempts
        .iter()
        .map(|attempt| {
            let took = attempt.ended_at.duration_since(attempt.started_at).as_millis();
            Moment {
                at: attempt.started_at,
                text: format!("{} {} {what}: {}, {took} ms", out.bold("try"), attempt.step, attempt.message),
            }
        })
        .collect();
    let took = delivery.updated_at.duration_since(delivery.created_at).as_millis();
    moments.push(Moment {
        at: delivery.updated_at,
        text: format!(
            "{} {what}: {} after {took} ms  {}",
            out.bold("out"),
            deliveries::state(&delivery.state, out),
            out.dim(&delivery.id.to_string())
        ),
    });
    moments
}
