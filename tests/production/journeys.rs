//! Journeys of a shop's day over two nodes.

use crate::cluster::{Cluster, Services, Shape, wait_for};
use spindel_testkit::proxy::Trap;
use std::{process::Command, time::Duration};

const EVERY: Duration = Duration::from_millis(10);

#[test]
fn the_demo_passes_on_postgresql_and_rabbitmq_with_two_nodes() {
    let Some(services) = Services::take() else { return };
    let database = format!("spindel_{}", uuid::Uuid::new_v4().simple());
    services.sql("postgres", &format!("create database {database}"));
    let store = format!("postgres://spindel:{}@{}/{database}", services.password, services.postgres);
    let queue = format!("amqp://spindel:{}@{}/%2F", services.password, services.amqp);
    let mut demo = Command::new(env!("CARGO_BIN_EXE_spindel"));
    demo.args(["--json", "demo", "--once", "--orders", "300", "--nodes", "2", "--listen", "127.0.0.1:0"]);
    let output = demo.args(["--store", &store, "--queue", &queue]).output().unwrap();
    services.sql("postgres", &format!("drop database {database} with (force)"));
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}{errors}");
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["clean"], true, "{report:#}");
    assert!(!format!("{printed}{errors}").contains(&services.password), "a password is printed");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_may_divide_the_work() {
    let Some(mut cluster) = Cluster::prepare(Shape::of("roles divided")).await else { return };
    cluster.nodes[0].arguments = roles("ingest");
    cluster.nodes[1].arguments = roles("worker,sync");
    cluster.launch().await;
    cluster.send_only_to(0);
    let feed = cluster.feed(300, EVERY);
    cluster.settle(feed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_carry_ids_and_nothing_of_what_a_customer_ordered() {
    let Some(mut cluster) = Cluster::prepare(Shape { nodes: 1, ..Shape::of("ids only") }).await else { return };
    cluster.nodes[0].arguments = roles("ingest");
    cluster.launch().await;
    let way = &cluster.nodes[0].ways().broker;
    // Every order has some.
    way.trap(Trap::Before(b"line_items".to_vec()), u64::MAX);
    let before = way.counts().sent;
    cluster.feed(200, EVERY).end().await;
    cluster.pair.shop.flush().await;
    wait_for("the announcements to wait in the broker", Duration::from_secs(20), async || {
        cluster.backend().queues().iter().map(|(_, messages)| messages).sum::<usize>() >= 200
    })
    .await;
    let counts = way.counts();
    let each = (counts.sent - before) / 200;
    assert_eq!(counts.trapped, 0, "an order went to the broker");
    assert!(each < 600, "{each} bytes for one announcement");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_wait_in_the_store_until_a_worker_comes() {
    let Some(mut cluster) = Cluster::prepare(Shape::of("workers come later")).await else { return };
    cluster.nodes[0].arguments = roles("ingest");
    cluster.nodes[1].arguments = roles("worker,sync");
    cluster.nodes[0].launch();
    cluster.nodes[0].listens().await;
    cluster.send_only_to(0);
    let feed = cluster.feed(300, EVERY);
    feed.done().await;
    cluster.pair.shop.flush().await;
    assert_eq!(cluster.pair.account().right, 0, "nobody could have carried anything");
    cluster.nodes[1].launch();
    cluster.settle(feed).await;
}

fn roles(roles: &str) -> Vec<String> {
    vec!["--roles".into(), roles.into()]
}
