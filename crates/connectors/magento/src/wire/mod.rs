//! Magento's JSON and how it becomes the canonical records. Numbers come as numbers or text, ids too, times without a zone.

pub(crate) mod address;
pub(crate) mod customer;
pub(crate) mod item;
pub(crate) mod order;
mod part;
pub(crate) mod product;
pub(crate) mod refund;
pub(crate) mod shipment;
pub(crate) mod sum;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;
use spindel_model::{Currency, Decimal, Exact, Timestamp};
use std::fmt;

/// A store view, as far as its settings matter.
#[derive(Deserialize)]
pub(crate) struct StoreConfig {
    pub code: String,
    #[serde(default)]
    pub locale: String,
    pub base_currency_code: Currency,
}

/// An id as text, whether it comes as a number or as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Id(pub String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl de::Visitor<'_> for Either {
            type Value = Id;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id")
            }
            fn visit_u64<E: de::Error>(self, id: u64) -> Result<Id, E> {
                Ok(Id(id.to_string()))
            }
            fn visit_str<E: de::Error>(self, id: &str) -> Result<Id, E> {
                if id.is_empty() { Err(E::custom("expected an id, got nothing")) } else { Ok(Id(id.to_owned())) }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Id {
    pub fn number(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

/// 0 stands for none.
pub(crate) fn some_id(id: Option<&Id>) -> Option<String> {
    id.filter(|id| id.0 != "0").map(|id| id.0.clone())
}

/// A decimal as number or text, read from its text; "" and null are none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Amount(pub Option<Decimal>);

impl Amount {
    pub fn or_zero(self) -> Decimal {
        self.0.unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Sums and products of a whole order stay within what a decimal holds.
        let most = Decimal::from(1_000_000_000_000_u64);
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        let text = raw.get().trim_matches('"').trim();
        if text.is_empty() || text == "null" {
            return Ok(Self(None));
        }
        match serde_json::from_str::<Exact>(text) {
            // PHP's floats: 159.20000000000002. Magento itself keeps four decimals.
            Ok(Exact(number)) if number.abs() < most => Ok(Self(Some(number.round_dp(6).normalize()))),
            _ => Err(de::Error::custom("expected a decimal number, its text, or nothing")),
        }
    }
}

/// A decimal that is sent as a JSON number, digit by digit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number(pub Decimal);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A decimal may be zero below zero.
        let number = if self.0.is_zero() { Decimal::ZERO } else { self.0 };
        RawValue::from_string(number.to_string()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

/// `true`, `1` and `"1"`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        Ok(Self(matches!(raw.get().trim_matches('"'), "1" | "true")))
    }
}

/// A time in UTC, written without saying so; "" and null are none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct At(pub Option<Timestamp>);

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)?.filter(|it| !it.is_empty()) else { return Ok(Self(None)) };
        time(&text).map(|it| Self(Some(it))).ok_or_else(|| de::Error::custom("expected a date and a time"))
    }
}

pub(crate) fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    })
}

/// As Magento writes and reads it, in UTC.
pub(crate) fn text_of(at: Timestamp) -> String {
    text_in(at, jiff::tz::TimeZone::UTC)
}

pub(crate) fn text_in(at: Timestamp, zone: jiff::tz::TimeZone) -> String {
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Text that is not there comes as "".
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Remarks on credit memos, shipments and orders.
#[derive(Clone, Deserialize)]
pub(crate) struct Comment {
    pub comment: Option<String>,
}

pub(crate) fn says(comments: Option<&Vec<Comment>>, text: &str) -> bool {
    comments.into_iter().flatten().filter_map(|it| it.comment.as_deref()).any(|it| it.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_from_numbers_from_text_and_from_nothing() {
        for (json, want) in [
            ("159.2", Some("159.2")),
            ("159.20000000000002", Some("159.2")),
            (r#""123.000000""#, Some("123")),
            ("-40", Some("-40")),
            ("null", None),
            (r#""""#, None),
        ] {
            let Amount(got) = serde_json::from_str(json).unwrap();
            assert_eq!(got.map(|it| it.to_string()).as_deref(), want, "{json}");
        }
        for json in [r#""kr 10""#, "true", "[]", "1e15"] {
            assert!(serde_json::from_str::<Amount>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn times_without_a_zone_are_utc() {
        for json in [r#""2026-11-20 10:15:00""#, r#""2026-11-20T10:15:00Z""#, r#""2026-11-20T11:15:00+01:00""#] {
            let At(at) = serde_json::from_str(json).unwrap();
            assert_eq!(text_of(at.unwrap()), "2026-11-20 10:15:00");
        }
        assert_eq!(serde_json::from_str::<At>("null").unwrap(), At(None));
        assert!(serde_json::from_str::<At>(r#""yesterday""#).is_err());
    }

    #[test]
    fn what_is_sent_keeps_its_digits() {
        let number = Number("1234567890.123456".parse().unwrap());
        assert_eq!(serde_json::to_string(&number).unwrap(), "1234567890.123456");
    }

    #[test]
    fn flags_come_in_three_forms() {
        for (json, want) in [("1", true), (r#""1""#, true), ("true", true), ("0", false), ("null", false), ("false", false)] {
            assert_eq!(serde_json::from_str::<Flag>(json).unwrap(), Flag(want), "{json}");
        }
    }
}
