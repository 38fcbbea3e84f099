//! What an outcome changes: the delivery itself, what is known of its entity, and who is next in the lane.

use super::lanes::{self, Announced, Kind, Lane, Lanes};
use crate::{Finish, Ready, failure::Tried, sealed::SealedFinish};
use spindel_model::{ActionKind, Attempt, Reference, State, Timestamp, Version};

/// What outcomes leave behind, as a database keeps it.
pub(crate) trait Finishes<'a>: Lanes {
    fn set_outcome(&mut self, seq: i64, state: &'a State, wake_at: Option<i64>, attempts: u32, now: Timestamp) -> Tried<()>;
    fn add_attempt(&mut self, seq: i64, attempt: &'a Attempt, exchanges: Option<&'a [u8]>) -> Tried<()>;
    /// Moves the version guard, forward only.
    fn move_applied(&mut self, lane: Lane, action: ActionKind, version: Version) -> Tried<()>;
    /// Notes that the lane's entity is `reference` at its destination. Each record has one counterpart: the newest word
    /// counts. What is linked the other way round is left as it is.
    fn link(&mut self, lane: Lane, reference: &'a Reference) -> Tried<()>;
}

/// A delivery whose lease is still held by whoever writes the outcome.
pub(crate) struct Held<'h> {
    pub seq: i64,
    pub lane: Lane<'h>,
    pub kind: Kind<'h>,
}

/// Writes the outcome; names what moved up and is due now.
pub(crate) fn finish<'a>(rows: &mut impl Finishes<'a>, held: &Held, it: &'a SealedFinish) -> Tried<Option<Ready>> {
    let Finish { state, attempts, attempt, applied, link, now, .. } = &it.finish;
    let (lane, kind, now) = (held.lane, held.kind, *now);
    rows.set_outcome(held.seq, state, timer(state, now), *attempts, now)?;
    if let Some(attempt) = attempt {
        rows.add_attempt(held.seq, attempt, it.exchanges.as_deref())?;
    }
    if let Some(version) = applied {
        rows.move_applied(lane, kind.action, *version)?;
    }
    if let Some(reference) = link {
        rows.link(lane, reference)?;
    }
    match state {
        state if state.is_end() => lanes::promote(rows, lane, now, Announced::ByCaller),
        State::Due { .. } if kind.action.coalesces() && lanes::yield_to_newer(rows, lane, kind, now)? => {
            lanes::promote(rows, lane, now, Announced::ByCaller)
        }
        State::Due { .. } => lanes::let_older_go_first(rows, lane, now),
        _ => Ok(None),
    }
}

fn timer(state: &State, now: Timestamp) -> Option<i64> {
    match state {
        // Nobody announces it now, even when it is due at once.
        State::Due { at } => Some(lanes::wake_at(*at, now, Announced::BySweeper)),
        State::InDoubt { look_up_at } => look_up_at.map(Timestamp::as_microsecond),
        _ => None,
    }
}
