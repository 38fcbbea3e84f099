//! Writes a group of outcomes in one transaction, in a few round trips however many they are.

use super::{
    lanes::{self, Standing, Wanted},
    leased::LaneOf,
    rows::get,
    session::Session,
    work::Work,
    write,
};
use crate::{
    Finished,
    failure::Tried,
    rules::{
        finish::{self, Finishes, Held},
        lanes::Lane,
    },
    sealed::SealedFinish,
};
use spindel_model::{ActionKind, Attempt, DeliveryId, EntityRef, Reference, State, Timestamp, Version, normalised_number};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};
use uuid::Uuid;

// So written that no index over heads alone is read from end to end for it.
const LANES_OF: &str = "SELECT id, to_connection, from_connection, lane_kind, lane, flow, action FROM deliveries \
    WHERE id = ANY($1) AND place IS NOT DISTINCT FROM 1";
const WRITTEN: &str = "SELECT d.id FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS u(id, fence, now) \
    JOIN deliveries d ON d.id = u.id WHERE d.fence = u.fence AND d.updated_at = u.now AND d.state <> 'running'";
const ADD_ATTEMPTS: &str = "INSERT INTO attempts (delivery, number, step, started_at, ended_at, class, message, sealed) \
    SELECT u.delivery, coalesce((SELECT max(a.number) FROM attempts a WHERE a.delivery = u.delivery), 0) + 1, \
    u.step, u.started_at, u.ended_at, u.class, u.message, u.sealed \
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bytea[]) \
    AS u(delivery, step, started_at, ended_at, class, message, sealed)";
const MOVE_APPLIED: &str = "INSERT INTO applied (lane, lane_kind, to_connection, from_connection, action, version) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) \
    ON CONFLICT (lane, lane_kind, to_connection, from_connection, action) \
    DO UPDATE SET version = greatest(applied.version, excluded.version)";
/// The new links that are not there the other way round.
macro_rules! news {
    () => {
        "unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) \
         AS n(kind, from_connection, from_id, to_connection, to_id, to_number, number_key) \
         WHERE NOT EXISTS (SELECT 1 FROM links m WHERE m.from_id = n.to_id AND m.kind = n.kind \
         AND m.from_connection = n.to_connection AND m.to_connection = n.from_connection AND m.to_id = n.from_id)"
    };
}
const UNLINK_OTHERS: &str = concat!(
    "DELETE FROM links l USING (SELECT * FROM ",
    news!(),
    ") AS n WHERE l.to_id = n.to_id AND l.kind = n.kind AND l.to_connection = n.to_connection \
     AND l.from_connection = n.from_connection AND l.from_id <> n.from_id"
);
const LINK: &str = concat!(
    "INSERT INTO links (kind, from_connection, from_id, to_connection, to_id, to_number, number_key) SELECT * FROM ",
    news!(),
    " ON CONFLICT (from_id, kind, from_connection, to_connection) DO UPDATE SET \
     to_number = CASE WHEN excluded.to_number IS NULL AND links.to_id = excluded.to_id \
     THEN links.to_number ELSE excluded.to_number END, \
     number_key = CASE WHEN excluded.to_number IS NULL AND links.to_id = excluded.to_id \
     THEN links.number_key ELSE excluded.number_key END, to_id = excluded.to_id"
);
pub(super) const HOT: &[&str] = &[LANES_OF, WRITTEN, ADD_ATTEMPTS, MOVE_APPLIED, UNLINK_OTHERS, LINK];

/// An outcome, and the lane of its delivery when this node leased it.
pub(super) struct Finishing {
    pub sealed: SealedFinish,
    pub lane: Option<LaneOf>,
}

/// Runs inside a transaction: all outcomes or none. Answers in the order asked. When the same may have been done
/// before by a connection that was lost, what is found as it is to be counts as written.
pub(super) async fn finish_group(s: &Session, finishes: &[&Finishing], perhaps_done: bool) -> Tried<Vec<Finished>> {
    if finishes.is_empty() {
        return Ok(Vec::new());
    }
    s.prepare(&[lanes::ALL, HOT, write::HOT]).await?;
    let read = lanes_of(s, finishes).await?;
    let lanes: Vec<Option<&LaneOf>> =
        finishes.iter().map(|it| it.lane.as_ref().or_else(|| read.get(&it.sealed.finish.id))).collect();
    let wanted = wanted(finishes, &lanes);
    let ((), mut standing) = tokio::try_join!(wanted.take(s), wanted.load(s))?;

    let mut outcome = run(finishes, &lanes, &wanted, &standing)?;
    if outcome.work.short {
        drop(outcome);
        standing.all_fronts(s, &wanted).await?;
        outcome = run(finishes, &lanes, &wanted, &standing)?;
    }
    let Outcome { mut finished, work } = outcome;
    let it = &work.more;
    tokio::try_join!(write::deliveries(s, &work), it.attempts.write(s), it.applied.write(s), it.links.write(s))?;
    if perhaps_done {
        find_written(s, finishes, &mut finished).await?;
    }
    Ok(finished)
}

/// The lanes of those that this node did not lease.
async fn lanes_of(s: &Session, finishes: &[&Finishing]) -> Tried<HashMap<DeliveryId, LaneOf>> {
    let unknown = finishes.iter().filter(|it| it.lane.is_none());
    let ids: Vec<Uuid> = unknown.map(|it| it.sealed.finish.id.0).collect();
    let rows = if ids.is_empty() { Vec::new() } else { s.query(LANES_OF, &[&ids]).await? };
    rows.iter().map(|row| Ok((DeliveryId(get(row, 0)?), LaneOf::read(row, 1)?))).collect()
}

fn wanted<'a>(finishes: &[&'a Finishing], lanes: &[Option<&'a LaneOf>]) -> Wanted<'a> {
    let mut wanted = Wanted::default();
    for (it, lane) in finishes.iter().zip(lanes) {
        let (finish, Some(of)) = (&it.sealed.finish, lane) else { continue };
        let again = matches!(finish.state, State::Due { .. });
        wanted.add(of.lane(), again.then_some(of.kind()));
        if let Some(reference) = &finish.link {
            let there = EntityRef::new(of.entity.kind, &reference.id);
            wanted.lock(Lane { to: &of.from, from: &of.to, entity: &there });
        }
    }
    wanted
}

/// What came of a group, still in memory.
struct Outcome<'a> {
    finished: Vec<Finished>,
    work: Work<'a, Traces<'a>>,
}

fn run<'a>(
    finishes: &[&'a Finishing],
    lanes: &[Option<&'a LaneOf>],
    wanted: &'a Wanted<'a>,
    standing: &'a Standing,
) -> Tried<Outcome<'a>> {
    let mut work = Work::new(wanted, standing, Traces::default())?;
    let mut finished = Vec::with_capacity(finishes.len());
    for (it, lane) in finishes.iter().zip(lanes) {
        let finish = &it.sealed.finish;
        let held = lane.and_then(|of| Some((of, work.held(of.lane(), finish.id, finish.fence)?)));
        finished.push(match held {
            Some((of, seq)) => {
                let held = Held { seq, lane: of.lane(), kind: of.kind() };
                Finished::Written { next: finish::finish(&mut work, &held, &it.sealed)? }
            }
            None => Finished::Fenced,
        });
    }
    Ok(Outcome { finished, work })
}

async fn find_written(s: &Session, finishes: &[&Finishing], finished: &mut [Finished]) -> Tried<()> {
    let asked = || finishes.iter().map(|it| &it.sealed.finish);
    let ids: Vec<Uuid> = asked().map(|it| it.id.0).collect();
    let fences: Vec<i64> = asked().map(|it| i64::try_from(it.fence).unwrap_or(-1)).collect();
    let now: Vec<i64> = asked().map(|it| it.now.as_microsecond()).collect();
    let rows = s.query(WRITTEN, &[&ids, &fences, &now]).await?;
    let written = rows.iter().map(|row| get(row, 0)).collect::<Tried<HashSet<Uuid>>>()?;
    for (it, finished) in finishes.iter().zip(finished) {
        if *finished == Finished::Fenced && written.contains(&it.sealed.finish.id.0) {
            *finished = Finished::Written { next: None };
        }
    }
    Ok(())
}

/// What outcomes leave beside the deliveries.
#[derive(Default)]
struct Traces<'a> {
    attempts: Attempts<'a>,
    applied: Applied<'a>,
    links: Links<'a>,
}

impl<'a> Finishes<'a> for Work<'a, Traces<'a>> {
    fn set_outcome(&mut self, seq: i64, state: &'a State, wake_at: Option<i64>, attempts: u32, now: Timestamp) -> Tried<()> {
        self.set_attempts(seq, attempts, false)?;
        self.change(seq, Cow::Borrowed(state), wake_at, now)
    }

    fn add_attempt(&mut self, seq: i64, attempt: &'a Attempt, exchanges: Option<&'a [u8]>) -> Tried<()> {
        self.more.attempts.0.push((seq, attempt, exchanges));
        Ok(())
    }

    fn move_applied(&mut self, lane: Lane, action: ActionKind, version: Version) -> Tried<()> {
        let lane = self.wanted(lane)?;
        self.more.applied.0.push((lane, action, version));
        Ok(())
    }

    fn link(&mut self, lane: Lane, reference: &'a Reference) -> Tried<()> {
        let lane = self.wanted(lane)?;
        self.more.links.0.push((lane, reference));
        Ok(())
    }
}

#[derive(Default)]
struct Attempts<'a>(Vec<(i64, &'a Attempt, Option<&'a [u8]>)>);

impl Attempts<'_> {
    async fn write(&self, s: &Session) -> Tried<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let deliveries: Vec<i64> = self.0.iter().map(|it| it.0).collect();
        let steps: Vec<&str> = self.0.iter().map(|it| it.1.step.as_str()).collect();
        let started: Vec<i64> = self.0.iter().map(|it| it.1.started_at.as_microsecond()).collect();
        let ended: Vec<i64> = self.0.iter().map(|it| it.1.ended_at.as_microsecond()).collect();
        let classes: Vec<Option<&str>> = self.0.iter().map(|it| it.1.class.map(|class| class.as_str())).collect();
        let messages: Vec<&str> = self.0.iter().map(|it| it.1.message.as_str()).collect();
        let sealed: Vec<Option<&[u8]>> = self.0.iter().map(|it| it.2).collect();
        s.execute(ADD_ATTEMPTS, &[&deliveries, &steps, &started, &ended, &classes, &messages, &sealed]).await?;
        Ok(())
    }
}

/// One for each lane at most: only one of a lane runs.
#[derive(Default)]
struct Applied<'a>(Vec<(Lane<'a>, ActionKind, Version)>);

impl Applied<'_> {
    async fn write(&self, s: &Session) -> Tried<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let lanes: Vec<&str> = self.0.iter().map(|it| it.0.entity.id.as_str()).collect();
        let kinds: Vec<&str> = self.0.iter().map(|it| it.0.entity.kind.as_str()).collect();
        let to: Vec<&str> = self.0.iter().map(|it| it.0.to).collect();
        let from: Vec<&str> = self.0.iter().map(|it| it.0.from).collect();
        let actions: Vec<&str> = self.0.iter().map(|it| it.1.as_str()).collect();
        let versions: Vec<i64> = self.0.iter().map(|it| it.2.0).collect();
        s.execute(MOVE_APPLIED, &[&lanes, &kinds, &to, &from, &actions, &versions]).await?;
        Ok(())
    }
}

#[derive(Default)]
struct Links<'a>(Vec<(Lane<'a>, &'a Reference)>);

impl<'a> Links<'a> {
    /// In the order that they came; those about different records at once.
    async fn write(&self, s: &Session) -> Tried<()> {
        let mut rest = self.0.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(apart(rest));
            link(s, now).await?;
            rest = later;
        }
        Ok(())
    }
}

/// How many of the first are about different records at both ends.
fn apart(links: &[(Lane, &Reference)]) -> usize {
    let mut seen = HashSet::with_capacity(2 * links.len());
    let differing = links.iter().take_while(|(lane, reference)| {
        let kind = lane.entity.kind;
        let here = (kind, lane.from, lane.to, lane.entity.id.as_str());
        let there = (kind, lane.to, lane.from, reference.id.as_str());
        seen.insert(here) & seen.insert(there)
    });
    differing.count().max(1)
}

async fn link(s: &Session, links: &[(Lane<'_>, &Reference)]) -> Tried<()> {
    let kinds: Vec<&str> = links.iter().map(|it| it.0.entity.kind.as_str()).collect();
    let from: Vec<&str> = links.iter().map(|it| it.0.from).collect();
    let from_ids: Vec<&str> = links.iter().map(|it| it.0.entity.id.as_str()).collect();
    let to: Vec<&str> = links.iter().map(|it| it.0.to).collect();
    let to_ids: Vec<&str> = links.iter().map(|it| it.1.id.as_str()).collect();
    let numbers: Vec<Option<&str>> = links.iter().map(|it| it.1.number.as_deref()).collect();
    let keys: Vec<Option<String>> = links.iter().map(|it| it.1.number.as_deref().map(normalised_number)).collect();
    let columns: super::session::Params = &[&kinds, &from, &from_ids, &to, &to_ids, &numbers, &keys];
    tokio::try_join!(s.execute(UNLINK_OTHERS, columns), s.execute(LINK, columns))?;
    Ok(())
}
