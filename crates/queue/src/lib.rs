//! The queue carries ids of ready work, never payloads: what is lost here is announced again from the store.

mod changes;
mod embedded;
mod lines;
mod rabbitmq;

pub use changes::{Changes, ChangesError};
pub use embedded::Embedded;
pub use rabbitmq::{BadAddress, Options, RabbitMq};

use spindel_model::{DeliveryId, EventId};
use std::{future::Future, pin::Pin};
use tokio::sync::watch;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Events to be planned.
    Plan,
    /// Deliveries for one destination: one channel each, so that a slow one holds back no other.
    Deliver(String),
}

/// What is ready. Repeats are allowed: the store decides what is still to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    Plan(EventId),
    Deliver(DeliveryId),
}

/// A message: what is ready, and whether it is fresh (webhooks and polls) or comes again (retries, replays).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Message {
    pub work: Work,
    pub fresh: bool,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// The broker cannot be reached; the store announces again later.
    #[error("the queue takes no messages: {0}")]
    Unavailable(String),
}

/// What Spindel needs of a queue. One behaviour suite (`spindel_testkit::queue_suite!`) holds for every implementation.
pub trait Queue: Send + Sync + 'static {
    /// Hands messages over; resolves when the queue has taken them. An embedded queue that is full drops what does not fit:
    /// the store announces it again.
    fn publish(&self, channel: &Channel, messages: Vec<Message>) -> BoxFuture<'_, Result<(), QueueError>>;
    /// A consumer of this channel; several share the messages. It holds at most about `prefetch` that are not acknowledged.
    fn consume(&self, channel: &Channel, prefetch: u16) -> BoxFuture<'_, Result<Box<dyn Consumer>, QueueError>>;
    /// Messages that wait in this channel.
    fn depth(&self, channel: &Channel) -> BoxFuture<'_, Result<usize, QueueError>>;
    /// Grows each time the queue may have forgotten what it was told: a broker that was restarted, wiped or out of reach.
    fn resets(&self) -> watch::Receiver<u64>;
    /// Why the queue does not work as it should right now, for people; `None` when it does.
    fn trouble(&self) -> Option<String>;
}

/// Takes messages off one channel. Those not acknowledged come again when the consumer is dropped, but for those that were
/// held for many minutes: the store announces these.
pub trait Consumer: Send {
    /// At least one message, at most `max` and no more than `again` that are not fresh; waits for the first.
    fn receive(&mut self, max: usize, again: usize) -> BoxFuture<'_, Result<Vec<Message>, QueueError>>;
    /// Done with these: they do not come again.
    fn acknowledge(&mut self, messages: &[Message]) -> BoxFuture<'_, Result<(), QueueError>>;
}
