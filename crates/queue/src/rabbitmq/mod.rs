//! RabbitMQ as the queue: quorum queues, confirms, manual acknowledgements, and everything declared again after an outage.
//! What the broker does not take is carried inside the process, if this process consumes.

mod consume;
mod dead;
mod delete;
mod depth;
mod feed;
mod link;
mod options;
mod publish;
mod socket;
mod topology;
mod window;
mod wire;

pub use options::{BadAddress, Options};
pub(crate) use publish::{Outcome, Parcel, Publisher};
pub(crate) use topology::Topology;
pub(crate) use wire::json;

use crate::{BoxFuture, Channel, Consumer, Embedded, Message, Queue, QueueError};
use depth::Gauge;
use lapin::types::ShortString;
use link::Link;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{sync::watch, task::AbortHandle};

/// The queue at a broker. Its connections are closed when it and its consumers are dropped.
pub struct RabbitMq {
    shared: Arc<Shared>,
    _dead: Background,
}

struct Shared {
    options: Arc<Options>,
    topology: Topology,
    publisher: Publisher,
    consuming: Link,
    gauge: Gauge,
    /// What is handed over when the broker takes nothing.
    local: Option<Embedded>,
    resets: watch::Sender<u64>,
    dead_letters: AtomicU64,
    /// Queues that cannot be consumed, and why.
    troubles: Mutex<BTreeMap<String, String>>,
}

impl RabbitMq {
    /// Returns at once, whether the broker is there or not. Needs a running Tokio.
    pub fn connect(options: Options) -> Self {
        let options = Arc::new(options);
        let topology = Topology::new(&options.prefix, options.delivery_limit);
        let resets = watch::Sender::new(0);
        let link = |role| Link::start(Arc::clone(&options), topology.clone(), role, resets.clone());
        // Apart, because the broker holds back a whole connection when it takes no more messages.
        let (publishing, consuming) = (link("publisher"), link("consumer"));
        let shared = Arc::new(Shared {
            publisher: Publisher::new(publishing, topology.clone(), resets.clone(), options.answer_within),
            gauge: Gauge::new(consuming.clone()),
            consuming,
            local: options.hand_over.then(Embedded::new),
            options,
            topology,
            resets,
            dead_letters: AtomicU64::new(0),
            troubles: Mutex::default(),
        });
        let dead = Background::spawn(dead::watch(Arc::clone(&shared)));
        Self { shared, _dead: dead }
    }

    /// Messages that came back too often and were set aside, as far as this process has seen.
    pub fn dead_letters(&self) -> u64 {
        self.shared.dead_letters.load(Ordering::Relaxed)
    }
}

impl Queue for RabbitMq {
    fn publish(&self, channel: &Channel, messages: Vec<Message>) -> BoxFuture<'_, Result<(), QueueError>> {
        let channel = channel.clone();
        Box::pin(async move {
            let (fresh, again): (Vec<_>, Vec<_>) = messages.into_iter().partition(|message| message.fresh);
            let publish = async |messages: Vec<Message>, fresh: bool| match messages.is_empty() {
                true => Ok(()),
                false => self.shared.publisher.publish(&self.shared.topology.queue(&channel, fresh), messages).await,
            };
            let (mut left, mut why) = (Vec::new(), None);
            for outcome in <[_; 2]>::from(futures::join!(publish(fresh, true), publish(again, false))) {
                if let Err((messages, reason)) = outcome {
                    left.extend(messages);
                    why = Some(reason);
                }
            }
            match (why, &self.shared.local) {
                (None, _) => Ok(()),
                (Some(reason), Some(local)) => {
                    tracing::debug!(?channel, count = left.len(), reason, "carried inside the process");
                    local.publish(&channel, left).await
                }
                (Some(reason), None) => Err(QueueError::Unavailable(reason)),
            }
        })
    }

    fn consume(&self, channel: &Channel, prefetch: u16) -> BoxFuture<'_, Result<Box<dyn Consumer>, QueueError>> {
        let channel = channel.clone();
        Box::pin(async move {
            let taker = consume::Taker::attach(&self.shared, &channel, prefetch).await?;
            Ok(Box::new(taker) as Box<dyn Consumer>)
        })
    }

    fn depth(&self, channel: &Channel) -> BoxFuture<'_, Result<usize, QueueError>> {
        let channel = channel.clone();
        Box::pin(async move {
            let queues = [true, false].map(|fresh| self.shared.topology.queue(&channel, fresh));
            let inside = match &self.shared.local {
                Some(local) => local.depth(&channel).await?,
                None => 0,
            };
            Ok(self.shared.gauge.read(queues).await.unwrap_or_default() + inside)
        })
    }

    fn resets(&self) -> watch::Receiver<u64> {
        self.shared.resets.subscribe()
    }

    fn trouble(&self) -> Option<String> {
        let connection = self.shared.publisher.trouble().or_else(|| self.shared.consuming.trouble());
        if let Some(reason) = connection {
            return Some(format!("RabbitMQ at {}: {reason}", self.shared.options.place()));
        }
        let troubles = lock(&self.shared.troubles);
        let (queue, reason) = troubles.first_key_value()?;
        Some(format!("RabbitMQ at {}: queue `{queue}` cannot be consumed: {reason}", self.shared.options.place()))
    }
}

impl Shared {
    /// Told when it begins.
    fn note_trouble(&self, queue: &ShortString, error: &lapin::Error) {
        let reason = error.to_string();
        if lock(&self.troubles).insert(queue.to_string(), reason.clone()).is_none() {
            tracing::warn!(%queue, reason, "a queue cannot be consumed; trying again");
        }
    }

    fn clear_trouble(&self, queue: &ShortString) {
        lock(&self.troubles).remove(queue.as_str());
    }
}

/// A task that ends with its owner.
struct Background(AbortHandle);

impl Background {
    fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task).abort_handle())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A panic elsewhere leaves what is locked here whole: every change is complete before the lock is released.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
