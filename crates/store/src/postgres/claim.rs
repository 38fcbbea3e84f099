//! Leases deliveries, keeps leases, and says what is due.

use super::{
    groups::Before,
    rows::{self, DELIVERY_COLUMNS, DeliveryRow, delivery_columns, get},
    session::Session,
};
use crate::{
    BoxFuture, Claim, Claimant, Claimed, Ready, Woken,
    failure::{Failure, Tried},
    rules::is_fresh,
    seal::{Part, Sealer},
};
use spindel_model::{ActionKind, Delivery, DeliveryId, EventId, Timestamp, Version};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    time::Duration,
};
use tokio_postgres::Row;
use uuid::Uuid;

/// Leases what `picked` names (`seq`, the state `before`, its `due_at`, and for whom: `node`, `now`, `until`), and reads all that
/// is needed to carry it out: the action, the destination's id by a link in either direction, the version applied last.
macro_rules! lease {
    ($picked:literal) => {
        concat!(
            "WITH ",
            $picked,
            ", leased AS (UPDATE deliveries d SET state = 'running', at = p.until, who = p.node, why = NULL, wake_at = NULL, \
             fence = d.fence + 1, updated_at = p.now, \
             first_due_at = coalesce(d.first_due_at, CASE p.before WHEN 'due' THEN p.due_at ELSE p.now END) \
             FROM picked p WHERE d.seq = p.seq RETURNING d.*, p.before, p.due_at) SELECT ",
            delivery_columns!(),
            ", d.before = 'in_doubt', d.due_at, p.sealed, \
             coalesce((SELECT l.to_id FROM links l WHERE l.from_id = d.lane AND l.kind = d.lane_kind \
             AND l.from_connection = d.from_connection AND l.to_connection = d.to_connection), \
             (SELECT l.from_id FROM links l WHERE l.to_id = d.lane AND l.kind = d.lane_kind \
             AND l.to_connection = d.from_connection AND l.from_connection = d.to_connection)), \
             (SELECT a.version FROM applied a WHERE a.lane = d.lane AND a.lane_kind = d.lane_kind \
             AND a.to_connection = d.to_connection AND a.from_connection = d.from_connection AND a.action = d.action) \
             FROM leased d JOIN events e ON e.seq = d.event LEFT JOIN payloads p ON p.delivery = d.seq"
        )
    };
}
const CLAIM: &str = lease!(
    "picked AS MATERIALIZED (SELECT d.seq, d.state AS before, d.at AS due_at, a.node, a.now, a.until \
     FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS a (id, dest, node, now, until) \
     JOIN deliveries d ON d.id = a.id \
     WHERE d.to_connection = a.dest AND d.state IN ('due', 'in_doubt') AND d.at <= a.now FOR UPDATE OF d SKIP LOCKED)"
);
const CLAIM_MORE: &str = lease!(
    "picked AS MATERIALIZED (SELECT seq, state AS before, at AS due_at, $5::text AS node, $4::bigint AS now, $6::bigint AS until \
     FROM deliveries WHERE to_connection = $1 AND flow = $2 AND action = $3 AND state = 'due' AND at <= $4 \
     ORDER BY at LIMIT $7 FOR UPDATE SKIP LOCKED)"
);
const STILL_CLAIMABLE: &str = "SELECT a.nth FROM unnest($1::uuid[], $2::text[], $3::bigint[]) WITH ORDINALITY AS a (id, dest, now, nth) \
    JOIN deliveries d ON d.id = a.id WHERE d.to_connection = a.dest AND d.state IN ('due', 'in_doubt') AND d.at <= a.now";
/// By id, and so written that the index over all leases is not read from end to end for it.
const PROLONG: &str = "WITH held AS MATERIALIZED (SELECT d.seq FROM unnest($1::uuid[], $2::bigint[]) AS a (id, fence) \
    JOIN deliveries d ON d.id = a.id WHERE d.state IS NOT DISTINCT FROM 'running' AND d.fence = a.fence FOR UPDATE OF d SKIP LOCKED) \
    UPDATE deliveries d SET at = $3 FROM held h WHERE d.seq = h.seq RETURNING d.id";
const STILL_HELD: &str = "SELECT d.id FROM unnest($1::uuid[], $2::bigint[]) AS a (id, fence) JOIN deliveries d ON d.id = a.id \
    WHERE d.state IS NOT DISTINCT FROM 'running' AND d.fence = a.fence";
const WAKE: &str = "WITH found AS MATERIALIZED (SELECT seq, wake_at FROM deliveries \
    WHERE to_connection = $1 AND wake_at IS NOT NULL AND wake_at <= $2 AND at <= $3 \
    ORDER BY wake_at LIMIT $4::bigint + 1 FOR UPDATE SKIP LOCKED), \
    first AS MATERIALIZED (SELECT seq, wake_at FROM found ORDER BY wake_at, seq LIMIT $4) \
    UPDATE deliveries d SET wake_at = $5 FROM first f WHERE d.seq = f.seq \
    RETURNING d.id, d.cause, d.attempts, f.wake_at, d.seq, (SELECT count(*) FROM found) > $4::bigint";
const NEXT_WAKE: &str =
    "SELECT wake_at FROM deliveries WHERE to_connection = $1 AND wake_at IS NOT NULL ORDER BY wake_at LIMIT 1";
const EXPIRED: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.state = 'running' AND d.at <= $1 ORDER BY d.at LIMIT $2"
);
const LEFT_BEHIND: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM deliveries d JOIN events e ON e.seq = d.event WHERE d.state = 'running' AND d.at > $1 AND d.who = $3 \
     ORDER BY d.at LIMIT $2"
);
const UNPLANNED: &str = "SELECT id FROM events WHERE state = 'accepted' AND received_at < $1 ORDER BY received_at, seq LIMIT $2";
#[cfg(test)]
pub(super) const HOT: &[&str] =
    &[CLAIM, CLAIM_MORE, STILL_CLAIMABLE, PROLONG, STILL_HELD, WAKE, NEXT_WAKE, EXPIRED, LEFT_BEHIND, UNPLANNED];

/// Pauses before looking again at what another transaction held for a moment: a quarter of a second in all.
const PAUSES: [u64; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// A lease whose action is still sealed.
pub(super) struct SealedClaim {
    claimed: Claimed,
    due_at: i64,
    payload_id: Uuid,
    sealed: Option<Vec<u8>>,
}

impl SealedClaim {
    fn read(row: &Row) -> Tried<Self> {
        let leased = DeliveryRow::read(row)?;
        let payload_id = leased.payload_id();
        let first_due_at = leased.first_due_at.ok_or_else(|| Failure::corrupt("a lease without the time of its first try"))?;
        let extra = |n| DELIVERY_COLUMNS + n;
        let claimed = Claimed {
            delivery: leased.delivery,
            in_doubt: get(row, extra(0))?,
            action_json: None,
            known: get(row, extra(3))?,
            applied: get::<Option<i64>>(row, extra(4))?.map(Version),
            first_due_at,
        };
        Ok(Self { claimed, due_at: get(row, extra(1))?, payload_id, sealed: get(row, extra(2))? })
    }

    pub fn open(mut self, sealer: &Sealer) -> Tried<Claimed> {
        self.claimed.action_json = self.sealed.map(|sealed| sealer.open(Part::Action, self.payload_id, &sealed)).transpose()?;
        Ok(self.claimed)
    }
}

fn until(by: &Claimant) -> i64 {
    by.now
        .as_microsecond()
        .saturating_add(i64::try_from(by.lease.as_micros()).unwrap_or(i64::MAX))
        .min(Timestamp::MAX.as_microsecond())
}

/// One statement for all that is asked for at the moment. It waits for nobody; what another transaction held just then is
/// looked at again.
pub(super) fn claim<'a>(s: &'a Session, jobs: &'a [Claim], _: Before) -> BoxFuture<'a, Tried<Vec<Vec<SealedClaim>>>> {
    Box::pin(async move {
        let mut claims: Vec<HashMap<DeliveryId, SealedClaim>> = jobs.iter().map(|_| HashMap::new()).collect();
        let mut wanted: Vec<(usize, DeliveryId)> =
            jobs.iter().enumerate().flat_map(|(job, claim)| claim.ids.iter().map(move |id| (job, *id))).collect();
        let mut pauses = PAUSES.into_iter();
        while !wanted.is_empty() {
            // One row goes to one of those who ask for it; the others look again.
            let (mut asked, mut missing) = (HashMap::new(), Vec::new());
            for (job, id) in wanted {
                match asked.entry(id) {
                    Entry::Vacant(free) => drop(free.insert(job)),
                    Entry::Occupied(taken) if *taken.get() == job => {}
                    Entry::Occupied(_) => missing.push((job, id)),
                }
            }
            for claim in lease_asked(s, jobs, &asked).await? {
                let id = claim.claimed.delivery.id;
                if let Some(job) = asked.remove(&id) {
                    claims[job].insert(id, claim);
                }
            }
            missing.extend(asked.into_iter().map(|(id, job)| (job, id)));
            wanted = still_claimable(s, jobs, missing).await?;
            if !wanted.is_empty() {
                let Some(pause) = pauses.next() else { break };
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
        let in_order = |(claim, mut found): (&Claim, HashMap<_, _>)| claim.ids.iter().filter_map(|id| found.remove(id)).collect();
        Ok(jobs.iter().zip(claims).map(in_order).collect())
    })
}

async fn lease_asked(s: &Session, jobs: &[Claim], asked: &HashMap<DeliveryId, usize>) -> Tried<Vec<SealedClaim>> {
    let claims = || asked.values().map(|job| &jobs[*job]);
    let ids: Vec<Uuid> = asked.keys().map(|id| id.0).collect();
    let to: Vec<&str> = claims().map(|it| it.to.as_str()).collect();
    let nodes: Vec<&str> = claims().map(|it| it.by.node.as_str()).collect();
    let now: Vec<i64> = claims().map(|it| it.by.now.as_microsecond()).collect();
    let until: Vec<i64> = claims().map(|it| until(&it.by)).collect();
    let rows = s.query(CLAIM, &[&ids, &to, &nodes, &now, &until]).await?;
    rows.iter().map(SealedClaim::read).collect()
}

async fn still_claimable(s: &Session, jobs: &[Claim], missing: Vec<(usize, DeliveryId)>) -> Tried<Vec<(usize, DeliveryId)>> {
    if missing.is_empty() {
        return Ok(missing);
    }
    let ids: Vec<Uuid> = missing.iter().map(|(_, id)| id.0).collect();
    let to: Vec<&str> = missing.iter().map(|(job, _)| jobs[*job].to.as_str()).collect();
    let now: Vec<i64> = missing.iter().map(|(job, _)| jobs[*job].by.now.as_microsecond()).collect();
    let rows = s.query(STILL_CLAIMABLE, &[&ids, &to, &now]).await?;
    rows.iter().map(|row| Ok(missing[get::<i64>(row, 0)? as usize - 1])).collect()
}

pub(super) async fn claim_more(
    s: &Session,
    to: &str,
    flow: &str,
    action: ActionKind,
    limit: usize,
    by: &Claimant,
) -> Tried<Vec<SealedClaim>> {
    let (now, until, limit) = (by.now.as_microsecond(), until(by), rows::limit(limit));
    let rows = s.query(CLAIM_MORE, &[&to, &flow, &action.as_str(), &now, &by.node, &until, &limit]).await?;
    let mut claims = rows.iter().map(SealedClaim::read).collect::<Tried<Vec<_>>>()?;
    claims.sort_by_key(|claim| claim.due_at);
    Ok(claims)
}

/// Prolongs leases. One whose row another transaction holds for long is still held, and prolonged the next time.
pub(super) async fn heartbeat(s: &Session, leases: &[(DeliveryId, u64)], until: Timestamp) -> Tried<Vec<DeliveryId>> {
    let mut held = HashSet::new();
    let mut open: Vec<_> = leases.iter().map(|(id, fence)| (id.0, i64::try_from(*fence).unwrap_or(-1))).collect();
    for pause in PAUSES.into_iter().take(5) {
        let (ids, fences): (Vec<Uuid>, Vec<i64>) = open.iter().copied().unzip();
        for row in s.query(PROLONG, &[&ids, &fences, &until.as_microsecond()]).await? {
            held.insert(get::<Uuid>(&row, 0)?);
        }
        open.retain(|(id, _)| !held.contains(id));
        if open.is_empty() {
            break;
        }
        let (ids, fences): (Vec<Uuid>, Vec<i64>) = open.iter().copied().unzip();
        let rows = s.query(STILL_HELD, &[&ids, &fences]).await?;
        let still = rows.iter().map(|row| get(row, 0)).collect::<Tried<HashSet<Uuid>>>()?;
        open.retain(|(id, _)| still.contains(id));
        if open.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    held.extend(open.into_iter().map(|(id, _)| id));
    Ok(leases.iter().map(|(id, _)| *id).filter(|id| held.contains(&id.0)).collect())
}

/// What is due by `now` and was announced no later than for `announced`.
pub(super) async fn wake(
    s: &Session,
    to: &str,
    now: Timestamp,
    announced: Timestamp,
    again: Timestamp,
    limit: usize,
) -> Tried<Woken> {
    let (now, announced, again) = (now.as_microsecond(), announced.as_microsecond(), again.as_microsecond());
    let rows = s.query(WAKE, &[&to, &announced, &now, &rows::limit(limit), &again]).await?;
    let mut woken = Woken::default();
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let fresh = is_fresh(rows::named(row, 1)?, rows::number(row, 2)?);
        let order: (i64, i64) = (get(row, 3)?, get(row, 4)?);
        found.push((order, Ready { to: to.to_owned(), id: DeliveryId(get(row, 0)?), fresh }));
        woken.more = get(row, 5)?;
    }
    found.sort_by_key(|(order, _)| *order);
    woken.ready = found.into_iter().map(|(_, ready)| ready).collect();
    Ok(woken)
}

pub(super) async fn next_wake(s: &Session, to: &str) -> Tried<Option<Timestamp>> {
    s.query_opt(NEXT_WAKE, &[&to]).await?.map(|row| rows::time(&row, 0)).transpose()
}

pub(super) async fn expired(s: &Session, now: Timestamp, node: Option<&str>, limit: usize) -> Tried<Vec<Delivery>> {
    let now = now.as_microsecond();
    let mut rows = s.query(EXPIRED, &[&now, &rows::limit(limit)]).await?;
    if let Some(node) = node {
        let rest = rows::limit(limit.saturating_sub(rows.len()));
        rows.extend(s.query(LEFT_BEHIND, &[&now, &rest, &node]).await?);
    }
    rows.iter().map(|row| DeliveryRow::read(row).map(|row| row.delivery)).collect()
}

pub(super) async fn unplanned(s: &Session, before: Timestamp, limit: usize) -> Tried<Vec<EventId>> {
    let rows = s.query(UNPLANNED, &[&before.as_microsecond(), &rows::limit(limit)]).await?;
    rows.iter().map(|row| get(row, 0).map(EventId)).collect()
}
