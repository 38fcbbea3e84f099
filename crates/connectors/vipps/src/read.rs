//! Reading a payment back: one movement of it, or how it stands as a whole. The sums of `aggregate` have the last word.

use crate::{
    Vipps,
    payment::is_reference,
    wire::{Event, EventName, Payment, State},
};
use spindel_connect::{Api, CallError, Read};
use spindel_model::{Money, OrderRef, Transaction, TransactionKind, TransactionStatus};

impl Read<(OrderRef, Transaction)> for Vipps {
    /// `id` is that of a movement (`acme-order-1042/captured/3343121302`), or a payment's reference alone: then the last
    /// thing that happened to its money is told, with the sum of all of its kind.
    async fn read(&self, api: &Api, id: &str) -> Result<Option<(OrderRef, Transaction)>, CallError> {
        let (reference, movement) = id.split_once('/').map_or((id, None), |(reference, rest)| (reference, Some(rest)));
        if !is_reference(reference) {
            return Ok(None);
        }
        let Some(payment) = self.payment(api, reference).await? else { return Ok(None) };
        let log = self.log(api, reference).await?;
        let transaction = match movement.and_then(|it| it.split_once('/')) {
            Some((name, psp_reference)) => self.movement(&payment, &log, name, psp_reference),
            None if movement.is_some() => None,
            None => self.standing(&payment, &log),
        };
        Ok(transaction.map(|it| (self.naming.order_of(&payment), it)))
    }
}

impl Vipps {
    fn movement(&self, payment: &Payment, log: &[Event], name: &str, psp_reference: &str) -> Option<Transaction> {
        let logged = log.iter().filter(|it| it.name.as_str() == name && it.psp_reference == psp_reference);
        let event = logged.max_by_key(|it| it.timestamp)?;
        let mut transaction = self.transaction(event)?;
        // Said to have succeeded, and not in the sums (yet).
        if transaction.status == TransactionStatus::Success && payment.aggregate.of(transaction.kind).value < event.amount.value {
            transaction.status = TransactionStatus::Pending;
        }
        Some(transaction)
    }

    /// How the payment stands, as one movement.
    fn standing(&self, payment: &Payment, log: &[Event]) -> Option<Transaction> {
        let aggregate = &payment.aggregate;
        let kinds = [
            (TransactionKind::Refund, EventName::Refunded),
            (TransactionKind::Capture, EventName::Captured),
            (TransactionKind::Void, EventName::Cancelled),
            (TransactionKind::Authorization, EventName::Authorized),
        ];
        let shown = kinds.into_iter().find(|(kind, _)| aggregate.of(*kind).value > 0);
        let newest = |name: Option<EventName>| {
            log.iter().filter(|it| name.is_none_or(|name| it.name == name && it.success)).max_by_key(|it| it.timestamp)
        };
        let (kind, status, amount, event) = match shown {
            Some((kind, name)) => (kind, TransactionStatus::Success, aggregate.of(kind), newest(Some(name)).or(newest(None))?),
            None => (TransactionKind::Authorization, approval(payment.state), payment.amount, newest(None)?),
        };
        let transaction = self.transaction(event)?;
        Some(Transaction {
            kind,
            status,
            amount: Money::from(amount),
            expires_at: transaction.expires_at.filter(|_| kind == TransactionKind::Authorization),
            reference: Some(payment.reference.clone()),
            ..transaction
        })
    }
}

/// Nothing was ever reserved.
fn approval(state: State) -> TransactionStatus {
    match state {
        State::Aborted | State::Expired | State::Terminated => TransactionStatus::Failure,
        State::Created | State::Authorized | State::Unknown => TransactionStatus::Pending,
    }
}
