//! Rows of an order. A configurable product stands there twice, a bundle once more than it has parts: each is counted once.

use super::{
    Amount, Flag, Id, filled, some_id,
    sum::{Both, Currencies},
};
use crate::Shop;
use serde::Deserialize;
use spindel_model::{Attributes, Decimal, DiscountShare, LineKind, OrderLine, TaxLine};

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Item {
    pub item_id: Id,
    pub parent_item_id: Option<Id>,
    product_id: Option<Id>,
    product_type: Option<String>,
    pub sku: Option<String>,
    name: Option<String>,
    is_virtual: Flag,
    weight: Amount,
    pub qty_ordered: Amount,
    pub qty_invoiced: Amount,
    pub qty_shipped: Amount,
    pub qty_canceled: Amount,
    pub qty_refunded: Amount,
    price: Amount,
    price_incl_tax: Amount,
    row_total: Amount,
    base_row_total: Amount,
    row_total_incl_tax: Amount,
    base_row_total_incl_tax: Amount,
    tax_percent: Amount,
    tax_amount: Amount,
    base_tax_amount: Amount,
    discount_amount: Amount,
    base_discount_amount: Amount,
    discount_tax_compensation_amount: Amount,
    base_discount_tax_compensation_amount: Amount,
    weee_tax_applied_row_amount: Amount,
    base_weee_tax_applied_row_amnt: Amount,
}

/// What the lines of one order have in common.
pub(crate) struct Parts<'a> {
    pub currencies: Currencies,
    pub shop: &'a Shop,
    /// Title and percent of the taxes of a row.
    pub taxes: &'a dyn Fn(&Item, Both) -> Vec<TaxLine>,
    /// The order is cancelled as a whole: it stays as it was ordered.
    pub cancelled: bool,
}

impl Item {
    fn is_bundle(&self) -> bool {
        self.product_type.as_deref() == Some("bundle")
    }

    pub fn tax(&self) -> Both {
        Both::of(self.base_tax_amount, self.tax_amount)
    }

    fn discount(&self) -> Both {
        Both::of(self.base_discount_amount, self.discount_amount)
    }

    fn fixed_taxes(&self) -> Both {
        Both::of(self.base_weee_tax_applied_row_amnt, self.weee_tax_applied_row_amount)
    }

    /// What is paid for the row, tax included. Holds whatever the shop's settings for taxes and discounts are.
    pub fn payable(&self) -> Both {
        let compensation = Both::of(self.base_discount_tax_compensation_amount, self.discount_tax_compensation_amount);
        Both::of(self.base_row_total, self.row_total) + self.tax() + compensation + self.fixed_taxes() - self.discount()
    }

    fn listed(&self, included: bool) -> Both {
        let row = match included {
            true => Both::of(self.base_row_total_incl_tax, self.row_total_incl_tax),
            false => Both::of(self.base_row_total, self.row_total),
        };
        row + self.fixed_taxes()
    }

    /// As a fraction.
    pub fn tax_rate(&self) -> Decimal {
        (self.tax_percent.or_zero() / Decimal::ONE_HUNDRED).normalize()
    }

    pub fn is_sent(&self) -> bool {
        !self.is_virtual.0 && !matches!(self.product_type.as_deref(), Some("virtual" | "downloadable"))
    }

    fn kind(&self) -> LineKind {
        match self.product_type.as_deref() {
            _ if !self.is_sent() => LineKind::Digital,
            Some("giftcard") => LineKind::GiftCard,
            _ => LineKind::Physical,
        }
    }

    /// As Magento itself reckons it: what was sent and came back is not sent again.
    pub fn to_send(&self) -> Decimal {
        let gone = self.qty_shipped.or_zero() + self.qty_refunded.or_zero() + self.qty_canceled.or_zero();
        (self.qty_ordered.or_zero() - gone).max(Decimal::ZERO)
    }

    pub fn to_refund(&self) -> Decimal {
        (self.qty_invoiced.or_zero() - self.qty_refunded.or_zero()).max(Decimal::ZERO)
    }
}

/// All rows of an order.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a>(pub &'a [Item]);

impl<'a> Rows<'a> {
    pub fn find(self, id: &str) -> Option<&'a Item> {
        self.0.iter().find(|it| it.item_id.0 == id)
    }

    pub fn parent(self, row: &Item) -> Option<&'a Item> {
        self.find(&row.parent_item_id.as_ref()?.0)
    }

    pub fn parts(self, of: &'a Item) -> impl Iterator<Item = &'a Item> {
        self.0.iter().filter(move |it| it.parent_item_id.as_ref() == Some(&of.item_id))
    }

    /// A bundle with a price of its own has parts without; otherwise its price is the sum of theirs.
    fn is_sum_of_parts(self, row: &'a Item) -> bool {
        row.is_bundle() && self.parts(row).any(|it| !it.row_total.or_zero().is_zero())
    }

    fn counts(self, row: &'a Item) -> bool {
        match self.parent(row) {
            None => !self.is_sum_of_parts(row),
            Some(parent) => self.is_sum_of_parts(parent),
        }
    }

    /// The rows that are lines of the order.
    pub fn counted(self) -> impl Iterator<Item = &'a Item> {
        self.0.iter().filter(move |it| self.counts(it))
    }

    /// The line that this row, or the row that it belongs to, stands for, and how many of it one of this row makes.
    pub fn lines_of(self, row: &'a Item) -> Vec<(&'a Item, Decimal)> {
        if self.counts(row) {
            return vec![(row, Decimal::ONE)];
        }
        if self.is_sum_of_parts(row) {
            return self.parts(row).map(|part| (part, ratio(part, row))).collect();
        }
        let parent = self.parent(row).filter(|it| self.counts(it));
        parent.map(|parent| vec![(parent, ratio(parent, row))]).unwrap_or_default()
    }

    /// The rows that a shipment names for a line: of a bundle the whole, or its parts where they are sent apart.
    pub fn sent_as(self, line: &'a Item, bundles_apart: bool) -> Vec<(&'a Item, Decimal)> {
        if line.is_bundle() && bundles_apart {
            return self.parts(line).map(|part| (part, ratio(part, line))).collect();
        }
        match self.parent(line) {
            Some(parent) if parent.is_bundle() && !bundles_apart => vec![(parent, ratio(parent, line))],
            _ => vec![(line, Decimal::ONE)],
        }
    }

    pub fn line(self, row: &'a Item, parts: &Parts<'_>) -> OrderLine {
        let ordered = row.qty_ordered.or_zero();
        let dropped = if parts.cancelled { Decimal::ZERO } else { row.qty_canceled.or_zero().min(ordered) };
        let quantity = ordered - dropped;
        let whole = if dropped.is_zero() { None } else { quantity.checked_div(ordered) };
        let left = |amount: Both| whole.map_or(amount, |share| amount.part(share, parts.currencies));
        let included = parts.shop.prices_include_tax;
        let total = if included { row.payable() } else { row.payable() - row.tax() };
        // A difference without a discount is rounding, and then the price is what is paid.
        let listed = if row.discount().is_zero() { total } else { row.listed(included) };
        let (total, listed) = (left(total), left(listed));
        let variant = self.parts(row).next().filter(|_| row.product_type.as_deref() == Some("configurable"));
        OrderLine {
            id: row.item_id.0.clone(),
            sku: filled(row.sku.clone()),
            product_id: some_id(row.product_id.as_ref()),
            variant_id: some_id(variant.unwrap_or(row).product_id.as_ref()),
            title: row.name.clone().unwrap_or_default(),
            kind: row.kind(),
            grams: row.weight.0.filter(|it| !it.is_zero()).map(|it| parts.shop.weight_unit.to_grams(it)),
            quantity,
            quantity_ordered: ordered,
            quantity_refunded: row.qty_refunded.or_zero(),
            unit_price: parts.currencies.bag(unit(listed, quantity)),
            discounts: share(listed - total, parts.currencies),
            taxes: (parts.taxes)(row, left(row.tax())),
            total: parts.currencies.bag(total),
            attributes: self.attributes(row),
        }
    }

    fn attributes(self, row: &'a Item) -> Attributes {
        let mut attributes = Attributes::new();
        if row.is_bundle() {
            let part = |it: &Item| serde_json::json!({ "sku": it.sku, "quantity": it.qty_ordered.or_zero().to_string() });
            attributes.insert("parts".to_owned(), self.parts(row).map(part).collect());
        }
        if let Some(sku) = self.parent(row).and_then(|it| it.sku.clone()) {
            attributes.insert("bundle".to_owned(), sku.into());
        }
        attributes
    }
}

fn ratio(of: &Item, to: &Item) -> Decimal {
    of.qty_ordered.or_zero().checked_div(to.qty_ordered.or_zero()).unwrap_or_default().normalize()
}

fn unit(listed: Both, quantity: Decimal) -> Both {
    let of = |amount: Decimal| amount.checked_div(quantity).map_or(amount, |it| it.round_dp(6)).normalize();
    Both { shop: of(listed.shop), seen: of(listed.seen) }
}

/// The one discount of an order: see `order::Order::discounts`.
fn share(taken: Both, currencies: Currencies) -> Vec<DiscountShare> {
    if taken.is_zero() {
        return Vec::new();
    }
    vec![DiscountShare { discount: 0, amount: currencies.bag(taken) }]
}

impl crate::settings::WeightUnit {
    pub(crate) fn to_grams(self, weight: Decimal) -> Decimal {
        weight.checked_mul(self.grams()).unwrap_or_default().normalize()
    }

    /// In one of it.
    pub(crate) fn grams(self) -> Decimal {
        match self {
            Self::Kgs => Decimal::ONE_THOUSAND,
            Self::Lbs => Decimal::new(45_359_237, 5),
        }
    }
}
