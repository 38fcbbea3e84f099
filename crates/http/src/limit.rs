//! How much may be asked of one vendor: calls at a time, calls a second, a cost bucket, and its own word to wait.

use spindel_connect::{Budget, Failure, Limits};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep_until, timeout},
};

/// Longest wait that a vendor's `Retry-After` can impose.
const LONGEST_HOLD: Duration = Duration::from_secs(24 * 3600);
/// Said when a bucket does not fill at all.
const ENDLESS: Duration = Duration::from_secs(3600);

/// The limits of one connection.
pub(crate) struct Limiter {
    parallel: Semaphore,
    buckets: Mutex<Buckets>,
    max_wait: Duration,
}

/// The right to make one call; dropping it gives its place back.
pub(crate) struct Permit<'a> {
    limiter: &'a Limiter,
    cost: f64,
    _place: SemaphorePermit<'a>,
}

impl Limiter {
    pub(crate) fn new(limits: Limits, max_wait: Duration) -> Self {
        let now = Instant::now();
        let rate =
            limits.per_second.map(|rate| Bucket { maximum: rate.max(1.0), available: rate.max(1.0), per_second: rate, at: now });
        let cost = limits.budget.map(|budget| Bucket::of(budget, 0.0, now));
        Self {
            parallel: Semaphore::new(limits.parallel.max(1)),
            buckets: Mutex::new(Buckets { rate, cost, spent: 0.0, asked: HashMap::new(), not_before: now }),
            max_wait,
        }
    }

    /// Waits for its turn, but never longer than `max_wait`: a longer wait belongs to the engine. `estimate` is the cost
    /// until the vendor has told it: with too low a one, two calls in a row would be throttled for ever.
    pub(crate) async fn acquire(&self, operation: &'static str, estimate: f64) -> Result<Permit<'_>, Failure> {
        let deadline = Instant::now() + self.max_wait;
        let place = timeout(self.max_wait, self.parallel.acquire()).await;
        let place = place.map_err(|_| Failure::Limited { wait: self.max_wait })?;
        let place = place.map_err(|closed| Failure::Refused(closed.to_string()))?;
        let cost = self.buckets().asked.get(operation).copied().unwrap_or(estimate);
        let turn = self.buckets().reserve(cost, Instant::now(), deadline)?;
        let permit = Permit { limiter: self, cost, _place: place };
        sleep_until(turn).await;
        // The vendor may have asked for a pause meanwhile.
        let (held, now) = (self.buckets().not_before, Instant::now());
        if held > deadline.max(now) {
            return Err(Failure::Limited { wait: held - now });
        }
        sleep_until(held).await;
        Ok(permit)
    }

    /// The vendor's own word on its cost bucket, and on what this operation costs.
    pub(crate) fn learn(&self, operation: &'static str, budget: Budget) {
        let mut buckets = self.buckets();
        if let Some(asked) = budget.asked {
            buckets.asked.insert(operation, asked);
        }
        let others = buckets.spent;
        buckets.cost = Some(Bucket::of(budget, others, Instant::now()));
    }

    /// Nothing more is sent for this long.
    pub(crate) fn hold(&self, wait: Duration) {
        let mut buckets = self.buckets();
        buckets.not_before = buckets.not_before.max(Instant::now() + wait.min(LONGEST_HOLD));
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The answer is here: the vendor has booked the cost of this call.
    pub(crate) fn booked(&mut self) {
        self.limiter.buckets().spent -= std::mem::take(&mut self.cost);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.booked();
    }
}

struct Buckets {
    rate: Option<Bucket>,
    cost: Option<Bucket>,
    /// Costs of calls that are under way; the vendor's next word does not know them yet.
    spent: f64,
    /// The vendor's own price of each operation.
    asked: HashMap<&'static str, f64>,
    not_before: Instant,
}

impl Buckets {
    /// When the call may be made. What is taken may be more than there is: who comes next waits longer, in order.
    fn reserve(&mut self, cost: f64, now: Instant, deadline: Instant) -> Result<Instant, Failure> {
        let mut turn = now.max(self.not_before);
        for (bucket, amount) in [(&mut self.rate, 1.0), (&mut self.cost, cost)] {
            if let Some(bucket) = bucket {
                turn = turn.max(now + bucket.wait_for(amount, now));
            }
        }
        if turn > deadline.max(now) {
            return Err(Failure::Limited { wait: turn - now });
        }
        for (bucket, amount) in [(&mut self.rate, 1.0), (&mut self.cost, cost)] {
            if let Some(bucket) = bucket {
                bucket.available -= amount;
            }
        }
        self.spent += cost;
        Ok(turn)
    }
}

/// Fills by time and is emptied by calls.
struct Bucket {
    maximum: f64,
    available: f64,
    per_second: f64,
    at: Instant,
}

impl Bucket {
    fn of(budget: Budget, spent: f64, now: Instant) -> Self {
        Self { maximum: budget.maximum, available: budget.available - spent, per_second: budget.restore_per_second, at: now }
    }

    fn wait_for(&mut self, amount: f64, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.available = (self.available + passed * self.per_second).min(self.maximum);
        self.at = now;
        // A call that costs more than the bucket holds goes when it is full; the vendor then has the last word.
        let missing = amount.min(self.maximum) - self.available;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(missing / self.per_second).unwrap_or(ENDLESS).min(ENDLESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(per_second: Option<f64>, budget: Option<Budget>) -> (Buckets, Instant) {
        let limiter = Limiter::new(Limits { per_second, parallel: 1, budget }, Duration::ZERO);
        let buckets = limiter.buckets.into_inner().unwrap();
        let start = buckets.not_before;
        (buckets, start)
    }

    #[test]
    fn calls_are_spread_over_time_in_the_order_in_which_they_came() {
        let (mut buckets, start) = buckets(Some(2.0), None);
        let deadline = start + Duration::from_secs(2);
        let turns: Vec<u128> = (0..6).map(|_| (buckets.reserve(1.0, start, deadline).unwrap() - start).as_millis()).collect();
        assert_eq!(turns, [0, 0, 500, 1000, 1500, 2000]);
        assert_eq!(buckets.reserve(1.0, start, deadline), Err(Failure::Limited { wait: Duration::from_millis(2500) }));
        let later = start + Duration::from_secs(60);
        assert_eq!(buckets.reserve(1.0, later, later), Ok(later));
    }

    #[test]
    fn a_cost_bucket_fills_again_and_never_beyond_its_brim() {
        let budget = Budget { maximum: 100.0, available: 30.0, restore_per_second: 10.0, asked: None };
        let (mut buckets, start) = buckets(None, Some(budget));
        assert_eq!(buckets.reserve(50.0, start, start), Err(Failure::Limited { wait: Duration::from_secs(2) }));
        assert_eq!(buckets.reserve(30.0, start, start), Ok(start));
        let later = start + Duration::from_secs(3600);
        assert_eq!(buckets.reserve(100.0, later, later), Ok(later));
        assert_eq!(buckets.reserve(1.0, later, later), Err(Failure::Limited { wait: Duration::from_millis(100) }));
    }

    #[test]
    fn a_bucket_that_never_fills_is_not_waited_for() {
        let (mut buckets, start) =
            buckets(None, Some(Budget { maximum: 1.0, available: 0.0, restore_per_second: 0.0, asked: None }));
        assert_eq!(buckets.reserve(1.0, start, start), Err(Failure::Limited { wait: ENDLESS }));
    }

    #[tokio::test]
    async fn the_vendors_word_counts_less_what_is_under_way() {
        let limiter = Limiter::new(Limits { per_second: None, parallel: 8, budget: None }, Duration::ZERO);
        let under_way = limiter.acquire("call", 40.0).await.unwrap();
        limiter.learn("other", Budget { maximum: 100.0, available: 50.0, restore_per_second: 1.0, asked: None });
        assert!(matches!(limiter.acquire("call", 20.0).await, Err(Failure::Limited { .. })));
        drop(under_way);
        limiter.learn("other", Budget { maximum: 100.0, available: 50.0, restore_per_second: 1.0, asked: None });
        assert!(limiter.acquire("call", 20.0).await.is_ok());
    }

    #[tokio::test]
    async fn a_call_waits_for_what_the_vendor_asks_not_for_what_was_estimated() {
        let limiter = Limiter::new(Limits { per_second: None, parallel: 8, budget: None }, Duration::ZERO);
        limiter.learn("dear", Budget { maximum: 100.0, available: 50.0, restore_per_second: 0.001, asked: Some(70.0) });
        assert!(matches!(limiter.acquire("dear", 40.0).await, Err(Failure::Limited { .. })));
        assert!(limiter.acquire("cheap", 40.0).await.is_ok());
    }

    #[tokio::test]
    async fn no_more_calls_at_a_time_than_allowed() {
        let limiter = Limiter::new(Limits { parallel: 1, ..Limits::default() }, Duration::ZERO);
        let first = limiter.acquire("call", 1.0).await.unwrap();
        assert!(matches!(limiter.acquire("call", 1.0).await, Err(Failure::Limited { .. })));
        drop(first);
        assert!(limiter.acquire("call", 1.0).await.is_ok());
    }

    #[tokio::test]
    async fn a_vendor_that_asks_for_a_pause_gets_it() {
        let limiter = Limiter::new(Limits::default(), Duration::from_secs(2));
        limiter.hold(Duration::from_secs(60));
        let Err(Failure::Limited { wait }) = limiter.acquire("call", 1.0).await else { panic!("not limited") };
        assert!(wait > Duration::from_secs(59) && wait <= Duration::from_secs(60), "{wait:?}");
    }
}
