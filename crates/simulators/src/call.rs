//! A request to a simulated vendor and its answer, as plain data; and the answers that are kept by their idempotency key.

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

pub(crate) struct Call {
    pub method: Method,
    /// Percent-encoded, without the query.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The parts of the path between its slashes.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.trim_start_matches('/').split('/').collect()
    }

    /// A body of `application/x-www-form-urlencoded`.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        std::str::from_utf8(&self.body).map(pairs).unwrap_or_default()
    }

    /// `None` for a body that is no JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What makes two calls the same for an idempotency key.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{} {} {}", self.method, self.path, String::from_utf8_lossy(&self.body))
    }
}

/// Decoded names and values, in their order.
fn pairs(text: &str) -> Vec<(String, String)> {
    let Ok(mut url) = reqwest::Url::parse("http://localhost/") else { return Vec::new() };
    url.set_query(Some(text));
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Option<Value>,
}

impl Answer {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: vec![("content-type", "application/json".into())], body: Some(body) }
    }

    /// Sets a header, in place of one that is there.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = self.body.map(|body| Body::from(body.to_string())).unwrap_or_default();
        let mut builder = Response::builder().status(self.status);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        builder.body(body).unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
}

/// Every request goes to `answer`, which finds its way by the path.
pub(crate) fn router<V: Send + Sync + 'static>(vendor: Arc<V>, answer: fn(&V, &Call) -> Answer) -> Router {
    Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let vendor = Arc::clone(&vendor);
        async move {
            let query = pairs(uri.query().unwrap_or_default());
            answer(&vendor, &Call { method, path: uri.path().to_owned(), query, headers, body })
        }
    })
}

/// Answers by idempotency key.
pub(crate) struct Replays {
    kept_for: SignedDuration,
    kept: BTreeMap<String, Kept>,
}

struct Kept {
    fingerprint: String,
    since: Timestamp,
    answer: Answer,
}

/// What is known of a key.
pub(crate) enum Seen {
    Never,
    Same(Answer),
    /// It came with another request, which was answered so.
    Other(Answer),
}

impl Replays {
    pub(crate) fn for_hours(hours: i64) -> Self {
        Self { kept_for: SignedDuration::from_hours(hours), kept: BTreeMap::new() }
    }

    pub(crate) fn seen(&mut self, key: &str, call: &Call, now: Timestamp) -> Seen {
        let forgotten = now.checked_sub(self.kept_for).unwrap_or(Timestamp::MIN);
        self.kept.retain(|_, kept| kept.since >= forgotten);
        match self.kept.get(key) {
            None => Seen::Never,
            Some(kept) if kept.fingerprint == call.fingerprint() => Seen::Same(kept.answer.clone()),
            Some(kept) => Seen::Other(kept.answer.clone()),
        }
    }

    pub(crate) fn keep(&mut self, key: &str, call: &Call, answer: &Answer, now: Timestamp) {
        let kept = Kept { fingerprint: call.fingerprint(), since: now, answer: answer.clone() };
        self.kept.insert(key.to_owned(), kept);
    }
}
