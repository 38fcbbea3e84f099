//! Exact money: a decimal and an ISO 4217 currency, a string on the wire, never a float.

use iso_currency::Currency;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::{fmt, str::FromStr};

/// An amount in one currency. On the wire `{"amount": "447.00", "currency": "NOK"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    pub amount: Decimal,
    pub currency: Currency,
}

/// Two amounts were of different currencies, or their sum is out of range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("cannot add {left} and {right}: currencies differ")]
    Currency { left: Currency, right: Currency },
    #[error("amount is out of range")]
    Range,
}

impl Money {
    pub fn new(amount: Decimal, currency: Currency) -> Self {
        Self { amount, currency }
    }

    pub fn zero(currency: Currency) -> Self {
        Self::new(Decimal::ZERO, currency)
    }

    /// From the currency's smallest unit: 44700 NOK is 447.00, 447 JPY is 447, 1234 KWD is 1.234.
    pub fn from_minor(minor: i64, currency: Currency) -> Self {
        Self::new(Decimal::new(minor, exponent(currency)), currency)
    }

    /// In the currency's smallest unit; `None` when the amount is finer than that or out of range.
    pub fn to_minor(self) -> Option<i64> {
        let scaled = self.amount.checked_mul(Decimal::from(10_i64.pow(exponent(self.currency))))?;
        if !scaled.fract().is_zero() {
            return None;
        }
        i64::try_from(scaled.trunc().mantissa() / 10_i128.pow(scaled.trunc().scale())).ok()
    }

    /// Rounded half away from zero to the currency's smallest unit, as shops and tax offices do.
    pub fn rounded(self) -> Self {
        let mut amount = self.amount.round_dp_with_strategy(exponent(self.currency), RoundingStrategy::MidpointAwayFromZero);
        amount.rescale(exponent(self.currency));
        Self::new(amount, self.currency)
    }

    /// At the currency's own scale where that is exact, and as it is where not: 199.1 NOK is 199.10, 1.005 NOK stays.
    pub fn scaled(self) -> Self {
        let rounded = self.rounded();
        if rounded.amount == self.amount { rounded } else { self }
    }

    pub fn is_zero(self) -> bool {
        self.amount.is_zero()
    }

    pub fn try_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let amount = self.amount.checked_add(other.amount);
        Ok(Self::new(amount.ok_or(MoneyError::Range)?, self.currency))
    }

    pub fn try_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.try_add(Self::new(-other.amount, other.currency))
    }

    /// Multiplied, not rounded: rounding is the caller's decision.
    pub fn times(self, factor: Decimal) -> Result<Self, MoneyError> {
        let amount = self.amount.checked_mul(factor).ok_or(MoneyError::Range)?;
        Ok(Self::new(amount, self.currency))
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::Currency { left: self.currency, right: other.currency })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency.code())
    }
}

/// Digits after the decimal point by ISO 4217: JPY 0, NOK 2, KWD 3.
pub fn exponent(currency: Currency) -> u32 {
    currency.exponent().map_or(2, u32::from)
}

/// One amount as the shop keeps its books and as the buyer saw it. The rate between them is never computed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoneyBag {
    pub shop: Money,
    pub presentment: Money,
}

/// Which of the two currencies a document is booked in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BookIn {
    #[default]
    Shop,
    Presentment,
}

impl MoneyBag {
    /// Shop and presentment currency are the same.
    pub fn single(money: Money) -> Self {
        Self { shop: money, presentment: money }
    }

    pub fn zero(shop: Currency, presentment: Currency) -> Self {
        Self { shop: Money::zero(shop), presentment: Money::zero(presentment) }
    }

    pub fn get(self, book_in: BookIn) -> Money {
        match book_in {
            BookIn::Shop => self.shop,
            BookIn::Presentment => self.presentment,
        }
    }

    pub fn try_add(self, other: Self) -> Result<Self, MoneyError> {
        Ok(Self { shop: self.shop.try_add(other.shop)?, presentment: self.presentment.try_add(other.presentment)? })
    }

    pub fn try_sub(self, other: Self) -> Result<Self, MoneyError> {
        Ok(Self { shop: self.shop.try_sub(other.shop)?, presentment: self.presentment.try_sub(other.presentment)? })
    }

    pub fn times(self, factor: Decimal) -> Result<Self, MoneyError> {
        Ok(Self { shop: self.shop.times(factor)?, presentment: self.presentment.times(factor)? })
    }

    pub fn rounded(self) -> Self {
        Self { shop: self.shop.rounded(), presentment: self.presentment.rounded() }
    }
}

/// A decimal that vendors send as a JSON string or as a JSON number; read from the raw text, never through a float.
///
/// Does not work below `#[serde(flatten)]` or in untagged enums, which lose the raw text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(pub Decimal);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        let text = raw.get().trim_matches('"');
        let number = if text.contains(['e', 'E']) { Decimal::from_scientific(text) } else { Decimal::from_str(text) };
        number.map(Exact).map_err(|_| serde::de::Error::custom("expected a decimal number or its text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn smallest_units_follow_iso_4217() {
        for (currency, minor, text) in
            [(Currency::JPY, 447, "447 JPY"), (Currency::NOK, 44_700, "447.00 NOK"), (Currency::KWD, 1_234, "1.234 KWD")]
        {
            let money = Money::from_minor(minor, currency);
            assert_eq!(money.to_string(), text);
            assert_eq!(money.to_minor(), Some(minor));
        }
    }

    #[test]
    fn an_amount_finer_than_the_smallest_unit_has_no_minor_form() {
        let money = Money::new(Decimal::new(1, 3), Currency::NOK);
        assert_eq!(money.to_minor(), None);
        assert_eq!(money.rounded().to_minor(), Some(0));
    }

    #[test]
    fn an_amount_gets_the_scale_of_its_currency_unless_it_is_finer() {
        let scaled = |text: &str, currency| Money::new(text.parse().unwrap(), currency).scaled().to_string();
        assert_eq!(scaled("199.1", Currency::NOK), "199.10 NOK");
        assert_eq!(scaled("1.005", Currency::NOK), "1.005 NOK");
        assert_eq!(scaled("447.000", Currency::JPY), "447 JPY");
    }

    #[test]
    fn a_number_is_read_from_its_text_and_never_through_a_float() {
        for (json, want) in [
            ("199.10", "199.10"),
            ("\"199.10\"", "199.10"),
            ("0.1000000000000000000000001", "0.1000000000000000000000001"),
            ("-3", "-3"),
            ("1e3", "1000"),
        ] {
            let Exact(got) = serde_json::from_str(json).unwrap();
            assert_eq!(got.to_string(), want);
        }
        assert!(serde_json::from_str::<Exact>("\"NaN\"").is_err());
        assert!(serde_json::from_str::<Exact>("null").is_err());
    }

    #[test]
    fn a_float_on_the_wire_is_refused() {
        assert!(serde_json::from_str::<Money>(r#"{"amount":447.0,"currency":"NOK"}"#).is_err());
    }

    fn currencies() -> impl Strategy<Value = Currency> {
        prop::sample::select(vec![Currency::NOK, Currency::SEK, Currency::DKK, Currency::EUR, Currency::JPY, Currency::KWD])
    }

    proptest! {
        #[test]
        fn minor_units_and_json_round_trip(minor in any::<i64>(), currency in currencies()) {
            let money = Money::from_minor(minor, currency);
            prop_assert_eq!(money.to_minor(), Some(minor));
            let json = serde_json::to_string(&money).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        }

        #[test]
        fn the_sum_of_parts_is_the_total(parts in prop::collection::vec(-1_000_000_000i64..1_000_000_000, 0..50), currency in currencies()) {
            let sum = parts.iter().try_fold(Money::zero(currency), |sum, part| sum.try_add(Money::from_minor(*part, currency))).unwrap();
            prop_assert_eq!(sum.to_minor(), Some(parts.iter().sum()));
        }

        #[test]
        fn adding_and_subtracting_leaves_the_amount(a in -1_000_000_000i64..1_000_000_000, b in -1_000_000_000i64..1_000_000_000, currency in currencies()) {
            let (a, b) = (Money::from_minor(a, currency), Money::from_minor(b, currency));
            prop_assert_eq!(a.try_add(b).unwrap().try_sub(b).unwrap(), a);
        }

        #[test]
        fn currencies_never_mix(minor in any::<i32>()) {
            let sum = Money::from_minor(minor.into(), Currency::NOK).try_add(Money::from_minor(1, Currency::SEK));
            prop_assert!(sum.is_err());
        }
    }
}
