//! The public API, version 3, over HTTP: who may ask, how often, and which path leads where.

use crate::shipmondo::{Account, book, list, products, state::State as Memory, webhooks};
use axum::{
    Router,
    body::Bytes,
    extract::{Query as FromQuery, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

pub(crate) const BELOW: &str = "/api/public/v3";

pub(crate) type Query = BTreeMap<String, String>;

/// A success.
pub(crate) struct Reply {
    pub body: Value,
    pub headers: Vec<(&'static str, String)>,
}

impl From<Value> for Reply {
    fn from(body: Value) -> Self {
        Self { body, headers: Vec::new() }
    }
}

/// A failure, as `{"error": "…"}`.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    error: String,
}

impl Refused {
    pub(crate) fn invalid(what: impl std::fmt::Display) -> Self {
        Self::said(format!("Invalid or not found parameter(s): {what}"))
    }

    pub(crate) fn said(error: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, error: error.into() }
    }

    pub(crate) fn missing() -> Self {
        Self { status: StatusCode::NOT_FOUND, error: "Resource not found".to_owned() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, [(header::CONTENT_TYPE, "application/json")], json!({ "error": self.error }).to_string()).into_response()
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut answer = ([(header::CONTENT_TYPE, "application/json")], self.body.to_string()).into_response();
        for (name, value) in self.headers {
            if let Ok(value) = value.parse() {
                answer.headers_mut().insert(name, value);
            }
        }
        answer
    }
}

pub(crate) fn router(account: Arc<Account>) -> Router {
    Router::new().fallback(answer).with_state(account)
}

async fn answer(
    State(account): State<Arc<Account>>,
    method: Method,
    uri: Uri,
    FromQuery(query): FromQuery<Query>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(path) = uri.path().strip_prefix(BELOW) else { return Refused::missing().into_response() };
    let path: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
    if let Some(refused) = account.with(|state| turned_away(state, &headers)) {
        return refused;
    }
    account.with(|state| *state.calls.entry(named(&method, &path)).or_default() += 1);
    let body = match serde_json::from_slice::<Value>(&body) {
        Ok(body) => body,
        Err(_) if matches!(method, Method::GET | Method::PUT | Method::DELETE) && body.is_empty() => Value::Null,
        Err(_) => return Refused::invalid("the body is no JSON").into_response(),
    };
    let answered = match (method, path.as_slice()) {
        (Method::POST, ["webhooks"]) => webhooks::register(&account, &body).await.map(Reply::from),
        (method, path) => account.with(|state| route(state, &method, path, &query, &body)),
    };
    answered.map_or_else(IntoResponse::into_response, IntoResponse::into_response)
}

/// `GET /shipments/{id}`
fn named(method: &Method, path: &[&str]) -> String {
    let part = |it: &&str| if it.bytes().all(|byte| byte.is_ascii_digit()) { "/{id}".to_owned() } else { format!("/{it}") };
    format!("{method} {}", path.iter().map(part).collect::<String>())
}

/// Who shows another key than the API user's, or comes too often.
fn turned_away(state: &mut Memory, headers: &HeaderMap) -> Option<Response> {
    let expected = STANDARD.encode(format!("{}:{}", state.options.api_user, state.options.api_key));
    let shown = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()?.strip_prefix("Basic "));
    if shown != Some(expected.as_str()) {
        let error = "Invalid API User or API Key".to_owned();
        return Some(Refused { status: StatusCode::UNAUTHORIZED, error }.into_response());
    }
    let second = state.now().as_second();
    state.window = if state.window.0 == second { (second, state.window.1 + 1) } else { (second, 1) };
    let too_often = state.options.per_second.is_some_and(|most| state.window.1 > most);
    too_often.then(|| (StatusCode::TOO_MANY_REQUESTS, "Too many requests").into_response())
}

fn route(state: &mut Memory, method: &Method, path: &[&str], query: &Query, body: &Value) -> Result<Reply, Refused> {
    match (method.as_str(), path) {
        ("GET", ["account"]) => Ok(json!({ "name": state.options.account, "country_code": "DK" }).into()),
        ("POST", ["quotes", "list"]) => products::quotes(body).map(Reply::from),
        ("GET", ["service_point", "service_points"]) => products::service_points(query).map(Reply::from),
        ("GET", ["shipments"]) => list::shipments(state, query),
        ("POST", ["shipments"]) => book::shipment(state, body).map(Reply::from),
        ("GET", ["shipments", id]) => Ok(state.shipments.get(&number(id)?).ok_or_else(Refused::missing)?.json().into()),
        ("GET", ["shipments", id, "labels"]) => {
            let shipment = state.shipments.get(&number(id)?).ok_or_else(Refused::missing)?;
            book::labels(shipment, query.get("label_format").map(String::as_str)).map(Reply::from)
        }
        ("PUT", ["shipments", id, "cancel"]) => {
            let (cancelled, at_carrier) = state.cancel(number(id)?).ok_or_else(Refused::missing)?;
            let answer = json!({ "cancelled": cancelled, "cancelled_at_carrier": at_carrier, "refunded": false });
            Ok(answer.into())
        }
        ("GET", ["shipment_monitor_statuses"]) if state.options.monitor_answers => list::monitor(state, query),
        ("GET", ["webhooks"]) => list::webhooks(state, query),
        (_, ["webhooks", id]) => webhooks::one(state, method, number(id)?, body).map(Reply::from),
        _ => Err(Refused::missing()),
    }
}

fn number(id: &str) -> Result<u64, Refused> {
    id.parse().map_err(|_| Refused::missing())
}
