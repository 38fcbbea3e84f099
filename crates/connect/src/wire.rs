//! What the JSON of many vendors has in common: ids and amounts that are text or numbers, times without a zone, "" for nothing.

use jiff::{civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;
use spindel_model::{Decimal, Exact, Timestamp};
use std::fmt;

/// An id as text, whether it comes as text or as a number (which may exceed 2^53).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Id(pub String);

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
    /// As a number, for those who must send it as one.
    pub fn number(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

/// The id, for vendors whose 0 stands for none.
pub fn some_id(id: Option<&Id>) -> Option<String> {
    id.filter(|id| id.0 != "0").map(|id| id.0.clone())
}

/// An id that goes into a path: digits only.
pub fn digits<'a>(operation: &'static str, vendor: &str, id: &'a str) -> Result<&'a str, crate::CallError> {
    if !id.is_empty() && id.len() <= 20 && id.bytes().all(|it| it.is_ascii_digit()) {
        return Ok(id);
    }
    Err(crate::CallError::data(operation, format!("the id is not one of {vendor}: expected digits")))
}

/// A decimal as text or number, read from its text like [`Exact`]; "" and null are none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amount(pub Option<Decimal>);

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
            Ok(Exact(number)) if number.abs() < most => Ok(Self(Some(number))),
            _ => Err(de::Error::custom("expected a decimal number, its text, or nothing")),
        }
    }
}

/// A decimal that is sent as a JSON number, digit by digit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub Decimal);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A decimal may be zero below zero.
        let number = if self.0.is_zero() { Decimal::ZERO } else { self.0 };
        RawValue::from_string(number.to_string()).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

/// A time in UTC, written without saying so; "" and null are none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Utc(pub Option<Timestamp>);

impl<'de> Deserialize<'de> for Utc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)?.filter(|it| !it.is_empty()) else { return Ok(Self(None)) };
        utc(&text).map(|it| Self(Some(it))).ok_or_else(|| de::Error::custom("expected a date and a time"))
    }
}

/// A time in UTC, whether its text says so or not.
pub fn utc(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })
}

/// Text that is not there comes as "".
pub fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_beyond_the_exact_range_of_floats_keep_every_digit() {
        for (json, want) in [
            ("820982911946154508", "820982911946154508"),
            ("9007199254740993", "9007199254740993"),
            ("18446744073709551615", "18446744073709551615"),
            (r#""A-7""#, "A-7"),
        ] {
            assert_eq!(serde_json::from_str::<Id>(json).unwrap().0, want);
        }
        for json in ["1.5", "-1", "null", r#""""#] {
            assert!(serde_json::from_str::<Id>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn zero_is_no_id_and_a_path_takes_digits_only() {
        assert_eq!(some_id(Some(&Id("0".into()))), None);
        assert_eq!(some_id(Some(&Id("7".into()))).as_deref(), Some("7"));
        assert_eq!(digits("read", "Acme", "42").unwrap(), "42");
        for id in ["", "4/2", "-1", "../7", "123456789012345678901"] {
            assert!(digits("read", "Acme", id).is_err(), "{id}");
        }
    }

    #[test]
    fn amounts_are_read_from_text_from_numbers_and_from_nothing() {
        for (json, want) in [
            (r#""286.40""#, Some("286.40")),
            ("71.6", Some("71.6")),
            ("143.20000000000002", Some("143.20000000000002")),
            (r#""""#, None),
            ("null", None),
            (r#""-10.00""#, Some("-10.00")),
        ] {
            let Amount(got) = serde_json::from_str(json).unwrap();
            assert_eq!(got.map(|it| it.to_string()).as_deref(), want, "{json}");
        }
        for json in [r#""kr 10""#, "true", "[]", "1e15", r#""79228162514264337593543950335""#] {
            assert!(serde_json::from_str::<Amount>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn what_is_sent_keeps_its_digits() {
        let sent = |text: &str| serde_json::to_string(&Number(text.parse().unwrap())).unwrap();
        assert_eq!(sent("1234567890.123456"), "1234567890.123456");
        assert_eq!(sent("-0"), "0");
    }

    #[test]
    fn times_without_a_zone_are_utc() {
        let times = ["2026-11-20T10:15:00", "2026-11-20 10:15:00", "2026-11-20T10:15:00Z", "2026-11-20T11:15:00+01:00"];
        for text in times {
            let Utc(at) = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!(at.unwrap().to_string(), "2026-11-20T10:15:00Z");
        }
        assert_eq!(serde_json::from_str::<Utc>("null").unwrap(), Utc(None));
        assert!(serde_json::from_str::<Utc>(r#""yesterday""#).is_err());
    }
}
