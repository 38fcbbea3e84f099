//! How much may wait to be written: what comes in is refused first, so that what is under way can still be finished.

use crate::StoreError;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Jobs that may wait.
const WAITING_IN: usize = 4096;
pub(crate) const WAITING: usize = WAITING_IN + 1024;
/// Bytes of payloads that may wait.
pub(crate) const WAITING_BYTES: usize = 64 << 20;
/// What one transaction takes at most.
pub(crate) const GROUP: usize = 512;
pub(crate) const GROUP_BYTES: usize = 4 << 20;

/// What a job is part of, for what is refused first under load.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// New work: it can come again.
    Intake,
    /// Work under way.
    Progress,
}

/// What waits now.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<Held>);

#[derive(Default)]
struct Held {
    jobs: AtomicUsize,
    bytes: AtomicUsize,
}

impl Waiting {
    /// Lets a job wait that keeps `bytes` in memory until it is written.
    pub fn admit(&self, part: Part, bytes: usize) -> Result<Ticket, StoreError> {
        let jobs = self.0.jobs.fetch_add(1, Relaxed);
        let held = self.0.bytes.fetch_add(bytes, Relaxed);
        let ticket = Ticket { held: Arc::clone(&self.0), bytes };
        let (most_jobs, most_bytes) = match part {
            Part::Intake => (WAITING_IN, WAITING_BYTES),
            Part::Progress => (WAITING, 2 * WAITING_BYTES),
        };
        // One job alone may be larger than the limit; several may not.
        if jobs >= most_jobs || (held > 0 && held + bytes > most_bytes) {
            return Err(StoreError::Overloaded);
        }
        Ok(ticket)
    }
}

/// A job's share of the memory that may wait.
pub(crate) struct Ticket {
    held: Arc<Held>,
    bytes: usize,
}

impl Ticket {
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.held.jobs.fetch_sub(1, Relaxed);
        self.held.bytes.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intake_is_refused_while_work_under_way_goes_on() {
        let waiting = Waiting::default();
        let held: Vec<_> = (0..WAITING_IN).map(|_| waiting.admit(Part::Intake, 1).unwrap()).collect();
        assert!(matches!(waiting.admit(Part::Intake, 1), Err(StoreError::Overloaded)));
        let under_way = waiting.admit(Part::Progress, 1).unwrap();
        drop((held, under_way));
        assert!(waiting.admit(Part::Intake, WAITING_BYTES + 1).is_ok(), "one alone may be larger");
        let _large = waiting.admit(Part::Intake, WAITING_BYTES).unwrap();
        assert!(matches!(waiting.admit(Part::Intake, 1), Err(StoreError::Overloaded)));
    }
}
