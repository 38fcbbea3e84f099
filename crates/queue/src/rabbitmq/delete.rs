//! Takes everything of ours away from the broker: for a demo, which keeps nothing.

use super::{
    RabbitMq,
    topology::{Open, answered},
};
use crate::{Channel, QueueError};
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use std::time::Duration;

/// To reach a broker that was there a moment ago.
const TRIES: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

impl RabbitMq {
    /// Deletes the queues of these channels, those of dead messages, and the exchanges.
    pub async fn delete(self, channels: &[Channel]) -> Result<(), QueueError> {
        let Self { shared, _dead: watching } = self;
        // Whoever watches a queue declares it again.
        drop(watching);
        let mut tries = 0;
        let live = loop {
            match shared.consuming.live().await {
                Ok(live) => break live,
                Err(_) if tries < TRIES => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(QueueError::Unavailable(error.to_string())),
            }
            tries += 1;
        };
        let topology = &shared.topology;
        let delete = async {
            let channel = Open::new(&live.connection).await?;
            let queues = channels.iter().flat_map(|channel| [true, false].map(|fresh| topology.queue(channel, fresh)));
            for queue in queues.chain([topology.dead()]) {
                answered(channel.queue_delete(queue, QueueDeleteOptions::default())).await?;
            }
            for exchange in [topology.work(), topology.dead()] {
                answered(channel.exchange_delete(exchange, ExchangeDeleteOptions::default())).await?;
            }
            lapin::Result::Ok(())
        };
        delete.await.map_err(|error| QueueError::Unavailable(error.to_string()))
    }
}
