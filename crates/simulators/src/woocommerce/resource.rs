//! Records as the API keeps and shows them: JSON objects, with amounts as text and PHP's way to write them.

use jiff::{Timestamp, tz::Offset};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

pub(crate) type Fields = Map<String, Value>;

pub(crate) fn fields(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

/// Text that is there and not empty.
pub(crate) fn filled(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name)?.as_str().filter(|it| !it.is_empty()).map(str::to_owned)
}

/// An amount, which is text, or a number in what is sent.
pub(crate) fn amount(fields: &Fields, name: &str) -> Decimal {
    match fields.get(name) {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(Value::Number(number)) => number.to_string().parse().unwrap_or_default(),
        _ => Decimal::ZERO,
    }
}

pub(crate) fn list<'a>(fields: &'a Fields, name: &str) -> &'a [Value] {
    fields.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// With two decimals.
pub(crate) fn money(amount: Decimal) -> String {
    format!("{:.2}", amount.round_dp(2))
}

/// Sets `<name>` in the site's zone and `<name>_gmt`; neither says its zone.
pub(crate) fn set_date(fields: &mut Fields, name: &str, at: Timestamp, offset_hours: i8) {
    let local = at.to_zoned(Offset::constant(offset_hours).to_time_zone());
    let form = "%Y-%m-%dT%H:%M:%S";
    fields.insert(name.to_owned(), json!(local.strftime(form).to_string()));
    fields.insert(format!("{name}_gmt"), json!(at.strftime(form).to_string()));
}

/// Entries of `meta_data` by key, those that are new with an id of their own: one that is there is replaced.
pub(crate) fn merge_meta(fields: &mut Fields, sent: &Value, mut new_id: impl FnMut() -> u64) {
    let mut all = list(fields, "meta_data").to_vec();
    for entry in sent.as_array().into_iter().flatten() {
        let key = entry["key"].as_str().unwrap_or_default();
        match all.iter_mut().find(|it| it["key"] == key) {
            Some(known) => known["value"] = entry["value"].clone(),
            None => all.push(json!({ "id": new_id(), "key": key, "value": entry["value"] })),
        }
    }
    fields.insert("meta_data".into(), all.into());
}

/// As PHP writes JSON: slashes escaped, nothing beyond ASCII.
pub(crate) fn php_json(value: &Value) -> String {
    let mut text = String::new();
    for letter in value.to_string().chars() {
        match letter {
            '/' => text.push_str("\\/"),
            _ if letter.is_ascii() => text.push(letter),
            _ => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_as_php_does() {
        let text = php_json(&json!({ "url": "https://x.no/a", "name": "Bjørn 🐟" }));
        assert_eq!(text, r#"{"name":"Bj\u00f8rn \ud83d\udc1f","url":"https:\/\/x.no\/a"}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["name"], "Bjørn 🐟");
    }

    #[test]
    fn meta_data_of_the_same_key_is_replaced() {
        let mut order = Fields::new();
        merge_meta(&mut order, &json!([{ "key": "a", "value": 1 }]), || 1);
        merge_meta(&mut order, &json!([{ "key": "a", "value": 2 }, { "key": "b", "value": [] }]), || 2);
        assert_eq!(order["meta_data"], json!([{ "id": 1, "key": "a", "value": 2 }, { "id": 2, "key": "b", "value": [] }]));
    }
}
