//! The door of all APIs: who may come in, how often, and who answers.

use crate::bring::{Shared, booking, guide, label, places, tracking};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let guarded = Router::new()
        .route("/shippingguide/api/v2/products", post(guide::products))
        .route("/booking/api/customers", get(booking::customers))
        .route("/booking/api/create", post(booking::create))
        // Its name in earlier years.
        .route("/booking/api/booking", post(booking::create))
        .route("/tracking/api/v2/tracking.json", get(tracking::tracking))
        .route("/pickuppoint/api/pickuppoint/{country}/postalCode/{file}", get(places::by_postal_code))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard));
    // Who has a label's address may print it.
    guarded.route("/labels/id/{file}", get(label::redirect)).with_state(shared)
}

async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    const APIS: [&str; 4] = ["booking", "pickuppoint", "shippingguide", "tracking"];
    let headers = request.headers();
    let (uid, key) = (text(headers, "x-mybring-api-uid"), text(headers, "x-mybring-api-key"));
    if !shared.with(|state| uid == Some(&state.options.api_uid) && key == Some(&state.options.api_key)) {
        return refusal(StatusCode::UNAUTHORIZED, "Authentication failed: user or API key is not known");
    }
    if text(headers, "x-bring-client-url").is_none_or(str::is_empty) {
        return refusal(StatusCode::BAD_REQUEST, "X-Bring-Client-URL is missing");
    }
    let json = text(headers, "content-type").is_some_and(|it| it.starts_with("application/json"));
    if request.method() == "POST" && !json {
        return refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json");
    }
    let first = request.uri().path().split('/').nth(1).unwrap_or_default();
    let api = APIS.into_iter().find(|it| *it == first).unwrap_or("other");
    if !shared.with(|state| state.admit(api)) {
        return refusal(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
    }
    next.run(request).await
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pub(crate) fn refusal(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "statusCode": status.as_u16(), "message": message }))).into_response()
}

/// A field that is there and not empty. Numbers are read as their digits.
pub(crate) fn field(value: &Value, name: &str) -> Option<String> {
    match &value[name] {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Of a list that may be missing, its elements.
pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}
