//! Plans a group of events in one transaction, in a few round trips however many they are.

use super::{
    lanes::{self, Standing, Wanted},
    notes,
    rows::get,
    session::{Params, Session},
    work::{Work, Write, lane_of},
    write,
};
use crate::{
    Planned, Ready,
    failure::{Failure, Tried},
    notes::{SealedNote, latest},
    rules::{
        lanes::Kind,
        plan::{self, Existing, NewRow, Plans},
    },
    sealed::{SealedPlan, mentions},
};
use spindel_model::{DeliveryId, EventId};
use std::collections::HashMap;
use tokio_postgres::Row;
use uuid::Uuid;

const ACCEPTED: &str = "SELECT id, seq, mentions FROM events WHERE id = ANY($1) AND state = 'accepted' ORDER BY seq FOR UPDATE";
const EXISTING: &str = "SELECT event, change, flow, seq, id, state FROM deliveries WHERE event = ANY($1) ORDER BY seq FOR UPDATE";
const NEW_SEQS: &str = "SELECT array_agg(nextval('deliveries_seq')) FROM generate_series(1, $1::int)";
const SET_EVENTS: &str = "UPDATE events e SET state = u.state, reason = u.reason, mentions = u.mentions \
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) AS u(seq, state, reason, mentions) WHERE e.seq = u.seq";
const DELETE_MENTIONS: &str = "DELETE FROM mentions m USING unnest($1::text[], $2::text[], $3::bigint[]) AS u(kind, value, event) \
    WHERE m.kind = u.kind AND m.value = u.value AND m.event = u.event";
const ADD_MENTIONS: &str = "INSERT INTO mentions (kind, value, event) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) ON CONFLICT DO NOTHING";
const DUE: &str = "SELECT id, at FROM deliveries WHERE id = ANY($1) AND state IS NOT DISTINCT FROM 'due'";
pub(super) const HOT: &[&str] = &[ACCEPTED, EXISTING, DUE, SET_EVENTS, DELETE_MENTIONS, ADD_MENTIONS];

/// Runs inside a transaction: all plans or none. Answers in the order asked. When the same may have been done before by a
/// connection that was lost, what had become due then is named.
pub(super) async fn plan_group(s: &Session, plans: &[SealedPlan], perhaps_done: bool) -> Tried<Vec<Planned>> {
    s.prepare(&[lanes::ALL, HOT, &[NEW_SEQS], write::HOT]).await?;
    let wanted = wanted(plans);
    let ids: Vec<Uuid> = plans.iter().map(|it| it.plan.event.0).collect();
    let rows: usize = plans.iter().map(|it| it.deliveries.len()).sum();
    let ids: Params = &[&ids];
    let (_, accepted, mut standing, seqs) =
        tokio::try_join!(wanted.take(s), s.query(ACCEPTED, ids), wanted.load(s), new_seqs(s, rows))?;
    let accepted = Accepted::read(&accepted)?;
    let existing = accepted.existing(s).await?;

    let mut outcome = run(plans, &accepted, ForPlan::new(&existing, &seqs)?, &wanted, &standing)?;
    if outcome.work.short {
        drop(outcome);
        standing.all_fronts(s, &wanted).await?;
        outcome = run(plans, &accepted, ForPlan::new(&existing, &seqs)?, &wanted, &standing)?;
    }
    accepted.forget_mentions(s).await?;
    let noted = noted(&outcome.written);
    tokio::try_join!(
        set_events(s, &outcome.written),
        add_mentions(s, &outcome.written),
        notes::write(s, &noted),
        write::deliveries(s, &outcome.work)
    )?;
    let mut planned = outcome.planned;
    if perhaps_done {
        find_due(s, plans, &mut planned).await?;
    }
    Ok(planned)
}

async fn find_due(s: &Session, plans: &[SealedPlan], planned: &mut [Planned]) -> Tried<()> {
    let ids: Vec<Uuid> = plans.iter().flat_map(|it| &it.deliveries).map(|(new, _)| new.id.0).collect();
    let rows = s.query(DUE, &[&ids]).await?;
    let due = rows.iter().map(|row| Ok((DeliveryId(get(row, 0)?), get(row, 1)?))).collect::<Tried<HashMap<_, i64>>>()?;
    for (it, planned) in plans.iter().zip(planned).filter(|(_, planned)| **planned == Planned::default()) {
        let now = it.plan.now.as_microsecond();
        let ready = it.deliveries.iter().filter(|(new, _)| due.get(&new.id).is_some_and(|at| *at <= now));
        planned.ready = ready.map(|(new, _)| Ready { to: new.to.clone(), id: new.id, fresh: new.cause.is_fresh() }).collect();
    }
    Ok(())
}

/// The lanes of what takes a place.
fn wanted(plans: &[SealedPlan]) -> Wanted<'_> {
    let mut wanted = Wanted::default();
    for (new, _) in plans.iter().flat_map(|it| &it.deliveries).filter(|(new, _)| !new.state.is_end()) {
        wanted.add(lane_of(new), Some(Kind { flow: &new.flow, action: new.action }));
    }
    wanted
}

async fn new_seqs(s: &Session, rows: usize) -> Tried<Vec<i64>> {
    if rows == 0 {
        return Ok(Vec::new());
    }
    let rows = i32::try_from(rows).unwrap_or(i32::MAX);
    Ok(s.query_one(NEW_SEQS, &[&rows]).await?.try_get(0)?)
}

/// Those events that are still to be planned.
struct Accepted<'r>(HashMap<EventId, (i64, Option<&'r str>)>);

impl<'r> Accepted<'r> {
    fn read(rows: &'r [Row]) -> Tried<Self> {
        let read = |row: &'r Row| Ok((EventId(get(row, 0)?), (get(row, 1)?, get(row, 2)?)));
        rows.iter().map(read).collect::<Tried<_>>().map(Self)
    }

    /// The deliveries of those that were planned before: without mentions an event never was.
    async fn existing(&self, s: &Session) -> Tried<Vec<Row>> {
        let before: Vec<i64> = self.0.values().filter(|(_, mentions)| mentions.is_some()).map(|(seq, _)| *seq).collect();
        if before.is_empty() { Ok(Vec::new()) } else { s.query(EXISTING, &[&before]).await }
    }

    async fn forget_mentions(&self, s: &Session) -> Tried<()> {
        let (mut kinds, mut values, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for (seq, before) in self.0.values() {
            for (kind, value) in mentions(before.unwrap_or("[]"))? {
                kinds.push(kind);
                values.push(value);
                events.push(*seq);
            }
        }
        if !events.is_empty() {
            s.execute(DELETE_MENTIONS, &[&kinds, &values, &events]).await?;
        }
        Ok(())
    }
}

/// What came of a group, still in memory.
struct Outcome<'a> {
    planned: Vec<Planned>,
    /// The events that were planned, by number.
    written: Vec<(i64, &'a SealedPlan)>,
    work: Work<'a, ForPlan<'a>>,
}

fn run<'a>(
    plans: &'a [SealedPlan],
    accepted: &Accepted,
    more: ForPlan<'a>,
    wanted: &'a Wanted<'a>,
    standing: &'a Standing,
) -> Tried<Outcome<'a>> {
    let mut work = Work::new(wanted, standing, more)?;
    let mut open = accepted.0.clone();
    let mut planned = Vec::with_capacity(plans.len());
    let mut written: Vec<(i64, &SealedPlan)> = Vec::with_capacity(plans.len());
    for it in plans {
        // Somebody has planned it, and be it this group.
        let Some((event, before)) = open.remove(&it.plan.event) else {
            planned.push(Planned::default());
            continue;
        };
        written.push((event, it));
        planned.push(plan::plan(&mut work, event, before.is_some(), it)?);
    }
    Ok(Outcome { planned, written, work })
}

/// What planning needs beside the lanes.
struct ForPlan<'a> {
    /// By event, change and flow.
    existing: HashMap<(i64, i32, &'a str), Existing>,
    seqs: std::slice::Iter<'a, i64>,
}

impl<'a> ForPlan<'a> {
    fn new(existing: &'a [Row], seqs: &'a [i64]) -> Tried<Self> {
        let read = |row: &'a Row| {
            let revivable = Existing::is_revivable(get(row, 5)?);
            let it = Existing { seq: get(row, 3)?, id: DeliveryId(get(row, 4)?), revivable };
            Ok(((get(row, 0)?, get(row, 1)?, get(row, 2)?), it))
        };
        Ok(Self { existing: existing.iter().map(read).collect::<Tried<_>>()?, seqs: seqs.iter() })
    }
}

impl<'a> Plans<'a> for Work<'a, ForPlan<'a>> {
    fn existing(&mut self, event: i64, change: u32, flow: &str) -> Tried<Option<Existing>> {
        Ok(self.more.existing.get(&(event, change as i32, flow)).copied())
    }

    fn insert(&mut self, row: NewRow<'a>) -> Tried<()> {
        let seq = self.more.seqs.next().ok_or_else(|| Failure::corrupt("more deliveries than were counted"))?;
        self.write(*seq, row.new.id, Write::Insert, row)
    }

    fn revive(&mut self, seq: i64, row: NewRow<'a>) -> Tried<()> {
        let it = self.more.existing.get(&(row.event, row.new.change as i32, row.new.flow.as_str()));
        let id = it.map_or(row.new.id, |existing| existing.id);
        self.write(seq, id, Write::Revive, row)
    }
}

/// What the whole group notes: of one thing only the latest word.
fn noted(written: &[(i64, &SealedPlan)]) -> Vec<SealedNote> {
    latest(written.iter().flat_map(|(_, it)| it.notes.iter().cloned()))
}

async fn set_events(s: &Session, written: &[(i64, &SealedPlan)]) -> Tried<()> {
    if written.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = written.iter().map(|(seq, _)| *seq).collect();
    let states: Vec<&str> = written.iter().map(|(_, it)| it.plan.state.name()).collect();
    let reasons: Vec<Option<&str>> = written.iter().map(|(_, it)| it.reason()).collect();
    let mentions: Vec<&str> = written.iter().map(|(_, it)| it.mentions.as_str()).collect();
    s.execute(SET_EVENTS, &[&seqs, &states, &reasons, &mentions]).await?;
    Ok(())
}

async fn add_mentions(s: &Session, written: &[(i64, &SealedPlan)]) -> Tried<()> {
    let (mut kinds, mut values, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for (seq, it) in written {
        for (kind, value) in it.mentioned() {
            kinds.push(kind);
            values.push(value);
            events.push(*seq);
        }
    }
    if !events.is_empty() {
        s.execute(ADD_MENTIONS, &[&kinds, &values, &events]).await?;
    }
    Ok(())
}
