//! Who may go in a lane: one at its head, the rest behind it by version and arrival.
//!
//! A lane is (destination, source, entity at the source). At its head stands the one delivery that is due, running, in
//! doubt, held or paused; the others wait. Nobody overtakes a head that was already sent.

use crate::{Ready, failure::Tried};
use spindel_model::{ActionKind, DeliveryId, EntityRef, State, Timestamp};

/// After this long an announcement is repeated, should the first have been lost.
const REPEAT_MICROS: i64 = 60_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane<'a> {
    pub to: &'a str,
    pub from: &'a str,
    pub entity: &'a EntityRef,
}

/// The order in a lane: the source's version, then arrival of the event, then of the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub version: i64,
    pub event: i64,
    pub seq: i64,
}

/// Of one lane, those of the same kind can stand in for each other when their action coalesces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind<'a> {
    pub flow: &'a str,
    pub action: ActionKind,
}

/// A delivery that is in a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub seq: i64,
    pub id: DeliveryId,
    pub rank: Rank,
    pub at: Timestamp,
    pub is_due: bool,
    /// Announced before what was tried or replayed.
    pub fresh: bool,
}

/// A delivery that comes into a lane.
pub(crate) struct Newcomer<'a> {
    pub id: DeliveryId,
    pub rank: Rank,
    pub kind: Kind<'a>,
}

/// The lanes as a database keeps them.
pub(crate) trait Lanes {
    fn head(&mut self, lane: Lane) -> Tried<Option<Member>>;
    /// The lowest rank that waits.
    fn first_behind(&mut self, lane: Lane) -> Tried<Option<Member>>;
    /// The head, when it is due and of this kind.
    fn due_of_kind(&mut self, lane: Lane, kind: Kind) -> Tried<Option<Member>>;
    fn behind_of_kind(&mut self, lane: Lane, kind: Kind) -> Tried<Vec<Member>>;
    fn set_state(&mut self, seq: i64, state: &State, wake_at: Option<i64>, now: Timestamp) -> Tried<()>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Head,
    Behind,
    Superseded(DeliveryId),
}

/// Who announces what became due.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announced {
    /// The caller, now; the sweeper repeats it later.
    ByCaller,
    /// The sweeper, as soon as it looks.
    BySweeper,
}

/// What else changed in the lane.
#[derive(Default)]
pub(crate) struct Moves {
    pub raised: Vec<Ready>,
    pub stepped_back: Vec<DeliveryId>,
    pub superseded: usize,
}

impl Moves {
    /// What may be announced after them.
    pub fn note(self, ready: &mut Vec<Ready>) {
        if !self.stepped_back.is_empty() {
            ready.retain(|ready| !self.stepped_back.contains(&ready.id));
        }
        ready.extend(self.raised);
    }
}

/// Finds the place of a newcomer that is not in the table with a place yet, and makes room for it.
pub(crate) fn enter(rows: &mut impl Lanes, lane: Lane, newcomer: &Newcomer, now: Timestamp, moves: &mut Moves) -> Tried<Place> {
    if newcomer.kind.action.coalesces()
        && let Some(by) = coalesce(rows, lane, newcomer, now, moves)?
    {
        return Ok(Place::Superseded(by));
    }
    let Some(head) = rows.head(lane)? else {
        // The head was superseded just now: an older one of another flow may go first.
        return Ok(match rows.first_behind(lane)? {
            Some(older) if older.rank < newcomer.rank => {
                moves.raised.extend(raise(rows, lane, &older, now, Announced::ByCaller)?);
                Place::Behind
            }
            _ => Place::Head,
        });
    };
    if head.is_due && newcomer.rank < head.rank {
        step_back(rows, &head, now)?;
        moves.stepped_back.push(head.id);
        return Ok(Place::Head);
    }
    Ok(Place::Behind)
}

/// Only the newest of the same flow and action stays. Answers which that is, when it is not the newcomer.
fn coalesce(
    rows: &mut impl Lanes,
    lane: Lane,
    newcomer: &Newcomer,
    now: Timestamp,
    moves: &mut Moves,
) -> Tried<Option<DeliveryId>> {
    let mut others = rows.behind_of_kind(lane, newcomer.kind)?;
    others.extend(rows.due_of_kind(lane, newcomer.kind)?);
    if let Some(newer) = others.iter().filter(|other| other.rank > newcomer.rank).max_by_key(|other| other.rank) {
        moves.superseded += 1;
        return Ok(Some(newer.id));
    }
    for other in others.iter().filter(|other| other.id != newcomer.id) {
        rows.set_state(other.seq, &State::Superseded { by: newcomer.id }, None, now)?;
        moves.superseded += 1;
    }
    Ok(None)
}

/// After the head has left: the first behind moves up. Names it when it is due now.
pub(crate) fn promote(rows: &mut impl Lanes, lane: Lane, now: Timestamp, announced: Announced) -> Tried<Option<Ready>> {
    match rows.first_behind(lane)? {
        Some(next) => raise(rows, lane, &next, now, announced),
        None => Ok(None),
    }
}

/// When a state has become due again and a newer one of its kind waits behind it: that one is sent instead of it.
pub(crate) fn yield_to_newer(rows: &mut impl Lanes, lane: Lane, kind: Kind, now: Timestamp) -> Tried<bool> {
    let Some(head) = rows.head(lane)?.filter(|head| head.is_due) else { return Ok(false) };
    let behind = rows.behind_of_kind(lane, kind)?;
    let Some(newest) = behind.into_iter().filter(|other| other.rank > head.rank).max_by_key(|other| other.rank) else {
        return Ok(false);
    };
    rows.set_state(head.seq, &State::Superseded { by: newest.id }, None, now)?;
    Ok(true)
}

/// When the head has become due again: it lets an older one go first. Names that one when it is due now.
pub(crate) fn let_older_go_first(rows: &mut impl Lanes, lane: Lane, now: Timestamp) -> Tried<Option<Ready>> {
    let Some(older) = rows.first_behind(lane)? else { return Ok(None) };
    match rows.head(lane)? {
        Some(head) if head.is_due && older.rank < head.rank => {
            step_back(rows, &head, now)?;
            raise(rows, lane, &older, now, Announced::ByCaller)
        }
        _ => Ok(None),
    }
}

/// The state and the timer that follow from a place; notes what may be announced now.
pub(crate) fn placed(
    place: Place,
    at: Timestamp,
    now: Timestamp,
    announcement: impl FnOnce() -> Ready,
    ready: &mut Vec<Ready>,
) -> (State, Option<i64>) {
    match place {
        Place::Head => {
            if at <= now {
                ready.push(announcement());
            }
            (State::Due { at }, Some(wake_at(at, now, Announced::ByCaller)))
        }
        Place::Behind => (State::Waiting { at }, None),
        Place::Superseded(by) => (State::Superseded { by }, None),
    }
}

/// When to announce a head that is due at `at`.
pub(crate) fn wake_at(at: Timestamp, now: Timestamp, announced: Announced) -> i64 {
    if at <= now && announced == Announced::ByCaller { now.as_microsecond() + REPEAT_MICROS } else { at.as_microsecond() }
}

fn raise(rows: &mut impl Lanes, lane: Lane, member: &Member, now: Timestamp, announced: Announced) -> Tried<Option<Ready>> {
    let at = member.at.max(now);
    rows.set_state(member.seq, &State::Due { at }, Some(wake_at(at, now, announced)), now)?;
    Ok((at <= now).then(|| Ready { to: lane.to.to_owned(), id: member.id, fresh: member.fresh }))
}

fn step_back(rows: &mut impl Lanes, head: &Member, now: Timestamp) -> Tried<()> {
    rows.set_state(head.seq, &State::Waiting { at: head.at }, None, now)
}
