//! `when`: conditions on a record that must all hold. Declarative and total: every filter comes to an answer.

use crate::path::{Path, Reached};
use serde_json::Value as Json;
use spindel_model::{Change, Decimal, Record, Timestamp};
use std::fmt;

/// A parsed `when`. The empty one lets everything pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub(crate) conditions: Vec<Condition>,
}

/// What must hold at one path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub path: Path,
    pub tests: Vec<Test>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Eq(Wanted),
    Ne(Wanted),
    Gt(Wanted),
    Gte(Wanted),
    Lt(Wanted),
    Lte(Wanted),
    In(Vec<Wanted>),
    NotIn(Vec<Wanted>),
    Has(Wanted),
    Exists(bool),
    Matches(String),
}

/// A value of the file that a record's value is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    text: String,
    decimal: Option<Decimal>,
    at: Option<Timestamp>,
}

impl Filter {
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether the change passes; if not, the first condition that did not hold, without personal data.
    pub fn matches(&self, change: &Change) -> Result<(), String> {
        if self.is_empty() {
            return Ok(());
        }
        let record = fields_of(&change.record);
        self.conditions.iter().try_for_each(|it| it.holds(change, &record))
    }
}

/// The fields of a record as a filter sees them; none for a record of which only the id is known.
pub(crate) fn fields_of(record: &Record) -> Json {
    match serde_json::to_value(record) {
        Ok(Json::Object(mut it)) => it.remove("data").unwrap_or_default(),
        _ => Json::Null,
    }
}

impl Condition {
    fn holds(&self, change: &Change, record: &Json) -> Result<(), String> {
        let topic = Json::from(change.topic.as_str());
        let reached = if self.path.is_topic() { Reached::one(&topic) } else { self.path.reach(record) };
        match self.tests.iter().find(|test| !test.holds(&reached)) {
            None => Ok(()),
            Some(test) => Err(format!("{} {}, wanted {test}", self.path, self.seen(&reached))),
        }
    }

    /// The value for the reason of a skipped delivery: only where it cannot be personal.
    fn seen(&self, reached: &Reached<'_>) -> String {
        match reached.values.as_slice() {
            [] => "is not there".into(),
            [Json::Bool(flag)] => format!("is {flag}"),
            [Json::String(text)] if self.path.is_impersonal() => format!("is {}", crate::measure::shortened(text)),
            _ => "does not hold".into(),
        }
    }
}

impl Test {
    fn holds(&self, reached: &Reached<'_>) -> bool {
        let any = |test: &dyn Fn(&Json) -> bool| reached.values.iter().any(|it| test(it));
        // Of a list none may be it; an empty list has none. What is not there at all holds nothing.
        let none = |test: &dyn Fn(&Json) -> bool| reached.exists && !any(test);
        match self {
            Self::Eq(wanted) => any(&|it| wanted.equals(it)),
            Self::Ne(wanted) => none(&|it| wanted.equals(it)),
            Self::In(wanted) => any(&|it| wanted.iter().any(|wanted| wanted.equals(it))),
            Self::NotIn(wanted) => none(&|it| wanted.iter().any(|wanted| wanted.equals(it))),
            Self::Gt(wanted) => any(&|it| wanted.order(it).is_some_and(|it| it.is_gt())),
            Self::Gte(wanted) => any(&|it| wanted.order(it).is_some_and(|it| it.is_ge())),
            Self::Lt(wanted) => any(&|it| wanted.order(it).is_some_and(|it| it.is_lt())),
            Self::Lte(wanted) => any(&|it| wanted.order(it).is_some_and(|it| it.is_le())),
            Self::Has(wanted) if reached.list => any(&|it| wanted.equals(it)),
            Self::Has(wanted) => any(&|it| text_of(it).is_some_and(|it| it.contains(&wanted.text))),
            Self::Exists(wanted) => reached.values.is_empty() != *wanted,
            Self::Matches(pattern) => any(&|it| text_of(it).is_some_and(|it| glob(pattern, &it))),
        }
    }
}

impl Wanted {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { decimal: decimal(&text), at: text.parse().ok(), text }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    fn equals(&self, actual: &Json) -> bool {
        self.order(actual).is_some_and(|it| it.is_eq())
    }

    /// How the record's value stands to the wanted one: as decimals when both are, as moments when both are, else as text.
    fn order(&self, actual: &Json) -> Option<std::cmp::Ordering> {
        let actual = text_of(actual)?;
        if let Some((actual, wanted)) = decimal(&actual).zip(self.decimal) {
            return Some(actual.cmp(&wanted));
        }
        if let Some(wanted) = self.at
            && let Ok(actual) = actual.parse::<Timestamp>()
        {
            return Some(actual.cmp(&wanted));
        }
        Some(actual.as_str().cmp(&self.text))
    }
}

fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Exact; and only what is written like a number: `0155` is a postal code.
fn decimal(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    if !all_digits(whole) || !all_digits(fraction) || leading_zero {
        return None;
    }
    Decimal::from_str_exact(text).ok()
}

/// `*` stands for any text, `?` for one character. Takes time by the product of the lengths at most.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|it| *it == '*')
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |wanted: &[Wanted]| wanted.iter().map(Wanted::text).collect::<Vec<_>>().join(", ");
        match self {
            Self::Eq(it) => write!(f, "{}", it.text),
            Self::Ne(it) => write!(f, "anything but {}", it.text),
            Self::Gt(it) => write!(f, "> {}", it.text),
            Self::Gte(it) => write!(f, ">= {}", it.text),
            Self::Lt(it) => write!(f, "< {}", it.text),
            Self::Lte(it) => write!(f, "<= {}", it.text),
            Self::In(it) => write!(f, "one of {}", all(it)),
            Self::NotIn(it) => write!(f, "none of {}", all(it)),
            Self::Has(it) => write!(f, "something with {}", it.text),
            Self::Exists(true) => f.write_str("it to be there"),
            Self::Exists(false) => f.write_str("it not to be there"),
            Self::Matches(it) => write!(f, "{it}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, wanted) in [
            ("*", "", true),
            ("web*", "web", true),
            ("*-M", "SWEATER-RED-M", true),
            ("S*R*M", "SWEATER-RED-M", true),
            ("S?EATER*", "SWEATER-RED-M", true),
            ("web", "webshop", false),
            ("*x", "abc", false),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern, text), wanted, "{pattern} {text}");
        }
        assert!(!glob(&"*a".repeat(200), &"a".repeat(199)), "and it does not take for ever");
    }

    #[test]
    fn only_what_is_written_like_a_number_is_one() {
        for text in ["0", "0.00", "-5", "447.00", "100", "0.30000000000000004"] {
            assert!(decimal(text).is_some(), "{text}");
        }
        for text in ["", "-", ".5", "5.", "0155", "1e5", "1_000", " 1", "+1", "NaN", "99999999999999999999999999999999"] {
            assert!(decimal(text).is_none(), "{text}");
        }
    }
}
