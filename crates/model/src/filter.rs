//! Declarative filters over a change: always end, and can be checked before they run.

use crate::{Change, Record};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;
use std::{cmp::Ordering, str::FromStr};

/// `when`: every condition must hold. The empty filter lets everything through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(pub Vec<Condition>);

/// One path and what must hold for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Dotted, over the record's JSON; `lines.sku` reaches into every element of an array.
    /// `topic`, `total.amount` and `total.currency` are shorthands.
    pub path: String,
    pub test: Test,
}

/// Comparison values are text, numbers or booleans.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Eq(Value),
    Ne(Value),
    Gt(Value),
    Gte(Value),
    Lt(Value),
    Lte(Value),
    In(Vec<Value>),
    NotIn(Vec<Value>),
    /// An array holds this element, or a text this part.
    Has(Value),
    Exists(bool),
    /// `*` stands for any text.
    Matches(String),
}

impl Filter {
    /// The error names the condition that does not hold, and the value only where it cannot be personal.
    pub fn matches(&self, change: &Change) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let view = view(change);
        self.0.iter().try_for_each(|condition| condition.holds(&view))
    }
}

/// What paths are looked up in: the record's fields, with the shorthands.
pub fn view(change: &Change) -> Value {
    let total = match &change.record {
        Record::Order(order) => serde_json::to_value(order.totals.grand.shop).ok(),
        Record::Refund(refund) => serde_json::to_value(refund.total.shop).ok(),
        _ => None,
    };
    let record = serde_json::to_value(&change.record).unwrap_or(Value::Null);
    let mut fields = match record {
        Value::Object(mut whole) => match whole.remove("data") {
            Some(Value::Object(data)) => data,
            _ => serde_json::Map::new(),
        },
        _ => serde_json::Map::new(),
    };
    fields.insert("topic".into(), change.topic.as_str().into());
    if let Some(total) = total {
        fields.insert("total".into(), total);
    }
    Value::Object(fields)
}

/// Every value at a path; through arrays, each element's.
pub fn at_path<'a>(view: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![view];
    for key in path.split('.') {
        found = found
            .into_iter()
            .flat_map(|value| match value {
                Value::Array(items) => items.iter().filter_map(|item| item.get(key)).collect::<Vec<_>>(),
                other => other.get(key).into_iter().collect(),
            })
            .collect();
    }
    found
}

impl Condition {
    fn holds(&self, view: &Value) -> Result<(), String> {
        let found = at_path(view, &self.path);
        if self.test.holds(&found) {
            return Ok(());
        }
        let shown = found.first().filter(|value| found.len() == 1 && is_impersonal(&self.path, value));
        let got = shown.map_or(String::new(), |value| format!(" is {}", text(value).unwrap_or_default()));
        Err(format!("`{}`{got}, wanted {}", self.path, self.test))
    }
}

/// Amounts, booleans, topics and states tell nobody who it was.
fn is_impersonal(path: &str, value: &Value) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    value.is_boolean() || matches!(last, "amount" | "currency" | "topic") || last.ends_with("state") || last == "status"
}

impl Test {
    fn holds(&self, found: &[&Value]) -> bool {
        let any = |test: &dyn Fn(&Value) -> bool| found.iter().any(|value| test(value));
        let order = |wanted: &Value, fits: fn(Ordering) -> bool| any(&|value| compare(value, wanted).is_some_and(fits));
        match self {
            Self::Eq(wanted) => any(&|value| same(value, wanted)),
            Self::Ne(wanted) => !found.is_empty() && !any(&|value| same(value, wanted)),
            Self::Gt(wanted) => order(wanted, Ordering::is_gt),
            Self::Gte(wanted) => order(wanted, Ordering::is_ge),
            Self::Lt(wanted) => order(wanted, Ordering::is_lt),
            Self::Lte(wanted) => order(wanted, Ordering::is_le),
            Self::In(wanted) => any(&|value| wanted.iter().any(|one| same(value, one))),
            Self::NotIn(wanted) => !found.is_empty() && !any(&|value| wanted.iter().any(|one| same(value, one))),
            Self::Has(wanted) => any(&|value| match value {
                Value::Array(items) => items.iter().any(|item| same(item, wanted)),
                Value::String(whole) => text(wanted).is_some_and(|part| whole.contains(&part)),
                _ => false,
            }),
            Self::Exists(wanted) => any(&|value| !value.is_null()) == *wanted,
            Self::Matches(glob) => any(&|value| text(value).is_some_and(|text| glob_matches(glob, &text))),
        }
    }
}

impl std::fmt::Display for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |values: &[Value]| values.iter().map(|value| text(value).unwrap_or_default()).collect::<Vec<_>>().join(", ");
        let one = |value: &Value| text(value).unwrap_or_default();
        match self {
            Self::Eq(value) => write!(f, "{}", one(value)),
            Self::Ne(value) => write!(f, "anything but {}", one(value)),
            Self::Gt(value) => write!(f, "> {}", one(value)),
            Self::Gte(value) => write!(f, ">= {}", one(value)),
            Self::Lt(value) => write!(f, "< {}", one(value)),
            Self::Lte(value) => write!(f, "<= {}", one(value)),
            Self::In(values) => write!(f, "one of {}", list(values)),
            Self::NotIn(values) => write!(f, "none of {}", list(values)),
            Self::Has(value) => write!(f, "to have {}", one(value)),
            Self::Exists(true) => f.write_str("it to be there"),
            Self::Exists(false) => f.write_str("it not to be there"),
            Self::Matches(glob) => write!(f, "{glob}"),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

fn same(a: &Value, b: &Value) -> bool {
    compare(a, b).is_some_and(Ordering::is_eq)
}

/// As decimals when both are, as moments when both are, else as text.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    let (a, b) = (text(a)?, text(b)?);
    if let (Ok(a), Ok(b)) = (Decimal::from_str(&a), Decimal::from_str(&b)) {
        return Some(a.cmp(&b));
    }
    if let (Ok(a), Ok(b)) = (Timestamp::from_str(&a), Timestamp::from_str(&b)) {
        return Some(a.cmp(&b));
    }
    Some(a.cmp(&b))
}

fn glob_matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(view: &Value, path: &str, test: Test) -> bool {
        Condition { path: path.into(), test }.holds(view).is_ok()
    }

    #[test]
    fn every_test_holds_where_it_should() {
        let view = json!({"total": {"amount": "10.50"}, "tags": ["vip", "b2b"], "note": "hello", "at": "2026-11-20T10:00:00Z",
            "lines": [{"sku": "A"}, {"sku": "B"}], "test": false});
        for (path, test, want) in [
            ("total.amount", Test::Gt(json!("9")), true),
            ("total.amount", Test::Gt(json!("10.5")), false),
            ("total.amount", Test::Gte(json!(10.5)), true),
            ("total.amount", Test::Eq(json!("10.500")), true),
            ("total.amount", Test::Lt(json!("10.51")), true),
            ("tags", Test::Has(json!("vip")), true),
            ("tags", Test::Has(json!("vi")), false),
            ("note", Test::Has(json!("ell")), true),
            ("lines.sku", Test::Eq(json!("B")), true),
            ("lines.sku", Test::NotIn(vec![json!("C")]), true),
            ("lines.sku", Test::Ne(json!("A")), false),
            ("missing", Test::Ne(json!("A")), false),
            ("missing", Test::Exists(false), true),
            ("note", Test::Exists(true), true),
            ("at", Test::Lt(json!("2026-11-20T12:00:00+01:00")), true),
            ("note", Test::Matches("h*o".into()), true),
            ("note", Test::Matches("h*x".into()), false),
            ("test", Test::Eq(json!(false)), true),
        ] {
            assert_eq!(holds(&view, path, test.clone()), want, "{path} {test:?}");
        }
    }

    #[test]
    fn a_reason_shows_amounts_and_hides_people() {
        let view = json!({"total": {"amount": "0.00"}, "email": "kari@example.no"});
        let reason = |path: &str| Condition { path: path.into(), test: Test::Gt(json!("1")) }.holds(&view).unwrap_err();
        assert_eq!(reason("total.amount"), "`total.amount` is 0.00, wanted > 1");
        assert!(!Condition { path: "email".into(), test: Test::Eq(json!("x")) }.holds(&view).unwrap_err().contains("kari"));
    }
}
