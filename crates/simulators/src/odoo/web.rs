//! The HTTP side: key and database, the body as named arguments, calls that hang or collide, Odoo's error bodies.

use super::{
    calls,
    error::{Outcome, Refusal},
    load,
    records::{Db, Row, as_ids},
    seed::Options,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
    routing::{get, post},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

pub(super) struct Shared {
    pub options: Options,
    db: Mutex<Db>,
    trouble: Mutex<Trouble>,
    unhung: Notify,
}

#[derive(Default)]
struct Trouble {
    hung: BTreeSet<String>,
    /// External ids whose `load` is under way.
    loading: BTreeSet<String>,
    conflicts: Option<(StdRng, f64)>,
    calls: BTreeMap<String, u64>,
}

impl Shared {
    pub(super) fn new(db: Db, options: Options) -> Self {
        Self { options, db: Mutex::new(db), trouble: Mutex::default(), unhung: Notify::new() }
    }

    pub(super) fn db(&self) -> MutexGuard<'_, Db> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calls(&self) -> BTreeMap<String, u64> {
        self.trouble().calls.clone()
    }

    pub(super) fn hang(&self, reference: &str) {
        self.trouble().hung.insert(reference.to_owned());
    }

    pub(super) fn unhang(&self, reference: &str) {
        self.trouble().hung.remove(reference);
        self.unhung.notify_waiters();
    }

    pub(super) fn conflicts_at_random(&self, seed: u64, share: f64) {
        let random = (StdRng::seed_from_u64(seed), share.clamp(0.0, 1.0));
        self.trouble().conflicts = (share > 0.0).then_some(random);
    }

    fn conflicts(&self) -> bool {
        let mut trouble = self.trouble();
        trouble.conflicts.as_mut().is_some_and(|(random, share)| random.random_bool(*share))
    }

    /// Waits for as long as the order that this call is about hangs.
    async fn while_hung(&self, model: &str, arguments: &Row) {
        loop {
            let unhung = self.unhung.notified();
            tokio::pin!(unhung);
            // Subscribed before looking, so that no wake-up is lost between the two.
            unhung.as_mut().enable();
            if !self.is_hung(model, arguments) {
                return;
            }
            unhung.await;
        }
    }

    fn is_hung(&self, model: &str, arguments: &Row) -> bool {
        let hung = self.trouble().hung.clone();
        if hung.is_empty() {
            return false;
        }
        let db = self.db();
        let ids = arguments.get("ids").map(as_ids).unwrap_or_default();
        let field = if model == "account.move" { "ref" } else { "client_order_ref" };
        let mut named = ids.iter().map(|id| db.text(model, *id, field));
        named.any(|reference| hung.contains(reference)) || arguments.values().any(|value| speaks_of(value, &hung))
    }
}

fn speaks_of(value: &Value, hung: &BTreeSet<String>) -> bool {
    match value {
        Value::String(text) => hung.contains(text),
        Value::Array(items) => items.iter().any(|item| speaks_of(item, hung)),
        Value::Object(items) => items.values().any(|item| speaks_of(item, hung)),
        _ => false,
    }
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/web/version", get(version)).route("/json/2/{model}/{method}", post(call)).with_state(shared)
}

async fn version() -> Response {
    Json(json!({"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0"})).into_response()
}

async fn call(
    State(shared): State<Arc<Shared>>,
    Path((model, method)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !database_matches(&shared, &headers) {
        let page = "<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>No database is selected and the \
                    requested URL was not found in the server-wide controllers.</p>\n";
        return (StatusCode::NOT_FOUND, Html(page)).into_response();
    }
    let arguments = match authorized(&shared, &headers).and_then(|()| arguments(&body)) {
        Ok(arguments) => arguments,
        Err(refusal) => return refused(&refusal),
    };
    *shared.trouble().calls.entry(format!("{model}/{method}")).or_default() += 1;
    shared.while_hung(&model, &arguments).await;
    let outcome = match method.as_str() {
        "load" => loaded(&shared, &model, &arguments).await,
        _ => calls::call(&mut shared.db(), &model, &method, &arguments),
    };
    match outcome {
        Ok(answer) => Json(answer).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

/// A host that serves one database needs no header, so a missing one is accepted and a wrong one is not.
fn database_matches(shared: &Shared, headers: &HeaderMap) -> bool {
    let named = headers.get("x-odoo-database");
    named.is_none_or(|name| name.as_bytes() == shared.options.database.as_bytes())
}

fn authorized(shared: &Shared, headers: &HeaderMap) -> Outcome<()> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = header.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key)
    });
    match key {
        None => Err(Refusal::unauthorized("User not authenticated, use an API Key with a Bearer Authorization header.")),
        Some(key) if key == shared.options.api_key => Ok(()),
        Some(_) => Err(Refusal::unauthorized("Invalid apikey")),
    }
}

fn arguments(body: &Bytes) -> Outcome<Row> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|problem| Refusal::bad_request(format!("could not parse the body as json: {problem}")))?;
    Ok(value.as_object().cloned().unwrap_or_default())
}

/// Two `load` calls of one record at the same time: PostgreSQL lets one through, the other is told in its answer.
async fn loaded(shared: &Arc<Shared>, model: &str, arguments: &Row) -> Outcome<Value> {
    if shared.conflicts() {
        return Ok(load::conflict());
    }
    let held = match external_id(arguments) {
        Some(name) if !shared.options.load_time.is_zero() => match Held::take(shared, name) {
            Some(held) => Some(held),
            None => return Ok(load::conflict()),
        },
        _ => None,
    };
    if held.is_some() {
        tokio::time::sleep(shared.options.load_time).await;
    }
    calls::call(&mut shared.db(), model, "load", arguments)
}

fn external_id(arguments: &Row) -> Option<String> {
    let at = arguments.get("fields")?.as_array()?.iter().position(|field| field == "id")?;
    let first = arguments.get("data")?.get(0)?;
    first.get(at)?.as_str().map(str::to_owned)
}

/// Holds an external id until dropped, also when the caller hangs up in the middle.
struct Held {
    shared: Arc<Shared>,
    name: String,
}

impl Held {
    fn take(shared: &Arc<Shared>, name: String) -> Option<Self> {
        let free = shared.trouble().loading.insert(name.clone());
        free.then(|| Self { shared: Arc::clone(shared), name })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.trouble().loading.remove(&self.name);
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = (status, Json(refusal.body())).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let scheme = header::HeaderValue::from_static("Bearer");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    answer
}
