//! What is signed, piece by piece, and how old it may be.

use super::{Unproven, insert, single};
use crate::Incoming;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderMap;
use jiff::fmt::rfc2822;
use spindel_model::Timestamp;
use std::time::Duration;

/// One piece of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Body,
    /// The base64 text of the body.
    BodyBase64,
    Header(String),
    Text(&'static str),
    Method,
    /// Path and query.
    Uri,
    /// The whole address as the sender knows it.
    Url,
    /// Host of that address, with the port where it is not the usual one.
    Host,
    /// The time as it stands in the request, that the scheme's freshness is measured by.
    Timestamp,
}

/// Writes the pieces one after the other.
pub(super) fn message(parts: &[Part], incoming: &Incoming, timestamp: Option<&str>) -> Result<Vec<u8>, Unproven> {
    let mut message = Vec::with_capacity(incoming.body.len() + 128);
    for part in parts {
        match part {
            Part::Body => message.extend_from_slice(&incoming.body),
            Part::BodyBase64 => message.extend_from_slice(STANDARD.encode(&incoming.body).as_bytes()),
            Part::Text(text) => message.extend_from_slice(text.as_bytes()),
            Part::Method => message.extend_from_slice(incoming.method.as_str().as_bytes()),
            Part::Uri => message.extend_from_slice(incoming.uri.as_bytes()),
            Part::Url => {
                message.extend_from_slice(incoming.origin.as_bytes());
                message.extend_from_slice(incoming.uri.as_bytes());
            }
            Part::Host => message.extend_from_slice(host(&incoming.origin).as_bytes()),
            Part::Timestamp => {
                message.extend_from_slice(timestamp.ok_or(Unproven::SignedHeaderMissing)?.as_bytes());
            }
            Part::Header(name) => {
                let value = single(&incoming.headers, name)?.ok_or(Unproven::SignedHeaderMissing)?;
                message.extend_from_slice(value.as_bytes());
            }
        }
    }
    Ok(message)
}

fn host(origin: &str) -> &str {
    let (scheme, authority) = origin.split_once("://").unwrap_or(("", origin));
    let usual = if scheme == "http" { ":80" } else { ":443" };
    authority.strip_suffix(usual).unwrap_or(authority)
}

/// A header that says when the request was made, and how far that may be from now in either direction.
#[derive(Clone)]
pub(super) struct Freshness {
    pub header: String,
    pub written: Written,
    pub within: Duration,
}

/// How a time is written.
#[derive(Clone, Copy)]
pub(super) enum Written {
    Seconds,
    Millis,
    /// `Thu, 30 Mar 2023 08:38:32 GMT`
    HttpDate,
}

impl Freshness {
    /// The text that was checked, so that the very same can be signed.
    pub fn check<'a>(&self, headers: &'a HeaderMap, now: Timestamp) -> Result<&'a str, Unproven> {
        let text = self.text(headers)?;
        self.written.check(text, self.within, now)?;
        Ok(text)
    }

    pub fn text<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, Unproven> {
        let value = single(headers, &self.header)?.ok_or(Unproven::SignedHeaderMissing)?;
        value.to_str().map_err(|_| Unproven::TimestampMalformed)
    }

    pub fn stamp(&self, headers: &mut HeaderMap, now: Timestamp) -> Result<(), Unproven> {
        insert(headers, &self.header, &self.written.text(now))
    }
}

impl Written {
    pub fn check(self, text: &str, within: Duration, now: Timestamp) -> Result<(), Unproven> {
        let sent = self.millis(text).ok_or(Unproven::TimestampMalformed)?;
        let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
        let age = match self {
            Self::Millis => now.as_millisecond(),
            // What is written in whole seconds is compared in whole seconds.
            Self::Seconds | Self::HttpDate => now.as_second().saturating_mul(1000),
        }
        .saturating_sub(sent);
        if age > within {
            return Err(Unproven::TooOld);
        }
        if age < -within { Err(Unproven::TooNew) } else { Ok(()) }
    }

    fn millis(self, text: &str) -> Option<i64> {
        const MOST_DIGITS: usize = 15;
        const LONGEST_DATE: usize = 40;
        let number =
            || (text.len() <= MOST_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?;
        match self {
            Self::Seconds => number().map(|seconds: i64| seconds.saturating_mul(1000)),
            Self::Millis => number(),
            Self::HttpDate if text.len() <= LONGEST_DATE && text.ends_with(" GMT") => {
                Some(rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?.as_millisecond())
            }
            Self::HttpDate => None,
        }
    }

    pub fn text(self, now: Timestamp) -> String {
        match self {
            Self::Seconds => now.as_second().to_string(),
            Self::Millis => now.as_millisecond().to_string(),
            Self::HttpDate => rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default(),
        }
    }
}
