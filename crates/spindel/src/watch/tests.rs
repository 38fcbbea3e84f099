//! What is shown to Prometheus: lines that it can read, and no more of them than the config has names.

use super::recorder;
use axum::{body::Body, extract::Request};
use http::StatusCode;
use spindel_connect::{BoxFuture, Secret};
use spindel_ingest::{Bodies, Ingest, Inlet, Sources, Trust};
use spindel_model::Clock;
use spindel_store::{Options, SqliteStore};
use std::{collections::BTreeSet, sync::Arc};
use tower::ServiceExt as _;

/// An ingest with one connection, `sink`.
fn ingest(folder: &std::path::Path) -> Ingest {
    let settings =
        serde_json::json!({ "receive": { "scheme": "token", "header": "x-token", "secrets": "t", "topic": "order.deleted" } });
    let (connection, _) = (spindel_catalog::find("webhook").unwrap().connect)(settings).unwrap();
    Ingest {
        store: SqliteStore::open(folder.join("spindel.db"), Options { encryption_key: None }).unwrap(),
        inlets: Arc::new(move |name| {
            let connection = Arc::clone(&connection);
            (name == "sink").then_some(Inlet { connection, body_limit: 1024, insecure_accept_unsigned: false })
        }),
        announce: Arc::new(|_| {}),
        clock: Clock::system(),
        wall: Clock::system(),
        noted: Arc::default(),
        bodies: Bodies::default(),
        public_url: None,
        trust: Arc::new(Trust::new(Arc::new(Nothing))),
    }
}

/// No vendor gave a secret or publishes a key.
struct Nothing;

impl Sources for Nothing {
    fn secrets<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<Secret>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn published_key<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<String>, String>> {
        Box::pin(async { Ok(None) })
    }
}

fn request(name: &str, token: &str, body: &str) -> Request {
    Request::post(format!("/in/{name}")).header("x-token", token).body(Body::from(body.to_owned())).unwrap()
}

/// Metric and labels of a sample line; panics over a line that is none.
fn sample(line: &str) -> (&str, &str) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    assert!(value.parse::<f64>().is_ok(), "no number: {line}");
    let (name, labels) = series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.strip_suffix('}').unwrap()));
    let is_name = |text: &str| !text.is_empty() && text.chars().all(|it| it.is_ascii_alphanumeric() || it == '_');
    assert!(is_name(name), "no name: {line}");
    for label in labels.split("\",").filter(|label| !label.is_empty()) {
        let (key, value) = label.split_once("=\"").unwrap_or_else(|| panic!("no label: {line}"));
        assert!(is_name(key) && !value.contains('\n'), "no label: {line}");
    }
    (name, labels)
}

#[tokio::test]
async fn strangers_make_no_labels_and_every_line_can_be_read() {
    let recorder = recorder::new();
    let handle = recorder.handle();
    let _here = metrics::set_default_local_recorder(&recorder);
    recorder::describe();
    let folder = tempfile::tempdir().unwrap();
    let router = spindel_ingest::routes(ingest(folder.path()));
    let status = async |request: Request| router.clone().oneshot(request).await.unwrap().status();

    for number in 0..1000 {
        let name = format!("x{number}%22%7D%0A{}", "y".repeat(number % 50));
        assert_eq!(status(request(&name, "t", "{}")).await, StatusCode::NOT_FOUND);
    }
    assert_eq!(status(request("sink", "wrong", "{}")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(request("sink", "t", &"x".repeat(2000))).await, StatusCode::PAYLOAD_TOO_LARGE);
    for _ in 0..3 {
        assert_eq!(status(request("sink", "t", r#"{"id":"7"}"#)).await, StatusCode::OK);
    }

    let text = handle.render();
    let mut series = BTreeSet::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with("# HELP ") && !line.starts_with("# TYPE ")) {
        let (name, labels) = sample(line);
        assert!(series.insert((name, labels)), "twice: {line}");
    }
    assert!(series.len() < 60, "{text}");
    for line in [
        "spindel_events_rejected_total{connection=\"unknown\",reason=\"unknown_connection\"} 1000",
        "spindel_events_rejected_total{connection=\"sink\",reason=\"bad_proof\"} 1",
        "spindel_events_rejected_total{connection=\"sink\",reason=\"too_large\"} 1",
        "spindel_events_accepted_total{connection=\"sink\"} 1",
        "spindel_events_duplicate_total{connection=\"sink\"} 2",
        "spindel_ingest_seconds_count 1005",
    ] {
        assert!(text.lines().any(|it| it == line), "`{line}` is not in:\n{text}");
    }
}
