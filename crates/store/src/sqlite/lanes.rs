//! Who may go in a lane: one at its head, the rest behind it by version and arrival.
//!
//! A lane is (destination, source, entity at the source). At its head stands the one delivery that is due, running, in
//! doubt, held or paused; the others wait. Nobody overtakes a head that was already sent.

use super::{
    failure::Tried,
    rows::{self, StateColumns},
};
use crate::Ready;
use rusqlite::{Connection, OptionalExtension, Row, params};
use spindel_model::{ActionKind, DeliveryId, EntityRef, State, Timestamp};

/// After this long an announcement is repeated, should the first have been lost.
const REPEAT_MICROS: i64 = 60_000_000;

#[derive(Clone, Copy)]
pub(super) struct Lane<'a> {
    pub to: &'a str,
    pub from: &'a str,
    pub entity: &'a EntityRef,
}

/// The order in a lane: the source's version, then arrival of the event, then of the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub version: i64,
    pub event: i64,
    pub seq: i64,
}

/// A delivery that comes into a lane.
pub(super) struct Newcomer<'a> {
    pub id: DeliveryId,
    pub rank: Rank,
    pub flow: &'a str,
    pub action: ActionKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Head,
    Behind,
    Superseded(DeliveryId),
}

/// Who announces what became due.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Announced {
    /// The caller, now; the sweeper repeats it later.
    ByCaller,
    /// The sweeper, as soon as it looks.
    BySweeper,
}

/// What else changed in the lane.
#[derive(Default)]
pub(super) struct Moves {
    pub raised: Vec<Ready>,
    pub stepped_back: Vec<DeliveryId>,
    pub superseded: usize,
}

/// A delivery that is in a lane.
struct Member {
    seq: i64,
    id: DeliveryId,
    rank: Rank,
    at: Timestamp,
    is_due: bool,
    to: String,
    fresh: bool,
}

macro_rules! members {
    ($rest:literal) => {
        concat!(
            "SELECT seq, id, version, event, at, state, to_connection, cause, attempts FROM deliveries \
             WHERE to_connection = ?1 AND from_connection = ?2 AND lane_kind = ?3 AND lane = ?4 AND ",
            $rest
        )
    };
}
const HEAD: &str = members!("place = 1");
const FIRST_BEHIND: &str = members!("place = 2 ORDER BY version, event, seq LIMIT 1");
const DUE_OF_KIND: &str = members!("place = 1 AND state = 'due' AND flow = ?5 AND action = ?6");
const BEHIND_OF_KIND: &str = members!("place = 2 AND flow = ?5 AND action = ?6");
const SET_STATE: &str = "UPDATE deliveries SET state = ?2, at = ?3, who = ?4, why = ?5, place = ?6, wake_at = ?7, updated_at = ?8 \
    WHERE seq = ?1";
#[cfg(test)]
pub(super) const HOT: &[&str] = &[HEAD, FIRST_BEHIND, DUE_OF_KIND, BEHIND_OF_KIND, SET_STATE];

/// Finds the place of a newcomer that is not in the table with a place yet, and makes room for it.
pub(super) fn enter(c: &Connection, lane: Lane, newcomer: &Newcomer, now: Timestamp, moves: &mut Moves) -> Tried<Place> {
    if newcomer.action.coalesces()
        && let Some(by) = coalesce(c, lane, newcomer, now, moves)?
    {
        return Ok(Place::Superseded(by));
    }
    let Some(head) = head(c, lane)? else {
        // The head was superseded just now: an older one of another flow may go first.
        return Ok(match first_behind(c, lane)? {
            Some(older) if older.rank < newcomer.rank => {
                moves.raised.extend(raise(c, &older, now, Announced::ByCaller)?);
                Place::Behind
            }
            _ => Place::Head,
        });
    };
    if head.is_due && newcomer.rank < head.rank {
        step_back(c, &head, now)?;
        moves.stepped_back.push(head.id);
        return Ok(Place::Head);
    }
    Ok(Place::Behind)
}

/// Only the newest of the same flow and action stays. Answers which that is, when it is not the newcomer.
fn coalesce(c: &Connection, lane: Lane, newcomer: &Newcomer, now: Timestamp, moves: &mut Moves) -> Tried<Option<DeliveryId>> {
    let mut others = Vec::new();
    for sql in [DUE_OF_KIND, BEHIND_OF_KIND] {
        let mut statement = c.prepare_cached(sql)?;
        let rows = statement.query_map(
            params![lane.to, lane.from, lane.entity.kind.as_str(), lane.entity.id, newcomer.flow, newcomer.action.as_str()],
            Member::read,
        )?;
        others.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    if let Some(newer) = others.iter().filter(|other| other.rank > newcomer.rank).max_by_key(|other| other.rank) {
        moves.superseded += 1;
        return Ok(Some(newer.id));
    }
    for other in others.iter().filter(|other| other.id != newcomer.id) {
        set_state(c, other.seq, &State::Superseded { by: newcomer.id }, None, now)?;
        moves.superseded += 1;
    }
    Ok(None)
}

/// After the head has left: the first behind moves up. Names it when it is due now.
pub(super) fn promote(c: &Connection, lane: Lane, now: Timestamp, announced: Announced) -> Tried<Option<Ready>> {
    match first_behind(c, lane)? {
        Some(next) => raise(c, &next, now, announced),
        None => Ok(None),
    }
}

/// When a state has become due again and a newer one of its kind waits behind it: that one is sent instead of it.
pub(super) fn yield_to_newer(c: &Connection, lane: Lane, flow: &str, action: ActionKind, now: Timestamp) -> Tried<bool> {
    let Some(head) = head(c, lane)?.filter(|head| head.is_due) else { return Ok(false) };
    let mut statement = c.prepare_cached(BEHIND_OF_KIND)?;
    let behind = statement
        .query_map(params![lane.to, lane.from, lane.entity.kind.as_str(), lane.entity.id, flow, action.as_str()], Member::read)?;
    let behind = behind.collect::<Result<Vec<_>, _>>()?;
    let Some(newest) = behind.into_iter().filter(|other| other.rank > head.rank).max_by_key(|other| other.rank) else {
        return Ok(false);
    };
    set_state(c, head.seq, &State::Superseded { by: newest.id }, None, now)?;
    Ok(true)
}

/// When the head has become due again: it lets an older one go first. Names that one when it is due now.
pub(super) fn let_older_go_first(c: &Connection, lane: Lane, now: Timestamp) -> Tried<Option<Ready>> {
    let Some(older) = first_behind(c, lane)? else { return Ok(None) };
    match head(c, lane)? {
        Some(head) if head.is_due && older.rank < head.rank => {
            step_back(c, &head, now)?;
            raise(c, &older, now, Announced::ByCaller)
        }
        _ => Ok(None),
    }
}

/// When to announce a head that is due at `at`.
pub(super) fn wake_at(at: Timestamp, now: Timestamp, announced: Announced) -> i64 {
    if at <= now && announced == Announced::ByCaller { now.as_microsecond() + REPEAT_MICROS } else { at.as_microsecond() }
}

pub(super) fn set_state(c: &Connection, seq: i64, state: &State, wake_at: Option<i64>, now: Timestamp) -> Tried<()> {
    let it = StateColumns::from(state);
    c.prepare_cached(SET_STATE)?.execute(params![
        seq,
        it.name,
        it.at,
        it.who,
        it.why,
        it.place,
        wake_at,
        now.as_microsecond()
    ])?;
    Ok(())
}

fn raise(c: &Connection, member: &Member, now: Timestamp, announced: Announced) -> Tried<Option<Ready>> {
    let at = member.at.max(now);
    set_state(c, member.seq, &State::Due { at }, Some(wake_at(at, now, announced)), now)?;
    Ok((at <= now).then(|| Ready { to: member.to.clone(), id: member.id, fresh: member.fresh }))
}

fn step_back(c: &Connection, head: &Member, now: Timestamp) -> Tried<()> {
    set_state(c, head.seq, &State::Waiting { at: head.at }, None, now)
}

fn head(c: &Connection, lane: Lane) -> Tried<Option<Member>> {
    one(c, HEAD, lane)
}

fn first_behind(c: &Connection, lane: Lane) -> Tried<Option<Member>> {
    one(c, FIRST_BEHIND, lane)
}

fn one(c: &Connection, sql: &str, lane: Lane) -> Tried<Option<Member>> {
    let found = c
        .prepare_cached(sql)?
        .query_row(params![lane.to, lane.from, lane.entity.kind.as_str(), lane.entity.id], Member::read)
        .optional()?;
    Ok(found)
}

impl Member {
    fn read(row: &Row) -> rusqlite::Result<Self> {
        let seq = row.get(0)?;
        Ok(Self {
            seq,
            id: DeliveryId(rows::uuid(row, 1)?),
            rank: Rank { version: row.get(2)?, event: row.get(3)?, seq },
            at: rows::maybe_time(row, 4)?.unwrap_or(Timestamp::MIN),
            is_due: row.get_ref(5)?.as_str()? == "due",
            to: row.get(6)?,
            fresh: rows::is_fresh(rows::named(row, 7)?, row.get(8)?),
        })
    }
}
