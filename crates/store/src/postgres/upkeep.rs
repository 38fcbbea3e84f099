//! Duties, settings and the deletion of what is old.

use super::{
    rows::{self, get},
    session::Session,
};
use crate::{
    Backlog,
    failure::Tried,
    seal::{Part, Sealer},
};
use spindel_model::{DeliveryId, Timestamp};
use uuid::Uuid;

const HOLD_DUTY: &str = "INSERT INTO duties (duty, node, until) VALUES ($1, $2, $4) ON CONFLICT (duty) DO UPDATE \
    SET node = excluded.node, until = excluded.until WHERE duties.node = excluded.node OR duties.until <= $3";
const SETTING: &str = "SELECT value FROM settings WHERE key = $1";
const SET_SETTING: &str =
    "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const PROBE: &str = "INSERT INTO settings (key, value) VALUES ('store.probe', decode(md5(clock_timestamp()::text), 'hex')) \
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const KEEP_DOCUMENTS: &str = "INSERT INTO documents (delivery, at, sealed) VALUES ($1, $2, $3) \
    ON CONFLICT (delivery) DO UPDATE SET at = excluded.at, sealed = excluded.sealed";
const DOCUMENTS: &str = "SELECT sealed FROM documents WHERE delivery = $1";
const PRUNE_DOCUMENTS: &str = "DELETE FROM documents WHERE at < $1";
const TIME: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
const BACKLOG: &str = "SELECT count(*) FILTER (WHERE at <= $2), count(*) FILTER (WHERE at > $2), min(created_at) FROM \
    (SELECT at, created_at FROM deliveries WHERE to_connection = $1 AND wake_at IS NOT NULL ORDER BY wake_at LIMIT $3) AS counted";
const PRUNE_REJECTED: &str = "DELETE FROM rejected WHERE at < $1";
/// One statement: an event goes with all that is its own. Its deliveries are locked first, so that one that is being put
/// back to work keeps its event, and what somebody else holds is left for the next time.
const PRUNE: &str = "WITH old AS MATERIALIZED (SELECT e.seq, e.mentions FROM events e WHERE e.state = $1 AND e.received_at < $2 \
    AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = e.seq AND (d.place IS NOT NULL OR d.updated_at >= $2)) \
    ORDER BY e.received_at LIMIT $3 FOR UPDATE OF e SKIP LOCKED), \
    held AS MATERIALIZED (SELECT d.seq, d.event, d.place FROM old o JOIN deliveries d ON d.event = o.seq FOR UPDATE OF d), \
    going AS MATERIALIZED (SELECT seq, mentions FROM old \
    WHERE seq NOT IN (SELECT event FROM held WHERE place IS NOT NULL)), \
    mentions_gone AS (DELETE FROM mentions m USING (SELECT g.seq, x.pair ->> 0 AS kind, x.pair ->> 1 AS value \
    FROM going g, json_array_elements(coalesce(g.mentions, '[]')::json) AS x (pair)) AS it \
    WHERE m.kind = it.kind AND m.value = it.value AND m.event = it.seq), \
    deliveries_gone AS (DELETE FROM deliveries d USING going g WHERE d.event = g.seq RETURNING d.seq), \
    payloads_gone AS (DELETE FROM payloads p USING deliveries_gone d WHERE p.delivery = d.seq), \
    attempts_gone AS (DELETE FROM attempts a USING deliveries_gone d WHERE a.delivery = d.seq), \
    contents_gone AS (DELETE FROM contents c USING going g WHERE c.event = g.seq) \
    DELETE FROM events e USING going g WHERE e.seq = g.seq";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[PRUNE, BACKLOG];

/// Refuses a wrong key at once, and not at the first payload.
pub(super) async fn check_key(s: &Session, sealer: &Sealer) -> Tried<()> {
    const KEY: &str = "store.key_check";
    match setting(s, KEY).await? {
        Some(sealed) => sealer.open(Part::KeyCheck, Uuid::nil(), &sealed).map(drop),
        None if sealer.encrypts() => set_setting(s, KEY, &sealer.seal(Part::KeyCheck, Uuid::nil(), b"spindel")?).await,
        None => Ok(()),
    }
}

pub(super) async fn hold_duty(s: &Session, duty: &str, node: &str, now: Timestamp, until: Timestamp) -> Tried<bool> {
    Ok(s.execute(HOLD_DUTY, &[&duty, &node, &now.as_microsecond(), &until.as_microsecond()]).await? == 1)
}

pub(super) async fn setting(s: &Session, key: &str) -> Tried<Option<Vec<u8>>> {
    s.query_opt(SETTING, &[&key]).await?.map(|row| get(&row, 0)).transpose()
}

pub(super) async fn set_setting(s: &Session, key: &str, value: &[u8]) -> Tried<()> {
    s.execute(SET_SETTING, &[&key, &value]).await?;
    Ok(())
}

pub(super) async fn backlog(s: &Session, to: &str, now: Timestamp, most: usize) -> Tried<Backlog> {
    let row = s.query_one(BACKLOG, &[&to, &now.as_microsecond(), &rows::limit(most)]).await?;
    Ok(Backlog { ready: get::<i64>(&row, 0)? as u64, delayed: get::<i64>(&row, 1)? as u64, oldest: rows::maybe_time(&row, 2)? })
}

/// The server's clock: all nodes keep time by it.
pub(super) async fn time(s: &Session) -> Tried<Timestamp> {
    rows::time(&s.query_one(TIME, &[]).await?, 0)
}

pub(super) async fn keep_documents(s: &Session, of: DeliveryId, now: Timestamp, sealed: &[u8]) -> Tried<()> {
    s.execute(KEEP_DOCUMENTS, &[&of.0, &now.as_microsecond(), &sealed]).await?;
    Ok(())
}

pub(super) async fn documents(s: &Session, of: DeliveryId) -> Tried<Option<Vec<u8>>> {
    s.query_opt(DOCUMENTS, &[&of.0]).await?.map(|row| get(&row, 0)).transpose()
}

/// Changes a row, so that the commit has something to write.
pub(super) async fn probe(s: &Session) -> Tried<()> {
    s.execute(PROBE, &[]).await?;
    Ok(())
}

pub(super) async fn prune(s: &Session, before: Timestamp, rejected_before: Timestamp, limit: usize) -> Tried<usize> {
    s.execute(PRUNE_REJECTED, &[&rejected_before.as_microsecond()]).await?;
    s.execute(PRUNE_DOCUMENTS, &[&before.as_microsecond()]).await?;
    let mut pruned = 0;
    for state in ["planned", "unrouted", "quarantined"] {
        let rest = rows::limit(limit.saturating_sub(pruned));
        pruned += s.execute(PRUNE, &[&state, &before.as_microsecond(), &rest]).await? as usize;
    }
    Ok(pruned)
}
