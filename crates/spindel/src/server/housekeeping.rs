//! What a node does beside its work: keeps time by the store, deletes what is old.

use spindel_model::{Clock, Timestamp};
use spindel_store::{Store, StoreError};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

const FOLLOW_EVERY: Duration = Duration::from_secs(5);
/// More than clocks drift apart: somebody set one.
const JUMP: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);
const PRUNE_EVERY: Duration = Duration::from_secs(600);
const PRUNE_AT_A_TIME: usize = 500;
const REJECTED_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
/// A year's payments can be matched, and the month after.
const NOTES_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(400 * 24);
const DUTY: &str = "retention";

/// Keeps `clock` with the store's: nodes agree on leases and timers whatever their own clocks show, and a jump of any of them is
/// followed slowly.
pub async fn keep_time(store: Arc<dyn Store>, clock: Clock, stop: CancellationToken) {
    let mut jumped = false;
    let mut last = tokio::time::Instant::now();
    while pause(&stop, FOLLOW_EVERY).await {
        let Ok(reference) = store.time().await else { continue };
        let behind = clock.follow(reference, last.elapsed());
        last = tokio::time::Instant::now();
        if (behind.abs() > JUMP) != jumped {
            jumped = !jumped;
            match jumped {
                true => tracing::warn!(seconds = behind.as_secs(), "a clock was set: leases and timers follow it slowly"),
                false => tracing::info!("leases and timers agree with the clock again"),
            }
        }
    }
}

/// Deletes what is older than it is to be kept, on one node at a time.
pub async fn prune(store: Arc<dyn Store>, clock: Clock, retention: Duration, node: String, stop: CancellationToken) {
    let retention = jiff::SignedDuration::try_from(retention).unwrap_or(jiff::SignedDuration::MAX);
    let held_for = jiff::SignedDuration::try_from(PRUNE_EVERY * 2).unwrap_or_default();
    while !stop.is_cancelled() {
        let now = clock.now();
        let before = now.checked_sub(retention).unwrap_or(Timestamp::MIN);
        let rejected_before = now.checked_sub(REJECTED_KEPT).unwrap_or(before);
        let ours = store.hold_duty(DUTY, &node, now, now + held_for).await;
        let pruned = match ours {
            Ok(true) => prune_once(&*store, before, rejected_before, now).await,
            other => other.map(|_| 0),
        };
        let rest = match pruned {
            // More may be left: on at once, with air for others.
            Ok(PRUNE_AT_A_TIME) => Duration::from_millis(100),
            Ok(_) => PRUNE_EVERY,
            Err(error) => {
                tracing::warn!(%error, "old events could not be deleted");
                PRUNE_EVERY
            }
        };
        pause(&stop, rest).await;
    }
}

/// Answers how many of one kind went at most.
async fn prune_once(
    store: &dyn Store,
    before: Timestamp,
    rejected_before: Timestamp,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let notes_before = now.checked_sub(NOTES_KEPT).unwrap_or(Timestamp::MIN);
    let notes = store.forget_notes(notes_before, PRUNE_AT_A_TIME).await?;
    Ok(store.prune(before, rejected_before, PRUNE_AT_A_TIME).await?.max(notes))
}

/// Whether to go on after that time.
async fn pause(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}
