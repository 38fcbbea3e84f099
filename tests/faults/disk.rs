//! A disk that is full: under the embedded store, and under PostgreSQL.

use crate::{
    EVERY, ORDERS,
    cluster::{Cluster, wait_for},
};
use std::{os::unix::fs::MetadataExt as _, path::Path, process::Command, time::Duration};

/// Files must not grow beyond this, in KiB; a write beyond it fails as on a full disk. More than a segment of PostgreSQL's log.
const LIMIT_KIB: u32 = 20 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_embedded_store_loses_nothing() {
    let mut cluster = Cluster::embedded("embedded: disk full").await;
    cluster.nodes[0].prelude = Some(format!("trap '' XFSZ; ulimit -S -f {LIMIT_KIB}"));
    cluster.launch().await;
    // The small ones fill what the large ones left.
    fill(&cluster, &[8_000, 100]).await;
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(50).await;
    limit(cluster.nodes[0].pid(), "unlimited");
    accepts_again(&cluster).await;
    cluster.settle(feed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_postgresql_loses_nothing() {
    let Some(cluster) = Cluster::start("PostgreSQL: disk full").await else { return };
    let server = postmaster(&cluster);
    // Those that it has started, and those that it will start.
    for pid in backends(&cluster).into_iter().chain([server]) {
        limit(pid, &(LIMIT_KIB * 1024).to_string());
    }
    // Large bodies lie in a file of their own; the small ones beside them may still have room.
    fill(&cluster, &[8_000]).await;
    let mut feed = cluster.feed(ORDERS, EVERY);
    feed.reached(50).await;
    for pid in backends(&cluster).into_iter().chain([server]) {
        limit(pid, "unlimited");
    }
    accepts_again(&cluster).await;
    cluster.settle(feed).await;
}

fn postmaster(cluster: &Cluster) -> u32 {
    let file =
        cluster.services().sql("postgres", "select setting || '/postmaster.pid' from pg_settings where name = 'data_directory'");
    std::fs::read_to_string(file).unwrap().lines().next().unwrap().parse().unwrap()
}

fn backends(cluster: &Cluster) -> Vec<u32> {
    let database = &cluster.backend().database;
    let pids = cluster.services().sql("postgres", &format!("select pid from pg_stat_activity where datname = '{database}'"));
    pids.lines().map(|pid| pid.parse().unwrap()).collect()
}

/// The largest file that a process may write, set by its own user: not even root may everywhere. One that is gone needs no limit.
fn limit(pid: u32, bytes: &str) {
    let Ok(owner) = std::fs::metadata(format!("/proc/{pid}")) else { return };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", owner.uid())).arg(format!("--regid={}", owner.gid())).arg("--clear-groups");
    if owner.uid() == std::fs::metadata("/proc/self").unwrap().uid() {
        command = Command::new("env");
    }
    let set = command.args(["prlimit", "--pid", &pid.to_string(), &format!("--fsize={bytes}:unlimited")]).output().unwrap();
    let gone = !Path::new(&format!("/proc/{pid}")).exists();
    assert!(set.status.success() || gone, "{}", String::from_utf8_lossy(&set.stderr));
}

/// Webhooks of no consequence of these sizes, until twenty in a row are answered with 503.
async fn fill(cluster: &Cluster, sizes: &[usize]) {
    let mut number = 0;
    for &words in sizes {
        let mut refused = 0;
        while refused < 20 {
            number += 1;
            let answer = cluster.post(0, filler(number, words)).await;
            match answer.status {
                200 => refused = 0,
                503 => refused += 1,
                other => panic!("HTTP {other}"),
            }
            assert!(answer.status == 200 || answer.retry_after);
            assert!(number < 10_000, "the disk was never full");
        }
    }
}

async fn accepts_again(cluster: &Cluster) {
    wait_for("a 200 after there is room again", Duration::from_secs(60), async || {
        cluster.post(0, r#"{"id":1}"#.into()).await.status == 200
    })
    .await;
}

/// JSON with text that does not compress away.
fn filler(number: u64, words: usize) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    };
    let text: String = std::iter::repeat_with(&mut next).take(words).collect();
    format!(r#"{{"id":{number},"filler":"{text}"}}"#)
}
