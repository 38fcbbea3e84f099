//! `[connections.NAME]`: the keys all connections share, and the connector's own, checked against its schema.

use crate::{
    ConnectionSettings, Env,
    document::{Document, Field, Node, Value, join},
    keys, measure,
    problem::{Findings, Misfit},
    secret,
    section::{Section, unknown_key},
};
use serde_json::{Map, Value as Json, json};
use spindel_connect::Entry;

/// What is known of a connection even when its settings are wrong, so that flows can be checked all the same.
pub(crate) struct ConnectionDraft<'a> {
    pub field: &'a Field,
    pub path: String,
    pub entry: Option<Entry>,
    pub settings: Option<ConnectionSettings>,
}

impl ConnectionDraft<'_> {
    pub fn name(&self) -> &str {
        &self.field.name
    }
}

pub(crate) fn read<'a>(field: &'a Field, catalog: &[Entry], env: Env<'_>, findings: &mut Findings<'_>) -> ConnectionDraft<'a> {
    let path = join("connections", &field.name);
    let mut draft = ConnectionDraft { field, path: path.clone(), entry: None, settings: None };
    if let Err(misfit) = measure::name(&field.name) {
        findings.error(&path, &field.span, misfit);
    }
    if !field.node.is_table() {
        findings.document.hide(&field.node.span);
        findings.error(&path, &field.span, Misfit::new("wrong_type", format!("a connection is a table: [{path}]")));
        return draft;
    }
    let shared = Node { span: field.node.span.clone(), value: Value::Table(shared_fields(&field.node)) };
    let section = Section::open(&shared, path.clone(), keys::CONNECTION, findings);
    draft.entry = section.text("connector").and_then(|id| {
        let entry = catalog.iter().find(|entry| entry.info.id == id);
        if entry.is_none() {
            let ids = catalog.iter().map(|entry| entry.info.id);
            let misfit =
                Misfit::new("unknown_connector", format!("there is no connector `{}`", measure::shortened(id))).choices(id, ids);
            section.error("connector", misfit, findings);
        }
        entry.copied()
    });
    let Some(entry) = draft.entry else {
        hide_texts(&field.node, findings.document);
        return draft;
    };
    let body_limit = section.read("body_limit", findings, |text| {
        let bytes = measure::size(text)?;
        measure::whole_within(1024, 64 << 20)(&bytes.to_string())
    });
    let concurrency = section.read("concurrency", findings, measure::whole_within(1, 256));
    let timeout = section.read("timeout", findings, measure::duration_within("1s", "5m"));
    let insecure_accept_unsigned = section.flag("insecure_accept_unsigned");
    if insecure_accept_unsigned {
        let misfit = Misfit::new("unsigned_accepted", format!("connection \"{}\" believes anybody who can reach it", field.name))
            .hint("remove `insecure_accept_unsigned` outside of tests");
        section.warning("insecure_accept_unsigned", misfit, findings);
    }
    let connected = Vendor { entry, env, root: (entry.schema)().to_value() }.connect(&field.node, &path, findings);
    draft.settings = (|| {
        let (connection, endpoint) = connected?;
        Some(ConnectionSettings {
            name: field.name.clone(),
            entry,
            connection,
            endpoint,
            body_limit: body_limit?,
            insecure_accept_unsigned,
            concurrency: concurrency?,
            timeout: timeout?,
        })
    })();
    draft
}

fn is_shared(name: &str) -> bool {
    keys::CONNECTION.iter().any(|key| key.name == name)
}

fn shared_fields(node: &Node) -> Vec<Field> {
    node.fields().iter().filter(|field| is_shared(&field.name)).cloned().collect()
}

/// Without a schema nobody knows which text is a secret.
fn hide_texts(node: &Node, document: &Document) {
    for field in node.fields().iter().filter(|field| field.name != "connector") {
        match &field.node.value {
            Value::Table(_) => {}
            _ => document.hide(&field.node.span),
        }
    }
}

type Connected = (std::sync::Arc<dyn spindel_connect::Connection>, spindel_connect::Endpoint);

/// The connector's side of a connection: its schema, and where secrets are looked up.
struct Vendor<'a> {
    entry: Entry,
    env: Env<'a>,
    root: Json,
}

/// What was found on the way through the connector's keys.
#[derive(Default)]
struct Walk {
    /// Secrets that could not be had: the connector gets a stand-in, so that its other complaints are heard as well.
    stand_ins: Vec<String>,
    /// Something other than a secret is wrong; the connector would only repeat it.
    broken: bool,
}

impl Vendor<'_> {
    fn connect(&self, node: &Node, path: &str, findings: &mut Findings<'_>) -> Option<Connected> {
        let own: Vec<Field> = node.fields().iter().filter(|field| !is_shared(&field.name)).cloned().collect();
        let own = Node { span: node.span.clone(), value: Value::Table(own) };
        let mut walk = Walk::default();
        let settings = self.value(&own, &self.root, path, &mut walk, findings);
        if walk.broken {
            return None;
        }
        match (self.entry.connect)(settings) {
            Ok(connected) => walk.stand_ins.is_empty().then_some(connected),
            Err(error) => {
                let at = if error.field.is_empty() { path.to_owned() } else { format!("{path}.{}", error.field) };
                let about_stand_in =
                    !walk.stand_ins.is_empty() && (error.field.is_empty() || walk.stand_ins.iter().any(|it| at.starts_with(it)));
                if !about_stand_in {
                    findings.error(&at, &findings.document.place(&at), Misfit::new("invalid_value", error.to_string()));
                }
                None
            }
        }
    }

    /// The value as JSON with its secrets resolved; what does not fit the schema is reported.
    fn value(&self, node: &Node, schema: &Json, path: &str, walk: &mut Walk, findings: &mut Findings<'_>) -> Json {
        let forms = self.forms(schema);
        let list_item = forms.iter().find_map(|form| form.get("items"));
        if let (Value::List(items), Some(item_schema)) = (&node.value, list_item) {
            let value = |(i, item)| self.value(item, item_schema, &format!("{path}[{i}]"), walk, findings);
            return Json::Array(items.iter().enumerate().map(value).collect());
        }
        if forms.iter().any(|form| form.get("x-secret").is_some()) {
            return match secret::resolve(node, path, self.env, findings) {
                Some(value) => Json::String(value),
                None => {
                    walk.stand_ins.push(path.to_owned());
                    Json::String("stand-in for a secret".into())
                }
            };
        }
        if node.is_table() {
            let json = self.table(node, &forms, path, walk, findings);
            if let Some(json) = json {
                return json;
            }
        }
        if let Err(misfit) = scalar_fits(node, &forms) {
            walk.broken = true;
            findings.error(path, &node.span, misfit);
        }
        node.json()
    }

    /// `None` when no form of the schema is a table.
    fn table(&self, node: &Node, forms: &[&Json], path: &str, walk: &mut Walk, findings: &mut Findings<'_>) -> Option<Json> {
        let tables: Vec<&Json> = forms.iter().copied().filter(|form| form.get("properties").is_some()).collect();
        let open = forms.iter().find_map(|form| form.get("additionalProperties").filter(|it| it.as_bool() != Some(false)));
        if tables.is_empty() && open.is_none() {
            return None;
        }
        let tables = tagged(node, tables);
        let mut json = Map::new();
        let mut meant = Vec::new();
        for field in node.fields() {
            let at = join(path, &field.name);
            let constants = constants(&tables, &field.name);
            let property = tables.iter().find_map(|form| form["properties"].get(&field.name));
            match constants.as_ref().or(property).or(open) {
                Some(schema) => {
                    json.insert(field.name.clone(), self.value(&field.node, schema, &at, walk, findings));
                }
                None => {
                    walk.broken = true;
                    // A misspelt secret would be shown.
                    findings.document.hide(&field.node.span);
                    let mut names: Vec<&str> = tables.iter().flat_map(|form| property_names(form)).collect();
                    if path.matches('.').count() == 1 {
                        names.extend(keys::CONNECTION.iter().map(|key| key.name));
                    }
                    names.sort_unstable();
                    names.dedup();
                    let misfit = unknown_key(&field.name).choices(&field.name, names);
                    meant.extend(misfit.nearest.clone());
                    findings.error(&at, &field.span, misfit);
                }
            }
        }
        if let [form] = tables.as_slice() {
            self.require(node, form, path, &meant, walk, findings);
        }
        Some(Json::Object(json))
    }

    fn require(&self, node: &Node, form: &Json, path: &str, meant: &[String], walk: &mut Walk, findings: &mut Findings<'_>) {
        let required = form.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
        for name in required.filter(|name| node.get(name).is_none() && !meant.iter().any(|it| it == name)) {
            walk.broken = true;
            let property = form["properties"].get(name).unwrap_or(&Json::Null);
            let forms = self.forms(property);
            let secret = forms.iter().any(|it| it.get("x-secret").is_some());
            let about = property.get("description").and_then(Json::as_str).filter(|_| !secret);
            let message = match about {
                Some(about) => format!("`{name}` is missing: {}", about.lines().next().unwrap_or_default()),
                None => format!("`{name}` is missing"),
            };
            let value = if secret { "{ env = \"…\" }" } else { "…" };
            let misfit = Misfit::new("missing_key", message).hint(format!("add `{name} = {value}`"));
            findings.error(path, &findings.document.place(path), misfit);
        }
    }

    /// The schema and all its alternatives, with references followed.
    fn forms<'s>(&'s self, schema: &'s Json) -> Vec<&'s Json> {
        let mut forms: Vec<&'s Json> = Vec::new();
        let mut open = vec![schema];
        while let Some(form) = open.pop() {
            // A schema that refers to itself would go on for ever.
            if forms.len() >= 64 || forms.iter().any(|it| std::ptr::eq::<Json>(*it, form)) {
                continue;
            }
            forms.push(form);
            let target = form.get("$ref").and_then(Json::as_str).and_then(|it| self.root.pointer(it.strip_prefix('#')?));
            open.extend(target);
            for word in ["anyOf", "oneOf", "allOf"] {
                open.extend(form.get(word).and_then(Json::as_array).into_iter().flatten());
            }
        }
        forms
    }
}

/// The words that tell several tables apart, as a schema of its own: all of them are choices.
fn constants(tables: &[&Json], name: &str) -> Option<Json> {
    let words: Vec<&Json> = tables.iter().filter_map(|form| form["properties"].get(name)?.get("const")).collect();
    (words.len() > 1).then(|| json!({ "type": "string", "enum": words }))
}

fn property_names(form: &Json) -> impl Iterator<Item = &str> {
    form["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str())
}

/// Of tables that are told apart by a constant (`scheme = "hmac"`), those whose constant is the one given.
fn tagged<'s>(node: &Node, tables: Vec<&'s Json>) -> Vec<&'s Json> {
    let agrees = |form: &&&Json| {
        form["properties"].as_object().into_iter().flatten().all(|(name, property)| {
            let constant = property.get("const").and_then(Json::as_str);
            constant.is_none_or(|it| node.get(name).is_some_and(|field| field.node.text() == Some(it)))
        })
    };
    let chosen: Vec<&Json> = tables.iter().filter(agrees).copied().collect();
    if chosen.is_empty() { tables } else { chosen }
}

/// Whether a value that is no table is of a type, and one of the words, that the schema allows.
fn scalar_fits(node: &Node, forms: &[&Json]) -> Result<(), Misfit> {
    let mut types: Vec<&str> = Vec::new();
    let mut words: Vec<&str> = Vec::new();
    for form in forms {
        match form.get("type") {
            Some(Json::String(it)) => types.push(it),
            Some(Json::Array(several)) => types.extend(several.iter().filter_map(Json::as_str)),
            _ => {}
        }
        words.extend(form.get("enum").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str));
        words.extend(form.get("const").and_then(Json::as_str));
    }
    if let (Some(given), false) = (node.text(), words.is_empty())
        && !words.contains(&given)
    {
        let message = format!("`{}` is not one of the values that are possible here", measure::shortened(given));
        return Err(Misfit::new("invalid_value", message).choices(given, words));
    }
    let is = |name: &str| {
        matches!(
            (&node.value, name),
            (Value::Text(_) | Value::Date(_), "string")
                | (Value::Whole(_), "integer" | "number")
                | (Value::Number(_), "number")
                | (Value::Flag(_), "boolean")
                | (Value::List(_), "array")
                | (Value::Table(_), "object")
        )
    };
    if types.is_empty() || types.iter().any(|name| is(name)) {
        return Ok(());
    }
    let word = |name: &&str| match *name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "a table",
    };
    let wanted: Vec<&str> = types.iter().filter(|it| **it != "null").map(word).collect();
    Err(Misfit::new("wrong_type", format!("expected {}, not {}", wanted.join(" or "), node.what())))
}
