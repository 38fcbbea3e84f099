//! Odoo's search domains: prefix notation read into a tree, checked against the schema, evaluated row by row.

use super::{
    error::{Outcome, Refusal},
    orm,
    records::{Db, Id, as_ids},
    schema::{self, Kind, Model},
};
use serde_json::Value;
use std::cmp::Ordering;

const OPERATORS: &[&str] =
    &["=", "!=", "in", "not in", ">", ">=", "<", "<=", "like", "not like", "ilike", "not ilike", "=like", "=ilike"];

#[derive(Debug)]
pub(super) enum Domain {
    Everything,
    All(Box<Domain>, Box<Domain>),
    Any(Box<Domain>, Box<Domain>),
    Not(Box<Domain>),
    Leaf { path: Vec<String>, operator: String, value: Value },
}

impl Domain {
    pub(super) fn parse(model: &'static Model, domain: &Value) -> Outcome<Self> {
        let terms = match domain {
            Value::Array(terms) => terms.as_slice(),
            Value::Null | Value::Bool(false) => &[],
            _ => return Err(malformed(domain)),
        };
        let mut rest = terms;
        let mut tree = None;
        while !rest.is_empty() {
            let next = take(model, &mut rest, domain)?;
            tree = Some(match tree {
                None => next,
                Some(before) => Self::All(Box::new(before), Box::new(next)),
            });
        }
        Ok(tree.unwrap_or(Self::Everything))
    }

    pub(super) fn holds(&self, db: &Db, model: &'static Model, id: Id) -> bool {
        match self {
            Self::Everything => true,
            Self::All(a, b) => a.holds(db, model, id) && b.holds(db, model, id),
            Self::Any(a, b) => a.holds(db, model, id) || b.holds(db, model, id),
            Self::Not(inner) => !inner.holds(db, model, id),
            Self::Leaf { path, operator, value } => leaf(db, model, id, path, operator, value),
        }
    }

    pub(super) fn mentions(&self, field: &str) -> bool {
        match self {
            Self::Everything => false,
            Self::All(a, b) | Self::Any(a, b) => a.mentions(field) || b.mentions(field),
            Self::Not(inner) => inner.mentions(field),
            Self::Leaf { path, .. } => path.len() == 1 && path[0] == field,
        }
    }

    /// The ids that can hold at all, where a leaf that must hold names them.
    pub(super) fn candidates(&self, db: &Db, model: &Model) -> Option<Vec<Id>> {
        if model.name == "ir.model.data"
            && let (Some(module), Some(name)) = (self.required("module", "="), self.required("name", "="))
        {
            let complete_name = format!("{}.{}", module.as_str()?, name.as_str()?);
            return Some(db.external(&complete_name).into_iter().collect());
        }
        if model.name == "ir.model.data"
            && let (Some(module), Some(names)) = (self.required("module", "="), self.required("name", "in"))
        {
            let module = module.as_str()?;
            let mut names: Vec<&str> = names.as_array()?.iter().filter_map(Value::as_str).collect();
            names.sort_unstable();
            names.dedup();
            return Some(names.into_iter().filter_map(|name| db.external(&format!("{module}.{name}"))).collect());
        }
        if let Some(id) = self.required("id", "=") {
            return Some(id.as_i64().into_iter().collect());
        }
        self.required("id", "in").map(as_ids)
    }

    /// What a leaf on this field compares with, when every match must satisfy that leaf.
    fn required(&self, field: &str, wanted: &str) -> Option<&Value> {
        match self {
            Self::All(a, b) => a.required(field, wanted).or_else(|| b.required(field, wanted)),
            Self::Leaf { path, operator, value } => (path.len() == 1 && path[0] == field && operator == wanted).then_some(value),
            _ => None,
        }
    }
}

fn take(model: &'static Model, rest: &mut &[Value], whole: &Value) -> Outcome<Domain> {
    let Some((first, tail)) = rest.split_first() else { return Err(malformed(whole)) };
    *rest = tail;
    match first.as_str() {
        Some("!") => Ok(Domain::Not(Box::new(take(model, rest, whole)?))),
        Some(prefix @ ("&" | "|")) => {
            let a = Box::new(take(model, rest, whole)?);
            let b = Box::new(take(model, rest, whole)?);
            Ok(if prefix == "&" { Domain::All(a, b) } else { Domain::Any(a, b) })
        }
        _ => term(model, first, whole),
    }
}

fn term(model: &'static Model, term: &Value, whole: &Value) -> Outcome<Domain> {
    let Some([Value::String(path), Value::String(operator), value]) = term.as_array().map(Vec::as_slice) else {
        return Err(malformed(whole));
    };
    let shown = || format!("('{path}', '{operator}', {})", python(value));
    if !OPERATORS.contains(&operator.as_str()) {
        return Err(Refusal::value(format!("Invalid operator in condition {}", shown())));
    }
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    let mut at = Some(model);
    for (depth, name) in path.iter().enumerate() {
        let Some(field) = at.and_then(|model| model.field(name)) else {
            let model = at.map_or("?", |model| model.name);
            let rest = path[depth..].join(".");
            let shown = format!("('{rest}', '{operator}', {})", python(value));
            return Err(Refusal::value(format!("Invalid field {model}.{name} in condition {shown}")));
        };
        at = target(field.kind);
    }
    Ok(Domain::Leaf { path, operator: operator.clone(), value: value.clone() })
}

fn malformed(domain: &Value) -> Refusal {
    Refusal::value(format!("Domain() malformed domain {}", python(domain)))
}

fn target(kind: Kind) -> Option<&'static Model> {
    match kind {
        Kind::One(model) | Kind::Many(model) | Kind::Lines(model, _) => schema::model(model),
        _ => None,
    }
}

fn leaf(db: &Db, model: &'static Model, id: Id, path: &[String], operator: &str, value: &Value) -> bool {
    let Some((name, rest)) = path.split_first() else { return false };
    let Some(field) = model.field(name) else { return false };
    // Negative operators negate the whole path, so that a record without the relation is found by `!=`.
    let positive = match operator {
        "!=" => "=",
        "not in" => "in",
        "not like" => "like",
        "not ilike" => "ilike",
        other => other,
    };
    if positive != operator {
        return !leaf(db, model, id, path, positive, value);
    }
    let stored = orm::stored(db, model, id, field);
    if rest.is_empty() {
        return compare(db, field.kind, &stored, operator, value);
    }
    let Some(next) = target(field.kind) else { return false };
    let ids = match &stored {
        Value::Array(_) => as_ids(&stored),
        one => one.as_i64().into_iter().collect(),
    };
    ids.iter().any(|id| leaf(db, next, *id, rest, operator, value))
}

fn compare(db: &Db, kind: Kind, stored: &Value, operator: &str, value: &Value) -> bool {
    if let (Some(related), Value::Array(_) | Value::Number(_)) = (target(kind), stored) {
        let ids = match stored {
            Value::Array(_) => as_ids(stored),
            one => one.as_i64().into_iter().collect(),
        };
        return match value {
            Value::Bool(_) | Value::Null => ids.is_empty(),
            Value::Array(wanted) if operator == "in" => wanted.iter().any(|wanted| compare(db, kind, stored, "=", wanted)),
            Value::String(text) => ids.iter().any(|id| like(&orm::display_name(db, related, *id), operator, text)),
            wanted => ids.iter().any(|id| scalar(&Value::from(*id), operator, wanted)),
        };
    }
    match (operator, value) {
        ("in", Value::Array(wanted)) => wanted.iter().any(|wanted| scalar(stored, "=", wanted)),
        (_, Value::String(text)) if operator.contains("like") => {
            stored.as_str().is_some_and(|stored| like(stored, operator, text))
        }
        _ => scalar(stored, operator, value),
    }
}

fn scalar(stored: &Value, operator: &str, value: &Value) -> bool {
    if is_unset(value) {
        return operator == "=" && (is_unset(stored) || stored.as_f64() == Some(0.0));
    }
    match order(stored, value) {
        None => false,
        Some(order) => match operator {
            "=" => order == Ordering::Equal,
            ">" => order == Ordering::Greater,
            ">=" => order != Ordering::Less,
            "<" => order == Ordering::Less,
            "<=" => order != Ordering::Greater,
            _ => false,
        },
    }
}

fn is_unset(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Bool(false)) || value.as_str() == Some("")
}

/// `None` when the two cannot be compared.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Number(_), Value::Number(_)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::Number(_), Value::String(text)) => a.as_f64()?.partial_cmp(&text.parse::<f64>().ok()?),
        _ => None,
    }
}

/// `=` on a relation by name, and the `like` family: `%` is any text, `_` any character.
fn like(stored: &str, operator: &str, pattern: &str) -> bool {
    let ignore_case = operator.ends_with("ilike");
    let (stored, mut pattern) = match ignore_case {
        true => (stored.to_lowercase(), pattern.to_lowercase()),
        false => (stored.to_owned(), pattern.to_owned()),
    };
    if operator == "=" {
        return stored == pattern;
    }
    if !operator.starts_with('=') {
        pattern = format!("%{pattern}%");
    }
    let (stored, pattern): (Vec<char>, Vec<char>) = (stored.chars().collect(), pattern.chars().collect());
    matches(&stored, &pattern)
}

/// Greedy with one backtracking point, so that a hostile pattern stays quadratic.
fn matches(text: &[char], pattern: &[char]) -> bool {
    let (mut t, mut p, mut back) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                back = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '_' || *c == text[t] => {
                t += 1;
                p += 1;
            }
            _ => {
                let Some((percent, from)) = back else { return false };
                back = Some((percent, from + 1));
                p = percent + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '%')
}

/// A value as Python prints it, because Odoo's messages quote values that way.
pub(super) fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(items) => format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
