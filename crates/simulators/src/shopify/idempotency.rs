//! The `@idempotent(key:)` directive: a repeated key gets the first answer, and the write is not carried out again.

use crate::shopify::document::Field;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Default)]
pub(crate) struct Idempotency {
    seen: BTreeMap<String, Seen>,
    /// So many of the next keyed writes are told that the key is in use.
    pub concurrent: u32,
}

struct Seen {
    fingerprint: String,
    answer: Value,
}

/// What to do with a keyed write.
pub(crate) enum Verdict {
    CarryOut { key: String },
    Answer(Value),
}

/// The key of a field that must have one.
pub(crate) fn key(field: &Field) -> Option<String> {
    let key = field.directives.get("idempotent")?.get("key")?.as_str()?;
    (!key.is_empty()).then(|| key.to_owned())
}

impl Idempotency {
    pub(crate) fn judge(&mut self, key: String, field: &Field, payload: &str) -> Verdict {
        if self.concurrent > 0 {
            self.concurrent -= 1;
            let message = "There is a concurrent request using the same idempotency key";
            return Verdict::Answer(refusal(payload, "IDEMPOTENCY_CONCURRENT_REQUEST", message));
        }
        match self.seen.get(&key) {
            None => Verdict::CarryOut { key },
            Some(seen) if seen.fingerprint != fingerprint(field) => {
                let message = "The same idempotency key was used with different parameters";
                Verdict::Answer(refusal(payload, "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", message))
            }
            Some(seen) if failed(&seen.answer) => {
                let message = "The previous attempt with this idempotency key failed";
                Verdict::Answer(refusal(payload, "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", message))
            }
            Some(seen) => Verdict::Answer(seen.answer.clone()),
        }
    }

    pub(crate) fn remember(&mut self, key: String, field: &Field, answer: &Value) {
        let seen = Seen { fingerprint: fingerprint(field), answer: answer.clone() };
        self.seen.insert(key, seen);
    }
}

fn fingerprint(field: &Field) -> String {
    format!("{} {}", field.name, Value::Object(field.arguments.clone()))
}

fn failed(answer: &Value) -> bool {
    answer["userErrors"].as_array().is_some_and(|errors| !errors.is_empty())
}

fn refusal(payload: &str, code: &str, message: &str) -> Value {
    json!({ payload: null, "userErrors": [user_error(&[], message, code)] })
}

pub(crate) fn user_error(field: &[&str], message: &str, code: &str) -> Value {
    let field = (!field.is_empty()).then_some(field);
    json!({ "field": field, "message": message, "code": code })
}
