//! One gate per connection: its breaker, its throttle, its rest after refused credentials. Deliveries wait at it,
//! neither dropped nor charged.

use spindel_model::Timestamp;
use std::{collections::VecDeque, time::Duration};

const WINDOW: Duration = Duration::from_secs(300);
const FEWEST_CALLS: usize = 10;
const FAILURE_SHARE: f64 = 0.7;
/// The first rest; each one that did not help is twice as long, up to the longest.
const FIRST_REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(30);
/// A call that was let through and of which nothing was heard for this long is given up.
const PROBE_WITHIN: Duration = Duration::from_secs(60);
/// Outcomes that are remembered; enough to judge by.
const REMEMBERED: usize = 200;

/// Whether a connection may be called.
#[derive(Debug, Default)]
pub struct Gate {
    outcomes: VecDeque<(Timestamp, bool)>,
    breaker: Breaker,
    throttled_until: Option<Timestamp>,
    paused: Option<Pause>,
}

#[derive(Clone, Debug)]
struct Pause {
    until: Timestamp,
    reason: String,
    /// When one call was let through to see whether the credentials were mended.
    probe: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Breaker {
    #[default]
    Closed,
    Open {
        until: Timestamp,
        rest: Duration,
    },
    /// One call is out to see whether the destination is back.
    HalfOpen {
        since: Timestamp,
        rest: Duration,
    },
}

/// What the gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pass {
    Open,
    /// One call, to see.
    OneOnly,
    Closed {
        until: Timestamp,
        why: String,
    },
}

impl Gate {
    /// Asks for leave to call now.
    pub fn pass(&mut self, now: Timestamp) -> Pass {
        if let Some(until) = self.throttled_until.filter(|until| *until > now) {
            return Pass::Closed { until, why: "throttled by the vendor".into() };
        }
        if let Some(pause) = &mut self.paused {
            if pause.until > now {
                return Pass::Closed { until: pause.until, why: format!("paused: {}", pause.reason) };
            }
            // One try to see whether the credentials were mended; the next refusal pauses again.
            (pause.until, pause.probe) = (now + LONGEST_REST, Some(now));
            return Pass::OneOnly;
        }
        match self.breaker {
            Breaker::Closed => Pass::Open,
            Breaker::Open { until, .. } if until > now => Pass::Closed { until, why: "breaker open".into() },
            Breaker::HalfOpen { since, .. } if now.duration_since(since) < signed(PROBE_WITHIN) => {
                Pass::Closed { until: since + PROBE_WITHIN, why: "breaker half open".into() }
            }
            Breaker::Open { rest, .. } | Breaker::HalfOpen { rest, .. } => {
                self.breaker = Breaker::HalfOpen { since: now, rest };
                Pass::OneOnly
            }
        }
    }

    /// The leave was not used, there was nothing to call for; or what came of it tells nothing. Another call may try.
    pub fn unused(&mut self) {
        if let Breaker::HalfOpen { since, rest } = self.breaker {
            self.breaker = Breaker::Open { until: since, rest };
        }
        if let Some(pause) = &mut self.paused
            && let Some(probe) = pause.probe.take()
        {
            pause.until = probe;
        }
    }

    /// What [`Gate::pass`] would say, without taking the leave.
    pub fn peek(&self, now: Timestamp) -> Pass {
        Self {
            outcomes: VecDeque::new(),
            breaker: self.breaker,
            throttled_until: self.throttled_until,
            paused: self.paused.clone(),
        }
        .pass(now)
    }

    /// Open or half open: the destination has failed, and has not been seen to work since.
    pub fn breaker_is_open(&self) -> bool {
        self.breaker != Breaker::Closed
    }

    /// The credentials were refused, and have not been seen to work since.
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// A call was answered as it should, whatever the answer.
    pub fn succeeded(&mut self, now: Timestamp) {
        self.paused = None;
        if self.breaker != Breaker::Closed {
            self.breaker = Breaker::Closed;
            self.outcomes.clear();
        }
        self.remember(now, true);
    }

    /// A call failed for a reason that lies with the destination. True when that opened the breaker.
    pub fn failed(&mut self, now: Timestamp) -> bool {
        self.remember(now, false);
        match self.breaker {
            Breaker::HalfOpen { rest, .. } => {
                let rest = (rest * 2).min(LONGEST_REST);
                self.breaker = Breaker::Open { until: now + rest, rest };
                false
            }
            Breaker::Closed if self.is_failing() => {
                self.breaker = Breaker::Open { until: now + FIRST_REST, rest: FIRST_REST };
                true
            }
            Breaker::Closed | Breaker::Open { .. } => false,
        }
    }

    pub fn throttle(&mut self, until: Timestamp) {
        self.unused();
        self.throttled_until = self.throttled_until.max(Some(until));
    }

    /// True when the connection was not paused before.
    pub fn pause(&mut self, until: Timestamp, reason: String) -> bool {
        self.unused();
        let first = self.paused.is_none();
        self.paused = Some(Pause { until, reason, probe: None });
        first
    }

    fn remember(&mut self, now: Timestamp, ok: bool) {
        self.outcomes.push_back((now, ok));
        while self.outcomes.len() > REMEMBERED
            || self.outcomes.front().is_some_and(|(at, _)| now.duration_since(*at) > signed(WINDOW))
        {
            self.outcomes.pop_front();
        }
    }

    fn is_failing(&self) -> bool {
        let failures = self.outcomes.iter().filter(|(_, ok)| !ok).count();
        self.outcomes.len() >= FEWEST_CALLS && failures as f64 >= self.outcomes.len() as f64 * FAILURE_SHARE
    }
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn it_opens_at_seven_failures_of_ten_and_not_before() {
        let mut gate = Gate::default();
        for second in 0..3 {
            gate.succeeded(at(second));
        }
        for second in 3..9 {
            assert!(!gate.failed(at(second)));
        }
        assert_eq!(gate.pass(at(9)), Pass::Open);
        assert!(gate.failed(at(9)));
        assert!(matches!(gate.pass(at(10)), Pass::Closed { .. }));
    }

    #[test]
    fn after_a_rest_one_call_decides_and_rests_grow() {
        let mut gate = Gate::default();
        for second in 0..10 {
            gate.failed(at(second));
        }
        assert_eq!(gate.pass(at(11)), Pass::OneOnly);
        assert!(matches!(gate.pass(at(11)), Pass::Closed { .. }));
        gate.failed(at(12));
        assert!(matches!(gate.pass(at(15)), Pass::Closed { .. }));
        assert_eq!(gate.pass(at(16)), Pass::OneOnly);
        assert!(gate.breaker_is_open(), "half open is not closed");
        gate.succeeded(at(17));
        assert_eq!(gate.pass(at(17)), Pass::Open);
        assert!(!gate.breaker_is_open());
    }

    #[test]
    fn no_rest_is_longer_than_half_a_minute() {
        let mut gate = Gate::default();
        for second in 0..10 {
            gate.failed(at(second));
        }
        let mut second = 10;
        for _ in 0..10 {
            second += 30;
            assert_eq!(gate.pass(at(second)), Pass::OneOnly);
            gate.failed(at(second));
        }
    }

    #[test]
    fn failures_long_ago_do_not_count() {
        let mut gate = Gate::default();
        for second in 0..9 {
            gate.failed(at(second));
        }
        assert!(!gate.failed(at(600)));
        assert_eq!(gate.pass(at(601)), Pass::Open);
    }

    #[test]
    fn a_throttle_holds_as_long_as_the_vendor_asked() {
        let mut gate = Gate::default();
        gate.throttle(at(60));
        gate.throttle(at(30));
        assert!(matches!(gate.pass(at(59)), Pass::Closed { .. }));
        assert_eq!(gate.pass(at(60)), Pass::Open);
    }

    #[test]
    fn a_probe_that_told_nothing_leaves_the_leave_to_the_next() {
        let mut failing = Gate::default();
        for second in 0..10 {
            failing.failed(at(second));
        }
        let mut refused = Gate::default();
        refused.pause(at(12), "no".into());
        for mut gate in [failing, refused] {
            assert_eq!(gate.pass(at(20)), Pass::OneOnly);
            assert!(matches!(gate.pass(at(20)), Pass::Closed { .. }));
            gate.unused();
            assert_eq!(gate.pass(at(20)), Pass::OneOnly);
            gate.throttle(at(30));
            assert!(matches!(gate.pass(at(29)), Pass::Closed { .. }));
            assert_eq!(gate.pass(at(30)), Pass::OneOnly);
        }
    }

    #[test]
    fn a_lost_probe_does_not_close_the_gate_for_ever() {
        let mut gate = Gate::default();
        for second in 0..10 {
            gate.failed(at(second));
        }
        assert_eq!(gate.pass(at(40)), Pass::OneOnly);
        assert!(matches!(gate.pass(at(99)), Pass::Closed { .. }));
        assert_eq!(gate.pass(at(100)), Pass::OneOnly);
    }
}
