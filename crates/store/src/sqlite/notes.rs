//! What is noted of events, by the latest word.

use super::rows;
use crate::{NoteFilter, NoteKey, failure::Tried, notes::SealedNote};
use rusqlite::{Connection, params};
use spindel_model::{Timestamp, Version};

const WRITE: &str = "INSERT INTO notes (book, connection, key, version, at, look_at, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
    ON CONFLICT (book, connection, key) DO UPDATE SET version = excluded.version, at = excluded.at, look_at = excluded.look_at, \
    sealed = excluded.sealed WHERE excluded.version >= notes.version";
const ALL: &str = "SELECT book, connection, key, version, at, look_at, sealed FROM notes \
    WHERE book = ?1 AND connection = ?2 AND key > ?3 AND at >= ?4 ORDER BY key LIMIT ?5";
const TO_LOOK_AT: &str = "SELECT book, connection, key, version, at, look_at, sealed FROM notes INDEXED BY notes_to_look_at \
    WHERE book = ?1 AND connection = ?2 AND look_at <= ?3 ORDER BY look_at, key LIMIT ?4";
const FORGET: &str = "DELETE FROM notes WHERE (book, connection, key) IN \
    (SELECT book, connection, key FROM notes WHERE at < ?1 ORDER BY at LIMIT ?2)";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[WRITE, ALL, TO_LOOK_AT];

pub(super) fn write(c: &Connection, notes: &[SealedNote]) -> Tried<()> {
    for note in notes {
        let SealedNote { key, version, at, look_at, sealed } = note;
        let look_at = look_at.map(Timestamp::as_microsecond);
        c.prepare_cached(WRITE)?.execute(params![
            key.book,
            key.connection,
            key.key,
            version.0,
            at.as_microsecond(),
            look_at,
            sealed
        ])?;
    }
    Ok(())
}

pub(super) fn read(c: &Connection, filter: &NoteFilter) -> Tried<Vec<SealedNote>> {
    let limit = rows::limit(filter.limit);
    let mut statement = c.prepare_cached(if filter.due.is_some() { TO_LOOK_AT } else { ALL })?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(SealedNote {
            key: NoteKey { book: row.get(0)?, connection: row.get(1)?, key: row.get(2)? },
            version: Version(row.get(3)?),
            at: rows::time(row, 4)?,
            look_at: rows::maybe_time(row, 5)?,
            sealed: row.get(6)?,
        })
    };
    let notes = match filter.due {
        Some(due) => statement.query_map(params![filter.book, filter.connection, due.as_microsecond(), limit], read)?,
        None => {
            let (after, since) = (filter.after.as_deref().unwrap_or(""), filter.since.as_microsecond());
            statement.query_map(params![filter.book, filter.connection, after, since, limit], read)?
        }
    };
    Ok(notes.collect::<Result<_, _>>()?)
}

pub(super) fn forget(c: &Connection, before: Timestamp, limit: usize) -> Tried<usize> {
    Ok(c.prepare_cached(FORGET)?.execute(params![before.as_microsecond(), rows::limit(limit)])?)
}
