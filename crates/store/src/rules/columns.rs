//! How a delivery is spread over the columns of its row.

use spindel_model::{Cause, EventId, State, Timestamp};
use std::borrow::Cow;
use uuid::Uuid;

/// A state as it is spread over columns.
pub(crate) struct StateColumns<'a> {
    pub name: &'static str,
    pub at: Option<i64>,
    pub who: Option<Cow<'a, str>>,
    pub why: Option<&'a str>,
    /// 1 at the head of its lane, 2 behind it, none for an end.
    pub place: Option<i16>,
}

impl<'a> From<&'a State> for StateColumns<'a> {
    fn from(state: &'a State) -> Self {
        let (at, who, why): (_, Option<Cow<str>>, _) = match state {
            State::Waiting { at } | State::Due { at } => (Some(*at), None, None),
            State::Running { lease } => (Some(lease.until), Some(lease.node.as_str().into()), None),
            State::InDoubt { look_up_at } => (*look_up_at, None, None),
            State::Held { guard } => (None, Some(guard.as_str().into()), None),
            State::Paused { reason } | State::Skipped { reason } | State::Conflict { reason } => {
                (None, None, Some(reason.as_str()))
            }
            State::Superseded { by } => (None, Some(by.to_string().into()), None),
            State::Dead { class, reason } => (None, Some(class.as_str().into()), Some(reason.as_str())),
            State::Discarded { by, why } => (None, Some(by.as_str().into()), Some(why.as_str())),
            State::Delivered | State::Unchanged | State::Duplicate | State::Echo | State::Stale => (None, None, None),
        };
        Self { name: state.name(), at: at.map(Timestamp::as_microsecond), who, why, place: place(state) }
    }
}

fn place(state: &State) -> Option<i16> {
    match state {
        State::Waiting { .. } => Some(2),
        state if state.is_end() => None,
        _ => Some(1),
    }
}

/// What the action is sealed for: the same when it is planned again, whatever its delivery's id is.
pub(crate) fn payload_id(event: EventId, change: u32, flow: &str) -> Uuid {
    Uuid::new_v5(&event.0, format!("{change}/{flow}").as_bytes())
}

/// What decides whether an announcement goes before those that were tried or replayed.
pub(crate) fn is_fresh(cause: Cause, attempts: u32) -> bool {
    cause.is_fresh() && attempts == 0
}
