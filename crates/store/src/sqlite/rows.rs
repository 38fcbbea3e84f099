//! Between rows and types.

use crate::rules::payload_id;
use rusqlite::{Error, Row, types::Type};
use spindel_model::{Delivery, DeliveryId, EntityRef, ErrorClass, Event, EventId, EventState, Lease, State, Timestamp, Version};
use std::{error::Error as StdError, str::FromStr};
use uuid::Uuid;

type Read<T> = rusqlite::Result<T>;

/// What a delivery is read with; `d` is the delivery, `e` its event.
macro_rules! delivery_columns {
    () => {
        "d.seq, d.id, e.id, d.flow, d.from_connection, d.to_connection, d.action, d.entity_kind, d.entity, d.lane_kind, \
         d.lane, d.version, d.cause, d.label, d.state, d.at, d.who, d.why, d.attempts, d.fence, d.created_at, d.updated_at, \
         d.first_due_at, d.change"
    };
}
pub(super) use delivery_columns;

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
    pub fn read(row: &Row) -> Read<Self> {
        Ok(Self {
            seq: row.get(0)?,
            delivery: Delivery {
                id: DeliveryId(uuid(row, 1)?),
                event: EventId(uuid(row, 2)?),
                flow: row.get(3)?,
                from: row.get(4)?,
                to: row.get(5)?,
                action: named(row, 6)?,
                entity: EntityRef { kind: named(row, 7)?, id: row.get(8)? },
                lane: EntityRef { kind: named(row, 9)?, id: row.get(10)? },
                version: Version(row.get(11)?),
                cause: named(row, 12)?,
                label: row.get(13)?,
                state: state(row, 14)?,
                attempts: row.get(18)?,
                fence: row.get::<_, i64>(19)? as u64,
                created_at: time(row, 20)?,
                updated_at: time(row, 21)?,
            },
            first_due_at: maybe_time(row, 22)?,
            change: row.get(23)?,
        })
    }

    /// What the action is sealed for: the same when it is planned again, whatever its delivery's id is.
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
    pub fn read(row: &Row) -> Read<Self> {
        let event = Event {
            id: EventId(uuid(row, 0)?),
            connection: row.get(1)?,
            topic: row.get(2)?,
            cause: named(row, 3)?,
            received_at: time(row, 4)?,
            headers: Vec::new(),
            body: Vec::new(),
            state: event_state(row, 5)?,
            duplicates: row.get(7)?,
        };
        Ok(Self { event, sealed: row.get(8)? })
    }
}

/// Reads state, at, who, why from column `first` on.
fn state(row: &Row, first: usize) -> Read<State> {
    let at = || time(row, first + 1);
    let who = || row.get::<_, String>(first + 2);
    let why = || row.get::<_, String>(first + 3);
    Ok(match row.get_ref(first)?.as_str()? {
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
        other => return Err(unreadable(first, format!("`{other}` is not a state of a delivery"))),
    })
}

/// Reads state and reason from column `first` on.
fn event_state(row: &Row, first: usize) -> Read<EventState> {
    Ok(match row.get_ref(first)?.as_str()? {
        "accepted" => EventState::Accepted,
        "planned" => EventState::Planned,
        "unrouted" => EventState::Unrouted,
        "quarantined" => EventState::Quarantined { reason: row.get::<_, Option<String>>(first + 1)?.unwrap_or_default() },
        other => return Err(unreadable(first, format!("`{other}` is not a state of an event"))),
    })
}

pub(super) fn uuid(row: &Row, column: usize) -> Read<Uuid> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}

pub(super) fn named<T: FromStr<Err: StdError + Send + Sync + 'static>>(row: &Row, column: usize) -> Read<T> {
    row.get_ref(column)?.as_str()?.parse().map_err(|error: T::Err| unreadable(column, error))
}

pub(super) fn time(row: &Row, column: usize) -> Read<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| unreadable(column, error))
}

pub(super) fn maybe_time(row: &Row, column: usize) -> Read<Option<Timestamp>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => time(row, column).map(Some),
    }
}

fn unreadable(column: usize, error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

/// A limit as SQLite takes it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
