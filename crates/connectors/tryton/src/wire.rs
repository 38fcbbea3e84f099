//! Values as Tryton's JSON has them: decimals, dates and times with a `__class__`, floats for quantities, `1` for true.

use jiff::{civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use spindel_connect::CallError;
use spindel_model::{Decimal, Exact, Timestamp};

/// `{"__class__": "Decimal", "decimal": "719.28"}`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Amount(pub Decimal);

#[derive(Deserialize)]
struct DecimalObject {
    decimal: Exact,
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DecimalObject::deserialize(deserializer).map(|it| Self(it.decimal.0))
    }
}

pub(crate) fn decimal(amount: Decimal) -> Value {
    json!({ "__class__": "Decimal", "decimal": amount.to_string() })
}

/// A quantity: a JSON number, written digit by digit.
pub(crate) fn quantity(amount: Decimal) -> Result<Value, CallError> {
    serde_json::from_str(&amount.normalize().to_string()).map_err(|_| CallError::data("quantity", "a quantity is out of range"))
}

/// The day, in UTC.
pub(crate) fn day(at: Timestamp) -> Value {
    let day = at.to_zoned(TimeZone::UTC).date();
    json!({ "__class__": "date", "year": day.year(), "month": day.month(), "day": day.day() })
}

pub(crate) fn moment(at: Timestamp) -> Value {
    let time = at.to_zoned(TimeZone::UTC).datetime();
    json!({
        "__class__": "datetime", "year": time.year(), "month": time.month(), "day": time.day(),
        "hour": time.hour(), "minute": time.minute(), "second": time.second(),
        "microsecond": time.subsec_nanosecond() / 1000,
    })
}

/// `{"__class__": "datetime", "year": 2026, …}`, which is UTC; of a date, its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub Timestamp);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Parts {
            year: i16,
            month: i8,
            day: i8,
            #[serde(default)]
            hour: i8,
            #[serde(default)]
            minute: i8,
            #[serde(default)]
            second: i8,
            #[serde(default)]
            microsecond: i32,
        }
        let it = Parts::deserialize(deserializer)?;
        let nanosecond = it.microsecond.checked_mul(1000).unwrap_or(-1);
        let time = DateTime::new(it.year, it.month, it.day, it.hour, it.minute, it.second, nanosecond).ok();
        let at = time.and_then(|it| it.to_zoned(TimeZone::UTC).ok());
        at.map(|it| Self(it.timestamp())).ok_or_else(|| serde::de::Error::custom("expected a date or a time"))
    }
}

/// `true`, `1`, or nothing.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.is_some_and(|it| it.as_bool().unwrap_or(it.as_i64().is_some_and(|it| it != 0))))
}

/// `sale.line,12` is 12 of `sale.line`.
pub(crate) fn id_in(reference: &str, model: &str) -> Option<i64> {
    reference.strip_prefix(model)?.strip_prefix(',')?.parse().ok()
}

/// An id in `[maps.*]`.
pub(crate) fn mapped_id(operation: &'static str, map: &str, key: &str, value: &str) -> Result<i64, CallError> {
    value
        .trim()
        .parse()
        .map_err(|_| CallError::config(operation, format!("[maps.{map}] \"{key}\": expected an id in Tryton, which is a number")))
}

/// Something without a value is sent as `null`.
pub(crate) fn or_null(value: Option<impl Serialize>) -> Value {
    value.map_or(Value::Null, |it| json!(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_whatever_the_currency() {
        for text in ["0", "719.28", "-95.99", "38599", "1.234", "0.1000000000000000000000001"] {
            let amount: Amount = serde_json::from_value(json!({ "__class__": "Decimal", "decimal": text })).unwrap();
            assert_eq!(amount.0.to_string(), text);
            assert_eq!(decimal(amount.0), json!({ "__class__": "Decimal", "decimal": text }));
        }
        for wrong in [json!(719.28), json!("719.28"), json!(null), json!({ "__class__": "Decimal", "decimal": "NaN" })] {
            assert!(serde_json::from_value::<Amount>(wrong).is_err());
        }
    }

    #[test]
    fn a_time_is_the_same_there_and_back_to_the_microsecond() {
        let at: Timestamp = "2026-11-23T12:57:27.721853Z".parse().unwrap();
        let json = moment(at);
        assert_eq!((&json["second"], &json["microsecond"]), (&json!(27), &json!(721_853)));
        assert_eq!(serde_json::from_value::<Moment>(json).unwrap().0, at);
    }

    #[test]
    fn a_date_is_its_beginning_and_nonsense_is_refused() {
        let read = |json| serde_json::from_value::<Moment>(json).map(|it| it.0.to_string());
        assert_eq!(read(json!({ "__class__": "date", "year": 2026, "month": 11, "day": 23 })).unwrap(), "2026-11-23T00:00:00Z");
        assert!(read(json!({ "__class__": "date", "year": 2026, "month": 13, "day": 23 })).is_err());
        assert!(read(json!({ "year": 2026, "month": 1, "day": 1, "microsecond": 2_000_000_000 })).is_err());
    }

    #[test]
    fn references_name_their_model() {
        assert_eq!(id_in("sale.line,12", "sale.line"), Some(12));
        assert_eq!(id_in("sale.line,12", "sale"), None);
        assert_eq!(id_in("stock.move,7", "sale.line"), None);
    }
}
