//! Locks lanes and loads who stands in them, all lanes of a transaction at once.
//!
//! What changes a lane holds its advisory lock; what only leases, prolongs or announces locks rows of heads, in the order of
//! `seq`. A transaction takes locks in one order and so never waits in a circle: lanes sorted by key, events by `seq`. Heads
//! are locked under the locks of their lanes, and who leases them waits for nobody. Rows behind a head are changed under the lane's lock alone.

use super::session::Session;
use crate::{
    failure::Tried,
    rules::lanes::{Kind, Lane},
};
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Row;

/// Keeps Spindel's advisory locks apart from those of others in the same database.
const LANES: i32 = 0x5350_494e;
/// The server has room for some thousands of locks: whoever would take more than this takes them all as one.
const MOST_LOCKS: usize = 512;

const LOCK_SOME: &str = "SELECT count(*) FROM (SELECT pg_advisory_xact_lock_shared($1 + 1, 0) \
    UNION ALL SELECT pg_advisory_xact_lock($1, k) FROM unnest($2::int[]) AS k) AS locked";
const LOCK_ALL: &str = "SELECT count(*) FROM (SELECT pg_advisory_xact_lock($1 + 1, 0)) AS locked";

/// Members of the lanes `l`. Each lane is looked up for itself: with little in the tables the planner would rather read all
/// heads there are, and keep to that when they have become many.
macro_rules! members {
    ($lanes:literal, $which:literal) => {
        concat!(
            "SELECT l.n, d.* FROM ",
            $lanes,
            " CROSS JOIN LATERAL (SELECT seq, id, version, event, at, state, cause, attempts, flow, action, fence FROM deliveries \
             WHERE to_connection = l.t AND from_connection = l.f AND lane_kind = l.k AND lane = l.e AND ",
            $which,
            ") AS d"
        )
    };
}
const HEADS: &str = members!(
    "unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS l(t, f, k, e, n)",
    "place = 1 LIMIT 1 FOR UPDATE"
);
const FRONTS: &str = members!(
    "unnest($1::text[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS l(t, f, k, e, n)",
    "place = 2 ORDER BY version, event, seq LIMIT $5"
);
const KINDS: &str = members!(
    "unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) AS l(n, t, f, k, e, flow, action)",
    "place = 2 AND flow = l.flow AND action = l.action OFFSET 0"
);
#[cfg(test)]
pub(super) const HOT: &[&str] = &[HEADS, FRONTS, KINDS];
pub(super) const ALL: &[&str] = &[LOCK_SOME, LOCK_ALL, HEADS, FRONTS, KINDS];

/// The lanes that a transaction is about, each once.
#[derive(Default)]
pub(super) struct Wanted<'a> {
    numbers: HashMap<Lane<'a>, usize>,
    lanes: Vec<Lane<'a>>,
    to: Vec<&'a str>,
    from: Vec<&'a str>,
    kind: Vec<&'static str>,
    entity: Vec<&'a str>,
    /// How many changes each lane is wanted for.
    changes: Vec<usize>,
    /// Where those of a kind matter, wherever in the lane they stand.
    of_kind: BTreeSet<(usize, &'a str, &'static str)>,
    locks: BTreeSet<i32>,
}

impl<'a> Wanted<'a> {
    /// `kind` when others of its kind matter.
    pub fn add(&mut self, lane: Lane<'a>, kind: Option<Kind<'a>>) {
        let next = self.to.len();
        let number = *self.numbers.entry(lane).or_insert(next);
        if number == next {
            self.lanes.push(lane);
            self.to.push(lane.to);
            self.from.push(lane.from);
            self.kind.push(lane.entity.kind.as_str());
            self.entity.push(&lane.entity.id);
            self.changes.push(0);
            self.lock(lane);
        }
        self.changes[number] += 1;
        if let Some(kind) = kind.filter(|kind| kind.action.coalesces()) {
            self.of_kind.insert((number, kind.flow, kind.action.as_str()));
        }
    }

    /// Keeps others out of a lane that is not looked at.
    pub fn lock(&mut self, lane: Lane) {
        self.locks.insert(key(lane));
    }

    pub fn number(&self, lane: Lane) -> Option<usize> {
        self.numbers.get(&lane).copied()
    }

    pub fn lane(&self, number: usize) -> Lane<'a> {
        self.lanes[number]
    }

    pub fn len(&self) -> usize {
        self.to.len()
    }

    /// Each change can take one from the front, and one more shows who comes then.
    fn enough(&self) -> i64 {
        self.changes.iter().max().map_or(0, |most| *most as i64 + 1)
    }

    /// Waits until nobody else changes these lanes, until the end of the transaction.
    pub async fn take(&self, s: &Session) -> Tried<()> {
        if self.locks.len() > MOST_LOCKS {
            s.query(LOCK_ALL, &[&LANES]).await?;
        } else if !self.locks.is_empty() {
            let keys: Vec<i32> = self.locks.iter().copied().collect();
            s.query(LOCK_SOME, &[&LANES, &keys]).await?;
        }
        Ok(())
    }

    /// Who stands in the lanes: heads, locked; as many behind them; all behind them of the kinds that matter.
    pub async fn load(&self, s: &Session) -> Tried<Standing> {
        let (heads, fronts, of_kind) = tokio::try_join!(self.heads(s), self.fronts(s, self.enough()), self.of_kind(s))?;
        Ok(Standing { heads, fronts, of_kind, asked: self.enough() })
    }

    async fn heads(&self, s: &Session) -> Tried<Vec<Row>> {
        if self.to.is_empty() {
            return Ok(Vec::new());
        }
        s.query(HEADS, &[&self.to, &self.from, &self.kind, &self.entity]).await
    }

    async fn fronts(&self, s: &Session, most: i64) -> Tried<Vec<Row>> {
        if self.to.is_empty() {
            return Ok(Vec::new());
        }
        s.query(FRONTS, &[&self.to, &self.from, &self.kind, &self.entity, &most]).await
    }

    async fn of_kind(&self, s: &Session) -> Tried<Vec<Row>> {
        if self.of_kind.is_empty() {
            return Ok(Vec::new());
        }
        let pick = |column: &[&'a str]| self.of_kind.iter().map(|it| column[it.0]).collect::<Vec<&str>>();
        // Numbered from one, as WITH ORDINALITY does.
        let number: Vec<i64> = self.of_kind.iter().map(|it| it.0 as i64 + 1).collect();
        let flow: Vec<&str> = self.of_kind.iter().map(|it| it.1).collect();
        let action: Vec<&str> = self.of_kind.iter().map(|it| it.2).collect();
        let (to, from, kind, entity) = (pick(&self.to), pick(&self.from), pick(&self.kind), pick(&self.entity));
        s.query(KINDS, &[&number, &to, &from, &kind, &entity, &flow, &action]).await
    }
}

/// Who stands in the lanes of a transaction.
pub(super) struct Standing {
    pub heads: Vec<Row>,
    /// Of each lane at most `asked`, by rank.
    pub fronts: Vec<Row>,
    pub of_kind: Vec<Row>,
    pub asked: i64,
}

impl Standing {
    /// All that wait in the lanes, however many they are.
    pub async fn all_fronts(&mut self, s: &Session, wanted: &Wanted<'_>) -> Tried<()> {
        self.asked = i64::MAX;
        self.fronts = wanted.fronts(s, i64::MAX).await?;
        Ok(())
    }
}

/// The same on every node and in every version: FNV-1a, folded. Two lanes with one key only wait for each other.
fn key(lane: Lane) -> i32 {
    let parts = [lane.to, lane.from, lane.entity.kind.as_str(), &lane.entity.id];
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    ((hash >> 32) ^ hash) as u32 as i32
}
