//! Parameters and types as tables, on Markdown pages made from a vendor's own description. Such pages name no paths, so which
//! call stands under which heading is said in the settings.

use super::{
    description::{Body, Description, Operation, Parameter, Place, Template},
    files::{Content, Document},
    schema::{modern, modern_shared},
    settings::Vendor,
};
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `None` where nothing is said about calls, or the document is something else.
pub fn read(document: &Document, vendor: &Vendor) -> Option<Description> {
    let Content::Pages(pages) = &document.content else { return None };
    let types: Map<String, Value> = pages.iter().filter_map(|(_, text)| one(text, &vendor.names)).collect();
    if vendor.operations.is_empty() || types.is_empty() {
        return None;
    }
    let raw = json!({ "definitions": types });
    let operations = vendor.operations.iter().filter_map(|(call, heading)| operation(pages, call, heading, &raw)).collect();
    let shared = Map::from_iter([("definitions".to_owned(), modern_shared(&raw["definitions"], &raw))]);
    Some(Description { name: document.name.clone(), operations, shared })
}

/// `None` where no page has the heading: then every such call is told as unknown.
fn operation(pages: &[(String, String)], call: &str, heading: &str, raw: &Value) -> Option<Operation> {
    let (method, path) = call.split_once(' ')?;
    let text = pages.iter().find_map(|(_, text)| text.split(&format!("\n# {heading}\n")).nth(1))?;
    let text = text.split("\n# ").next().unwrap_or(text);
    let (mut parameters, mut body) = (Vec::new(), None);
    for (name, kind, tags, about) in rows(section(text, "Parameters").unwrap_or_default()) {
        let (schema, required) = (modern(&schema(kind, about), raw), tags.contains("Required"));
        let place = match tags.split(',').next().unwrap_or_default() {
            "Template" => Place::Path,
            "Query" => Place::Query,
            "Header" => Place::Header,
            _ => {
                body = Some(Body { required, schemas: vec![("*/*".into(), schema)] });
                continue;
            }
        };
        // Headers are written there as a program's variables.
        let name = if place == Place::Header { name.replace('_', "-") } else { name };
        parameters.push(Parameter { name, place, required, schema });
    }
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    Some(Operation { method, template: Template::of(path), parameters, body })
}

/// Name, type, tags and description of each row that has them.
fn rows(table: &str) -> Vec<(String, &str, &str, &str)> {
    fn row(line: &str) -> Option<(String, &str, &str, &str)> {
        let mut cells = line.strip_prefix("| `")?.trim_end_matches('|').splitn(4, " | ");
        let name = cells.next()?.trim_matches(['`', ' ']).to_owned();
        Some((name, cells.next()?.trim(), cells.next()?.trim(), cells.next().unwrap_or_default().trim()))
    }
    table.lines().filter_map(row).collect()
}

/// Name and schema of the type that a page is about: an object with fields, or a choice of words.
fn one(page: &str, names: &BTreeMap<String, String>) -> Option<(String, Value)> {
    let name = section(page, "Structure").or_else(|| section(page, "Enumeration"))?.split('`').nth(1)?.to_owned();
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (field, kind, tags, about) in rows(section(page, "Fields")?) {
        if field == "additional_properties" {
            continue;
        }
        let field = names.get(&field).cloned().unwrap_or(field);
        if tags.contains("Required") {
            required.push(field.clone());
        }
        properties.insert(field, schema(kind, about));
    }
    if properties.is_empty() {
        // Words are written there as a program would; the API's own are not shown.
        return Some((name, json!({ "type": "string" })));
    }
    Some((name, json!({ "type": "object", "properties": properties, "required": required })))
}

fn section<'a>(page: &'a str, title: &str) -> Option<&'a str> {
    let text = page.split(&format!("\n## {title}\n")).nth(1)?;
    Some(text.split("\n## ").next().unwrap_or(text))
}

/// `str`, `int`, `List[OrderLine]` as a link, with its limits as they stand in the description.
fn schema(kind: &str, about: &str) -> Value {
    let kind = kind.trim_matches('[').split(']').next().unwrap_or_default().replace('`', "");
    let plain = |kind: &str| match kind {
        "str" => json!({ "type": "string" }),
        "int" => json!({ "type": "integer" }),
        "long|int" | "float" => json!({ "type": "number" }),
        "bool" => json!({ "type": "boolean" }),
        "date" | "datetime" => json!({ "type": "string" }),
        "Any" | "object" | "" => json!({}),
        it if it.starts_with("Dict") => json!({ "type": "object" }),
        it => json!({ "$ref": format!("#/definitions/{it}") }),
    };
    let mut schema = match kind.strip_prefix("List[") {
        Some(of) => json!({ "type": "array", "items": plain(of) }),
        None => plain(&kind),
    };
    let limit = |words: &str| about.split(words).nth(1)?.split('`').next()?.trim().parse::<i64>().ok();
    for (word, words) in [
        ("maxLength", "*Maximum Length*: `"),
        ("minLength", "*Minimum Length*: `"),
        ("maxItems", "*Maximum Items*: `"),
        ("minimum", "`>= "),
        ("maximum", "`<= "),
    ] {
        if let Some(limit) = limit(words) {
            schema[word] = limit.into();
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_fields_is_a_schema() {
        let page = "\n# Capture\n\n## Structure\n\n`CaptureObject`\n\n## Fields\n\n| Name | Type | Tags | Description |\n|  --- | --- | --- | --- |\n\
            | `captured_amount` | `int` | Required | In minor units.<br>**Constraints**: `>= 0`, `<= 200` |\n\
            | `order_lines` | [`List[OrderLine]`](../../doc/models/order-line.md) | Optional | Lines |\n\
            | `mtype` | [`Type`](../../doc/models/type.md) | Optional | Type |\n\
            | `reference` | `str` | Optional | **Constraints**: *Maximum Length*: `255` |\n\n## Example\n";
        let names = BTreeMap::from([("mtype".to_owned(), "type".to_owned())]);
        let (name, schema) = one(page, &names).unwrap();
        assert_eq!(name, "CaptureObject");
        assert_eq!(
            schema,
            json!({ "type": "object", "required": ["captured_amount"], "properties": {
                "captured_amount": { "type": "integer", "minimum": 0, "maximum": 200 },
                "order_lines": { "type": "array", "items": { "$ref": "#/definitions/OrderLine" } },
                "type": { "$ref": "#/definitions/Type" },
                "reference": { "type": "string", "maxLength": 255 },
            } })
        );
    }
}
