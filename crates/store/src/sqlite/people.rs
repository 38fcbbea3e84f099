//! What people do by hand: retry, discard, plan again.

use super::{
    failure::Tried,
    lanes::{self, Announced, Lane, Moves, Newcomer, Rank},
    plan::placed,
    rows::{DeliveryRow, delivery_columns},
};
use crate::Ready;
use rusqlite::{Connection, OptionalExtension, params};
use spindel_model::{DeliveryId, EventId, State, Timestamp};

const BY_ID: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", d.event, EXISTS (SELECT 1 FROM payloads p WHERE p.delivery = d.seq) AS has_payload \
     FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.id = ?1"
);
const LOOK_AT_ONCE: &str = "UPDATE deliveries SET wake_at = ?2 WHERE id = ?1 AND wake_at > ?2";
const COUNT_ANEW: &str = "UPDATE deliveries SET attempts = 0, first_due_at = NULL WHERE seq = ?1";

struct Found {
    row: DeliveryRow,
    event: i64,
    has_payload: bool,
}

fn by_id(c: &Connection, id: DeliveryId) -> Tried<Option<Found>> {
    let found = c
        .prepare_cached(BY_ID)?
        .query_row([id.0.into_bytes()], |row| {
            Ok(Found { row: DeliveryRow::read(row)?, event: row.get("event")?, has_payload: row.get("has_payload")? })
        })
        .optional()?;
    Ok(found)
}

pub(super) fn retry(c: &Connection, ids: &[DeliveryId], now: Timestamp) -> Tried<Vec<Ready>> {
    let mut ready = Vec::new();
    for id in ids {
        if let Some(found) = by_id(c, *id)? {
            retry_one(c, &found, now, &mut ready)?;
        }
    }
    // Who retries may be a command line without a queue: the sweeper of whoever has one looks at once.
    for one in &ready {
        c.prepare_cached(LOOK_AT_ONCE)?.execute(params![one.id.0.into_bytes(), now.as_microsecond()])?;
    }
    Ok(ready)
}

fn retry_one(c: &Connection, found: &Found, now: Timestamp, ready: &mut Vec<Ready>) -> Tried<()> {
    let DeliveryRow { seq, delivery: it, .. } = &found.row;
    let lane = Lane { to: &it.to, from: &it.from, entity: &it.lane };
    match &it.state {
        // It is its turn or has no turn yet: nothing to hurry.
        State::Running { .. } | State::Waiting { .. } => return Ok(()),
        // What it was to do is not known: only planning it again can tell.
        State::Skipped { .. } if !found.has_payload => return Ok(()),
        arrived if arrived.has_arrived() => return Ok(()),
        // It may have had its effect: looked up first, by hand or not.
        State::InDoubt { look_up_at: Some(_) } => {
            let wake_at = lanes::wake_at(now, now, Announced::ByCaller);
            lanes::set_state(c, *seq, &State::InDoubt { look_up_at: Some(now) }, Some(wake_at), now)?;
            ready.push(announcement(it.to.clone(), it.id));
        }
        end if end.is_end() => reenter(c, found, lane, now, ready)?,
        _ => {
            let wake_at = lanes::wake_at(now, now, Announced::ByCaller);
            lanes::set_state(c, *seq, &State::Due { at: now }, Some(wake_at), now)?;
            match lanes::let_older_go_first(c, lane, now)? {
                Some(older) => ready.push(older),
                None => ready.push(announcement(it.to.clone(), it.id)),
            }
        }
    }
    c.prepare_cached(COUNT_ANEW)?.execute([seq])?;
    Ok(())
}

/// Gives an ended delivery a place in its lane again.
fn reenter(c: &Connection, found: &Found, lane: Lane, now: Timestamp, ready: &mut Vec<Ready>) -> Tried<()> {
    let DeliveryRow { seq, delivery: it, .. } = &found.row;
    let rank = Rank { version: it.version.0, event: found.event, seq: *seq };
    let mut moves = Moves::default();
    let place = lanes::enter(c, lane, &Newcomer { id: it.id, rank, flow: &it.flow, action: it.action }, now, &mut moves)?;
    ready.retain(|ready| !moves.stepped_back.contains(&ready.id));
    ready.extend(moves.raised);
    let (state, wake_at) = placed(place, now, now, || announcement(it.to.clone(), it.id), ready);
    lanes::set_state(c, *seq, &state, wake_at, now)
}

/// A person's retries come after fresh work.
fn announcement(to: String, id: DeliveryId) -> Ready {
    Ready { to, id, fresh: false }
}

pub(super) fn discard(c: &Connection, ids: &[DeliveryId], by: &str, why: &str, now: Timestamp) -> Tried<Vec<DeliveryId>> {
    let mut discarded = Vec::new();
    for id in ids {
        let Some(Found { row: DeliveryRow { seq, delivery: it, .. }, .. }) = by_id(c, *id)? else { continue };
        let had_place = !it.state.is_end();
        match it.state {
            // Its effect is on the way: the next of its lane must not start beside it.
            State::Running { .. } => continue,
            State::Dead { .. } | State::Conflict { .. } => {}
            _ if had_place => {}
            _ => continue,
        }
        let waited = matches!(it.state, State::Waiting { .. });
        lanes::set_state(c, seq, &State::Discarded { by: by.into(), why: why.into() }, None, now)?;
        if had_place && !waited {
            let lane = Lane { to: &it.to, from: &it.from, entity: &it.lane };
            lanes::promote(c, lane, now, Announced::BySweeper)?;
        }
        discarded.push(*id);
    }
    Ok(discarded)
}

pub(super) fn replan(c: &Connection, ids: &[EventId]) -> Tried<Vec<EventId>> {
    let mut accepted = Vec::new();
    for id in ids {
        let changed = c
            .prepare_cached("UPDATE events SET state = 'accepted', reason = NULL WHERE id = ?1 AND state <> 'accepted'")?
            .execute(params![id.0.into_bytes()])?;
        if changed == 1 {
            accepted.push(*id);
        }
    }
    Ok(accepted)
}
