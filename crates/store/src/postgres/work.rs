//! The deliveries of one transaction in memory: loaded at once, changed by the rules, written back at once.

use super::{
    lanes::{Standing, Wanted},
    rows::{get, maybe_time, named, number},
};
use crate::{
    failure::{Failure, Tried},
    rules::{
        StateColumns, is_fresh,
        lanes::{Kind, Lane, Lanes, Member, Rank},
        plan::NewRow,
    },
};
use spindel_model::{ActionKind, Cause, DeliveryId, State, Timestamp};
use std::{borrow::Cow, collections::HashMap};
use tokio_postgres::Row;

///
/// `X` is what a kind of transaction needs beside the lanes.
pub(super) struct Work<'a, X> {
    pub more: X,
    wanted: &'a Wanted<'a>,
    lanes: Vec<Standings>,
    entries: Vec<Entry<'a>>,
    by_seq: HashMap<i64, usize>,
    /// What was asked for reached beyond what was loaded: all since then is void, load more and begin again.
    pub short: bool,
}

/// Who stands in one lane, by number of the entry.
#[derive(Default)]
struct Standings {
    head: Option<usize>,
    behind: Vec<usize>,
    /// Up to here all that wait are loaded; `None` when all are.
    horizon: Option<Rank>,
    /// How many of the front were loaded.
    front: i64,
}

/// A delivery of this transaction.
pub(super) struct Entry<'a> {
    /// None when it ended without ever having a place.
    lane: Option<usize>,
    pub member: Member,
    pub kind: Kind<'a>,
    pub fence: i64,
    pub running: bool,
    cause: Cause,
    was_head: bool,
    pub change: Change<'a>,
    /// What is to be written of a row that is new, or written anew.
    pub row: Option<(Write, NewRow<'a>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    Insert,
    Revive,
}

/// What has become of a row.
pub(super) struct Change<'a> {
    /// `None` while nothing has changed.
    pub state: Option<Cow<'a, State>>,
    pub wake_at: Option<i64>,
    pub updated_at: i64,
    pub attempts: u32,
    /// Its first try is yet to come.
    pub anew: bool,
}

impl Change<'_> {
    fn none(attempts: u32) -> Self {
        Self { state: None, wake_at: None, updated_at: 0, attempts, anew: false }
    }
}

impl<'a, X> Work<'a, X> {
    pub fn new(wanted: &'a Wanted<'a>, standing: &'a Standing, more: X) -> Tried<Self> {
        let lanes = std::iter::repeat_with(Standings::default).take(wanted.len()).collect();
        let size = standing.heads.len() + standing.fronts.len() + standing.of_kind.len();
        let mut work =
            Self { more, wanted, lanes, entries: Vec::with_capacity(size), by_seq: HashMap::with_capacity(size), short: false };
        for row in &standing.heads {
            let number = work.load(row)?;
            let entry = &mut work.entries[number];
            entry.was_head = true;
            if let Some(lane) = entry.lane {
                work.lanes[lane].head = Some(number);
            }
        }
        for row in &standing.fronts {
            let number = work.load(row)?;
            let Some(lane) = work.entries[number].lane else { continue };
            let standings = &mut work.lanes[lane];
            standings.behind.push(number);
            standings.front += 1;
            if standings.front == standing.asked {
                standings.horizon = standings.behind.iter().map(|it| work.entries[*it].member.rank).max();
            }
        }
        for row in &standing.of_kind {
            let seq: i64 = get(row, 1)?;
            if !work.by_seq.contains_key(&seq) {
                let number = work.load(row)?;
                if let Some(lane) = work.entries[number].lane {
                    work.lanes[lane].behind.push(number);
                }
            }
        }
        Ok(work)
    }

    /// Reads a member as `lanes.rs` selects it.
    fn load(&mut self, row: &'a Row) -> Tried<usize> {
        let (lane, seq): (i64, i64) = (get(row, 0)?, get(row, 1)?);
        let state: &str = get(row, 6)?;
        let (cause, attempts) = (named::<Cause>(row, 7)?, number(row, 8)?);
        let kind = Kind { flow: get(row, 9)?, action: named::<ActionKind>(row, 10)? };
        let member = Member {
            seq,
            id: DeliveryId(get(row, 2)?),
            rank: Rank { version: get(row, 3)?, event: get(row, 4)?, seq },
            at: maybe_time(row, 5)?.unwrap_or(Timestamp::MIN),
            is_due: state == "due",
            fresh: is_fresh(cause, attempts),
        };
        Ok(self.add(Entry {
            lane: usize::try_from(lane - 1).ok(),
            member,
            kind,
            fence: get(row, 11)?,
            running: state == "running",
            cause,
            was_head: false,
            change: Change::none(attempts),
            row: None,
        }))
    }

    fn add(&mut self, entry: Entry<'a>) -> usize {
        let number = self.entries.len();
        self.by_seq.insert(entry.member.seq, number);
        self.entries.push(entry);
        number
    }

    /// A new row, or one that is written anew, in the place that its state says.
    pub fn write(&mut self, seq: i64, id: DeliveryId, write: Write, row: NewRow<'a>) -> Tried<()> {
        let new = row.new;
        let (lane, state, wake_at, now) = (lane_of(new), row.state.clone(), row.wake_at, row.now);
        let kind = Kind { flow: &new.flow, action: new.action };
        let rank = Rank { version: new.version.0, event: row.event, seq };
        self.know(lane, Known { seq, id, rank, kind, cause: new.cause, attempts: 0 })?;
        let number = self.number(seq)?;
        self.entries[number].row = Some((write, row));
        self.change(seq, Cow::Owned(state), wake_at, now)
    }

    /// A row that is not in the lane: it has ended, or waits further back than was looked.
    pub fn know(&mut self, lane: Lane, it: Known<'a>) -> Tried<()> {
        if self.by_seq.contains_key(&it.seq) {
            return Ok(());
        }
        let lane = self.wanted.number(lane);
        let fresh = is_fresh(it.cause, it.attempts);
        self.add(Entry {
            lane,
            member: Member { seq: it.seq, id: it.id, rank: it.rank, at: Timestamp::MIN, is_due: false, fresh },
            kind: it.kind,
            fence: 0,
            running: false,
            cause: it.cause,
            was_head: false,
            change: Change::none(it.attempts),
            row: None,
        });
        Ok(())
    }

    /// The `seq` of the head of this lane, if it is this delivery, running with this fence.
    pub fn held(&self, lane: Lane, id: DeliveryId, fence: u64) -> Option<i64> {
        let head = &self.entries[self.lanes[self.wanted.number(lane)?].head?];
        let holds = head.running && head.member.id == id && u64::try_from(head.fence) == Ok(fence);
        holds.then_some(head.member.seq)
    }

    pub fn has(&self, lane: Lane) -> bool {
        self.wanted.number(lane).is_some()
    }

    /// The same lane, for as long as it is wanted.
    pub fn wanted(&self, lane: Lane) -> Tried<Lane<'a>> {
        let number = self.wanted.number(lane).ok_or_else(unlocked)?;
        Ok(self.wanted.lane(number))
    }

    /// The state that a row was given in this transaction.
    pub fn state(&self, seq: i64) -> Option<&State> {
        self.entries[*self.by_seq.get(&seq)?].change.state.as_deref()
    }

    /// All that is to be written.
    pub fn changed(&self) -> impl Iterator<Item = (&Entry<'a>, &State)> {
        self.entries.iter().filter_map(|entry| Some((entry, entry.change.state.as_deref()?)))
    }

    pub fn change(&mut self, seq: i64, state: Cow<'a, State>, wake_at: Option<i64>, now: Timestamp) -> Tried<()> {
        let number = self.number(seq)?;
        let entry = &mut self.entries[number];
        let place = StateColumns::from(&*state).place;
        match entry.lane.map(|lane| &mut self.lanes[lane]) {
            Some(lane) => lane.put(number, place)?,
            None if place.is_none() => {}
            None => return Err(unlocked()),
        }
        if let State::Due { at } | State::Waiting { at } = *state {
            entry.member.at = at;
        }
        entry.member.is_due = matches!(*state, State::Due { .. });
        entry.running = false;
        (entry.change.wake_at, entry.change.updated_at, entry.change.state) = (wake_at, now.as_microsecond(), Some(state));
        Ok(())
    }

    pub fn set_attempts(&mut self, seq: i64, attempts: u32, anew: bool) -> Tried<()> {
        let number = self.number(seq)?;
        let entry = &mut self.entries[number];
        entry.change.attempts = attempts;
        entry.change.anew |= anew;
        entry.member.fresh = is_fresh(entry.cause, attempts);
        Ok(())
    }

    /// The sweeper announces it when it next looks.
    pub fn wake_by(&mut self, id: DeliveryId, now: i64) {
        for entry in self.entries.iter_mut().filter(|entry| entry.member.id == id) {
            entry.change.wake_at = entry.change.wake_at.map(|wake_at| wake_at.min(now));
        }
    }

    fn number(&self, seq: i64) -> Tried<usize> {
        self.by_seq.get(&seq).copied().ok_or_else(|| Failure::corrupt("a delivery that was not loaded"))
    }

    fn lane(&self, lane: Lane) -> Tried<&Standings> {
        let number = self.wanted.number(lane).ok_or_else(unlocked)?;
        Ok(&self.lanes[number])
    }
}

impl Standings {
    fn put(&mut self, number: usize, place: Option<i16>) -> Tried<()> {
        self.head.take_if(|head| *head == number);
        self.behind.retain(|behind| *behind != number);
        match place {
            Some(1) if self.head.is_some() => return Err(Failure::corrupt("two at the head of a lane")),
            Some(1) => self.head = Some(number),
            Some(_) => self.behind.push(number),
            None => {}
        }
        Ok(())
    }
}

impl Entry<'_> {
    /// The row is in the table and leaves the head of its lane: written before another becomes the head.
    pub fn steps_down(&self) -> bool {
        self.was_head && self.change.state.as_deref().is_none_or(|state| StateColumns::from(state).place != Some(1))
    }
}

fn unlocked() -> Failure {
    Failure::corrupt("a lane that was not locked")
}

/// A row outside of the lanes.
pub(super) struct Known<'a> {
    pub seq: i64,
    pub id: DeliveryId,
    pub rank: Rank,
    pub kind: Kind<'a>,
    pub cause: Cause,
    pub attempts: u32,
}

impl<X> Lanes for Work<'_, X> {
    fn head(&mut self, lane: Lane) -> Tried<Option<Member>> {
        Ok(self.lane(lane)?.head.map(|head| self.entries[head].member))
    }

    fn first_behind(&mut self, lane: Lane) -> Tried<Option<Member>> {
        let standings = self.lane(lane)?;
        let first = standings.behind.iter().map(|it| self.entries[*it].member).min_by_key(|member| member.rank);
        let seen = standings.horizon.is_none_or(|horizon| first.is_some_and(|first| first.rank <= horizon));
        self.short |= !seen;
        Ok(first)
    }

    fn due_of_kind(&mut self, lane: Lane, kind: Kind) -> Tried<Option<Member>> {
        let head = self.lane(lane)?.head.map(|head| &self.entries[head]);
        Ok(head.filter(|head| head.member.is_due && head.kind == kind).map(|head| head.member))
    }

    fn behind_of_kind(&mut self, lane: Lane, kind: Kind) -> Tried<Vec<Member>> {
        let behind = self.lane(lane)?.behind.iter().map(|it| &self.entries[*it]);
        Ok(behind.filter(|it| it.kind == kind).map(|it| it.member).collect())
    }

    fn set_state(&mut self, seq: i64, state: &State, wake_at: Option<i64>, now: Timestamp) -> Tried<()> {
        self.change(seq, Cow::Owned(state.clone()), wake_at, now)
    }
}

pub(super) fn lane_of(new: &crate::NewDelivery) -> Lane<'_> {
    Lane { to: &new.to, from: &new.from, entity: &new.lane }
}
