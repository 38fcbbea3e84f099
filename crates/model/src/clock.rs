//! The one place that reads the time, so that tests can set it and a jump of the machine's clock disturbs nothing.

use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

/// Tells the time: the machine's, a steady one, or one that a test moves by hand.
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<AtomicI64>),
    Steady(Arc<Steady>),
}

/// Counts on from where it was started, whatever becomes of the machine's clock.
struct Steady {
    started: Instant,
    /// What it shows at `started`, in microseconds since 1970.
    shows: AtomicI64,
}

/// How fast a steady clock is moved towards another: leases and pauses are never more than this share too long or too short.
const SLEW: f64 = 0.05;

impl Clock {
    /// The machine's clock: for what is compared with the clocks of others.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that shows `now` and goes on from there without ever jumping: for leases, timers and pauses.
    #[allow(clippy::disallowed_methods)] // the one place that may
    pub fn steady(now: Timestamp) -> Self {
        Self(Source::Steady(Arc::new(Steady { started: Instant::now(), shows: AtomicI64::new(now.as_microsecond()) })))
    }

    /// A clock that stands at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.as_microsecond()))))
    }

    /// The present moment, in UTC, with microseconds.
    #[allow(clippy::disallowed_methods)] // the one place that may
    pub fn now(&self) -> Timestamp {
        let micros = match &self.0 {
            Source::System => Timestamp::now().as_microsecond(),
            Source::Manual(set) => set.load(Ordering::SeqCst),
            Source::Steady(steady) => steady.shows.load(Ordering::Relaxed).saturating_add(micros(steady.started.elapsed())),
        };
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
    }

    /// Moves a manual clock forward (or back); the others stay as they are.
    pub fn advance(&self, by: SignedDuration) {
        if let Source::Manual(set) = &self.0 {
            let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            set.fetch_add(micros, Ordering::SeqCst);
        }
    }

    /// Moves a steady clock towards `reference`, slowly; `since` is the time since the last move. Answers how far it is behind.
    pub fn follow(&self, reference: Timestamp, since: Duration) -> SignedDuration {
        let behind = reference.duration_since(self.now());
        if let Source::Steady(steady) = &self.0 {
            let most = micros(since.mul_f64(SLEW));
            let by = i64::try_from(behind.as_micros()).unwrap_or(i64::MAX).clamp(-most, most);
            steady.shows.fetch_add(by, Ordering::Relaxed);
        }
        behind
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_clock_follows_a_jump_of_another_only_slowly() {
        let start = Timestamp::from_second(1_800_000_000).unwrap_or_default();
        let clock = Clock::steady(start);
        let hour = SignedDuration::from_hours(1);
        let behind = clock.follow(start + hour, Duration::from_secs(10));
        assert!((behind - hour).abs() < SignedDuration::from_secs(5), "{behind}");
        let moved = clock.now().duration_since(start);
        assert!(moved >= SignedDuration::from_millis(500) && moved < SignedDuration::from_secs(5), "{moved}");
        let before = clock.now();
        clock.follow(start - hour, Duration::from_secs(10));
        assert!(clock.now() < before && clock.now() > before - SignedDuration::from_secs(1));
    }

    #[test]
    fn a_steady_clock_follows_a_small_difference_at_once() {
        let start = Timestamp::from_second(1_800_000_000).unwrap_or_default();
        let clock = Clock::steady(start);
        let reference = start + SignedDuration::from_millis(400);
        clock.follow(reference, Duration::from_secs(10));
        assert!(clock.now() >= reference);
    }
}
