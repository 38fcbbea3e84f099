//! ERPs that describe no addresses but models: their fields, what these hold and point to, and their methods. What a call
//! names (fields to read, conditions, values) must be there, and of that kind.

use super::{
    Problem,
    files::{Content, Document},
};
use serde_json::{Map, Value};
use spindel_connect::Request;
use std::collections::{BTreeMap, BTreeSet};

mod calls;

/// All models of one system, from however many files.
#[derive(Default)]
pub struct Models {
    models: BTreeMap<String, Model>,
    /// `model.sale.sale.create`, where methods are listed apart from the models.
    methods: BTreeSet<String>,
}

#[derive(Default)]
struct Model {
    fields: BTreeMap<String, Field>,
    /// With their parameters; `None` where these are not told.
    methods: BTreeMap<String, Option<BTreeSet<String>>>,
}

struct Field {
    /// As the system calls it; empty where it does not say.
    kind: String,
    relation: Option<String>,
    choices: Vec<Value>,
    searchable: bool,
}

impl Field {
    fn of(described: &Value) -> Self {
        let text = |name: &str| described.get(name).and_then(Value::as_str).map(str::to_owned);
        let choices = described.get("selection").and_then(Value::as_array).into_iter().flatten();
        Self {
            kind: text("type").unwrap_or_default(),
            relation: text("relation"),
            choices: choices.filter_map(|it| it.get(0).cloned()).collect(),
            searchable: described.get("searchable") != Some(&false.into()),
        }
    }
}

/// `None` where none of the documents is of this form.
pub fn read(documents: &[Document]) -> Option<Models> {
    let mut models = Models::default();
    for document in documents {
        let Content::Data(data) = &document.content else { continue };
        if let Some(list) = data.get("models").and_then(Value::as_array) {
            list.iter().for_each(|it| models.add_page(it));
        } else if data.get("model").is_some() && data.get("fields").is_some() {
            models.add_page(data);
        } else if let Some(list) = data.as_array() {
            models.methods.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
        } else if is_fields(data) {
            let name = document.name.trim_end_matches(".json").to_owned();
            let model = Model { fields: fields(data), methods: BTreeMap::new() };
            models.models.insert(name, model);
        }
    }
    (!models.models.is_empty()).then_some(models)
}

/// Every entry says its own name.
fn is_fields(data: &Value) -> bool {
    let own = |(name, field): (&String, &Value)| field.get("name").and_then(Value::as_str) == Some(name);
    data.as_object().is_some_and(|it| !it.is_empty() && it.iter().all(own))
}

fn fields(data: &Value) -> BTreeMap<String, Field> {
    data.as_object().into_iter().flatten().map(|(name, it)| (name.clone(), Field::of(it))).collect()
}

impl Models {
    /// A model's own page says more than the index, whichever comes first.
    fn add_page(&mut self, page: &Value) {
        let Some(name) = page["model"].as_str() else { return };
        let mut methods = BTreeMap::new();
        match &page["methods"] {
            Value::Object(described) => {
                for (method, it) in described {
                    let parameters = it["parameters"].as_object().map(|it| it.keys().cloned().collect());
                    methods.insert(method.clone(), parameters);
                }
            }
            list => methods.extend(list.as_array().into_iter().flatten().filter_map(|it| Some((it.as_str()?.to_owned(), None)))),
        }
        let model = self.models.entry(name.to_owned()).or_default();
        for (field, it) in fields(&page["fields"]) {
            let known = model.fields.get(&field).is_some_and(|it| !it.kind.is_empty());
            if !known {
                model.fields.insert(field, it);
            }
        }
        for (method, parameters) in methods {
            let known = model.methods.entry(method).or_default();
            *known = known.take().or(parameters);
        }
    }

    /// Problems of one request, and the call that they are of.
    pub fn problems(&self, request: &Request) -> Vec<Problem> {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (call, mut texts) = match request.path.split("/json/2/").nth(1).and_then(|it| it.split_once('/')) {
            Some((model, method)) => {
                (format!("{} /json/2/{model}/{method}", request.method), self.named_parameters(model, method, &body))
            }
            None => match body["method"].as_str() {
                Some(method) => (format!("RPC {method}"), self.listed_parameters(method, &body)),
                None => return Vec::new(),
            },
        };
        texts.sort();
        texts.dedup();
        texts.into_iter().map(|text| Problem { call: call.clone(), text }).collect()
    }

    /// The field at the end of a path through relations. What lies in a model that is not described may be anything.
    fn field(&self, model: &str, path: &str, edge: char) -> Result<Option<&Field>, String> {
        let mut here = model.to_owned();
        let mut parts = path.split(edge).peekable();
        while let Some(part) = parts.next() {
            // The record itself, by either of its ids, or by its name.
            if matches!(part, "id" | ".id" | "rec_name" | "display_name") {
                return Ok(None);
            }
            let Some(known) = self.models.get(&here) else { return Ok(None) };
            let Some(field) = known.fields.get(part) else { return Err(format!("`{here}` has no field `{part}`")) };
            if parts.peek().is_none() {
                return Ok(Some(field));
            }
            match &field.relation {
                Some(relation) => here = relation.clone(),
                None if field.kind.is_empty() => return Ok(None),
                None => return Err(format!("`{part}` of `{here}` is a {} and leads nowhere", field.kind)),
            }
        }
        Ok(None)
    }

    fn check_fields<'a>(&self, model: &str, names: impl Iterator<Item = &'a str>, edge: char) -> Vec<String> {
        names.filter_map(|it| self.field(model, it, edge).err()).collect()
    }

    /// Conditions, however they are nested.
    fn check_domain(&self, model: &str, domain: &Value, found: &mut Vec<String>) {
        const OPERATORS: &[&str] = &[
            "=",
            "!=",
            "<",
            ">",
            "<=",
            ">=",
            "=?",
            "=like",
            "=ilike",
            "like",
            "not like",
            "ilike",
            "not ilike",
            "in",
            "not in",
            "child_of",
            "not child_of",
            "parent_of",
            "not parent_of",
            "any",
            "not any",
            "where",
            "not where",
        ];
        let Some(parts) = domain.as_array() else { return };
        let leaf = (parts.first().and_then(Value::as_str), parts.get(1).and_then(Value::as_str));
        match leaf {
            (Some(field), Some(operator)) if parts.len() > 2 && !matches!(field, "AND" | "OR" | "&" | "|" | "!") => {
                if !OPERATORS.contains(&operator) {
                    found.push(format!("`{operator}` is no operator of a condition"));
                }
                match self.field(model, field, '.') {
                    Err(problem) => found.push(problem),
                    Ok(Some(known)) if !known.searchable => found.push(format!("nobody can search by `{field}`")),
                    Ok(known) => {
                        let nested = known.and_then(|it| it.relation.as_deref()).filter(|_| parts[2].is_array());
                        if let Some(relation) = nested.filter(|_| matches!(operator, "any" | "not any" | "where" | "not where")) {
                            self.check_domain(relation, &parts[2], found);
                        }
                    }
                }
            }
            _ => parts.iter().for_each(|part| self.check_domain(model, part, found)),
        }
    }

    /// `name asc, id`, or pairs.
    fn check_order(&self, model: &str, order: &Value) -> Vec<String> {
        match order {
            Value::String(text) => {
                let names = text.split(',').filter_map(|it| it.split_whitespace().next());
                self.check_fields(model, names, '.')
            }
            Value::Array(pairs) => self.check_fields(model, pairs.iter().filter_map(|it| it.get(0)?.as_str()), '.'),
            _ => Vec::new(),
        }
    }

    /// What is written: `fits` says of a value whether it is of the field's kind, `rows` what is written through a relation.
    fn check_values(&self, model: &str, values: &Map<String, Value>, dialect: &Dialect, found: &mut Vec<String>) {
        for (name, value) in values {
            let field = match self.field(model, name, '\0') {
                Err(problem) => {
                    found.push(problem);
                    continue;
                }
                Ok(None) => continue,
                Ok(Some(field)) => field,
            };
            let chosen = field.choices.is_empty() || value == &dialect.nothing || field.choices.contains(value);
            if !(dialect.fits)(&field.kind, value) && value != &dialect.nothing {
                found.push(format!("`{name}` of `{model}` is a {}: {value}", field.kind));
            } else if !chosen {
                found.push(format!("`{name}` of `{model}` cannot be {value}"));
            }
            if let Some(relation) = field.relation.as_deref().filter(|_| field.kind.ends_with("2many")) {
                for row in value.as_array().into_iter().flatten().flat_map(|it| (dialect.rows)(it)) {
                    self.check_values(relation, row, dialect, found);
                }
            }
        }
    }
}

/// How a system writes values.
struct Dialect {
    /// What stands for no value.
    nothing: Value,
    fits: fn(&str, &Value) -> bool,
    /// Values of records within a command to a relation.
    rows: fn(&Value) -> Vec<&Map<String, Value>>,
}
