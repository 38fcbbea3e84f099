//! Shopify's shapes and how they become the canonical ones: ids, money in two currencies, addresses.

pub(crate) mod catalog;
pub(crate) mod customer;
pub(crate) mod graph;
pub(crate) mod order;
pub(crate) mod payment;
pub(crate) mod refund;
pub(crate) mod rest;
pub(crate) mod rest_refund;
mod state;

use serde::Deserialize;
use spindel_connect::{ParseError, wire};
use spindel_model::{Currency, Exact, Money, MoneyBag, MoneyError, Timestamp};

/// An id as text, whether it comes as a number or as a GraphQL id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "wire::Id")]
pub(crate) struct Id(pub String);

impl TryFrom<wire::Id> for Id {
    type Error = &'static str;
    fn try_from(id: wire::Id) -> Result<Self, Self::Error> {
        let bare = bare_id(&id.0);
        if bare.is_empty() { Err("expected an id, got nothing") } else { Ok(Self(bare.to_owned())) }
    }
}

/// `5523987001345` of `gid://shopify/Order/5523987001345`, and of itself.
pub(crate) fn bare_id(id: &str) -> &str {
    let path = id.split('?').next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// `gid://shopify/Order/5523987001345`
pub(crate) fn gid(kind: &str, id: &str) -> String {
    format!("gid://shopify/{kind}/{}", bare_id(id))
}

/// One amount in the shop's and in the buyer's currency; the same in webhooks and in GraphQL but for the spelling.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Set {
    #[serde(alias = "shopMoney")]
    shop_money: Amount,
    #[serde(alias = "presentmentMoney")]
    presentment_money: Amount,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Amount {
    amount: Exact,
    #[serde(alias = "currencyCode", alias = "currency")]
    currency_code: Currency,
}

impl Amount {
    fn money(self) -> Money {
        Money::new(self.amount.0, self.currency_code)
    }
}

impl From<Set> for MoneyBag {
    fn from(set: Set) -> Self {
        Self { shop: set.shop_money.money(), presentment: set.presentment_money.money() }
    }
}

/// The two currencies of one document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Currencies {
    pub shop: Currency,
    pub presentment: Currency,
}

impl Currencies {
    pub fn of(bag: MoneyBag) -> Self {
        Self { shop: bag.shop.currency, presentment: bag.presentment.currency }
    }

    pub fn zero(self) -> MoneyBag {
        MoneyBag::zero(self.shop, self.presentment)
    }

    /// The set, or the plain amount where one currency is all there is; nothing of both is zero.
    pub fn bag(self, what: &str, set: Option<Set>, plain: Option<Exact>) -> Result<MoneyBag, ParseError> {
        match (set, plain) {
            (Some(set), _) => Ok(set.into()),
            (None, None) => Ok(self.zero()),
            (None, Some(Exact(amount))) if amount.is_zero() => Ok(self.zero()),
            (None, Some(Exact(amount))) if self.shop == self.presentment => Ok(MoneyBag::single(Money::new(amount, self.shop))),
            (None, Some(_)) => Err(ParseError::Content(format!(
                "`{what}` is given in one currency only; expected {what}_set with {} and {}",
                self.shop.code(),
                self.presentment.code()
            ))),
        }
    }
}

pub(crate) fn sum(start: MoneyBag, parts: impl IntoIterator<Item = MoneyBag>) -> Result<MoneyBag, ParseError> {
    parts.into_iter().try_fold(start, MoneyBag::try_add).map_err(unaddable)
}

pub(crate) fn unaddable(error: MoneyError) -> ParseError {
    ParseError::Content(format!("amounts of this payload cannot be added: {error}"))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Address {
    #[serde(alias = "firstName")]
    first_name: Option<String>,
    #[serde(alias = "lastName")]
    last_name: Option<String>,
    company: Option<String>,
    address1: Option<String>,
    address2: Option<String>,
    zip: Option<String>,
    city: Option<String>,
    province: Option<String>,
    #[serde(alias = "countryCodeV2")]
    country_code: Option<String>,
    phone: Option<String>,
}

impl From<Address> for spindel_model::Address {
    fn from(it: Address) -> Self {
        Self {
            first_name: filled(it.first_name),
            last_name: filled(it.last_name),
            company: filled(it.company),
            line1: filled(it.address1),
            line2: filled(it.address2),
            postal_code: filled(it.zip),
            city: filled(it.city),
            region: filled(it.province),
            country: filled(it.country_code),
            phone: filled(it.phone),
        }
    }
}

/// Shopify sends both null and "" for what is not there.
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// Tags are one string with commas in webhooks.
pub(crate) fn split_tags(text: Option<String>) -> Vec<String> {
    text.unwrap_or_default().split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
}

/// Name and value of a note attribute or of a line's property.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pair {
    #[serde(alias = "key")]
    name: String,
    #[serde(default)]
    value: serde_json::Value,
}

/// As one object, under one name of the canonical `attributes`.
pub(crate) fn pairs(pairs: Vec<Pair>) -> Option<serde_json::Value> {
    let object: serde_json::Map<_, _> = pairs.into_iter().map(|pair| (pair.name, pair.value)).collect();
    (!object.is_empty()).then(|| object.into())
}

/// Later of the two: what a change is versioned by.
pub(crate) fn latest(first: Timestamp, second: Option<Timestamp>) -> Timestamp {
    second.map_or(first, |second| first.max(second))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_beyond_the_exact_range_of_floats_keep_every_digit() {
        for (json, want) in [
            ("820982911946154508", "820982911946154508"),
            ("9007199254740993", "9007199254740993"),
            ("18446744073709551615", "18446744073709551615"),
            (r#""gid://shopify/Order/820982911946154508""#, "820982911946154508"),
            (r#""gid://shopify/InventoryLevel/7?inventory_item_id=9""#, "7"),
        ] {
            assert_eq!(serde_json::from_str::<Id>(json).unwrap().0, want);
        }
        assert!(serde_json::from_str::<Id>("1.5").is_err());
        assert!(serde_json::from_str::<Id>("\"\"").is_err());
    }

    #[test]
    fn an_amount_without_its_set_counts_only_where_both_currencies_are_one() {
        let plain = || Some(serde_json::from_str::<Exact>("\"89.40\"").unwrap());
        let one = Currencies { shop: Currency::NOK, presentment: Currency::NOK };
        assert_eq!(one.bag("price", None, plain()).unwrap().presentment.to_string(), "89.40 NOK");
        let two = Currencies { shop: Currency::NOK, presentment: Currency::SEK };
        assert!(two.bag("price", None, plain()).unwrap_err().to_string().contains("price_set with NOK and SEK"));
    }
}
