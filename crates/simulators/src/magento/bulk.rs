//! The bulk API: every row of a call becomes an operation of the queue, which a consumer works through when it runs.

use super::{
    http::{Call, Problem, dispatch},
    state::State,
};
use axum::http::{HeaderMap, Method};
use serde_json::{Value, json};

const COMPLETE: u64 = 1;
const FAILED: u64 = 3;
const OPEN: u64 = 4;
/// Rows of one call of a shop with input limits.
const MOST: usize = 5000;

pub(crate) struct Operation {
    /// Its place in the call.
    key: u64,
    bulk: String,
    store: u64,
    route: String,
    body: Value,
    status: u64,
    message: Option<String>,
}

pub(crate) fn take(state: &mut State, store: u64, route: &str, body: &Value) -> Result<Value, Problem> {
    let rows = body.as_array().ok_or_else(|| Problem::new(400, "Bulk requests expect a list of entities"))?;
    if state.options.input_limits && rows.len() > MOST {
        return Err(
            Problem::new(400, "Maximum items of type %type is %max").with(json!({ "type": "entity", "max": MOST.to_string() }))
        );
    }
    let bulk = format!("00000000-0000-4000-8000-{:012}", state.next_id());
    let mut items = Vec::with_capacity(rows.len());
    for (key, row) in (0..).zip(rows) {
        items.push(json!({ "id": key, "data_hash": format!("{:064x}", key), "status": "accepted" }));
        let (route, body) = (route.to_owned(), row.clone());
        state.operations.push(Operation { key, bulk: bulk.clone(), store, route, body, status: OPEN, message: None });
    }
    if state.options.consumer_runs {
        work(state);
    }
    Ok(json!({ "bulk_uuid": bulk, "request_items": items, "errors": false }))
}

/// The consumer `async.operations.all`: everything that is open.
pub(crate) fn work(state: &mut State) {
    let mut operations = std::mem::take(&mut state.operations);
    for it in operations.iter_mut().filter(|it| it.status == OPEN) {
        let call = Call {
            method: Method::POST,
            address: String::new(),
            path: String::new(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Value::Null,
        };
        let done = dispatch(state, it.store, &Method::POST, &it.route, &it.body, &call);
        (it.status, it.message) = match done {
            Ok(Some(answer)) => match refusal(&answer) {
                Some(message) => (FAILED, Some(message)),
                None => (COMPLETE, Some(format!("Service execution success {}", it.route))),
            },
            Ok(None) => (FAILED, Some("Request does not match any route.".to_owned())),
            Err(problem) => (FAILED, Some(problem.text())),
        };
    }
    state.operations = operations;
}

/// Price services answer what they refused.
fn refusal(answer: &Value) -> Option<String> {
    Some(answer.as_array()?.first()?.get("message")?.as_str()?.to_owned())
}

pub(crate) fn status(state: &State, bulk: &str, detailed: bool) -> Result<Value, Problem> {
    let own: Vec<&Operation> = state.operations.iter().filter(|it| it.bulk == bulk).collect();
    if own.is_empty() {
        return Err(Problem::unknown("bulkUuid", bulk));
    }
    let row = |it: &&Operation| {
        let mut row = json!({ "id": it.key, "status": it.status, "result_message": it.message, "error_code": null });
        if detailed {
            row["bulk_uuid"] = it.bulk.clone().into();
            row["topic_name"] = format!("async.{}.post", it.route.replace('/', ".")).into();
            row["serialized_data"] = it.body.to_string().into();
            row["result_serialized_data"] = "[]".into();
        }
        row
    };
    Ok(json!({
        "operations_list": own.iter().map(row).collect::<Value>(), "user_type": 1, "bulk_id": bulk,
        "description": "Topic async", "start_time": "2026-11-20 09:00:00", "user_id": 1, "operation_count": own.len(),
    }))
}
