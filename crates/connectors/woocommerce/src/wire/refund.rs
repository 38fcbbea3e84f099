//! Refunds: WooCommerce keeps the parts below zero, the canonical ones are above.

use super::{Amount, Id, Meta, Utc, bag, filled, meta_text, order::Order};
use serde::Deserialize;
use spindel_connect::ParseError;
use spindel_model::{
    Decimal, Money, RefundAdjustment, RefundLine, Restock, Timestamp, Transaction, TransactionKind, TransactionStatus,
};

#[derive(Clone, Deserialize)]
pub(crate) struct Refund {
    pub id: Id,
    #[serde(default)]
    date_created_gmt: Utc,
    #[serde(default)]
    amount: Amount,
    reason: Option<String>,
    /// The gateway paid it back; otherwise somebody does it by hand.
    #[serde(default)]
    refunded_payment: bool,
    #[serde(default)]
    line_items: Vec<Line>,
    #[serde(default)]
    shipping_lines: Vec<Part>,
    #[serde(default)]
    fee_lines: Vec<Part>,
}

#[derive(Clone, Deserialize)]
struct Line {
    id: Id,
    sku: Option<String>,
    #[serde(default)]
    quantity: Amount,
    #[serde(default)]
    total: Amount,
    #[serde(default)]
    total_tax: Amount,
    #[serde(default)]
    meta_data: Vec<Meta>,
}

#[derive(Clone, Deserialize)]
struct Part {
    #[serde(default)]
    total: Amount,
    #[serde(default)]
    total_tax: Amount,
}

impl Part {
    fn whole(&self) -> Decimal {
        (self.total.or_zero() + self.total_tax.or_zero()).abs()
    }
}

impl Refund {
    pub fn created(&self) -> Result<Timestamp, ParseError> {
        let missing = || ParseError::Content(format!("refund {} has no time: expected `date_created_gmt`", self.id.0));
        self.date_created_gmt.0.ok_or_else(missing)
    }

    pub fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    /// Currency, payment and whether prices include tax are the order's.
    pub fn canonical(self, order: &Order) -> Result<spindel_model::Refund, ParseError> {
        let created_at = self.created()?;
        let bag = |amount| bag(amount, order.currency);
        let total = self.amount.or_zero().abs();
        let shipping: Decimal = self.shipping_lines.iter().map(Part::whole).sum();
        let fees: Decimal = self.fee_lines.iter().map(Part::whole).sum();
        let goods: Decimal = self.line_items.iter().map(|it| (it.total.or_zero() + it.total_tax.or_zero()).abs()).sum();
        let rest = total - goods - shipping - fees;
        let id = format!("{}/{}", order.id.0, self.id.0);
        let adjustment = |(reason, amount): (&str, Decimal)| RefundAdjustment { reason: reason.to_owned(), amount: bag(amount) };
        let adjustments = [("fee", fees), ("difference", rest)].into_iter().filter(|(_, amount)| !amount.is_zero());
        let adjustments = adjustments.map(adjustment).collect();
        let paid_back = self.refunded_payment.then(|| Transaction {
            id: id.clone(),
            parent_id: order.payment(),
            gateway: order.payment_method(),
            kind: TransactionKind::Refund,
            status: TransactionStatus::Success,
            amount: Money::new(total, order.currency).scaled(),
            processed_at: created_at,
            reference: order.payment(),
            expires_at: None,
            test: false,
        });
        Ok(spindel_model::Refund {
            id,
            order: order.reference(),
            payment: order.payment(),
            created_at,
            note: filled(self.reason),
            lines: self.line_items.into_iter().map(|line| line.canonical(order)).collect(),
            shipping: (!shipping.is_zero()).then(|| bag(shipping)),
            adjustments,
            transactions: paid_back.into_iter().collect(),
            total: bag(total),
        })
    }
}

impl Line {
    fn canonical(self, order: &Order) -> RefundLine {
        let (net, tax) = (self.total.or_zero().abs(), self.total_tax.or_zero().abs());
        let subtotal = if order.prices_include_tax { net + tax } else { net };
        RefundLine {
            line_id: meta_text(&self.meta_data, "_refunded_item_id").unwrap_or(self.id.0),
            sku: filled(self.sku),
            quantity: self.quantity.or_zero().abs().normalize(),
            subtotal: bag(subtotal, order.currency),
            tax: bag(tax, order.currency),
            // WooCommerce does not tell; what was put back on stock comes as a change of the stock.
            restock: Restock::No,
            location_id: None,
        }
    }
}
