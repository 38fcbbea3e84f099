//! Requests as they come in, before and after they have proved themselves.

use crate::ParseError;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

/// A request that nobody has vouched for yet. Its body is not to be parsed.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub method: http::Method,
    /// Path and query as they stood in the request line.
    pub uri: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A request whose proof held. Only [`crate::Proof::check`] makes one, and the store gives one back.
#[derive(Clone, Debug)]
pub struct Verified {
    headers: HeaderMap,
    body: Bytes,
}

impl Verified {
    pub(crate) fn new(headers: HeaderMap, body: Bytes) -> Self {
        Self { headers, body }
    }

    /// For events that the store keeps because their proof held when they came; for the planner only.
    pub fn from_store(headers: HeaderMap, body: Bytes) -> Self {
        Self { headers, body }
    }

    pub fn header(&self, name: &'static str) -> Result<&str, ParseError> {
        self.optional_header(name).ok_or(ParseError::Header(name))
    }

    pub fn optional_header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as the type this topic promises; the error names the path that does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ParseError> {
        parse(&self.body)
    }
}

/// Parses JSON with the path of the first misfit in the error, and never a value of it.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ParseError> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let inner = error.inner();
        let problem = match inner.classify() {
            serde_json::error::Category::Data => without_values(&inner.to_string()),
            _ => format!("no valid JSON: {inner}"),
        };
        ParseError::Json { at: error.path().to_string(), problem }
    })?;
    json.end().map_err(|error| ParseError::Json { at: ".".into(), problem: format!("no valid JSON: {error}") })?;
    Ok(value)
}

/// Serde repeats the offending text in quotes; it may be a person's name.
fn without_values(message: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    for piece in message.split('"') {
        if quoted {
            out.push('…');
        } else {
            out.push_str(piece);
        }
        quoted = !quoted;
    }
    out
}

/// A connector's own answer to a vendor's handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: Bytes,
}
