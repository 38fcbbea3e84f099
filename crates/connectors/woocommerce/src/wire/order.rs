//! Orders. WooCommerce keeps every amount of a line without tax and the tax beside it; where the shop's prices include tax
//! the two are put together again.

use super::{
    Address, Amount, Id, Meta, Utc, bag, filled,
    lines::{Coupon, Fee, Line, Parts, Rate, Shipping, public},
    meta_text, some_id,
};
use crate::Shop;
use jiff::SignedDuration;
use serde::Deserialize;
use spindel_connect::ParseError;
use spindel_model::{
    Attributes, Charge, Currency, Customer, Decimal, Discount, DiscountKind, FulfilmentState, Money, MoneyBag, OrderLine,
    OrderRef, PaymentState, Refund, ShippingLine, Timestamp, Topic, Totals, Transaction, TransactionKind, TransactionStatus,
    exponent,
};

#[derive(Clone, Deserialize)]
pub(crate) struct Order {
    pub id: Id,
    number: Option<Id>,
    pub status: String,
    pub currency: Currency,
    #[serde(default)]
    pub prices_include_tax: bool,
    created_via: Option<String>,
    #[serde(default)]
    date_created_gmt: Utc,
    #[serde(default)]
    date_modified_gmt: Utc,
    #[serde(default)]
    pub date_paid_gmt: Utc,
    #[serde(default)]
    date_completed_gmt: Utc,
    #[serde(default)]
    pub total: Amount,
    #[serde(default)]
    total_tax: Amount,
    customer_id: Option<Id>,
    customer_note: Option<String>,
    #[serde(default)]
    billing: Address,
    #[serde(default)]
    shipping: Address,
    payment_method: Option<String>,
    payment_method_title: Option<String>,
    transaction_id: Option<String>,
    #[serde(default)]
    pub meta_data: Vec<Meta>,
    #[serde(default)]
    pub line_items: Vec<Line>,
    #[serde(default)]
    tax_lines: Vec<Rate>,
    #[serde(default)]
    shipping_lines: Vec<Shipping>,
    #[serde(default)]
    fee_lines: Vec<Fee>,
    #[serde(default)]
    coupon_lines: Vec<Coupon>,
    #[serde(default)]
    pub refunds: Vec<Refunded>,
}

/// The short form of a refund within an order; below zero.
#[derive(Clone, Deserialize)]
pub(crate) struct Refunded {
    #[serde(default)]
    pub total: Amount,
}

impl Order {
    pub fn number(&self) -> String {
        self.number.as_ref().unwrap_or(&self.id).0.clone()
    }

    pub fn reference(&self) -> OrderRef {
        OrderRef { id: Some(self.id.0.clone()), number: Some(self.number()) }
    }

    /// Being typed, or a basket that somebody may yet leave.
    pub fn is_draft(&self) -> bool {
        matches!(self.status.as_str(), "auto-draft" | "checkout-draft" | "draft")
    }

    pub fn is_in_trash(&self) -> bool {
        self.status == "trash"
    }

    pub fn modified(&self) -> Result<Timestamp, ParseError> {
        self.date_modified_gmt
            .0
            .or(self.date_created_gmt.0)
            .ok_or_else(|| ParseError::Content(format!("order {} has no time: expected `date_modified_gmt`", self.id.0)))
    }

    /// There is one word for every change of an order. What it was is told by the times that go with it.
    pub fn topic(&self) -> Topic {
        const AT_ONCE: SignedDuration = SignedDuration::from_secs(10);
        let just = |at: Utc| match (at.0, self.date_modified_gmt.0) {
            (Some(at), Some(modified)) => modified.duration_since(at).abs() <= AT_ONCE,
            _ => false,
        };
        match self.status.as_str() {
            "cancelled" => Topic::OrderCancelled,
            "completed" if just(self.date_completed_gmt) => Topic::OrderFulfilled,
            "completed" | "processing" if just(self.date_paid_gmt) => Topic::OrderPaid,
            _ => Topic::OrderUpdated,
        }
    }

    pub fn refunded(&self) -> Decimal {
        self.refunds.iter().map(|it| it.total.or_zero().abs()).sum()
    }

    pub fn payment_method(&self) -> String {
        filled(self.payment_method.clone()).unwrap_or_else(|| "unknown".to_owned())
    }

    pub fn payment(&self) -> Option<String> {
        filled(self.transaction_id.clone())
    }

    fn reserves(&self, shop: &Shop) -> bool {
        self.payment_method.as_ref().is_some_and(|method| shop.reserving_methods.contains(method))
    }

    /// What came in, as far as WooCommerce knows: the whole order, at once.
    pub fn transaction(&self, shop: &Shop) -> Option<Transaction> {
        let processed_at = self.date_paid_gmt.0?;
        let kind = if self.reserves(shop) { TransactionKind::Authorization } else { TransactionKind::Sale };
        Some(Transaction {
            id: self.payment().unwrap_or_else(|| format!("{}/paid", self.id.0)),
            parent_id: None,
            gateway: self.payment_method(),
            kind,
            status: TransactionStatus::Success,
            amount: Money::new(self.total.or_zero(), self.currency).scaled(),
            processed_at,
            reference: self.payment(),
            expires_at: None,
            test: false,
        })
    }

    fn payment_state(&self, shop: &Shop) -> PaymentState {
        let (refunded, total) = (self.refunded(), self.total.or_zero());
        match self.status.as_str() {
            "refunded" => PaymentState::Refunded,
            _ if !refunded.is_zero() && refunded >= total => PaymentState::Refunded,
            _ if !refunded.is_zero() => PaymentState::PartiallyRefunded,
            "cancelled" => PaymentState::Voided,
            _ if self.date_paid_gmt.0.is_none() => PaymentState::Pending,
            _ if self.reserves(shop) => PaymentState::Authorized,
            _ => PaymentState::Paid,
        }
    }

    /// `refunds`: in full, where they were fetched.
    pub fn canonical(&self, shop: &Shop, refunds: Option<Vec<Refund>>) -> Result<spindel_model::Order, ParseError> {
        let updated_at = self.modified()?;
        let sums = Parts { currency: self.currency, included: self.prices_include_tax, rates: &self.tax_lines };
        let discounts = self.discounts();
        let mut lines: Vec<OrderLine> = self.line_items.iter().map(|line| line.canonical(&sums, &self.coupon_lines)).collect();
        let refunds = refunds.unwrap_or_default();
        for line in &mut lines {
            let back = refunds.iter().flat_map(|it| &it.lines).filter(|it| it.line_id == line.id);
            line.quantity_refunded = back.map(|it| it.quantity).sum();
        }
        let order_point = shop.pickup_point_meta.as_deref().and_then(|key| meta_text(&self.meta_data, key));
        let shipping_lines: Vec<ShippingLine> =
            self.shipping_lines.iter().map(|line| line.canonical(&sums, shop, order_point.clone())).collect();
        let charges: Vec<Charge> = self.fee_lines.iter().map(|fee| fee.canonical(&sums)).collect();
        let billing = self.billing.clone().canonical();
        let status = self.status.as_str();
        let mut order = spindel_model::Order {
            id: self.id.0.clone(),
            number: self.number(),
            placed_at: self.date_created_gmt.0.unwrap_or(updated_at),
            updated_at,
            // There is no time of its own for it.
            cancelled_at: (status == "cancelled").then_some(updated_at),
            cancel_reason: None,
            closed_at: self.date_completed_gmt.0.filter(|_| status == "completed"),
            payment_state: self.payment_state(shop),
            fulfilment_state: match status == "completed" || self.date_completed_gmt.0.is_some() {
                true => FulfilmentState::Fulfilled,
                false => FulfilmentState::Unfulfilled,
            },
            test: false,
            source_channel: filled(self.created_via.clone()),
            currency: self.currency,
            presentment_currency: self.currency,
            prices_include_tax: self.prices_include_tax,
            tax_exempt: false,
            customer: self.customer(billing.clone()),
            email: self.billing.email(),
            phone: self.billing.phone(),
            shipping_address: self.shipping.clone().canonical().or_else(|| billing.clone()),
            billing_address: billing,
            totals: self.totals(&lines, &shipping_lines),
            lines,
            shipping_lines,
            discounts,
            charges,
            transactions: self.transaction(shop).into_iter().collect(),
            refunds,
            note: filled(self.customer_note.clone()),
            tags: Vec::new(),
            attributes: self.attributes(),
        };
        self.settle(&mut order)?;
        Ok(order)
    }

    /// What rounding explains is put in its place; more than that, a part is missing.
    fn settle(&self, order: &mut spindel_model::Order) -> Result<(), ParseError> {
        let parts = order.lines.len() + order.shipping_lines.len() + order.charges.len() + self.tax_lines.len() + 1;
        let unaddable = |error| ParseError::Content(format!("amounts of order {} cannot be added: {error}", self.id.0));
        let rest = order.residue().map_err(unaddable)?.shop.amount;
        let scale = exponent(self.currency);
        // Cash is rounded to at most a whole of the currency, tax by line to the smallest unit.
        let cash = Decimal::new(100, scale).min(Decimal::ONE);
        let explained = Decimal::new(i64::try_from(parts).unwrap_or(i64::MAX), scale).max(cash);
        if rest.abs() > explained {
            return Err(ParseError::Content(format!(
                "order {} does not add up: its total is {} and its parts make {}",
                self.id.0,
                Money::new(self.total.or_zero(), self.currency).scaled(),
                Money::new(self.total.or_zero() - rest, self.currency).scaled(),
            )));
        }
        order.totals.rounding = bag(rest, self.currency);
        Ok(())
    }

    fn totals(&self, lines: &[OrderLine], shipping: &[ShippingLine]) -> Totals {
        let bag = |amount| bag(amount, self.currency);
        let shop = |it: &MoneyBag| it.shop.amount;
        let shares = lines.iter().flat_map(|line| &line.discounts).map(|it| shop(&it.amount)).sum();
        Totals {
            subtotal: bag(lines.iter().map(|it| shop(&it.total)).sum()),
            discount: bag(shares),
            shipping: bag(shipping.iter().map(|it| shop(&it.total)).sum()),
            tax: bag(self.total_tax.or_zero()),
            rounding: bag(Decimal::ZERO),
            grand: bag(self.total.or_zero()),
            refunded: bag(self.refunded()),
        }
    }

    fn discounts(&self) -> Vec<Discount> {
        let coupon =
            |it: &Coupon| Discount { code: filled(Some(it.code.clone())), title: it.code.clone(), kind: DiscountKind::Code };
        let found: Vec<Discount> = self.coupon_lines.iter().map(coupon).collect();
        let by_hand = found.is_empty() && self.line_items.iter().any(|it| it.subtotal.or_zero() > it.total.or_zero());
        if by_hand { vec![Discount { code: None, title: "Discount".into(), kind: DiscountKind::Manual }] } else { found }
    }

    /// Guests are no customers: the order itself has their address.
    fn customer(&self, billing: Option<spindel_model::Address>) -> Option<Customer> {
        let id = some_id(self.customer_id.as_ref())?;
        let name = |part: fn(&spindel_model::Address) -> &Option<String>| billing.as_ref().and_then(|it| part(it).clone());
        Some(Customer {
            id,
            email: self.billing.email(),
            phone: self.billing.phone(),
            first_name: name(|it| &it.first_name),
            last_name: name(|it| &it.last_name),
            default_address: billing,
            locale: None,
            tags: Vec::new(),
            tax_exempt: false,
            email_consent: spindel_model::Consent::default(),
            sms_consent: spindel_model::Consent::default(),
            updated_at: None,
            attributes: Attributes::new(),
        })
    }

    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::from([("status".to_owned(), self.status.clone().into())]);
        for (name, value) in [("payment_method", &self.payment_method), ("payment_method_title", &self.payment_method_title)] {
            if let Some(value) = filled(value.clone()) {
                attributes.insert(name.to_owned(), value.into());
            }
        }
        if let Some(meta) = public(&self.meta_data) {
            attributes.insert("meta".to_owned(), meta);
        }
        attributes
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
