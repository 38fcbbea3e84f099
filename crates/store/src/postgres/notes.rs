//! What is noted of events, by the latest word.

use super::{
    rows::{self, get},
    session::Session,
};
use crate::{NoteFilter, NoteKey, failure::Tried, notes::SealedNote};
use spindel_model::{Timestamp, Version};
use tokio_postgres::Row;

const WRITE: &str = "INSERT INTO notes (book, connection, key, version, at, look_at, sealed) SELECT * FROM \
    unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[]) \
    ON CONFLICT (book, connection, key) DO UPDATE SET version = excluded.version, at = excluded.at, look_at = excluded.look_at, \
    sealed = excluded.sealed WHERE excluded.version >= notes.version";
const ALL: &str = "SELECT book, connection, key, version, at, look_at, sealed FROM notes \
    WHERE book = $1 AND connection = $2 AND key > $3 AND at >= $4 ORDER BY key LIMIT $5";
const TO_LOOK_AT: &str = "SELECT book, connection, key, version, at, look_at, sealed FROM notes \
    WHERE book = $1 AND connection = $2 AND look_at <= $3 ORDER BY look_at, key LIMIT $4";
const FORGET: &str = "DELETE FROM notes WHERE (book, connection, key) IN \
    (SELECT book, connection, key FROM notes WHERE at < $1 ORDER BY at LIMIT $2)";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[WRITE, ALL, TO_LOOK_AT];

/// Of one thing at most one word.
pub(super) async fn write(s: &Session, notes: &[SealedNote]) -> Tried<()> {
    if notes.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&SealedNote) -> &str| notes.iter().map(of).collect::<Vec<_>>();
    let (books, connections, keys) = (column(|it| &it.key.book), column(|it| &it.key.connection), column(|it| &it.key.key));
    let versions: Vec<i64> = notes.iter().map(|it| it.version.0).collect();
    let times: Vec<i64> = notes.iter().map(|it| it.at.as_microsecond()).collect();
    let to_look_at: Vec<Option<i64>> = notes.iter().map(|it| it.look_at.map(Timestamp::as_microsecond)).collect();
    let sealed: Vec<&[u8]> = notes.iter().map(|it| it.sealed.as_slice()).collect();
    s.execute(WRITE, &[&books, &connections, &keys, &versions, &times, &to_look_at, &sealed]).await?;
    Ok(())
}

pub(super) async fn read(s: &Session, filter: &NoteFilter) -> Tried<Vec<SealedNote>> {
    let limit = rows::limit(filter.limit);
    let found = match filter.due {
        Some(due) => s.query(TO_LOOK_AT, &[&filter.book, &filter.connection, &due.as_microsecond(), &limit]).await?,
        None => {
            let after = filter.after.as_deref().unwrap_or("");
            s.query(ALL, &[&filter.book, &filter.connection, &after, &filter.since.as_microsecond(), &limit]).await?
        }
    };
    found.iter().map(note).collect()
}

fn note(row: &Row) -> Tried<SealedNote> {
    Ok(SealedNote {
        key: NoteKey { book: get(row, 0)?, connection: get(row, 1)?, key: get(row, 2)? },
        version: Version(get(row, 3)?),
        at: rows::time(row, 4)?,
        look_at: rows::maybe_time(row, 5)?,
        sealed: get(row, 6)?,
    })
}

pub(super) async fn forget(s: &Session, before: Timestamp, limit: usize) -> Tried<usize> {
    Ok(s.execute(FORGET, &[&before.as_microsecond(), &rows::limit(limit)]).await? as usize)
}
