//! A database that is killed, throws its clients out, makes them wait, or is gone in the middle of a commit.

use crate::{EVERY, ORDERS, OUTAGE, cluster::Cluster};
use spindel_testkit::proxy::Trap;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_database_loses_nothing_that_was_acknowledged() {
    let Some(cluster) = Cluster::start("PostgreSQL killed").await else { return };
    let before = cluster.opened(|ways| &ways.store);
    let mut feed = cluster.feed(ORDERS, EVERY);
    for round in 1..=2 {
        feed.reached(30 * round).await;
        cluster.services().run(&["kill", "postgres"]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        cluster.services().run(&["start", "postgres"]);
    }
    cluster.settle(feed).await;
    cluster.opened_again(|ways| &ways.store, &before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_database_costs_nothing() {
    let Some(cluster) = Cluster::start("PostgreSQL restarted").await else { return };
    let before = cluster.opened(|ways| &ways.store);
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(40).await;
    cluster.services().run(&["restart", "postgres"]);
    cluster.settle(feed).await;
    cluster.opened_again(|ways| &ways.store, &before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn terminated_backends_are_replaced() {
    let Some(cluster) = Cluster::start("PostgreSQL backends terminated").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    for round in 1..=9 {
        feed.reached(10 * round).await;
        let database = &cluster.backend().database;
        let terminate = format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{database}'");
        let gone: u32 = cluster.services().sql("postgres", &terminate).parse().unwrap();
        assert!(gone > 0, "nobody was connected");
    }
    cluster.settle(feed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_time_out_behind_a_lock_cost_nothing() {
    let Some(cluster) = Cluster::start("lock and statement timeouts").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(30).await;
    let cancelled = std::thread::scope(|scope| {
        let locked = scope.spawn(|| cluster.backend().sql(LOCK_ALL));
        let mut cancelled = 0;
        // To a client a statement that is cancelled looks like one that ran out of time.
        while !locked.is_finished() {
            cancelled += cluster.backend().sql(CANCEL_ALL).parse::<u32>().unwrap();
            std::thread::sleep(Duration::from_millis(300));
        }
        cancelled
    });
    assert!(cancelled > 0, "nobody waited behind the lock");
    feed.reached(70).await;
    cluster.backend().sql(LOCK_ALL);
    cluster.settle(feed).await;
}

/// Nobody reads or writes any table for longer than a statement may wait. Of two that wait for each other it is never this one
/// that gives way.
const LOCK_ALL: &str = "set deadlock_timeout = '60s';
    do $$ declare it record; begin
      for it in select schemaname, tablename from pg_tables
                where schemaname not in ('pg_catalog', 'information_schema') order by tablename loop
        execute format('lock table %I.%I in access exclusive mode', it.schemaname, it.tablename);
      end loop;
      perform pg_sleep(7);
    end $$";

const CANCEL_ALL: &str = "select count(pg_cancel_backend(pid)) from pg_stat_activity
    where datname = current_database() and state = 'active' and query !~ 'pg_sleep|pg_cancel_backend'";

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_around_the_commit_lose_and_double_nothing() {
    let Some(cluster) = Cluster::start("connections cut around a COMMIT").await else { return };
    let mut feed = cluster.feed(ORDERS, EVERY);
    for round in 1..=8 {
        feed.reached(10 * round).await;
        for node in &cluster.nodes {
            let commit = b"COMMIT".to_vec();
            node.ways().store.trap(if round % 2 == 0 { Trap::Before(commit) } else { Trap::After(commit) }, 3);
        }
    }
    tokio::time::sleep(OUTAGE).await;
    cluster.settle(feed).await;
    let cut: u64 = cluster.nodes.iter().map(|node| node.ways().store.counts().trapped).sum();
    assert!(cut >= 16, "only {cut} connections were cut around a COMMIT");
}
