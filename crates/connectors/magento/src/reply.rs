//! What Magento's error bodies say: a sentence with holes, and what belongs into them.

use serde::Deserialize;
use serde_json::Value;
use spindel_connect::{Effect, Reply, Verdict};
use spindel_model::ErrorClass;

/// Longest message that is repeated, and longest value within one.
const KEPT: usize = 300;
const KEPT_VALUE: usize = 60;

/// Its `trace` is never read: it holds paths and data.
#[derive(Deserialize)]
pub(crate) struct Problem {
    message: String,
    /// By place or by name.
    #[serde(default)]
    parameters: Value,
    #[serde(default)]
    errors: Vec<Problem>,
}

pub(crate) fn refine(reply: &Reply) -> Option<Verdict> {
    if !matches!(reply.status, 400 | 401 | 403 | 404 | 405 | 500) {
        return None;
    }
    let problem: Problem = reply.json().ok()?;
    let text = problem.text();
    let class = match reply.status {
        401 | 403 => ErrorClass::Auth,
        // A module that is not installed, or an address that is not Magento's.
        404 if text.contains("does not match any route") => ErrorClass::Config,
        404 => ErrorClass::Gone,
        500 => ErrorClass::Transient,
        _ => ErrorClass::Data,
    };
    let rolled_back = ["Deadlock found", "SQLSTATE[40001]", "Lock wait timeout"].iter().any(|it| text.contains(it));
    let mut verdict = Verdict::new(class, text);
    if reply.status == 500 && !rolled_back {
        verdict.effect = Effect::Unknown;
    }
    Some(verdict)
}

impl Problem {
    /// Whether one of its values is this text.
    pub(crate) fn names(&self, text: &str) -> bool {
        self.values().any(|it| it.as_str() == Some(text))
    }

    /// Whether it says which SKU it is about.
    pub(crate) fn names_a_sku(&self) -> bool {
        let by_name = matches!(&self.parameters, Value::Object(fields) if fields.contains_key("SKU"));
        by_name || self.names("SKU") || self.message.contains("SKU = %SKU")
    }

    fn values(&self) -> Box<dyn Iterator<Item = &Value> + '_> {
        match &self.parameters {
            Value::Array(list) => Box::new(list.iter()),
            Value::Object(fields) => Box::new(fields.values()),
            _ => Box::new(std::iter::empty()),
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = filled(&self.message, &self.parameters);
        if let Some(first) = self.errors.first() {
            text = format!("{text} {}", filled(&first.message, &first.parameters));
        }
        text.chars().take(KEPT).collect()
    }
}

/// Puts the values into `%1` and `%fieldName`. What may be an address or a text of a person is left out.
fn filled(message: &str, parameters: &Value) -> String {
    let values: Vec<(String, &Value)> = match parameters {
        Value::Array(list) => list.iter().enumerate().map(|(index, value)| ((index + 1).to_string(), value)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        _ => Vec::new(),
    };
    let mut text = message.to_owned();
    // `%fieldValue` must not be taken for `%field`.
    let mut values = values;
    values.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, value) in values {
        text = text.replace(&format!("%{name}"), &shown(value));
    }
    match parameters {
        Value::Array(list) => by_place(&text, list),
        _ => text,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if !text.contains('@') && text.chars().count() <= KEPT_VALUE => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => "…".to_owned(),
    }
}

/// Price lists name their holes and send only the values, in the order of the holes.
fn by_place(message: &str, values: &[Value]) -> String {
    let mut values = values.iter();
    let mut pieces = message.split('%');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let name = piece.chars().take_while(char::is_ascii_alphanumeric).count();
        match values.next().filter(|_| name > 0) {
            Some(value) => text.push_str(&format!("{}{}", shown(value), &piece[name..])),
            None => text.push_str(&format!("%{piece}")),
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use serde_json::json;

    fn read(status: u16, body: Value) -> Option<Verdict> {
        refine(&Reply { status, headers: http::HeaderMap::new(), body: Bytes::from(body.to_string()) })
    }

    #[test]
    fn the_holes_of_a_message_are_filled() {
        let body = json!({ "message": "No such entity with %fieldName = %fieldValue", "parameters": { "fieldName": "sku", "fieldValue": "ULL-9" } });
        let verdict = read(404, body).unwrap();
        assert_eq!((verdict.class, verdict.message.as_str()), (ErrorClass::Gone, "No such entity with sku = ULL-9"));
        let body = json!({ "message": "\"%1\" is no number but \"%2\"", "parameters": ["qty", 10] });
        assert_eq!(read(400, body).unwrap().message, "\"qty\" is no number but \"10\"");
        let body = json!({ "message": "Invalid attribute %fieldName = %fieldValue.", "parameters": ["SKU", "ULL-9"] });
        assert_eq!(read(400, body).unwrap().message, "Invalid attribute SKU = ULL-9.");
        let body = json!({ "message": "100 % wool, %1", "parameters": ["50 %"] });
        assert_eq!(read(400, body).unwrap().message, "100 % wool, 50 %");
    }

    #[test]
    fn what_may_be_personal_is_left_out() {
        let body = json!({ "message": "No such entity with %a = %b", "parameters": { "a": "email", "b": "kari@example.no" }, "trace": "#0 /var/www" });
        assert_eq!(read(404, body).unwrap().message, "No such entity with email = …");
    }

    #[test]
    fn a_deadlock_had_no_effect_and_any_other_fault_may_have_had_one() {
        let deadlock = json!({ "message": "SQLSTATE[40001]: Serialization failure: 1213 Deadlock found" });
        assert_eq!(read(500, deadlock).unwrap().effect, Effect::None);
        assert_eq!(read(500, json!({ "message": "Internal Error." })).unwrap().effect, Effect::Unknown);
    }

    #[test]
    fn a_route_that_is_not_there_is_for_the_settings() {
        let verdict = read(404, json!({ "message": "Request does not match any route." })).unwrap();
        assert_eq!(verdict.class, ErrorClass::Config);
        assert!(read(429, json!({ "message": "slow down" })).is_none(), "the wait of a 429 must be kept");
    }
}
