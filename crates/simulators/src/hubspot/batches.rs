//! Many objects at a time: batches that are refused whole or answered in part, and a search that lags behind.

use super::{
    api::{Answer, Call, Problem, invalid},
    objects::{Kind, Object, properties},
    state::State,
};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const MOST_IN_BATCH: usize = 100;
const MOST_FOUND: usize = 200;

impl State {
    fn check_key(&self, kind: Kind, property: &str) -> Result<(), Problem> {
        if self.unique(kind).iter().any(|it| it == property) {
            return Ok(());
        }
        Err(invalid(format!("Property \"{property}\" is not a unique property of {}", kind.name())))
    }

    /// One that does not fit makes the vendor refuse all of them.
    pub fn upsert(&mut self, kind: Kind, call: &Call) -> Result<Answer, Problem> {
        let inputs = inputs(&call.body)?;
        let mut seen = BTreeSet::new();
        let mut rows = Vec::new();
        for input in inputs {
            let id = input["id"].as_str().ok_or_else(|| invalid("Invalid input JSON: `id` is required"))?;
            let key = input["idProperty"].as_str().ok_or_else(|| invalid("idProperty is required for upsert"))?;
            self.check_key(kind, key)?;
            if !seen.insert(id.to_lowercase()) {
                return Err(invalid(format!("Duplicate IDs found in batch input: [{id}]")));
            }
            let mut properties = properties(input)?;
            properties.insert(key.to_owned(), id.to_owned());
            let found = self.find(kind, key, id);
            self.check(kind, found, &properties)?;
            rows.push((found, properties));
        }
        let mut results = Vec::new();
        for (found, properties) in rows {
            let wanted: BTreeSet<String> = properties.keys().cloned().collect();
            let id = match found {
                Some(id) => {
                    self.put(kind, id, properties, "INTEGRATION");
                    id
                }
                None => self.make(kind, properties, "INTEGRATION")?,
            };
            let mut row = self.json(kind, id, &wanted.iter().map(String::as_str).collect());
            row["new"] = found.is_none().into();
            results.push(row);
        }
        Ok(self.batch(results, Vec::new()))
    }

    pub fn read_batch(&self, kind: Kind, call: &Call) -> Result<Answer, Problem> {
        let key = call.body["idProperty"].as_str();
        key.map_or(Ok(()), |key| self.check_key(kind, key))?;
        let wanted = names(&call.body["properties"]);
        let (mut results, mut missing) = (Vec::new(), Vec::new());
        for input in inputs(&call.body)? {
            let id = input["id"].as_str().unwrap_or_default();
            match self.id_of(kind, id, key).and_then(|id| self.known(kind, id).map(|_| id)) {
                Ok(id) => results.push(self.json(kind, id, &wanted)),
                Err(_) => missing.push(id),
            }
        }
        let error = json!({
            "status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some objects, they may be deleted or not exist. Check that ids are valid.",
            "context": { "ids": missing },
        });
        Ok(self.batch(results, if missing.is_empty() { Vec::new() } else { vec![error] }))
    }

    /// Over what the index has seen: a change is not found at once.
    pub fn search(&self, kind: Kind, call: &Call) -> Result<Answer, Problem> {
        let seen = self.options.clock.now().checked_sub(self.options.search_lag).unwrap_or(Timestamp::MIN);
        let limit = call.body["limit"].as_u64().and_then(|it| usize::try_from(it).ok()).unwrap_or(10);
        if limit > MOST_FOUND {
            return Err(invalid(format!("The limit must be at most {MOST_FOUND}")));
        }
        let after: usize = call.body["after"].as_str().and_then(|it| it.parse().ok()).unwrap_or_default();
        let filters: Vec<&Value> = call.body["filterGroups"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|it| it["filters"].as_array())
            .flatten()
            .collect();
        let all = self.objects.get(&kind).into_iter().flatten().filter(|(_, it)| !it.archived && it.updated <= seen);
        let mut found: Vec<(Timestamp, u64)> = all
            .filter(|(_, it)| filters.iter().all(|filter| holds(kind, it, filter)))
            .map(|(id, it)| (it.updated, *id))
            .collect();
        found.sort();
        let wanted = names(&call.body["properties"]);
        let rows: Vec<Value> = found.iter().skip(after).take(limit).map(|(_, id)| self.json(kind, *id, &wanted)).collect();
        let mut body = json!({ "total": found.len(), "results": rows });
        if after + rows.len() < found.len() {
            body["paging"] = json!({ "next": { "after": (after + rows.len()).to_string() } });
        }
        Ok((StatusCode::OK, body))
    }
}

fn holds(kind: Kind, object: &Object, filter: &Value) -> bool {
    let (name, value) = (filter["propertyName"].as_str().unwrap_or_default(), filter["value"].as_str().unwrap_or_default());
    let millis = object.updated.as_millisecond();
    match filter["operator"].as_str() {
        Some("EQ") => object.properties.get(name).is_some_and(|it| it.eq_ignore_ascii_case(value)),
        Some("HAS_PROPERTY") => object.properties.contains_key(name),
        Some("GTE") if name == kind.modified() => value.parse().is_ok_and(|from: i64| millis >= from),
        Some("GT") if name == kind.modified() => value.parse().is_ok_and(|from: i64| millis > from),
        _ => false,
    }
}

fn inputs(body: &Value) -> Result<&Vec<Value>, Problem> {
    match body["inputs"].as_array() {
        Some(inputs) if inputs.len() > MOST_IN_BATCH => {
            Err(invalid(format!("The maximum number of inputs supported in a batch request is {MOST_IN_BATCH}")))
        }
        Some(inputs) => Ok(inputs),
        None => Err(invalid("Invalid input JSON: `inputs` is required")),
    }
}

fn names(list: &Value) -> BTreeSet<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
