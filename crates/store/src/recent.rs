//! Events that this process has just committed, so that its planner need not read and unpack what it still has in memory.

use spindel_model::{Event, EventId};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Memory that they may take; the oldest go first.
const MOST_BYTES: usize = 16 << 20;

/// Each is given out once, to whoever plans it first: the second look is at the database, which knows better by then.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    events: HashMap<EventId, (Event, usize)>,
    /// Also names those that are gone already.
    oldest_first: VecDeque<EventId>,
    bytes: usize,
}

impl Recent {
    /// Keeps an event that was committed just now.
    pub fn keep(&self, event: Event) {
        let headers: usize = event.headers.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        let bytes = 512 + headers + event.body.len();
        if bytes > MOST_BYTES / 4 {
            return;
        }
        let mut kept = self.lock();
        kept.oldest_first.push_back(event.id);
        kept.bytes += bytes;
        kept.events.insert(event.id, (event, bytes));
        // Names of those that are gone take little, but not nothing.
        while kept.bytes > MOST_BYTES || kept.oldest_first.len() > 2 * kept.events.len() + 1024 {
            let Some(oldest) = kept.oldest_first.pop_front() else { break };
            kept.take(oldest);
        }
    }

    /// Gives out those it has and leaves the names of the others.
    pub fn take(&self, ids: &mut Vec<EventId>) -> Vec<Event> {
        let mut kept = self.lock();
        if kept.events.is_empty() {
            return Vec::new();
        }
        let mut taken = Vec::new();
        ids.retain(|id| match kept.take(*id) {
            Some(event) => {
                taken.push(event);
                false
            }
            None => true,
        });
        taken
    }

    /// Its state is changing: what is kept of it would be wrong.
    pub fn forget(&self, id: EventId) {
        self.lock().take(id);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn take(&mut self, id: EventId) -> Option<Event> {
        let (event, bytes) = self.events.remove(&id)?;
        self.bytes -= bytes;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spindel_model::{Cause, EventState, Timestamp};

    fn event(size: usize) -> Event {
        Event {
            id: EventId::new(),
            connection: "shop".into(),
            topic: "orders/create".into(),
            cause: Cause::Webhook,
            received_at: Timestamp::UNIX_EPOCH,
            headers: vec![("a".into(), "b".into())],
            body: vec![b'x'; size],
            state: EventState::Accepted,
            duplicates: 0,
        }
    }

    #[test]
    fn an_event_is_given_out_once() {
        let recent = Recent::default();
        let (kept, other) = (event(10), EventId::new());
        recent.keep(kept.clone());
        let mut ids = vec![kept.id, other];
        assert_eq!(recent.take(&mut ids), std::slice::from_ref(&kept));
        assert_eq!(ids, [other]);
        assert_eq!(recent.take(&mut vec![kept.id]), []);
    }

    #[test]
    fn what_is_forgotten_is_not_given_out() {
        let recent = Recent::default();
        let kept = event(10);
        recent.keep(kept.clone());
        recent.forget(kept.id);
        assert_eq!(recent.take(&mut vec![kept.id]), []);
    }

    #[test]
    fn the_oldest_make_room_and_the_memory_is_bounded() {
        let recent = Recent::default();
        let events: Vec<_> = (0..100).map(|_| event(1 << 20)).collect();
        for event in &events {
            recent.keep(event.clone());
        }
        assert!(recent.lock().bytes <= MOST_BYTES);
        assert_eq!(recent.take(&mut vec![events[0].id]), []);
        assert_eq!(recent.take(&mut vec![events[99].id]).len(), 1);
        for _ in 0..10_000 {
            let one = event(1);
            recent.keep(one.clone());
            recent.forget(one.id);
        }
        assert!(recent.lock().oldest_first.len() < 2000, "nor do names pile up");
    }
}
