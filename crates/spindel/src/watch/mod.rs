//! Watching a running Spindel: whether it lives, whether it is ready, and figures for Prometheus.

mod figures;
mod process;
mod ready;
mod recorder;
#[cfg(test)]
mod tests;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use figures::Figures;
use http::{StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use ready::Readiness;
use spindel_engine::Engine;
use spindel_model::Clock;
use spindel_queue::Queue;
use spindel_store::Store;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What is watched.
pub struct Watched {
    pub engine: Arc<Engine>,
    pub store: Arc<dyn Store>,
    pub queue: Arc<dyn Queue>,
    /// The engine's.
    pub clock: Clock,
    pub node: String,
    /// This node takes webhooks.
    pub ingest: bool,
    /// Cancelled as soon as no more requests are to come here.
    pub stop: CancellationToken,
}

/// Shared by the routers of both ports, so that many questions cost one look.
pub struct Watch {
    readiness: Readiness,
    figures: Figures,
    recorder: PrometheusHandle,
}

impl Watch {
    pub fn new(watched: Watched) -> Arc<Self> {
        let recorder = recorder::install();
        Arc::new(Self { readiness: Readiness::of(&watched), figures: Figures::of(watched), recorder })
    }
}

/// From here on what happens is counted, and log lines name this node: to be called before anything happens.
pub fn begin(node: &str) {
    crate::log::name_node(node);
    recorder::install();
}

/// `/healthz` and `/readyz` for the port that strangers reach: they are told a status and nothing else.
pub fn public_router(watch: &Arc<Watch>) -> Router {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready_or_not)).with_state(Arc::clone(watch))
}

/// `/healthz`, `/readyz` with its reasons, and `/metrics`: for an address that only the operator's own machines reach.
pub fn admin_router(watch: &Arc<Watch>) -> Router {
    let router = Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).route("/metrics", get(metrics));
    router.with_state(Arc::clone(watch))
}

async fn alive() -> &'static str {
    "alive\n"
}

async fn ready_or_not(State(watch): State<Arc<Watch>>) -> Response {
    let ready = watch.readiness.report().await.ready;
    (status(ready), if ready { "ready\n" } else { "not ready\n" }).into_response()
}

async fn ready(State(watch): State<Arc<Watch>>) -> Response {
    let report = watch.readiness.report().await;
    (status(report.ready), Json(report)).into_response()
}

fn status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(watch): State<Arc<Watch>>) -> Response {
    watch.figures.refresh().await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], watch.recorder.render()).into_response()
}
