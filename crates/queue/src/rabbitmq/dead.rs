//! Watches what was delivered too often and never acknowledged: told and counted once, then let go. Its state is in the
//! store, from where it is announced again.

use super::{Shared, feed, link::Live, topology::Open, wire};
use crate::Work;
use futures::StreamExt as _;
use lapin::options::BasicAckOptions;
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

const WAIT: Duration = Duration::from_secs(2);
const PREFETCH: u16 = 50;

pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        let live = shared.consuming.up().await;
        match take(&shared, &live).await {
            Ok(()) => shared.clear_trouble(&shared.topology.dead()),
            Err(error) if live.is_up() => shared.note_trouble(&shared.topology.dead(), &error),
            Err(_) => {}
        }
        tokio::time::sleep(WAIT).await;
    }
}

async fn take(shared: &Shared, live: &Live) -> lapin::Result<()> {
    let channel = Open::new(&live.connection).await?;
    shared.topology.declare(&channel).await?;
    let mut consumer = feed::consume(&channel, &shared.topology.dead(), PREFETCH).await?;
    shared.clear_trouble(&shared.topology.dead());
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let id = match wire::decode(&delivery.data) {
            Some(Work::Plan(id)) => id.to_string(),
            Some(Work::Deliver(id)) => id.to_string(),
            None => "unreadable".into(),
        };
        tracing::warn!(queue = %delivery.routing_key, id, "a message came back too often and was set aside; its work is announced again");
        metrics::counter!("spindel_queue_dead_letters_total").increment(1);
        shared.dead_letters.fetch_add(1, Ordering::Relaxed);
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}
