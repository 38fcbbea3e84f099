//! The handle through which a connector calls its vendor. It never retries: only the engine does.

use crate::{BoxFuture, Budget, CallError, Effect, Journal, ParseError, Verdict, redacted, verdict};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::{Serialize, de::DeserializeOwned};
use spindel_model::{Clock, ErrorClass, Exchange};
use std::{sync::Arc, time::Duration};

/// Carries requests to one connection's vendor: base URL, auth, limits, timeouts, caps. Real in `http`, scripted in tests.
pub trait Transport: Send + Sync {
    fn send<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Reply, Failure>>;
}

/// One HTTP request, before base URL and credentials are added.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is being done, in the connector's own words.
    pub operation: &'static str,
    pub method: Method,
    /// Below the base URL, with query; or an absolute address.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// What it takes from a vendor's cost bucket.
    pub cost: f64,
}

/// A vendor's answer, whole and capped.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Never reached the vendor: name, route, refusal, TLS.
    #[error("no connection: {0}")]
    NoConnection(String),
    /// Sent, and no whole answer came back.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// Not sent: the limit of this connection is reached for longer than it is worth waiting.
    #[error("limit reached")]
    Limited { wait: Duration },
    /// No token could be had.
    #[error("no access token: {0}")]
    Auth(String),
    /// The address may not be called, or the request cannot be built.
    #[error("{0}")]
    Refused(String),
    /// The answer is larger than the cap.
    #[error("the answer is larger than {cap} bytes")]
    TooLarge { cap: usize },
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ParseError> {
        crate::parse(&self.body)
    }
}

/// Handle to the vendor's API for one attempt.
#[derive(Clone)]
pub struct Api {
    transport: Arc<dyn Transport>,
    refine: fn(&Reply) -> Option<Verdict>,
    journal: Journal,
    clock: Clock,
}

impl Api {
    /// `refine` is the connector's own ([`crate::Entry::refine`]).
    pub fn new(transport: Arc<dyn Transport>, refine: fn(&Reply) -> Option<Verdict>, clock: Clock) -> Self {
        Self { transport, refine, journal: Journal::default(), clock }
    }

    /// The same connection with a journal of its own: one for each attempt.
    pub fn with_journal(&self, journal: Journal) -> Self {
        Self { journal, ..self.clone() }
    }

    /// The present, as everything else here has it.
    pub fn now(&self) -> spindel_model::Timestamp {
        self.clock.now()
    }

    pub fn call(&self, operation: &'static str, method: Method, path: impl Into<String>) -> Call<'_> {
        Call {
            api: self,
            request: Request { operation, method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new(), cost: 1.0 },
            problem: None,
            redirects: false,
        }
    }

    pub fn get(&self, operation: &'static str, path: impl Into<String>) -> Call<'_> {
        self.call(operation, Method::GET, path)
    }

    pub fn post(&self, operation: &'static str, path: impl Into<String>) -> Call<'_> {
        self.call(operation, Method::POST, path)
    }

    pub fn put(&self, operation: &'static str, path: impl Into<String>) -> Call<'_> {
        self.call(operation, Method::PUT, path)
    }

    pub fn patch(&self, operation: &'static str, path: impl Into<String>) -> Call<'_> {
        self.call(operation, Method::PATCH, path)
    }

    pub fn delete(&self, operation: &'static str, path: impl Into<String>) -> Call<'_> {
        self.call(operation, Method::DELETE, path)
    }

    /// A GraphQL document with its variables; answers `data`. Errors in a 200 are the connector's to read in `refine`.
    pub async fn graphql<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: impl Into<String>,
        document: &'static str,
        variables: impl Serialize + Send,
        cost: f64,
    ) -> Result<T, CallError> {
        #[derive(Serialize)]
        struct Body<V> {
            query: &'static str,
            variables: V,
        }
        #[derive(serde::Deserialize)]
        struct Data<T> {
            data: T,
        }
        let reply: Data<T> = self.post(operation, path).cost(cost).json(&Body { query: document, variables }).fetch().await?;
        Ok(reply.data)
    }
}

/// One call being put together.
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    api: &'a Api,
    request: Request,
    problem: Option<String>,
    redirects: bool,
}

impl Call<'_> {
    pub fn json<T: Serialize>(mut self, body: &T) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => {
                self.request.body = bytes.into();
                self.request.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            Err(error) => self.problem = Some(format!("the request body cannot be written: {error}")),
        }
        self
    }

    /// `a=1&b[c]=2`, percent-encoded.
    pub fn form<N: AsRef<str>, V: AsRef<str>>(mut self, fields: impl IntoIterator<Item = (N, V)>) -> Self {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.request.body = form.into();
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        self.request.headers.insert(http::header::CONTENT_TYPE, kind);
        self
    }

    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.request.body = body.into();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => {
                self.request.headers.insert(name, value);
            }
            _ => self.problem = Some(format!("header `{name}` cannot hold this value")),
        }
        self
    }

    pub fn cost(mut self, cost: f64) -> Self {
        self.request.cost = cost;
        self
    }

    /// Takes a redirect for an answer, whose `location` the connector follows itself. Otherwise it is a failure.
    pub fn redirects(mut self) -> Self {
        self.redirects = true;
        self
    }

    /// Sends it and reads the JSON of a success.
    pub async fn fetch<T: DeserializeOwned>(self) -> Result<T, CallError> {
        let operation = self.request.operation;
        let reply = self.send().await?;
        reply.json().map_err(|error| CallError::unexpected(operation, error.to_string()))
    }

    /// [`Call::fetch`]; `None` where the vendor says that there is no such record.
    pub async fn find<T: DeserializeOwned>(self) -> Result<Option<T>, CallError> {
        match self.fetch().await {
            Ok(it) => Ok(Some(it)),
            Err(error) if error.class == ErrorClass::Gone => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends it; any reply that the status table or the connector reads as a failure is an error.
    pub async fn send(self) -> Result<Reply, CallError> {
        let operation = self.request.operation;
        if let Some(problem) = self.problem {
            return Err(CallError::data(operation, problem));
        }
        let started = self.api.clock.now();
        let result = self.api.transport.send(&self.request).await;
        self.api.journal.add(self.exchange(started, &result));
        let reply = result.map_err(|failure| failure.into_error(operation))?;
        if self.redirects && (300..=399).contains(&reply.status) {
            return Ok(reply);
        }
        let found = (self.api.refine)(&reply).or_else(|| verdict(&reply, self.api.clock.now()));
        match found {
            None => Ok(reply),
            Some(it) => {
                Err(CallError { operation, class: it.class, message: it.message, retry_after: it.retry_after, effect: it.effect })
            }
        }
    }

    fn exchange(&self, started: spindel_model::Timestamp, result: &Result<Reply, Failure>) -> Exchange {
        let took = self.api.clock.now().duration_since(started);
        Exchange {
            operation: self.request.operation.to_owned(),
            method: self.request.method.to_string(),
            path: kept_path(&self.request.path),
            status: result.as_ref().ok().map(|reply| reply.status),
            millis: u64::try_from(took.as_millis()).unwrap_or_default(),
            request: redacted(&self.request.body),
            response: result.as_ref().ok().and_then(|reply| redacted(&reply.body)),
            error: result.as_ref().err().map(ToString::to_string),
        }
    }
}

/// A path as it may be kept. Whole addresses come from the settings or from a vendor, and often are the secret themselves.
fn kept_path(path: &str) -> String {
    let Some((scheme, rest)) = path.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '?'])) else {
        return without_people(path);
    };
    let (authority, below) = rest.split_once(['/', '?', '#']).unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match (below.is_empty(), host == authority) {
        (true, true) => path.to_owned(),
        (true, false) => format!("{scheme}://{host}/"),
        (false, _) => format!("{scheme}://{host}/…"),
    }
}

/// Some vendors want an e-mail address as a part of a path or query. It is somebody's, and so that part is not kept.
fn without_people(path: &str) -> String {
    const EDGES: [char; 8] = ['/', '?', '&', '=', '#', ';', ',', '|'];
    let part = |text: &str| {
        let (name, edge) = text.split_at(text.rfind(EDGES).filter(|at| at + 1 == text.len()).unwrap_or(text.len()));
        if holds_address(name) { format!("…{edge}") } else { text.to_owned() }
    };
    path.split_inclusive(EDGES).map(part).collect()
}

/// Something, an `@` (written out, encoded, or encoded twice), and something.
fn holds_address(part: &str) -> bool {
    let bare = part.replace("%25", "%").replace("%40", "@");
    bare.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
}

impl Failure {
    fn into_error(self, operation: &'static str) -> CallError {
        let (class, effect) = match &self {
            Self::NoConnection(_) => (ErrorClass::Transient, Effect::None),
            Self::NoAnswer(_) | Self::TooLarge { .. } => (ErrorClass::Transient, Effect::Unknown),
            Self::Limited { .. } => (ErrorClass::RateLimited, Effect::None),
            Self::Auth(_) => (ErrorClass::Auth, Effect::None),
            Self::Refused(_) => (ErrorClass::Config, Effect::None),
        };
        CallError {
            operation,
            class,
            message: self.to_string(),
            retry_after: match self {
                Self::Limited { wait } => Some(wait),
                _ => None,
            },
            effect,
        }
    }
}

/// Reads a vendor's remaining budget off a reply; see [`crate::Connector::budget`].
pub type BudgetFn = fn(&Reply) -> Option<Budget>;

#[cfg(test)]
mod tests {
    use super::kept_path;

    #[test]
    fn an_email_address_is_not_kept_wherever_it_stands() {
        for (path, kept) in [
            ("/preferences/v4/statuses/kari%40example.no?channel=EMAIL", "/preferences/v4/statuses/…?channel=EMAIL"),
            ("/statuses/kari@example.no/unsubscribe-all", "/statuses/…/unsubscribe-all"),
            ("/customers?email=kari.n%2Bshop%40example.no&role=all&_fields=id", "/customers?email=…&role=all&_fields=id"),
            ("/customers?email=k%2540example.no", "/customers?email=…"),
            ("/people?emails=a%40x.no,b%40x.no,7", "/people?emails=…,…,7"),
            ("/odata/customers?$filter=email%20eq%20%27kari%40example.no%27&$top=1", "/odata/customers?$filter=…&$top=1"),
            ("/statuses/kari%40example.no", "/statuses/…"),
        ] {
            assert_eq!(kept_path(path), kept);
        }
        for path in ["", "/", "/orders?@odata=1&b=%40", "/json/2/sale.order/search?limit=1,2&x="] {
            assert_eq!(kept_path(path), path);
        }
    }

    #[test]
    fn of_a_whole_address_only_the_host_is_kept() {
        for (path, kept) in [
            ("/json/2/sale.order/search?limit=1", "/json/2/sale.order/search?limit=1"),
            ("/go?to=https://elsewhere.example/a", "/go?to=https://elsewhere.example/a"),
            ("https://hooks.example.com/services/T1/s3cret", "https://hooks.example.com/…"),
            ("https://hooks.example.com?key=s3cret", "https://hooks.example.com/…"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/"),
            ("https://user:s3cret@hooks.example.com:8443/in", "https://hooks.example.com:8443/…"),
            ("https://s3cr@et@hooks.example.com", "https://hooks.example.com/"),
        ] {
            assert_eq!(kept_path(path), kept);
        }
    }
}
