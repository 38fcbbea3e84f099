//! What an event means: its changes, the flows that want them, and the deliveries that come of it.

use crate::{Wiring, jq, note};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use spindel_connect::Verified;
use spindel_model::{
    Action, ActionKind, Cause, Change, DeliveryId, ErrorClass, Event, EventState, Flow, Indexed, Record, State, Timestamp, Trust,
    Unsuitable, UpsertProduct,
};
use spindel_store::{EventPlan, NewDelivery};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a delivery carries in the store.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Payload {
    /// Ready to be performed.
    Action(Action),
    /// The record must be read back first; the action is made of what is found.
    ReadBack { read_back: Box<Change> },
}

impl Payload {
    /// Reads the payload of a delivery of this kind.
    pub fn of_kind(kind: ActionKind, json: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct ReadBack {
            read_back: Box<Change>,
        }
        match json.starts_with(b"{\"read_back\"") {
            true => serde_json::from_slice(json).map(|ReadBack { read_back }| Self::ReadBack { read_back }),
            false => Action::of_kind(kind, json).map(Self::Action),
        }
    }
}

/// Reads an event as the connector understands it. An error is the reason for its quarantine.
pub fn understand(wiring: &Wiring, event: &Event) -> Result<Vec<Change>, String> {
    if event.cause != Cause::Webhook {
        return spindel_connect::parse(&event.body).map_err(|error| format!("polled changes cannot be read: {error}"));
    }
    let account = wiring
        .account(&event.connection)
        .ok_or_else(|| format!("connection `{}` is not in the config any more", event.connection))?;
    let mut headers = http_headers(event);
    headers.insert(http::header::CONTENT_LENGTH, event.body.len().into());
    let verified = Verified::from_store(headers, Bytes::from(event.body.clone()));
    let parsed = catch_unwind(AssertUnwindSafe(|| account.connection.changes(&verified)))
        .map_err(|_| "the connector panicked over this body: a bug; please report it".to_owned())?;
    parsed
        .ok_or_else(|| format!("connection `{}` does not receive webhooks any more", event.connection))?
        .map_err(|error| error.to_string())
}

fn http_headers(event: &Event) -> http::HeaderMap {
    let mut map = http::HeaderMap::with_capacity(event.headers.len());
    for (name, value) in &event.headers {
        if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name), http::HeaderValue::try_from(value)) {
            map.append(name, value);
        }
    }
    map
}

/// The whole plan of an event.
pub async fn plan(wiring: &Wiring, jq: &jq::Pool, event: &Event, now: Timestamp) -> EventPlan {
    let empty = |state| EventPlan { event: event.id, state, indexed: Vec::new(), deliveries: Vec::new(), notes: Vec::new(), now };
    let changes = match understand(wiring, event) {
        Ok(changes) => changes,
        Err(reason) => return empty(EventState::Quarantined { reason }),
    };
    let mut plan = empty(EventState::Unrouted);
    for (index, change) in changes.iter().enumerate() {
        plan.indexed.push(Indexed { entity: change.entity.clone(), mentions: change.mentions() });
        plan.notes.extend(note::notes(wiring, &event.connection, change, now));
        for flow in wiring.flows_for(&event.connection, change.topic) {
            plan.state = EventState::Planned;
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            plan.deliveries.push(deliver(jq, event, flow, index, change, now).await);
        }
    }
    // What was noted is of use, wanted by a flow or not.
    if !plan.notes.is_empty() {
        plan.state = EventState::Planned;
    }
    plan
}

async fn deliver(jq: &jq::Pool, event: &Event, flow: &Flow, index: u32, change: &Change, now: Timestamp) -> NewDelivery {
    let due = State::Due { at: event.received_at.checked_add(flow.lag).unwrap_or(now) };
    let (state, payload) = match payload(jq, flow, change).await {
        Ok(payload) => (due, Some(payload)),
        Err(state) => (state, None),
    };
    let lane = match &payload {
        Some(Payload::Action(action)) => action.lane(),
        Some(Payload::ReadBack { .. }) | None => change.lane(),
    };
    NewDelivery {
        id: DeliveryId::new(),
        change: index,
        flow: flow.name.clone(),
        from: flow.from.clone(),
        to: flow.to.clone(),
        action: flow.action,
        entity: change.entity.clone(),
        lane,
        version: change.version,
        cause: event.cause,
        label: label(change),
        state,
        action_json: payload.and_then(|payload| serde_json::to_vec(&payload).ok()),
    }
}

/// What is to be done, or the end of the delivery before it began.
async fn payload(jq: &jq::Pool, flow: &Flow, change: &Change) -> Result<Payload, State> {
    let skipped = |reason: String| State::Skipped { reason };
    let read_back = flow.trust == Trust::Refetch && !matches!(change.record, Record::Deleted);
    if read_back || matches!(change.record, Record::Nudge) {
        return Ok(Payload::ReadBack { read_back: Box::new(change.clone()) });
    }
    flow.when.matches(change).map_err(|why| skipped(format!("filtered: {why}")))?;
    action(jq, flow, change).await.map(Payload::Action)
}

/// The mapped action of a change, or the state in which it ends instead.
pub async fn action(jq: &jq::Pool, flow: &Flow, change: &Change) -> Result<Action, State> {
    let made = Action::from_change(flow.action, change)
        .map_err(|unsuitable| State::Skipped { reason: unsuitable_reason(&unsuitable) })?;
    mapped(jq, flow.action, flow.map.as_deref(), with_attributes(flow, made)).await
}

fn with_attributes(flow: &Flow, made: Action) -> Action {
    match made {
        Action::UpsertProduct(verb) if !flow.attributes.is_empty() => {
            UpsertProduct { product: Box::new(verb.product.mapped(&flow.attributes)) }.into()
        }
        other => other,
    }
}

/// Runs the flow's mapping over the action.
pub async fn mapped(jq: &jq::Pool, kind: ActionKind, map: Option<&str>, action: Action) -> Result<Action, State> {
    let Some(program) = map else { return Ok(action) };
    let dead = |reason: String| State::Dead { class: ErrorClass::Config, reason };
    let input = serde_json::to_value(&action).map_err(|error| dead(error.to_string()))?;
    let output = jq.apply(program, input).await.map_err(|error| dead(error.to_string()))?;
    let output = serde_json::to_vec(&output).map_err(|error| dead(error.to_string()))?;
    let mapped: Action =
        spindel_connect::parse(&output).map_err(|error| dead(format!("what the mapping gives is no {kind} action: {error}")))?;
    if mapped.kind() != kind {
        return Err(dead(format!("the mapping made a {} of a {kind}", mapped.kind())));
    }
    Ok(mapped)
}

fn unsuitable_reason(unsuitable: &Unsuitable) -> String {
    format!("unsupported: {unsuitable}")
}

/// What people call it.
fn label(change: &Change) -> Option<String> {
    match &change.record {
        Record::Order(it) => Some(it.number.clone()),
        Record::Refund(it) => it.order.number.clone(),
        Record::Transaction { order, .. } => order.number.clone(),
        Record::Dispute(it) => it.order.number.clone(),
        Record::Payout(it) => Some(it.id.clone()),
        Record::Shipment(it) => it.order.number.clone(),
        Record::Product(it) => it.handle.clone(),
        Record::Stock(it) => it.sku.clone(),
        Record::Price(it) => Some(it.sku.clone()),
        Record::Customer(_) | Record::Privacy(_) | Record::Nudge | Record::Deleted | Record::Shop(_) => None,
    }
}
