//! The embedded queue: the suite of all queues, and its own limits.
#![allow(clippy::unwrap_used)]

use spindel_model::DeliveryId;
use spindel_queue::{Channel, Embedded, Message, Queue, Work};
use std::sync::Arc;

async fn open() -> (Arc<dyn Queue>, ()) {
    (Arc::new(Embedded::new()), ())
}

spindel_testkit::queue_suite!(open());

fn message() -> Message {
    Message { work: Work::Deliver(DeliveryId::new()), fresh: true }
}

#[tokio::test]
async fn what_does_not_fit_is_dropped() {
    let queue = Embedded::with_capacity(3);
    let messages: Vec<_> = (0..5).map(|_| message()).collect();
    queue.publish(&Channel::Plan, messages.clone()).await.unwrap();
    assert_eq!(queue.depth(&Channel::Plan).await.unwrap(), 3);
    let mut consumer = queue.consume(&Channel::Plan, 200).await.unwrap();
    assert_eq!(consumer.receive(10, 10).await.unwrap(), messages[..3]);
}

#[tokio::test]
async fn a_repeated_announcement_waits_once() {
    let queue = Embedded::new();
    let one = message();
    let repeated = Message { fresh: false, ..one };
    queue.publish(&Channel::Plan, vec![one, one, repeated]).await.unwrap();
    assert_eq!(queue.depth(&Channel::Plan).await.unwrap(), 1);
    let mut consumer = queue.consume(&Channel::Plan, 200).await.unwrap();
    assert_eq!(consumer.receive(10, 10).await.unwrap(), [one]);
    queue.publish(&Channel::Plan, vec![repeated]).await.unwrap();
    assert_eq!(queue.depth(&Channel::Plan).await.unwrap(), 1, "once taken it may be announced again");
}
