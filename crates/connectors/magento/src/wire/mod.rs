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

pub(crate) use spindel_connect::wire::{Id, Number, Utc, filled, some_id, utc};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use spindel_connect::wire;
use spindel_model::{Currency, Decimal, Timestamp};

/// A store view, as far as its settings matter.
#[derive(Deserialize)]
pub(crate) struct StoreConfig {
    pub code: String,
    #[serde(default)]
    pub locale: String,
    pub base_currency_code: Currency,
}

/// PHP's floats: 159.20000000000002. Magento itself keeps four decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "wire::Amount")]
pub(crate) struct Amount(pub Option<Decimal>);

impl From<wire::Amount> for Amount {
    fn from(it: wire::Amount) -> Self {
        Self(it.0.map(|number| number.round_dp(6).normalize()))
    }
}

impl Amount {
    pub fn or_zero(self) -> Decimal {
        self.0.unwrap_or_default()
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

/// As Magento writes and reads it, in UTC.
pub(crate) fn text_of(at: Timestamp) -> String {
    text_in(at, jiff::tz::TimeZone::UTC)
}

pub(crate) fn text_in(at: Timestamp, zone: jiff::tz::TimeZone) -> String {
    at.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
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
    fn amounts_come_without_the_noise_of_floats() {
        for (json, want) in [("159.2", "159.2"), ("159.20000000000002", "159.2"), (r#""123.000000""#, "123"), ("-40", "-40")] {
            let Amount(got) = serde_json::from_str(json).unwrap();
            assert_eq!(got.unwrap().to_string(), want, "{json}");
        }
        assert_eq!(serde_json::from_str::<Amount>("null").unwrap().or_zero(), Decimal::ZERO);
    }

    #[test]
    fn flags_come_in_three_forms() {
        for (json, want) in [("1", true), (r#""1""#, true), ("true", true), ("0", false), ("null", false), ("false", false)] {
            assert_eq!(serde_json::from_str::<Flag>(json).unwrap(), Flag(want), "{json}");
        }
    }
}
