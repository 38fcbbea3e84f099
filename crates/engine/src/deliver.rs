//! Carries deliveries to one destination: takes ready ids off its channel, leases them, runs them in its slots.

use crate::{Engine, Pass, outcome};
use spindel_model::DeliveryId;
use spindel_queue::{Channel, Consumer, Message, Work};
use spindel_store::{Claim, Claimant, Claimed};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// How long a receive may wait before slots and settings are looked at again.
const RECEIVE_FOR: Duration = Duration::from_millis(250);

/// The slots of one destination, and who is in them.
struct Slots {
    free: Arc<Semaphore>,
    /// Slots that retries and replays hold; the reserved rest is for fresh work.
    again: Arc<AtomicUsize>,
    /// One of those was left.
    again_left: Arc<Notify>,
    running: Running,
}

/// What runs, and the fence of its lease.
type Running = Arc<Mutex<HashMap<DeliveryId, u64>>>;

pub(crate) async fn dispatch(engine: Arc<Engine>, to: String, stop: CancellationToken) {
    let channel = Channel::Deliver(to.clone());
    while !stop.is_cancelled() {
        let consumer = tokio::select! {
            () = stop.cancelled() => return,
            consumer = engine.queue.consume(&channel, prefetch(&engine, &to)) => consumer,
        };
        match consumer {
            Ok(consumer) => dispatch_from(&engine, &to, &stop, consumer).await,
            Err(error) => {
                tracing::warn!(%error, to, "no consumer for deliveries; trying again");
                engine.pause(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Twice what runs at once, so that the next are at hand when a slot comes free.
fn prefetch(engine: &Engine, to: &str) -> u16 {
    let slots = engine.wiring().account(to).map_or(1, |account| account.concurrency);
    u16::try_from(slots * 2).unwrap_or(u16::MAX)
}

async fn dispatch_from(engine: &Arc<Engine>, to: &str, stop: &CancellationToken, mut consumer: Box<dyn Consumer>) {
    let Some(account) = engine.wiring().account(to).cloned() else { return };
    let slots = Slots {
        free: Arc::new(Semaphore::new(account.concurrency)),
        again: Arc::default(),
        again_left: Arc::default(),
        running: Arc::default(),
    };
    let leaving = CancellationToken::new();
    engine.tasks().spawn(keep_leases(Arc::clone(engine), Arc::clone(&slots.running), account.lease(), leaving.clone()));
    let _leave_at_the_end = leaving.drop_guard();
    let mut waiting: VecDeque<Message> = VecDeque::new();
    while let Ok(first) = tokio::select! {
        () = stop.cancelled() => Err(()),
        slot = Arc::clone(&slots.free).acquire_owned() => slot.map_err(|_| ()),
    } {
        // A reload may have changed how many slots there are; the channel stays.
        if engine.wiring().account(to).is_none_or(|now| now.concurrency != account.concurrency) {
            break;
        }
        if waiting.is_empty() {
            let most = 1 + slots.free.available_permits();
            let for_again = if account.reserved() == 0 {
                most
            } else {
                (account.concurrency - account.reserved()).saturating_sub(slots.again.load(Ordering::Relaxed))
            };
            let received = tokio::select! {
                received = tokio::time::timeout(RECEIVE_FOR, consumer.receive(most, for_again.min(most))) => received,
                // Asked for fresh work only, and meanwhile the rest may come in again.
                () = slots.again_left.notified(), if for_again == 0 => continue,
            };
            match received {
                Err(_) => continue,
                Ok(Ok(messages)) => waiting.extend(messages),
                Ok(Err(error)) => {
                    tracing::debug!(%error, to, "the consumer ended");
                    break;
                }
            }
        }
        let taken = match engine.gate(to, |gate| gate.pass(engine.clock.now())) {
            Pass::Open => waiting.drain(..waiting.len().min(1 + slots.free.available_permits())).collect(),
            Pass::OneOnly => waiting.drain(..1).collect(),
            Pass::Closed { until, .. } => {
                let wait = Duration::try_from(until.duration_since(engine.clock.now())).unwrap_or_default();
                let wait = wait.clamp(Duration::from_millis(10), RECEIVE_FOR);
                tokio::select! { () = stop.cancelled() => break, () = tokio::time::sleep(wait) => continue }
            }
        };
        if let Err(unleased) = start(engine, to, &slots, taken, first, &mut consumer).await {
            unleased.into_iter().rev().for_each(|message| waiting.push_front(message));
            engine.pause(RECEIVE_FOR).await;
        }
    }
}

/// Leases what the messages name and starts it; gives the messages back when the store does not take the leases.
async fn start(
    engine: &Arc<Engine>,
    to: &str,
    slots: &Slots,
    messages: Vec<Message>,
    first: OwnedSemaphorePermit,
    consumer: &mut Box<dyn Consumer>,
) -> Result<(), Vec<Message>> {
    let Some(account) = engine.wiring().account(to).cloned() else { return Ok(()) };
    let fresh: HashMap<DeliveryId, bool> = messages
        .iter()
        .filter_map(|message| match message.work {
            Work::Deliver(id) => Some((id, message.fresh)),
            Work::Plan(_) => None,
        })
        .collect();
    let by = Claimant { node: engine.node.clone(), now: engine.clock.now(), lease: account.lease() };
    let claim = Claim { to: to.to_owned(), ids: fresh.keys().copied().collect(), by: by.clone() };
    let claimed = match engine.store.claim(claim).await {
        Ok(claimed) => claimed,
        Err(error) => {
            tracing::warn!(%error, to, "deliveries could not be leased; trying again");
            engine.gate(to, crate::Gate::unused);
            return Err(messages);
        }
    };
    // From here on the lease in the store stands for them.
    if let Err(error) = consumer.acknowledge(&messages).await {
        tracing::debug!(%error, to, "not acknowledged; repeats find nothing to do");
    }
    if claimed.is_empty() {
        engine.gate(to, crate::Gate::unused);
    }
    let mut first = Some(first);
    for mut group in groups(claimed, |action| account.connection.performs(action).map_or(1, |(_, most)| most)) {
        let permit = match first.take() {
            Some(permit) => permit,
            // There are never more groups than messages, and those were no more than the free slots.
            None => match Arc::clone(&slots.free).acquire_owned().await {
                Ok(permit) => permit,
                Err(_) => return Ok(()),
            },
        };
        fill_up(engine, to, &account, &by, &mut group).await;
        let again = group.iter().all(|one| !fresh.get(&one.delivery.id).copied().unwrap_or(true));
        run(engine, slots, account.clone(), group, permit, again);
    }
    Ok(())
}

/// Splits into batches of one flow and action where the connector takes batches, else into single ones.
fn groups(claimed: Vec<Claimed>, most: impl Fn(spindel_model::ActionKind) -> usize) -> Vec<Vec<Claimed>> {
    let mut groups: Vec<Vec<Claimed>> = Vec::new();
    for one in claimed {
        let most = most(one.delivery.action);
        let fits = |group: &&mut Vec<Claimed>| {
            let (ours, theirs) = (&one.delivery, &group[0].delivery);
            !one.in_doubt && !group[0].in_doubt && group.len() < most && ours.action == theirs.action && ours.flow == theirs.flow
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

/// Adds what else is due for the same flow and action, up to the batch size.
async fn fill_up(engine: &Engine, to: &str, account: &crate::Account, by: &Claimant, group: &mut Vec<Claimed>) {
    let delivery = &group[0].delivery;
    let most = account.connection.performs(delivery.action).map_or(1, |(_, most)| most);
    if group[0].in_doubt || group.len() >= most {
        return;
    }
    let (flow, action) = (delivery.flow.clone(), delivery.action);
    match engine.store.claim_more(to, &flow, action, most - group.len(), by.clone()).await {
        Ok(more) => group.extend(more),
        Err(error) => tracing::debug!(%error, to, "the batch goes without more"),
    }
}

fn run(
    engine: &Arc<Engine>,
    slots: &Slots,
    account: Arc<crate::Account>,
    group: Vec<Claimed>,
    permit: OwnedSemaphorePermit,
    again: bool,
) {
    let (engine_, running) = (Arc::clone(engine), Arc::clone(&slots.running));
    let (counter, left) = (Arc::clone(&slots.again), Arc::clone(&slots.again_left));
    let ids: Vec<(DeliveryId, u64)> = group.iter().map(|one| (one.delivery.id, one.delivery.fence)).collect();
    running.lock().unwrap_or_else(PoisonError::into_inner).extend(ids.iter().copied());
    engine.at_work().extend(ids.iter().map(|(id, _)| *id));
    if again {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    engine.tasks().spawn(async move {
        tokio::select! {
            () = outcome::carry_out(&engine_, &account, group) => {}
            () = engine_.give_up.cancelled() => {}
        }
        let (mut running, mut at_work) = (running.lock().unwrap_or_else(PoisonError::into_inner), engine_.at_work());
        for (id, _) in ids {
            running.remove(&id);
            at_work.remove(&id);
        }
        drop((running, at_work));
        if again {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
        drop(permit);
        left.notify_one();
    });
}

/// Prolongs the leases of what runs, so that a long attempt keeps its right to write.
async fn keep_leases(engine: Arc<Engine>, running: Running, lease: Duration, leaving: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(lease / 3) => {}
            () = left(&leaving, &running) => return,
        }
        let held: Vec<(DeliveryId, u64)> =
            running.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(id, fence)| (*id, *fence)).collect();
        if held.is_empty() {
            continue;
        }
        let until = engine.clock.now().checked_add(lease).unwrap_or(spindel_model::Timestamp::MAX);
        if let Err(error) = engine.store.heartbeat(held, until).await {
            tracing::warn!(%error, "leases could not be prolonged");
        }
    }
}

/// Resolves when the dispatcher has left and the last that it started has ended.
async fn left(leaving: &CancellationToken, running: &Running) {
    leaving.cancelled().await;
    while !running.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
