//! What people do by hand: retry, discard, plan again.

use super::{
    lanes::Rows,
    rows::{DeliveryRow, delivery_columns},
};
use crate::{
    Ready,
    failure::Tried,
    rules::people::{self, Found, People},
};
use rusqlite::{Connection, OptionalExtension, params};
use spindel_model::{DeliveryId, EventId, Timestamp};

const BY_ID: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    ", d.event, EXISTS (SELECT 1 FROM payloads p WHERE p.delivery = d.seq) AS has_payload \
     FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.id = ?1"
);
const LOOK_AT_ONCE: &str = "UPDATE deliveries SET wake_at = ?2 WHERE id = ?1 AND wake_at > ?2";
const COUNT_ANEW: &str = "UPDATE deliveries SET attempts = 0, first_due_at = NULL WHERE seq = ?1";

impl People for Rows<'_> {
    fn count_anew(&mut self, seq: i64) -> Tried<()> {
        self.0.prepare_cached(COUNT_ANEW)?.execute([seq])?;
        Ok(())
    }

    fn look_at_once(&mut self, id: DeliveryId, now: Timestamp) -> Tried<()> {
        self.0.prepare_cached(LOOK_AT_ONCE)?.execute(params![id.0.into_bytes(), now.as_microsecond()])?;
        Ok(())
    }
}

pub(super) fn retry(c: &Connection, ids: &[DeliveryId], now: Timestamp) -> Tried<Vec<Ready>> {
    let mut ready = Vec::new();
    for id in ids {
        with(c, *id, |found| people::retry(&mut Rows(c), found, now, &mut ready))?;
    }
    people::look_at_once(&mut Rows(c), &ready, now)?;
    Ok(ready)
}

pub(super) fn discard(c: &Connection, ids: &[DeliveryId], by: &str, why: &str, now: Timestamp) -> Tried<Vec<DeliveryId>> {
    let mut discarded = Vec::new();
    for id in ids {
        if with(c, *id, |found| people::discard(&mut Rows(c), found, by, why, now))? == Some(true) {
            discarded.push(*id);
        }
    }
    Ok(discarded)
}

fn with<T>(c: &Connection, id: DeliveryId, act: impl FnOnce(&Found) -> Tried<T>) -> Tried<Option<T>> {
    let found = c
        .prepare_cached(BY_ID)?
        .query_row([id.0.into_bytes()], |row| Ok((DeliveryRow::read(row)?, row.get("event")?, row.get("has_payload")?)))
        .optional()?;
    let Some((DeliveryRow { seq, delivery, .. }, event, has_payload)) = found else { return Ok(None) };
    act(&Found { seq, event, delivery: &delivery, has_payload }).map(Some)
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
