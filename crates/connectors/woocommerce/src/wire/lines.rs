//! The parts of an order: lines, freight, fees, and the coupons that took something off them.

use super::{Amount, Id, Meta, bag, filled, meta_text, some_id, split};
use crate::Shop;
use serde::Deserialize;
use spindel_model::{
    Attributes, Charge, ChargeKind, Currency, Decimal, DiscountShare, LineKind, Money, MoneyBag, OrderLine, ShippingLine, TaxLine,
};

/// Without its `price`, which is a float of a quotient.
#[derive(Clone, Deserialize)]
pub(crate) struct Line {
    pub id: Id,
    #[serde(default)]
    pub(super) name: String,
    pub(super) product_id: Option<Id>,
    pub(super) variation_id: Option<Id>,
    #[serde(default)]
    pub quantity: Amount,
    #[serde(default)]
    pub(super) subtotal: Amount,
    #[serde(default)]
    pub(super) subtotal_tax: Amount,
    #[serde(default)]
    pub(super) total: Amount,
    #[serde(default)]
    pub(super) total_tax: Amount,
    #[serde(default)]
    pub taxes: Vec<Tax>,
    #[serde(default)]
    pub(super) meta_data: Vec<Meta>,
    pub sku: Option<String>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Tax {
    pub id: Id,
    #[serde(default)]
    pub total: Amount,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Rate {
    pub(super) rate_id: Id,
    #[serde(default)]
    pub(super) label: String,
    #[serde(default)]
    pub(super) rate_percent: Amount,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Shipping {
    pub(super) id: Id,
    #[serde(default)]
    pub(super) method_title: String,
    pub(super) method_id: Option<String>,
    #[serde(default)]
    pub(super) total: Amount,
    #[serde(default)]
    pub(super) total_tax: Amount,
    #[serde(default)]
    pub(super) taxes: Vec<Tax>,
    #[serde(default)]
    pub(super) meta_data: Vec<Meta>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Fee {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) total: Amount,
    #[serde(default)]
    pub(super) total_tax: Amount,
    #[serde(default)]
    pub(super) taxes: Vec<Tax>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Coupon {
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) discount: Amount,
}

/// What plug-ins keep with a record for others to see: keys that do not begin with `_`.
pub(super) fn public(meta: &[Meta]) -> Option<serde_json::Value> {
    const MOST: usize = 50;
    let shown = meta.iter().filter(|it| !it.key.is_empty() && !it.key.starts_with('_')).take(MOST);
    let scalar = shown.filter(|it| !it.value.is_array() && !it.value.is_object() && !it.value.is_null());
    let object: serde_json::Map<_, _> = scalar.map(|it| (it.key.clone(), it.value.clone())).collect();
    (!object.is_empty()).then(|| object.into())
}

/// What the parts of one order have in common.
pub(super) struct Parts<'a> {
    pub(super) currency: Currency,
    pub(super) included: bool,
    pub(super) rates: &'a [Rate],
}

impl Parts<'_> {
    /// With or without its tax, as the order says.
    fn with_tax(&self, amount: Amount, tax: Amount) -> Decimal {
        if self.included { amount.or_zero() + tax.or_zero() } else { amount.or_zero() }
    }

    fn bag(&self, amount: Decimal) -> MoneyBag {
        bag(amount, self.currency)
    }

    fn taxes(&self, taxes: &[Tax]) -> Vec<TaxLine> {
        let line = |it: &Tax| {
            let amount = it.total.0?;
            let rate = self.rates.iter().find(|rate| rate.rate_id == it.id);
            Some(TaxLine {
                title: rate.map(|rate| rate.label.clone()).unwrap_or_default(),
                rate: rate.map_or(Decimal::ZERO, |rate| rate.rate_percent.or_zero() / Decimal::ONE_HUNDRED).normalize(),
                amount: MoneyBag::single(Money::new(amount, self.currency).rounded()),
                included: self.included,
            })
        };
        taxes.iter().filter_map(line).collect()
    }
}

impl Line {
    pub(super) fn canonical(&self, parts: &Parts<'_>, coupons: &[Coupon]) -> OrderLine {
        let total = parts.with_tax(self.total, self.total_tax);
        let asked = parts.with_tax(self.subtotal, self.subtotal_tax);
        // A price that was raised by hand is simply the price.
        let list = if asked > total { asked } else { total };
        let quantity = self.quantity.or_zero().normalize();
        let unit = list.checked_div(quantity).map_or(list, |it| it.round_dp(6));
        let product = some_id(self.product_id.as_ref());
        let mut attributes = Attributes::new();
        if let Some(meta) = public(&self.meta_data) {
            attributes.insert("meta".to_owned(), meta);
        }
        OrderLine {
            id: self.id.0.clone(),
            sku: filled(self.sku.clone()),
            variant_id: some_id(self.variation_id.as_ref()).or_else(|| product.clone()),
            product_id: product,
            title: self.name.clone(),
            kind: LineKind::Physical,
            grams: None,
            quantity,
            quantity_ordered: quantity,
            quantity_refunded: Decimal::ZERO,
            unit_price: parts.bag(unit.normalize()),
            discounts: shares(list - total, coupons, parts.currency),
            taxes: parts.taxes(&self.taxes),
            total: parts.bag(total),
            attributes,
        }
    }
}

/// A line says what was taken off it, and not by which coupon: by what each of them took off the order.
fn shares(taken: Decimal, coupons: &[Coupon], currency: Currency) -> Vec<DiscountShare> {
    if taken.is_zero() {
        return Vec::new();
    }
    let weights: Vec<Decimal> = match coupons {
        [] => vec![Decimal::ONE],
        coupons => coupons.iter().map(|it| it.discount.or_zero()).collect(),
    };
    let shares = split(taken, &weights, currency).into_iter().enumerate();
    let some = shares.filter(|(_, amount)| !amount.is_zero());
    some.map(|(discount, amount)| DiscountShare { discount, amount: bag(amount, currency) }).collect()
}

impl Shipping {
    pub(super) fn canonical(&self, parts: &Parts<'_>, shop: &Shop, order_point: Option<String>) -> ShippingLine {
        let total = parts.bag(parts.with_tax(self.total, self.total_tax));
        ShippingLine {
            id: self.id.0.clone(),
            code: filled(self.method_id.clone()),
            title: self.method_title.clone(),
            pickup_point: shop.pickup_point_meta.as_deref().and_then(|key| meta_text(&self.meta_data, key)).or(order_point),
            price: total,
            discounts: Vec::new(),
            taxes: parts.taxes(&self.taxes),
            total,
        }
    }
}

impl Fee {
    pub(super) fn canonical(&self, parts: &Parts<'_>) -> Charge {
        Charge {
            kind: ChargeKind::Fee,
            title: self.name.clone().unwrap_or_default(),
            total: parts.bag(parts.with_tax(self.total, self.total_tax)),
            taxes: parts.taxes(&self.taxes),
        }
    }
}
