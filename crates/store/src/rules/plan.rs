//! What a plan makes of its event: deliveries placed in their lanes, each event, change and flow once.

use super::lanes::{self, Kind, Lane, Lanes, Moves, Newcomer, Rank};
use crate::{
    NewDelivery, Planned, Ready,
    failure::{Failure, Tried},
    sealed::SealedPlan,
};
use spindel_model::{DeliveryId, State, Timestamp};

/// The deliveries of an event as a database keeps them.
pub(crate) trait Plans<'a>: Lanes {
    /// The delivery of this event, change and flow.
    fn existing(&mut self, event: i64, change: u32, flow: &str) -> Tried<Option<Existing>>;
    fn insert(&mut self, row: NewRow<'a>) -> Tried<()>;
    /// Writes the row anew under its old id, as if it had never been tried.
    fn revive(&mut self, seq: i64, row: NewRow<'a>) -> Tried<()>;
}

/// A delivery that was planned before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Existing {
    pub seq: i64,
    pub id: DeliveryId,
    pub revivable: bool,
}

impl Existing {
    /// What had arrived, was discarded or is under way stays as it is.
    pub fn is_revivable(state: &str) -> bool {
        matches!(state, "dead" | "skipped" | "conflict")
    }
}

/// A delivery as it is to be written, with its place.
pub(crate) struct NewRow<'a> {
    pub event: i64,
    pub new: &'a NewDelivery,
    pub payload: Option<&'a [u8]>,
    pub state: State,
    pub wake_at: Option<i64>,
    pub now: Timestamp,
}

/// Writes the deliveries of an event that is still to be planned. One that was `planned_before` may have some already.
pub(crate) fn plan<'a>(rows: &mut impl Plans<'a>, event: i64, planned_before: bool, it: &'a SealedPlan) -> Tried<Planned> {
    let mut planned = Planned::default();
    for (new, payload) in &it.deliveries {
        let existing = if planned_before { rows.existing(event, new.change, &new.flow)? } else { None };
        if existing.is_some_and(|existing| !existing.revivable) {
            continue;
        }
        let (state, wake_at) = place(rows, event, new, existing, it.plan.now, &mut planned)?;
        let row = NewRow { event, new, payload: payload.as_deref(), state, wake_at, now: it.plan.now };
        match existing {
            Some(existing) => rows.revive(existing.seq, row)?,
            None => rows.insert(row)?,
        }
    }
    Ok(planned)
}

/// Its place in its lane, or the end it came with.
fn place<'a>(
    rows: &mut impl Plans<'a>,
    event: i64,
    new: &NewDelivery,
    existing: Option<Existing>,
    now: Timestamp,
    planned: &mut Planned,
) -> Tried<(State, Option<i64>)> {
    let at = match &new.state {
        State::Due { at } => *at,
        end if end.is_end() => return Ok((end.clone(), None)),
        other => return Err(Failure::corrupt(format!("a new delivery cannot be {}: it is due or ended", other.name()))),
    };
    let id = existing.map_or(new.id, |existing| existing.id);
    let rank = Rank { version: new.version.0, event, seq: existing.map_or(i64::MAX, |existing| existing.seq) };
    let newcomer = Newcomer { id, rank, kind: Kind { flow: &new.flow, action: new.action } };
    let mut moves = Moves::default();
    let lane = Lane { to: &new.to, from: &new.from, entity: &new.lane };
    let place = lanes::enter(rows, lane, &newcomer, now, &mut moves)?;
    planned.superseded += moves.superseded;
    moves.note(&mut planned.ready);
    let announcement = || Ready { to: new.to.clone(), id, fresh: new.cause.is_fresh() };
    Ok(lanes::placed(place, at, now, announcement, &mut planned.ready))
}
