//! The behaviour suite of queues: `queue_suite!(open())`, where `open` is an async function that gives a fresh
//! `Arc<dyn Queue>` and something to keep alive while it is used, or `None` to leave the case out. Knows no broker.
#![allow(clippy::unwrap_used)]

use spindel_model::{DeliveryId, EventId};
use spindel_queue::{Channel, Consumer, Message, Queue, Work};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// Tests that hold for every queue, one `#[tokio::test]` each.
#[macro_export]
macro_rules! queue_suite {
    ($open:expr) => {
        $crate::queue_suite! { @cases $open;
            what_is_published_is_received_in_order
            what_is_acknowledged_does_not_come_again
            what_a_lost_consumer_held_comes_again
            each_channel_is_its_own
            several_consumers_share_the_messages
            a_waiting_consumer_is_woken
            a_cancelled_wait_loses_nothing
            no_more_than_asked_for_is_received
            what_comes_again_takes_only_its_slots
            fresh_and_repeated_work_take_turns
            depth_counts_what_waits
        }
    };
    (@cases $open:expr; $($case:ident)*) => {$(
        #[tokio::test]
        async fn $case() {
            let opened: Option<_> = $open.await.into();
            if let Some((queue, _keep)) = opened {
                $crate::queue::$case(queue).await;
            }
        }
    )*};
}

type Shared = Arc<dyn Queue>;

/// Longer than any queue may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// More than any of these tests takes at once.
const PREFETCH: u16 = 200;

fn erp() -> Channel {
    Channel::Deliver("erp".into())
}

fn fresh(count: usize) -> Vec<Message> {
    (0..count).map(|_| Message { work: Work::Deliver(DeliveryId::new()), fresh: true }).collect()
}

fn again(count: usize) -> Vec<Message> {
    fresh(count).into_iter().map(|message| Message { fresh: false, ..message }).collect()
}

async fn receive(consumer: &mut Box<dyn Consumer>, max: usize, again: usize) -> Vec<Message> {
    let received = tokio::time::timeout(DEADLINE, consumer.receive(max, again)).await;
    received.expect("a message before the deadline").unwrap()
}

/// Receives until this many came, acknowledging each.
async fn drain(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Message> {
    let mut all = Vec::new();
    while all.len() < count {
        let some = receive(consumer, count - all.len(), count).await;
        consumer.acknowledge(&some).await.unwrap();
        all.extend(some);
    }
    all
}

/// Waits until the queue has handed out what it hands out before it is asked.
async fn nothing_moves(queue: &Shared) {
    let (mut depth, mut since) = (usize::MAX, 0);
    while since < 10 {
        let now = queue.depth(&erp()).await.unwrap();
        since = if now == depth { since + 1 } else { 0 };
        depth = now;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn set(messages: &[Message]) -> HashSet<Message> {
    messages.iter().copied().collect()
}

pub async fn what_is_published_is_received_in_order(queue: Shared) {
    let messages = fresh(20);
    queue.publish(&erp(), messages[..5].to_vec()).await.unwrap();
    queue.publish(&erp(), messages[5..].to_vec()).await.unwrap();
    let mut consumer = queue.consume(&erp(), PREFETCH).await.unwrap();
    assert_eq!(drain(&mut consumer, 20).await, messages);
}

pub async fn what_is_acknowledged_does_not_come_again(queue: Shared) {
    let messages = fresh(3);
    queue.publish(&erp(), messages[..2].to_vec()).await.unwrap();
    let mut consumer = queue.consume(&erp(), PREFETCH).await.unwrap();
    assert_eq!(drain(&mut consumer, 2).await, messages[..2]);
    drop(consumer);
    queue.publish(&erp(), messages[2..].to_vec()).await.unwrap();
    let mut consumer = queue.consume(&erp(), PREFETCH).await.unwrap();
    assert_eq!(drain(&mut consumer, 1).await, messages[2..]);
}

pub async fn what_a_lost_consumer_held_comes_again(queue: Shared) {
    let messages = [fresh(2), again(1)].concat();
    queue.publish(&erp(), messages.clone()).await.unwrap();
    let mut lost = queue.consume(&erp(), PREFETCH).await.unwrap();
    let mut held = Vec::new();
    while held.len() < 3 {
        held.extend(receive(&mut lost, 3, 3).await);
    }
    lost.acknowledge(&held[..1]).await.unwrap();
    drop(lost);
    let mut consumer = queue.consume(&erp(), PREFETCH).await.unwrap();
    assert_eq!(set(&drain(&mut consumer, 2).await), set(&held[1..]));
}

pub async fn each_channel_is_its_own(queue: Shared) {
    let plan = vec![Message { work: Work::Plan(EventId::new()), fresh: true }];
    let (erp_work, crm_work) = (fresh(1), fresh(1));
    let crm = Channel::Deliver("crm".into());
    queue.publish(&Channel::Plan, plan.clone()).await.unwrap();
    queue.publish(&erp(), erp_work.clone()).await.unwrap();
    queue.publish(&crm, crm_work.clone()).await.unwrap();
    for (channel, messages) in [(crm, crm_work), (Channel::Plan, plan), (erp(), erp_work)] {
        let mut consumer = queue.consume(&channel, PREFETCH).await.unwrap();
        assert_eq!(drain(&mut consumer, 1).await, messages);
    }
}

pub async fn several_consumers_share_the_messages(queue: Shared) {
    let messages = fresh(40);
    let mut one = queue.consume(&erp(), PREFETCH).await.unwrap();
    let mut two = queue.consume(&erp(), PREFETCH).await.unwrap();
    queue.publish(&erp(), messages.clone()).await.unwrap();
    let mut received = Vec::new();
    for _ in 0..20 {
        received.extend(drain(&mut one, 1).await);
        received.extend(drain(&mut two, 1).await);
    }
    assert_eq!(received.len(), 40);
    assert_eq!(set(&received), set(&messages), "each came once");
}

pub async fn a_waiting_consumer_is_woken(queue: Shared) {
    let messages = fresh(1);
    let mut consumer = queue.consume(&erp(), PREFETCH).await.unwrap();
    let waiting = tokio::spawn(async move { drain(&mut consumer, 1).await });
    tokio::task::yield_now().await;
    queue.publish(&erp(), messages.clone()).await.unwrap();
    assert_eq!(waiting.await.unwrap(), messages);
}

pub async fn a_cancelled_wait_loses_nothing(queue: Shared) {
    let mut consumer = queue.consume(&erp(), PREFETCH).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(5), consumer.receive(1, 1)).await.is_err());
    let messages = fresh(2);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    assert_eq!(drain(&mut consumer, 2).await, messages);
}

pub async fn no_more_than_asked_for_is_received(queue: Shared) {
    queue.publish(&erp(), [fresh(5), again(5)].concat()).await.unwrap();
    let mut consumer = queue.consume(&erp(), PREFETCH).await.unwrap();
    let mut left = 10;
    while left > 0 {
        let some = receive(&mut consumer, 3, 3).await;
        assert!((1..=3).contains(&some.len()));
        left -= some.len();
    }
}

pub async fn what_comes_again_takes_only_its_slots(queue: Shared) {
    queue.publish(&erp(), again(5)).await.unwrap();
    let mut consumer = queue.consume(&erp(), PREFETCH).await.unwrap();
    assert!(receive(&mut consumer, 10, 2).await.len() <= 2);
    let messages = fresh(1);
    queue.publish(&erp(), messages.clone()).await.unwrap();
    assert_eq!(receive(&mut consumer, 10, 0).await, messages, "none but fresh ones");
}

pub async fn fresh_and_repeated_work_take_turns(queue: Shared) {
    queue.publish(&erp(), again(50)).await.unwrap();
    queue.publish(&erp(), fresh(50)).await.unwrap();
    let mut consumer = queue.consume(&erp(), PREFETCH).await.unwrap();
    // A broker hands out in its own time, one kind perhaps before the other.
    nothing_moves(&queue).await;
    let first = drain(&mut consumer, 20).await;
    let fresh = first.iter().filter(|message| message.fresh).count();
    assert!((5..=15).contains(&fresh), "{fresh} of the first 20 are fresh");
}

pub async fn depth_counts_what_waits(queue: Shared) {
    assert_eq!(queue.depth(&erp()).await.unwrap(), 0);
    queue.publish(&erp(), [fresh(2), again(1)].concat()).await.unwrap();
    assert_eq!(queue.depth(&erp()).await.unwrap(), 3);
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_in_the_suite() {
        let (list, _) = include_str!("queue.rs").split_once("(@cases").unwrap();
        for case in include_str!("queue.rs").lines().filter_map(|line| line.strip_prefix("pub async fn ")?.split_once('(')) {
            assert!(list.lines().any(|line| line.trim() == case.0), "`{}` is not in `queue_suite!`", case.0);
        }
    }
}
