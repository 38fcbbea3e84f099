//! The arithmetic of a refund, the same for webhooks and for GraphQL.

use super::{Currencies, filled, order::DraftRefund, sum};
use spindel_connect::ParseError;
use spindel_model::{
    Decimal, MoneyBag, OrderRef, Refund, RefundAdjustment, RefundLine, Restock, Timestamp, Transaction, TransactionKind,
    TransactionStatus,
};

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
            payment: payment(&self.transactions),
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

/// The one payment that the money went back through; nothing when there are several, or none is named.
fn payment(transactions: &[Transaction]) -> Option<String> {
    let counts = |it: &&Transaction| {
        it.kind == TransactionKind::Refund && matches!(it.status, TransactionStatus::Success | TransactionStatus::Pending)
    };
    let mut references = transactions.iter().filter(counts).map(|it| it.reference.as_ref());
    let first = references.next()??;
    references.all(|other| other == Some(first)).then(|| first.clone())
}

/// How a payment is known to its provider: by the id that Shopify gave it, else by what the provider calls it. What moves
/// money of an earlier transaction is of the same payment; its own authorisation names the refund or the void.
pub(crate) struct References {
    pub payment_id: Option<String>,
    pub authorization: Option<String>,
    pub parent_payment_id: Option<String>,
    pub parent_authorization: Option<String>,
}

impl References {
    pub fn of(self, kind: TransactionKind) -> Option<String> {
        let own = self.authorization.filter(|_| !matches!(kind, TransactionKind::Refund | TransactionKind::Void));
        [self.payment_id, self.parent_payment_id, self.parent_authorization, own].into_iter().find_map(filled)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use spindel_model::{Currency, Money};

    fn given_back(reference: Option<&str>, status: TransactionStatus) -> Transaction {
        Transaction {
            id: "55".into(),
            parent_id: Some("54".into()),
            gateway: "nordpay".into(),
            kind: TransactionKind::Refund,
            status,
            amount: Money::from_minor(100, Currency::NOK),
            processed_at: Timestamp::UNIX_EPOCH,
            reference: reference.map(Into::into),
            expires_at: None,
            test: false,
        }
    }

    #[test]
    fn a_refund_names_its_payment_only_where_there_is_just_one() {
        use TransactionStatus::{Failure, Success};
        let one = given_back(Some("r1"), Success);
        let other = given_back(Some("r2"), Success);
        assert_eq!(payment(&[]), None);
        assert_eq!(payment(&[one.clone(), one.clone()]).as_deref(), Some("r1"));
        assert_eq!(payment(&[one.clone(), other]), None);
        assert_eq!(payment(&[one.clone(), given_back(None, Success)]), None);
        assert_eq!(payment(&[one, given_back(Some("r2"), Failure)]).as_deref(), Some("r1"));
    }

    #[test]
    fn what_moves_money_of_a_payment_has_the_reference_of_that_payment() {
        let told = |payment_id: &str, authorization: &str, parent_payment_id: &str, parent_authorization: &str| {
            let text = |text: &str| Some(text.to_owned());
            References {
                payment_id: text(payment_id),
                authorization: text(authorization),
                parent_payment_id: text(parent_payment_id),
                parent_authorization: text(parent_authorization),
            }
        };
        let of = |it: References, kind| it.of(kind);
        assert_eq!(of(told("p", "a", "", ""), TransactionKind::Sale).as_deref(), Some("p"));
        assert_eq!(of(told("", "a", "", ""), TransactionKind::Authorization).as_deref(), Some("a"));
        assert_eq!(of(told("", "capture", "p", "a"), TransactionKind::Capture).as_deref(), Some("p"));
        assert_eq!(of(told("", "capture", "", "a"), TransactionKind::Capture).as_deref(), Some("a"));
        assert_eq!(of(told("", "refund", "", "a"), TransactionKind::Refund).as_deref(), Some("a"));
        assert_eq!(of(told("", "refund", "", ""), TransactionKind::Refund), None);
    }
}
