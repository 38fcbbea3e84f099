//! The API over HTTP: tokens, scopes, limits, and which call is which.

use super::{
    objects::Kind,
    state::{Account, State},
};
use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Request, State as Held},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Largest body that is read.
const CAP: usize = 8 << 20;

/// One call, read.
pub(crate) struct Call {
    pub query: Vec<(String, String)>,
    pub body: Value,
}

impl Call {
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered: a status, and a body but with 204.
pub(crate) type Answer = (StatusCode, Value);

/// What is refused.
#[derive(Debug)]
pub(crate) struct Problem {
    pub status: StatusCode,
    pub message: String,
    pub body: Value,
}

pub(crate) fn problem(status: StatusCode, category: &str, message: impl Into<String>) -> Problem {
    let message = message.into();
    let body = json!({
        "status": "error", "message": message, "category": category,
        "correlationId": "a43683b0-5717-4ceb-80b4-104d02915d8c",
    });
    Problem { status, message, body }
}

pub(crate) fn invalid(message: impl Into<String>) -> Problem {
    problem(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
}

pub(crate) fn unknown() -> Problem {
    problem(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "Object not found.  objectId are usually numeric.")
}

pub(crate) fn router(account: Arc<Account>) -> Router {
    Router::new().fallback(serve).with_state(account)
}

async fn serve(Held(account): Held<Arc<Account>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, CAP).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let path = parts.uri.path();
    if path == "/oauth/v1/token" && parts.method == Method::POST {
        return account.with(|state| state.grant(&body));
    }
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let segments: Vec<String> = path.trim_matches('/').split('/').map(decoded).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let body = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
    account.with(|state| {
        let answer = state.admit(&parts.headers, &parts.method, &segments).and_then(|()| {
            let body = body.map_err(|_| invalid("Invalid input JSON: Unable to parse value."))?;
            state.answer(&parts.method, &segments, &Call { query, body })
        });
        let mut response = match answer {
            Ok((StatusCode::NO_CONTENT, _)) => StatusCode::NO_CONTENT.into_response(),
            Ok((status, body)) => (status, Json(body)).into_response(),
            Err(problem) => (problem.status, Json(problem.body)).into_response(),
        };
        for (name, value) in state.limits.headers(&state.options) {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
        response
    })
}

/// A segment as it was meant.
fn decoded(segment: &str) -> String {
    let pair = format!("x={}", segment.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// What a call needs.
fn scope(method: &Method, segments: &[&str]) -> Option<&'static str> {
    let reads = *method == Method::GET || segments.ends_with(&["batch", "read"]) || segments.ends_with(&["search"]);
    match (segments, reads) {
        (["crm", _, "objects", "contacts" | "contact", ..], true) => Some("crm.objects.contacts.read"),
        (["crm", _, "objects", "contacts" | "contact", ..], false) => Some("crm.objects.contacts.write"),
        (["crm", _, "objects", "deals" | "deal", ..], true) => Some("crm.objects.deals.read"),
        (["crm", _, "objects", "deals" | "deal", ..], false) => Some("crm.objects.deals.write"),
        (["communication-preferences", ..], _) => Some("communication_preferences.read_write"),
        _ => None,
    }
}

impl State {
    /// Tokens for a refresh token, which stays.
    fn grant(&mut self, body: &[u8]) -> Response {
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(body).into_owned().collect();
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let options = &self.options;
        let refused = |status: &str, message: &str| {
            (StatusCode::BAD_REQUEST, Json(json!({ "status": status, "message": message }))).into_response()
        };
        if field("client_id") != Some(&options.client_id) || field("client_secret") != Some(&options.client_secret) {
            return refused("BAD_CLIENT_ID", "missing or unknown client id");
        }
        if field("grant_type") != Some("refresh_token") {
            return refused("BAD_GRANT_TYPE", "missing or unknown grant type");
        }
        if field("refresh_token") != Some(&options.refresh_token) {
            return refused("BAD_REFRESH_TOKEN", "missing or invalid refresh token");
        }
        self.tokens_issued += 1;
        let (access_token, refresh_token) = (format!("simulated-{}", self.tokens_issued), self.options.refresh_token.clone());
        self.tokens.insert(access_token.clone());
        let answer =
            json!({ "access_token": access_token, "refresh_token": refresh_token, "expires_in": 1800, "token_type": "bearer" });
        Json(answer).into_response()
    }

    fn admit(&mut self, headers: &HeaderMap, method: &Method, segments: &[&str]) -> Result<(), Problem> {
        let token = headers.get("authorization").and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
        if !token.is_some_and(|token| self.tokens.contains(token)) {
            let message = "Authentication credentials not found. This API supports OAuth 2.0 authentication.";
            return Err(problem(StatusCode::UNAUTHORIZED, "INVALID_AUTHENTICATION", message));
        }
        let now = self.options.clock.now();
        self.limits.take(&self.options, now, segments.ends_with(&["search"]))?;
        let is_value = |it: &&str| it.contains('@') || it.bytes().all(|it| it.is_ascii_digit());
        let shown = segments.iter().map(|it| if is_value(it) { "{}" } else { *it });
        let shown = shown.fold(method.to_string() + " ", |all, it| all + "/" + it);
        *self.calls.entry(shown).or_default() += 1;
        match scope(method, segments).filter(|it| !self.options.scopes.iter().any(|own| own == it)) {
            None => Ok(()),
            Some(missing) => {
                let message = "This app hasn't been granted all required scopes to make this call.";
                let mut refused = problem(StatusCode::FORBIDDEN, "MISSING_SCOPES", message);
                refused.body["errors"] = json!([{ "message": message, "context": { "requiredGranularScopes": [missing] } }]);
                Err(refused)
            }
        }
    }

    fn answer(&mut self, method: &Method, segments: &[&str], call: &Call) -> Result<Answer, Problem> {
        match (method, segments) {
            (&Method::GET, ["account-info", "v3", "details"]) => {
                let body = json!({
                    "portalId": self.options.portal_id, "accountType": "STANDARD", "timeZone": "Europe/Oslo",
                    "companyCurrency": self.options.currencies.first(), "additionalCurrencies": self.options.currencies.get(1..),
                    "utcOffset": "+01:00", "utcOffsetMilliseconds": 3_600_000, "uiDomain": "app-eu1.hubspot.com",
                    "dataHostingLocation": "eu1",
                });
                Ok((StatusCode::OK, body))
            }
            (_, ["communication-preferences", "v4", rest @ ..]) => self.consent_api(method, rest, call),
            (_, ["crm", "v3", "objects", kind, rest @ ..]) => match Kind::of(kind) {
                Some(kind) => self.objects_api(kind, method, rest, call),
                None => Err(invalid(format!("Unable to infer object type from: {kind}"))),
            },
            (
                &Method::PUT,
                ["crm", "v4", "objects", "deal" | "deals", deal, "associations", "default", "contact" | "contacts", contact],
            ) => self.associate(deal, contact),
            _ => Err(problem(StatusCode::NOT_FOUND, "OBJECT_NOT_FOUND", "resource not found")),
        }
    }
}
