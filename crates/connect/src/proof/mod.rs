//! Signature schemes as data. Crypto and constant-time comparison exist once, here.

mod address;
mod hmac;
mod in_body;
mod jws;
mod part;
mod rsa;
#[cfg(test)]
mod tests;
mod token;

pub use address::InUrl;
pub use hmac::{Digest, Encoding, Hmac};
pub use in_body::InBody;
pub use jws::Jws;
pub use part::Part;
pub use rsa::{PublishedKeys, Rsa, public_key_problem};

use crate::{Incoming, NUDGE, QUERY, Secret, Verified};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use spindel_model::Timestamp;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// How a request proves that it came from the vendor.
pub enum Proof {
    Hmac(Hmac),
    Rsa(Rsa),
    Jws(Jws),
    /// A fixed secret in a header: proves who sent it, and nothing about the body.
    SharedToken {
        header: String,
        tokens: Vec<Secret>,
    },
    /// A fixed secret in the query of the address: proves that the sender was told the address, and nothing more.
    InUrl(InUrl),
    InBody(InBody),
    /// One of them holds.
    Any(Vec<Proof>),
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
    #[error("the body is not the one that its hash header names")]
    OtherBody,
    #[error("the secret is missing from the address or from the body")]
    TokenMissing,
    #[error("the secret stands more than once in the address")]
    TokenDoubled,
    #[error("the body is not of the shape that carries its proof")]
    BodyMalformed,
    #[error("the signature is of an algorithm that is not accepted")]
    OtherAlgorithm,
    #[error("the query of the address is too long")]
    AddressTooLong,
    #[error("there is no key to sign with: requests of this scheme come from the vendor alone")]
    CannotSign,
}

impl Unproven {
    fn is_absence(self) -> bool {
        matches!(self, Self::SignatureMissing | Self::TokenMissing)
    }
}

/// What a proof that held says beyond that.
#[derive(Default)]
struct Held {
    /// What was signed, where it is not the body as it came.
    body: Option<Bytes>,
    /// Nothing in the request may be believed but that something happened.
    nudge: bool,
}

impl Proof {
    /// HMAC-SHA256 over the body, hex, with no timestamp; the builder changes what the vendor does otherwise.
    pub fn hmac(header: impl Into<String>) -> Hmac {
        Hmac::new(header.into())
    }

    /// Standard Webhooks 1.0.0: `webhook-id.webhook-timestamp.body`, HMAC-SHA256, `v1,` and base64, five minutes.
    /// Secrets are base64, with or without `whsec_`; one that is no base64 is taken as it is.
    pub fn standard_webhooks(secrets: &[Secret]) -> Self {
        let scheme = Self::hmac("webhook-signature")
            .base64()
            .over(vec![
                Part::Header("webhook-id".into()),
                Part::Text("."),
                Part::Header("webhook-timestamp".into()),
                Part::Text("."),
                Part::Body,
            ])
            .fresh_by("webhook-timestamp", Duration::from_secs(300));
        Self::Hmac(scheme.standard_keys(secrets))
    }

    /// RSA PKCS#1 v1.5 with SHA-256, base64, in any of these headers; over the body unless said otherwise.
    pub fn rsa(headers: &[&str]) -> Rsa {
        Rsa::new(headers)
    }

    /// The body is JSON with a compact HS256 JWS (RFC 7515) at this JSON pointer. What is believed, kept and parsed is the payload.
    pub fn jws(pointer: impl Into<String>, secrets: &[Secret]) -> Self {
        Self::Jws(Jws::new(pointer.into(), secrets))
    }

    /// A secret in this parameter of the address. It is never kept with the event.
    pub fn in_url(parameter: impl Into<String>, secrets: &[Secret]) -> Self {
        Self::InUrl(InUrl::new(parameter.into(), secrets, false))
    }

    /// The same, for vendors that sign nothing: what the request says is a hint, and all changes must be
    /// [`spindel_model::Record::Nudge`], so that the record is read back with our own credentials. The body may be empty.
    pub fn fetch_back(parameter: impl Into<String>, secrets: &[Secret]) -> Self {
        Self::InUrl(InUrl::new(parameter.into(), secrets, true))
    }

    /// A secret inside the JSON body, at JSON pointers in which `*` stands for every item of a list: `/value/*/clientState`.
    /// Every place must hold it, and it is not kept with the event.
    pub fn in_body(pointers: &[&str], secrets: &[Secret]) -> Self {
        Self::InBody(InBody::new(pointers, secrets))
    }

    /// One of them must hold. Each says of itself what it accepts, so the weakest decides.
    pub fn any(proofs: Vec<Proof>) -> Self {
        Self::Any(proofs)
    }

    /// The request, believed; or the reason why not.
    pub fn check(&self, incoming: Incoming, now: Timestamp) -> Result<Verified, Unproven> {
        let held = self.prove(&incoming, now)?;
        self.verified(incoming, held)
    }

    /// The request as [`Proof::check`] would give it, with nothing proved; for `insecure_accept_unsigned = true` alone.
    pub fn accept_unproven(&self, incoming: Incoming) -> Result<Verified, Unproven> {
        let body = self.alternatives().into_iter().find_map(|proof| match proof {
            Self::Jws(jws) => jws.unproven_payload(&incoming.body),
            _ => None,
        });
        let nudge = self.alternatives().iter().all(|proof| matches!(proof, Self::InUrl(it) if it.only_nudges()));
        self.verified(incoming, Held { body, nudge })
    }

    fn verified(&self, incoming: Incoming, held: Held) -> Result<Verified, Unproven> {
        let query = address::without(&incoming.uri, &self.parameters())?;
        let mut headers = incoming.headers;
        headers.remove(QUERY);
        headers.remove(NUDGE);
        if !query.is_empty() {
            insert(&mut headers, QUERY, &query)?;
        }
        if held.nudge {
            headers.insert(NUDGE, HeaderValue::from_static("1"));
        }
        let body = held.body.unwrap_or(incoming.body);
        Ok(Verified::new(headers, body))
    }

    fn prove(&self, incoming: &Incoming, now: Timestamp) -> Result<Held, Unproven> {
        match self {
            Self::Hmac(scheme) => scheme.check(incoming, now).map(|()| Held::default()),
            Self::Rsa(scheme) => scheme.check(incoming).map(|()| Held::default()),
            Self::Jws(scheme) => Ok(Held { body: Some(scheme.payload(&incoming.body, now)?), nudge: false }),
            Self::SharedToken { header, tokens } => {
                token::check_header(&incoming.headers, header, tokens).map(|()| Held::default())
            }
            Self::InUrl(scheme) => scheme.check(incoming).map(|()| Held { body: None, nudge: scheme.only_nudges() }),
            Self::InBody(scheme) => Ok(Held { body: Some(scheme.check(&incoming.body)?), nudge: false }),
            Self::Any(proofs) => prove_any(proofs, incoming, now),
            Self::InsecureUnsigned => Ok(Held::default()),
        }
    }

    /// The single proof that this request satisfies.
    pub fn holding(&self, incoming: &Incoming, now: Timestamp) -> Option<&Proof> {
        self.alternatives().into_iter().find(|proof| proof.prove(incoming, now).is_ok())
    }

    /// All that one of which must hold; a single proof is its own only alternative.
    pub fn alternatives(&self) -> Vec<&Proof> {
        match self {
            Self::Any(proofs) => proofs.iter().flat_map(Proof::alternatives).collect(),
            one => vec![one],
        }
    }

    /// Headers that carry the proof; they are dropped once it held, so that they are never stored.
    pub fn headers(&self) -> Vec<&str> {
        match self {
            Self::Hmac(scheme) => scheme.headers(),
            Self::Rsa(scheme) => scheme.headers(),
            Self::SharedToken { header, .. } => vec![header],
            Self::Any(proofs) => proofs.iter().flat_map(Proof::headers).collect(),
            Self::Jws(_) | Self::InUrl(_) | Self::InBody(_) | Self::InsecureUnsigned => Vec::new(),
        }
    }

    /// Parameters of the address that carry the proof; they are never stored either.
    pub fn parameters(&self) -> Vec<&str> {
        match self {
            Self::InUrl(scheme) => vec![scheme.parameter()],
            Self::Any(proofs) => proofs.iter().flat_map(Proof::parameters).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a request is good for a short time only.
    pub fn is_timed(&self) -> bool {
        match self {
            Self::Hmac(scheme) => scheme.is_timed(),
            Self::Any(proofs) => proofs.iter().all(Proof::is_timed),
            _ => false,
        }
    }

    /// Whether a changed body is noticed.
    pub fn covers_body(&self) -> bool {
        match self {
            Self::Hmac(scheme) => scheme.covers_body(),
            Self::Rsa(scheme) => scheme.covers_body(),
            Self::Jws(_) => true,
            Self::Any(proofs) => proofs.iter().all(Proof::covers_body),
            Self::SharedToken { .. } | Self::InUrl(_) | Self::InBody(_) | Self::InsecureUnsigned => false,
        }
    }

    /// Makes this request one that is believed: for what Spindel sends, and for test webhooks. Adds headers, or the parameter
    /// of the address, or puts the body into what is signed. Of several proofs, one that it holds already, or the first that can.
    /// With several secrets every scheme that can carry several signatures carries one for each.
    pub fn sign(&self, request: &mut Incoming, now: Timestamp) -> Result<(), Unproven> {
        match self {
            Self::Hmac(scheme) => scheme.sign(request, now),
            Self::Rsa(scheme) => scheme.sign(request),
            Self::Jws(scheme) => scheme.sign(request, now),
            Self::SharedToken { header, tokens } => {
                let token = tokens.first().ok_or(Unproven::NoMatch)?;
                insert(&mut request.headers, header, token.expose())
            }
            Self::InUrl(scheme) => scheme.sign(request),
            Self::InBody(scheme) => scheme.sign(request),
            Self::Any(proofs) => sign_with_any(proofs, request, now),
            Self::InsecureUnsigned => Ok(()),
        }
    }

    /// Addresses of the vendor's keys that this request asks to be checked with, and that the connector allows.
    pub fn wanted_keys(&self, incoming: &Incoming) -> Vec<String> {
        match self {
            Self::Rsa(scheme) => scheme.wanted_keys(&incoming.headers),
            Self::Any(proofs) => proofs.iter().flat_map(|proof| proof.wanted_keys(incoming)).collect(),
            _ => Vec::new(),
        }
    }

    /// Hands over keys that were fetched from where [`Proof::wanted_keys`] said: address and PEM.
    pub fn supply(&mut self, keys: &[(String, String)]) {
        match self {
            Self::Rsa(scheme) => scheme.supply(keys),
            Self::Any(proofs) => proofs.iter_mut().for_each(|proof| proof.supply(keys)),
            _ => {}
        }
    }

    /// For simulators and tests: RSA proofs sign with this private key (PKCS#8 PEM) and believe it, beside their own keys.
    pub fn signing_key(mut self, pem: &Secret) -> Self {
        match &mut self {
            Self::Rsa(scheme) => scheme.set_signing_key(pem),
            Self::Any(proofs) => {
                *proofs = std::mem::take(proofs).into_iter().map(|proof| proof.signing_key(pem)).collect();
            }
            _ => {}
        }
        self
    }
}

fn prove_any(proofs: &[Proof], incoming: &Incoming, now: Timestamp) -> Result<Held, Unproven> {
    let mut told = None;
    for proof in proofs {
        match proof.prove(incoming, now) {
            Ok(held) => return Ok(held),
            // That a header of another scheme is missing says less than what is wrong with the one that is there.
            Err(why) if told.is_none() || (told.is_some_and(Unproven::is_absence) && !why.is_absence()) => told = Some(why),
            Err(_) => {}
        }
    }
    Err(told.unwrap_or(Unproven::NoMatch))
}

fn sign_with_any(proofs: &[Proof], request: &mut Incoming, now: Timestamp) -> Result<(), Unproven> {
    if proofs.iter().any(|proof| proof.prove(request, now).is_ok()) {
        return Ok(());
    }
    let mut told = Unproven::NoMatch;
    for proof in proofs {
        let mut signed = request.clone();
        match proof.sign(&mut signed, now).and_then(|()| proof.prove(&signed, now)) {
            Ok(_) => {
                *request = signed;
                return Ok(());
            }
            Err(why) => told = why,
        }
    }
    Err(told)
}

/// The one value of a header; two are an attempt to be understood in two ways.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Unproven> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Unproven::HeaderDoubled) } else { Ok(first) }
}

/// The text of a signature header: there once, no longer than any signature is.
fn signature<'a>(headers: &'a HeaderMap, names: &[String]) -> Result<&'a str, Unproven> {
    const LONGEST: usize = 8 * 1024;
    let mut value = None;
    for name in names {
        value = value.or(single(headers, name)?);
    }
    let text = value.ok_or(Unproven::SignatureMissing)?.to_str().map_err(|_| Unproven::SignatureMalformed)?;
    if text.len() > LONGEST { Err(Unproven::SignatureMalformed) } else { Ok(text) }
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Unproven> {
    let name = http::HeaderName::try_from(name).map_err(|_| Unproven::SignatureMalformed)?;
    let value = HeaderValue::try_from(value).map_err(|_| Unproven::SignatureMalformed)?;
    headers.insert(name, value);
    Ok(())
}

/// In constant time for each of them; an empty secret matches nothing.
fn is_one_of(secrets: &[Secret], sent: &[u8]) -> bool {
    secrets.iter().fold(false, |fits, secret| {
        let same: bool = secret.expose().as_bytes().ct_eq(sent).into();
        fits | (same && !secret.is_empty())
    })
}
