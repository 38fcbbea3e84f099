//! The one recorder of this process: what is counted, how it is described, and the limits of its histograms.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::{sync::OnceLock, time::Duration};

/// From an answer out of memory to a delivery that waited ten minutes, in seconds.
const BUCKETS: [f64; 18] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Installs the recorder; a second call answers the same.
pub fn install() -> PrometheusHandle {
    static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let recorder = new();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_ok() {
            describe();
            begin_at_zero();
            keep_small(handle.clone());
        }
        handle
    });
    installed.clone()
}

/// Prometheus sees no increase in what it has not seen before, so the first of what should never be would go unnoticed.
fn begin_at_zero() {
    counter!("spindel_queue_dead_letters_total").increment(0);
    counter!("spindel_queue_unreadable_messages_total").increment(0);
    counter!("spindel_events_planned_total", "state" => "quarantined").increment(0);
}

pub fn new() -> PrometheusRecorder {
    // Only an empty list is refused.
    PrometheusBuilder::new().set_buckets(&BUCKETS).unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder()
}

/// Samples of histograms wait in memory until they are counted; who never asks for the figures must not fill it.
fn keep_small(handle: PrometheusHandle) {
    let upkeep = move || loop {
        std::thread::sleep(UPKEEP_EVERY);
        handle.run_upkeep();
    };
    if let Err(error) = std::thread::Builder::new().name("metrics".into()).spawn(upkeep) {
        tracing::warn!(%error, "metrics take more and more memory until somebody asks for them");
    }
}

pub fn describe() {
    describe_counter!("spindel_events_accepted_total", "Events that were committed: webhooks, and changes found by polling");
    describe_counter!("spindel_events_rejected_total", "Requests that were not accepted, by reason");
    describe_counter!("spindel_events_duplicate_total", "Webhooks that had come before, and had no second effect");
    describe_counter!("spindel_events_planned_total", "Events that were planned, by what came of it");
    describe_counter!("spindel_attempts_total", "Attempts of deliveries, by error class or by the state they led to");
    describe_histogram!(
        "spindel_delivery_latency_seconds",
        Unit::Seconds,
        "From the acceptance of an event to its arrival at a destination, a flow's own lag included"
    );
    describe_histogram!("spindel_ingest_seconds", Unit::Seconds, "From the headers of a webhook to its answer");
    describe_gauge!("spindel_backlog_ready", "Deliveries that could run now; no more than 10000 are counted");
    describe_gauge!("spindel_backlog_delayed", "Deliveries that wait for their time; no more than 10000 are counted");
    describe_gauge!("spindel_oldest_undelivered_seconds", Unit::Seconds, "Age of the oldest delivery that has not ended");
    describe_gauge!("spindel_oldest_unplanned_seconds", Unit::Seconds, "Age of the oldest event that is not planned yet");
    describe_gauge!("spindel_queue_depth", "Messages that wait in a channel of the queue");
    describe_counter!("spindel_queue_dead_letters_total", "Messages that came back too often and were set aside by the broker");
    describe_counter!("spindel_queue_unreadable_messages_total", "Messages of the queue that could not be read");
    describe_counter!("spindel_disputes_total", "Payments that buyers or their banks disputed");
    describe_counter!("spindel_authorizations_expiring_total", "Authorisations that were about to lapse uncaptured");
    describe_counter!("spindel_subscriptions_mended_total", "Webhook subscriptions that were registered or switched on again");
    describe_counter!("spindel_rates_fallback_total", "Checkouts that the shop's own table answered, since no carrier did");
    describe_histogram!("spindel_rates_seconds", Unit::Seconds, "From a question to a carrier to its answer, however late");
    describe_gauge!("spindel_breaker_open", "1 while calls to a connection rest because it failed too often");
    describe_gauge!("spindel_connection_paused", "1 while calls to a connection rest because its credentials were refused");
    describe_gauge!("spindel_queue_up", "1 when the queue works as it should");
    describe_gauge!("spindel_store_up", "1 when the store answered when it was last asked for figures");
    describe_gauge!("spindel_info", "Always 1; its labels say what runs");
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory of this process that is in use");
    describe_gauge!("process_open_fds", "Files and sockets that this process has open");
    describe_counter!("process_cpu_seconds_total", Unit::Seconds, "Time that this process has computed");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_figure_that_an_alert_looks_at_is_one_that_is_described() {
        let alerts = include_str!("../../../../config/prometheus/alerts.yml");
        let names = |text: &'static str| text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_');
        let described: BTreeSet<&str> = names(include_str!("recorder.rs")).collect();
        let used: BTreeSet<&str> = names(alerts).filter(|name| name.starts_with("spindel_")).collect();
        assert!(used.len() > 15, "{used:?}");
        let unknown: Vec<_> =
            used.iter().filter(|name| !described.contains(name.strip_suffix("_bucket").unwrap_or(name))).collect();
        assert!(unknown.is_empty(), "alerts that can never be: {unknown:?}");
    }
}
