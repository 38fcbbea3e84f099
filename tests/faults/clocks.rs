//! A machine whose clock jumps by an hour, forward and back.

use crate::{
    EVERY, ORDERS,
    cluster::{Cluster, Node, Shape},
};
use std::{fs::File, os::unix::fs::FileExt as _, process::Command};

const HOUR: i64 = 3600;

#[tokio::test(flavor = "multi_thread")]
async fn one_nodes_clock_jumps_and_nothing_is_lost() {
    let Some(mut cluster) = Cluster::prepare(Shape::of("clock of one node jumps an hour")).await else { return };
    let Some(clock) = Clock::of(&mut cluster.nodes[0]) else { return };
    cluster.launch().await;
    jump_about(cluster, clock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_nodes_clock_jumps_and_nothing_is_lost() {
    let mut cluster = Cluster::embedded("embedded: clock jumps an hour").await;
    let Some(clock) = Clock::of(&mut cluster.nodes[0]) else { return };
    cluster.launch().await;
    jump_about(cluster, clock).await;
}

async fn jump_about(cluster: Cluster, clock: Clock) {
    let loaded = std::fs::read_to_string(format!("/proc/{}/maps", cluster.nodes[0].pid())).unwrap();
    assert!(loaded.contains("libclock.so"), "the node does not read our clock");
    let mut feed = cluster.feed(ORDERS, EVERY * 2);
    for (percent, offset) in [(10, HOUR), (40, 0), (60, -HOUR), (90, 0)] {
        feed.reached(percent).await;
        clock.set(offset);
    }
    cluster.settle(feed).await;
}

/// What a node takes for the time of day, while it runs.
struct Clock(File);

impl Clock {
    /// Puts the node's clock into our hand; it must not run yet.
    #[allow(clippy::print_stderr)]
    fn of(node: &mut Node) -> Option<Self> {
        if !cfg!(target_os = "linux") {
            eprintln!("left out: the clock of a single process can only be moved on Linux");
            return None;
        }
        let (library, offset) = (node.folder.join("libclock.so"), node.folder.join("clock"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/faults/clock.c");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status().unwrap();
        assert!(compiled.success(), "{source} does not compile");
        let clock = Self(File::create(&offset).unwrap());
        clock.set(0);
        let settings = [("LD_PRELOAD", library), ("CLOCK_OFFSET", offset)];
        node.environment.extend(settings.map(|(name, value)| (name.to_owned(), value.display().to_string())));
        Some(clock)
    }

    /// Seconds beside the machine's.
    fn set(&self, offset: i64) {
        self.0.write_all_at(&offset.to_ne_bytes(), 0).unwrap();
    }
}
