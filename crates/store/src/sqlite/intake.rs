//! Writes what comes in: events, cursors, rejected requests.

use super::rows::uuid;
use crate::{
    Appended, CursorMove,
    content::{REJECTED_KEPT, SealedEvent},
    failure::Tried,
};
use rusqlite::{Connection, params};
use spindel_model::{EventId, Rejected};

const INSERT: &str = "INSERT INTO events (id, connection, topic, cause, dedupe, received_at, state) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'accepted') \
    ON CONFLICT (dedupe) DO UPDATE SET duplicates = duplicates + 1 RETURNING seq, id, duplicates";
const INSERT_CONTENT: &str = "INSERT INTO contents (event, sealed) VALUES (?1, ?2)";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[INSERT, INSERT_CONTENT];

pub(super) fn append(c: &Connection, new: &SealedEvent) -> Tried<Appended> {
    let event = &new.event;
    let (seq, id, duplicates) = c.prepare_cached(INSERT)?.query_row(
        params![
            event.id.0.into_bytes(),
            event.connection,
            event.topic,
            event.cause.as_str(),
            new.dedupe,
            event.received_at.as_microsecond()
        ],
        |row| Ok((row.get::<_, i64>(0)?, EventId(uuid(row, 1)?), row.get::<_, u32>(2)?)),
    )?;
    if duplicates > 0 {
        return Ok(Appended::Duplicate(id));
    }
    c.prepare_cached(INSERT_CONTENT)?.execute(params![seq, new.sealed])?;
    Ok(Appended::New(id))
}

pub(super) fn append_page(c: &Connection, events: &[SealedEvent], cursor: &CursorMove) -> Tried<Vec<Appended>> {
    let appended = events.iter().map(|event| append(c, event)).collect::<Tried<Vec<_>>>()?;
    c.prepare_cached(
        "INSERT INTO cursors (connection, kind, cursor) VALUES (?1, ?2, ?3) \
         ON CONFLICT (connection, kind) DO UPDATE SET cursor = excluded.cursor",
    )?
    .execute(params![cursor.connection, cursor.kind, cursor.cursor])?;
    Ok(appended)
}

pub(super) fn reject(c: &Connection, rejected: &Rejected) -> Tried<()> {
    c.prepare_cached("INSERT INTO rejected (connection, at, reason, status, size) VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(
        params![
            rejected.connection,
            rejected.at.as_microsecond(),
            rejected.reason,
            rejected.status,
            i64::try_from(rejected.size).unwrap_or(i64::MAX)
        ],
    )?;
    c.prepare_cached("DELETE FROM rejected WHERE seq <= ?1")?.execute([c.last_insert_rowid() - REJECTED_KEPT])?;
    Ok(())
}
