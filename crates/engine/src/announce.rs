//! Tells the queue what is ready, in batches, so that nobody waits for the broker's word. What gets lost on this way is
//! announced again by the sweepers.

use futures::future::join_all;
use spindel_queue::{Channel, Message, Queue};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Notes that may wait; what does not fit is left to the sweepers.
const WAITING: usize = 20_000;
/// Notes that are published together.
const TOGETHER: usize = 500;
/// Batches that may wait for the queue's word at once.
const IN_FLIGHT: u32 = 4;

enum Note {
    Ready(Channel, Vec<Message>),
    Flush(oneshot::Sender<()>),
}

pub(crate) struct Announcer(mpsc::Sender<Note>);

impl Announcer {
    /// Starts the task that publishes; it ends with the announcer.
    pub fn start(queue: Arc<dyn Queue>) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(publish(queue, receiver));
        Self(sender)
    }

    pub fn announce(&self, channel: Channel, messages: Vec<Message>) {
        if self.0.try_send(Note::Ready(channel, messages)).is_err() {
            tracing::debug!("too much to announce at once; the sweeper does it later");
        }
    }

    /// Resolves when what was announced before has reached the queue, or was refused by it.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.0.send(Note::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

async fn publish(queue: Arc<dyn Queue>, mut receiver: mpsc::Receiver<Note>) {
    let slots = Arc::new(Semaphore::new(IN_FLIGHT as usize));
    let mut notes = Vec::with_capacity(TOGETHER);
    // The slot first: while all are taken, the next batch grows.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        if receiver.recv_many(&mut notes, TOGETHER).await == 0 {
            return;
        }
        let mut batches: BTreeMap<Channel, Vec<Message>> = BTreeMap::new();
        let mut flushes = Vec::new();
        for note in notes.drain(..) {
            match note {
                Note::Ready(channel, messages) => batches.entry(channel).or_default().extend(messages),
                Note::Flush(done) => flushes.push(done),
            }
        }
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            join_all(batches.into_iter().map(|(channel, messages)| hand_over(&queue, channel, messages))).await;
            drop(slot);
        });
        // Here and not beside the loop, which holds a slot while it waits for more.
        if !flushes.is_empty() && slots.acquire_many(IN_FLIGHT).await.is_ok() {
            for done in flushes {
                let _ = done.send(());
            }
        }
    }
}

async fn hand_over(queue: &Arc<dyn Queue>, channel: Channel, messages: Vec<Message>) {
    if let Err(error) = queue.publish(&channel, messages).await {
        tracing::debug!(%error, ?channel, "not announced; the sweeper does it later");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spindel_model::EventId;
    use spindel_queue::{Embedded, Work};
    use std::time::Duration;

    #[tokio::test]
    async fn a_flush_ends_when_everything_has_reached_the_queue() {
        let queue = Arc::new(Embedded::new());
        let announcer = Announcer::start(Arc::clone(&queue) as Arc<dyn Queue>);
        for _ in 0..2 {
            announcer.announce(Channel::Plan, vec![Message { work: Work::Plan(EventId::new()), fresh: true }]);
            tokio::time::timeout(Duration::from_secs(10), announcer.flush()).await.expect("the flush ends");
        }
        assert_eq!(queue.depth(&Channel::Plan).await.unwrap(), 2);
    }
}
