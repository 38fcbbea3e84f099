//! Writes what comes in: events, cursors, rejected requests.

use super::{
    groups::Before,
    rows::{get, text},
    session::Session,
};
use crate::{
    Appended, BoxFuture, CursorMove, StoreError,
    content::{REJECTED_KEPT, SealedEvent},
    failure::Tried,
};
use spindel_model::{EventId, Rejected};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

/// Numbered as they came, written in the order of their keys: nodes that write the same keys never wait for each other in
/// a circle. Those whose key is there already are left out.
macro_rules! insert {
    ($before:literal) => {
        concat!(
            "WITH ",
            $before,
            "new AS MATERIALIZED (SELECT nextval('events_seq') AS seq, n.* FROM \
             unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::bigint[], $7::bytea[]) \
             AS n (id, connection, topic, cause, dedupe, received_at, sealed)), \
             added AS (INSERT INTO events (seq, id, connection, topic, cause, dedupe, received_at, state) \
             SELECT seq, id, connection, topic, cause, dedupe, received_at, 'accepted' FROM new ORDER BY dedupe, seq \
             ON CONFLICT (dedupe) DO NOTHING RETURNING seq, id), \
             kept AS (INSERT INTO contents (event, sealed) SELECT n.seq, n.sealed FROM new n JOIN added a ON a.seq = n.seq) \
             SELECT id FROM added"
        )
    };
}
const INSERT: &str = insert!("");
const INSERT_PAGE: &str = insert!(
    "moved AS (INSERT INTO cursors (connection, kind, cursor) VALUES ($8, $9, $10) \
     ON CONFLICT (connection, kind) DO UPDATE SET cursor = excluded.cursor), "
);
const COUNT_AGAIN: &str = "WITH found AS MATERIALIZED \
    (SELECT seq FROM events WHERE dedupe = ANY ($1::uuid[]) ORDER BY seq FOR UPDATE) \
    UPDATE events SET duplicates = duplicates + (SELECT sum(r.times) FROM unnest($1::uuid[], $2::int[]) AS r (dedupe, times) \
    WHERE r.dedupe = events.dedupe)::int WHERE seq = ANY (ARRAY (SELECT seq FROM found)) RETURNING dedupe, id";
const REJECT: &str = "WITH added AS (INSERT INTO rejected (connection, at, reason, status, size) \
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::int[], $5::bigint[]) RETURNING seq) \
    DELETE FROM rejected WHERE seq <= (SELECT max(seq) FROM added) - $6";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[INSERT, INSERT_PAGE, COUNT_AGAIN];

/// Events as arrays, in the order in which they came.
struct Columns<'a> {
    ids: Vec<Uuid>,
    connections: Vec<Cow<'a, str>>,
    topics: Vec<Cow<'a, str>>,
    causes: Vec<&'static str>,
    dedupes: Vec<Uuid>,
    received: Vec<i64>,
    sealed: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(events: impl Iterator<Item = &'a SealedEvent> + Clone) -> Self {
        let all = || events.clone();
        Self {
            ids: all().map(|it| it.event.id.0).collect(),
            connections: all().map(|it| text(&it.event.connection)).collect(),
            topics: all().map(|it| text(&it.event.topic)).collect(),
            causes: all().map(|it| it.event.cause.as_str()).collect(),
            dedupes: all().map(|it| Uuid::from_bytes(it.dedupe)).collect(),
            received: all().map(|it| it.event.received_at.as_microsecond()).collect(),
            sealed: all().map(|it| &it.sealed[..]).collect(),
        }
    }
}

/// Commits the events of a group by one statement: for most of them that is all.
pub(super) fn append<'a>(s: &'a Session, jobs: &'a [Arc<SealedEvent>], _: Before) -> BoxFuture<'a, Tried<Vec<Appended>>> {
    Box::pin(async move {
        let c = Columns::of(jobs.iter().map(Arc::as_ref));
        let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
            &[&c.ids, &c.connections, &c.topics, &c.causes, &c.dedupes, &c.received, &c.sealed];
        let rows = s.query(INSERT, params).await?;
        let added = rows.iter().map(|row| get(row, 0)).collect::<Tried<HashSet<Uuid>>>()?;
        answers(s, &c, &added).await
    })
}

/// Commits a page and its cursor by one statement.
pub(super) async fn append_page(s: &Session, events: &[SealedEvent], cursor: &CursorMove) -> Tried<Vec<Appended>> {
    let c = Columns::of(events.iter());
    let position = [&cursor.connection, &cursor.kind, &cursor.cursor].map(|it| text(it));
    let [connection, kind, to] = &position;
    let params: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&c.ids, &c.connections, &c.topics, &c.causes, &c.dedupes, &c.received, &c.sealed, connection, kind, to];
    let rows = s.query(INSERT_PAGE, params).await?;
    let added = rows.iter().map(|row| get(row, 0)).collect::<Tried<HashSet<Uuid>>>()?;
    answers(s, &c, &added).await
}

async fn answers(s: &Session, c: &Columns<'_>, added: &HashSet<Uuid>) -> Tried<Vec<Appended>> {
    if added.len() == c.ids.len() {
        return Ok(c.ids.iter().map(|id| Appended::New(EventId(*id))).collect());
    }
    let mut times: HashMap<Uuid, i32> = HashMap::new();
    for (_, dedupe) in c.ids.iter().zip(&c.dedupes).filter(|(id, _)| !added.contains(id)) {
        *times.entry(*dedupe).or_default() += 1;
    }
    let (repeated, counts): (Vec<Uuid>, Vec<i32>) = times.into_iter().unzip();
    let rows = s.query(COUNT_AGAIN, &[&repeated, &counts]).await?;
    let first = rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect::<Tried<HashMap<Uuid, Uuid>>>()?;
    let answer = |(id, dedupe): (&Uuid, &Uuid)| match (added.contains(id), first.get(dedupe)) {
        (true, _) => Ok(Appended::New(EventId(*id))),
        (false, Some(first)) => Ok(Appended::Duplicate(EventId(*first))),
        (false, None) => {
            Err(StoreError::Unavailable("an event was deleted while it came again: send it once more".into()).into())
        }
    };
    c.ids.iter().zip(&c.dedupes).map(answer).collect()
}

pub(super) fn reject<'a>(s: &'a Session, jobs: &'a [Rejected], _: Before) -> BoxFuture<'a, Tried<Vec<()>>> {
    Box::pin(async move {
        let connections: Vec<_> = jobs.iter().map(|it| text(&it.connection)).collect();
        let at: Vec<_> = jobs.iter().map(|it| it.at.as_microsecond()).collect();
        let reasons: Vec<_> = jobs.iter().map(|it| text(&it.reason)).collect();
        let statuses: Vec<_> = jobs.iter().map(|it| i32::from(it.status)).collect();
        let sizes: Vec<_> = jobs.iter().map(|it| i64::try_from(it.size).unwrap_or(i64::MAX)).collect();
        s.execute(REJECT, &[&connections, &at, &reasons, &statuses, &sizes, &REJECTED_KEPT]).await?;
        Ok(vec![(); jobs.len()])
    })
}
