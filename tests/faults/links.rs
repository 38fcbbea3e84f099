//! Ways to the services that are slow, narrow, or break again and again.

use crate::{EVERY, ORDERS, cluster::Cluster};
use rand::RngExt as _;
use spindel_testkit::proxy::{Cut, Mode, Trap};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_narrow_ways_delay_and_nothing_else() {
    let Some(cluster) = Cluster::start("slow and throttled links").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(20).await;
    cluster.nodes[0].ways().store.set(Mode::Delay(Duration::from_millis(20)));
    cluster.nodes[0].ways().broker.set(Mode::Throttle(16 * 1024));
    cluster.nodes[1].ways().store.set(Mode::Throttle(256 * 1024));
    cluster.nodes[1].ways().broker.set(Mode::Delay(Duration::from_millis(50)));
    let ways = || cluster.nodes.iter().flat_map(|node| [&node.ways().store, &node.ways().broker]);
    let before: Vec<u64> = ways().map(|way| way.counts().sent).collect();
    feed.reached(90).await;
    assert!(ways().zip(before).all(|(way, before)| way.counts().sent > before), "a way was slow for nobody");
    for node in &cluster.nodes {
        node.ways().store.set(Mode::Pass);
        node.ways().broker.set(Mode::Pass);
    }
    cluster.settle(feed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ways_that_break_again_and_again_cost_nothing() {
    let Some(mut cluster) = Cluster::start("links reset, finished and half-closed").await else { return };
    let opened = |cluster: &Cluster| -> u64 {
        cluster.opened(|ways| &ways.store).into_iter().chain(cluster.opened(|ways| &ways.broker)).sum()
    };
    let before = opened(&cluster);
    let mut feed = cluster.feed(ORDERS, EVERY);
    for round in 1..=18 {
        feed.reached(5 * round).await;
        let (node, what) = (cluster.rng.random_range(0..2), cluster.rng.random_range(0..8));
        let ways = cluster.nodes[node].ways();
        match what {
            0 => ways.store.cut(Cut::Reset),
            1 => ways.store.cut(Cut::Finish),
            2 => ways.store.half_close(),
            3 => ways.store.trap(Trap::Bytes(5_000), 1),
            4 => ways.broker.cut(Cut::Reset),
            5 => ways.broker.cut(Cut::Finish),
            6 => ways.broker.half_close(),
            _ => ways.broker.trap(Trap::Bytes(5_000), 1),
        }
    }
    cluster.settle(feed).await;
    // A trap that is set may be replaced before it is stepped into.
    let again = opened(&cluster) - before;
    assert!(again >= 9, "of eighteen breaks only {again} made anybody connect again");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_refuse_connections_for_a_while_are_found_again() {
    let Some(cluster) = Cluster::start("connections refused").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(30).await;
    let all = || cluster.nodes.iter().flat_map(|node| [&node.ways().store, &node.ways().broker]);
    for way in all() {
        way.set(Mode::Refuse);
        way.cut(Cut::Reset);
    }
    let before: Vec<u64> = all().map(|way| way.counts().connections).collect();
    feed.reached(60).await;
    assert!(all().zip(before).all(|(way, before)| way.counts().connections > before), "a way that nobody tried was refused");
    for way in all() {
        way.set(Mode::Pass);
    }
    cluster.settle(feed).await;
}
