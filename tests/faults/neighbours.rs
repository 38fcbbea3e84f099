//! Senders that dawdle, and a destination that takes calls and never answers.

use crate::{
    EVERY, ORDERS,
    cluster::{Cluster, wait_for},
};
use spindel_simulators::fault::Fault;
use std::{net::SocketAddr, time::Duration};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet};

const DAWDLERS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_dawdle_hold_back_no_other() {
    let Some(cluster) = Cluster::start("slow-loris senders").await else { return };
    // In the set, so that they end with the test.
    let mut dawdlers = JoinSet::new();
    for number in 0..DAWDLERS {
        dawdlers.spawn(dawdle(cluster.nodes[number % 2].address));
    }
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(20).await;
    while dawdlers.try_join_next().is_some() {}
    assert!(dawdlers.len() > DAWDLERS / 2, "only {} still dawdle", dawdlers.len());
    cluster.settle(feed).await;
    wait_for("every dawdler to be sent away", Duration::from_secs(60), async || {
        while dawdlers.try_join_next().is_some() {}
        dawdlers.is_empty()
    })
    .await;
}

/// One byte at a time, in the headers or in the body, until the other end has had enough.
async fn dawdle(node: SocketAddr) {
    let mut stream = TcpStream::connect(node).await.unwrap();
    let headers = "POST /in/shop HTTP/1.1\r\nHost: spindel\r\nContent-Length: 100000\r\n";
    if stream.write_all(headers.as_bytes()).await.is_err() {
        return;
    }
    if rand::random() && stream.write_all(b"\r\n").await.is_err() {
        return;
    }
    while stream.write_all(b"X").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_hangs_is_waited_out() {
    let Some(cluster) = Cluster::start("destination hangs").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(20).await;
    cluster.pair.erp.faults().set(Some(Fault::Slow(Duration::from_secs(3600))));
    feed.reached(80).await;
    cluster.pair.erp.faults().set(None);
    assert!(cluster.pair.erp.faults().counts().values().sum::<u64>() > 0, "nobody was left hanging");
    cluster.settle(feed).await;
}
