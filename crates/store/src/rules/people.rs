//! What people do by hand: retry and discard.

use super::lanes::{self, Announced, Kind, Lane, Lanes, Moves, Newcomer, Rank};
use crate::{Ready, failure::Tried};
use spindel_model::{Delivery, DeliveryId, State, Timestamp};

/// What a person's word needs beside the lanes.
pub(crate) trait People: Lanes {
    /// Its attempts and the time of its first try are counted from now on.
    fn count_anew(&mut self, seq: i64) -> Tried<()>;
    /// The sweeper announces it when it next looks.
    fn look_at_once(&mut self, id: DeliveryId, now: Timestamp) -> Tried<()>;
}

/// A delivery that a person names.
pub(crate) struct Found<'a> {
    pub seq: i64,
    pub event: i64,
    pub delivery: &'a Delivery,
    pub has_payload: bool,
}

impl<'a> Found<'a> {
    fn lane(&self) -> Lane<'a> {
        Lane { to: &self.delivery.to, from: &self.delivery.from, entity: &self.delivery.lane }
    }
}

/// Puts one back to work; notes what may be announced.
pub(crate) fn retry(rows: &mut impl People, found: &Found, now: Timestamp, ready: &mut Vec<Ready>) -> Tried<()> {
    let it = found.delivery;
    match &it.state {
        // It is its turn or has no turn yet: nothing to hurry.
        State::Running { .. } | State::Waiting { .. } => return Ok(()),
        // What it was to do is not known: only planning it again can tell.
        State::Skipped { .. } if !found.has_payload => return Ok(()),
        arrived if arrived.has_arrived() => return Ok(()),
        // It may have had its effect: looked up first, by hand or not.
        State::InDoubt { look_up_at: Some(_) } => {
            let wake_at = lanes::wake_at(now, now, Announced::ByCaller);
            rows.set_state(found.seq, &State::InDoubt { look_up_at: Some(now) }, Some(wake_at), now)?;
            ready.push(announcement(it));
        }
        end if end.is_end() => reenter(rows, found, now, ready)?,
        _ => {
            let wake_at = lanes::wake_at(now, now, Announced::ByCaller);
            rows.set_state(found.seq, &State::Due { at: now }, Some(wake_at), now)?;
            match lanes::let_older_go_first(rows, found.lane(), now)? {
                Some(older) => ready.push(older),
                None => ready.push(announcement(it)),
            }
        }
    }
    rows.count_anew(found.seq)
}

/// Who retries may be a command line without a queue: the sweeper of whoever has one looks at once.
pub(crate) fn look_at_once(rows: &mut impl People, ready: &[Ready], now: Timestamp) -> Tried<()> {
    ready.iter().try_for_each(|one| rows.look_at_once(one.id, now))
}

/// Gives an ended delivery a place in its lane again.
fn reenter(rows: &mut impl People, found: &Found, now: Timestamp, ready: &mut Vec<Ready>) -> Tried<()> {
    let it = found.delivery;
    let rank = Rank { version: it.version.0, event: found.event, seq: found.seq };
    let newcomer = Newcomer { id: it.id, rank, kind: Kind { flow: &it.flow, action: it.action } };
    let mut moves = Moves::default();
    let place = lanes::enter(rows, found.lane(), &newcomer, now, &mut moves)?;
    moves.note(ready);
    let (state, wake_at) = lanes::placed(place, now, now, || announcement(it), ready);
    rows.set_state(found.seq, &state, wake_at, now)
}

/// A person's retries come after fresh work.
fn announcement(it: &Delivery) -> Ready {
    Ready { to: it.to.clone(), id: it.id, fresh: false }
}

/// Ends one that has not arrived; whether it did.
pub(crate) fn discard(rows: &mut impl Lanes, found: &Found, by: &str, why: &str, now: Timestamp) -> Tried<bool> {
    let state = &found.delivery.state;
    let had_place = !state.is_end();
    match state {
        // Its effect is on the way: the next of its lane must not start beside it.
        State::Running { .. } => return Ok(false),
        State::Dead { .. } | State::Conflict { .. } => {}
        _ if had_place => {}
        _ => return Ok(false),
    }
    let waited = matches!(state, State::Waiting { .. });
    rows.set_state(found.seq, &State::Discarded { by: by.into(), why: why.into() }, None, now)?;
    if had_place && !waited {
        lanes::promote(rows, found.lane(), now, Announced::BySweeper)?;
    }
    Ok(true)
}
