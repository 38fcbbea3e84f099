//! What people and the planner read: lists, single records, counts.

use super::{
    deliver,
    rows::{self, DeliveryRow, EventRow, delivery_columns, event_columns},
};
use crate::{
    Counts, DeliveryDetail, DeliveryFilter, EventFilter, content,
    failure::Tried,
    seal::{Part, Sealer},
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params, params_from_iter};
use spindel_model::{Delivery, DeliveryId, EntityRef, Event, EventId, EventState, Reference, Rejected, State};
use std::cmp::Reverse;

const TO_PLAN: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM events e JOIN contents c ON c.event = e.seq WHERE e.id = ?1 AND e.state = 'accepted'"
);
const EVENT: &str = concat!("SELECT ", event_columns!(), " FROM events e JOIN contents c ON c.event = e.seq WHERE e.id = ?1");
#[cfg(test)]
pub(super) const HOT: &[&str] = &[TO_PLAN, EVENT];

pub(super) fn to_plan(c: &Connection, sealer: &Sealer, ids: &[EventId]) -> Tried<Vec<Event>> {
    let mut events = Vec::with_capacity(ids.len());
    for id in ids {
        let row = c.prepare_cached(TO_PLAN)?.query_row([id.0.into_bytes()], EventRow::read).optional()?;
        events.extend(row.map(|row| content::open(sealer, row.event, &row.sealed)).transpose()?);
    }
    Ok(events)
}

pub(super) fn event(c: &Connection, sealer: &Sealer, id: EventId) -> Tried<Option<Event>> {
    let row = c.prepare_cached(EVENT)?.query_row([id.0.into_bytes()], EventRow::read).optional()?;
    row.map(|row| content::open(sealer, row.event, &row.sealed)).transpose()
}

/// Conditions with their values, written out as they are needed.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    /// `condition` with `?` for the value.
    fn add(&mut self, condition: &str, value: impl ToSql + 'static) {
        self.values.push(Box::new(value));
        let numbered = condition.replace('?', &format!("?{}", self.values.len()));
        self.fixed(&numbered);
    }

    fn fixed(&mut self, condition: &str) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        self.sql.push_str(condition);
    }

    fn query<T>(&self, c: &Connection, select: &str, order: &str, read: fn(&Row) -> rusqlite::Result<T>) -> Tried<Vec<T>> {
        let sql = format!("{select}{}{order}", self.sql);
        let mut statement = c.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(&self.values), read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

pub(super) fn events(c: &Connection, sealer: &Sealer, filter: &EventFilter) -> Tried<Vec<Event>> {
    let mut conditions = Conditions::default();
    if let Some(connection) = &filter.connection {
        conditions.add("e.connection = ?", connection.clone());
    }
    if let Some(topic) = &filter.topic {
        conditions.add("e.topic = ?", topic.clone());
    }
    if let Some(cause) = filter.cause {
        conditions.add("e.cause = ?", cause.as_str());
    }
    if let Some(state) = &filter.state {
        let Some(name) = EventState::NAMES.iter().find(|name| *name == state) else { return Ok(Vec::new()) };
        // Nearly all are planned: going through the table in order finds them sooner than sorting all of them.
        let condition = if *name == "planned" { "+e.state = ?" } else { "e.state = ?" };
        conditions.add(condition, *name);
    }
    if let Some(before) = filter.before {
        conditions.add("e.seq < coalesce((SELECT seq FROM events WHERE id >= ? ORDER BY id LIMIT 1), 0)", before.0.into_bytes());
    }
    let mut direction = "DESC";
    if let Some(after) = filter.after {
        conditions
            .add("e.seq > coalesce((SELECT seq FROM events WHERE id <= ? ORDER BY id DESC LIMIT 1), 0)", after.0.into_bytes());
        direction = "ASC";
    }
    let order = format!(" ORDER BY e.seq {direction} LIMIT {}", rows::limit(filter.limit));
    let select = concat!("SELECT ", event_columns!(), " FROM events e JOIN contents c ON c.event = e.seq");
    let rows = conditions.query(c, select, &order, EventRow::read)?;
    rows.into_iter().map(|row| content::open(sealer, row.event, &row.sealed)).collect()
}

/// States that still need something to happen, by itself or by a person.
const UNDELIVERED: [&str; 8] = ["waiting", "due", "running", "in_doubt", "held", "paused", "dead", "conflict"];

pub(super) fn deliveries(c: &Connection, filter: &DeliveryFilter) -> Tried<Vec<Delivery>> {
    let wanted = |name: &&str| {
        (filter.states.is_empty() || filter.states.iter().any(|state| state == name))
            && (!filter.undelivered || UNDELIVERED.contains(name))
    };
    let names: Vec<&str> = State::NAMES.into_iter().filter(|name| wanted(name)).collect();
    if names.len() == State::NAMES.len() {
        return Ok(in_state(c, filter, None)?.into_iter().map(|row| row.delivery).collect());
    }
    // One index per state, then merged: newest first.
    let mut found = Vec::new();
    for name in names {
        found.extend(in_state(c, filter, Some(name))?);
    }
    found.sort_by_key(|row| Reverse(row.seq));
    found.truncate(filter.limit);
    Ok(found.into_iter().map(|row| row.delivery).collect())
}

fn in_state(c: &Connection, filter: &DeliveryFilter, state: Option<&str>) -> Tried<Vec<DeliveryRow>> {
    let mut conditions = Conditions::default();
    // The names come from a fixed list; literals let the partial indexes be used.
    let index = match state {
        None => "",
        Some(name) => {
            conditions.fixed(&format!("d.state = '{name}'"));
            match name {
                "due" => "INDEXED BY deliveries_due",
                "running" => "INDEXED BY deliveries_leased",
                _ => {
                    conditions.fixed("d.state NOT IN ('due', 'running')");
                    "INDEXED BY deliveries_by_state"
                }
            }
        }
    };
    let index = if filter.event.is_some() { "" } else { index };
    if let Some(event) = filter.event {
        conditions.add("d.event = (SELECT seq FROM events WHERE id = ?)", event.0.into_bytes());
    }
    if let Some(flow) = &filter.flow {
        conditions.add("d.flow = ?", flow.clone());
    }
    if let Some(to) = &filter.to {
        conditions.add("d.to_connection = ?", to.clone());
    }
    if let Some(before) = filter.before {
        conditions
            .add("d.seq < coalesce((SELECT seq FROM deliveries WHERE id >= ? ORDER BY id LIMIT 1), 0)", before.0.into_bytes());
    }
    let select =
        format!(concat!("SELECT ", delivery_columns!(), " FROM deliveries d {} JOIN events e ON e.seq = d.event"), index);
    let order = format!(" ORDER BY d.seq DESC LIMIT {}", rows::limit(filter.limit));
    conditions.query(c, &select, &order, DeliveryRow::read)
}

pub(super) fn delivery(c: &Connection, sealer: &Sealer, id: DeliveryId) -> Tried<Option<DeliveryDetail>> {
    let row = c
        .prepare_cached(concat!(
            "SELECT ",
            delivery_columns!(),
            " FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.id = ?1"
        ))?
        .query_row([id.0.into_bytes()], DeliveryRow::read)
        .optional()?;
    row.map(|row| detail(c, sealer, row)).transpose()
}

/// A delivery with its action, its attempts and what is known of its record at the destination.
pub(super) fn detail(c: &Connection, sealer: &Sealer, row: DeliveryRow) -> Tried<DeliveryDetail> {
    let sealed: Option<Vec<u8>> =
        c.prepare_cached("SELECT sealed FROM payloads WHERE delivery = ?1")?.query_row([row.seq], |row| row.get(0)).optional()?;
    let payload_id = row.payload_id();
    let action_json = sealed.map(|sealed| sealer.open(Part::Action, payload_id, &sealed)).transpose()?;
    let attempts = deliver::attempts(c, sealer, row.seq, row.delivery.id)?;
    let reference = reference(c, &row.delivery.lane, &row.delivery.from, &row.delivery.to)?;
    Ok(DeliveryDetail { delivery: row.delivery, action_json, attempts, reference })
}

fn reference(c: &Connection, entity: &EntityRef, from: &str, to: &str) -> Tried<Option<Reference>> {
    let found = c
        .prepare_cached(
            "SELECT to_id, to_number FROM links WHERE from_id = ?1 AND kind = ?2 AND from_connection = ?3 AND to_connection = ?4 \
             UNION ALL SELECT from_id, NULL FROM links \
             WHERE to_id = ?1 AND kind = ?2 AND to_connection = ?3 AND from_connection = ?4",
        )?
        .query_row(params![entity.id, entity.kind.as_str(), from, to], |row| {
            Ok(Reference { id: row.get(0)?, number: row.get(1)? })
        })
        .optional()?;
    Ok(found)
}

pub(super) fn rejected(c: &Connection, limit: usize) -> Tried<Vec<Rejected>> {
    let mut statement =
        c.prepare_cached("SELECT connection, at, reason, status, size FROM rejected ORDER BY seq DESC LIMIT ?1")?;
    let rows = statement.query_map([rows::limit(limit)], |row| {
        Ok(Rejected {
            connection: row.get(0)?,
            at: rows::time(row, 1)?,
            reason: row.get(2)?,
            status: row.get(3)?,
            size: row.get::<_, i64>(4)? as u64,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn cursor(c: &Connection, connection: &str, kind: &str) -> Tried<Option<String>> {
    Ok(c.prepare_cached("SELECT cursor FROM cursors WHERE connection = ?1 AND kind = ?2")?
        .query_row([connection, kind], |row| row.get(0))
        .optional()?)
}

pub(super) fn counts(c: &Connection) -> Tried<Counts> {
    let number = |sql: &str| -> Tried<u64> { Ok(c.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0))? as u64) };
    let mut counts = Counts {
        duplicates: number("SELECT coalesce(sum(duplicates), 0) FROM events WHERE duplicates > 0")?,
        rejected: number("SELECT count(*) FROM rejected")?,
        ..Counts::default()
    };
    let by_state = |sql: &str| -> Tried<Vec<(String, i64)>> {
        let mut statement = c.prepare_cached(sql)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    for (state, count) in by_state("SELECT state, count(*) FROM events GROUP BY state")? {
        counts.events.insert(state, count as u64);
    }
    for sql in [
        "SELECT state, count(*) FROM deliveries INDEXED BY deliveries_by_state WHERE state NOT IN ('due', 'running') GROUP BY state",
        "SELECT 'due', count(*) FROM deliveries INDEXED BY deliveries_due WHERE state = 'due'",
        "SELECT 'running', count(*) FROM deliveries INDEXED BY deliveries_leased WHERE state = 'running'",
    ] {
        for (state, count) in by_state(sql)?.into_iter().filter(|(_, count)| *count > 0) {
            counts.deliveries.insert(state, count as u64);
        }
    }
    Ok(counts)
}
