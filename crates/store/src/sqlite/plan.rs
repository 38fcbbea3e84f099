//! Writes what an event means: its state, its search keys, its deliveries.

use super::{lanes::Rows, notes, rows};
use crate::{
    Planned,
    failure::Tried,
    rules::{
        StateColumns,
        plan::{self, Existing, NewRow, Plans},
    },
    sealed::{SealedPlan, mentions},
};
use rusqlite::{Connection, OptionalExtension, params};
use spindel_model::DeliveryId;

const ACCEPTED: &str = "SELECT seq, mentions FROM events WHERE id = ?1 AND state = 'accepted'";
const SET_EVENT: &str = "UPDATE events SET state = ?2, reason = ?3, mentions = ?4 WHERE seq = ?1";
const ADD_MENTION: &str = "INSERT OR IGNORE INTO mentions (kind, value, event) VALUES (?1, ?2, ?3)";
const DELETE_MENTION: &str = "DELETE FROM mentions WHERE kind = ?1 AND value = ?2 AND event = ?3";
const EXISTING: &str = "SELECT seq, id, state FROM deliveries WHERE event = ?1 AND change = ?2 AND flow = ?3";
const INSERT: &str = "INSERT INTO deliveries (id, event, change, flow, from_connection, to_connection, action, entity_kind, entity, \
    lane_kind, lane, version, cause, label, state, at, who, why, place, wake_at, created_at, updated_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?21)";
const REVIVE: &str = "UPDATE deliveries SET from_connection = ?2, to_connection = ?3, action = ?4, entity_kind = ?5, entity = ?6, \
    lane_kind = ?7, lane = ?8, version = ?9, cause = ?10, label = ?11, state = ?12, at = ?13, who = ?14, why = ?15, place = ?16, \
    wake_at = ?17, updated_at = ?18, attempts = 0, first_due_at = NULL WHERE seq = ?1";
const SET_PAYLOAD: &str = "INSERT INTO payloads (delivery, sealed) VALUES (?1, ?2)";
const DROP_PAYLOAD: &str = "DELETE FROM payloads WHERE delivery = ?1";
#[cfg(test)]
pub(super) const HOT: &[&str] =
    &[ACCEPTED, SET_EVENT, ADD_MENTION, DELETE_MENTION, EXISTING, INSERT, REVIVE, SET_PAYLOAD, DROP_PAYLOAD];

pub(super) fn plan(c: &Connection, it: &SealedPlan) -> Tried<Planned> {
    let found = c
        .prepare_cached(ACCEPTED)?
        .query_row([it.plan.event.0.into_bytes()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))
        .optional()?;
    // Another worker has planned it.
    let Some((event, before)) = found else { return Ok(Planned::default()) };
    write_event(c, event, before.as_deref(), it)?;
    notes::write(c, &it.notes)?;
    // Without mentions it was never planned, and has no deliveries yet.
    plan::plan(&mut Rows(c), event, before.is_some(), it)
}

fn write_event(c: &Connection, event: i64, before: Option<&str>, it: &SealedPlan) -> Tried<()> {
    if let Some(before) = before {
        delete_mentions(c, event, before)?;
    }
    c.prepare_cached(SET_EVENT)?.execute(params![event, it.plan.state.name(), it.reason(), it.mentions])?;
    for (kind, value) in it.mentioned() {
        c.prepare_cached(ADD_MENTION)?.execute(params![kind, value, event])?;
    }
    Ok(())
}

/// Takes an event out of the search keys; `before` is its column `mentions`.
pub(super) fn delete_mentions(c: &Connection, event: i64, before: &str) -> Tried<()> {
    for (kind, value) in mentions(before)? {
        c.prepare_cached(DELETE_MENTION)?.execute(params![kind, value, event])?;
    }
    Ok(())
}

impl Plans<'_> for Rows<'_> {
    fn existing(&mut self, event: i64, change: u32, flow: &str) -> Tried<Option<Existing>> {
        let found = self
            .0
            .prepare_cached(EXISTING)?
            .query_row(params![event, change, flow], |row| {
                let revivable = Existing::is_revivable(row.get_ref(2)?.as_str()?);
                Ok(Existing { seq: row.get(0)?, id: DeliveryId(rows::uuid(row, 1)?), revivable })
            })
            .optional()?;
        Ok(found)
    }

    fn insert(&mut self, row: NewRow) -> Tried<()> {
        let NewRow { event, new, state, wake_at, now, .. } = &row;
        let it = StateColumns::from(state);
        self.0.prepare_cached(INSERT)?.execute(params![
            new.id.0.into_bytes(),
            event,
            new.change,
            new.flow,
            new.from,
            new.to,
            new.action.as_str(),
            new.entity.kind.as_str(),
            new.entity.id,
            new.lane.kind.as_str(),
            new.lane.id,
            new.version.0,
            new.cause.as_str(),
            new.label,
            it.name,
            it.at,
            it.who,
            it.why,
            it.place,
            wake_at,
            now.as_microsecond(),
        ])?;
        self.set_payload(self.0.last_insert_rowid(), row.payload)
    }

    fn revive(&mut self, seq: i64, row: NewRow) -> Tried<()> {
        let NewRow { new, state, wake_at, now, .. } = &row;
        let it = StateColumns::from(state);
        self.0.prepare_cached(DROP_PAYLOAD)?.execute([seq])?;
        self.0.prepare_cached(REVIVE)?.execute(params![
            seq,
            new.from,
            new.to,
            new.action.as_str(),
            new.entity.kind.as_str(),
            new.entity.id,
            new.lane.kind.as_str(),
            new.lane.id,
            new.version.0,
            new.cause.as_str(),
            new.label,
            it.name,
            it.at,
            it.who,
            it.why,
            it.place,
            wake_at,
            now.as_microsecond(),
        ])?;
        self.set_payload(seq, row.payload)
    }
}

impl Rows<'_> {
    fn set_payload(&self, seq: i64, sealed: Option<&[u8]>) -> Tried<()> {
        if let Some(sealed) = sealed {
            self.0.prepare_cached(SET_PAYLOAD)?.execute(params![seq, sealed])?;
        }
        Ok(())
    }
}
