//! The REST API v3 over HTTP: who may call, what is asked, and answers as WordPress gives them, paging and errors included.

use super::{
    auth,
    resource::{Fields, fields},
    state::{Shop, State},
};
use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Request, State as Held},
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Largest body that is read.
const CAP: usize = 8 << 20;
const MOST_PER_PAGE: usize = 100;
/// Rows of one batch.
pub(crate) const MOST_IN_BATCH: usize = 100;

/// One call, read.
pub(crate) struct Call {
    pub method: Method,
    /// Where it went, without the query: `http://127.0.0.1:4711/wp-json/wc/v3/orders`.
    pub address: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Fields,
}

impl Call {
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|it| !it.is_empty())
    }

    /// A time as `date_modified_gmt` writes it: in the site's zone, unless the call says that its dates are GMT.
    pub fn time(&self, name: &str, offset_hours: i8) -> Result<Option<String>, Problem> {
        let Some(text) = self.query(name) else { return Ok(None) };
        let wrong = || invalid(name, "Invalid date.");
        let at: jiff::civil::DateTime = text.trim_end_matches('Z').parse().map_err(|_| wrong())?;
        let hours = if self.query("dates_are_gmt") == Some("true") { 0 } else { i64::from(offset_hours) };
        let at = at.checked_sub(jiff::SignedDuration::from_hours(hours)).map_err(|_| wrong())?;
        Ok(Some(at.strftime("%Y-%m-%dT%H:%M:%S").to_string()))
    }
}

/// What is answered.
pub(crate) struct Answer {
    status: StatusCode,
    body: Value,
    headers: Vec<(&'static str, String)>,
    /// A webhook that was saved: its address is asked first whether it is there.
    pub ping: Option<u64>,
}

pub(crate) fn ok(body: impl Into<Value>) -> Answer {
    Answer { status: StatusCode::OK, body: body.into(), headers: Vec::new(), ping: None }
}

pub(crate) fn created(body: impl Into<Value>) -> Answer {
    Answer { status: StatusCode::CREATED, ..ok(body) }
}

/// What is refused.
pub(crate) struct Problem {
    pub status: StatusCode,
    pub body: Value,
}

pub(crate) fn problem(status: StatusCode, code: &str, message: &str) -> Problem {
    Problem { status, body: json!({ "code": code, "message": message, "data": { "status": status.as_u16() } }) }
}

pub(crate) fn no_route() -> Problem {
    problem(StatusCode::NOT_FOUND, "rest_no_route", "No route was found matching the URL and request method.")
}

pub(crate) fn invalid(name: &str, why: &str) -> Problem {
    let data = json!({ "status": 400, "params": { name: why }, "details": { name: { "code": "rest_invalid_param", "message": why, "data": null } } });
    let body = json!({ "code": "rest_invalid_param", "message": format!("Invalid parameter(s): {name}"), "data": data });
    Problem { status: StatusCode::BAD_REQUEST, body }
}

pub(crate) fn missing(name: &str) -> Problem {
    let body = json!({
        "code": "rest_missing_callback_param", "message": format!("Missing parameter(s): {name}"),
        "data": { "status": 400, "params": [name] },
    });
    Problem { status: StatusCode::BAD_REQUEST, body }
}

/// One page of these rows, which come by id; newest first unless asked otherwise.
pub(crate) fn page(call: &Call, mut rows: Vec<Fields>, orders: &[&str]) -> Result<Answer, Problem> {
    let number = |name: &str, default: usize, least: usize, most: usize| match call.query(name).map(str::parse::<usize>) {
        None => Ok(default),
        Some(Ok(it)) if (least..=most).contains(&it) => Ok(it),
        Some(_) => Err(invalid(name, &format!("{name} must be between {least} (inclusive) and {most} (inclusive)"))),
    };
    let (size, at) = (number("per_page", 10, 1, MOST_PER_PAGE)?, number("page", 1, 1, usize::MAX)?);
    let offset = number("offset", (at - 1) * size, 0, usize::MAX)?;
    if let Some(by) = call.query("orderby") {
        if !orders.contains(&by) {
            return Err(invalid("orderby", &format!("orderby is not one of {}.", orders.join(", "))));
        }
        if by == "modified" {
            rows.sort_by_key(|it| it["date_modified_gmt"].to_string());
        }
    }
    match call.query("order") {
        None | Some("desc") => rows.reverse(),
        Some("asc") => {}
        Some(_) => return Err(invalid("order", "order is not one of asc, desc.")),
    }
    let (total, pages) = (rows.len(), rows.len().div_ceil(size));
    let shown: Vec<Value> = rows.into_iter().skip(offset).take(size).map(Value::from).collect();
    let mut headers = vec![("x-wp-total", total.to_string()), ("x-wp-totalpages", pages.to_string())];
    let link = |to: usize, rel: &str| format!("<{}?page={to}>; rel=\"{rel}\"", call.address);
    let previous = (at > 1).then(|| link((at - 1).min(pages), "prev"));
    let links: Vec<String> = previous.into_iter().chain((at < pages).then(|| link(at + 1, "next"))).collect();
    if !links.is_empty() {
        headers.push(("link", links.join(", ")));
    }
    Ok(Answer { headers, ..ok(shown) })
}

pub(crate) fn router(shop: Arc<Shop>) -> Router {
    Router::new().fallback(serve).with_state(shop)
}

async fn serve(Held(shop): Held<Arc<Shop>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, CAP).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let host = parts.headers.get("host").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let mut call = Call {
        method: parts.method,
        address: format!("http://{host}{path}"),
        query,
        headers: parts.headers,
        body: Fields::new(),
    };
    // Without permalinks the route stands in the query.
    let route = match path.strip_prefix("/wp-json") {
        Some(route) => route.to_owned(),
        None if path == "/" => call.query("rest_route").unwrap_or_default().to_owned(),
        None => String::new(),
    };
    let Some(below) = route.strip_prefix("/wc/v3/") else {
        // The site itself, which knows no such page.
        return (StatusCode::NOT_FOUND, [("content-type", "text/html")], "<!DOCTYPE html><title>Page not found</title>")
            .into_response();
    };
    if !body.is_empty() {
        match serde_json::from_slice(&body) {
            Ok(json) => call.body = fields(json),
            Err(_) => return refusal(problem(StatusCode::BAD_REQUEST, "rest_invalid_json", "Invalid JSON body passed.")),
        }
    }
    let below: Vec<&str> = below.split('/').collect();
    let answer = shop.with(|state| auth::check(state, &call).and_then(|()| state.answer(&call, &below)));
    match answer {
        Err(problem) => refusal(problem),
        Ok(answer) => {
            if let Some(webhook) = answer.ping {
                super::webhooks::ping(&shop, webhook).await;
            }
            accepted(&call, answer)
        }
    }
}

fn refusal(problem: Problem) -> Response {
    (problem.status, Json(problem.body)).into_response()
}

fn accepted(call: &Call, answer: Answer) -> Response {
    let body = match call.query("_fields") {
        Some(wanted) => only(answer.body, &wanted.split(',').collect::<Vec<_>>()),
        None => answer.body,
    };
    let mut response = (answer.status, Json(body)).into_response();
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn only(body: Value, wanted: &[&str]) -> Value {
    match body {
        Value::Array(rows) => rows.into_iter().map(|row| only(row, wanted)).collect(),
        Value::Object(fields) => fields.into_iter().filter(|(name, _)| wanted.contains(&name.as_str())).collect(),
        other => other,
    }
}

impl State {
    fn answer(&mut self, call: &Call, below: &[&str]) -> Result<Answer, Problem> {
        match below {
            ["orders", rest @ ..] => self.orders_api(call, rest),
            ["products", rest @ ..] => self.products_api(call, rest),
            ["customers", rest @ ..] => self.customers_api(call, rest),
            ["webhooks", rest @ ..] => self.webhooks_api(call, rest),
            ["settings", "general", "woocommerce_currency"] if call.method == Method::GET => Ok(ok(json!({
                "id": "woocommerce_currency", "label": "Currency", "type": "select", "default": "USD", "value": self.options.currency,
            }))),
            _ => Err(no_route()),
        }
    }
}
