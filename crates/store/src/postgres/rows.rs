//! Between rows and types.

use crate::{
    failure::{Failure, Tried},
    rules::payload_id,
};
use spindel_model::{Delivery, DeliveryId, EntityRef, ErrorClass, Event, EventId, EventState, Lease, State, Timestamp, Version};
use std::{borrow::Cow, fmt::Display, str::FromStr};
use tokio_postgres::{Row, types::FromSql};
use uuid::Uuid;

/// What a delivery is read with; `d` is the delivery, `e` its event.
macro_rules! delivery_columns {
    () => {
        "d.seq, d.id, e.id, d.flow, d.from_connection, d.to_connection, d.action, d.entity_kind, d.entity, d.lane_kind, \
         d.lane, d.version, d.cause, d.label, d.state, d.at, d.who, d.why, d.attempts, d.fence, d.created_at, d.updated_at, \
         d.first_due_at, d.change"
    };
}
pub(super) use delivery_columns;
/// How many [`delivery_columns`] are.
pub(super) const DELIVERY_COLUMNS: usize = 24;

/// What an event is read with; `e` is the event, `c` its content.
macro_rules! event_columns {
    () => {
        "e.id, e.connection, e.topic, e.cause, e.received_at, e.state, e.reason, e.duplicates, c.sealed"
    };
}
pub(super) use event_columns;

/// A delivery as it lies in the table.
pub(super) struct DeliveryRow {
    pub seq: i64,
    pub delivery: Delivery,
    pub first_due_at: Option<Timestamp>,
    pub change: u32,
}

impl DeliveryRow {
    /// Reads [`delivery_columns`].
    pub fn read(row: &Row) -> Tried<Self> {
        Ok(Self {
            seq: get(row, 0)?,
            delivery: Delivery {
                id: DeliveryId(get(row, 1)?),
                event: EventId(get(row, 2)?),
                flow: get(row, 3)?,
                from: get(row, 4)?,
                to: get(row, 5)?,
                action: named(row, 6)?,
                entity: EntityRef { kind: named(row, 7)?, id: get(row, 8)? },
                lane: EntityRef { kind: named(row, 9)?, id: get(row, 10)? },
                version: Version(get(row, 11)?),
                cause: named(row, 12)?,
                label: get(row, 13)?,
                state: state(row, 14)?,
                attempts: number(row, 18)?,
                fence: get::<i64>(row, 19)? as u64,
                created_at: time(row, 20)?,
                updated_at: time(row, 21)?,
            },
            first_due_at: maybe_time(row, 22)?,
            change: number(row, 23)?,
        })
    }

    /// What the action is sealed for.
    pub fn payload_id(&self) -> Uuid {
        payload_id(self.delivery.event, self.change, &self.delivery.flow)
    }
}

/// An event as it lies in the table; headers and body are still sealed.
pub(super) struct EventRow {
    pub event: Event,
    pub sealed: Vec<u8>,
}

impl EventRow {
    /// Reads [`event_columns`].
    pub fn read(row: &Row) -> Tried<Self> {
        let event = Event {
            id: EventId(get(row, 0)?),
            connection: get(row, 1)?,
            topic: get(row, 2)?,
            cause: named(row, 3)?,
            received_at: time(row, 4)?,
            headers: Vec::new(),
            body: Vec::new(),
            state: event_state(row, 5)?,
            duplicates: number(row, 7)?,
        };
        Ok(Self { event, sealed: get(row, 8)? })
    }
}

/// Reads state, at, who, why from column `first` on.
fn state(row: &Row, first: usize) -> Tried<State> {
    let at = || time(row, first + 1);
    let who = || get::<String>(row, first + 2);
    let why = || get::<String>(row, first + 3);
    Ok(match get(row, first)? {
        "waiting" => State::Waiting { at: at()? },
        "due" => State::Due { at: at()? },
        "running" => State::Running { lease: Lease { node: who()?, until: at()? } },
        "in_doubt" => State::InDoubt { look_up_at: maybe_time(row, first + 1)? },
        "held" => State::Held { guard: who()? },
        "paused" => State::Paused { reason: why()? },
        "delivered" => State::Delivered,
        "unchanged" => State::Unchanged,
        "superseded" => State::Superseded { by: named(row, first + 2)? },
        "duplicate" => State::Duplicate,
        "echo" => State::Echo,
        "stale" => State::Stale,
        "skipped" => State::Skipped { reason: why()? },
        "conflict" => State::Conflict { reason: why()? },
        "dead" => State::Dead { class: named::<ErrorClass>(row, first + 2)?, reason: why()? },
        "discarded" => State::Discarded { by: who()?, why: why()? },
        other => return Err(Failure::corrupt(format!("`{other}` is not a state of a delivery"))),
    })
}

/// Reads state and reason from column `first` on.
fn event_state(row: &Row, first: usize) -> Tried<EventState> {
    Ok(match get(row, first)? {
        "accepted" => EventState::Accepted,
        "planned" => EventState::Planned,
        "unrouted" => EventState::Unrouted,
        "quarantined" => EventState::Quarantined { reason: get::<Option<String>>(row, first + 1)?.unwrap_or_default() },
        other => return Err(Failure::corrupt(format!("`{other}` is not a state of an event"))),
    })
}

pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Tried<T> {
    Ok(row.try_get(column)?)
}

pub(super) fn named<T: FromStr<Err: Display>>(row: &Row, column: usize) -> Tried<T> {
    get::<&str>(row, column)?.parse().map_err(|error: T::Err| Failure::corrupt(error.to_string()))
}

pub(super) fn number(row: &Row, column: usize) -> Tried<u32> {
    Ok(get::<i32>(row, column)?.max(0) as u32)
}

pub(super) fn time(row: &Row, column: usize) -> Tried<Timestamp> {
    Timestamp::from_microsecond(get(row, column)?).map_err(|error| Failure::corrupt(error.to_string()))
}

pub(super) fn maybe_time(row: &Row, column: usize) -> Tried<Option<Timestamp>> {
    match get::<Option<i64>>(row, column)? {
        Some(_) => time(row, column).map(Some),
        None => Ok(None),
    }
}

/// A limit as PostgreSQL takes it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A text as PostgreSQL takes it: it has no room for the character NUL, and what comes in may contain any.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}
