//! `searchCriteria`: groups that must all hold, of which one condition each must; orders, pages, and the fields to give.

use super::http::{Call, Problem};
use serde_json::{Map, Value, json};
use std::{cmp::Ordering, collections::BTreeMap};

/// Of a shop with input limits.
const MOST: usize = 300;
const DEFAULT: usize = 20;

#[derive(Default)]
struct Filter {
    field: String,
    value: String,
    condition: String,
}

pub(crate) fn list(rows: Vec<Value>, call: &Call, limited: bool) -> Result<Value, Problem> {
    if !call.query.iter().any(|(name, _)| name.starts_with("searchCriteria")) {
        let message = "\"%fieldName\" is required. Enter and try again.";
        return Err(Problem::new(400, message).with(json!({ "fieldName": "searchCriteria" })));
    }
    let groups = groups(call);
    let mut found = Vec::new();
    for row in rows {
        if holds(&row, &groups)? {
            found.push(row);
        }
    }
    sort(&mut found, call);
    let total = found.len();
    let number = |name: &str| call.query(&format!("searchCriteria[{name}]")).and_then(|it| it.parse::<usize>().ok());
    let size = number("pageSize").or(limited.then_some(DEFAULT));
    if limited && size.is_some_and(|it| it > MOST) {
        let message = "Maximum SearchCriteria pageSize is %max";
        return Err(Problem::new(400, message).with(json!({ "max": MOST.to_string() })));
    }
    if let Some(size) = size.filter(|it| *it > 0) {
        // A page beyond the last is the last again.
        let last = total.div_ceil(size).max(1);
        let page = number("currentPage").unwrap_or(1).clamp(1, last);
        found = found.into_iter().skip((page - 1) * size).take(size).collect();
    }
    let mut answer = json!({ "items": found, "search_criteria": {}, "total_count": total });
    if let Some(fields) = call.query("fields") {
        answer = projected(answer, fields);
    }
    Ok(answer)
}

/// `searchCriteria[filter_groups][0][filters][0][field]`, in whatever spelling.
fn groups(call: &Call) -> Vec<Vec<Filter>> {
    let mut groups: BTreeMap<String, BTreeMap<String, Filter>> = BTreeMap::new();
    for (name, value) in &call.query {
        let parts: Vec<&str> = name.split(['[', ']']).filter(|it| !it.is_empty()).collect();
        let ["searchCriteria", "filter_groups" | "filterGroups", group, "filters", filter, what] = parts.as_slice() else {
            continue;
        };
        let filter = groups.entry((*group).to_owned()).or_default().entry((*filter).to_owned()).or_default();
        match *what {
            "field" => filter.field.clone_from(value),
            "value" => filter.value.clone_from(value),
            _ => filter.condition.clone_from(value),
        }
    }
    groups.into_values().map(|filters| filters.into_values().collect()).collect()
}

fn holds(row: &Value, groups: &[Vec<Filter>]) -> Result<bool, Problem> {
    for group in groups {
        let mut any = false;
        for filter in group {
            any |= fits(row, filter)?;
        }
        if !any {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A column of the row: rows of products and customers call their `entity_id` `id`.
fn column<'a>(row: &'a Value, field: &str) -> Option<&'a Value> {
    row.get(field).or_else(|| row.get("id").filter(|_| field == "entity_id"))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn fits(row: &Value, filter: &Filter) -> Result<bool, Problem> {
    let Some(value) = column(row, &filter.field) else {
        // A column that there is not is an error of the database.
        return Err(Problem::new(400, "Invalid attribute name: %1").with(json!([filter.field])));
    };
    let (value, wanted) = (text(value), filter.value.as_str());
    let order = compare(&value, wanted);
    Ok(match filter.condition.as_str() {
        "" | "eq" => order == Ordering::Equal,
        "neq" => order != Ordering::Equal,
        "gt" => order == Ordering::Greater,
        "gteq" | "from" => order != Ordering::Less,
        "lt" => order == Ordering::Less,
        "lteq" | "to" => order != Ordering::Greater,
        "in" => wanted.split(',').any(|it| compare(&value, it) == Ordering::Equal),
        "nin" => wanted.split(',').all(|it| compare(&value, it) != Ordering::Equal),
        "null" => value.is_empty(),
        "notnull" => !value.is_empty(),
        "like" => value.to_lowercase().contains(&wanted.trim_matches('%').to_lowercase()),
        other => return Err(Problem::new(400, "Undefined condition type: %1").with(json!([other]))),
    })
}

/// Numbers by their size, all else as the database compares text: whatever the case.
fn compare(left: &str, right: &str) -> Ordering {
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.total_cmp(&right),
        _ => left.to_lowercase().cmp(&right.to_lowercase()),
    }
}

fn sort(rows: &mut [Value], call: &Call) {
    let by = |what: &str| call.query(&format!("searchCriteria[sortOrders][0][{what}]"));
    let Some(field) = by("field") else { return };
    let key = |row: &Value| column(row, field).map(text).unwrap_or_default();
    rows.sort_by(|left, right| compare(&key(left), &key(right)));
    if by("direction").is_some_and(|it| it.eq_ignore_ascii_case("desc")) {
        rows.reverse();
    }
}

/// `items[id,sku],total_count`, one level deep.
fn projected(answer: Value, fields: &str) -> Value {
    let Value::Object(answer) = answer else { return answer };
    let wanted = |name: &str| fields.split([',', '[', ']']).any(|it| it == name);
    let inner = fields.split_once("items[").and_then(|(_, rest)| rest.split_once(']')).map(|(inner, _)| inner);
    let mut kept = Map::new();
    for (name, value) in answer {
        if !wanted(&name) {
            continue;
        }
        let value = match (&value, inner) {
            (Value::Array(rows), Some(inner)) => rows.iter().map(|row| only(row, inner)).collect(),
            _ => value,
        };
        kept.insert(name, value);
    }
    kept.into()
}

fn only(row: &Value, fields: &str) -> Value {
    let pair = |name: &str| Some((name.to_owned(), row.get(name)?.clone()));
    Value::Object(fields.split(',').filter_map(pair).collect())
}
