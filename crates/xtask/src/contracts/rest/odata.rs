//! OData resources as a list: for each its methods, properties, what it leads to and the actions on it. From these come the
//! addresses below a company, with the names that may stand in their queries and bodies.

use super::{
    description::{Body, Description, Operation, Parameter, Place, Template},
    files::{Content, Document},
    schema::modern,
};
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A record's key: by itself or with its name.
const KEY: &str = "({id})";
const WITHIN: &str = "/companies({company})";

/// `None` where the document is something else.
pub fn read(document: &Document, base: Option<&str>) -> Option<Description> {
    let Content::Data(data) = &document.content else { return None };
    let resources = data.as_object()?;
    let is_one = |it: &Value| it.get("methods").is_some() && it.get("properties").is_some();
    if resources.is_empty() || !resources.values().all(is_one) {
        return None;
    }
    let base = base.unwrap_or_default().trim_end_matches('/');
    let sets = sets(resources);
    let mut operations = Vec::new();
    for (set, resource) in &sets {
        for parent in [base.to_owned(), format!("{base}{WITHIN}")] {
            of_set(&sets, resource, &format!("{parent}/{set}"), &mut operations);
            for (lead, to) in leads(&sets, resource) {
                of_set(&sets, to, &format!("{parent}/{set}{KEY}/{lead}"), &mut operations);
            }
            for action in resource["boundActions"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let template = Template::of(&format!("{parent}/{set}{KEY}/Microsoft.NAV.{action}"));
                operations.push(Operation { method: Method::POST, template, parameters: Vec::new(), body: None });
            }
        }
    }
    let batch = json!({ "type": "object", "required": ["requests"], "properties": { "requests": { "type": "array" } } });
    operations.push(Operation {
        method: Method::POST,
        template: Template::of(&format!("{base}/$batch")),
        parameters: Vec::new(),
        body: Some(Body { required: true, schemas: vec![("*/*".into(), modern(&batch, &Value::Null))] }),
    });
    Some(Description { name: document.name.clone(), operations, shared: Map::new() })
}

/// By the name of the set: as it is told, as something leads to it, or the plural of the resource's own.
fn sets(resources: &Map<String, Value>) -> BTreeMap<String, &Value> {
    let named =
        resources.values().flat_map(|it| it["navigation"].as_array().into_iter().flatten()).filter_map(|it| it["name"].as_str());
    let leads: BTreeMap<String, &str> = named.map(|it| (it.to_lowercase(), it)).collect();
    let mut sets = BTreeMap::new();
    for (name, resource) in resources {
        let told = resource["entitySets"].as_array().into_iter().flatten().filter_map(Value::as_str);
        sets.extend(told.map(|it| (it.to_owned(), resource)));
        let plural = match name.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None if name.ends_with('s') => name.clone(),
            None => format!("{name}s"),
        };
        let known = leads.get(&plural.to_lowercase()).map_or_else(|| camel(&plural), |it| (*it).to_owned());
        sets.entry(known).or_insert(resource);
    }
    sets
}

/// Names of files are in small letters where those of sets are not.
fn camel(name: &str) -> String {
    ["entries", "payments", "setup", "methods"].into_iter().fold(name.to_owned(), |name, word| match name.strip_suffix(word) {
        Some(stem) if !stem.is_empty() => format!("{stem}{}{}", word[..1].to_uppercase(), &word[1..]),
        _ => name,
    })
}

fn leads<'a>(sets: &BTreeMap<String, &'a Value>, resource: &Value) -> Vec<(String, &'a Value)> {
    let names = resource["navigation"].as_array().into_iter().flatten().filter_map(|it| it["name"].as_str());
    names.filter_map(|it| Some((it.to_owned(), *sets.get(it)?))).collect()
}

fn of_set(sets: &BTreeMap<String, &Value>, resource: &Value, path: &str, operations: &mut Vec<Operation>) {
    let methods = resource["methods"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for method in methods.filter_map(|it| Method::from_bytes(it.as_bytes()).ok()) {
        let reads = method == Method::GET;
        let one = Template::of(&format!("{path}{KEY}"));
        if reads || method == Method::POST {
            operations.push(operation(sets, resource, &method, Template::of(path)));
        }
        if method != Method::POST {
            operations.push(operation(sets, resource, &method, one));
        }
    }
}

fn operation(sets: &BTreeMap<String, &Value>, resource: &Value, method: &Method, template: Template) -> Operation {
    let mut parameters = queries(resource);
    if *method == Method::PATCH || *method == Method::DELETE {
        parameters.push(Parameter { name: "If-Match".into(), place: Place::Header, required: true, schema: json!({}) });
    }
    let body = matches!(*method, Method::POST | Method::PATCH).then(|| {
        let mut properties = properties(resource);
        // Rows may be sent along with what they belong to.
        for (lead, to) in leads(sets, resource) {
            let rows = json!({ "type": "object", "properties": self::properties(to) });
            properties.insert(lead, json!({ "type": "array", "items": rows }));
        }
        let schema = modern(&json!({ "type": "object", "properties": properties }), &Value::Null);
        Body { required: true, schemas: vec![("*/*".into(), schema)] }
    });
    Operation { method: method.clone(), template, parameters, body }
}

fn properties(resource: &Value) -> Map<String, Value> {
    let rows = resource["properties"].as_array().into_iter().flatten();
    rows.filter_map(|it| Some((it["name"].as_str()?.to_owned(), property(it)))).collect()
}

fn property(described: &Value) -> Value {
    if described["readOnly"] == true {
        // Only null may be sent, which nobody does.
        return json!({ "enum": [null] });
    }
    if let Some(values) = described["values"].as_array().filter(|it| !it.is_empty()) {
        // As names they carry their spaces in code.
        let coded = values.iter().filter_map(Value::as_str).map(|it| json!(it.replace(' ', "_x0020_")));
        return json!({ "enum": values.iter().cloned().chain(coded).collect::<Vec<_>>() });
    }
    match described["type"].as_str().unwrap_or_default().to_lowercase().as_str() {
        "string" => json!({ "type": "string" }),
        "guid" => json!({ "type": "string", "format": "uuid" }),
        "decimal" => json!({ "type": "number" }),
        "integer" | "int64" => json!({ "type": "integer" }),
        "boolean" => json!({ "type": "boolean" }),
        "date" => json!({ "type": "string", "format": "date" }),
        "datetime" => json!({ "type": "string", "format": "date-time" }),
        _ => json!({}),
    }
}

/// System queries, with the resource's own names in them.
fn queries(resource: &Value) -> Vec<Parameter> {
    let names = |of: &str| {
        let rows = resource[of].as_array().into_iter().flatten();
        let mut names: Vec<&str> = rows.filter_map(|it| it["name"].as_str()).collect();
        // Named otherwise in the pages than in answers.
        names.extend(["id", "systemId"]);
        names.join("|")
    };
    let (own, leads) = (names("properties"), names("navigation"));
    let list = |item: String| format!("^{item}(,{item})*$");
    let value = r"('([^']|'')*'|[^ ()',]+)";
    let term = format!(r"\(*(({own}) (eq|ne|gt|ge|lt|le) {value}|(contains|startswith|endswith)\(({own}), ?{value}\))\)*");
    let text = |pattern: String| json!({ "type": "string", "pattern": pattern });
    let row = |name: &str, schema: Value| Parameter { name: name.into(), place: Place::Query, required: false, schema };
    vec![
        row("$filter", text(format!("^{term}( (and|or) {term})*$"))),
        row("$select", text(list(format!("({own})")))),
        row("$orderby", text(list(format!("({own})( asc| desc)?")))),
        row("$expand", text(list(format!(r"({leads})(\(.*\))?")))),
        row("$top", json!({ "type": "integer" })),
        row("$skip", json!({ "type": "integer" })),
        row("$count", json!({ "type": "boolean" })),
        row("$skiptoken", json!({})),
        row("aid", json!({})),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::rest::{of_request, settings::Vendor};
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};
    use spindel_connect::Request;
    use std::collections::BTreeSet;

    fn found(method: Method, path: &str, body: &str, etag: bool) -> Vec<String> {
        let property = |name: &str, kind: &str| json!({ "name": name, "type": kind, "readOnly": name == "number" });
        let all = json!(["DELETE", "GET", "PATCH", "POST"]);
        let data = json!({
            "salesorder": { "methods": all, "entitySets": ["salesOrders"], "boundActions": ["ship"], "navigation": [{ "name": "salesOrderLines" }],
                "properties": [property("number", "string"), property("orderDate", "date"), property("total", "decimal")] },
            "salesorderline": { "methods": all, "entitySets": [], "boundActions": [], "navigation": [], "properties": [property("quantity", "decimal")] },
        });
        let document = Document { name: "resources.json".into(), content: Content::Data(data) };
        let base = Vendor { base: Some("/v2/{tenant}".into()), ..Vendor::default() }.base;
        let mut headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        headers.extend(etag.then(|| (http::header::IF_MATCH, HeaderValue::from_static("*"))));
        let body = Bytes::from(body.to_owned());
        let request = Request { operation: "test", method, path: path.into(), headers, body, cost: 1.0 };
        let description = read(&document, base.as_deref()).unwrap();
        of_request("https://api.acme.example/v2/t1", &BTreeSet::new(), &request, &[description])
            .into_iter()
            .map(|it| it.text)
            .collect()
    }

    #[test]
    fn what_the_resources_have_may_be_asked_and_sent() {
        let get = |path: &str| found(Method::GET, path, "", false);
        let all = "/companies(a-1)/salesOrders?$filter=number%20eq%20%27O%27%27N%27%20and%20(total%20gt%201)&$orderby=number%20desc&$select=number,total&$expand=salesOrderLines&$top=5";
        assert_eq!(get(all), [""; 0]);
        assert_eq!(get("/companies(a-1)/salesOrders(b-2)/salesOrderLines(c-3)"), [""; 0]);
        let body = r#"{"orderDate":"2026-11-20","salesOrderLines":[{"quantity":1.5}]}"#;
        assert_eq!(found(Method::POST, "/companies(a-1)/salesOrders", body, false), [""; 0]);
        assert_eq!(found(Method::POST, "/companies(a-1)/salesOrders(b-2)/Microsoft.NAV.ship", "", false), [""; 0]);
    }

    #[test]
    fn other_names_and_what_is_only_read_are_told() {
        for path in ["?$filter=nr%20eq%201", "?$select=number,nr", "?$orderby=nr", "?$expand=lines", "?$find=1"] {
            assert_eq!(found(Method::GET, &format!("/companies(a-1)/salesOrders{path}"), "", false).len(), 1, "{path}");
        }
        let path = "/companies(a-1)/salesOrders";
        for body in
            [r#"{"number":"1"}"#, r#"{"orderDate":"20.11.2026"}"#, r#"{"salesOrderLines":[{"qty":1}]}"#, r#"{"total":"1"}"#]
        {
            assert_eq!(found(Method::POST, path, body, false).len(), 1, "{body}");
        }
        assert_eq!(found(Method::DELETE, "/companies(a-1)/salesOrders(b-2)", "", false), ["the header `If-Match` is required"]);
        assert_eq!(found(Method::DELETE, "/companies(a-1)/salesOrders(b-2)", "", true), [""; 0]);
    }
}
