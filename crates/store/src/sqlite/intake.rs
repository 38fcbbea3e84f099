//! Writes what comes in: events, cursors, rejected requests.

use super::{
    failure::{Failure, Tried},
    rows::{EventRow, uuid},
    seal::{Part, Sealer},
};
use crate::{Appended, CursorMove, NewEvent, StoreError};
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use spindel_model::{Event, EventId, Rejected};

/// Rejected requests that are kept; the oldest go first.
const REJECTED_KEPT: i64 = 10_000;

const INSERT: &str = "INSERT INTO events (id, connection, topic, cause, dedupe, received_at, state) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'accepted') \
    ON CONFLICT (dedupe) DO UPDATE SET duplicates = duplicates + 1 RETURNING seq, id, duplicates";
const INSERT_CONTENT: &str = "INSERT INTO contents (event, sealed) VALUES (?1, ?2)";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[INSERT, INSERT_CONTENT];

/// An event made ready off the writing thread.
pub(super) struct SealedEvent {
    event: NewEvent,
    dedupe: [u8; 16],
    sealed: Vec<u8>,
}

impl SealedEvent {
    pub fn new(sealer: &Sealer, mut event: NewEvent) -> Result<Self, StoreError> {
        let content = frame(&event.headers, &event.body)?;
        event.body = Vec::new();
        event.headers = Vec::new();
        let sealed = sealer.seal(Part::Content, event.id.0, &content).map_err(|failure| failure.error)?;
        Ok(Self { dedupe: dedupe(&event.connection, &event.dedupe_key), event, sealed })
    }

    /// What it keeps in memory until it is written.
    pub fn bytes(&self) -> usize {
        self.sealed.len() + 512
    }
}

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

/// Reads headers and body back.
pub(super) fn open(sealer: &Sealer, row: EventRow) -> Tried<Event> {
    let mut event = row.event;
    let content = sealer.open(Part::Content, event.id.0, &row.sealed)?;
    (event.headers, event.body) = unframe(&content).ok_or_else(|| Failure::corrupt(format!("the content of {}", event.id)))?;
    Ok(event)
}

/// The length of the headers as JSON, the headers, the body.
fn frame(headers: &[(String, String)], body: &[u8]) -> Result<Vec<u8>, StoreError> {
    let headers = serde_json::to_vec(headers).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let length = u32::try_from(headers.len()).map_err(|_| StoreError::Corrupt("headers of 4 GiB".into()))?;
    Ok([&length.to_le_bytes(), &headers[..], body].concat())
}

type Content = (Vec<(String, String)>, Vec<u8>);

fn unframe(content: &[u8]) -> Option<Content> {
    let (length, rest) = content.split_first_chunk::<4>()?;
    let (headers, body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((serde_json::from_slice(headers).ok()?, body.to_vec()))
}

/// A short unique key: a connection's name cannot hold the byte between the two.
fn dedupe(connection: &str, key: &str) -> [u8; 16] {
    let digest = Sha256::new().chain_update(connection).chain_update([0]).chain_update(key).finalize();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}
