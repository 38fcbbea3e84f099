//! The JSON schema of the config file, for editors: made from the lists of keys and from the catalog.

use crate::{
    keys,
    section::{Key, Shape},
};
use serde_json::{Map, Value as Json, json};
use spindel_connect::Entry;

/// The schema of the whole file.
pub fn schema() -> Json {
    schema_with(spindel_catalog::CATALOG)
}

/// [`schema`] with connectors of one's own: for tests.
pub fn schema_with(catalog: &[Entry]) -> Json {
    let mut definitions = Map::new();
    let connections: Vec<Json> = catalog.iter().map(|entry| connection(entry, &mut definitions)).collect();
    definitions.insert("connection".into(), json!({ "oneOf": connections }));
    definitions.insert("condition".into(), condition());
    let mut root = table(keys::ROOT);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Spindel");
    root["$defs"] = Json::Object(definitions);
    root
}

fn table(keys: &[Key]) -> Json {
    let properties: Map<String, Json> = keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> = keys.iter().filter(|key| key.needed).map(|key| key.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn property(key: &Key) -> Json {
    let mut schema = shape(key.shape);
    schema["description"] = json!(key.about);
    if let Some(default) = key.default {
        schema["default"] = match key.shape {
            Shape::Flag | Shape::Whole | Shape::Number => serde_json::from_str(default).unwrap_or_default(),
            _ => json!(default),
        };
    }
    schema
}

fn shape(shape: Shape) -> Json {
    let named = |of: Json| json!({ "type": "object", "propertyNames": { "pattern": "^[a-z][a-z0-9_-]{0,62}$" }, "additionalProperties": of });
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Whole => json!({ "type": "integer" }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Duration => json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h|d))+$" }),
        Shape::Size => json!({ "anyOf": [{ "type": "integer" }, { "type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)?$" }] }),
        Shape::Secret => schemars::schema_for!(spindel_connect::Secret).to_value(),
        Shape::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Shape::Choice(choices) => json!({ "type": "string", "enum": choices() }),
        Shape::Choices(choices) => {
            json!({ "type": "array", "items": { "type": "string", "enum": choices() }, "uniqueItems": true, "minItems": 1 })
        }
        Shape::Table(keys) => table(keys),
        Shape::Tables(keys) => json!({ "type": "array", "items": table(keys) }),
        Shape::Named(keys) => named(table(keys)),
        Shape::Connections => named(json!({ "$ref": "#/$defs/connection" })),
        Shape::Maps => named(json!({ "type": "object", "additionalProperties": { "type": "string" } })),
        Shape::TextMap => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Shape::Filter => json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/condition" } }),
        Shape::Free => json!({ "type": "object" }),
        Shape::TextOrFree => json!({ "type": ["string", "object"] }),
    }
}

/// A bare value, or conditions that must all hold; below a dotted path without quotes, further parts of the path.
fn condition() -> Json {
    let scalar = json!({ "type": ["string", "number", "boolean"] });
    let scalars = json!({ "type": "array", "items": scalar });
    let one = |about: &str| json!({ "type": ["string", "number", "boolean"], "description": about });
    json!({
        "anyOf": [scalar, {
            "type": "object",
            "properties": {
                "eq": one("is this"), "ne": one("is not this"),
                "gt": one("is more"), "gte": one("is this or more"),
                "lt": one("is less"), "lte": one("is this or less"),
                "in": scalars, "not_in": scalars,
                "has": one("a list with this element, or text with this part"),
                "exists": { "type": "boolean" },
                "matches": { "type": "string", "description": "`*` for any text, `?` for one character" },
            },
            "additionalProperties": { "$ref": "#/$defs/condition" },
        }]
    })
}

/// The connector's own keys beside those of every connection. Its definitions get names of their own.
fn connection(entry: &Entry, definitions: &mut Map<String, Json>) -> Json {
    let id = entry.info.id;
    let mut own = (entry.schema)().to_value();
    rename_references(&mut own, id);
    if let Some(Json::Object(inner)) = own.as_object_mut().and_then(|it| it.remove("$defs")) {
        definitions.extend(inner.into_iter().map(|(name, schema)| (format!("{id}.{name}"), schema)));
    }
    let mut schema = table(keys::CONNECTION);
    schema["title"] = json!(entry.info.name);
    schema["description"] = json!(entry.info.about);
    schema["properties"]["connector"] = json!({ "const": id, "description": entry.info.about });
    if let Some(properties) = own.get_mut("properties").and_then(Json::as_object_mut) {
        for (name, property) in std::mem::take(properties) {
            schema["properties"][name] = property;
        }
    }
    if let (Some(needed), Some(all)) = (own.get("required").and_then(Json::as_array), schema["required"].as_array_mut()) {
        all.extend(needed.iter().cloned());
    }
    schema
}

fn rename_references(schema: &mut Json, id: &str) {
    match schema {
        Json::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Json::String(target) if name == "$ref" => *target = target.replace("#/$defs/", &format!("#/$defs/{id}.")),
                    value => rename_references(value, id),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|it| rename_references(it, id)),
        _ => {}
    }
}
