//! The arithmetic of a refund, the same for webhooks and for GraphQL.

use super::{Currencies, order::DraftRefund, sum};
use spindel_connect::ParseError;
use spindel_model::{Decimal, MoneyBag, OrderRef, Refund, RefundAdjustment, RefundLine, Restock, Timestamp, Transaction};

/// A refund as Shopify tells it.
pub(crate) struct RefundDraft {
    pub id: String,
    pub order: OrderRef,
    pub created_at: Timestamp,
    pub note: Option<String>,
    pub lines: Vec<RefundLine>,
    /// Amount and its tax.
    pub shipping: Vec<(MoneyBag, MoneyBag)>,
    /// Reason, amount and its tax; positive is given back.
    pub adjustments: Vec<(String, MoneyBag, MoneyBag)>,
    pub duties: MoneyBag,
    pub transactions: Vec<Transaction>,
    /// What was paid out, or is about to be, where it is told in that currency.
    pub paid: Paid,
    /// Tax comes on top of the amounts instead of being part of them.
    pub tax_on_top: bool,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Paid {
    pub shop: Option<Decimal>,
    pub presentment: Option<Decimal>,
}

impl RefundDraft {
    pub fn finish(self, currencies: Currencies) -> Result<DraftRefund, ParseError> {
        let zero = currencies.zero();
        let whole = |amount: MoneyBag, tax: MoneyBag| {
            if self.tax_on_top { sum(amount, [tax]) } else { Ok(amount) }
        };
        let mut goods = self.duties;
        let mut tax = zero;
        for line in &self.lines {
            goods = sum(goods, [whole(line.subtotal, line.tax)?])?;
            tax = sum(tax, [line.tax])?;
        }
        let mut shipping = zero;
        for (amount, its_tax) in &self.shipping {
            shipping = sum(shipping, [whole(*amount, *its_tax)?])?;
            tax = sum(tax, [*its_tax])?;
        }
        goods = sum(goods, [shipping])?;
        let mut adjustments = Vec::with_capacity(self.adjustments.len());
        let mut adjusted = goods;
        for (reason, amount, its_tax) in &self.adjustments {
            let amount = whole(*amount, *its_tax)?;
            adjusted = sum(adjusted, [amount])?;
            tax = sum(tax, [*its_tax])?;
            adjustments.push(RefundAdjustment { reason: reason.clone(), amount });
        }
        let refund = Refund {
            id: self.id,
            order: self.order,
            payment: None,
            created_at: self.created_at,
            note: self.note,
            total: self.paid.total(goods, adjusted),
            lines: self.lines,
            shipping: (!self.shipping.is_empty()).then_some(shipping),
            adjustments,
            transactions: self.transactions,
        };
        Ok(DraftRefund { refund, tax, goods })
    }
}

impl Paid {
    /// The money that moved; where none did, what the goods were worth. In a currency that the payment does not name,
    /// the goods with their adjustments.
    fn total(self, goods: MoneyBag, adjusted: MoneyBag) -> MoneyBag {
        let mut total = if self.shop.is_none() && self.presentment.is_none() { goods } else { adjusted };
        if let Some(amount) = self.shop {
            total.shop.amount = amount;
        }
        if let Some(amount) = self.presentment {
            total.presentment.amount = amount;
        }
        total
    }
}

/// `no_restock`, `cancel`, `return` or `legacy_restock`, in either spelling.
pub(crate) fn restock(word: &str) -> Restock {
    match word.to_ascii_lowercase().as_str() {
        "cancel" => Restock::Cancel,
        "return" | "legacy_restock" => Restock::Return,
        _ => Restock::No,
    }
}
