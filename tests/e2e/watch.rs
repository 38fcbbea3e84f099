//! What a machine sees that watches Spindel: health, readiness, figures, log lines.

use crate::world::{FLOWS, World, wait_for};
use reqwest::StatusCode;
use serde_json::Value;
use spindel_simulators::{fault::Fault, shopify::Options};
use std::{
    net::{SocketAddr, TcpListener},
    process::Command,
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(30);

/// A Spindel with an admin address, whose log is JSON.
async fn start() -> (World, SocketAddr) {
    let mut world = World::prepare(FLOWS, Options { retry_base: Duration::from_millis(20), ..Options::plus() }).await;
    let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = std::fs::read_to_string(world.config()).unwrap();
    let lines = config.lines().filter(|line| !line.starts_with("admin"));
    let config: Vec<String> = lines.map(|line| line.replace("[server]", &format!("[server]\nadmin = \"{admin}\""))).collect();
    std::fs::write(world.config(), config.join("\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_spindel"));
    command.args(["--log-format", "json"]);
    world.launch_with(command);
    (world, admin)
}

async fn ask(address: SocketAddr, path: &str) -> (StatusCode, String) {
    let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    let status = answer.status();
    (status, String::from_utf8(answer.bytes().await.unwrap().to_vec()).unwrap())
}

/// The sum of the series of a metric whose labels contain `label`.
fn figure(text: &str, metric: &str, label: &str) -> f64 {
    let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(metric) && line.contains(label));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
}

async fn wait_for_figure(admin: SocketAddr, metric: &str, label: &str, is: impl Fn(f64) -> bool) {
    let until = Instant::now() + LONG;
    loop {
        let (_, text) = ask(admin, "/metrics").await;
        if is(figure(&text, metric, label)) {
            return;
        }
        assert!(Instant::now() < until, "{metric} {label} in:\n{text}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_move_with_orders_and_every_log_line_can_be_searched() {
    let (world, admin) = start().await;
    for _ in 0..10 {
        world.pair.shop.place_random_order().unwrap();
    }
    world.pair.shop.flush().await;
    world.wait_until_clean(LONG).await;
    let forged = reqwest::Client::new().post(format!("http://{}/in/shop", world.address)).body("{}").send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::UNAUTHORIZED);
    ask(world.address, "/in/nobody").await;
    reqwest::Client::new().post(format!("http://{}/in/nobody", world.address)).body("{}").send().await.unwrap();
    std::fs::write(world.config(), "[nonsense]").unwrap();
    world.signal("HUP");
    wait_for("the refused reload in the log", LONG, || world.log().contains("not reloaded")).await;

    wait_for_figure(admin, "spindel_attempts_total", "outcome=\"delivered\"", |it| it >= 10.0).await;
    let (status, text) = ask(admin, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for (metric, label, least) in [
        ("spindel_events_accepted_total", "connection=\"shop\"", 10.0),
        ("spindel_events_planned_total", "state=\"planned\"", 10.0),
        ("spindel_events_rejected_total", "reason=\"bad_proof\"", 1.0),
        ("spindel_events_rejected_total", "connection=\"unknown\"", 1.0),
        ("spindel_delivery_latency_seconds_count", "to=\"erp\"", 10.0),
        ("spindel_ingest_seconds_count", "", 10.0),
        ("spindel_store_up", "", 1.0),
        ("spindel_queue_up", "", 1.0),
        ("spindel_info", "version=", 1.0),
        ("process_resident_memory_bytes", "", 1_000_000.0),
        ("process_open_fds", "", 5.0),
    ] {
        assert!(figure(&text, metric, label) >= least, "{metric} {label} in:\n{text}");
    }
    assert!(!text.contains("nobody"), "a stranger made a label");
    assert_eq!(ask(world.address, "/metrics").await.0, StatusCode::NOT_FOUND, "figures are not for strangers");

    let log = world.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect();
    let up = lines.iter().find(|line| line["message"].as_str().is_some_and(|it| it.starts_with("spindel is up"))).unwrap();
    for field in ["timestamp", "level", "node", "address", "flows", "version"] {
        assert!(!up[field].is_null(), "no `{field}` in {up}");
    }
    let rejected = lines.iter().find(|line| line["message"] == "request rejected").unwrap();
    assert_eq!((rejected["connection"].as_str(), rejected["status"].as_u64()), (Some("shop"), Some(401)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_away_shows_in_the_backlog_and_a_store_that_is_locked_in_readiness() {
    let (world, admin) = start().await;
    for address in [world.address, admin] {
        assert_eq!(ask(address, "/healthz").await.0, StatusCode::OK);
        assert_eq!(ask(address, "/readyz").await.0, StatusCode::OK);
    }
    let (_, ready) = ask(admin, "/readyz").await;
    let ready: Value = serde_json::from_str(&ready).unwrap();
    for (part, state) in [("store", "up"), ("queue", "up"), ("ingest", "up")] {
        assert_eq!(ready["parts"][part]["state"], state, "{ready}");
    }
    assert_eq!(ask(world.address, "/readyz").await.1, "ready\n", "strangers are told no more");

    world.pair.erp.faults().set(Some(Fault::Down));
    for _ in 0..20 {
        world.pair.shop.place_random_order().unwrap();
    }
    world.pair.shop.flush().await;
    wait_for_figure(admin, "spindel_breaker_open", "connection=\"erp\"", |it| it == 1.0).await;
    wait_for_figure(admin, "spindel_oldest_undelivered_seconds", "to=\"erp\"", |it| it > 0.0).await;
    let (_, text) = ask(admin, "/metrics").await;
    let waiting = figure(&text, "spindel_backlog_ready", "to=\"erp\"") + figure(&text, "spindel_backlog_delayed", "to=\"erp\"");
    assert!(waiting > 0.0, "{text}");
    assert!(figure(&text, "spindel_attempts_total", "outcome=\"transient\"") > 0.0, "{text}");

    // Whoever holds the file keeps every writer out.
    let database = world.folder.path().join("spindel.db");
    let held = rusqlite::Connection::open(&database).unwrap();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let until = Instant::now() + LONG;
    let refused = loop {
        let (status, text) = ask(admin, "/readyz").await;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            break text;
        }
        assert!(Instant::now() < until, "still ready: {text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused["parts"]["store"]["state"], "down", "{refused}");
    assert_eq!(refused["parts"]["queue"]["state"], "up", "{refused}");
    assert_eq!(ask(world.address, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(world.address, "/healthz").await.0, StatusCode::OK, "the process lives");
    held.execute_batch("ROLLBACK").unwrap();

    world.pair.erp.faults().set(None);
    world.wait_until_clean(LONG * 2).await;
    wait_for_figure(admin, "spindel_breaker_open", "connection=\"erp\"", |it| it == 0.0).await;
    assert_eq!(ask(admin, "/readyz").await.0, StatusCode::OK);
}
