//! Who calls: an integration, signed with OAuth 1.0a or with its token as a bearer where the shop allows that, or an admin.

use super::{
    http::{Call, Problem},
    state::State,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sha2::Sha256;
use std::{collections::BTreeMap, fmt::Write as _};

/// How far ahead the caller's clock may be, in seconds; one that is behind is not noticed.
const AHEAD: i64 = 600;
const ADMIN_HOURS: i64 = 4;

pub(crate) fn check(state: &mut State, call: &Call) -> Result<(), Problem> {
    let header = call.header("authorization").unwrap_or_default();
    if let Some(parameters) = header.strip_prefix("OAuth ") {
        return oauth(state, call, parameters);
    }
    let now = state.now();
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    let admin = state.admin_tokens.get(token).is_some_and(|until| now < *until);
    if admin || (state.options.bearer && token == state.options.access_token) {
        return Ok(());
    }
    let resources = json!({ "resources": "Magento_Sales::sales" });
    Err(Problem::new(401, "The consumer isn't authorized to access %resources.").with(resources))
}

/// `POST integration/admin/token`: the token as a bare JSON text.
pub(crate) fn admin_token(state: &mut State, body: &Value) -> Result<Value, Problem> {
    let is = |field: &str, known: &str| body.get(field).and_then(Value::as_str) == Some(known);
    if !is("username", &state.options.admin.0) || !is("password", &state.options.admin.1) {
        let text = "The account sign-in was incorrect or your account is disabled temporarily. Please wait and try again later.";
        return Err(Problem::new(401, text));
    }
    let token = format!("admintoken{:04}", state.admin_tokens.len() + 1);
    let until = state.now() + SignedDuration::from_hours(ADMIN_HOURS);
    state.admin_tokens.insert(token.clone(), until);
    Ok(token.into())
}

fn refused(message: &str) -> Problem {
    Problem::new(401, message)
}

fn oauth(state: &mut State, call: &Call, header: &str) -> Result<(), Problem> {
    let pair = |it: &str| {
        let (name, value) = it.trim().split_once('=')?;
        Some((name.to_owned(), decoded(value.trim_matches('"'))))
    };
    let given: BTreeMap<String, String> = header.split(',').filter_map(pair).collect();
    let parameter = |name: &str| {
        given.get(name).ok_or_else(|| Problem::new(400, "\"%1\" is required. Enter and try again.").with(json!([name])))
    };
    let (time, nonce) = (parameter("oauth_timestamp")?, parameter("oauth_nonce")?);
    if *parameter("oauth_consumer_key")? != state.options.consumer_key {
        return Err(refused("A consumer having the specified key does not exist"));
    }
    if *parameter("oauth_token")? != state.options.access_token {
        return Err(refused("Token is not an access token"));
    }
    if parameter("oauth_signature_method")? != "HMAC-SHA256" {
        return Err(refused("Signature method is not supported"));
    }
    let time: i64 = time.parse().map_err(|_| refused("The timestamp value in the oauth_timestamp parameter is invalid."))?;
    if time <= 0 || time > state.wall().as_second() + AHEAD {
        return Err(refused("The timestamp value in the oauth_timestamp parameter is invalid."));
    }
    if !state.nonces.insert((time, nonce.clone())) {
        return Err(refused("The nonce is already being used by the consumer with ID 1"));
    }
    let key = format!("{}&{}", encoded(&state.options.consumer_secret), encoded(&state.options.access_token_secret));
    if *parameter("oauth_signature")? != signature(call, &given, &key) {
        return Err(refused("The signature is invalid. Verify and try again."));
    }
    Ok(())
}

/// Over method, address, query and all parameters but the signature itself; the JSON body is not covered.
fn signature(call: &Call, given: &BTreeMap<String, String>, key: &str) -> String {
    let own = given.iter().filter(|(name, _)| !matches!(name.as_str(), "oauth_signature" | "realm"));
    let mut pairs: Vec<(String, String)> = own.map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.extend(call.query.iter().map(|(name, value)| (encoded(name), encoded(value))));
    pairs.sort();
    let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let base = format!("{}&{}&{}", call.method, encoded(&call.address), encoded(&query));
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { unreachable!("HMAC takes a key of any length") };
    mac.update(base.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn decoded(text: &str) -> String {
    url::form_urlencoded::parse(format!("v={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

/// RFC 3986: all but letters, digits and `-._~`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            _ => {
                let _written = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderMap, Method};

    #[test]
    fn calls_are_signed_as_other_programs_sign_them() {
        let group = "searchCriteria[filter_groups][0][filters][0]";
        let query = [
            (format!("{group}[field]"), "updated_at"),
            (format!("{group}[value]"), "2026-11-20 00:00:00"),
            (format!("{group}[condition_type]"), "gteq"),
        ];
        let call = Call {
            method: Method::GET,
            address: "https://shop.example.test/rest/default/V1/orders".into(),
            path: String::new(),
            query: query.map(|(name, value)| (name, value.to_owned())).into(),
            headers: HeaderMap::new(),
            body: Value::Null,
        };
        let given = [
            ("oauth_consumer_key", "ck1"),
            ("oauth_token", "at1"),
            ("oauth_nonce", "abc123"),
            ("oauth_timestamp", "1795000000"),
            ("oauth_signature_method", "HMAC-SHA256"),
            ("oauth_version", "1.0"),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(signature(&call, &given, "cs1&ats1"), "hGI8MtHILebFPBrKG00Orw7YtU2T7Tf8NfKo23rWI6I=");
    }
}
