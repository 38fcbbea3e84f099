//! Records and how they are read, searched and written: names with dots, domains, lists of commands.

use super::{
    books,
    error::{Outcome, Refusal},
    schema::{self, Kind, Model},
};
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

pub(super) type Id = i64;
pub(super) type Row = Map<String, Value>;

#[derive(Clone, Default)]
pub(super) struct Db {
    tables: BTreeMap<&'static str, BTreeMap<Id, Row>>,
    modified: BTreeMap<(&'static str, Id), Timestamp>,
    last: BTreeMap<&'static str, Id>,
    /// When the last thing was written: no two are at the same time.
    now: Timestamp,
    /// Of the call that is being answered.
    pub context: Row,
    /// Warnings that were accepted, each for one time.
    pub accepted: BTreeSet<String>,
    pub wizards: BTreeMap<Id, (String, Row)>,
    pub sequences: BTreeMap<&'static str, u64>,
}

pub(super) fn decimal(amount: Decimal) -> Value {
    json!({ "__class__": "Decimal", "decimal": amount.to_string() })
}

/// A decimal or a quantity; nothing is nought.
pub(super) fn number(value: &Value) -> Decimal {
    let text = value.get("decimal").and_then(Value::as_str).map(str::to_owned);
    let text = text.or_else(|| value.is_number().then(|| value.to_string()));
    text.and_then(|it| it.parse().ok()).unwrap_or_default()
}

fn moment(at: Timestamp) -> Value {
    let it = at.to_zoned(TimeZone::UTC).datetime();
    json!({ "__class__": "datetime", "year": it.year(), "month": it.month(), "day": it.day(), "hour": it.hour(),
        "minute": it.minute(), "second": it.second(), "microsecond": it.subsec_nanosecond() / 1000 })
}

impl Db {
    pub(super) fn at(&mut self, now: Timestamp) {
        let next = self.now.checked_add(jiff::SignedDuration::from_micros(1)).unwrap_or(now);
        self.now = now.max(next);
    }

    pub(super) fn today(&self) -> Value {
        let day = self.now.to_zoned(TimeZone::UTC).date();
        json!({ "__class__": "date", "year": day.year(), "month": day.month(), "day": day.day() })
    }

    pub(super) fn next(&mut self, sequence: &'static str) -> Value {
        let last = self.sequences.entry(sequence).or_default();
        *last += 1;
        json!(last.to_string())
    }

    fn model(name: &str) -> Outcome<&'static Model> {
        schema::model(name).ok_or_else(|| Refusal::key(name))
    }

    // --- as the server itself reads and writes

    pub(super) fn insert(&mut self, model: &str, row: Value) -> Id {
        let Some(model) = schema::model(model) else { return 0 };
        let last = self.last.entry(model.name).or_default();
        *last += 1;
        let id = *last;
        self.tables.entry(model.name).or_default().insert(id, row.as_object().cloned().unwrap_or_default());
        self.touch(model.name, id);
        id
    }

    pub(super) fn touch(&mut self, model: &'static str, id: Id) {
        let now = self.now;
        self.at(now);
        self.modified.insert((model, id), self.now);
    }

    pub(super) fn set(&mut self, model: &str, id: Id, field: &str, value: Value) {
        let Some(model) = schema::model(model) else { return };
        if let Some(row) = self.tables.entry(model.name).or_default().get_mut(&id) {
            row.insert(field.to_owned(), value);
        }
        self.touch(model.name, id);
    }

    pub(super) fn remove(&mut self, model: &str, id: Id) {
        if let Some(table) = self.tables.get_mut(model) {
            table.remove(&id);
        }
    }

    pub(super) fn ids(&self, model: &str) -> Vec<Id> {
        self.tables.get(model).map(|it| it.keys().copied().collect()).unwrap_or_default()
    }

    pub(super) fn stored(&self, model: &str, id: Id, field: &str) -> &Value {
        const NOTHING: &Value = &Value::Null;
        self.tables.get(model).and_then(|it| it.get(&id)).and_then(|it| it.get(field)).unwrap_or(NOTHING)
    }

    pub(super) fn text(&self, model: &str, id: Id, field: &str) -> &str {
        self.stored(model, id, field).as_str().unwrap_or_default()
    }

    pub(super) fn one(&self, model: &str, id: Id, field: &str) -> Option<Id> {
        self.stored(model, id, field).as_i64()
    }

    pub(super) fn list(&self, model: &str, id: Id, field: &str) -> Vec<Id> {
        self.stored(model, id, field).as_array().into_iter().flatten().filter_map(Value::as_i64).collect()
    }

    /// Records whose field is this value.
    pub(super) fn by(&self, model: &str, field: &str, value: &Value) -> Vec<Id> {
        self.ids(model).into_iter().filter(|id| self.stored(model, *id, field) == value).collect()
    }

    pub(super) fn timestamp(&self, model: &'static str, id: Id) -> Timestamp {
        self.modified.get(&(model, id)).copied().unwrap_or_default()
    }

    // --- as it is read over RPC

    pub(super) fn value(&self, model: &'static Model, id: Id, field: &str) -> Outcome<Value> {
        match field {
            "id" => return Ok(json!(id)),
            "last_modified_at" => return Ok(moment(self.timestamp(model.name, id))),
            "_timestamp" => return Ok(json!(self.timestamp(model.name, id).as_microsecond().to_string())),
            _ => {}
        }
        Ok(match model.kind(field).ok_or_else(|| Refusal::key(field))? {
            Kind::By(target, by) => json!(self.by(target, by, &json!(id))),
            Kind::List(_) => json!(self.list(model.name, id, field)),
            Kind::Computed | Kind::ComputedList(_) => books::computed(self, model.name, id, field),
            Kind::Value | Kind::One(_) => self.stored(model.name, id, field).clone(),
        })
    }

    /// Where a name with a dot leads to.
    fn target(model: &Model, field: &str) -> Outcome<&'static Model> {
        let name = match model.kind(field).ok_or_else(|| Refusal::key(field))? {
            Kind::One(target) | Kind::List(target) | Kind::By(target, _) | Kind::ComputedList(target) => target,
            Kind::Value | Kind::Computed => return Err(Refusal::key(field)),
        };
        Self::model(name)
    }

    pub(super) fn read(&self, model: &'static Model, id: Id, fields: &[&str]) -> Outcome<Value> {
        let mut row = Row::new();
        row.insert("id".into(), json!(id));
        let mut below: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for field in fields {
            match field.split_once('.') {
                Some((name, rest)) => below.entry(name).or_default().push(rest),
                None => {
                    row.insert((*field).to_owned(), self.value(model, id, field)?);
                }
            }
        }
        for (name, rest) in below {
            let target = Self::target(model, name)?;
            let read = |id: Id| self.read(target, id, &rest);
            let found = match self.value(model, id, name)? {
                Value::Array(ids) => Value::Array(ids.iter().filter_map(Value::as_i64).map(read).collect::<Outcome<_>>()?),
                other => other.as_i64().map_or(Ok(Value::Null), read)?,
            };
            row.insert(format!("{name}."), found);
        }
        Ok(Value::Object(row))
    }

    pub(super) fn search(&self, model: &str, domain: &Value, limit: Option<usize>) -> Outcome<Vec<Id>> {
        let model = Self::model(model)?;
        let named = domain.to_string();
        let active_only = model.kind("active").is_some() && !named.contains("\"active\"");
        let mut found = Vec::new();
        for id in self.ids(model.name) {
            let archived = active_only && *self.stored(model.name, id, "active") == json!(false);
            if self.matches(model, id, domain)? && !archived {
                found.push(id);
            }
        }
        found.truncate(limit.unwrap_or(usize::MAX));
        Ok(found)
    }

    fn matches(&self, model: &'static Model, id: Id, domain: &Value) -> Outcome<bool> {
        let terms: &[Value] = domain.as_array().map_or(&[], Vec::as_slice);
        let is_clause = terms.first().and_then(Value::as_str).is_some_and(|it| it != "OR" && it != "AND");
        if is_clause {
            return self.clause(model, &json!(id), terms);
        }
        let any = terms.first().and_then(Value::as_str) == Some("OR");
        let mut terms = terms.iter().filter(|it| it.is_array()).peekable();
        let none = terms.peek().is_none();
        let mut result = none || !any;
        for term in terms {
            let matched = self.matches(model, id, term)?;
            result = if any { result || matched } else { result && matched };
        }
        Ok(result)
    }

    /// Of several records that a name leads to, one is enough.
    fn clause(&self, model: &'static Model, id: &Value, clause: &[Value]) -> Outcome<bool> {
        let [Value::String(name), Value::String(operator), operand, ..] = clause else {
            return Err(Refusal::Server("maximum recursion depth exceeded".into()));
        };
        let Some(id) = id.as_i64() else { return Ok(false) };
        let Some((first, rest)) = name.split_once('.') else {
            let value = self.value(model, id, name)?;
            if operator == "child_of" {
                return Ok(self.is_child_of(&value, operand));
            }
            return compare(&value, operator, operand);
        };
        let target = Self::target(model, first)?;
        let mut below = clause.to_vec();
        below[0] = json!(rest);
        let value = self.value(model, id, first)?;
        let ids = value.as_array().cloned().unwrap_or_else(|| vec![value]);
        for id in ids {
            if self.clause(target, &id, &below)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_child_of(&self, value: &Value, parents: &Value) -> bool {
        let mut at = value.as_i64();
        while let Some(id) = at {
            if parents.as_array().is_some_and(|it| it.contains(&json!(id))) {
                return true;
            }
            at = self.one("stock.location", id, "parent");
        }
        false
    }

    // --- as it is written over RPC

    pub(super) fn create(&mut self, model: &str, values: &Row) -> Outcome<Id> {
        let model = Self::model(model)?;
        let id = self.insert(model.name, json!({}));
        books::defaults(self, model.name, id);
        self.apply(model, id, values)?;
        books::check(self, model, id, true)?;
        Ok(id)
    }

    pub(super) fn write(&mut self, model: &str, ids: &[Id], values: &Row) -> Outcome<()> {
        let model = Self::model(model)?;
        for id in ids {
            if !self.tables.get(model.name).is_some_and(|it| it.contains_key(id)) {
                let text = format!("You are trying to write to records \"{id}\" of \"{}\" that don't exist.", model.label);
                return Err(Refusal::User(text));
            }
            books::may_write(self, model.name, *id, values)?;
            self.apply(model, *id, values)?;
            books::check(self, model, *id, false)?;
        }
        Ok(())
    }

    fn apply(&mut self, model: &'static Model, id: Id, values: &Row) -> Outcome<()> {
        for (field, value) in values {
            match model.kind(field).ok_or_else(|| Refusal::key(field))? {
                Kind::Value | Kind::One(_) => self.set(model.name, id, field, value.clone()),
                Kind::By(target, by) => self.commands(target, by, id, value)?,
                Kind::List(_) => {
                    let added = commands(value).filter(|(name, _)| *name == "add").flat_map(|(_, rest)| ids_of(rest.first()));
                    let mut list = self.list(model.name, id, field);
                    list.extend(added);
                    self.set(model.name, id, field, json!(list));
                }
                Kind::Computed | Kind::ComputedList(_) => return Err(Refusal::key(field)),
            }
        }
        self.touch(model.name, id);
        Ok(())
    }

    fn commands(&mut self, target: &'static str, by: &str, parent: Id, value: &Value) -> Outcome<()> {
        for (name, rest) in commands(value) {
            match name {
                "create" => {
                    for row in rest.first().and_then(Value::as_array).into_iter().flatten() {
                        let mut row = row.as_object().cloned().unwrap_or_default();
                        row.insert(by.to_owned(), json!(parent));
                        self.create(target, &row)?;
                    }
                }
                "write" => {
                    let values = rest.get(1).and_then(Value::as_object).cloned().unwrap_or_default();
                    self.write(target, &ids_of(rest.first()), &values)?;
                }
                "delete" => {
                    for id in ids_of(rest.first()) {
                        books::may_write(self, target, id, &Row::from_iter([("type".to_owned(), Value::Null)]))?;
                        self.remove(target, id);
                    }
                }
                _ => return Err(Refusal::Server(format!("Bad arguments: {name}"))),
            }
        }
        Ok(())
    }
}

fn commands(value: &Value) -> impl Iterator<Item = (&str, &[Value])> {
    let commands = value.as_array().into_iter().flatten().filter_map(Value::as_array);
    commands.filter_map(|it| Some((it.first()?.as_str()?, &it[1..])))
}

pub(super) fn ids_of(value: Option<&Value>) -> Vec<Id> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64).collect()
}

fn compare(value: &Value, operator: &str, operand: &Value) -> Outcome<bool> {
    let order = || order(value, operand);
    Ok(match operator {
        "=" => equal(value, operand),
        "!=" => !equal(value, operand),
        "in" => operand.as_array().is_some_and(|it| it.iter().any(|it| equal(value, it))),
        "not in" => !operand.as_array().is_some_and(|it| it.iter().any(|it| equal(value, it))),
        ">" => order() == Some(Ordering::Greater),
        "<" => order() == Some(Ordering::Less),
        ">=" => matches!(order(), Some(Ordering::Greater | Ordering::Equal)),
        "<=" => matches!(order(), Some(Ordering::Less | Ordering::Equal)),
        "like" => like(value.as_str().unwrap_or_default().as_bytes(), operand.as_str().unwrap_or_default().as_bytes()),
        _ => return Err(Refusal::Server("maximum recursion depth exceeded in __instancecheck__".into())),
    })
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_bool(), b.as_bool()) {
        (Some(a), None) if b.is_null() => !a,
        (None, Some(b)) if a.is_null() => !b,
        _ => a == b || order(a, b) == Some(Ordering::Equal),
    }
}

/// Times by their parts, from the year on; other values as numbers.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    const PARTS: [&str; 7] = ["year", "month", "day", "hour", "minute", "second", "microsecond"];
    if a.get("year").is_some() && b.get("year").is_some() {
        let parts = |it: &Value| PARTS.map(|part| it.get(part).and_then(Value::as_i64).unwrap_or_default());
        return Some(parts(a).cmp(&parts(b)));
    }
    let is_number = |it: &Value| it.is_number() || it.get("decimal").is_some();
    (is_number(a) && is_number(b)).then(|| number(a).cmp(&number(b)))
}

/// `%` is any text, `_` any letter, after `\` they are themselves.
fn like(text: &[u8], pattern: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'%', rest @ ..] => (0..=text.len()).any(|at| like(&text[at..], rest)),
        [b'\\', letter, rest @ ..] => text.first() == Some(letter) && like(&text[1..], rest),
        [b'_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        [letter, rest @ ..] => text.first() == Some(letter) && like(&text[1..], rest),
    }
}
