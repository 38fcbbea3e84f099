//! Queries and form bodies as the values that they stand for: `a[b][]=1` is a list within an object, and text is a number
//! where the description asks for one.

use super::schema::resolved;
use serde_json::{Map, Value};

pub fn decoded(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// An object of all pairs. A name that comes again makes a list.
pub fn nested(text: &str) -> Value {
    let mut root = Value::Object(Map::new());
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let (first, rest) = name.split_once('[').map_or((name.as_ref(), ""), |(first, rest)| (first, rest));
        let mut keys = vec![first];
        keys.extend(rest.split('[').map(|it| it.trim_end_matches(']')).take(if rest.is_empty() { 0 } else { usize::MAX }));
        put(&mut root, &keys, value.as_ref().into());
    }
    root
}

fn put(node: &mut Value, keys: &[&str], value: Value) {
    let Some((key, rest)) = keys.split_first() else {
        *node = match node.take() {
            Value::Null => value,
            Value::Array(mut several) => {
                several.push(value);
                several.into()
            }
            first => vec![first, value].into(),
        };
        return;
    };
    // `[]` adds to a list, `[0]` is a place in one.
    if key.is_empty() || (key.bytes().all(|it| it.is_ascii_digit()) && !matches!(node, Value::Object(_))) {
        if !node.is_array() {
            *node = Value::Array(Vec::new());
        }
        if let Value::Array(list) = node {
            let place = key.parse().unwrap_or(list.len()).min(list.len());
            if place == list.len() {
                list.push(Value::Null);
            }
            put(&mut list[place], rest, value);
        }
        return;
    }
    if !node.is_object() {
        *node = Value::Object(Map::new());
    }
    if let Value::Object(fields) = node {
        put(fields.entry((*key).to_owned()).or_insert(Value::Null), rest, value);
    }
}

/// Text as what the schema asks for, where it reads as that.
pub fn typed(value: Value, schema: &Value, shared: &Map<String, Value>) -> Value {
    let schema = resolved(schema, shared);
    let branches = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|word| schema.get(word)?.as_array()).flatten();
    let choices: Vec<&Value> = std::iter::once(schema).chain(branches.map(|it| resolved(it, shared))).collect();
    let wants = |kind: &str| choices.iter().find(|it| is_of(it, kind)).copied();
    match value {
        Value::String(text) => {
            let number = || text.parse::<i64>().ok().map(Value::from).filter(|_| wants("integer").or(wants("number")).is_some());
            let float = || text.parse::<f64>().ok().map(Value::from).filter(|_| wants("number").is_some());
            let flag = || text.parse::<bool>().ok().map(Value::from).filter(|_| wants("boolean").is_some());
            if let Some(value) = number().or_else(float).or_else(flag) {
                return value;
            }
            match wants("array") {
                // As a list with commas, which is how lists stand in queries.
                Some(list) if wants("string").is_none() => {
                    let items = list.get("items").unwrap_or(&Value::Null);
                    text.split(',').map(|it| typed(it.into(), items, shared)).collect()
                }
                _ => text.into(),
            }
        }
        Value::Array(list) => {
            let items = wants("array").and_then(|it| it.get("items")).unwrap_or(&Value::Null);
            list.into_iter().map(|it| typed(it, items, shared)).collect()
        }
        Value::Object(fields) => {
            let of = |name: &str| {
                let named = choices.iter().find_map(|it| it.get("properties")?.get(name));
                named.or_else(|| choices.iter().find_map(|it| it.get("additionalProperties"))).unwrap_or(&Value::Null)
            };
            let fields = fields.into_iter().map(|(name, value)| {
                let value = typed(value, of(&name), shared);
                (name, value)
            });
            fields.collect()
        }
        other => other,
    }
}

fn is_of(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(it)) => it == kind,
        Some(Value::Array(several)) => several.iter().any(|it| it == kind),
        _ => kind == "object" && schema.get("properties").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn brackets_are_objects_and_lists() {
        let read = nested("amount=7&metadata[order]=%231&items[0][price]=p&items[1][price]=q&expand[]=a&expand[]=b&id=1&id=2");
        assert_eq!(
            read,
            json!({ "amount": "7", "metadata": { "order": "#1" }, "items": [{ "price": "p" }, { "price": "q" }],
                "expand": ["a", "b"], "id": ["1", "2"] })
        );
    }

    #[test]
    fn text_becomes_what_is_asked_for() {
        let schema = json!({ "properties": {
            "amount": { "type": "integer" }, "live": { "type": "boolean" }, "code": { "type": "string" },
            "ids": { "type": "array", "items": { "type": "integer" } },
            "until": { "anyOf": [{ "type": "integer" }, { "enum": ["now"] }] },
        } });
        let read = typed(nested("amount=7&live=true&code=007&ids=1,2&until=now&other=9"), &schema, &Map::new());
        assert_eq!(read, json!({ "amount": 7, "live": true, "code": "007", "ids": [1, 2], "until": "now", "other": "9" }));
    }
}
