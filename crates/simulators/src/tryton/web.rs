//! The HTTP side: sessions, the shape of calls, one transaction for each of them.

use super::{
    Options, buttons,
    db::{Db, Id, Row, ids_of},
    error::{Outcome, Refusal},
    schema,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub(super) struct Shared {
    pub options: Options,
    state: Mutex<World>,
}

/// All that a simulated Tryton holds.
#[derive(Default)]
pub(super) struct World {
    pub db: Db,
    /// Tokens; `false` for one that is not fresh any more.
    pub sessions: BTreeMap<String, bool>,
    /// How often each method was called, and was not refused for who called it.
    pub calls: BTreeMap<String, u64>,
    /// Labels of models that the user has no access to.
    pub denied: BTreeSet<String>,
    /// The next calls that write collide.
    pub conflicts: u32,
    pub locked: u32,
}

impl Shared {
    pub(super) fn new(options: Options, db: Db) -> Self {
        Self { options, state: Mutex::new(World { db, ..World::default() }) }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        world.db.at(self.options.clock.now());
        world
    }
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/rpc/", post(root)).route("/{database}/rpc/", post(rpc)).with_state(shared)
}

const NOT_JSON: Refusal = Refusal::Status(400, "Not a JSON request");

fn parsed(headers: &HeaderMap, body: &Bytes) -> Outcome<(Value, String, Vec<Value>)> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let body: Value =
        if kind.contains("json") { serde_json::from_slice(body).map_err(|_| NOT_JSON)? } else { return Err(NOT_JSON) };
    let method = body["method"].as_str().unwrap_or_default().to_owned();
    Ok((body["id"].clone(), method, body["params"].as_array().cloned().unwrap_or_default()))
}

async fn root(State(_): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    match parsed(&headers, &body) {
        Ok((id, method, _)) if method == "common.server.version" => Json(json!({ "id": id, "result": "8.2" })).into_response(),
        Ok((id, method, _)) => Refusal::key(&method).answer(&id),
        Err(refusal) => refusal.answer(&Value::Null),
    }
}

async fn rpc(State(shared): State<Arc<Shared>>, Path(database): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let (id, method, params) = match parsed(&headers, &body) {
        Ok(call) => call,
        Err(refusal) => return refusal.answer(&Value::Null),
    };
    let answered = match database == shared.options.database {
        true if method == "common.db.login" => login(&shared, &params),
        true => authorized(&shared, &headers, &method).and_then(|()| transaction(&shared, &method, params)),
        false => Err(Refusal::Status(404, "The requested URL was not found on the server.")),
    };
    match answered {
        Ok(result) => Json(json!({ "id": id, "result": result })).into_response(),
        Err(refusal) => refusal.answer(&id),
    }
}

fn login(shared: &Shared, params: &[Value]) -> Outcome<Value> {
    let options = &shared.options;
    let password = params.get(1).and_then(|it| it["password"].as_str());
    if params.first().and_then(Value::as_str) != Some(&options.user) || password != Some(&options.password) {
        return Err(UNAUTHORIZED);
    }
    let mut world = shared.world();
    let token = format!("{:032x}", world.sessions.len() + 1);
    world.sessions.insert(token.clone(), true);
    Ok(json!([USER, token, null]))
}

const USER: Id = 2;
const UNAUTHORIZED: Refusal =
    Refusal::Status(401, "The server could not verify that you are authorized to access the URL requested.");

/// `Session base64(login:id:token)`. What moves money wants a session that was used a moment ago.
fn authorized(shared: &Shared, headers: &HeaderMap, method: &str) -> Outcome<()> {
    let refused = || Refusal::Status(401, "");
    let header = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok()).and_then(|it| it.strip_prefix("Session "));
    let session = header.and_then(|it| STANDARD.decode(it).ok()).and_then(|it| String::from_utf8(it).ok()).unwrap_or_default();
    let expected = format!("{}:{USER}:", shared.options.user);
    let token = session.strip_prefix(&expected).ok_or_else(refused)?;
    let mut world = shared.world();
    let fresh = world.sessions.get(token).copied().ok_or_else(refused)?;
    if method == "wizard.account.invoice.pay.create" && !fresh {
        return Err(UNAUTHORIZED);
    }
    *world.calls.entry(method.to_owned()).or_default() += 1;
    Ok(())
}

/// Undone as a whole when it is refused.
fn transaction(shared: &Shared, method: &str, mut params: Vec<Value>) -> Outcome<Value> {
    let Some(Value::Object(context)) = params.pop() else { return Err(Refusal::Status(422, "Missing context argument")) };
    let mut world = shared.world();
    let before = world.db.clone();
    world.db.context = context;
    let writes = !matches!(method.rsplit('.').next(), Some("search" | "search_read" | "read" | "fields_get" | "get_preferences"));
    if writes && world.conflicts > 0 {
        world.conflicts -= 1;
        return Err(Refusal::Concurrency);
    }
    if writes && world.locked > 0 {
        world.locked -= 1;
        return Err(Refusal::Server("database is locked".into()));
    }
    let done = call(&mut world, method, &params);
    if done.is_err() {
        world.db = before;
    }
    done
}

fn call(world: &mut World, method: &str, params: &[Value]) -> Outcome<Value> {
    let (kind, rest) = method.split_once('.').unwrap_or_default();
    let Some((name, verb)) = rest.rsplit_once('.') else { return Err(Refusal::Status(403, buttons::FORBIDDEN)) };
    match (kind, rest) {
        ("wizard", _) => return wizard(&mut world.db, name, verb, params),
        ("model", "res.user.get_preferences") => return Ok(json!({ "company": 1, "companies": [1], "language": "en" })),
        ("model", "res.user.warning.skip") => {
            world.db.accepted.insert(text(params.first()));
            return Ok(Value::Null);
        }
        ("model", _) => {}
        _ => return Err(Refusal::Status(403, buttons::FORBIDDEN)),
    }
    let model = schema::model(name).ok_or_else(|| Refusal::key(name))?;
    if world.denied.contains(model.label) && verb != "fields_get" {
        return Err(Refusal::User(format!("You are not allowed to access \"{}\".", model.label)));
    }
    let db = &mut world.db;
    let nothing = Value::Null;
    let first = params.first().unwrap_or(&nothing);
    match verb {
        "fields_get" => Ok(fields(model, first)),
        "search" => Ok(json!(db.search(name, first, limit(params))?)),
        "search_read" => {
            let fields: Vec<&str> =
                params.get(4).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
            let found = db.search(name, first, limit(params))?;
            found.into_iter().map(|id| db.read(model, id, &fields)).collect::<Outcome<Vec<_>>>().map(Value::Array)
        }
        "create" => {
            let rows: Vec<Row> = first.as_array().into_iter().flatten().filter_map(Value::as_object).cloned().collect();
            Ok(json!(rows.iter().map(|it| db.create(name, it)).collect::<Outcome<Vec<_>>>()?))
        }
        "write" => {
            let ids = ids_of(Some(first));
            unchanged_since(db, model.name, &ids)?;
            db.write(name, &ids, params.get(1).and_then(Value::as_object).unwrap_or(&Row::new())).map(|()| Value::Null)
        }
        button => buttons::press(db, name, button, &ids_of(Some(first))).map(|()| Value::Null),
    }
}

fn wizard(db: &mut Db, name: &str, verb: &str, params: &[Value]) -> Outcome<Value> {
    let session = params.first().and_then(Value::as_i64).unwrap_or_default();
    match verb {
        "create" => buttons::open(db, name),
        "execute" => buttons::step(db, name, session, params.get(1).unwrap_or(&Value::Null), &text(params.get(2))),
        "delete" => {
            db.wizards.remove(&session);
            Ok(Value::Null)
        }
        _ => Err(Refusal::Status(403, buttons::FORBIDDEN)),
    }
}

/// `_timestamp` of the context: what the caller read before.
fn unchanged_since(db: &Db, model: &'static str, ids: &[Id]) -> Outcome<()> {
    let Some(known) = db.context.get("_timestamp").and_then(Value::as_object) else { return Ok(()) };
    for id in ids {
        let now = db.timestamp(model, *id).as_microsecond().to_string();
        if known.get(&format!("{model},{id}")).is_some_and(|it| *it != json!(now)) {
            return Err(Refusal::Concurrency);
        }
    }
    Ok(())
}

fn fields(model: &schema::Model, names: &Value) -> Value {
    let wanted = |name: &str| names.as_array().is_none_or(|it| it.contains(&json!(name)));
    let fields = model.fields.iter().filter(|(name, _)| wanted(name));
    Value::Object(fields.map(|(name, _)| ((*name).to_owned(), json!({ "name": name }))).collect())
}

fn limit(params: &[Value]) -> Option<usize> {
    params.get(2).and_then(Value::as_u64).and_then(|it| usize::try_from(it).ok())
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}
