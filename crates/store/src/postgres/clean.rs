//! Texts as PostgreSQL takes them: it has no room for the character NUL, and what comes in may contain any.

use super::rows::text;
use crate::{EventPlan, Finish, Note};
use spindel_model::{EventState, State};
use std::borrow::Cow;

pub(super) fn plan(mut plan: EventPlan) -> EventPlan {
    if let EventState::Quarantined { reason } = &mut plan.state {
        clean(reason);
    }
    plan.indexed.iter_mut().flat_map(|indexed| &mut indexed.mentions).for_each(|mention| clean(&mut mention.value));
    plan.notes = notes(plan.notes);
    for new in &mut plan.deliveries {
        clean(&mut new.entity.id);
        clean(&mut new.lane.id);
        new.label.iter_mut().for_each(clean);
        state(&mut new.state);
    }
    plan
}

pub(super) fn notes(mut notes: Vec<Note>) -> Vec<Note> {
    notes.iter_mut().for_each(|note| clean(&mut note.key.key));
    notes
}

pub(super) fn finish(mut finish: Finish) -> Finish {
    state(&mut finish.state);
    finish.attempt.iter_mut().for_each(|attempt| clean(&mut attempt.message));
    if let Some(reference) = &mut finish.link {
        clean(&mut reference.id);
        reference.number.iter_mut().for_each(clean);
    }
    finish
}

fn state(state: &mut State) {
    match state {
        State::Paused { reason } | State::Skipped { reason } | State::Conflict { reason } | State::Dead { reason, .. } => {
            clean(reason);
        }
        State::Held { guard } => clean(guard),
        State::Discarded { by, why } => {
            clean(by);
            clean(why);
        }
        _ => {}
    }
}

fn clean(it: &mut String) {
    if let Cow::Owned(cleaned) = text(it) {
        *it = cleaned;
    }
}
