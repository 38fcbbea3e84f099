//! The arithmetic of an order, the same for webhooks and for GraphQL.
//!
//! Shopify keeps `quantity` as first ordered and `current_quantity` as left after edits and refunds, gives a line's
//! discounts and taxes for the former and the totals for the latter. The canonical order stands between: after edits,
//! before refunds.

use super::{sum, unaddable};
use spindel_connect::ParseError;
use spindel_model::{Decimal, DiscountShare, Money, MoneyBag, MoneyError, Order, OrderLine, Refund, TaxLine, Totals, exponent};

/// An order as Shopify tells it.
pub(crate) struct Draft {
    /// All but lines, refunds and totals.
    pub order: Order,
    pub lines: Vec<DraftLine>,
    pub refunds: Vec<DraftRefund>,
    /// After edits and refunds.
    pub current: Sums,
    /// As placed: before edits and refunds.
    pub placed: Sums,
    /// What paying in coins added or took off.
    pub cash_rounding: MoneyBag,
}

#[derive(Clone, Copy)]
pub(crate) struct Sums {
    pub total: MoneyBag,
    pub tax: MoneyBag,
}

/// A line whose discounts and taxes are those of `ordered`.
pub(crate) struct DraftLine {
    pub line: OrderLine,
    pub ordered: Decimal,
    pub current: Decimal,
}

/// A refund, and what it took off the order's `current` totals.
pub(crate) struct DraftRefund {
    pub refund: Refund,
    pub tax: MoneyBag,
    /// Lines, shipping and duties, tax included.
    pub goods: MoneyBag,
}

/// What the order is built from.
#[derive(Clone, Copy, PartialEq)]
enum Basis {
    /// What is left, and what was refunded.
    Current,
    /// What was ordered, and its total.
    Placed,
    /// What was ordered, and no total to hold it against.
    Lines,
}

impl Draft {
    /// The canonical order; an error when its parts do not make up its total.
    pub fn finish(self) -> Result<Order, ParseError> {
        if self.order.cancelled_at.is_none() {
            return self.build(Basis::Current);
        }
        // Nothing is left of a cancelled order, so Shopify's current figures are zero. Where no refunds tell what it
        // consisted of it is shown as placed, and one that was edited before, too, has no total left to be checked by.
        // Its cancellation must arrive all the same.
        let told = self.lines.iter().any(|line| !self.booked(line).is_zero());
        let bases = [Basis::Current, Basis::Placed, Basis::Lines];
        let fits = bases.into_iter().filter(|basis| told || *basis != Basis::Current).find_map(|basis| self.build(basis).ok());
        fits.map_or_else(|| self.build(Basis::Lines), Ok)
    }

    fn build(&self, basis: Basis) -> Result<Order, ParseError> {
        let mut order = self.order.clone();
        order.lines.clear();
        for draft in &self.lines {
            let quantity = match basis {
                Basis::Current => self.booked(draft),
                Basis::Placed | Basis::Lines => draft.ordered,
            };
            if !quantity.is_zero() {
                order.lines.push(draft.scaled(quantity, self.refunded(draft)).map_err(unaddable)?);
            }
        }
        order.refunds = self.refunds.iter().map(|it| it.refund.clone()).collect();
        order.totals = self.totals(&order, basis)?;
        Ok(order)
    }

    fn refunded(&self, line: &DraftLine) -> Decimal {
        let lines = self.refunds.iter().flat_map(|it| &it.refund.lines);
        lines.filter(|refund| refund.line_id == line.line.id).map(|refund| refund.quantity).sum()
    }

    /// After edits, before refunds.
    fn booked(&self, line: &DraftLine) -> Decimal {
        line.current + self.refunded(line)
    }

    fn totals(&self, order: &Order, basis: Basis) -> Result<Totals, ParseError> {
        let zero = MoneyBag::zero(order.currency, order.presentment_currency);
        let subtotal = sum(zero, order.lines.iter().map(|line| line.total))?;
        let shipping = sum(zero, order.shipping_lines.iter().map(|line| line.total))?;
        let charges = sum(zero, order.charges.iter().map(|charge| charge.total))?;
        let discounts = order.lines.iter().flat_map(|line| &line.discounts);
        let discounts = discounts.chain(order.shipping_lines.iter().flat_map(|line| &line.discounts));
        let discount = sum(zero, discounts.map(|share| share.amount))?;
        let tax = match basis {
            Basis::Current => sum(self.current.tax, self.refunds.iter().map(|it| it.tax))?,
            Basis::Placed => self.placed.tax,
            Basis::Lines => sum(zero, taxes(order).map(|tax| tax.amount))?,
        };
        let on_top = if order.prices_include_tax { zero } else { tax };
        let parts = sum(subtotal, [shipping, charges, on_top])?;
        let grand = self.grand(order, basis, parts)?;
        Ok(Totals {
            subtotal,
            discount,
            shipping,
            tax,
            rounding: grand.try_sub(parts).map_err(unaddable)?,
            grand,
            refunded: sum(zero, self.refunds.iter().map(|it| it.refund.total))?,
        })
    }

    /// The total before refunds. What a refund took off Shopify's total is the money paid out, or what the goods were
    /// worth, with or without the difference between the two: whichever makes the parts add up.
    fn grand(&self, order: &Order, basis: Basis, parts: MoneyBag) -> Result<MoneyBag, ParseError> {
        let candidates = match basis {
            Basis::Lines => return Ok(parts),
            Basis::Placed => vec![self.placed.total],
            Basis::Current => {
                let paid = self.refunds.iter().map(|it| it.refund.total);
                let goods = self.refunds.iter().map(|it| it.goods);
                let differences = self.refunds.iter().flat_map(|it| it.refund.adjustments.iter().map(|it| it.amount));
                vec![
                    sum(self.current.total, paid)?,
                    sum(self.current.total, goods.clone())?,
                    sum(self.current.total, goods.chain(differences))?,
                ]
            }
        };
        let pick = |side: fn(&MoneyBag) -> Money| {
            let near = |total: &Money| (total.amount - side(&parts).amount).abs() <= self.slack(order, side);
            candidates.iter().map(side).find(near).ok_or_else(|| {
                let total = candidates.first().map(side).unwrap_or(side(&parts));
                ParseError::Content(format!("order {} does not add up: parts {}, total {total}", order.number, side(&parts)))
            })
        };
        Ok(MoneyBag { shop: pick(|bag| bag.shop)?, presentment: pick(|bag| bag.presentment)? })
    }

    /// What rounding may explain: half a smallest unit for every rounded figure, and the declared cash rounding.
    fn slack(&self, order: &Order, side: fn(&MoneyBag) -> Money) -> Decimal {
        let cash = side(&self.cash_rounding);
        let half = Decimal::new(5, exponent(cash.currency) + 1);
        half * Decimal::from(order.lines.len() + taxes(order).count() + 1) + cash.amount.abs()
    }
}

fn taxes(order: &Order) -> impl Iterator<Item = &TaxLine> {
    let goods = order.lines.iter().flat_map(|line| &line.taxes);
    goods.chain(order.shipping_lines.iter().flat_map(|line| &line.taxes))
}

impl DraftLine {
    /// This line with `quantity` of what was ordered.
    fn scaled(&self, quantity: Decimal, refunded: Decimal) -> Result<OrderLine, MoneyError> {
        let share = |amount: MoneyBag| {
            if quantity == self.ordered || self.ordered.is_zero() {
                return Ok(amount);
            }
            // Multiplied first: a quotient such as 1/3 would not come out even again.
            let product = amount.times(quantity)?;
            Ok(MoneyBag { shop: divided(product.shop, self.ordered)?, presentment: divided(product.presentment, self.ordered)? })
        };
        let mut line = self.line.clone();
        line.quantity = quantity;
        line.quantity_ordered = self.ordered;
        line.quantity_refunded = refunded;
        line.discounts = self
            .line
            .discounts
            .iter()
            .map(|it| Ok(DiscountShare { discount: it.discount, amount: share(it.amount)? }))
            .collect::<Result<_, MoneyError>>()?;
        line.taxes = self
            .line
            .taxes
            .iter()
            .map(|it| Ok(TaxLine { amount: share(it.amount)?, ..it.clone() }))
            .collect::<Result<_, MoneyError>>()?;
        line.total = line.discounts.iter().try_fold(line.unit_price.times(quantity)?, |left, it| left.try_sub(it.amount))?;
        Ok(line)
    }
}

/// Rounded half away from zero to the currency's smallest unit, as Shopify does.
fn divided(money: Money, by: Decimal) -> Result<Money, MoneyError> {
    let amount = money.amount.checked_div(by).ok_or(MoneyError::Range)?;
    Ok(Money::new(amount, money.currency).rounded())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "order_tests.rs"]
mod tests;
