//! A path into a record: `totals.grand.shop.amount`, `lines.sku`. It reaches into lists: any element will do.

use crate::{filter::fields_of, problem::Misfit};
use serde_json::Value as Json;
use spindel_model::{EntityKind, Record, specimen};
use std::{collections::BTreeSet, fmt};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path(String);

/// The values that a path leads to.
pub(crate) struct Reached<'a> {
    pub values: Vec<&'a Json>,
    /// There is a value, or a list without one.
    pub exists: bool,
    /// The last step is a list.
    pub list: bool,
}

/// Shorthands, and where they lead in an order and in a refund.
const SHORTHANDS: &[(&str, [&str; 2])] = &[
    ("total.amount", ["totals.grand.shop.amount", "total.shop.amount"]),
    ("total.currency", ["totals.grand.shop.currency", "total.shop.currency"]),
];

/// What may be shown in the reason of a skipped delivery: amounts, states and such, never what could be about a person.
const IMPERSONAL: &[&str] = &[
    "amount", "available", "currency", "fulfilment_state", "kind", "on_hand", "payment_state", "presentment_currency", "quantity",
    "quantity_ordered", "quantity_refunded", "rate", "restock", "state", "status", "topic",
];

/// More values than this are not looked at: a record has at most some hundred lines.
const MAX_VALUES: usize = 10_000;

impl Path {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn is_topic(&self) -> bool {
        self.0 == "topic"
    }

    pub fn is_impersonal(&self) -> bool {
        // A vendor's own fields may be called anything.
        !self.0.contains("attributes") && IMPERSONAL.contains(&self.0.rsplit('.').next().unwrap_or_default())
    }

    pub fn reach<'a>(&self, record: &'a Json) -> Reached<'a> {
        let direct = reach(&self.0, record);
        if direct.exists {
            return direct;
        }
        self.shorthand().iter().map(|it| reach(it, record)).find(|it| it.exists).unwrap_or(direct)
    }

    fn shorthand(&self) -> &'static [&'static str] {
        SHORTHANDS.iter().find(|(name, _)| *name == self.0).map_or(&[], |(_, targets)| targets)
    }

    /// Whether records of this kind have such a field, as far as one can know.
    pub fn is_in(&self, kind: EntityKind) -> bool {
        let record = fields_of(&specimen(kind));
        // Vendors' own fields are not known here.
        let attribute = self.0.split('.').any(|it| it == "attributes");
        self.is_topic() || kind == EntityKind::Shop || attribute || self.reach(&record).exists
    }

    /// What could stand here instead: the fields of the last part that is right, the shorthands at the top.
    pub fn unknown(&self, kinds: &[EntityKind]) -> Misfit {
        let names = kinds.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", ");
        let misfit = Misfit::new("unknown_path", format!("`{}` is not a field of: {names}", self.0));
        let mut all = BTreeSet::new();
        let mut siblings = BTreeSet::new();
        for record in kinds.iter().map(|it| fields_of(&specimen(*it))) {
            leaves("", &record, &mut all);
            let mut right = self.0.as_str();
            while !right.is_empty() && !reach(right, &record).exists {
                right = right.rsplit_once('.').map_or("", |(head, _)| head);
            }
            let below = if right.is_empty() { String::new() } else { format!("{right}.") };
            siblings.extend(all.iter().filter_map(|it| {
                let rest = it.strip_prefix(&below)?;
                Some(format!("{below}{}", rest.split('.').next().unwrap_or(rest)))
            }));
        }
        let shorthands = SHORTHANDS.iter().map(|(name, _)| *name).filter(|name| kinds.iter().any(|kind| Path::new(*name).is_in(*kind)));
        all.extend(shorthands.chain(["topic"]).map(str::to_owned));
        let nearest = misfit.choices(&self.0, all).nearest;
        let mut misfit = Misfit::new("unknown_path", format!("`{}` is not a field of: {names}", self.0)).choices(&self.0, siblings);
        misfit.nearest = nearest.or(misfit.nearest);
        misfit
    }

    /// Whether a record of this kind can hold this value here, tried on an invented one.
    pub fn can_be(&self, kind: EntityKind, wanted: &str) -> Result<(), Misfit> {
        let record = specimen(kind);
        let Ok(mut json) = serde_json::to_value(&record) else { return Ok(()) };
        let targets: Vec<&str> = std::iter::once(self.0.as_str()).chain(self.shorthand().iter().copied()).collect();
        let Some(old) = targets.iter().find_map(|it| replace(&mut json["data"], it, wanted)) else { return Ok(()) };
        let Err(error) = serde_json::from_value::<Record>(json) else { return Ok(()) };
        Err(impossible(&self.0, wanted, &old, &error.to_string()))
    }

    /// Whether the path ends at a value in records of this kind, and not at a group of fields.
    pub fn is_value(&self, kind: EntityKind) -> bool {
        let record = fields_of(&specimen(kind));
        !self.reach(&record).values.iter().any(|it| it.is_object())
    }
}

fn impossible(path: &str, wanted: &str, old: &Json, error: &str) -> Misfit {
    let wanted = crate::measure::shortened(wanted);
    // "unknown variant `x`, expected one of `a`, `b`"
    let words: Vec<&str> = error.split("expected").nth(1).unwrap_or_default().split('`').skip(1).step_by(2).collect();
    if error.contains("unknown variant") && !words.is_empty() {
        return Misfit::new("invalid_value", format!("`{path}` is never `{wanted}`")).choices(&wanted, words);
    }
    let what = match old {
        Json::Bool(_) => "true or false",
        Json::String(text) if text.parse::<spindel_model::Decimal>().is_ok() => "a decimal number such as \"100.00\"",
        Json::String(text) if text.parse::<spindel_model::Timestamp>().is_ok() => "a moment such as \"2026-11-20T00:00:00Z\"",
        Json::String(text) if text.len() == 3 => "a currency such as \"NOK\"",
        _ => "another value",
    };
    Misfit::new("wrong_type", format!("`{path}` is compared with `{wanted}`; expected {what}"))
}

fn reach<'a>(path: &str, record: &'a Json) -> Reached<'a> {
    let mut open = vec![record];
    let mut list = false;
    let mut exists = true;
    for name in path.split('.') {
        open = spread(open, &mut list);
        let empty_list = open.is_empty() && list;
        open = open.into_iter().filter_map(|it| it.get(name)).filter(|it| !it.is_null()).collect();
        exists = !open.is_empty() || empty_list;
        if !exists {
            // A list whose elements lack the field has none of its values; without a list the path is not there.
            return Reached { values: Vec::new(), exists: list, list };
        }
        list = empty_list;
    }
    let mut ends_in_list = false;
    let values = spread(open, &mut ends_in_list);
    Reached { values, exists, list: ends_in_list }
}

/// The elements of lists in place of the lists.
fn spread<'a>(values: Vec<&'a Json>, list: &mut bool) -> Vec<&'a Json> {
    let mut out = Vec::new();
    for value in values {
        match value {
            Json::Array(items) => {
                *list = true;
                out.extend(items.iter().take(MAX_VALUES.saturating_sub(out.len())));
            }
            other => out.push(other),
        }
    }
    out
}

impl<'a> Reached<'a> {
    pub fn one(value: &'a Json) -> Self {
        Self { values: vec![value], exists: true, list: false }
    }
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

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
