//! Webhook bodies of refunds and of payments.

use super::{
    Currencies, Id, Set, filled,
    order::DraftRefund,
    refund::{Paid, References, RefundDraft, restock},
    state::{transaction_kind, transaction_status},
};
use serde::Deserialize;
use spindel_connect::ParseError;
use spindel_model::{
    Currency, Decimal, Exact, Money, MoneyBag, OrderRef, RefundLine, Timestamp, Transaction, TransactionKind, TransactionStatus,
};

/// `refunds/create`, and the refunds within an order.
#[derive(Deserialize)]
pub(crate) struct Refund {
    pub id: Id,
    pub order_id: Option<Id>,
    pub created_at: Timestamp,
    note: Option<String>,
    #[serde(default)]
    refund_line_items: Vec<RefundItem>,
    #[serde(default)]
    refund_shipping_lines: Vec<RefundShipping>,
    #[serde(default)]
    order_adjustments: Vec<Adjustment>,
    #[serde(default)]
    transactions: Vec<Payment>,
    total_duties_set: Option<Set>,
}

#[derive(Deserialize)]
struct RefundItem {
    line_item_id: Id,
    quantity: Exact,
    location_id: Option<Id>,
    #[serde(default)]
    restock_type: String,
    /// A number here, where all other money is text.
    subtotal: Option<Exact>,
    subtotal_set: Option<Set>,
    total_tax: Option<Exact>,
    total_tax_set: Option<Set>,
    line_item: Option<RefundedLine>,
}

#[derive(Deserialize)]
struct RefundedLine {
    sku: Option<String>,
    #[serde(default)]
    tax_lines: Vec<Rate>,
}

#[derive(Deserialize)]
struct Rate {
    rate: Option<Exact>,
}

#[derive(Deserialize)]
struct RefundShipping {
    subtotal_amount_set: Option<Set>,
    tax_amount_set: Option<Set>,
}

#[derive(Deserialize)]
struct Adjustment {
    #[serde(default)]
    kind: String,
    reason: Option<String>,
    amount: Option<Exact>,
    amount_set: Option<Set>,
    tax_amount: Option<Exact>,
    tax_amount_set: Option<Set>,
}

impl Refund {
    /// Alone, a refund names neither its currencies nor whether its amounts contain tax: both are read off its parts.
    pub fn draft(
        self,
        order: OrderRef,
        currencies: Option<Currencies>,
        taxes_included: Option<bool>,
    ) -> Result<DraftRefund, ParseError> {
        let currencies = match currencies.or_else(|| self.currencies()) {
            Some(currencies) => currencies,
            None => return Err(ParseError::Content(format!("refund {} names no currency", self.id.0))),
        };
        let tax_on_top = match taxes_included {
            Some(included) => !included,
            None => self.refund_line_items.iter().find_map(RefundItem::tax_on_top).unwrap_or(false),
        };
        let lines = self.refund_line_items.into_iter().map(|it| it.canonical(currencies)).collect::<Result<_, _>>()?;
        // Refunded shipping stands in lines of its own since 2024-07, and among the adjustments before.
        let twice = !self.refund_shipping_lines.is_empty();
        let mut shipping = Vec::new();
        for it in self.refund_shipping_lines {
            shipping.push((
                currencies.bag("subtotal_amount", it.subtotal_amount_set, None)?,
                currencies.bag("tax_amount", it.tax_amount_set, None)?,
            ));
        }
        let mut adjustments = Vec::new();
        for it in self.order_adjustments {
            let amount = given_back(currencies, "amount", it.amount_set, it.amount)?;
            let tax = given_back(currencies, "tax_amount", it.tax_amount_set, it.tax_amount)?;
            match it.kind.as_str() {
                "shipping_refund" if twice => {}
                "shipping_refund" => shipping.push((amount, tax)),
                kind => adjustments.push((filled(it.reason).unwrap_or_else(|| kind.to_owned()), amount, tax)),
            }
        }
        let duties = currencies.bag("total_duties", self.total_duties_set, None)?;
        let paid = paid(&self.transactions, currencies);
        let draft = RefundDraft {
            id: self.id.0,
            order,
            created_at: self.created_at,
            note: filled(self.note),
            lines,
            shipping,
            adjustments,
            duties,
            transactions: self.transactions.into_iter().filter_map(Payment::canonical).collect(),
            paid,
            tax_on_top,
        };
        draft.finish(currencies)
    }

    fn currencies(&self) -> Option<Currencies> {
        let lines = self.refund_line_items.iter().filter_map(|it| it.subtotal_set);
        let shipping = self.refund_shipping_lines.iter().filter_map(|it| it.subtotal_amount_set);
        let adjustments = self.order_adjustments.iter().filter_map(|it| it.amount_set);
        let payments = self.transactions.iter().filter_map(|it| it.amount_set);
        let set = lines.chain(shipping).chain(adjustments).chain(payments).chain(self.total_duties_set).next();
        let single = || self.transactions.first().map(|it| Currencies { shop: it.currency, presentment: it.currency });
        set.map(|set| Currencies::of(set.into())).or_else(single)
    }
}

/// Shopify books what it gives back below zero.
fn given_back(currencies: Currencies, what: &str, set: Option<Set>, plain: Option<Exact>) -> Result<MoneyBag, ParseError> {
    currencies.zero().try_sub(currencies.bag(what, set, plain)?).map_err(super::unaddable)
}

impl RefundItem {
    /// Whether the tax fits its rate on top of the amount better than within it; nothing when it has none.
    fn tax_on_top(&self) -> Option<bool> {
        let rate: Decimal = self.line_item.as_ref()?.tax_lines.iter().filter_map(|tax| tax.rate).map(|rate| rate.0).sum();
        let shop = |set: &Option<Set>, plain: &Option<Exact>| {
            set.map(|set| MoneyBag::from(set).shop.amount).or(plain.map(|plain| plain.0))
        };
        let amount = shop(&self.subtotal_set, &self.subtotal)?;
        let tax = shop(&self.total_tax_set, &self.total_tax)?;
        if rate.is_zero() || tax.is_zero() {
            return None;
        }
        let on_top = amount.checked_mul(rate)?;
        let within = on_top.checked_div(Decimal::ONE + rate)?;
        Some((tax - on_top).abs() < (tax - within).abs())
    }

    fn canonical(self, currencies: Currencies) -> Result<RefundLine, ParseError> {
        Ok(RefundLine {
            line_id: self.line_item_id.0,
            sku: self.line_item.and_then(|line| filled(line.sku)),
            quantity: self.quantity.0,
            subtotal: currencies.bag("subtotal", self.subtotal_set, self.subtotal)?,
            tax: currencies.bag("total_tax", self.total_tax_set, self.total_tax)?,
            restock: restock(&self.restock_type),
            location_id: self.location_id.map(|id| super::gid("Location", &id.0)),
        })
    }
}

fn paid(transactions: &[Payment], currencies: Currencies) -> Paid {
    let total = |currency: Currency, side: fn(MoneyBag) -> Money| {
        let amount = |it: &Payment| match it.amount_set {
            Some(set) => Some(side(set.into()).amount),
            None => (it.currency == currency).then_some(it.amount.0),
        };
        let counted = transactions.iter().filter(|it| it.is_payout());
        counted.filter_map(amount).reduce(|sum, amount| sum + amount)
    };
    Paid { shop: total(currencies.shop, |bag| bag.shop), presentment: total(currencies.presentment, |bag| bag.presentment) }
}

/// `order_transactions/create`, and the transactions within a refund.
#[derive(Deserialize)]
pub(crate) struct Payment {
    pub id: Id,
    pub order_id: Option<Id>,
    parent_id: Option<Id>,
    kind: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    gateway: String,
    amount: Exact,
    amount_set: Option<Set>,
    currency: Currency,
    processed_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    authorization: Option<String>,
    payment_id: Option<String>,
    #[serde(default)]
    test: bool,
}

impl Payment {
    /// When it was processed.
    pub fn at(&self) -> Option<Timestamp> {
        self.processed_at.or(self.created_at)
    }

    fn is_payout(&self) -> bool {
        let status = transaction_status(&self.status);
        transaction_kind(&self.kind) == Some(TransactionKind::Refund)
            && matches!(status, TransactionStatus::Success | TransactionStatus::Pending)
    }

    /// Nothing for kinds that move no money of the order, such as change given in a shop.
    pub fn canonical(self) -> Option<Transaction> {
        let processed_at = self.at().unwrap_or_default();
        let kind = transaction_kind(&self.kind)?;
        // Of the parent a webhook tells only the id.
        let references = References {
            payment_id: self.payment_id,
            authorization: self.authorization,
            parent_payment_id: None,
            parent_authorization: None,
        };
        Some(Transaction {
            id: self.id.0,
            parent_id: self.parent_id.map(|id| id.0),
            gateway: self.gateway,
            kind,
            status: transaction_status(&self.status),
            amount: Money::new(self.amount.0, self.currency),
            processed_at,
            reference: references.of(kind),
            expires_at: None,
            test: self.test,
        })
    }
}
