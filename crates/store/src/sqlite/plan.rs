//! Writes what an event means: its state, its search keys, its deliveries.

use super::{
    failure::{Failure, Tried},
    lanes::{self, Announced, Lane, Moves, Newcomer, Place, Rank},
    rows::{self, StateColumns, payload_id},
    seal::{Part, Sealer},
};
use crate::{EventPlan, NewDelivery, Planned, Ready, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use spindel_model::{DeliveryId, EventState, State, Timestamp};

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

/// A plan made ready off the writing thread.
pub(super) struct SealedPlan {
    plan: EventPlan,
    mentions: String,
    deliveries: Vec<(NewDelivery, Option<Vec<u8>>)>,
}

impl SealedPlan {
    pub fn new(sealer: &Sealer, mut plan: EventPlan) -> Result<Self, StoreError> {
        let mut deliveries = Vec::new();
        for mut delivery in std::mem::take(&mut plan.deliveries) {
            let sealed = match delivery.action_json.take() {
                Some(action) => {
                    let id = payload_id(plan.event, delivery.change, &delivery.flow);
                    Some(sealer.seal(Part::Action, id, &action).map_err(|failure| failure.error)?)
                }
                None => None,
            };
            deliveries.push((delivery, sealed));
        }
        let mut mentions = Vec::new();
        for mention in plan.indexed.iter().flat_map(|indexed| &indexed.mentions) {
            let pair = (mention.kind.as_str(), mention.value.as_str());
            if !mentions.contains(&pair) {
                mentions.push(pair);
            }
        }
        let mentions = serde_json::to_string(&mentions).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(Self { plan, mentions, deliveries })
    }

    pub fn bytes(&self) -> usize {
        let payloads: usize = self.deliveries.iter().map(|(_, sealed)| 512 + sealed.as_ref().map_or(0, Vec::len)).sum();
        payloads + self.mentions.len()
    }
}

pub(super) fn plan(c: &Connection, it: &SealedPlan) -> Tried<Planned> {
    let found = c
        .prepare_cached(ACCEPTED)?
        .query_row([it.plan.event.0.into_bytes()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?)))
        .optional()?;
    // Another worker has planned it.
    let Some((event, before)) = found else { return Ok(Planned::default()) };
    write_event(c, event, before.as_deref(), it)?;
    let mut planned = Planned::default();
    for (new, payload) in &it.deliveries {
        // Without mentions it was never planned, and has no deliveries yet.
        let existing = if before.is_some() { existing(c, event, new)? } else { None };
        match existing {
            Some(Existing { arrived_or_live: true, .. }) => {}
            existing => place(c, event, new, existing, payload.as_deref(), it.plan.now, &mut planned)?,
        }
    }
    Ok(planned)
}

fn write_event(c: &Connection, event: i64, before: Option<&str>, it: &SealedPlan) -> Tried<()> {
    if let Some(before) = before {
        delete_mentions(c, event, before)?;
    }
    let reason = match &it.plan.state {
        EventState::Quarantined { reason } => Some(reason),
        _ => None,
    };
    c.prepare_cached(SET_EVENT)?.execute(params![event, it.plan.state.name(), reason, it.mentions])?;
    for mention in it.plan.indexed.iter().flat_map(|indexed| &indexed.mentions) {
        c.prepare_cached(ADD_MENTION)?.execute(params![mention.kind.as_str(), mention.value, event])?;
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

/// Reads the column `mentions` of an event: kinds and values.
pub(super) fn mentions(column: &str) -> Tried<Vec<(String, String)>> {
    serde_json::from_str(column).map_err(|_| Failure::corrupt("the search keys of an event"))
}

struct Existing {
    seq: i64,
    id: DeliveryId,
    arrived_or_live: bool,
}

fn existing(c: &Connection, event: i64, new: &NewDelivery) -> Tried<Option<Existing>> {
    let found = c
        .prepare_cached(EXISTING)?
        .query_row(params![event, new.change, new.flow], |row| {
            let ended_without = matches!(row.get_ref(2)?.as_str()?, "dead" | "skipped" | "conflict");
            Ok(Existing { seq: row.get(0)?, id: DeliveryId(rows::uuid(row, 1)?), arrived_or_live: !ended_without })
        })
        .optional()?;
    Ok(found)
}

/// Writes a delivery into its lane, or as the end it came with; takes the row and the id of `existing` when there is one.
fn place(
    c: &Connection,
    event: i64,
    new: &NewDelivery,
    existing: Option<Existing>,
    payload: Option<&[u8]>,
    now: Timestamp,
    planned: &mut Planned,
) -> Tried<()> {
    let id = existing.as_ref().map_or(new.id, |existing| existing.id);
    let seq = existing.map(|existing| existing.seq);
    let (state, wake_at) = match &new.state {
        State::Due { at } => {
            let lane = Lane { to: &new.to, from: &new.from, entity: &new.lane };
            let rank = Rank { version: new.version.0, event, seq: seq.unwrap_or(i64::MAX) };
            let mut moves = Moves::default();
            let place = lanes::enter(c, lane, &Newcomer { id, rank, flow: &new.flow, action: new.action }, now, &mut moves)?;
            note(moves, planned);
            placed(place, *at, now, || Ready { to: new.to.clone(), id, fresh: new.cause.is_fresh() }, &mut planned.ready)
        }
        end if end.is_end() => (end.clone(), None),
        other => return Err(Failure::corrupt(format!("a new delivery cannot be {}: it is due or ended", other.name()))),
    };
    let seq = match seq {
        Some(seq) => {
            c.prepare_cached(DROP_PAYLOAD)?.execute([seq])?;
            revive(c, seq, new, &state, wake_at, now)?
        }
        None => insert(c, event, new, &state, wake_at, now)?,
    };
    if let Some(sealed) = payload {
        c.prepare_cached(SET_PAYLOAD)?.execute(params![seq, sealed])?;
    }
    Ok(())
}

/// The state and the timer that follow from a place; notes what may be announced now.
pub(super) fn placed(
    place: Place,
    at: Timestamp,
    now: Timestamp,
    announcement: impl FnOnce() -> Ready,
    ready: &mut Vec<Ready>,
) -> (State, Option<i64>) {
    match place {
        Place::Head => {
            if at <= now {
                ready.push(announcement());
            }
            (State::Due { at }, Some(lanes::wake_at(at, now, Announced::ByCaller)))
        }
        Place::Behind => (State::Waiting { at }, None),
        Place::Superseded(by) => (State::Superseded { by }, None),
    }
}

fn note(moves: Moves, planned: &mut Planned) {
    planned.superseded += moves.superseded;
    planned.ready.retain(|ready| !moves.stepped_back.contains(&ready.id));
    planned.ready.extend(moves.raised);
}

fn insert(c: &Connection, event: i64, new: &NewDelivery, state: &State, wake_at: Option<i64>, now: Timestamp) -> Tried<i64> {
    let it = StateColumns::from(state);
    c.prepare_cached(INSERT)?.execute(params![
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
    Ok(c.last_insert_rowid())
}

fn revive(c: &Connection, seq: i64, new: &NewDelivery, state: &State, wake_at: Option<i64>, now: Timestamp) -> Tried<i64> {
    let it = StateColumns::from(state);
    c.prepare_cached(REVIVE)?.execute(params![
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
    Ok(seq)
}
