//! A body that is wrapped in a compact JWS (RFC 7515), signed with HMAC-SHA256.

use super::{Digest, Hmac, Unproven};
use crate::{Incoming, Secret};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::{Value, json};
use spindel_model::Timestamp;

/// How far the clocks may be apart where the payload says until when it holds.
const LEEWAY: i64 = 300;
/// The protected header is a handful of words.
const LONGEST_HEADER: usize = 4 * 1024;

/// A compact JWS at one place of a JSON body.
pub struct Jws {
    pointer: String,
    keys: Hmac,
}

impl Jws {
    pub(super) fn new(pointer: String, secrets: &[Secret]) -> Self {
        Self { pointer, keys: Hmac::new(String::new()).digest(Digest::Sha256).with_keys(secrets) }
    }

    /// What was signed, believed.
    pub(super) fn payload(&self, body: &[u8], now: Timestamp) -> Result<Bytes, Unproven> {
        if body.is_empty() {
            return Err(Unproven::EmptyBody);
        }
        let token = self.token(body).ok_or(Unproven::BodyMalformed)?;
        let (signed, signature) = token.rsplit_once('.').ok_or(Unproven::SignatureMalformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Unproven::SignatureMalformed)?;
        if header.len() > LONGEST_HEADER {
            return Err(Unproven::SignatureMalformed);
        }
        // The algorithm is ours, not the token's to choose: `none`, another digest and extensions are refused before any key is used.
        let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| Unproven::SignatureMalformed)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| Unproven::SignatureMalformed)?;
        if header.alg != "HS256" || header.crit.is_some() || header.b64.is_some() {
            return Err(Unproven::OtherAlgorithm);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Unproven::SignatureMalformed)?;
        if !self.keys.fits(signed.as_bytes(), &signature) {
            return Err(Unproven::NoMatch);
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Unproven::SignatureMalformed)?;
        check_claims(&payload, now)?;
        Ok(payload.into())
    }

    pub(super) fn unproven_payload(&self, body: &[u8]) -> Option<Bytes> {
        let token = self.token(body)?;
        let payload = token.split('.').nth(1)?;
        URL_SAFE_NO_PAD.decode(payload).ok().map(Bytes::from)
    }

    fn token(&self, body: &[u8]) -> Option<String> {
        let body: Value = serde_json::from_slice(body).ok()?;
        body.pointer(&self.pointer)?.as_str().map(str::to_owned)
    }

    /// A body that holds a token already stays as it is; any other becomes the payload of one.
    pub(super) fn sign(&self, request: &mut Incoming, _now: Timestamp) -> Result<(), Unproven> {
        if self.token(&request.body).is_some_and(|token| token.matches('.').count() == 2) {
            return Ok(());
        }
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(&request.body));
        let signature = self.keys.signature(signed.as_bytes()).ok_or(Unproven::NoMatch)?;
        let mut body = Value::String(format!("{signed}.{}", encode(&signature)));
        for name in self.pointer.rsplit('/').filter(|name| !name.is_empty()) {
            body = json!({ name.replace("~1", "/").replace("~0", "~"): body });
        }
        request.body = body.to_string().into();
        Ok(())
    }
}

/// Doubled names are refused by the derive.
#[derive(serde::Deserialize)]
struct Header {
    alg: String,
    crit: Option<serde::de::IgnoredAny>,
    b64: Option<serde::de::IgnoredAny>,
}

/// RFC 7519 `exp` and `nbf`, where the payload has them.
fn check_claims(payload: &[u8], now: Timestamp) -> Result<(), Unproven> {
    #[derive(serde::Deserialize)]
    struct Claims {
        exp: Option<Value>,
        nbf: Option<Value>,
    }
    let Ok(claims) = serde_json::from_slice::<Claims>(payload) else { return Ok(()) };
    let seconds = |claim: Option<Value>| match claim {
        None => Ok(None),
        Some(Value::Number(number)) if number.is_i64() => Ok(number.as_i64()),
        Some(_) => Err(Unproven::TimestampMalformed),
    };
    if seconds(claims.exp)?.is_some_and(|exp| now.as_second() > exp.saturating_add(LEEWAY)) {
        return Err(Unproven::TooOld);
    }
    if seconds(claims.nbf)?.is_some_and(|nbf| now.as_second() < nbf.saturating_sub(LEEWAY)) {
        return Err(Unproven::TooNew);
    }
    Ok(())
}
