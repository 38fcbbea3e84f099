//! WooCommerce's JSON and how it becomes the canonical records. Its types wobble, so everything is read leniently:
//! amounts are text or numbers or "", ids are numbers or text, maps without entries are lists.

pub(crate) mod customer;
pub(crate) mod lines;
pub(crate) mod order;
pub(crate) mod product;
pub(crate) mod refund;

pub(crate) use crate::reply::Problem;

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;
use spindel_model::{Currency, Decimal, Exact, Money, MoneyBag, Timestamp};
use std::fmt;

impl Problem {
    /// Whether there is a refusal at all: nearly any object reads as one.
    pub fn is_one(&self) -> bool {
        !self.word().is_empty()
    }
}

/// An id as text, whether it comes as a number or as text.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// 0 stands for none.
pub(crate) fn some_id(id: Option<&Id>) -> Option<String> {
    id.filter(|id| id.0 != "0").map(|id| id.0.clone())
}

/// A decimal as text or number, read from its text; "" and null are none.
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
        let number = serde_json::from_str::<Exact>(text).map(|it| it.0);
        match number {
            Ok(number) if number.abs() < most => Ok(Self(Some(number))),
            _ => Err(de::Error::custom("expected a decimal number, its text, or nothing")),
        }
    }
}

/// A time in UTC, written without saying so; "" and null are none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Gmt(pub Option<Timestamp>);

impl<'de> Deserialize<'de> for Gmt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)?.filter(|it| !it.is_empty()) else { return Ok(Self(None)) };
        let time = text.parse::<Timestamp>().ok().or_else(|| {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        });
        time.map(|it| Self(Some(it))).ok_or_else(|| de::Error::custom("expected a date and a time"))
    }
}

/// As WooCommerce writes and reads it.
pub(crate) fn gmt(at: Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// One entry of `meta_data`: a plug-in's own, of any type.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Meta {
    #[serde(default)]
    pub key: String,
    #[serde(default)]
    pub value: serde_json::Value,
}

/// The value of a meta key as text.
pub(crate) fn meta_text(meta: &[Meta], key: &str) -> Option<String> {
    let value = meta.iter().find(|it| it.key == key).map(|it| &it.value)?;
    match value {
        serde_json::Value::String(text) => filled(Some(text.clone())),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Text that is not there comes as "".
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// At the currency's own scale where that is exact, and as it came where not.
pub(crate) fn money(amount: Decimal, currency: Currency) -> Money {
    let plain = Money::new(amount, currency);
    let rounded = plain.rounded();
    if rounded.amount == amount { rounded } else { plain }
}

pub(crate) fn bag(amount: Decimal, currency: Currency) -> MoneyBag {
    MoneyBag::single(money(amount, currency))
}

/// Shares of an amount by weight, at the currency's scale; what rounding leaves goes to the last.
pub(crate) fn split(amount: Decimal, weights: &[Decimal], currency: Currency) -> Vec<Decimal> {
    let sum: Decimal = weights.iter().sum();
    let mut left = amount;
    let share = |weight: &Decimal| {
        let exact = amount.checked_mul(*weight).and_then(|it| it.checked_div(sum)).unwrap_or_default();
        Money::new(exact, currency).rounded().amount
    };
    let mut shares: Vec<Decimal> = weights.iter().map(share).collect();
    if let Some((last, others)) = shares.split_last_mut() {
        for other in others {
            left -= *other;
        }
        *last = left;
    }
    shares
}

/// `billing` and `shipping`, both ways.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Address {
    first_name: Option<String>,
    last_name: Option<String>,
    company: Option<String>,
    address_1: Option<String>,
    address_2: Option<String>,
    city: Option<String>,
    state: Option<String>,
    postcode: Option<String>,
    country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    phone: Option<String>,
}

impl Address {
    pub fn email(&self) -> Option<String> {
        filled(self.email.clone())
    }

    pub fn phone(&self) -> Option<String> {
        filled(self.phone.clone())
    }

    /// `None` when nothing stands in it.
    pub fn canonical(self) -> Option<spindel_model::Address> {
        let it = spindel_model::Address {
            first_name: filled(self.first_name),
            last_name: filled(self.last_name),
            company: filled(self.company),
            line1: filled(self.address_1),
            line2: filled(self.address_2),
            postal_code: filled(self.postcode),
            city: filled(self.city),
            region: filled(self.state),
            country: filled(self.country),
            phone: filled(self.phone),
        };
        (it != spindel_model::Address::default()).then_some(it)
    }

    /// What is not there is emptied: an address is one piece.
    pub fn of(it: &spindel_model::Address, email: Option<String>) -> Self {
        let text = |text: &Option<String>| Some(text.clone().unwrap_or_default());
        Self {
            first_name: text(&it.first_name),
            last_name: text(&it.last_name),
            company: text(&it.company),
            address_1: text(&it.line1),
            address_2: text(&it.line2),
            city: text(&it.city),
            state: text(&it.region),
            postcode: text(&it.postal_code),
            country: text(&it.country),
            email,
            phone: text(&it.phone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn times_without_a_zone_are_utc() {
        for json in [r#""2026-11-20T10:15:00""#, r#""2026-11-20T10:15:00Z""#, r#""2026-11-20T11:15:00+01:00""#] {
            let Gmt(at) = serde_json::from_str(json).unwrap();
            assert_eq!(at.unwrap().to_string(), "2026-11-20T10:15:00Z");
        }
        assert_eq!(serde_json::from_str::<Gmt>("null").unwrap(), Gmt(None));
        assert!(serde_json::from_str::<Gmt>(r#""yesterday""#).is_err());
    }

    #[test]
    fn an_address_without_entries_may_be_a_list() {
        assert_eq!(serde_json::from_str::<Address>("[]").unwrap().canonical(), None);
    }

    #[test]
    fn shares_add_up_to_what_was_shared() {
        let weights = [Decimal::ONE, Decimal::ONE, Decimal::ONE];
        let shares = split(Decimal::new(1000, 2), &weights, Currency::NOK);
        assert_eq!(shares.iter().map(ToString::to_string).collect::<Vec<_>>(), ["3.33", "3.33", "3.34"]);
        assert_eq!(split(Decimal::ONE, &[Decimal::ZERO], Currency::NOK), [Decimal::ONE]);
    }
}
