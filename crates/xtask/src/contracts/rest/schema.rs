//! Schemas of descriptions as JSON Schema of today, and what of a value does not fit one.
//!
//! A property that no schema names is a problem, unless the schema says that others may come: nobody would read it.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Map, Value, json};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Problems of one value; where all is wrong, more say no more.
const MOST: usize = 8;
const LONGEST: usize = 240;
/// References within references.
const DEEPEST: usize = 32;

/// What a schema says, once references are followed.
pub fn resolved<'a>(schema: &'a Value, shared: &'a Map<String, Value>) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEEPEST {
        let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|it| target(it, shared)) else { break };
        schema = target;
    }
    schema
}

fn target<'a>(reference: &str, shared: &'a Map<String, Value>) -> Option<&'a Value> {
    let (first, rest) = reference.strip_prefix("#/")?.split_once('/')?;
    shared.get(first)?.pointer(&format!("/{rest}"))
}

/// What of the value is not as the schema says, place by place.
pub fn problems(schema: &Value, shared: &Map<String, Value>, value: &Value) -> Vec<String> {
    let mut root = match schema {
        Value::Object(fields) => fields.clone(),
        _ => return Vec::new(),
    };
    root.insert("$schema".into(), DRAFT.into());
    for (name, part) in shared {
        root.insert(name.clone(), part.clone());
    }
    let options = jsonschema::options().should_validate_formats(true).should_ignore_unknown_formats(true);
    let validator = match options.build(&Value::Object(root)) {
        Ok(validator) => validator,
        Err(error) => return vec![short(format!("the description cannot be used: {error}"))],
    };
    let errors: Vec<ValidationError<'_>> = validator.iter_errors(value).collect();
    let mut found: Vec<String> = errors.iter().filter(|it| !follows(it, &errors)).map(|it| short(line(it))).collect();
    found.sort();
    found.dedup();
    found.truncate(MOST);
    found
}

/// Where a part does not fit, its whole counts as unread: that is no problem of its own.
fn follows(error: &ValidationError<'_>, all: &[ValidationError<'_>]) -> bool {
    let unread = |it: &ValidationError<'_>| matches!(it.kind(), ValidationErrorKind::UnevaluatedProperties { .. });
    let path = |it: &ValidationError<'_>| format!("{}/", it.instance_path());
    let here = path(error);
    let within = |it: &ValidationError<'_>| path(it).starts_with(&here) && (path(it) != here || !unread(it));
    unread(error) && all.iter().any(within)
}

/// Where and what; of a value that has parts only its kind is shown.
fn line(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let place = path.trim_start_matches('/').split('/');
    let place = place.map(|it| if !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()) { "*" } else { it });
    let place = place.collect::<Vec<_>>().join(".");
    let place = if place.is_empty() { String::new() } else { format!("`{place}`: ") };
    let unread = |names: &[String]| format!("{place}nothing reads `{}`", names.join("`, `"));
    match error.kind() {
        ValidationErrorKind::UnevaluatedProperties { unexpected } | ValidationErrorKind::AdditionalProperties { unexpected } => {
            unread(unexpected)
        }
        _ if error.instance().is_object() || error.instance().is_array() => format!("{place}{}", error.masked()),
        _ => format!("{place}{error}"),
    }
}

fn short(text: String) -> String {
    let text = text.lines().next().unwrap_or_default();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A schema of OpenAPI 2, 3.0 or WordPress as JSON Schema. `raw` is what its references point into.
pub fn modern(schema: &Value, raw: &Value) -> Value {
    at_place(schema, raw)
}

/// Schemas that are only referred to: whether others may come is for the place that refers to them.
pub fn modern_shared(schemas: &Value, raw: &Value) -> Value {
    let rows = schemas.as_object().into_iter().flatten();
    rows.map(|(name, schema)| (name.clone(), rewritten(schema, raw))).collect()
}

/// Where a value stands: the body itself, a property, an item.
fn at_place(schema: &Value, raw: &Value) -> Value {
    let mut new = rewritten(schema, raw);
    let (mut named, mut open) = (false, false);
    look(schema, raw, DEEPEST, &mut named, &mut open);
    if let Some(new) = new.as_object_mut()
        && named
        && !open
    {
        new.insert("unevaluatedProperties".into(), false.into());
    }
    new
}

/// Whether properties are named anywhere, and whether others are spoken of.
fn look(schema: &Value, raw: &Value, left: usize, named: &mut bool, open: &mut bool) {
    if left == 0 {
        return;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|it| raw.pointer(it.trim_start_matches('#'))) {
        return look(target, raw, left - 1, named, open);
    }
    *named |= schema.get("properties").and_then(Value::as_object).is_some_and(|it| !it.is_empty());
    *open |= schema.get("additionalProperties").is_some();
    for word in ["allOf", "anyOf", "oneOf"] {
        for branch in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
            look(branch, raw, left - 1, named, open);
        }
    }
}

fn rewritten(schema: &Value, raw: &Value) -> Value {
    let Value::Object(old) = schema else { return json!({}) };
    // What stands beside a reference was never read.
    if let Some(reference) = old.get("$ref") {
        return json!({ "$ref": reference });
    }
    let mut new = Map::new();
    for (word, value) in old {
        let value = match word.as_str() {
            "properties" => {
                let rows = value.as_object().into_iter().flatten();
                rows.map(|(name, schema)| (name.clone(), at_place(schema, raw))).collect()
            }
            "items" => at_place(value, raw),
            "additionalProperties" if value.is_object() => at_place(value, raw),
            "allOf" | "anyOf" | "oneOf" => {
                let branches: Vec<Value> = value.as_array().into_iter().flatten().map(|it| rewritten(it, raw)).collect();
                if branches.is_empty() {
                    continue;
                }
                branches.into()
            }
            "not" => rewritten(value, raw),
            "type" => match kinds(value) {
                Some(kinds) => kinds,
                None => continue,
            },
            "required" => match required(value, old.get("properties")) {
                Some(names) => names,
                None => continue,
            },
            "additionalProperties"
            | "enum"
            | "format"
            | "pattern"
            | "minLength"
            | "maxLength"
            | "minItems"
            | "maxItems"
            | "uniqueItems"
            | "minProperties"
            | "maxProperties"
            | "multipleOf"
            | "const" => value.clone(),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => continue,
            // Words for people, and those that only answers know.
            _ => continue,
        };
        new.insert(word.clone(), value);
    }
    bounds(old, &mut new);
    if ["nullable", "x-nullable"].iter().any(|it| old.get(*it) == Some(&true.into())) {
        allow_null(&mut new);
    }
    new.into()
}

/// `true` beside a bound once said that it is not reached.
fn bounds(old: &Map<String, Value>, new: &mut Map<String, Value>) {
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        match (old.get(bound), old.get(exclusive)) {
            (Some(limit), Some(Value::Bool(true))) => new.insert(exclusive.into(), limit.clone()),
            (Some(limit), _) => new.insert(bound.into(), limit.clone()),
            (None, Some(limit)) if limit.is_number() => new.insert(exclusive.into(), limit.clone()),
            _ => None,
        };
    }
    // A bound that is text is no bound.
    new.retain(|word, value| !matches!(word.as_str(), "minimum" | "maximum" | "minLength" | "maxLength") || value.is_number());
}

fn kinds(value: &Value) -> Option<Value> {
    let known = |it: &str| matches!(it, "string" | "number" | "integer" | "boolean" | "array" | "object" | "null");
    match value {
        Value::String(kind) if known(kind) => Some(value.clone()),
        // A list of kinds is only one where all are known: the others are anything.
        Value::Array(several) => several.iter().all(|it| it.as_str().is_some_and(known)).then(|| value.clone()),
        _ => None,
    }
}

/// What is only read need not be sent.
fn required(value: &Value, properties: Option<&Value>) -> Option<Value> {
    let read_only = |name: &Value| properties.and_then(|it| it.get(name.as_str()?)?.get("readOnly")) == Some(&true.into());
    let names: Vec<Value> = value.as_array()?.iter().filter(|it| !read_only(it)).cloned().collect();
    Some(names.into())
}

fn allow_null(schema: &mut Map<String, Value>) {
    if let Some(Value::String(kind)) = schema.get("type").cloned() {
        schema.insert("type".into(), json!([kind, "null"]));
    }
    if let Some(Value::Array(choices)) = schema.get_mut("enum")
        && !choices.contains(&Value::Null)
    {
        choices.push(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(schema: Value, value: Value) -> Vec<String> {
        let raw = json!({ "definitions": {
            "Base": { "type": "object", "required": ["id"], "properties": { "id": { "type": "integer", "readOnly": true }, "name": { "type": "string" } } },
            "Money": { "type": "object", "required": ["value"], "properties": {
                "value": { "type": "integer", "minimum": 0, "exclusiveMinimum": true }, "currency": { "enum": ["NOK"], "type": "string", "nullable": true } } },
        } });
        let shared = json!({ "definitions": modern_shared(&raw["definitions"], &raw) });
        problems(&modern(&schema, &raw), shared.as_object().unwrap(), &value)
    }

    #[test]
    fn a_property_that_nobody_names_is_a_problem_through_references_and_unions() {
        let both = json!({ "allOf": [{ "$ref": "#/definitions/Base" }, { "properties": { "sum": { "$ref": "#/definitions/Money" } } }] });
        assert_eq!(found(both.clone(), json!({ "name": "a", "sum": { "value": 1 } })), [""; 0]);
        assert_eq!(found(both.clone(), json!({ "nam": "a", "sum": { "value": 1 } })), ["nothing reads `nam`"]);
        // Of several, what lies deeper comes first.
        let problems = found(both, json!({ "nam": "a", "sum": { "value": 1, "curency": "NOK" } }));
        assert_eq!(problems, ["`sum`: nothing reads `curency`"]);
        let open = json!({ "type": "object", "properties": { "a": {} }, "additionalProperties": true });
        assert_eq!(found(open, json!({ "b": 1 })), [""; 0]);
    }

    #[test]
    fn types_enums_bounds_and_null_are_those_of_the_description() {
        let money = || json!({ "$ref": "#/definitions/Money" });
        assert_eq!(found(money(), json!({ "value": 1, "currency": null })), [""; 0]);
        for value in
            [json!({ "value": "1" }), json!({ "value": 0 }), json!({}), json!({ "value": 1, "currency": "SEK" }), json!([])]
        {
            assert_eq!(found(money(), value.clone()).len(), 1, "{value}");
        }
    }
}
