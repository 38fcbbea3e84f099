//! The one table that says what an HTTP status means; a connector refines it only where its vendor deviates.

use crate::{Effect, Reply};
use jiff::{SignedDuration, Timestamp};
use spindel_model::ErrorClass;
use std::time::Duration;

/// How a reply is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub class: ErrorClass,
    pub message: String,
    pub retry_after: Option<Duration>,
    pub effect: Effect,
}

impl Verdict {
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), retry_after: None, effect: Effect::None }
    }

    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

/// Reads a status; `None` for success. Redirects are failures: they are never followed.
pub fn verdict(reply: &Reply, now: Timestamp) -> Option<Verdict> {
    let (class, effect) = match reply.status {
        200..=299 => return None,
        401 | 403 => (ErrorClass::Auth, Effect::None),
        404 | 410 => (ErrorClass::Gone, Effect::None),
        408 | 425 => (ErrorClass::Transient, Effect::Unknown),
        409 | 423 => (ErrorClass::Transient, Effect::None),
        429 => (ErrorClass::RateLimited, Effect::None),
        300..=399 => (ErrorClass::Config, Effect::None),
        400..=499 => (ErrorClass::Data, Effect::None),
        // The vendor says itself that it did not get to it.
        503 => (ErrorClass::Transient, Effect::None),
        _ => (ErrorClass::Transient, Effect::Unknown),
    };
    Some(Verdict { class, message: format!("HTTP {}", reply.status), retry_after: retry_after(reply, now), effect })
}

/// `Retry-After` in seconds (fractions round up) or as an HTTP date; anything else is as if it were not there.
pub fn retry_after(reply: &Reply, now: Timestamp) -> Option<Duration> {
    let value = reply.header("retry-after")?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs(seconds.min(1e9).ceil() as u64));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let wait: SignedDuration = date.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, retry_after: Option<&str>) -> Reply {
        let mut headers = http::HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", value.parse().unwrap());
        }
        Reply { status, headers, body: bytes::Bytes::new() }
    }

    #[test]
    fn every_status_has_one_reading() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        for (status, class, effect) in [
            (301, ErrorClass::Config, Effect::None),
            (400, ErrorClass::Data, Effect::None),
            (401, ErrorClass::Auth, Effect::None),
            (404, ErrorClass::Gone, Effect::None),
            (409, ErrorClass::Transient, Effect::None),
            (422, ErrorClass::Data, Effect::None),
            (429, ErrorClass::RateLimited, Effect::None),
            (500, ErrorClass::Transient, Effect::Unknown),
            (502, ErrorClass::Transient, Effect::Unknown),
            (503, ErrorClass::Transient, Effect::None),
            (504, ErrorClass::Transient, Effect::Unknown),
        ] {
            let verdict = verdict(&reply(status, None), now).unwrap();
            assert_eq!((verdict.class, verdict.effect), (class, effect), "{status}");
        }
        assert_eq!(verdict(&reply(204, None), now), None);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        for (text, want) in [
            ("120", Some(120)),
            ("0.2", Some(1)),
            ("Fri, 20 Nov 2026 10:02:00 GMT", Some(120)),
            ("Fri, 20 Nov 2026 09:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
        ] {
            let got = retry_after(&reply(429, Some(text)), now).map(|wait| wait.as_secs());
            assert_eq!(got, want, "{text}");
        }
    }
}
