//! Vendors for tests that need no network: one that follows a script and one that always fails in the same way.

use crate::subset;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use spindel_connect::{BoxFuture, Expected, ExpectedReply, Failure, Reply, Request, Transport};
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

/// A connector that makes more calls than this for one example does not stop by itself.
const MOST_CALLS: usize = 200;

/// A vendor that expects these calls in this order and answers each as given.
pub struct Script {
    expected: Vec<Expected>,
    played: Mutex<Played>,
}

#[derive(Default)]
struct Played {
    calls: usize,
    problems: Vec<String>,
    requests: Vec<Request>,
}

impl Script {
    pub fn new(expected: Vec<Expected>) -> Self {
        Self { expected, played: Mutex::default() }
    }

    /// What was not as the script says, calls that were never made included; empty when all went as written.
    pub fn problems(&self) -> Vec<String> {
        let played = self.played();
        let missing = self.expected.iter().enumerate().skip(played.calls);
        let missing = missing.map(|(at, it)| format!("exchanges[{at}]: `{} {}` was never called", it.method, it.path));
        played.problems.iter().cloned().chain(missing).collect()
    }

    /// Every request that came, whole.
    pub fn requests(&self) -> Vec<Request> {
        self.played().requests.clone()
    }

    fn played(&self) -> MutexGuard<'_, Played> {
        self.played.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, request: &Request) -> Result<Reply, Failure> {
        let mut played = self.played();
        let at = played.calls;
        played.calls += 1;
        played.requests.push(request.clone());
        assert!(at < MOST_CALLS, "the connector does not stop calling `{} {}`", request.method, request.path);
        let Some(expected) = self.expected.get(at) else {
            let call = format!("`{} {}` ({})", request.method, request.path, request.operation);
            played.problems.push(format!(
                "exchanges[{at}]: unexpected call {call}, {} were expected; its body: {}",
                self.expected.len(),
                String::from_utf8_lossy(&request.body)
            ));
            return Err(Failure::Refused(format!("the script has no call {at}")));
        };
        let differences = differences(expected, request);
        if differences.is_empty() {
            return Ok(reply(&expected.reply));
        }
        let call = format!("exchanges[{at}] ({})", request.operation);
        played.problems.extend(differences.into_iter().map(|it| format!("{call}: {it}")));
        Err(Failure::Refused(format!("call {at} is not as the script says")))
    }
}

impl Transport for Script {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(async move { self.answer(request) })
    }
}

fn differences(expected: &Expected, request: &Request) -> Vec<String> {
    let mut found = Vec::new();
    if !expected.method.eq_ignore_ascii_case(request.method.as_str()) {
        found.push(format!("method: expected {}, got {}", expected.method, request.method));
    }
    if expected.path != request.path {
        found.push(format!("path: expected `{}`, got `{}`", expected.path, request.path));
    }
    for (name, want) in &expected.headers {
        let got = request.headers.get(name).map(HeaderValue::as_bytes);
        if got != Some(want.as_bytes()) {
            let got = got.map_or("none".into(), |it| format!("`{}`", String::from_utf8_lossy(it)));
            found.push(format!("header `{name}`: expected `{want}`, got {got}"));
        }
    }
    if let Some(want) = &expected.body {
        let text = || Value::String(String::from_utf8_lossy(&request.body).into_owned());
        let got = serde_json::from_slice(&request.body).unwrap_or_else(|_| text());
        if let Err(difference) = subset(want, &got) {
            found.extend(difference.lines().map(|line| format!("body {line}")));
        }
    }
    found
}

/// A body of `null` is sent as `null` with a success, and as nothing with 204 and with a failure.
fn reply(expected: &ExpectedReply) -> Reply {
    let nothing = expected.body.is_null() && (expected.status == 204 || expected.status >= 300);
    let body = if nothing { Bytes::new() } else { Bytes::from(expected.body.to_string()) };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    for (name, value) in &expected.headers {
        let name = HeaderName::try_from(name).unwrap_or_else(|_| panic!("reply header `{name}` is no header name"));
        let value = HeaderValue::try_from(value).unwrap_or_else(|_| panic!("reply header `{name}` cannot hold its value"));
        headers.insert(name, value);
    }
    Reply { status: expected.status, headers, body }
}

/// A way in which a vendor fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 500 with a page for people.
    Error,
    /// 503 with a page for people.
    Unavailable,
    /// 429 with `Retry-After: 7`.
    Throttled,
    /// 401 without a body.
    Unauthorized,
    /// The connection ends before the answer.
    Cut,
    /// 200 with text that is no JSON.
    NotJson,
}

impl Fault {
    pub const ALL: [Self; 6] = [Self::Error, Self::Unavailable, Self::Throttled, Self::Unauthorized, Self::Cut, Self::NotJson];

    /// Its name in waivers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "500",
            Self::Unavailable => "503",
            Self::Throttled => "429",
            Self::Unauthorized => "401",
            Self::Cut => "cut",
            Self::NotJson => "not json",
        }
    }

    fn answer(self) -> Result<Reply, Failure> {
        const PAGE: &str = "<html><body>Something went wrong</body></html>";
        let page = |status| Reply { status, headers: HeaderMap::new(), body: Bytes::from_static(PAGE.as_bytes()) };
        Ok(match self {
            Self::Error => page(500),
            Self::Unavailable => page(503),
            Self::Unauthorized => Reply { body: Bytes::new(), ..page(401) },
            Self::NotJson => page(200),
            Self::Throttled => {
                let mut reply = page(429);
                reply.headers.insert("retry-after", HeaderValue::from_static("7"));
                reply
            }
            Self::Cut => return Err(Failure::NoAnswer("connection closed before the answer was complete".into())),
        })
    }
}

/// A vendor that answers every call with the same fault.
pub struct Faulty {
    fault: Fault,
    calls: AtomicUsize,
}

impl Faulty {
    pub fn new(fault: Fault) -> Self {
        Self { fault, calls: AtomicUsize::new(0) }
    }
}

impl Transport for Faulty {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        assert!(calls < MOST_CALLS, "the connector does not stop calling `{} {}`", request.method, request.path);
        Box::pin(async move { self.fault.answer() })
    }
}
