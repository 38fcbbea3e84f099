//! Compares JSON as far as the expectation goes: keys it does not name may be anything.

use serde_json::Value;

/// Whether `actual` is as `expected` says. Objects are compared by the keys of `expected`, arrays element by element
/// with the same length, everything else exactly. The error has one line for each difference, with its JSON path.
pub fn subset(expected: &Value, actual: &Value) -> Result<(), String> {
    let mut differences = Vec::new();
    compare("$", expected, actual, &mut differences);
    if differences.is_empty() { Ok(()) } else { Err(differences.join("\n")) }
}

fn compare(path: &str, expected: &Value, actual: &Value, differences: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (key, want) in expected {
                let path = format!("{path}.{key}");
                match actual.get(key) {
                    Some(got) => compare(&path, want, got, differences),
                    // A field that is left out when empty is as good as `null`.
                    None if want.is_null() => {}
                    None => differences.push(format!(
                        "{path}: expected {}, but there is no such key; there are {}",
                        short(want),
                        keys(actual)
                    )),
                }
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            if expected.len() != actual.len() {
                differences.push(format!("{path}: expected {} elements, got {}", expected.len(), actual.len()));
            }
            for (index, (want, got)) in expected.iter().zip(actual).enumerate() {
                compare(&format!("{path}[{index}]"), want, got, differences);
            }
            for (index, extra) in actual.iter().enumerate().skip(expected.len()) {
                differences.push(format!("{path}[{index}]: not expected: {}", short(extra)));
            }
        }
        _ if expected == actual => {}
        _ => differences.push(format!("{path}: expected {}, got {}", short(expected), short(actual))),
    }
}

fn keys(object: &serde_json::Map<String, Value>) -> String {
    if object.is_empty() {
        return "none".to_owned();
    }
    object.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

fn short(value: &Value) -> String {
    const SHOWN: usize = 300;
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_expectation_does_not_name_may_be_anything() {
        let actual = json!({"a": [{"b": 1, "c": 2}], "d": null});
        assert_eq!(subset(&json!({"a": [{"b": 1}]}), &actual), Ok(()));
        assert_eq!(subset(&json!({"left_out": null}), &actual), Ok(()));
    }

    #[test]
    fn every_difference_is_named_with_its_path() {
        let expected = json!({"a": [{"b": 2}], "e": 1, "f": [1, 2]});
        let actual = json!({"a": [{"b": "2"}], "f": [1]});
        assert_eq!(
            subset(&expected, &actual).unwrap_err(),
            "$.a[0].b: expected 2, got \"2\"\n\
             $.e: expected 1, but there is no such key; there are `a`, `f`\n\
             $.f: expected 2 elements, got 1"
        );
    }

    #[test]
    fn a_longer_list_is_a_difference() {
        assert!(subset(&json!([1]), &json!([1, 2])).unwrap_err().contains("$[1]: not expected: 2"));
    }
}
