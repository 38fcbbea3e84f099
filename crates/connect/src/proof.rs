//! Signature schemes as data. Crypto and constant-time comparison exist once, here.

use crate::{Incoming, Secret, Verified};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac as Mac, KeyInit, Mac as _};
use http::HeaderMap;
use spindel_model::Timestamp;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How a request proves that it came from the vendor.
pub enum Proof {
    Hmac(Hmac),
    /// A fixed secret in a header: proves who sent it, and nothing about the body.
    SharedToken {
        header: String,
        tokens: Vec<Secret>,
    },
    /// Nothing is proved. Only `insecure_accept_unsigned = true` in the config makes one, and the console shows it.
    InsecureUnsigned,
}

/// Why a request was not believed. Never says what the right signature would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    #[error("the signature header is missing")]
    SignatureMissing,
    #[error("a signature header stands more than once")]
    HeaderDoubled,
    #[error("the signature is not well-formed")]
    SignatureMalformed,
    #[error("a signed header is missing")]
    SignedHeaderMissing,
    #[error("the timestamp is missing or no number")]
    TimestampMalformed,
    #[error("the timestamp is too old")]
    TooOld,
    #[error("the timestamp is too far in the future")]
    TooNew,
    #[error("the signature does not match any current secret")]
    NoMatch,
    #[error("the body is empty")]
    EmptyBody,
}

/// HMAC over chosen parts of the request.
#[derive(Clone)]
pub struct Hmac {
    headers: Vec<String>,
    digest: Digest,
    encoding: Encoding,
    shape: Shape,
    message: Vec<Part>,
    timestamp: Option<(String, Duration)>,
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
}

/// One piece of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Body,
    Header(String),
    Text(&'static str),
    Method,
    /// Path and query.
    Uri,
}

#[derive(Clone)]
struct Key(Vec<u8>);

impl Proof {
    /// HMAC-SHA256 over the body, hex, with no timestamp; the builder changes what the vendor does otherwise.
    pub fn hmac(header: impl Into<String>) -> Hmac {
        Hmac {
            headers: vec![header.into()],
            digest: Digest::Sha256,
            encoding: Encoding::Hex,
            shape: Shape::Prefixed(String::new()),
            message: vec![Part::Body],
            timestamp: None,
            keys: Vec::new(),
        }
    }

    /// Standard Webhooks 1.0.0: `webhook-id.webhook-timestamp.body`, HMAC-SHA256, `v1,` and base64, five minutes.
    /// Secrets are base64, with or without `whsec_`; one that is no base64 is taken as it is.
    pub fn standard_webhooks(secrets: &[Secret]) -> Self {
        let mut scheme = Self::hmac("webhook-signature")
            .base64()
            .over(vec![
                Part::Header("webhook-id".into()),
                Part::Text("."),
                Part::Header("webhook-timestamp".into()),
                Part::Text("."),
                Part::Body,
            ])
            .fresh_by("webhook-timestamp", Duration::from_secs(300));
        scheme.shape = Shape::Versioned("v1,");
        for secret in secrets {
            let text = secret.expose();
            let bare = text.strip_prefix("whsec_").unwrap_or(text);
            let padded = format!("{bare}{}", "=".repeat((4 - bare.len() % 4) % 4));
            scheme.keys.push(Key(STANDARD.decode(padded).unwrap_or_else(|_| text.as_bytes().to_vec())));
        }
        Self::Hmac(scheme)
    }

    /// The request, believed; or the reason why not.
    pub fn check(&self, incoming: Incoming, now: Timestamp) -> Result<Verified, Unproven> {
        match self {
            Self::Hmac(scheme) => scheme.check(&incoming, now)?,
            Self::SharedToken { header, tokens } => check_token(&incoming.headers, header, tokens)?,
            Self::InsecureUnsigned => {}
        }
        Ok(Verified::new(incoming.headers, incoming.body))
    }

    /// Headers that carry the proof; they are dropped once it held, so that they are never stored.
    pub fn headers(&self) -> Vec<&str> {
        match self {
            Self::Hmac(scheme) => scheme.headers.iter().map(String::as_str).collect(),
            Self::SharedToken { header, .. } => vec![header],
            Self::InsecureUnsigned => Vec::new(),
        }
    }

    /// Adds the headers that make this request believed: for what Spindel sends, and for test webhooks.
    /// With several secrets every scheme that can carry several signatures carries one for each.
    pub fn sign(&self, request: &mut Incoming, now: Timestamp) -> Result<(), Unproven> {
        match self {
            Self::Hmac(scheme) => scheme.sign(request, now),
            Self::SharedToken { header, tokens } => {
                let token = tokens.first().ok_or(Unproven::NoMatch)?;
                insert(&mut request.headers, header, token.expose())
            }
            Self::InsecureUnsigned => Ok(()),
        }
    }
}

fn check_token(headers: &HeaderMap, header: &str, tokens: &[Secret]) -> Result<(), Unproven> {
    let sent = single(headers, header)?.ok_or(Unproven::SignatureMissing)?;
    let fits = tokens.iter().fold(false, |fits, token| {
        let same: bool = token.expose().as_bytes().ct_eq(sent.as_bytes()).into();
        fits | (same && !token.is_empty())
    });
    if fits { Ok(()) } else { Err(Unproven::NoMatch) }
}

/// The one value of a header; two are an attempt to be understood in two ways.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a http::HeaderValue>, Unproven> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Unproven::HeaderDoubled) } else { Ok(first) }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Unproven> {
    let name = http::HeaderName::try_from(name).map_err(|_| Unproven::SignatureMalformed)?;
    let value = http::HeaderValue::try_from(value).map_err(|_| Unproven::SignatureMalformed)?;
    headers.insert(name, value);
    Ok(())
}

impl Hmac {
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

    pub fn over(mut self, message: Vec<Part>) -> Self {
        self.message = message;
        self
    }

    /// Header with seconds since 1970, and how far it may be from now in either direction.
    pub fn fresh_by(mut self, header: impl Into<String>, within: Duration) -> Self {
        self.timestamp = Some((header.into(), within));
        self
    }

    /// Every one of these secrets is accepted: more than one while a secret is being changed.
    pub fn secrets(mut self, secrets: &[Secret]) -> Proof {
        self.keys = secrets.iter().map(|secret| Key(secret.expose().as_bytes().to_vec())).collect();
        Proof::Hmac(self)
    }

    fn check(&self, incoming: &Incoming, now: Timestamp) -> Result<(), Unproven> {
        if incoming.body.is_empty() {
            return Err(Unproven::EmptyBody);
        }
        let sent = self.sent(&incoming.headers)?;
        if let Some((header, within)) = &self.timestamp {
            check_freshness(&incoming.headers, header, *within, now)?;
        }
        let message = self.message(incoming)?;
        // Every key is tried against every signature, whichever fits: the time taken says nothing.
        let mut fits = false;
        for key in self.keys.iter().filter(|key| !key.0.is_empty()) {
            for signature in &sent {
                fits |= key.verify(self.digest, &message, signature);
            }
        }
        if fits { Ok(()) } else { Err(Unproven::NoMatch) }
    }

    fn sent(&self, headers: &HeaderMap) -> Result<Vec<Vec<u8>>, Unproven> {
        const MOST_SIGNATURES: usize = 16;
        let mut value = None;
        for name in &self.headers {
            value = value.or(single(headers, name)?);
        }
        let text = value.ok_or(Unproven::SignatureMissing)?.to_str().map_err(|_| Unproven::SignatureMalformed)?;
        let encoded: Vec<&str> = match &self.shape {
            Shape::Prefixed(prefix) => vec![text.strip_prefix(prefix.as_str()).ok_or(Unproven::SignatureMalformed)?],
            Shape::Versioned(version) => {
                text.split(' ').filter_map(|one| one.strip_prefix(version)).take(MOST_SIGNATURES).collect()
            }
        };
        let decoded: Vec<Vec<u8>> = encoded.into_iter().filter_map(|one| self.decode(one)).collect();
        if decoded.is_empty() { Err(Unproven::SignatureMalformed) } else { Ok(decoded) }
    }

    fn decode(&self, text: &str) -> Option<Vec<u8>> {
        let bytes = match self.encoding {
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => STANDARD.decode(text).ok(),
        }?;
        (bytes.len() == self.digest.len()).then_some(bytes)
    }

    fn message(&self, incoming: &Incoming) -> Result<Vec<u8>, Unproven> {
        let mut message = Vec::with_capacity(incoming.body.len() + 64);
        for part in &self.message {
            match part {
                Part::Body => message.extend_from_slice(&incoming.body),
                Part::Text(text) => message.extend_from_slice(text.as_bytes()),
                Part::Method => message.extend_from_slice(incoming.method.as_str().as_bytes()),
                Part::Uri => message.extend_from_slice(incoming.uri.as_bytes()),
                Part::Header(name) => {
                    let value = single(&incoming.headers, name)?.ok_or(Unproven::SignedHeaderMissing)?;
                    message.extend_from_slice(value.as_bytes());
                }
            }
        }
        Ok(message)
    }

    fn sign(&self, request: &mut Incoming, now: Timestamp) -> Result<(), Unproven> {
        if let Some((header, _)) = &self.timestamp {
            insert(&mut request.headers, header, &now.as_second().to_string())?;
        }
        let message = self.message(request)?;
        let signatures = self.keys.iter().map(|key| {
            let signature = key.sign(self.digest, &message);
            match self.encoding {
                Encoding::Hex => hex::encode(signature),
                Encoding::Base64 => STANDARD.encode(signature),
            }
        });
        let text = match &self.shape {
            Shape::Prefixed(prefix) => signatures.take(1).map(|one| format!("{prefix}{one}")).collect::<String>(),
            Shape::Versioned(version) => signatures.map(|one| format!("{version}{one}")).collect::<Vec<_>>().join(" "),
        };
        if text.is_empty() {
            return Err(Unproven::NoMatch);
        }
        insert(&mut request.headers, &self.headers[0], &text)
    }
}

fn check_freshness(headers: &HeaderMap, header: &str, within: Duration, now: Timestamp) -> Result<(), Unproven> {
    let value = single(headers, header)?.ok_or(Unproven::SignedHeaderMissing)?;
    let sent: i64 = value.to_str().ok().and_then(|text| text.parse().ok()).ok_or(Unproven::TimestampMalformed)?;
    let within = i64::try_from(within.as_secs()).unwrap_or(i64::MAX);
    let age = now.as_second().saturating_sub(sent);
    if age > within {
        return Err(Unproven::TooOld);
    }
    if age < -within { Err(Unproven::TooNew) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn incoming(body: &'static str, headers: &[(&str, &str)]) -> Incoming {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        Incoming { method: http::Method::POST, uri: "/in/shop".into(), headers: map, body: Bytes::from_static(body.as_bytes()) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn secrets(texts: &[&str]) -> Vec<Secret> {
        texts.iter().map(|text| Secret::new(*text)).collect()
    }

    #[test]
    fn published_standard_webhooks_vectors_hold() {
        for (secret, id, timestamp, body, signature) in [
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                "1649367553",
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
            (
                "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "1614265330",
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ] {
            let proof = Proof::standard_webhooks(&secrets(&[secret]));
            let now = at(timestamp.parse().unwrap());
            let headers = |signature| [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
            assert!(proof.check(incoming(body, &headers(signature)), now).is_ok());
            let among_others = format!("v1,AAAA v1a,zzz {signature} v2,abc");
            assert!(proof.check(incoming(body, &headers(&among_others)), now).is_ok());
            let other_version = signature.replace("v1,", "v2,");
            assert_eq!(proof.check(incoming(body, &headers(&other_version)), now).err(), Some(Unproven::SignatureMalformed));

            let mut signed = incoming(body, &[("webhook-id", id)]);
            proof.sign(&mut signed, now).unwrap();
            assert_eq!(signed.headers["webhook-signature"], signature);
        }
    }

    #[test]
    fn the_window_is_closed_on_both_sides() {
        let proof = Proof::standard_webhooks(&secrets(&["c2VjcmV0LW9mLXRoZS10ZXN0"]));
        let mut signed = incoming("{}", &[("webhook-id", "m")]);
        proof.sign(&mut signed, at(1_000_000)).unwrap();
        assert!(proof.check(signed.clone(), at(1_000_300)).is_ok());
        assert!(proof.check(signed.clone(), at(999_700)).is_ok());
        assert_eq!(proof.check(signed.clone(), at(1_000_301)).err(), Some(Unproven::TooOld));
        assert_eq!(proof.check(signed, at(999_699)).err(), Some(Unproven::TooNew));
    }

    #[test]
    fn every_current_secret_is_accepted_and_no_other() {
        let old = Proof::hmac("x-sig").base64().secrets(&secrets(&["old"]));
        let both = Proof::hmac("x-sig").base64().secrets(&secrets(&["new", "old"]));
        let new = Proof::hmac("x-sig").base64().secrets(&secrets(&["new"]));
        let mut signed = incoming("{}", &[]);
        old.sign(&mut signed, at(0)).unwrap();
        assert!(both.check(signed.clone(), at(0)).is_ok());
        assert_eq!(new.check(signed, at(0)).err(), Some(Unproven::NoMatch));
    }

    #[test]
    fn an_empty_secret_proves_nothing() {
        let proof = Proof::hmac("x-sig").secrets(&secrets(&[""]));
        let mut signed = incoming("{}", &[]);
        proof.sign(&mut signed, at(0)).unwrap();
        assert_eq!(proof.check(signed, at(0)).err(), Some(Unproven::NoMatch));
        let token = Proof::SharedToken { header: "x-token".into(), tokens: secrets(&[""]) };
        assert!(token.check(incoming("{}", &[("x-token", "")]), at(0)).is_err());
    }

    #[test]
    fn malformed_doubled_and_truncated_signatures_are_refused() {
        let proof = Proof::hmac("x-sig").secrets(&secrets(&["s"]));
        let mut signed = incoming("{}", &[]);
        proof.sign(&mut signed, at(0)).unwrap();
        let right = signed.headers["x-sig"].to_str().unwrap().to_owned();
        for (value, reason) in [
            ("", Unproven::SignatureMalformed),
            ("zz", Unproven::SignatureMalformed),
            (&right[..62], Unproven::SignatureMalformed),
        ] {
            assert_eq!(proof.check(incoming("{}", &[("x-sig", value)]), at(0)).err(), Some(reason), "{value}");
        }
        assert_eq!(proof.check(incoming("{}", &[]), at(0)).err(), Some(Unproven::SignatureMissing));
        let doubled = incoming("{}", &[("x-sig", &right), ("x-sig", &right)]);
        assert_eq!(proof.check(doubled, at(0)).err(), Some(Unproven::HeaderDoubled));
        assert_eq!(proof.check(incoming("", &[("x-sig", &right)]), at(0)).err(), Some(Unproven::EmptyBody));
    }

    #[test]
    fn a_prefix_belongs_to_the_signature() {
        let proof = Proof::hmac("x-hub-signature-256").prefix("sha256=").secrets(&secrets(&["s"]));
        let mut signed = incoming("{}", &[]);
        proof.sign(&mut signed, at(0)).unwrap();
        assert!(signed.headers["x-hub-signature-256"].to_str().unwrap().starts_with("sha256="));
        assert!(proof.check(signed, at(0)).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn one_flipped_bit_anywhere_is_noticed(body in proptest::collection::vec(proptest::num::u8::ANY, 1..200), at_byte in 0usize..200, bit in 0u8..8) {
            let proof = Proof::hmac("x-sig").base64().secrets(&secrets(&["s"]));
            let mut signed = incoming("", &[]);
            signed.body = Bytes::from(body.clone());
            proof.sign(&mut signed, at(0)).unwrap();
            proptest::prop_assert!(proof.check(signed.clone(), at(0)).is_ok());
            let mut flipped = body;
            let index = at_byte % flipped.len();
            flipped[index] ^= 1 << bit;
            signed.body = Bytes::from(flipped);
            proptest::prop_assert_eq!(proof.check(signed, at(0)).err(), Some(Unproven::NoMatch));
        }
    }
}
