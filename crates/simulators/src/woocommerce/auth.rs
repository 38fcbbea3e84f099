//! Who calls: consumer keys as they are over TLS, calls signed with them (OAuth 1.0a, one leg) without.

use super::{
    api::{Call, Problem, problem},
    state::State,
};
use axum::http::{Method, StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::{collections::BTreeSet, fmt::Write as _};

/// How far the caller's clock may be off, in seconds.
const CLOCK: i64 = 15 * 60;
const CODE: &str = "woocommerce_rest_authentication_error";

/// Time and nonce of signed calls.
pub(crate) type Nonces = BTreeSet<(i64, String)>;

/// Whether this call may be made.
pub(crate) fn check(state: &mut State, call: &Call) -> Result<(), Problem> {
    let signed = call.query("oauth_consumer_key").is_some();
    let known = if signed { oauth(state, call)? } else { state.options.tls && plain(state, call)? };
    if !known {
        let code = if call.method == Method::GET { "woocommerce_rest_cannot_view" } else { "woocommerce_rest_cannot_create" };
        return Err(problem(StatusCode::UNAUTHORIZED, code, "Sorry, you cannot list resources."));
    }
    if state.options.read_only && call.method != Method::GET {
        return Err(refused("The API key provided does not have write permissions."));
    }
    Ok(())
}

fn refused(message: &str) -> Problem {
    problem(StatusCode::UNAUTHORIZED, CODE, message)
}

/// `Authorization: Basic`, or the keys in the query where a host takes that header away. Nothing at all is a stranger.
fn plain(state: &State, call: &Call) -> Result<bool, Problem> {
    let basic = call.headers.get("authorization").and_then(|it| it.to_str().ok()?.strip_prefix("Basic "));
    let basic = basic.and_then(|it| String::from_utf8(STANDARD.decode(it).ok()?).ok());
    let pair = match (&basic, call.query("consumer_key"), call.query("consumer_secret")) {
        (Some(pair), ..) => pair.split_once(':'),
        (None, Some(key), Some(secret)) => Some((key, secret)),
        _ => None,
    };
    let Some((key, secret)) = pair else { return Ok(false) };
    if key != state.options.consumer_key {
        return Err(refused("Consumer key is invalid."));
    }
    if secret != state.options.consumer_secret {
        return Err(refused("Consumer secret is invalid."));
    }
    Ok(true)
}

fn oauth(state: &mut State, call: &Call) -> Result<bool, Problem> {
    let parameter = |name: &str| call.query(name).ok_or_else(|| refused(&format!("Missing OAuth parameter {name}")));
    let (key, method) = (parameter("oauth_consumer_key")?, parameter("oauth_signature_method")?);
    let (time, nonce) = (parameter("oauth_timestamp")?, parameter("oauth_nonce")?);
    if key != state.options.consumer_key {
        return Err(refused("Consumer key is invalid."));
    }
    if method != "HMAC-SHA256" {
        return Err(refused("Invalid signature - signature method is invalid."));
    }
    let expected = signature(call, &state.options.consumer_secret);
    if parameter("oauth_signature")? != expected {
        return Err(refused("Invalid signature - provided signature does not match."));
    }
    let time: i64 = time.parse().map_err(|_| refused("Invalid timestamp."))?;
    let now = state.now().as_second();
    if (now - time).abs() > CLOCK {
        return Err(refused("Invalid timestamp."));
    }
    state.nonces.retain(|(at, _)| now - at <= CLOCK);
    if !state.nonces.insert((time, nonce.to_owned())) {
        return Err(refused("Invalid nonce - nonce has already been used."));
    }
    Ok(true)
}

/// Over method, address and all parameters but the signature itself.
fn signature(call: &Call, secret: &str) -> String {
    let signed = call.query.iter().filter(|(name, _)| name != "oauth_signature");
    let mut pairs: Vec<(String, String)> = signed.map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort();
    let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let base = format!("{}&{}&{}", call.method, encoded(&call.address), encoded(&query));
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(format!("{secret}&").as_bytes()) else {
        unreachable!("HMAC takes a key of any length")
    };
    mac.update(base.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

/// RFC 3986: all but letters, digits and `-._~`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::woocommerce::resource::Fields;
    use axum::http::HeaderMap;

    #[test]
    fn calls_are_signed_as_other_programs_sign_them() {
        let pairs = [
            ("per_page", "1"),
            ("oauth_consumer_key", "ck_x"),
            ("oauth_nonce", "n1"),
            ("oauth_timestamp", "1795000000"),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_version", "1.0"),
        ];
        let call = Call {
            method: Method::GET,
            address: "http://shop.example.test/wp-json/wc/v3/orders".into(),
            query: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            headers: HeaderMap::new(),
            body: Fields::new(),
        };
        assert_eq!(signature(&call, "cs_y"), "IOvYrSTOewcH57KT2WsTBbfLBKq4WxdII4gLkF8u+ss=");
    }
}
