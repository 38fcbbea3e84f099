//! Stripe's objects as canonical records.
//!
//! A payment that is authorised first has two transactions: `pi_…` is the authorisation, and the charge `ch_…` is what
//! became of it, a capture or a void. One that is taken at once has the charge only. A refund is `re_…`.

use super::{At, BalanceTransaction, Charge, Dispute, Expandable, Metadata, PaymentIntent, Payout, Refund, Source};
use crate::amount::from_minor;
use spindel_model as model;
use spindel_model::{
    DisputeState, MoneyBag, OrderRef, PayoutLine, PayoutLineKind, PayoutState, RefundAdjustment, Timestamp, Transaction,
    TransactionKind, TransactionStatus,
};

const GATEWAY: &str = "stripe";

/// Under which keys of a payment's metadata its order is named.
pub(crate) struct OrderKeys {
    pub id: String,
    pub number: String,
}

impl OrderKeys {
    pub(crate) fn order(&self, metadata: Option<&Metadata>) -> OrderRef {
        let named = |key: &str| metadata.and_then(|it| it.get(key)).filter(|it| !it.trim().is_empty()).cloned();
        OrderRef { id: named(&self.id), number: named(&self.number) }
    }

    /// As the object itself says, else as its payment says where that came with it.
    fn order_of(&self, metadata: Option<&Metadata>, payment: Option<&Expandable<PaymentIntent>>) -> OrderRef {
        let own = self.order(metadata);
        if is_known(&own) {
            return own;
        }
        self.order(payment.and_then(Expandable::object).and_then(|it| it.metadata.as_ref()))
    }
}

pub(crate) fn is_known(order: &OrderRef) -> bool {
    order.id.is_some() || order.number.is_some()
}

impl PaymentIntent {
    /// The buyer's money may have to be captured; a single method can ask for that, too, whatever `capture_method` says.
    pub(crate) fn is_manual(&self) -> bool {
        self.capture_method.as_deref() == Some("manual") || self.status == "requires_capture"
    }

    fn charge(&self) -> Option<&Charge> {
        self.latest_charge.as_ref().and_then(Expandable::object)
    }

    /// Canceled after it was authorised; most canceled payments were never begun.
    fn was_released(&self) -> bool {
        self.status == "canceled" && self.is_manual() && self.latest_charge.is_some() && self.last_payment_error.is_none()
    }

    /// What was held for the shop, captured since or not.
    pub(crate) fn authorization(&self, at: Timestamp) -> Option<Transaction> {
        let held = match self.status.as_str() {
            "requires_capture" => self.amount_capturable.saturating_add(self.amount_received),
            "succeeded" if self.is_manual() => self.amount,
            _ => return None,
        };
        let mut it = self.transaction(self.id.clone(), TransactionKind::Authorization, TransactionStatus::Success, held, at);
        it.parent_id = None;
        it.expires_at = self.charge().and_then(Charge::capture_before);
        Some(it)
    }

    /// What became of it; nothing yet for one that waits for its buyer or for its capture.
    pub(crate) fn outcome(&self, at: Timestamp) -> Option<Transaction> {
        let taken = if self.is_manual() { TransactionKind::Capture } else { TransactionKind::Sale };
        let tried = if self.is_manual() { TransactionKind::Authorization } else { TransactionKind::Sale };
        let charge = self.latest_charge.as_ref().map(Expandable::id);
        let (charge, kind, status, amount) = match self.status.as_str() {
            "succeeded" => (charge, taken, TransactionStatus::Success, self.amount_received),
            "processing" => (charge, tried, TransactionStatus::Pending, self.amount),
            "canceled" if self.was_released() => (charge, TransactionKind::Void, TransactionStatus::Success, self.amount),
            "requires_payment_method" => {
                let problem = self.last_payment_error.as_ref()?;
                (problem.charge.as_deref().or(charge), tried, TransactionStatus::Failure, self.amount)
            }
            _ => return None,
        };
        Some(self.transaction(charge.unwrap_or(&self.id).to_owned(), kind, status, amount, at))
    }

    /// As it stands now, by the times that the charge and its balance transaction tell where they came with it.
    pub(crate) fn authorization_now(&self) -> Option<Transaction> {
        self.authorization(self.charge().map_or(self.created, |it| it.created).0)
    }

    pub(crate) fn outcome_now(&self) -> Option<Transaction> {
        let booked = self.charge().map_or(self.created, Charge::booked_at);
        self.outcome(self.canceled_at.unwrap_or(booked).0)
    }

    fn transaction(
        &self,
        id: String,
        kind: TransactionKind,
        status: TransactionStatus,
        minor: i64,
        at: Timestamp,
    ) -> Transaction {
        Transaction {
            parent_id: (self.is_manual() && id != self.id).then(|| self.id.clone()),
            id,
            gateway: GATEWAY.to_owned(),
            kind,
            status,
            amount: from_minor(minor, self.currency.0),
            processed_at: at,
            reference: Some(self.id.clone()),
            expires_at: None,
            test: !self.livemode,
        }
    }
}

impl Charge {
    pub(crate) fn capture_before(&self) -> Option<Timestamp> {
        let details = self.payment_method_details.as_ref()?;
        let card = details.card.as_ref().or(details.card_present.as_ref())?;
        card.capture_before.map(|it| it.0)
    }

    fn booked_at(&self) -> At {
        self.balance_transaction.as_ref().and_then(Expandable::object).map_or(self.created, |it| it.created)
    }

    /// Of a charge that no payment intent tells about: one of the older API, or an attempt that a later one replaced.
    pub(crate) fn movement(&self, at: Timestamp) -> Option<Transaction> {
        let (status, minor) = match self.status.as_str() {
            "succeeded" if self.captured && self.amount_captured > 0 => (TransactionStatus::Success, self.amount_captured),
            "succeeded" if self.captured => (TransactionStatus::Success, self.amount),
            "pending" => (TransactionStatus::Pending, self.amount),
            "failed" => (TransactionStatus::Failure, self.amount),
            _ => return None,
        };
        let payment = self.payment_intent.as_ref().map_or(self.id.as_str(), Expandable::id);
        Some(Transaction {
            id: self.id.clone(),
            parent_id: None,
            gateway: GATEWAY.to_owned(),
            kind: TransactionKind::Sale,
            status,
            amount: from_minor(minor, self.currency.0),
            processed_at: at,
            reference: Some(payment.to_owned()),
            expires_at: None,
            test: !self.livemode,
        })
    }

    pub(crate) fn movement_now(&self) -> Option<Transaction> {
        self.movement(self.booked_at().0)
    }
}

impl Refund {
    pub(crate) fn order(&self, keys: &OrderKeys) -> OrderRef {
        keys.order_of(self.metadata.as_ref(), self.payment_intent.as_ref())
    }

    fn payment(&self) -> Option<String> {
        let charge = || self.charge.as_ref().map(Expandable::id);
        self.payment_intent.as_ref().map(Expandable::id).or_else(charge).map(str::to_owned)
    }

    /// Stripe also calls it a refund when held money is let go of: a canceled or lapsed authorisation, the rest of a capture.
    /// Such a one moves nothing on the balance, and nobody wrote anything on it.
    pub(crate) fn is_release(&self) -> bool {
        let unmoved = self.status.as_deref() == Some("succeeded") && self.balance_transaction.is_none();
        let unnamed = self.metadata.as_ref().is_none_or(|it| it.is_empty());
        (unmoved && unnamed) || self.reason.as_deref() == Some("expired_uncaptured_charge")
    }

    pub(crate) fn is_failed(&self) -> bool {
        matches!(self.status.as_deref(), Some("failed" | "canceled"))
    }

    pub(crate) fn transaction(&self, at: Timestamp, livemode: bool) -> Transaction {
        Transaction {
            id: self.id.clone(),
            parent_id: self.charge.as_ref().map(|it| it.id().to_owned()),
            gateway: GATEWAY.to_owned(),
            kind: TransactionKind::Refund,
            status: match self.status.as_deref() {
                Some("succeeded") => TransactionStatus::Success,
                _ if self.is_failed() => TransactionStatus::Failure,
                _ => TransactionStatus::Pending,
            },
            amount: from_minor(self.amount, self.currency.0),
            processed_at: at,
            reference: self.payment(),
            expires_at: None,
            test: !livemode,
        }
    }

    /// Stripe knows an amount and no goods, so all of it is an adjustment.
    pub(crate) fn canonical(&self, keys: &OrderKeys, livemode: bool) -> model::Refund {
        let total = MoneyBag::single(from_minor(self.amount, self.currency.0));
        let reason = self.reason.clone().unwrap_or_else(|| "refund".to_owned());
        model::Refund {
            id: self.id.clone(),
            order: self.order(keys),
            payment: self.payment(),
            created_at: self.created.0,
            note: self.reason.clone(),
            lines: Vec::new(),
            shipping: None,
            adjustments: vec![RefundAdjustment { reason, amount: total }],
            transactions: vec![self.transaction(self.created.0, livemode)],
            total,
        }
    }

    /// Whether it was for real, as far as the payment came with it.
    pub(crate) fn livemode(&self) -> Option<bool> {
        self.payment_intent.as_ref().and_then(Expandable::object).map(|it| it.livemode)
    }
}

impl Dispute {
    pub(crate) fn order(&self, keys: &OrderKeys) -> OrderRef {
        keys.order_of(self.metadata.as_ref(), self.payment_intent.as_ref())
    }

    /// Stripe keeps no time of the last change: the latest movement of money tells it, when the event does not.
    pub(crate) fn last_moved_at(&self) -> Timestamp {
        self.balance_transactions.iter().map(|it| it.created.0).fold(self.created.0, Timestamp::max)
    }

    pub(crate) fn canonical(&self, keys: &OrderKeys, updated_at: Timestamp) -> model::Dispute {
        let charge = || self.charge.as_ref().map(Expandable::id);
        model::Dispute {
            id: self.id.clone(),
            order: self.order(keys),
            payment: self.payment_intent.as_ref().map(Expandable::id).or_else(charge).map(str::to_owned),
            amount: from_minor(self.amount, self.currency.0),
            reason: self.reason.clone(),
            state: match self.status.as_str() {
                "warning_needs_response" | "warning_under_review" => DisputeState::Warning,
                "under_review" | "appeal_under_review" => DisputeState::UnderReview,
                "won" => DisputeState::Won,
                "lost" => DisputeState::Lost,
                "warning_closed" | "prevented" => DisputeState::Closed,
                // And what is not known yet: somebody should look.
                _ => DisputeState::NeedsResponse,
            },
            due_by: self.evidence_details.as_ref().and_then(|it| it.due_by).map(|it| it.0),
            created_at: self.created.0,
            updated_at,
        }
    }
}

impl Payout {
    pub(crate) fn state(&self) -> PayoutState {
        match self.status.as_str() {
            "paid" => PayoutState::Paid,
            "in_transit" => PayoutState::InTransit,
            "failed" => PayoutState::Failed,
            "canceled" => PayoutState::Cancelled,
            _ => PayoutState::Pending,
        }
    }

    /// Stripe says what is in it: only of automatic payouts, and only once it has worked it out.
    pub(crate) fn is_itemised(&self) -> bool {
        self.automatic && self.reconciliation_status.as_deref() == Some("completed")
    }

    /// For want of the vendor's own time of the change.
    pub(crate) fn stands_since(&self) -> Timestamp {
        let arrived = matches!(self.state(), PayoutState::Paid | PayoutState::Failed | PayoutState::Cancelled);
        self.arrival_date.filter(|_| arrived).map_or(self.created.0, |it| it.0.max(self.created.0))
    }

    pub(crate) fn canonical(&self, updated_at: Timestamp, lines: Vec<PayoutLine>) -> model::Payout {
        let state = self.state();
        model::Payout {
            id: self.id.clone(),
            state,
            amount: from_minor(self.amount, self.currency.0),
            paid_at: self.arrival_date.filter(|_| state == PayoutState::Paid).map(|it| it.0),
            updated_at,
            lines,
        }
    }
}

impl BalanceTransaction {
    /// `None` for the movement that is the payout itself.
    pub(crate) fn line(&self, keys: &OrderKeys, payout: &str) -> Option<PayoutLine> {
        let source = self.source.as_ref().and_then(Expandable::object);
        let source_id = self.source.as_ref().map(Expandable::id);
        if source_id == Some(payout) {
            return None;
        }
        let money = |minor| from_minor(minor, self.currency.0);
        Some(PayoutLine {
            id: self.id.clone(),
            kind: self.line_kind(),
            payment: source.and_then(Source::payment),
            transaction: source_id.map(str::to_owned),
            order: source.map(|it| keys.order_of(it.metadata.as_ref(), it.payment_intent.as_ref())).unwrap_or_default(),
            gross: money(self.amount),
            fee: money(self.fee),
            net: money(self.net),
            at: self.created.0,
        })
    }

    fn line_kind(&self) -> PayoutLineKind {
        if self.reporting_category.as_deref().is_some_and(|it| it.starts_with("dispute")) {
            return PayoutLineKind::Dispute;
        }
        match self.kind.as_str() {
            "charge" | "payment" => PayoutLineKind::Charge,
            "refund" | "payment_refund" | "refund_failure" | "payment_failure_refund" => PayoutLineKind::Refund,
            kind if kind.ends_with("_fee") => PayoutLineKind::Fee,
            _ => PayoutLineKind::Adjustment,
        }
    }
}

impl Source {
    fn payment(&self) -> Option<String> {
        let charge = || self.charge.as_ref().map(Expandable::id);
        // A charge of the older API has no payment intent: it is the payment.
        let itself = || self.id.starts_with("ch_").then_some(self.id.as_str());
        self.payment_intent.as_ref().map(Expandable::id).or_else(charge).or_else(itself).map(str::to_owned)
    }
}
