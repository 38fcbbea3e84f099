//! A broker that is restarted, killed, wiped, robbed of its queues, throws its clients out, or takes no more messages.

use crate::{
    EVERY, ORDERS, OUTAGE,
    cluster::{Cluster, Shape, wait_for},
};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_restarted_costs_nothing() {
    let Some(cluster) = Cluster::start("broker restarted").await else { return };
    let before = cluster.opened(|ways| &ways.broker);
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(30).await;
    cluster.services().run(&["restart", "rabbitmq"]);
    cluster.settle(feed).await;
    cluster.opened_again(|ways| &ways.broker, &before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_dead_webhooks_are_accepted_and_nothing_is_lost() {
    let Some(cluster) = Cluster::start("broker killed").await else { return };
    let opened = cluster.opened(|ways| &ways.broker);
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(30).await;
    cluster.services().run(&["kill", "rabbitmq"]);
    let before = cluster.pair.shop.sent().acknowledged;
    wait_for("webhooks accepted without a broker", Duration::from_secs(20), async || {
        cluster.pair.shop.sent().acknowledged > before + 200
    })
    .await;
    cluster.services().run(&["start", "rabbitmq"]);
    cluster.settle(feed).await;
    cluster.opened_again(|ways| &ways.broker, &opened, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_broker_is_filled_again_from_the_store() {
    let shape = Shape { own_vhost: false, ..Shape::of("broker wiped") };
    let Some(mut cluster) = Cluster::prepare(shape).await else { return };
    cluster.launch().await;
    let before = cluster.opened(|ways| &ways.broker);
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(50).await;
    cluster.services().run(&["wipe", "rabbitmq"]);
    cluster.settle(feed).await;
    cluster.opened_again(|ways| &ways.broker, &before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_queues_are_declared_and_filled_again() {
    let Some(cluster) = Cluster::start("queues deleted").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    for round in 1..=3 {
        feed.reached(25 * round).await;
        let queues = cluster.backend().queues();
        assert!(!queues.is_empty(), "there is nothing to delete");
        for (queue, _) in queues {
            cluster.services().rabbitmqctl(&["delete_queue", "-p", &cluster.backend().vhost, &queue]);
        }
    }
    cluster.settle(feed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_closed_by_the_broker_are_opened_again() {
    let Some(cluster) = Cluster::start("connections closed by the broker").await else { return };
    let before = cluster.opened(|ways| &ways.broker);
    let mut feed = cluster.feed(ORDERS, EVERY);
    for round in 1..=6 {
        feed.reached(14 * round).await;
        cluster.services().rabbitmqctl(&["close_all_connections", "-p", &cluster.backend().vhost, "tested"]);
    }
    cluster.settle(feed).await;
    cluster.opened_again(|ways| &ways.broker, &before, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_blocks_its_publishers_blocks_no_webhook() {
    let Some(cluster) = Cluster::start("connections blocked by a memory alarm").await else { return };
    let alarm = Alarm::raise(&cluster);
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(30).await;
    wait_for("webhooks accepted while the broker is blocked", Duration::from_secs(20), async || {
        cluster.pair.shop.sent().acknowledged > 200
    })
    .await;
    for node in 0..2 {
        wait_for("a node that knows it", Duration::from_secs(20), async || cluster.parts(node).await["queue"]["state"] != "up")
            .await;
    }
    tokio::time::sleep(OUTAGE).await;
    drop(alarm);
    cluster.settle(feed).await;
}

/// RabbitMQ believes that it has no memory left, until this is dropped.
struct Alarm<'a>(&'a Cluster);

impl<'a> Alarm<'a> {
    fn raise(cluster: &'a Cluster) -> Self {
        cluster.services().rabbitmqctl(&["set_vm_memory_high_watermark", "0"]);
        Self(cluster)
    }
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.services().rabbitmqctl(&["set_vm_memory_high_watermark", "0.6"]);
    }
}
