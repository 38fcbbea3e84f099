//! How an order's money adds up, in Decimal, in the shop's currency and in the buyer's at once.
//!
//! At placement, per currency on its own: a line is unit price × quantity; each discount is spread over what is left of
//! the lines (a percentage rounded per line; a fixed sum by running totals, so that the shares add up to it); each tax is
//! rounded per line, taken out of the discounted line when prices include it and put on top when they do not; shipping likewise.
//! The buyer's unit prices are the shop's at the fixed rate, rounded once; everything else is computed from them.
//!
//! After edits and refunds: of a line with `current` of `quantity` left, every discount share and every tax counts
//! `amount × current / quantity`, each rounded half away from zero to the smallest unit of its currency, then summed.
//! The unit price stays exact. A refund of a line is the difference between that line before and after, so a line that
//! is refunded piece by piece gives back exactly what was paid for it.

use rust_decimal::{Decimal, RoundingStrategy};
use spindel_model::{Currency, exponent};
use std::{
    iter::Sum,
    ops::{Add, AddAssign, Sub, SubAssign},
};

/// One amount in the shop's currency and in the buyer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub shop: Decimal,
    pub presentment: Decimal,
}

impl Amount {
    pub(crate) const ZERO: Self = Self { shop: Decimal::ZERO, presentment: Decimal::ZERO };

    pub fn is_zero(self) -> bool {
        self.shop.is_zero() && self.presentment.is_zero()
    }

    fn map(self, mut f: impl FnMut(Decimal) -> Decimal) -> Self {
        Self { shop: f(self.shop), presentment: f(self.presentment) }
    }

    pub(crate) fn times(self, quantity: u32) -> Self {
        self.map(|amount| amount * Decimal::from(quantity))
    }
}

impl Add for Amount {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { shop: self.shop + other.shop, presentment: self.presentment + other.presentment }
    }
}

impl Sub for Amount {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { shop: self.shop - other.shop, presentment: self.presentment - other.presentment }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// The two currencies of a shop and the fixed rate between them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Currencies {
    pub shop: Currency,
    pub presentment: Currency,
    /// What one unit of the shop's currency costs in the buyer's.
    pub rate: Decimal,
}

impl Currencies {
    /// The amount in both currencies, each rounded to its smallest unit.
    pub(crate) fn convert(&self, shop: Decimal) -> Amount {
        Amount { shop: round(shop, exponent(self.shop)), presentment: round(shop * self.rate, exponent(self.presentment)) }
    }

    /// The amount in both currencies, from the buyer's.
    pub(crate) fn convert_back(&self, presentment: Decimal) -> Amount {
        Amount {
            shop: round(presentment / self.rate, exponent(self.shop)),
            presentment: round(presentment, exponent(self.presentment)),
        }
    }

    fn rounded(&self, amount: Amount) -> Amount {
        Amount {
            shop: round(amount.shop, exponent(self.shop)),
            presentment: round(amount.presentment, exponent(self.presentment)),
        }
    }

    /// `amount × part / whole`, rounded; nothing of nothing.
    pub(crate) fn share(&self, amount: Amount, part: Decimal, whole: Decimal) -> Amount {
        if whole.is_zero() {
            return Amount::ZERO;
        }
        self.rounded(amount.map(|amount| amount * part / whole))
    }

    /// The tax on a discounted amount.
    pub(crate) fn tax(&self, net: Amount, rate: Decimal, included: bool) -> Amount {
        let factor = if included { rate / (Decimal::ONE + rate) } else { rate };
        self.rounded(net.map(|net| net * factor))
    }

    /// Spreads `discount` over the amounts that are left.
    pub(crate) fn spread(&self, discount: Reduction, left: &[Amount]) -> Vec<Amount> {
        match discount {
            Reduction::Percentage(percent) => {
                left.iter().map(|amount| self.rounded(amount.map(|amount| amount * percent / Decimal::ONE_HUNDRED))).collect()
            }
            Reduction::Fixed(sum) => {
                let sum = self.convert(sum);
                let shop: Vec<Decimal> = left.iter().map(|amount| amount.shop).collect();
                let presentment: Vec<Decimal> = left.iter().map(|amount| amount.presentment).collect();
                spread_sum(sum.shop, &shop, exponent(self.shop))
                    .into_iter()
                    .zip(spread_sum(sum.presentment, &presentment, exponent(self.presentment)))
                    .map(|(shop, presentment)| Amount { shop, presentment })
                    .collect()
            }
        }
    }
}

/// What a discount takes off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reduction {
    /// 10 is 10 %.
    Percentage(Decimal),
    /// In the shop's currency; never more than there is.
    Fixed(Decimal),
}

/// Shares by running totals: they add up to `sum`, and none exceeds what is left.
fn spread_sum(sum: Decimal, left: &[Decimal], digits: u32) -> Vec<Decimal> {
    let whole: Decimal = left.iter().sum();
    if whole.is_zero() {
        return vec![Decimal::ZERO; left.len()];
    }
    let sum = sum.min(whole);
    let (mut seen, mut given) = (Decimal::ZERO, Decimal::ZERO);
    left.iter()
        .map(|amount| {
            seen += amount;
            let until_here = round(sum * seen / whole, digits);
            let share = until_here - given;
            given = until_here;
            share
        })
        .collect()
}

pub(crate) fn round(amount: Decimal, digits: u32) -> Decimal {
    amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
}

/// The text of an amount with all the digits of its currency: `447.00`.
pub(crate) fn text(amount: Decimal, currency: Currency) -> String {
    let mut amount = amount;
    amount.rescale(exponent(currency));
    amount.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_fixed_discount_is_spread_to_the_last_cent() {
        let left = [dec("10.00"), dec("10.00"), dec("10.00")];
        let shares = spread_sum(dec("10.00"), &left, 2);
        assert_eq!(shares, [dec("3.33"), dec("3.34"), dec("3.33")]);
        assert_eq!(spread_sum(dec("99"), &left, 2), left);
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        assert_eq!(round(dec("0.125"), 2), dec("0.13"));
        assert_eq!(round(dec("-0.125"), 2), dec("-0.13"));
    }

    #[test]
    fn a_currency_without_cents_keeps_none() {
        assert_eq!(text(dec("447"), Currency::JPY), "447");
        assert_eq!(text(dec("447"), Currency::NOK), "447.00");
    }
}
