//! Paths of filters, tried on invented records: does the field exist, what kind of value stands there, what else could be meant?

use crate::problem::Misfit;
use serde_json::Value as Json;
use spindel_model::{Change, Decimal, EntityKind, Record, Timestamp, Topic, at_path, specimen, specimen_change, view};
use std::{collections::BTreeSet, str::FromStr};

/// Shorthands, and where they lead in an order and in a refund.
const SHORTHANDS: &[(&str, [&str; 2])] = &[
    ("total.amount", ["totals.grand.shop.amount", "total.shop.amount"]),
    ("total.currency", ["totals.grand.shop.currency", "total.shop.currency"]),
];

/// What a path leads to in records of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    Nowhere,
    /// To text, a number or a flag.
    Value,
    /// To a list of values.
    List,
    /// To a group of fields.
    Group,
    /// To a field of the vendor's own; nothing is known of it.
    Open,
}

/// The kinds of record that these topics carry.
pub(crate) fn kinds_of(topics: &[Topic]) -> Vec<EntityKind> {
    let mut kinds: Vec<EntityKind> = topics.iter().map(|it| it.entity()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

pub(crate) fn leads(path: &str, kind: EntityKind) -> Leads {
    if path.split('.').any(|it| it == "attributes") || kind == EntityKind::Shop && path != "topic" {
        return Leads::Open;
    }
    match at_path(&invented(kind), path).first() {
        None => Leads::Nowhere,
        Some(Json::Object(_)) => Leads::Group,
        Some(Json::Array(items)) if items.iter().any(|it| it.is_object() || it.is_array()) => Leads::Group,
        Some(Json::Array(_)) => Leads::List,
        Some(_) => Leads::Value,
    }
}

/// What could stand here instead: the fields below the part that is right.
pub(crate) fn unknown(path: &str, kinds: &[EntityKind]) -> Misfit {
    let names = kinds.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
    let message = format!("`{path}` is not a field of: {names}");
    let mut all = BTreeSet::new();
    let mut beside = BTreeSet::new();
    for record in kinds.iter().map(|it| invented(*it)) {
        leaves("", &record, &mut all);
        let mut right = path;
        while !right.is_empty() && at_path(&record, right).is_empty() {
            right = right.rsplit_once('.').map_or("", |(head, _)| head);
        }
        let below = if right.is_empty() { String::new() } else { format!("{right}.") };
        let rest = all.iter().filter_map(|it| it.strip_prefix(&below));
        beside.extend(rest.map(|it| format!("{below}{}", it.split('.').next().unwrap_or(it))));
    }
    let nearest = Misfit::new("unknown_path", "").choices(path, all).nearest;
    let misfit = Misfit::new("unknown_path", message).choices(path, beside);
    Misfit { nearest: nearest.or(misfit.nearest.clone()), ..misfit }
}

/// Whether a record of this kind can ever hold this value here: tried on an invented one.
pub(crate) fn can_be(path: &str, kind: EntityKind, wanted: &str) -> Result<(), Misfit> {
    let Ok(mut json) = serde_json::to_value(specimen(kind)) else { return Ok(()) };
    let shorthand = SHORTHANDS.iter().find(|(name, _)| *name == path).map(|(_, targets)| targets.as_slice());
    let mut targets = std::iter::once(path).chain(shorthand.unwrap_or_default().iter().copied());
    let Some(old) = targets.find_map(|it| replace(&mut json["data"], it, wanted)) else { return Ok(()) };
    match serde_json::from_value::<Record>(json) {
        Ok(_) => Ok(()),
        Err(error) => Err(impossible(path, wanted, &old, &error.to_string())),
    }
}

/// The fields of an invented record, with the shorthands, as a filter sees them.
fn invented(kind: EntityKind) -> Json {
    let topic = Topic::ALL.iter().copied().find(|topic| topic.entity() == kind).unwrap_or(Topic::OrderCreated);
    view(&Change { record: specimen(kind), ..specimen_change(topic) })
}

fn impossible(path: &str, wanted: &str, old: &Json, error: &str) -> Misfit {
    let wanted = crate::measure::shortened(wanted);
    // "unknown variant `x`, expected one of `a`, `b`"
    let words: Vec<&str> = error.rsplit("expected").next().unwrap_or_default().split('`').skip(1).step_by(2).collect();
    if error.contains("unknown variant") && !words.is_empty() {
        return Misfit::new("invalid_value", format!("`{path}` is never `{wanted}`")).choices(&wanted, words);
    }
    let what = match old {
        Json::Bool(_) => "true or false",
        Json::String(text) if Decimal::from_str(text).is_ok() => "a decimal number such as \"100.00\"",
        Json::String(text) if Timestamp::from_str(text).is_ok() => "a moment such as \"2026-11-20T00:00:00Z\"",
        Json::String(text) if text.len() == 3 => "a currency such as \"NOK\"",
        _ => "another kind of value",
    };
    Misfit::new("wrong_type", format!("`{path}` is compared with `{wanted}`; expected {what}"))
}

fn leaves(path: &str, value: &Json, out: &mut BTreeSet<String>) {
    match value {
        Json::Array(items) => items.iter().for_each(|it| leaves(path, it, out)),
        Json::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            fields.iter().for_each(|(name, value)| leaves(&format!("{path}{dot}{name}"), value, out));
        }
        _ => {
            out.insert(path.to_owned());
        }
    }
}

/// Puts a value where the path leads, in the first element of lists; answers what stood there.
fn replace(record: &mut Json, path: &str, wanted: &str) -> Option<Json> {
    let mut at = record;
    for name in path.split('.') {
        at = first(at).get_mut(name)?;
    }
    let at = first(at);
    let new = match at {
        Json::Bool(_) => wanted.parse::<bool>().map_or_else(|_| Json::from(wanted), Json::from),
        Json::Number(_) => serde_json::from_str(wanted).unwrap_or_else(|_| Json::from(wanted)),
        Json::String(_) => Json::from(wanted),
        _ => return None,
    };
    Some(std::mem::replace(at, new))
}

fn first(value: &mut Json) -> &mut Json {
    let mut at = value;
    while at.as_array().is_some_and(|items| !items.is_empty()) {
        at = &mut at[0];
    }
    at
}
