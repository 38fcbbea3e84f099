//! Klarna's JSON, as far as it is used. Ids are text; money is in minor units.

pub(crate) mod dispute;
pub(crate) mod order;
pub(crate) mod payout;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer};
use spindel_connect::CallError;
use spindel_model::{Currency, OrderRef, Timestamp};

/// A moment. Klarna leaves the zone out at times; then it is UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct When(pub Timestamp);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let in_utc = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let found = text.parse().ok().or_else(|| in_utc().map(|it| it.timestamp()));
        found.map(Self).ok_or_else(|| serde::de::Error::custom("expected a date and a time as in 2026-11-20T10:15:00Z"))
    }
}

/// A currency in upper or lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub Currency);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = Currency::from_code(&text.to_ascii_uppercase());
        found.map(Self).ok_or_else(|| serde::de::Error::custom("expected a currency of ISO 4217"))
    }
}

/// Klarna writes an empty text where there is nothing.
pub(crate) fn some(text: Option<String>) -> Option<String> {
    text.filter(|it| !it.trim().is_empty())
}

/// The order by the number that the shop gave it; before it gave one, by Klarna's own id.
pub(crate) fn order_ref(number: Option<String>, order_id: Option<&str>) -> OrderRef {
    match some(number) {
        Some(number) => OrderRef { id: None, number: Some(number) },
        None => OrderRef { id: order_id.map(str::to_owned), number: None },
    }
}

/// `order_id` must have been looked at by [`is_id`].
pub(crate) fn order_path(order_id: &str) -> String {
    format!("/ordermanagement/v1/orders/{order_id}")
}

/// Whether this can be an id of Klarna's: a UUID, a reference of a payout, or a `krn:` name. Nothing else goes into a path.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | ':'))
}

pub(crate) fn checked<'a>(operation: &'static str, what: &str, id: &'a str) -> Result<&'a str, CallError> {
    let problem = || CallError::data(operation, format!("what is given as {what} is no id of Klarna's"));
    if is_id(id) { Ok(id) } else { Err(problem()) }
}
