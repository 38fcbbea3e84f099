//! Nodes that die, that are replaced, and that stand still.

use crate::{EVERY, ORDERS, OUTAGE, cluster::Cluster};
use rand::RngExt as _;
use std::{process::Command, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_killed_at_random_lose_and_double_nothing() {
    let Some(mut cluster) = Cluster::start("node killed").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    for kill in 1..=8 {
        feed.reached(kill * 10).await;
        tokio::time::sleep(Duration::from_millis(cluster.rng.random_range(0..500))).await;
        let both = cluster.rng.random_bool(0.25);
        let chosen = cluster.rng.random_range(0..2);
        for number in (0..2).filter(|number| both || *number == chosen) {
            cluster.nodes[number].kill();
        }
        for number in (0..2).filter(|number| both || *number == chosen) {
            cluster.nodes[number].launch();
            cluster.nodes[number].listens().await;
        }
    }
    cluster.settle(feed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_and_doubles_nothing() {
    let Some(mut cluster) = Cluster::start("rolling restart").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    for restart in 0..4 {
        feed.reached(10 + restart * 20).await;
        let node = &mut cluster.nodes[restart % 2];
        node.stop().await;
        node.launch();
        node.listens().await;
    }
    cluster.settle(feed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stands_still_and_wakes_up_again_doubles_nothing() {
    let Some(cluster) = Cluster::start("node frozen").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    for (freeze, node) in [0, 1, 0].into_iter().enumerate() {
        feed.reached(10 + freeze * 30).await;
        cluster.nodes[node].signal("STOP");
        tokio::time::sleep(OUTAGE).await;
        assert!(stands_still(cluster.nodes[node].pid()), "it ran on");
        cluster.nodes[node].signal("CONT");
    }
    cluster.settle(feed).await;
}

fn stands_still(pid: u32) -> bool {
    let asked = Command::new("ps").args(["-o", "state=", "-p", &pid.to_string()]).output().unwrap();
    String::from_utf8_lossy(&asked.stdout).trim_start().starts_with('T')
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_never_comes_back_leaves_its_work_to_the_other() {
    let Some(mut cluster) = Cluster::start("node gone for good").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(50).await;
    cluster.nodes[0].kill();
    cluster.settle(feed).await;
}
