//! What it costs to send something somewhere, and where it can be picked up.

use crate::{Address, Currency, Money};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, Visitor},
};
use std::fmt;

/// A checkout's question: what would it cost to send this there?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateRequest {
    pub currency: Currency,
    /// BCP 47, as in `nb-NO`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// `None`: the sender of the connection's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Address>,
    pub destination: Address,
    pub items: Vec<RateItem>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(deserialize_with = "number")]
    pub quantity: Decimal,
    /// Of one.
    #[serde(default, deserialize_with = "number")]
    pub grams: Decimal,
    /// Of one.
    pub price: Money,
}

/// Text, as decimals are written everywhere; or a whole number, as checkouts write it.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = Decimal;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number, or a decimal as text")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Decimal, E> {
            Ok(number.into())
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Decimal, E> {
            Ok(number.into())
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
            text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_any(Number)
}

impl RateRequest {
    pub fn grams(&self) -> Decimal {
        self.items.iter().map(|item| item.grams * item.quantity).sum()
    }
}

/// One way of sending it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The carrier's code of the service: what a booking asks for.
    pub service: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tax included.
    pub price: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Date>,
}

/// A question for places where a parcel can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PickupQuery {
    pub near: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PickupPoint {
    /// The carrier's id: what a booking's `pickup_point` says.
    pub id: String,
    pub name: String,
    pub address: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metres: Option<u32>,
    /// One line for each day, as the carrier words it.
    #[serde(default)]
    pub opening_hours: Vec<String>,
    /// Degrees north and east, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_as_whole_ones_or_as_text_and_never_as_floats() {
        let item = |quantity: &str, grams: &str| {
            let json = format!(r#"{{"quantity":{quantity},"grams":{grams},"price":{{"amount":"1.00","currency":"NOK"}}}}"#);
            serde_json::from_str::<RateItem>(&json).map(|it| (it.quantity.to_string(), it.grams.to_string()))
        };
        assert_eq!(item("2", "500").unwrap(), ("2".into(), "500".into()));
        assert_eq!(item("\"0.5\"", "\"1250.5\"").unwrap(), ("0.5".into(), "1250.5".into()));
        for bad in ["0.5", "\"\"", "\"two\"", "null", "[]"] {
            assert!(item(bad, "1").is_err(), "{bad}");
        }
    }
}
