//! The GraphQL endpoint: reads a document, charges its cost, runs its root fields, and cuts their answers to the selection.
//!
//! Answers are built whole and then cut: a selected field that the simulated shop does not build is an error that says so.
//! Costs are an estimate, since the vendor does not publish its formula: scalars 0, an object 1, a connection 1 plus what its
//! nodes cost for every ten that are asked for, a mutation 10 more.

use crate::shopify::{
    Shop,
    document::{self, Document, Field, Selection},
    mutations, queries,
};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const MAX_PAGE: u64 = 250;
const MAX_COST: u64 = 1_000;

/// An error that stands beside the data, not in it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub message: String,
    pub code: &'static str,
}

pub(crate) fn fail<T>(code: &'static str, message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure { message: message.into(), code })
}

/// The leaky bucket of cost points.
#[derive(Clone, Copy)]
pub(crate) struct Bucket {
    available: f64,
    at: Timestamp,
}

pub(crate) fn answer(shop: &Shop, request: &Value) -> Value {
    let Some(source) = request["query"].as_str() else {
        return errors("BAD_REQUEST", "No query string was present");
    };
    let none = Map::new();
    let variables = request["variables"].as_object().unwrap_or(&none);
    let document = match document::parse(source, variables) {
        Ok(document) => document,
        Err(message) => return errors("BAD_REQUEST", &message),
    };
    let requested = cost(&document, None);
    if requested > MAX_COST {
        return errors("MAX_COST_EXCEEDED", "Query cost exceeds the single query max cost limit");
    }
    if let Err(status) = charge(shop, requested) {
        return json!({
            "errors": [{ "message": "Throttled", "extensions": { "code": "THROTTLED" } }],
            "extensions": { "cost": { "requestedQueryCost": requested, "actualQueryCost": null, "throttleStatus": status } },
        });
    }
    match run(shop, &document) {
        Ok(data) => {
            let actual = cost(&document, Some(&data)).min(requested);
            let status = give_back(shop, requested - actual);
            json!({
                "data": data,
                "extensions": { "cost": { "requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status } },
            })
        }
        Err(failure) => errors(failure.code, &failure.message),
    }
}

fn errors(code: &str, message: &str) -> Value {
    json!({ "errors": [{ "message": message, "extensions": { "code": code } }] })
}

fn run(shop: &Shop, document: &Document) -> Result<Value, Failure> {
    let mut data = Map::new();
    for field in flatten(&document.fields, &document.fragments)? {
        let whole = shop.with(|state| {
            *state.api.calls.entry(field.name.clone()).or_default() += 1;
            if state.api.denied.contains(&field.name) {
                return fail("ACCESS_DENIED", format!("Access denied for {} field", field.name));
            }
            if document.mutation {
                mutations::run(state, &shop.sender, &field)
            } else {
                queries::run(state, &shop.sender, &field)
            }
        })?;
        let holder = json!({ field.name.as_str(): whole });
        let cut = cut(&holder, std::slice::from_ref(&Selection::Field(field)), &document.fragments)?;
        if let Value::Object(cut) = cut {
            data.extend(cut);
        }
    }
    Ok(Value::Object(data))
}

/// The fields of a selection, with fragments resolved.
fn flatten(selections: &[Selection], fragments: &BTreeMap<String, Vec<Selection>>) -> Result<Vec<Field>, Failure> {
    let mut fields = Vec::new();
    let mut open: Vec<(&Selection, usize)> = selections.iter().rev().map(|selection| (selection, 0)).collect();
    while let Some((selection, depth)) = open.pop() {
        let inner = match selection {
            Selection::Field(field) => {
                fields.push(field.clone());
                continue;
            }
            Selection::Inline(_, inner) => inner,
            Selection::Spread(name) => match fragments.get(name) {
                Some(inner) if depth < 20 => inner,
                _ => return fail("BAD_REQUEST", format!("Fragment {name} was used, but not defined, or uses itself")),
            },
        };
        open.extend(inner.iter().rev().map(|selection| (selection, depth + 1)));
    }
    Ok(fields)
}

/// Inline fragments on another type than the object's own are left out.
fn fits(selection: &Selection, object: &Map<String, Value>) -> bool {
    match (selection, object.get("__typename")) {
        (Selection::Inline(Some(condition), _), Some(Value::String(name))) => condition == name,
        _ => true,
    }
}

fn cut(whole: &Value, selections: &[Selection], fragments: &BTreeMap<String, Vec<Selection>>) -> Result<Value, Failure> {
    let object = match whole {
        Value::Null => return Ok(Value::Null),
        Value::Array(items) => return items.iter().map(|item| cut(item, selections, fragments)).collect(),
        Value::Object(object) => object,
        _ => return fail("BAD_REQUEST", "Selections can't be made on scalars"),
    };
    let fitting: Vec<Selection> = selections.iter().filter(|selection| fits(selection, object)).cloned().collect();
    let mut answer = Map::new();
    for field in flatten(&fitting, fragments)? {
        let Some(value) = object.get(&field.name) else {
            if field.name == "__typename" {
                answer.insert(field.key, json!("Unknown"));
                continue;
            }
            return fail("undefinedField", format!("the simulated shop does not answer field {:?} here", field.name));
        };
        let value = apply_arguments(value, &field)?;
        let value = if !field.selections.is_empty() {
            cut(&value, &field.selections, fragments)?
        } else if value.is_object() && !is_free_form(&field.name) {
            return fail("BAD_REQUEST", format!("Field must have selections (field {:?})", field.name));
        } else {
            value
        };
        // The same field may be selected twice, with different parts of it.
        merge(&mut answer, field.key, value);
    }
    Ok(Value::Object(answer))
}

fn is_free_form(name: &str) -> bool {
    name == "receiptJson"
}

fn merge(answer: &mut Map<String, Value>, key: String, value: Value) {
    match (answer.get_mut(&key), value) {
        (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
        (_, value) => {
            answer.insert(key, value);
        }
    }
}

/// Key of an object that is a table of answers by the argument it names: `inventoryLevel(locationId:)`.
pub(crate) const BY_ARGUMENT: &str = "$by";

fn apply_arguments(value: &Value, field: &Field) -> Result<Value, Failure> {
    if let Some(argument) = value.get(BY_ARGUMENT).and_then(Value::as_str) {
        let wanted = field.arguments.get(argument).and_then(Value::as_str).unwrap_or_default();
        return Ok(value.get(wanted).cloned().unwrap_or(Value::Null));
    }
    if let (Value::Array(items), Some(names)) = (value, field.arguments.get("names").and_then(Value::as_array)) {
        return Ok(items.iter().filter(|item| names.contains(&item["name"])).cloned().collect());
    }
    if let (Value::Array(items), Some(first)) = (value, field.arguments.get("first").and_then(Value::as_u64)) {
        return Ok(items.iter().take(usize::try_from(first).unwrap_or(usize::MAX)).cloned().collect());
    }
    match value.get("nodes") {
        Some(Value::Array(nodes)) if value.get("pageInfo").is_none() => window(nodes, field),
        _ => Ok(value.clone()),
    }
}

/// A page of a nested connection; its cursors are positions.
fn window(nodes: &[Value], field: &Field) -> Result<Value, Failure> {
    let first = page_size(field)?;
    let mut nodes = nodes.to_vec();
    if field.arguments.get("reverse").and_then(Value::as_bool).unwrap_or(false) {
        nodes.reverse();
    }
    let after = field.arguments.get("after").and_then(Value::as_str).and_then(|cursor| cursor.parse::<usize>().ok());
    let start = after.map_or(0, |position| position + 1).min(nodes.len());
    let end = (start + first).min(nodes.len());
    let cursors: Vec<String> = (start..end).map(|position| position.to_string()).collect();
    Ok(page(nodes[start..end].to_vec(), cursors, end < nodes.len()))
}

/// A connection of which this is one page.
pub(crate) fn page(nodes: Vec<Value>, cursors: Vec<String>, more: bool) -> Value {
    let edges: Vec<Value> = nodes.iter().zip(&cursors).map(|(node, cursor)| json!({ "node": node, "cursor": cursor })).collect();
    json!({
        "nodes": nodes,
        "edges": edges,
        "pageInfo": {
            "hasNextPage": more,
            "hasPreviousPage": false,
            "startCursor": cursors.first(),
            "endCursor": cursors.last(),
        },
    })
}

/// `first` (or `last`), which the vendor wants on every connection.
pub(crate) fn page_size(field: &Field) -> Result<usize, Failure> {
    let size = field.arguments.get("first").or(field.arguments.get("last")).and_then(Value::as_u64);
    match size {
        None => fail("BAD_REQUEST", format!("you must provide one of first or last (field {:?})", field.name)),
        Some(size) if size > MAX_PAGE => fail("BAD_REQUEST", format!("first cannot exceed {MAX_PAGE}")),
        Some(size) => Ok(usize::try_from(size).unwrap_or(0)),
    }
}

fn cost(document: &Document, data: Option<&Value>) -> u64 {
    let mut sum = 0;
    for selection in &document.fields {
        let nodes = match (selection, data) {
            (Selection::Field(field), Some(data)) => data[&field.key]["nodes"].as_array(),
            _ => None,
        };
        sum += cost_of(selection, &document.fragments, nodes.map(|nodes| nodes.len() as u64), 0);
        sum += if document.mutation { 10 } else { 0 };
    }
    sum
}

fn cost_of(selection: &Selection, fragments: &BTreeMap<String, Vec<Selection>>, nodes: Option<u64>, depth: usize) -> u64 {
    let none = Vec::new();
    let inner = match selection {
        Selection::Field(field) => &field.selections,
        Selection::Inline(_, inner) => inner,
        Selection::Spread(name) => fragments.get(name).unwrap_or(&none),
    };
    if depth > 60 || inner.is_empty() {
        return 0;
    }
    let children = inner.iter().map(|child| cost_of(child, fragments, None, depth + 1)).fold(0, u64::saturating_add);
    let Selection::Field(field) = selection else { return children };
    let asked = field.arguments.get("first").or(field.arguments.get("last")).and_then(Value::as_u64);
    match nodes.filter(|_| asked.is_some()).or(asked) {
        Some(count) => 1 + count.div_ceil(10).saturating_mul(children),
        None => 1 + children,
    }
}

fn charge(shop: &Shop, points: u64) -> Result<(), Value> {
    shop.with(|state| {
        let mut bucket = refilled(state);
        let enough = bucket.available >= points as f64;
        if enough {
            bucket.available -= points as f64;
        }
        state.api.bucket = Some(bucket);
        if enough { Ok(()) } else { Err(throttle_status(state, bucket)) }
    })
}

fn give_back(shop: &Shop, points: u64) -> Value {
    shop.with(|state| {
        let mut bucket = refilled(state);
        bucket.available = (bucket.available + points as f64).min(state.options.bucket_size);
        state.api.bucket = Some(bucket);
        throttle_status(state, bucket)
    })
}

fn refilled(state: &crate::shopify::state::State) -> Bucket {
    let now = state.options.clock.now();
    let size = state.options.bucket_size;
    let Some(bucket) = state.api.bucket else { return Bucket { available: size, at: now } };
    let seconds = now.duration_since(bucket.at).as_secs_f64().max(0.0);
    Bucket { available: (bucket.available + seconds * state.options.restore_rate).min(size), at: now }
}

fn throttle_status(state: &crate::shopify::state::State, bucket: Bucket) -> Value {
    json!({
        "maximumAvailable": state.options.bucket_size,
        "currentlyAvailable": bucket.available.floor(),
        "restoreRate": state.options.restore_rate,
    })
}
