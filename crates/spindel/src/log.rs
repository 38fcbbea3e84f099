//! Log lines on stderr, for people or as JSON: each reads alone and names its node, and a failure that goes on is told once a minute.

use crate::cli::LogFormat;
use std::{
    collections::HashMap,
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, IsTerminal as _},
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};
use tracing::{Event, Level, Metadata, Subscriber, field::Visit};
use tracing_subscriber::{
    EnvFilter, Layer,
    layer::{Context, Filter, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// The same line is not written again before.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Lines that are remembered; more at once are written, repeated or not.
const REMEMBERED: usize = 1024;

/// The AMQP client reports what we report ourselves, and traces whole frames, the one with the password included.
const QUIET: [&str; 1] = ["lapin=off"];

static NODE: OnceLock<String> = OnceLock::new();

/// From here on every JSON line says which node wrote it.
pub fn name_node(node: &str) {
    let _ = NODE.set(serde_json::Value::from(node).to_string());
}

/// Starts logging what `filter` lets through.
pub fn start(format: LogFormat, filter: EnvFilter) {
    let lines = tracing_subscriber::fmt::layer().with_target(false);
    let lines: Box<dyn Layer<_> + Send + Sync> = match format {
        LogFormat::Json => Box::new(lines.json().flatten_event(true).with_writer(|| Named).with_filter(NotAgain::default())),
        LogFormat::Human => {
            Box::new(lines.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).with_filter(NotAgain::default()))
        }
    };
    let quiet = QUIET.iter().filter_map(|directive| directive.parse().ok());
    let filter = quiet.fold(filter, EnvFilter::add_directive);
    tracing_subscriber::registry().with(filter).with(lines).init();
}

/// Writes JSON lines, the node as the first field of each.
struct Named;

impl io::Write for Named {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(&named(line, NODE.get().map(String::as_str)))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A line comes whole and is one JSON object.
fn named(line: &[u8], node: Option<&str>) -> Vec<u8> {
    match (line, node) {
        ([b'{', rest @ ..], Some(node)) => [b"{\"node\":", node.as_bytes(), b",", rest].concat(),
        _ => line.to_vec(),
    }
}

/// Holds back warnings and errors that repeat an earlier one in every field: a store that is away is news once.
#[derive(Default)]
struct NotAgain(Mutex<HashMap<u64, Instant>>);

impl NotAgain {
    #[allow(clippy::disallowed_methods)] // time is only measured here
    fn is_news(&self, line: u64) -> bool {
        let now = Instant::now();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&line).is_some_and(|at| now.duration_since(*at) < AGAIN_AFTER) {
            return false;
        }
        if told.len() >= REMEMBERED {
            told.retain(|_, at| now.duration_since(*at) < AGAIN_AFTER);
        }
        if told.len() < REMEMBERED {
            told.insert(line, now);
        }
        true
    }
}

impl<S: Subscriber> Filter<S> for NotAgain {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        if *event.metadata().level() > Level::WARN {
            return true;
        }
        let mut line = Fingerprint(DefaultHasher::new());
        event.metadata().callsite().hash(&mut line.0);
        event.record(&mut line);
        self.is_news(line.0.finish())
    }
}

struct Fingerprint(DefaultHasher);

impl Visit for Fingerprint {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        field.name().hash(&mut self.0);
        format!("{value:?}").hash(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    struct Counted(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Counted {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_failure_that_goes_on_is_written_once_and_another_is_not_held_back() {
        let written = Arc::new(AtomicUsize::new(0));
        let subscriber = tracing_subscriber::registry().with(Counted(Arc::clone(&written)).with_filter(NotAgain::default()));
        tracing::subscriber::with_default(subscriber, || {
            for second in 0..30 {
                for to in ["erp", "shop"] {
                    tracing::warn!(to, error = "gone", "the store does not say what is due");
                }
                tracing::info!(to = "erp", "told every time");
                tracing::error!(second, "never the same");
            }
        });
        assert_eq!(written.load(Ordering::SeqCst), 2 + 30 + 30);
    }

    #[test]
    fn the_memory_of_lines_is_bounded() {
        let filter = NotAgain::default();
        for line in 0..REMEMBERED as u64 * 3 {
            assert!(filter.is_news(line));
        }
        assert_eq!(filter.0.lock().unwrap().len(), REMEMBERED);
    }

    #[test]
    fn a_json_line_names_its_node_and_stays_json() {
        let line = named(b"{\"level\":\"INFO\"}\n", Some("\"a \\\"b\\\"\""));
        let json: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(json, serde_json::json!({ "node": "a \"b\"", "level": "INFO" }));
        assert_eq!(named(b"{\"level\":\"INFO\"}\n", None), b"{\"level\":\"INFO\"}\n");
    }
}
