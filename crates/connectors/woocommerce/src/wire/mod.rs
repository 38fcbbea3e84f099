//! WooCommerce's JSON and how it becomes the canonical records. Its types wobble, so everything is read leniently:
//! amounts are text or numbers or "", ids are numbers or text, maps without entries are lists.

pub(crate) mod customer;
pub(crate) mod lines;
pub(crate) mod order;
pub(crate) mod product;
pub(crate) mod refund;

pub(crate) use crate::reply::Problem;
pub(crate) use spindel_connect::wire::{Amount, Id, Utc, filled, some_id};

use serde::{Deserialize, Serialize};
use spindel_model::{Currency, Decimal, Money, MoneyBag, Timestamp};

impl Problem {
    /// Whether there is a refusal at all: nearly any object reads as one.
    pub fn is_one(&self) -> bool {
        !self.word().is_empty()
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

pub(crate) fn bag(amount: Decimal, currency: Currency) -> MoneyBag {
    MoneyBag::single(Money::new(amount, currency).scaled())
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
