//! HTTP: tokens from the tenant's address, and the service root behind them.

use super::{
    Shared,
    api::{self, Ask, Reply},
    hooks,
    state::{Refusal, State},
};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Method, Uri},
    response::Response,
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

const SCOPE: &str = "https://api.businesscentral.dynamics.com/.default";

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let shared = Arc::clone(&shared);
        async move { shared.answer(method, &uri, &headers, &body).await }
    })
}

/// Decoded names and values.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn written(status: u16, body: Option<Value>) -> Response {
    let mut response = Response::new(Body::from(body.as_ref().map_or_else(String::new, Value::to_string)));
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    let kind = axum::http::HeaderValue::from_static("application/json; odata.metadata=minimal");
    if body.is_some() {
        response.headers_mut().insert("content-type", kind);
    }
    response
}

impl Shared {
    async fn answer(self: Arc<Self>, method: Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Response {
        let (tenant, environment) = self.with(|it| (it.setup.tenant.clone(), it.setup.environment.clone()));
        if uri.path() == format!("/{tenant}/oauth2/v2.0/token") {
            let (status, body) = self.with(|it| it.token(body));
            return written(status, Some(body));
        }
        let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
        let token = header("authorization").and_then(|it| it.strip_prefix("Bearer ")).unwrap_or_default();
        if !self.with(|it| it.knows(token)) {
            let refusal =
                Refusal::new(401, "Authentication_InvalidCredentials", "The server has rejected the client credentials");
            return written(refusal.status, Some(refusal.body()));
        }
        let root = format!("/v2.0/{tenant}/{environment}/api/v2.0");
        let answered = match uri.path().strip_prefix(root.as_str()) {
            Some(path) => {
                let ask = Ask {
                    method,
                    path: path.replace("%27", "'").replace("%24", "$"),
                    query: pairs(uri.query().unwrap_or_default()),
                    if_match: header("if-match").map(str::to_owned),
                    body: serde_json::from_slice::<Value>(body).ok().and_then(|it| it.as_object().cloned()),
                };
                self.below(&ask, header).await
            }
            None => Err(Refusal::new(404, "BadRequest_ResourceNotFound", "Resource not found for the segment.")),
        };
        match answered {
            Ok(reply) => written(reply.status, reply.body),
            Err(refusal) => written(refusal.status, Some(refusal.body())),
        }
    }

    async fn below<'a>(&self, ask: &Ask, header: impl Fn(&str) -> Option<&'a str>) -> Result<Reply, Refusal> {
        let path = ask.path.trim_matches('/');
        if path == "$batch" && ask.method == Method::POST {
            let isolated = header("isolation").is_some_and(|it| it.eq_ignore_ascii_case("snapshot"));
            let go_on = header("prefer").is_some_and(|it| it.contains("continue-on-error"));
            let sent = json!(ask.body);
            let body = self.with(|it| api::batch(it, &sent, isolated, go_on))?;
            return Ok(Reply { status: 200, body: Some(body) });
        }
        if api::part(path).0 == "subscriptions" {
            return hooks::answer(self, ask).await;
        }
        self.with(|it| api::answer(it, ask))
    }
}

impl State {
    /// Client credentials, as Microsoft Entra takes and refuses them.
    fn token(&mut self, body: &Bytes) -> (u16, Value) {
        let fields = pairs(&String::from_utf8_lossy(body));
        let field = |name: &str| fields.iter().find(|it| it.0 == name).map_or("", |it| it.1.as_str());
        let refused = |status, error: &str, text: &str| (status, json!({ "error": error, "error_description": text }));
        if field("grant_type") != "client_credentials" {
            return refused(400, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.");
        }
        if field("client_id") != self.setup.client_id {
            return refused(400, "unauthorized_client", "AADSTS700016: Application was not found in the directory.");
        }
        if field("client_secret") != self.setup.client_secret {
            return refused(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.");
        }
        if field("scope") != SCOPE {
            return refused(
                400,
                "invalid_scope",
                "AADSTS70011: The provided value for the input parameter 'scope' is not valid.",
            );
        }
        let token = Uuid::new_v4().to_string();
        let seconds = self.setup.token_seconds;
        self.tokens.insert(token.clone(), self.now() + SignedDuration::from_secs(seconds));
        (200, json!({ "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token }))
    }

    fn knows(&self, token: &str) -> bool {
        self.tokens.get(token).is_some_and(|until| *until > self.now())
    }
}
