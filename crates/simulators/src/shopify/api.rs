//! The Admin API over HTTP: tokens, the access check, and the door to the GraphQL endpoint.

use crate::shopify::{Shop, graphql, idempotency::Idempotency, state::State as Memory};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const VERSIONS: [&str; 6] = ["2025-10", "2026-01", "2026-04", "2026-07", "2026-10", "unstable"];
pub(crate) const SCOPES: &str = "read_orders,write_orders,read_products,write_products,read_inventory,write_inventory,\
     read_customers,read_locations,read_fulfillments,write_fulfillments,read_merchant_managed_fulfillment_orders,\
     write_merchant_managed_fulfillment_orders,read_translations,write_translations,read_locales";
const CLIENT_CREDENTIALS_SECONDS: i64 = 86_399;
const OFFLINE_SECONDS: i64 = 3_600;

/// What the API remembers between requests.
#[derive(Default)]
pub(crate) struct Api {
    /// Access token to the moment it ends.
    pub tokens: BTreeMap<String, Timestamp>,
    /// Refresh token to the one that it replaces, which works until this one is first used.
    pub refresh_tokens: BTreeMap<String, Option<String>>,
    pub tokens_issued: u64,
    pub bucket: Option<graphql::Bucket>,
    pub idempotency: Idempotency,
    /// Root fields that are answered with ACCESS_DENIED.
    pub denied: BTreeSet<String>,
    /// Root fields asked for, and how often.
    pub calls: BTreeMap<String, u64>,
}

pub(crate) fn router(shop: Arc<Shop>) -> Router {
    Router::new()
        .route("/admin/oauth/access_token", post(access_token))
        .route("/admin/api/{version}/graphql.json", post(admin))
        .with_state(shop)
}

async fn admin(State(shop): State<Arc<Shop>>, Path(version): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    if !VERSIONS.contains(&version.as_str()) {
        return (StatusCode::NOT_FOUND, Json(json!({ "errors": "Not Found" }))).into_response();
    }
    let token = headers.get("X-Shopify-Access-Token").and_then(|value| value.to_str().ok());
    if !shop.with(|state| token.is_some_and(|token| state.token_holds(token))) {
        let message = "[API] Invalid API key or access token (unrecognized login or wrong password)";
        return (StatusCode::UNAUTHORIZED, Json(json!({ "errors": message }))).into_response();
    }
    let Ok(request) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "errors": "the body is no JSON" }))).into_response();
    };
    Json(graphql::answer(&shop, &request)).into_response()
}

async fn access_token(State(shop): State<Arc<Shop>>, headers: HeaderMap, body: Bytes) -> Response {
    let json = headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let request = serde_json::from_slice::<Value>(&body).ok().filter(|_| json);
    let Some(request) = request else {
        return oauth_error(StatusCode::BAD_REQUEST, "invalid_request", "expected a JSON body");
    };
    shop.with(|state| state.issue(&request))
}

fn oauth_error(status: StatusCode, error: &str, description: &str) -> Response {
    (status, Json(json!({ "error": error, "error_description": description }))).into_response()
}

impl Memory {
    fn token_holds(&self, token: &str) -> bool {
        self.api.tokens.get(token).is_some_and(|ends| *ends > self.options.clock.now())
    }

    fn issue(&mut self, request: &Value) -> Response {
        let options = &self.options;
        if request["client_id"] != options.client_id || request["client_secret"] != options.client_secret {
            return oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", "client id or client secret is wrong");
        }
        match request["grant_type"].as_str() {
            Some("client_credentials") => {
                let access_token = self.new_token(CLIENT_CREDENTIALS_SECONDS);
                let answer = json!({ "access_token": access_token, "scope": SCOPES, "expires_in": CLIENT_CREDENTIALS_SECONDS });
                Json(answer).into_response()
            }
            Some("refresh_token") => self.refresh(request["refresh_token"].as_str().unwrap_or_default()),
            _ => oauth_error(StatusCode::BAD_REQUEST, "unsupported_grant_type", "grant_type is not supported"),
        }
    }

    fn refresh(&mut self, used: &str) -> Response {
        match self.api.refresh_tokens.get_mut(used) {
            None => return oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", "the refresh token is not valid"),
            Some(previous) => {
                if let Some(previous) = previous.take() {
                    self.api.refresh_tokens.remove(&previous);
                }
            }
        }
        let access_token = self.new_token(OFFLINE_SECONDS);
        let refresh_token = format!("shprt_{}", self.new_uuid().simple());
        self.api.refresh_tokens.insert(refresh_token.clone(), Some(used.to_owned()));
        let answer = json!({
            "access_token": access_token,
            "scope": SCOPES,
            "expires_in": OFFLINE_SECONDS,
            "refresh_token": refresh_token,
            "refresh_token_expires_in": 7_776_000,
        });
        Json(answer).into_response()
    }

    fn new_token(&mut self, seconds: i64) -> String {
        let token = format!("shpat_{}", self.new_uuid().simple());
        let lifetime = self.options.token_lifetime.unwrap_or(SignedDuration::from_secs(seconds));
        let ends = self.options.clock.now().checked_add(lifetime).unwrap_or(Timestamp::MAX);
        self.api.tokens.insert(token.clone(), ends);
        self.api.tokens_issued += 1;
        token
    }
}
