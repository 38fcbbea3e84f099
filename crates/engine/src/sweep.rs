//! The sweepers: whatever the queue forgot, a timer made due or a dead worker left is announced again from the store.

use crate::{Case, Engine, Input, step};
use jiff::SignedDuration;
use spindel_connect::Repeat;
use spindel_model::{Delivery, State};
use spindel_queue::{Channel, Message, Work};
use spindel_store::Finish;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Longest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A look that finds something again and again still leaves the store some air.
const LOOK_AT_MOST_EVERY: Duration = Duration::from_millis(20);
/// An announcement is repeated after this long.
const ANNOUNCE_AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// An event that is not planned by then was lost by the queue.
const PLANNED_WITHIN: SignedDuration = SignedDuration::from_secs(5);
/// Rows that one look takes.
const AT_A_TIME: usize = 1000;
const EVENTS_AT_A_TIME: usize = DEEP;
/// A queue this deep needs no announcements.
const DEEP: usize = 5000;

/// Announces events that were committed and not planned.
pub(crate) async fn events(engine: Arc<Engine>) {
    let mut resets = engine.queue.resets();
    // What the process that ran before left is announced at once; what comes from here on is announced when it comes.
    let mut older_than = SignedDuration::ZERO;
    while !engine.stop.is_cancelled() {
        if engine.has_duty("announce_events").await && is_shallow(&engine, &Channel::Plan).await {
            match engine.store.unplanned(engine.clock.now() - older_than, EVENTS_AT_A_TIME).await {
                Ok(ids) => {
                    if !ids.is_empty() {
                        let messages = ids.into_iter().map(|id| Message { work: Work::Plan(id), fresh: true }).collect();
                        engine.announce_all(&Channel::Plan, messages);
                    }
                    older_than = PLANNED_WITHIN;
                }
                Err(error) => tracing::warn!(%error, "the store does not say what is unplanned"),
            }
        }
        tokio::select! {
            () = engine.pause(LOOK_EVERY) => {}
            () = was_reset(&mut resets) => older_than = SignedDuration::ZERO,
        }
    }
}

async fn is_shallow(engine: &Engine, channel: &Channel) -> bool {
    engine.queue.depth(channel).await.is_ok_and(|depth| depth < DEEP)
}

/// Resolves when the queue may have forgotten what it was told.
async fn was_reset(resets: &mut watch::Receiver<u64>) {
    if resets.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Announces what becomes due for one destination, sleeping until the next is.
pub(crate) async fn destination(engine: Arc<Engine>, to: String, stop: CancellationToken, hint: Arc<Notify>) {
    let mut resets = engine.queue.resets();
    // The queue may have been lost with the process that ran before.
    let mut unheard = true;
    while !stop.is_cancelled() {
        let wait = match look(&engine, &to, &mut unheard).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(%error, to, "the store does not say what is due");
                LOOK_EVERY
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            () = hint.notified() => tokio::time::sleep(LOOK_AT_MOST_EVERY).await,
            () = was_reset(&mut resets) => unheard = true,
        }
    }
}

async fn look(engine: &Engine, to: &str, unheard: &mut bool) -> Result<Duration, spindel_store::StoreError> {
    let now = engine.clock.now();
    if *unheard && is_shallow(engine, &Channel::Deliver(to.to_owned())).await {
        let woken = engine.store.wake_unheard(to, now, now + ANNOUNCE_AGAIN * 2, AT_A_TIME).await?;
        *unheard = woken.more;
        engine.announce_ready(woken.ready);
        return Ok(LOOK_AT_MOST_EVERY);
    }
    match engine.store.next_wake(to).await? {
        Some(at) if at <= now => {}
        Some(at) => {
            return Ok(Duration::try_from(at.duration_since(now)).unwrap_or_default().clamp(LOOK_AT_MOST_EVERY, LOOK_EVERY));
        }
        None => return Ok(LOOK_EVERY),
    }
    if !is_shallow(engine, &Channel::Deliver(to.to_owned())).await {
        return Ok(LOOK_EVERY);
    }
    let woken = engine.store.wake(to, now, now + ANNOUNCE_AGAIN, AT_A_TIME).await?;
    engine.announce_ready(woken.ready);
    Ok(LOOK_AT_MOST_EVERY)
}

/// Takes back what dead workers hold.
pub(crate) async fn leases(engine: Arc<Engine>) {
    while !engine.stop.is_cancelled() {
        engine.pause(LOOK_EVERY * 5).await;
        recover(&engine, None).await;
    }
}

/// Decides about every delivery whose lease ran out, or that `node` left behind.
pub(crate) async fn recover(engine: &Engine, node: Option<&str>) {
    loop {
        let expired = match engine.store.expired(engine.clock.now(), node, AT_A_TIME).await {
            Ok(expired) => engine.left_behind(expired),
            Err(error) => {
                tracing::warn!(%error, "the store does not say which leases ran out");
                return;
            }
        };
        if expired.is_empty() {
            return;
        }
        tracing::info!(count = expired.len(), "taking up deliveries that a worker left behind");
        let finishes: Vec<Finish> = expired.iter().filter_map(|delivery| given_up(engine, delivery)).collect();
        let none = finishes.is_empty();
        if let Err(error) = engine.store.finish(finishes).await {
            tracing::warn!(%error, "deliveries left behind could not be taken up");
            return;
        }
        if none {
            return;
        }
    }
}

fn given_up(engine: &Engine, delivery: &Delivery) -> Option<Finish> {
    let now = engine.clock.now();
    let wiring = engine.wiring();
    let repeat = wiring.account(&delivery.to).and_then(|account| account.connection.performs(delivery.action));
    let case = Case {
        // Who cannot be asked how it repeats is treated as if it could not be repeated.
        repeat: repeat.map_or(Repeat::Unsafe, |(repeat, _)| repeat),
        policy: wiring.flow(&delivery.flow).map(|flow| flow.retry).unwrap_or_default(),
        attempts: delivery.attempts,
        // A crash is not the destination's failure: it does not use up the time to give up after.
        first_due_at: now,
    };
    let next = step(&delivery.state, Input::LeaseExpired, &case, now).ok()?;
    debug_assert!(!matches!(next.state, State::Running { .. }));
    Some(Finish {
        id: delivery.id,
        fence: delivery.fence,
        state: next.state,
        attempts: next.attempts,
        attempt: None,
        applied: None,
        link: None,
        now,
    })
}
