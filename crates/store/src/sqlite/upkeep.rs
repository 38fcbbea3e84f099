//! Duties, settings and the deletion of what is old.

use super::plan::delete_mentions;
use crate::{Backlog, failure::Tried};
use rusqlite::{Connection, OptionalExtension, params};
use spindel_model::{DeliveryId, Timestamp};

const PRUNABLE: &str = "SELECT e.seq, e.mentions FROM events e WHERE e.state = ?1 AND e.received_at < ?2 AND NOT EXISTS \
    (SELECT 1 FROM deliveries d WHERE d.event = e.seq AND (d.place IS NOT NULL OR d.updated_at >= ?2)) \
    ORDER BY e.received_at LIMIT ?3";
const BACKLOG: &str = "SELECT count(*) FILTER (WHERE at <= ?2), count(*) FILTER (WHERE at > ?2), min(created_at) FROM \
    (SELECT at, created_at FROM deliveries WHERE to_connection = ?1 AND wake_at IS NOT NULL ORDER BY wake_at LIMIT ?3)";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[PRUNABLE];

pub(super) fn hold_duty(c: &Connection, duty: &str, node: &str, now: Timestamp, until: Timestamp) -> Tried<bool> {
    let held = c
        .prepare_cached(
            "INSERT INTO duties (duty, node, until) VALUES (?1, ?2, ?4) ON CONFLICT (duty) DO UPDATE \
             SET node = excluded.node, until = excluded.until WHERE node = excluded.node OR until <= ?3",
        )?
        .execute(params![duty, node, now.as_microsecond(), until.as_microsecond()])?;
    Ok(held == 1)
}

pub(super) fn setting(c: &Connection, key: &str) -> Tried<Option<Vec<u8>>> {
    Ok(c.prepare_cached("SELECT value FROM settings WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()?)
}

pub(super) fn set_setting(c: &Connection, key: &str, value: &[u8]) -> Tried<()> {
    c.prepare_cached("INSERT INTO settings (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")?
        .execute(params![key, value])?;
    Ok(())
}

pub(super) fn backlog(c: &Connection, to: &str, now: Timestamp, most: usize) -> Tried<Backlog> {
    let backlog = c.prepare_cached(BACKLOG)?.query_row(params![to, now.as_microsecond(), super::rows::limit(most)], |row| {
        Ok(Backlog {
            ready: row.get::<_, i64>(0)? as u64,
            delayed: row.get::<_, i64>(1)? as u64,
            oldest: super::rows::maybe_time(row, 2)?,
        })
    })?;
    Ok(backlog)
}

pub(super) fn keep_documents(c: &Connection, of: DeliveryId, now: Timestamp, sealed: &[u8]) -> Tried<()> {
    c.prepare_cached(
        "INSERT INTO documents (delivery, at, sealed) VALUES (?1, ?2, ?3) \
         ON CONFLICT (delivery) DO UPDATE SET at = excluded.at, sealed = excluded.sealed",
    )?
    .execute(params![of.0.as_bytes(), now.as_microsecond(), sealed])?;
    Ok(())
}

pub(super) fn documents(c: &Connection, of: DeliveryId) -> Tried<Option<Vec<u8>>> {
    let sql = "SELECT sealed FROM documents WHERE delivery = ?1";
    Ok(c.prepare_cached(sql)?.query_row([of.0.as_bytes()], |row| row.get(0)).optional()?)
}

/// Changes a page, so that the commit has something to write.
pub(super) fn probe(c: &Connection) -> Tried<()> {
    c.prepare_cached(
        "INSERT INTO settings (key, value) VALUES ('store.probe', randomblob(8)) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )?
    .execute([])?;
    Ok(())
}

pub(super) fn prune(c: &Connection, before: Timestamp, rejected_before: Timestamp, limit: usize) -> Tried<usize> {
    c.prepare_cached("DELETE FROM rejected WHERE at < ?1")?.execute([rejected_before.as_microsecond()])?;
    c.prepare_cached("DELETE FROM documents WHERE at < ?1")?.execute([before.as_microsecond()])?;
    let mut pruned = 0;
    for state in ["planned", "unrouted", "quarantined"] {
        let found = c
            .prepare_cached(PRUNABLE)?
            .query_map(params![state, before.as_microsecond(), super::rows::limit(limit - pruned)], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
            })?
            .collect::<Result<Vec<_>, _>>()?;
        pruned += found.len();
        for (event, mentions) in found {
            delete_mentions(c, event, mentions.as_deref().unwrap_or("[]"))?;
            c.prepare_cached("DELETE FROM events WHERE seq = ?1")?.execute([event])?;
        }
    }
    Ok(pruned)
}
