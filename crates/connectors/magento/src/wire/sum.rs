//! Amounts in both currencies at once: `base_grand_total` beside `grand_total`.

use super::Amount;
use spindel_model::{Currency, Decimal, Money, MoneyBag, exponent};
use std::{
    iter::Sum,
    ops::{Add, Sub},
};

/// One amount as the shop keeps its books and as the buyer saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Both {
    pub shop: Decimal,
    pub seen: Decimal,
}

impl Both {
    /// Where only one is told, the two are the same.
    pub fn of(base: Amount, plain: Amount) -> Self {
        Self { shop: base.0.or(plain.0).unwrap_or_default(), seen: plain.0.or(base.0).unwrap_or_default() }
    }

    pub fn is_zero(self) -> bool {
        self.shop.is_zero() && self.seen.is_zero()
    }

    /// A part of it, rounded to what can be paid.
    pub fn part(self, share: Decimal, currencies: Currencies) -> Self {
        let part = |amount: Decimal, currency| {
            let exact = amount.checked_mul(share).unwrap_or_default();
            Money::new(exact, currency).rounded().amount
        };
        Self { shop: part(self.shop, currencies.shop), seen: part(self.seen, currencies.seen) }
    }

    pub fn abs(self) -> Self {
        Self { shop: self.shop.abs(), seen: self.seen.abs() }
    }
}

impl Add for Both {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { shop: self.shop + other.shop, seen: self.seen + other.seen }
    }
}

impl Sub for Both {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { shop: self.shop - other.shop, seen: self.seen - other.seen }
    }
}

impl Sum for Both {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// Base currency of the website, and currency of the order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Currencies {
    pub shop: Currency,
    pub seen: Currency,
}

impl Currencies {
    pub fn bag(self, both: Both) -> MoneyBag {
        MoneyBag { shop: Money::new(both.shop, self.shop).scaled(), presentment: Money::new(both.seen, self.seen).scaled() }
    }

    /// What rounding may make of so many parts, in each currency.
    pub fn slack(self, parts: usize) -> Both {
        let of = |currency| Decimal::new(i64::try_from(parts).unwrap_or(i64::MAX), exponent(currency));
        Both { shop: of(self.shop), seen: of(self.seen) }
    }
}
