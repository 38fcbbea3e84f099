//! Amounts as Odoo 19 computes them: per line, and for the document either summed or rounded globally per tax.

use super::records::{Db, Id, TaxRounding};
use rust_decimal::{Decimal, RoundingStrategy};
use std::collections::BTreeMap;

/// One line to be taxed.
pub(super) struct Taxable {
    pub quantity: Decimal,
    pub price_unit: Decimal,
    pub discount: Decimal,
    pub taxes: Vec<Id>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub untaxed: Decimal,
    pub tax: Decimal,
}

impl Amounts {
    pub(super) fn total(self) -> Decimal {
        self.untaxed + self.tax
    }
}

struct Share {
    tax: Id,
    included: bool,
    amount: Decimal,
}

/// A line before rounding.
struct Raw {
    untaxed: Decimal,
    shares: Vec<Share>,
}

pub(super) fn round(amount: Decimal, digits: u32) -> Decimal {
    amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
}

/// What one line shows (`price_subtotal`, `price_total`): rounded by itself, whatever the document does.
pub(super) fn line(db: &Db, taxable: &Taxable, digits: u32) -> Amounts {
    let raw = raw(db, taxable, digits);
    Amounts { untaxed: round(raw.untaxed, digits), tax: raw.shares.iter().map(|share| round(share.amount, digits)).sum() }
}

pub(super) fn document(db: &Db, lines: &[Taxable], digits: u32) -> Amounts {
    if db.rounding == TaxRounding::PerLine {
        let mut total = Amounts::default();
        for taxable in lines {
            let amounts = line(db, taxable, digits);
            total.untaxed += amounts.untaxed;
            total.tax += amounts.tax;
        }
        return total;
    }
    globally(&lines.iter().map(|taxable| raw(db, taxable, digits)).collect::<Vec<_>>(), digits)
}

/// Each tax is rounded once. When every tax is included in the price the total is what the prices say and the
/// untaxed amount gives way; otherwise the untaxed amount is rounded and the total gives way.
fn globally(lines: &[Raw], digits: u32) -> Amounts {
    let mut per_tax: BTreeMap<Id, Decimal> = BTreeMap::new();
    for share in lines.iter().flat_map(|line| &line.shares) {
        *per_tax.entry(share.tax).or_default() += share.amount;
    }
    let tax: Decimal = per_tax.values().map(|amount| round(*amount, digits)).sum();
    let raw_untaxed: Decimal = lines.iter().map(|line| line.untaxed).sum();
    let raw_tax: Decimal = per_tax.values().sum();
    let all_included = lines.iter().flat_map(|line| &line.shares).all(|share| share.included);
    let untaxed = match all_included {
        true => round(raw_untaxed + raw_tax, digits) - tax,
        false => round(raw_untaxed, digits),
    };
    Amounts { untaxed, tax }
}

fn raw(db: &Db, line: &Taxable, digits: u32) -> Raw {
    let hundred = Decimal::ONE_HUNDRED;
    let rounded = |amount| match db.rounding {
        TaxRounding::PerLine => round(amount, digits),
        TaxRounding::Globally => amount,
    };
    let price = rounded(line.quantity * line.price_unit * (hundred - line.discount) / hundred);
    let rate = |tax: &Id| db.decimal("account.tax", *tax, "amount");
    let included = |tax: &Id| db.flag("account.tax", *tax, "price_include");
    let included_rates: Decimal = line.taxes.iter().filter(|tax| included(tax)).map(rate).sum();
    let shares_in_price = line.taxes.iter().filter(|tax| included(tax)).map(|tax| Share {
        tax: *tax,
        included: true,
        amount: rounded(price * rate(tax) / (hundred + included_rates)),
    });
    let mut shares: Vec<Share> = shares_in_price.collect();
    let untaxed = price - shares.iter().map(|share| share.amount).sum::<Decimal>();
    let on_top = line.taxes.iter().filter(|tax| !included(tax)).map(|tax| Share {
        tax: *tax,
        included: false,
        amount: rounded(untaxed * rate(tax) / hundred),
    });
    shares.extend(on_top);
    Raw { untaxed, shares }
}
