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
    /// Scheme and authority under which the sender knows this server: `https://hooks.example.no`.
    pub origin: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Under this header the query of the address is kept with an event, without what proved it. A request cannot bring its own.
pub const QUERY: &str = "spindel-query";

/// This header goes with an event that is a hint and no more ([`crate::Proof::fetch_back`]). A request cannot bring its own.
pub const NUDGE: &str = "spindel-nudge";

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

    /// Whether nothing that the request says may be believed but that something happened.
    pub fn is_nudge(&self) -> bool {
        self.headers.contains_key(NUDGE)
    }

    /// A parameter of the address that was called.
    pub fn query(&self, name: &str) -> Option<String> {
        let query = self.optional_header(QUERY)?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The body as the type this topic promises; the error names the path that does not fit.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ParseError> {
        parse(&self.body)
    }
}

/// Parses JSON with the path of the first misfit in the error, and never a value of it.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ParseError> {
    // Following the path costs as much as the parsing: it is only done where something does not fit.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
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

/// Serde repeats the offending value, text in quotes and numbers in backticks; it may be a person's name or telephone.
fn without_values(message: &str) -> String {
    for (what, end) in
        [("invalid type: ", ", expected "), ("invalid value: ", ", expected "), ("unknown variant ", "`, expected ")]
    {
        let Some(rest) = message.strip_prefix(what) else { continue };
        // The value comes first and may hold anything; what was expected is serde's own text.
        let Some((found, expected)) = rest.rsplit_once(end) else { break };
        let kind = found.find(['"', '`']).map_or(found, |at| found[..at].trim_end());
        let value = if kind.len() == found.len() { "" } else { " …" };
        return format!("{what}{kind}{value}, expected {expected}").replace("  ", " ");
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Person {
        name: Option<u8>,
        phone: Option<String>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Guest,
        Member,
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_place_and_never_repeated() {
        for (body, at, problem) in [
            (r#"{"name":"Kari"}"#, "name", "invalid type: string …, expected u8"),
            (r#"{"name":"Kari \"K\" Nordmann, expected by `x`"}"#, "name", "invalid type: string …, expected u8"),
            (r#"{"name":4799}"#, "name", "invalid value: integer …, expected u8"),
            (r#"{"phone":4798765432}"#, "phone", "invalid type: integer …, expected a string"),
            (r#"{"phone":{"at":"home"}}"#, "phone", "invalid type: map, expected a string"),
            (r#"{"kind":"kari@example.com"}"#, "kind", "unknown variant …, expected `guest` or `member`"),
        ] {
            let error = parse::<Person>(body.as_bytes()).unwrap_err();
            let ParseError::Json { at: place, problem: told } = error else { panic!("{error}") };
            assert_eq!(place, at, "{body}");
            assert!(told.starts_with(problem), "{told}");
        }
    }
}
