//! Networks that part a node from the broker, or from the store.

use crate::{EVERY, ORDERS, OUTAGE, cluster::Cluster};
use spindel_testkit::proxy::{Mode, Proxy};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_parted_from_the_broker_goes_on_taking_webhooks() {
    let Some(cluster) = Cluster::start("partition between node and broker").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    for (round, node) in [0, 1].into_iter().enumerate() {
        feed.reached(20 + 30 * round).await;
        let way = &cluster.nodes[node].ways().broker;
        let frozen = freeze(way).await;
        let begun = Instant::now();
        while begun.elapsed() < OUTAGE {
            let answer = cluster.post(node, body()).await;
            assert_eq!(answer.status, 200, "a node without its broker refuses webhooks:\n{}", cluster.nodes[node].log());
        }
        assert_eq!(passed(way), frozen, "they were not parted");
        way.set(Mode::Pass);
    }
    cluster.settle(feed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_parted_from_the_store_say_so_at_once_and_do_not_grow() {
    let Some(cluster) = Cluster::start("partition between nodes and store").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(30).await;
    let before: Vec<u64> = cluster.nodes.iter().map(|node| node.resident()).collect();
    cluster.nodes.iter().for_each(|node| node.ways().store.set(Mode::Freeze));
    let begun = Instant::now();
    let mut refused = 0;
    while begun.elapsed() < OUTAGE * 2 {
        for node in 0..2 {
            let answer = cluster.post(node, body()).await;
            assert!(answer.status == 503 && answer.retry_after, "without a store: {answer:?}");
            assert!(answer.took < Duration::from_secs(2), "without a store: {answer:?}");
            refused += 1;
        }
    }
    let after: Vec<u64> = cluster.nodes.iter().map(|node| node.resident()).collect();
    cluster.nodes.iter().for_each(|node| node.ways().store.set(Mode::Pass));
    assert!(refused > 2);
    for (before, after) in before.iter().zip(&after) {
        assert!(after.saturating_sub(*before) < 48, "grew from {before} to {after} MiB while the store was out of reach");
    }
    cluster.settle(feed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_parted_from_the_store_leaves_the_work_to_the_other() {
    let Some(cluster) = Cluster::start("partition between one node and store").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(30).await;
    let way = &cluster.nodes[1].ways().store;
    let frozen = freeze(way).await;
    feed.reached(80).await;
    assert_eq!(passed(way), frozen, "they were not parted");
    way.set(Mode::Pass);
    cluster.settle(feed).await;
}

/// Nothing passes any more; answers what had until then.
async fn freeze(way: &Proxy) -> (u64, u64) {
    way.set(Mode::Freeze);
    // What was on its way.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(passed(way) > (0, 0), "nobody had gone this way");
    passed(way)
}

fn passed(way: &Proxy) -> (u64, u64) {
    (way.counts().sent, way.counts().received)
}

/// Never the same twice.
fn body() -> String {
    format!(r#"{{"id":{}}}"#, rand::random::<u64>())
}
