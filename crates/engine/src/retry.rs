//! When to try again. The `backoff` crate generates the interval; nothing is kept between calls, so that the schedule
//! survives restarts in the store's `at`.

use backoff::{ExponentialBackoffBuilder, backoff::Backoff as _};
use spindel_model::RetryPolicy;
use std::time::Duration;

/// Share of the interval that jitter may add. Never subtracted: nobody is called sooner than the schedule says.
const JITTER: f64 = 0.2;

/// Longest wait that a vendor's `Retry-After` can ask for.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3600);

/// Wait after `failed` failed attempts (1 for the first): the schedule's interval with jitter, or what the vendor asked for
/// when that is longer.
pub fn delay(policy: &RetryPolicy, failed: u32, retry_after: Option<Duration>) -> Duration {
    let base = interval(policy, failed);
    // `backoff` spreads evenly to both sides of its interval, so the interval is moved up by half the jitter.
    let up = 1.0 + JITTER / 2.0;
    let mut schedule = ExponentialBackoffBuilder::new()
        .with_initial_interval(base.mul_f64(up))
        .with_randomization_factor((JITTER / 2.0) / up)
        .with_multiplier(1.0)
        .with_max_interval(Duration::MAX)
        .with_max_elapsed_time(None)
        .build();
    let jittered = schedule.next_backoff().unwrap_or(base).clamp(base, base.mul_f64(1.0 + JITTER));
    jittered.max(retry_after.unwrap_or_default().min(LONGEST_ASKED))
}

fn interval(policy: &RetryPolicy, failed: u32) -> Duration {
    let factor = policy.factor.max(1.0).powi(i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX).min(1000));
    let seconds = policy.first.as_secs_f64() * factor;
    if seconds.is_finite() && seconds < policy.max.as_secs_f64() { Duration::from_secs_f64(seconds) } else { policy.max }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_schedule_is_the_documented_one() {
        let policy = RetryPolicy::default();
        let seconds: Vec<u64> = (1..=9).map(|failed| interval(&policy, failed).as_secs()).collect();
        assert_eq!(seconds, [5, 20, 80, 320, 1280, 5120, 20480, 43200, 43200]);
    }

    proptest! {
        #[test]
        fn never_sooner_than_the_schedule_and_never_much_later(failed in 1u32..10_000, first in 1u64..600, factor in 1.0f64..10.0, asked in proptest::option::of(0u64..1_000_000)) {
            let policy = RetryPolicy { first: Duration::from_secs(first), factor, ..RetryPolicy::default() };
            let base = interval(&policy, failed);
            let got = delay(&policy, failed, asked.map(Duration::from_secs));
            let floor = base.max(Duration::from_secs(asked.unwrap_or(0)).min(LONGEST_ASKED));
            prop_assert!(got >= floor, "{got:?} is sooner than {floor:?}");
            prop_assert!(got <= floor.max(base.mul_f64(1.0 + JITTER)));
            prop_assert!(base <= policy.max);
        }

        #[test]
        fn intervals_never_shrink(failed in 1u32..60) {
            let policy = RetryPolicy::default();
            prop_assert!(interval(&policy, failed + 1) >= interval(&policy, failed));
        }
    }
}
