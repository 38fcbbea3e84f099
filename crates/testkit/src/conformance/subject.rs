//! A connector under test: its catalog row, its test settings and its examples.

use serde_json::{Map, Value};
use spindel_connect::{Connection, Entry, Example, Secret};
use std::sync::Arc;

/// A connector under test.
pub struct Subject {
    pub entry: Entry,
    /// `fixtures/config.json`: settings with fake secrets.
    pub config: Value,
    pub examples: Vec<Named>,
}

/// An example with its file's name.
pub struct Named {
    pub file: String,
    pub example: Example,
}

impl Subject {
    pub fn new(entry: Entry) -> Self {
        let mut config = None;
        let mut examples = Vec::new();
        for fixture in entry.fixtures {
            let file = format!("fixtures/{}.json", fixture.name);
            if fixture.name == "config" {
                config = Some(serde_json::from_str(fixture.json).unwrap_or_else(|error| panic!("{file}: {error}")));
                continue;
            }
            let example = fixture.example().unwrap_or_else(|error| panic!("{file}: {error}"));
            examples.push(Named { file, example });
        }
        let config = config.unwrap_or_else(|| {
            panic!("FIXTURES lists no `config`: add fixtures/config.json with literal test settings and fake secrets")
        });
        Self { entry, config, examples }
    }

    pub fn connection(&self) -> Arc<dyn Connection> {
        self.connection_with(&self.config)
    }

    pub fn connection_with(&self, config: &Value) -> Arc<dyn Connection> {
        match (self.entry.connect)(config.clone()) {
            Ok((connection, _)) => connection,
            Err(error) => panic!("fixtures/config.json is refused: {error}"),
        }
    }

    /// Where the settings hold secrets, by the schema.
    pub fn secrets(&self) -> Vec<SecretAt> {
        let schema = Value::from((self.entry.schema)());
        let mut found = Vec::new();
        find_secrets(&schema, &schema, &self.config, String::new(), &mut found);
        found
    }

    /// The texts that must not be seen anywhere.
    pub fn secret_texts(&self) -> Vec<Secret> {
        const TOO_SHORT_TO_TELL: usize = 6;
        let long_enough = |it: &SecretAt| it.value.expose().len() >= TOO_SHORT_TO_TELL;
        self.secrets().into_iter().filter(long_enough).map(|it| it.value).collect()
    }

    /// The settings with every secret changed in one place, so that its form stays the same.
    pub fn config_with_other_secrets(&self) -> Value {
        let mut config = self.config.clone();
        for secret in self.secrets() {
            if let Some(value) = config.pointer_mut(&secret.pointer) {
                *value = Value::String(altered(secret.value.expose()));
            }
        }
        config
    }
}

/// A secret in the settings.
pub struct SecretAt {
    /// JSON pointer.
    pub pointer: String,
    pub value: Secret,
}

fn find_secrets(schema: &Value, root: &Value, value: &Value, pointer: String, found: &mut Vec<SecretAt>) {
    if schema.get("x-secret") == Some(&Value::Bool(true)) {
        if let Value::String(text) = value
            && !found.iter().any(|it| it.pointer == pointer)
        {
            found.push(SecretAt { pointer, value: Secret::new(text.as_str()) });
        }
        return;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|it| root.pointer(it.trim_start_matches('#'))) {
        find_secrets(target, root, value, pointer.clone(), found);
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        for choice in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
            find_secrets(choice, root, value, pointer.clone(), found);
        }
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let Some(schema) = schema_of_field(schema, key) {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    find_secrets(schema, root, value, format!("{pointer}/{key}"), found);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (index, value) in items.iter().enumerate() {
                find_secrets(schema, root, value, format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn schema_of_field<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    let named = schema.get("properties").and_then(Value::as_object).and_then(|it: &Map<_, _>| it.get(key));
    named.or_else(|| schema.get("additionalProperties").filter(|it| it.is_object()))
}

/// The same text with one letter or digit in its middle changed; hex stays hex and base64 stays base64.
pub(super) fn altered(text: &str) -> String {
    let middle = text.chars().count() / 2;
    let mut changed = false;
    let mut out = String::with_capacity(text.len());
    for (index, letter) in text.chars().enumerate() {
        let other = match letter {
            _ if changed || index < middle => letter,
            'a' | 'A' | '0' => char::from(letter as u8 + 1),
            'b'..='z' | 'B'..='Z' | '1'..='9' => char::from(letter as u8 - 1),
            _ => letter,
        };
        changed |= other != letter;
        out.push(other);
    }
    if changed { out } else { format!("{text}x") }
}
