//! HMAC over chosen parts of the request, with secrets that both sides know.

use super::{
    Proof, Unproven, insert,
    part::{Freshness, Part, Written, message},
    signature, single,
};
use crate::{Incoming, Secret};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac as Mac, KeyInit, Mac as _};
use sha2::Digest as _;
use spindel_model::Timestamp;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// More than any vendor sends while a secret is being changed.
const MOST_SIGNATURES: usize = 16;

/// HMAC over chosen parts of the request.
#[derive(Clone)]
pub struct Hmac {
    headers: Vec<String>,
    digest: Digest,
    encoding: Encoding,
    shape: Shape,
    message: Option<Vec<Part>>,
    freshness: Option<Freshness>,
    body_hash: Option<String>,
    keys: Vec<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    Hex,
    Base64,
}

/// How the signature stands in its header.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    /// Alone, or after a fixed text such as `sha256=`.
    Prefixed(String),
    /// Several, separated by blanks, each after its version: `v1,abc v1,def`.
    Versioned(&'static str),
    /// A time and one or several signatures, each after its label: `t=1795000000,v1=abc,v1=def`.
    Labelled { time: String, signature: String, within: Duration },
}

#[derive(Clone)]
struct Key(Vec<u8>);

/// What the signature header holds.
struct Sent<'a> {
    signatures: Vec<Vec<u8>>,
    time: Option<&'a str>,
}

impl Hmac {
    pub(super) fn new(header: String) -> Self {
        Self {
            headers: vec![header],
            digest: Digest::Sha256,
            encoding: Encoding::Hex,
            shape: Shape::Prefixed(String::new()),
            message: None,
            freshness: None,
            body_hash: None,
            keys: Vec::new(),
        }
    }

    /// Another name under which the vendor may send the signature.
    pub fn or_header(mut self, header: impl Into<String>) -> Self {
        self.headers.push(header.into());
        self
    }

    pub fn base64(self) -> Self {
        self.encoding(Encoding::Base64)
    }

    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = encoding;
        self
    }

    pub fn digest(mut self, digest: Digest) -> Self {
        self.digest = digest;
        self
    }

    /// Fixed text before the signature in its header, as in `sha256=`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.shape = Shape::Prefixed(prefix.into());
        self
    }

    /// The header holds a time in seconds since 1970 and one or several signatures, each after its label: `t=…,v1=…,v1=…`.
    /// Other labels are not looked at. What is signed is `time.body`, unless said otherwise.
    pub fn labelled(mut self, time: impl Into<String>, signature: impl Into<String>, within: Duration) -> Self {
        self.shape = Shape::Labelled { time: time.into(), signature: signature.into(), within };
        self
    }

    pub fn over(mut self, message: Vec<Part>) -> Self {
        self.message = Some(message);
        self
    }

    /// Header with seconds since 1970, and how far it may be from now in either direction.
    pub fn fresh_by(self, header: impl Into<String>, within: Duration) -> Self {
        self.fresh(header.into(), Written::Seconds, within)
    }

    /// The same in milliseconds.
    pub fn fresh_by_millis(self, header: impl Into<String>, within: Duration) -> Self {
        self.fresh(header.into(), Written::Millis, within)
    }

    /// The same as an HTTP date: `Thu, 30 Mar 2023 08:38:32 GMT`.
    pub fn fresh_by_http_date(self, header: impl Into<String>, within: Duration) -> Self {
        self.fresh(header.into(), Written::HttpDate, within)
    }

    fn fresh(mut self, header: String, written: Written, within: Duration) -> Self {
        self.freshness = Some(Freshness { header, written, within });
        self
    }

    /// This header holds the base64 SHA-256 of the body. It proves nothing by itself: it must be among what is signed.
    pub fn body_hash_in(mut self, header: impl Into<String>) -> Self {
        self.body_hash = Some(header.into());
        self
    }

    /// Every one of these secrets is accepted: more than one while a secret is being changed.
    pub fn secrets(self, secrets: &[Secret]) -> Proof {
        Proof::Hmac(self.with_keys(secrets))
    }

    pub(super) fn with_keys(mut self, secrets: &[Secret]) -> Self {
        self.keys = secrets.iter().map(|secret| Key(secret.expose().as_bytes().to_vec())).collect();
        self
    }

    pub(super) fn standard_keys(mut self, secrets: &[Secret]) -> Self {
        self.shape = Shape::Versioned("v1,");
        for secret in secrets {
            let text = secret.expose();
            let bare = text.strip_prefix("whsec_").unwrap_or(text);
            let padded = format!("{bare}{}", "=".repeat((4 - bare.len() % 4) % 4));
            self.keys.push(Key(STANDARD.decode(padded).unwrap_or_else(|_| text.as_bytes().to_vec())));
        }
        self
    }

    pub(super) fn headers(&self) -> Vec<&str> {
        self.headers.iter().map(String::as_str).collect()
    }

    pub(super) fn is_timed(&self) -> bool {
        self.freshness.is_some() || matches!(self.shape, Shape::Labelled { .. })
    }

    pub(super) fn covers_body(&self) -> bool {
        self.parts().iter().any(|part| match part {
            Part::Body | Part::BodyBase64 => true,
            Part::Header(name) => self.body_hash.as_ref().is_some_and(|hash| hash.eq_ignore_ascii_case(name)),
            _ => false,
        })
    }

    fn parts(&self) -> Vec<Part> {
        match (&self.message, &self.shape) {
            (Some(parts), _) => parts.clone(),
            (None, Shape::Labelled { .. }) => vec![Part::Timestamp, Part::Text("."), Part::Body],
            (None, _) => vec![Part::Body],
        }
    }

    pub(super) fn check(&self, incoming: &Incoming, now: Timestamp) -> Result<(), Unproven> {
        if incoming.body.is_empty() {
            return Err(Unproven::EmptyBody);
        }
        let sent = self.sent(signature(&incoming.headers, &self.headers)?)?;
        let mut time = sent.time;
        if let (Shape::Labelled { within, .. }, Some(text)) = (&self.shape, sent.time) {
            Written::Seconds.check(text, *within, now)?;
        }
        if let Some(freshness) = &self.freshness {
            time = Some(freshness.check(&incoming.headers, now)?);
        }
        if let Some(header) = &self.body_hash {
            check_body_hash(incoming, header)?;
        }
        let message = message(&self.parts(), incoming, time)?;
        let fits = sent.signatures.iter().fold(false, |fits, signature| fits | self.fits(&message, signature));
        if fits { Ok(()) } else { Err(Unproven::NoMatch) }
    }

    /// Every key is tried, whichever fits: the time taken says nothing. An empty one fits nothing.
    pub(super) fn fits(&self, message: &[u8], signature: &[u8]) -> bool {
        let keys = self.keys.iter().filter(|key| !key.0.is_empty());
        keys.fold(false, |fits, key| fits | key.verify(self.digest, message, signature))
    }

    pub(super) fn signature(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.keys.first().map(|key| key.sign(self.digest, message))
    }

    fn sent<'a>(&self, text: &'a str) -> Result<Sent<'a>, Unproven> {
        let mut time = None;
        let encoded: Vec<&str> = match &self.shape {
            Shape::Prefixed(prefix) => vec![text.strip_prefix(prefix.as_str()).ok_or(Unproven::SignatureMalformed)?],
            Shape::Versioned(version) => {
                text.split(' ').filter_map(|one| one.strip_prefix(version)).take(MOST_SIGNATURES).collect()
            }
            Shape::Labelled { time: label, signature, .. } => {
                let pairs = || text.split(',').filter_map(|one| one.split_once('='));
                let mut times = pairs().filter(|(name, _)| name == label).map(|(_, value)| value);
                time = Some(times.next().ok_or(Unproven::TimestampMalformed)?);
                if times.next().is_some() {
                    return Err(Unproven::TimestampMalformed);
                }
                pairs().filter(|(name, _)| name == signature).map(|(_, value)| value).take(MOST_SIGNATURES).collect()
            }
        };
        let signatures: Vec<Vec<u8>> = encoded.into_iter().filter_map(|one| self.decode(one)).collect();
        if signatures.is_empty() { Err(Unproven::SignatureMalformed) } else { Ok(Sent { signatures, time }) }
    }

    fn decode(&self, text: &str) -> Option<Vec<u8>> {
        let bytes = match self.encoding {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        }?;
        (bytes.len() == self.digest.len()).then_some(bytes)
    }

    pub(super) fn sign(&self, request: &mut Incoming, now: Timestamp) -> Result<(), Unproven> {
        let mut time = Written::Seconds.text(now);
        if let Some(freshness) = &self.freshness {
            freshness.stamp(&mut request.headers, now)?;
            time = freshness.written.text(now);
        }
        if let Some(header) = &self.body_hash {
            insert(&mut request.headers, header, &body_hash(&request.body))?;
        }
        let message = message(&self.parts(), request, Some(&time))?;
        let mut signatures = self.keys.iter().map(|key| {
            let signature = key.sign(self.digest, &message);
            match self.encoding {
                Encoding::Hex => hex::encode(signature),
                Encoding::Base64 => STANDARD.encode(signature),
            }
        });
        if signatures.len() == 0 {
            return Err(Unproven::NoMatch);
        }
        let text = match &self.shape {
            Shape::Prefixed(prefix) => signatures.next().map(|one| format!("{prefix}{one}")).unwrap_or_default(),
            Shape::Versioned(version) => signatures.map(|one| format!("{version}{one}")).collect::<Vec<_>>().join(" "),
            Shape::Labelled { time: label, signature, .. } => {
                signatures.fold(format!("{label}={time}"), |text, one| format!("{text},{signature}={one}"))
            }
        };
        insert(&mut request.headers, &self.headers[0], &text)
    }
}

fn body_hash(body: &[u8]) -> String {
    STANDARD.encode(sha2::Sha256::digest(body))
}

fn check_body_hash(incoming: &Incoming, header: &str) -> Result<(), Unproven> {
    let sent = single(&incoming.headers, header)?.ok_or(Unproven::SignedHeaderMissing)?;
    let same: bool = body_hash(&incoming.body).as_bytes().ct_eq(sent.as_bytes()).into();
    if same { Ok(()) } else { Err(Unproven::OtherBody) }
}

impl Digest {
    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

macro_rules! with_digest {
    ($digest:expr, $key:expr, $mac:ident => $do:expr) => {
        match $digest {
            Digest::Sha1 => Mac::<sha1::Sha1>::new_from_slice($key).map(|mut $mac| $do),
            Digest::Sha256 => Mac::<sha2::Sha256>::new_from_slice($key).map(|mut $mac| $do),
            Digest::Sha512 => Mac::<sha2::Sha512>::new_from_slice($key).map(|mut $mac| $do),
        }
    };
}

impl Key {
    /// Constant time in the compared bytes.
    fn verify(&self, digest: Digest, message: &[u8], signature: &[u8]) -> bool {
        with_digest!(digest, &self.0, mac => {
            mac.update(message);
            mac.verify_slice(signature).is_ok()
        })
        .unwrap_or(false)
    }

    fn sign(&self, digest: Digest, message: &[u8]) -> Vec<u8> {
        // HMAC takes keys of any length, so the error cannot occur.
        with_digest!(digest, &self.0, mac => {
            mac.update(message);
            mac.finalize().into_bytes().to_vec()
        })
        .unwrap_or_default()
    }
}
