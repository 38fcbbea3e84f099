//! Leases deliveries, writes their outcomes, and says what is due.

use super::{
    lanes::Rows,
    rows::{self, DeliveryRow, delivery_columns},
};
use crate::{
    Claim, Claimant, Claimed, Finish, Finished, Ready, Woken,
    failure::{Failure, Tried},
    rules::{
        StateColumns,
        finish::{self, Finishes, Held},
        is_fresh,
        lanes::{Kind, Lane},
    },
    seal::{Part, Sealer},
    sealed::SealedFinish,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use spindel_model::{
    ActionKind, Attempt, Delivery, DeliveryId, EventId, Lease, Reference, State, Timestamp, Version, normalised_number,
};
use uuid::Uuid;

const CLAIMABLE: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", p.sealed FROM deliveries d JOIN events e ON e.seq = d.event LEFT JOIN payloads p ON p.delivery = d.seq \
     WHERE d.id = ?1 AND d.to_connection = ?2 AND d.state IN ('due', 'in_doubt') AND d.at <= ?3"
);
const DUE_ALIKE: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", p.sealed FROM deliveries d JOIN events e ON e.seq = d.event LEFT JOIN payloads p ON p.delivery = d.seq \
     WHERE d.to_connection = ?1 AND d.flow = ?2 AND d.action = ?3 AND d.state = 'due' AND d.at <= ?4 ORDER BY d.at LIMIT ?5"
);
const LEASE: &str = "UPDATE deliveries SET state = 'running', at = ?2, who = ?3, why = NULL, wake_at = NULL, fence = fence + 1, \
    first_due_at = coalesce(first_due_at, ?4), updated_at = ?5 WHERE seq = ?1";
const KNOWN: &str = "SELECT to_id FROM links WHERE from_id = ?1 AND kind = ?2 AND from_connection = ?3 AND to_connection = ?4 \
    UNION ALL SELECT from_id FROM links WHERE to_id = ?1 AND kind = ?2 AND to_connection = ?3 AND from_connection = ?4";
const APPLIED: &str = "SELECT version FROM applied \
    WHERE lane = ?1 AND lane_kind = ?2 AND to_connection = ?3 AND from_connection = ?4 AND action = ?5";
const HELD: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.id = ?1 AND d.state = 'running' AND d.fence = ?2"
);
const SET_OUTCOME: &str = "UPDATE deliveries SET state = ?2, at = ?3, who = ?4, why = ?5, place = ?6, wake_at = ?7, updated_at = ?8, \
    attempts = ?9 WHERE seq = ?1";
const ADD_ATTEMPT: &str = "INSERT INTO attempts (delivery, number, step, started_at, ended_at, class, message, sealed) \
    VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE delivery = ?1), ?2, ?3, ?4, ?5, ?6, ?7)";
const MOVE_APPLIED: &str = "INSERT INTO applied (lane, lane_kind, to_connection, from_connection, action, version) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET version = max(version, excluded.version)";
const MIRRORED: &str = "SELECT 1 FROM links \
    WHERE from_id = ?1 AND kind = ?2 AND from_connection = ?3 AND to_connection = ?4 AND to_id = ?5";
const UNLINK_OTHERS: &str =
    "DELETE FROM links WHERE to_id = ?1 AND kind = ?2 AND to_connection = ?3 AND from_connection = ?4 AND from_id <> ?5";
const LINK: &str = "INSERT INTO links (kind, from_connection, from_id, to_connection, to_id, to_number, number_key) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (from_id, kind, from_connection, to_connection) DO UPDATE SET \
    to_number = CASE WHEN excluded.to_number IS NULL AND to_id = excluded.to_id THEN to_number ELSE excluded.to_number END, \
    number_key = CASE WHEN excluded.to_number IS NULL AND to_id = excluded.to_id THEN number_key ELSE excluded.number_key END, \
    to_id = excluded.to_id";
const PROLONG: &str = "UPDATE deliveries SET at = ?3 WHERE id = ?1 AND state = 'running' AND fence = ?2";
const TO_WAKE: &str = "SELECT seq, id, cause, attempts FROM deliveries \
    WHERE to_connection = ?1 AND wake_at <= ?2 AND at <= ?4 ORDER BY wake_at LIMIT ?3";
const WAKE_AGAIN: &str = "UPDATE deliveries SET wake_at = ?2 WHERE seq = ?1";
const NEXT_WAKE: &str = "SELECT min(wake_at) FROM deliveries WHERE to_connection = ?1 AND wake_at IS NOT NULL";
const EXPIRED: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.state = 'running' AND d.at <= ?1 ORDER BY d.at LIMIT ?2"
);
const LEFT_BEHIND: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM deliveries d INDEXED BY deliveries_leased JOIN events e ON e.seq = d.event \
     WHERE d.state = 'running' AND d.at > ?1 AND d.who = ?3 LIMIT ?2"
);
const UNPLANNED: &str = "SELECT id FROM events WHERE state = 'accepted' AND received_at < ?1 ORDER BY received_at, seq LIMIT ?2";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[
    CLAIMABLE,
    DUE_ALIKE,
    LEASE,
    KNOWN,
    APPLIED,
    HELD,
    SET_OUTCOME,
    ADD_ATTEMPT,
    MOVE_APPLIED,
    MIRRORED,
    UNLINK_OTHERS,
    LINK,
    PROLONG,
    TO_WAKE,
    WAKE_AGAIN,
    NEXT_WAKE,
    EXPIRED,
    LEFT_BEHIND,
    UNPLANNED,
];

/// A lease whose action is still sealed: it is opened off the writing thread.
pub(super) struct SealedClaim {
    claimed: Claimed,
    payload_id: Uuid,
    sealed: Option<Vec<u8>>,
}

impl SealedClaim {
    pub fn open(mut self, sealer: &Sealer) -> Tried<Claimed> {
        self.claimed.action_json = self.sealed.map(|sealed| sealer.open(Part::Action, self.payload_id, &sealed)).transpose()?;
        Ok(self.claimed)
    }
}

/// A claimable row and its sealed action.
type Claimable = (DeliveryRow, Option<Vec<u8>>);

fn claimable(row: &Row) -> rusqlite::Result<Claimable> {
    Ok((DeliveryRow::read(row)?, row.get("sealed")?))
}

pub(super) fn claim(c: &Connection, claim: &Claim) -> Tried<Vec<SealedClaim>> {
    let mut claims = Vec::with_capacity(claim.ids.len());
    for id in &claim.ids {
        let found = c
            .prepare_cached(CLAIMABLE)?
            .query_row(params![id.0.into_bytes(), claim.to, claim.by.now.as_microsecond()], claimable)
            .optional()?;
        if let Some(found) = found {
            claims.push(lease(c, found, &claim.by)?);
        }
    }
    Ok(claims)
}

pub(super) fn claim_more(
    c: &Connection,
    to: &str,
    flow: &str,
    action: ActionKind,
    limit: usize,
    by: &Claimant,
) -> Tried<Vec<SealedClaim>> {
    let due = c
        .prepare_cached(DUE_ALIKE)?
        .query_map(params![to, flow, action.as_str(), by.now.as_microsecond(), rows::limit(limit)], claimable)?
        .collect::<Result<Vec<_>, _>>()?;
    due.into_iter().map(|found| lease(c, found, by)).collect()
}

fn lease(c: &Connection, (row, sealed): Claimable, by: &Claimant) -> Tried<SealedClaim> {
    let payload_id = row.payload_id();
    let DeliveryRow { seq, mut delivery, first_due_at, .. } = row;
    let due_at = match delivery.state {
        State::Due { at } => at,
        _ => by.now,
    };
    let first_due_at = first_due_at.unwrap_or(due_at);
    let lease = i64::try_from(by.lease.as_micros()).unwrap_or(i64::MAX);
    let until = Timestamp::from_microsecond(by.now.as_microsecond().saturating_add(lease)).unwrap_or(Timestamp::MAX);
    c.prepare_cached(LEASE)?.execute(params![
        seq,
        until.as_microsecond(),
        by.node,
        first_due_at.as_microsecond(),
        by.now.as_microsecond()
    ])?;
    let in_doubt = matches!(delivery.state, State::InDoubt { .. });
    delivery.state = State::Running { lease: Lease { node: by.node.clone(), until } };
    delivery.fence += 1;
    delivery.updated_at = by.now;
    let known = known(c, &delivery)?;
    let applied = c
        .prepare_cached(APPLIED)?
        .query_row(
            params![delivery.lane.id, delivery.lane.kind.as_str(), delivery.to, delivery.from, delivery.action.as_str()],
            |row| row.get(0).map(Version),
        )
        .optional()?;
    let claimed = Claimed { delivery, in_doubt, action_json: None, known, applied, first_due_at };
    Ok(SealedClaim { claimed, payload_id, sealed })
}

/// The destination's id of the lane's entity, by a link in either direction.
fn known(c: &Connection, it: &Delivery) -> Tried<Option<String>> {
    let found = c
        .prepare_cached(KNOWN)?
        .query_row(params![it.lane.id, it.lane.kind.as_str(), it.from, it.to], |row| row.get(0))
        .optional()?;
    Ok(found)
}

pub(super) fn finish(c: &Connection, it: &SealedFinish) -> Tried<Finished> {
    let Finish { id, fence, .. } = &it.finish;
    let held = c
        .prepare_cached(HELD)?
        .query_row(params![id.0.into_bytes(), i64::try_from(*fence).unwrap_or(-1)], DeliveryRow::read)
        .optional()?;
    let Some(DeliveryRow { seq, delivery, .. }) = held else { return Ok(Finished::Fenced) };
    let held = Held {
        seq,
        lane: Lane { to: &delivery.to, from: &delivery.from, entity: &delivery.lane },
        kind: Kind { flow: &delivery.flow, action: delivery.action },
    };
    Ok(Finished::Written { next: finish::finish(&mut Rows(c), &held, it)? })
}

impl Finishes<'_> for Rows<'_> {
    fn set_outcome(&mut self, seq: i64, state: &State, wake_at: Option<i64>, attempts: u32, now: Timestamp) -> Tried<()> {
        let it = StateColumns::from(state);
        let now = now.as_microsecond();
        self.0
            .prepare_cached(SET_OUTCOME)?
            .execute(params![seq, it.name, it.at, it.who, it.why, it.place, wake_at, now, attempts])?;
        Ok(())
    }

    fn add_attempt(&mut self, seq: i64, it: &Attempt, exchanges: Option<&[u8]>) -> Tried<()> {
        self.0.prepare_cached(ADD_ATTEMPT)?.execute(params![
            seq,
            it.step.as_str(),
            it.started_at.as_microsecond(),
            it.ended_at.as_microsecond(),
            it.class.map(|class| class.as_str()),
            it.message,
            exchanges
        ])?;
        Ok(())
    }

    fn move_applied(&mut self, lane: Lane, action: ActionKind, version: Version) -> Tried<()> {
        self.0.prepare_cached(MOVE_APPLIED)?.execute(params![
            lane.entity.id,
            lane.entity.kind.as_str(),
            lane.to,
            lane.from,
            action.as_str(),
            version.0
        ])?;
        Ok(())
    }

    fn link(&mut self, lane: Lane, reference: &Reference) -> Tried<()> {
        let Lane { to, from, entity } = lane;
        let kind = entity.kind.as_str();
        let mirrored = self.0.prepare_cached(MIRRORED)?.exists(params![reference.id, kind, to, from, entity.id])?;
        if mirrored {
            return Ok(());
        }
        self.0.prepare_cached(UNLINK_OTHERS)?.execute(params![reference.id, kind, to, from, entity.id])?;
        let number_key = reference.number.as_deref().map(normalised_number);
        self.0.prepare_cached(LINK)?.execute(params![kind, from, entity.id, to, reference.id, reference.number, number_key])?;
        Ok(())
    }
}

pub(super) fn heartbeat(c: &Connection, leases: &[(DeliveryId, u64)], until: Timestamp) -> Tried<Vec<DeliveryId>> {
    let mut held = Vec::new();
    for (id, fence) in leases {
        let fence = i64::try_from(*fence).unwrap_or(-1);
        if c.prepare_cached(PROLONG)?.execute(params![id.0.into_bytes(), fence, until.as_microsecond()])? == 1 {
            held.push(*id);
        }
    }
    Ok(held)
}

/// What is due by `now` and was announced no later than for `announced`.
pub(super) fn wake(
    c: &Connection,
    to: &str,
    now: Timestamp,
    announced: Timestamp,
    again: Timestamp,
    limit: usize,
) -> Tried<Woken> {
    let mut found = c
        .prepare_cached(TO_WAKE)?
        .query_map(params![to, announced.as_microsecond(), rows::limit(limit.saturating_add(1)), now.as_microsecond()], |row| {
            let ready = Ready {
                to: to.to_owned(),
                id: DeliveryId(rows::uuid(row, 1)?),
                fresh: is_fresh(rows::named(row, 2)?, row.get(3)?),
            };
            Ok((row.get::<_, i64>(0)?, ready))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    let more = found.len() > limit;
    found.truncate(limit);
    for (seq, _) in &found {
        c.prepare_cached(WAKE_AGAIN)?.execute(params![seq, again.as_microsecond()])?;
    }
    Ok(Woken { ready: found.into_iter().map(|(_, ready)| ready).collect(), more })
}

pub(super) fn next_wake(c: &Connection, to: &str) -> Tried<Option<Timestamp>> {
    Ok(c.prepare_cached(NEXT_WAKE)?.query_row([to], |row| rows::maybe_time(row, 0))?)
}

pub(super) fn expired(c: &Connection, now: Timestamp, node: Option<&str>, limit: usize) -> Tried<Vec<Delivery>> {
    let now = now.as_microsecond();
    let read = |row: &Row| DeliveryRow::read(row).map(|row| row.delivery);
    let mut found =
        c.prepare_cached(EXPIRED)?.query_map(params![now, rows::limit(limit)], read)?.collect::<Result<Vec<_>, _>>()?;
    if let Some(node) = node {
        let rest = rows::limit(limit - found.len());
        found.extend(c.prepare_cached(LEFT_BEHIND)?.query_map(params![now, rest, node], read)?.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(found)
}

pub(super) fn unplanned(c: &Connection, before: Timestamp, limit: usize) -> Tried<Vec<EventId>> {
    let found = c
        .prepare_cached(UNPLANNED)?
        .query_map(params![before.as_microsecond(), rows::limit(limit)], |row| rows::uuid(row, 0).map(EventId))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(found)
}

/// The attempts of a delivery, oldest first.
pub(super) fn attempts(c: &Connection, sealer: &Sealer, seq: i64, id: DeliveryId) -> Tried<Vec<Attempt>> {
    let mut statement = c.prepare_cached(
        "SELECT step, started_at, ended_at, class, message, sealed FROM attempts WHERE delivery = ?1 ORDER BY number",
    )?;
    let rows = statement.query_map([seq], |row| {
        let attempt = Attempt {
            step: rows::named(row, 0)?,
            started_at: rows::time(row, 1)?,
            ended_at: rows::time(row, 2)?,
            class: match row.get_ref(3)? {
                rusqlite::types::ValueRef::Null => None,
                _ => Some(rows::named(row, 3)?),
            },
            message: row.get(4)?,
            exchanges: Vec::new(),
        };
        Ok((attempt, row.get::<_, Option<Vec<u8>>>(5)?))
    })?;
    rows.map(|row| {
        let (mut attempt, sealed) = row?;
        if let Some(sealed) = sealed {
            let json = sealer.open(Part::Exchanges, id.0, &sealed)?;
            attempt.exchanges = serde_json::from_slice(&json).map_err(|_| Failure::corrupt(format!("the exchanges of {id}")))?;
        }
        Ok(attempt)
    })
    .collect()
}
