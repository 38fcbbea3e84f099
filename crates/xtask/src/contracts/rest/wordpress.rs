//! The index that a WordPress site answers at `/wp-json/<namespace>`: routes, and for each the arguments that it reads. As
//! JSON, or within a page of documentation.

use super::{
    description::{Body, Description, Operation, Parameter, Place, Template},
    files::{Content, Document},
    schema::modern,
};
use http::Method;
use serde_json::{Map, Value, json};

const BASE: &str = "/wp-json";
/// Arguments that every route reads.
const ANYWHERE: [&str; 4] = ["_fields", "_embed", "_envelope", "_method"];

/// `None` where the document is something else.
pub fn read(document: &Document, base: Option<&str>) -> Option<Description> {
    let index = match &document.content {
        Content::Data(data) => data.clone(),
        Content::Pages(pages) => pages.iter().find_map(|(_, text)| first_json(text).filter(is_index))?,
    };
    if !is_index(&index) {
        return None;
    }
    let base = base.unwrap_or(BASE);
    let routes = index["routes"].as_object()?;
    let mut operations = Vec::new();
    for (route, item) in routes {
        let path = format!("{base}{}", template(route));
        for endpoint in item["endpoints"].as_array().into_iter().flatten() {
            for method in endpoint["methods"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let Ok(method) = Method::from_bytes(method.as_bytes()) else { continue };
                operations.push(one(routes, route, endpoint, method, Template::of(&path)));
            }
        }
    }
    Some(Description { name: document.name.clone(), operations, shared: Map::new() })
}

fn is_index(data: &Value) -> bool {
    data.get("namespace").is_some() && data.get("routes").is_some()
}

/// The first block of JSON on a page.
fn first_json(page: &str) -> Option<Value> {
    let block = page.split("```json").nth(1)?.split("```").next()?;
    serde_json::from_str(block).ok()
}

/// `/wc/v3/orders/(?P<id>[\d]+)` as `/wc/v3/orders/{id}`.
fn template(route: &str) -> String {
    let mut out = String::new();
    let mut rest = route;
    while let Some((before, group)) = rest.split_once("(?P<") {
        out.push_str(before);
        let (name, pattern) = group.split_once('>').unwrap_or((group, ""));
        out.push_str(&format!("{{{name}}}"));
        // To the bracket that closes the group.
        let mut depth = 1;
        let end = pattern.find(|it| {
            depth += i32::from(it == '(') - i32::from(it == ')');
            depth == 0
        });
        rest = end.and_then(|end| pattern.get(end + 1..)).unwrap_or_default();
    }
    out + rest
}

fn one(routes: &Map<String, Value>, route: &str, endpoint: &Value, method: Method, template: Template) -> Operation {
    let raw = Value::Null;
    let empty = Map::new();
    let args = endpoint["args"].as_object().unwrap_or(&empty);
    let in_path = |name: &str| route.contains(&format!("(?P<{name}>"));
    let mut parameters = Vec::new();
    let mut properties = Map::new();
    let mut required = Vec::new();
    let sends = matches!(method, Method::POST | Method::PUT | Method::PATCH);
    for (name, arg) in args {
        let needed = arg["required"] == true;
        let place = match (in_path(name), sends) {
            (true, _) => Place::Path,
            (false, false) => Place::Query,
            (false, true) => {
                properties.insert(name.clone(), arg.clone());
                required.extend(needed.then(|| name.clone()));
                continue;
            }
        };
        parameters.push(Parameter { name: name.clone(), place, required: needed, schema: modern(arg, &raw) });
    }
    let anywhere = ANYWHERE.map(|name| Parameter { name: name.into(), place: Place::Query, required: false, schema: json!({}) });
    parameters.extend(anywhere);
    let mut schema = json!({ "type": "object", "properties": properties, "required": required });
    if let Some(rows) = route.strip_suffix("/batch").and_then(|it| routes.get(it)) {
        schema = batch(rows);
    }
    let body = sends.then(|| Body { required: false, schemas: vec![("*/*".into(), modern(&schema, &raw))] });
    Operation { method, template, parameters, body }
}

/// Many rows in one call, each as for one alone; those that are there already by their id.
fn batch(rows: &Value) -> Value {
    let endpoints = rows["endpoints"].as_array().into_iter().flatten();
    let mut posts = endpoints.filter(|it| it["methods"].as_array().is_some_and(|it| it.contains(&"POST".into())));
    let mut properties = posts.next_back().map(|it| it["args"].clone()).unwrap_or_default();
    let row = json!({ "type": "object", "properties": properties });
    properties["id"] = json!({ "type": "integer" });
    let known = json!({ "type": "object", "required": ["id"], "properties": properties });
    let list = |items: Value| json!({ "type": "array", "maxItems": 100, "items": items });
    json!({ "type": "object", "properties": {
        "create": list(row), "update": list(known), "delete": list(json!({ "type": "integer" })),
    } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_templates() {
        assert_eq!(template(r"/wc/v3/orders/(?P<order_id>[\d]+)/refunds/(?P<id>[\d]+)"), "/wc/v3/orders/{order_id}/refunds/{id}");
        assert_eq!(template(r"/wc/v3/settings/(?P<group>[\w-]+(a|b))/x"), "/wc/v3/settings/{group}/x");
    }
}
