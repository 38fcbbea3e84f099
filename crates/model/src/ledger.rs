//! The account of money: what an order asks for, what moved at the provider, what reached the bank. The three must agree.

use crate::{
    Change, FulfilmentState, Money, Order, OrderRef, PaymentState, Payout, PayoutLine, PayoutLineKind, PayoutState, Record,
    Topic, Transaction, TransactionKind, TransactionStatus, UnknownName, change::names, normalised_number,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// One fact about money, as its source told it last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub kind: LedgerKind,
    /// The source's own id; with the connection and the kind it is unique.
    pub id: String,
    /// The order's number as people type it: without `#`, in lower case.
    pub order: Option<String>,
    /// The provider's reference of the payment.
    pub payment: Option<String>,
    /// By what an order was paid, in its source's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// Signed: money to the shop is positive.
    pub amount: Money,
    pub at: Timestamp,
    /// When an authorisation lapses.
    pub expires_at: Option<Timestamp>,
    /// The payout that a line belongs to.
    pub payout: Option<String>,
}

/// `[payments]`: whose money is to be matched with whose, and how long it may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Payments {
    /// Connections whose orders are what was sold.
    pub orders: Vec<String>,
    /// Connections whose transactions and payouts are what was paid.
    pub providers: Vec<String>,
    /// What a provider is asked for this often, where it can be.
    pub every: Duration,
    /// Between an order and its payment.
    pub payment_after: Duration,
    /// Between a payment and its payout.
    pub payout_after: Duration,
    /// An authorisation that lapses sooner than this is told of.
    pub warn_before: Duration,
    /// Gateways, in the shop's word, that none of the providers stands behind.
    pub except: Vec<String>,
}

names! {
    LedgerKind, "kind of ledger entry" {
        /// What an order that was paid asks for, less what was given back.
        Order = "order",
        Authorization = "authorization",
        Capture = "capture",
        Refund = "refund",
        /// An authorisation was let go.
        Void = "void",
        /// A payment, or a part of one, in a payout.
        Charged = "charged",
        /// A refund, or a dispute that was lost, in a payout.
        GivenBack = "given_back",
    }
}

impl Change {
    /// What this change says about money. A warning says nothing new.
    pub fn ledger(&self) -> Vec<LedgerEntry> {
        match &self.record {
            _ if self.topic == Topic::TransactionExpiring => Vec::new(),
            Record::Order(order) => of_order(order).into_iter().collect(),
            Record::Transaction { order, transaction } => of_transaction(order, transaction).into_iter().collect(),
            Record::Payout(payout) => of_payout(payout),
            _ => Vec::new(),
        }
    }
}

/// What was paid for, or sent, and not given back; else zero, so that a word taken back is known to be.
fn of_order(order: &Order) -> Option<LedgerEntry> {
    let held = || order.transactions.iter().filter(|it| it.status == TransactionStatus::Success);
    let paid = || held().filter(|it| matches!(it.kind, TransactionKind::Capture | TransactionKind::Sale));
    let totals = &order.totals;
    let in_shop = held().next().is_some_and(|it| it.amount.currency == totals.grand.shop.currency);
    let (grand, refunded) = match in_shop {
        true => (totals.grand.shop, totals.refunded.shop),
        false => (totals.grand.presentment, totals.refunded.presentment),
    };
    let amount = match order.payment_state {
        PaymentState::Paid | PaymentState::PartiallyRefunded | PaymentState::Refunded => grand.try_sub(refunded).ok()?,
        // The goods are gone: the money is due, and somebody must know when it was never taken.
        PaymentState::Authorized if order.fulfilment_state == FulfilmentState::Fulfilled => grand.try_sub(refunded).ok()?,
        PaymentState::PartiallyPaid => {
            let parts = paid().try_fold(Money::zero(grand.currency), |sum, it| sum.try_add(it.amount));
            parts.and_then(|parts| parts.try_sub(refunded)).ok()?
        }
        PaymentState::Pending | PaymentState::Authorized | PaymentState::Voided | PaymentState::Expired => {
            Money::zero(grand.currency)
        }
    };
    Some(LedgerEntry {
        kind: LedgerKind::Order,
        id: order.id.clone(),
        order: Some(normalised_number(&order.number)),
        payment: order.payment().map(str::to_owned),
        gateway: paid().chain(held()).next().map(|it| it.gateway.clone()),
        amount,
        at: order.placed_at,
        expires_at: None,
        payout: None,
    })
}

fn of_transaction(order: &OrderRef, it: &Transaction) -> Option<LedgerEntry> {
    if it.status != TransactionStatus::Success {
        return None;
    }
    let (kind, amount) = match it.kind {
        TransactionKind::Authorization => (LedgerKind::Authorization, it.amount),
        TransactionKind::Capture | TransactionKind::Sale => (LedgerKind::Capture, it.amount),
        TransactionKind::Refund => (LedgerKind::Refund, Money::new(-it.amount.amount, it.amount.currency)),
        TransactionKind::Void => (LedgerKind::Void, it.amount),
    };
    Some(LedgerEntry {
        kind,
        id: it.id.clone(),
        order: order.number.as_deref().map(normalised_number),
        payment: it.reference.clone(),
        gateway: Some(it.gateway.clone()),
        amount,
        at: it.processed_at,
        expires_at: it.expires_at.filter(|_| kind == LedgerKind::Authorization),
        payout: None,
    })
}

/// Fees and adjustments belong to no order: they are the provider's business with the shop.
fn of_payout(payout: &Payout) -> Vec<LedgerEntry> {
    if matches!(payout.state, PayoutState::Failed | PayoutState::Cancelled) {
        return Vec::new();
    }
    let line = |line: &PayoutLine| {
        let kind = match line.kind {
            PayoutLineKind::Charge => LedgerKind::Charged,
            PayoutLineKind::Refund | PayoutLineKind::Dispute => LedgerKind::GivenBack,
            PayoutLineKind::Fee | PayoutLineKind::Adjustment => return None,
        };
        Some(LedgerEntry {
            kind,
            id: line.id.clone(),
            order: line.order.number.as_deref().map(normalised_number),
            payment: line.payment.clone(),
            gateway: None,
            amount: line.gross,
            at: line.at,
            expires_at: None,
            payout: Some(payout.id.clone()),
        })
    };
    payout.lines.iter().filter_map(line).collect()
}
