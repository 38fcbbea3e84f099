//! How many messages wait at the broker, asked on one channel that is kept.

use super::{
    link::{Link, Live},
    topology::{Open, answered, is},
};
use lapin::{
    options::QueueDeclareOptions,
    protocol::AMQPSoftError,
    types::{FieldTable, ShortString},
};

pub(super) struct Gauge {
    link: Link,
    channel: tokio::sync::Mutex<Option<Open>>,
}

impl Gauge {
    pub fn new(link: Link) -> Self {
        Self { link, channel: tokio::sync::Mutex::default() }
    }

    /// Nothing when the broker does not say.
    pub async fn read(&self, queues: [ShortString; 2]) -> Option<usize> {
        let live = self.link.live().await.ok()?;
        let mut channel = self.channel.lock().await;
        let mut depth = 0;
        for queue in queues {
            match Self::ask(&live, &mut channel, queue).await {
                Ok(messages) => depth += messages,
                Err(error) => {
                    tracing::debug!(%error, "the broker does not say how deep a queue is");
                    *channel = None;
                    return None;
                }
            }
        }
        Some(depth)
    }

    async fn ask(live: &Live, channel: &mut Option<Open>, queue: ShortString) -> lapin::Result<usize> {
        let open = match channel.take().filter(|channel| channel.status().connected()) {
            Some(open) => open,
            None => Open::new(&live.connection).await?,
        };
        let options = QueueDeclareOptions::durable().passive();
        match answered(open.queue_declare(queue, options, FieldTable::default())).await {
            Ok(queue) => {
                *channel = Some(open);
                Ok(queue.message_count() as usize)
            }
            // It closes the channel, and holds nothing.
            Err(error) if is(&error, AMQPSoftError::NOTFOUND) => Ok(0),
            Err(error) => Err(error),
        }
    }
}
