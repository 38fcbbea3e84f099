//! OpenAPI 3 and Swagger 2.

use super::{
    description::{Body, Description, Operation, Parameter, Place, Template},
    files::{Content, Document},
    schema::{modern, modern_shared},
};
use http::{Method, Uri};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "head"];

/// `None` where the document is something else.
pub fn read(document: &Document, base: Option<&str>) -> Option<Description> {
    let Content::Data(raw) = &document.content else { return None };
    let _version = raw.get("openapi").or(raw.get("swagger"))?;
    let bases = base.map_or_else(|| bases(raw), |base| BTreeSet::from([base.trim_end_matches('/').to_owned()]));
    let mut operations = Vec::new();
    for (path, item) in raw.get("paths")?.as_object()? {
        for (name, operation) in METHODS.iter().filter_map(|it| Some((*it, item.get(*it)?))) {
            for base in &bases {
                let template = Template::of(&format!("{base}{path}"));
                let method = Method::from_bytes(name.to_uppercase().as_bytes()).ok()?;
                operations.push(one(raw, item, operation, method, template));
            }
        }
    }
    Some(Description { name: document.name.clone(), operations, shared: shared(raw) })
}

/// Paths of the servers.
fn bases(raw: &Value) -> BTreeSet<String> {
    let path = |url: &str| {
        let path = url.parse::<Uri>().map_or_else(|_| String::new(), |it| it.path().to_owned());
        path.trim_end_matches('/').to_owned()
    };
    if let Some(base) = raw.get("basePath").and_then(Value::as_str) {
        return BTreeSet::from([base.trim_end_matches('/').to_owned()]);
    }
    let servers = raw.get("servers").and_then(Value::as_array).into_iter().flatten();
    let mut bases: BTreeSet<String> = servers.filter_map(|it| Some(path(it.get("url")?.as_str()?))).collect();
    if bases.is_empty() {
        bases.insert(String::new());
    }
    bases
}

fn shared(raw: &Value) -> Map<String, Value> {
    let mut shared = Map::new();
    if let Some(schemas) = raw.get("definitions") {
        shared.insert("definitions".into(), modern_shared(schemas, raw));
    }
    if let Some(schemas) = raw.pointer("/components/schemas") {
        shared.insert("components".into(), json!({ "schemas": modern_shared(schemas, raw) }));
    }
    shared
}

fn followed<'a>(raw: &'a Value, part: &'a Value) -> &'a Value {
    let target = part.get("$ref").and_then(Value::as_str).and_then(|it| raw.pointer(it.trim_start_matches('#')));
    target.unwrap_or(part)
}

fn one(raw: &Value, item: &Value, operation: &Value, method: Method, template: Template) -> Operation {
    let rows = |of: &'static str, from: &'_ Value| from.get(of).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut all = rows("parameters", operation);
    // Those of the path hold for each of its operations, unless one says otherwise.
    for shared in rows("parameters", item) {
        let (name, place) = (followed(raw, &shared)["name"].clone(), followed(raw, &shared)["in"].clone());
        if !all.iter().map(|it| followed(raw, it)).any(|it| it["name"] == name && it["in"] == place) {
            all.push(shared);
        }
    }
    let (mut parameters, mut fields, mut body) = (Vec::new(), Vec::new(), None);
    for row in &all {
        let row = followed(raw, row);
        let place = match row["in"].as_str() {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            Some("formData") => {
                fields.push(row.clone());
                continue;
            }
            Some("body") => {
                let schemas = vec![("*/*".to_owned(), modern(&row["schema"], raw))];
                body = Some(Body { required: row["required"] == true, schemas });
                continue;
            }
            _ => continue,
        };
        let name = row["name"].as_str().unwrap_or_default().to_owned();
        // In Swagger 2 a parameter is its own schema.
        let schema = row.get("schema").or_else(|| row.pointer("/content/application~1json/schema")).unwrap_or(row);
        parameters.push(Parameter { name, place, required: row["required"] == true, schema: modern(schema, raw) });
    }
    if !fields.is_empty() {
        body = Some(form(raw, &fields));
    }
    if let Some(described) = operation.get("requestBody").map(|it| followed(raw, it)) {
        let kinds = described.get("content").and_then(Value::as_object).into_iter().flatten();
        let schemas = kinds.map(|(kind, it)| (kind.clone(), modern(&it["schema"], raw))).collect();
        body = Some(Body { required: described["required"] == true, schemas });
    }
    Operation { method, template, parameters, body }
}

fn form(raw: &Value, fields: &[Value]) -> Body {
    let name = |it: &Value| it["name"].as_str().unwrap_or_default().to_owned();
    let properties: Map<String, Value> = fields.iter().map(|it| (name(it), it.clone())).collect();
    let required: Vec<String> = fields.iter().filter(|it| it["required"] == true).map(name).collect();
    let schema = modern(&json!({ "type": "object", "properties": properties, "required": required }), raw);
    Body { required: !required.is_empty(), schemas: vec![("application/x-www-form-urlencoded".into(), schema)] }
}
