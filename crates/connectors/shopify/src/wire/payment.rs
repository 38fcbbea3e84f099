//! Payments of the GraphQL API, within an order and within a refund.

use super::{
    Id, Set,
    refund::References,
    state::{transaction_kind, transaction_status},
};
use serde::Deserialize;
use spindel_model::{MoneyBag, Timestamp, Transaction, TransactionKind, TransactionStatus};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub id: Id,
    pub kind: String,
    pub status: String,
    pub gateway: Option<String>,
    payment_id: Option<String>,
    authorization_code: Option<String>,
    #[serde(default)]
    test: bool,
    created_at: Option<Timestamp>,
    processed_at: Option<Timestamp>,
    pub amount_set: Set,
    parent_transaction: Option<Parent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parent {
    id: Id,
    payment_id: Option<String>,
    authorization_code: Option<String>,
}

impl Payment {
    pub fn canonical(self) -> Option<Transaction> {
        let kind = transaction_kind(&self.kind)?;
        let (parent_id, parent_payment_id, parent_authorization) = match self.parent_transaction {
            Some(it) => (Some(it.id.0), it.payment_id, it.authorization_code),
            None => (None, None, None),
        };
        let references = References {
            payment_id: self.payment_id,
            authorization: self.authorization_code,
            parent_payment_id,
            parent_authorization,
        };
        Some(Transaction {
            id: self.id.0,
            parent_id,
            gateway: self.gateway.unwrap_or_default(),
            kind,
            status: transaction_status(&self.status),
            amount: MoneyBag::from(self.amount_set).shop,
            processed_at: self.processed_at.or(self.created_at).unwrap_or_default(),
            reference: references.of(kind),
            expires_at: None,
            test: self.test,
        })
    }

    pub fn is_payout(&self) -> bool {
        let status = transaction_status(&self.status);
        transaction_kind(&self.kind) == Some(TransactionKind::Refund)
            && matches!(status, TransactionStatus::Success | TransactionStatus::Pending)
    }

    /// Money that came in and can be given back.
    pub fn is_income(&self) -> bool {
        transaction_status(&self.status) == TransactionStatus::Success
            && matches!(transaction_kind(&self.kind), Some(TransactionKind::Sale | TransactionKind::Capture))
    }

    /// Given back, or about to be, out of that payment.
    pub fn is_payout_of(&self, payment: &Id) -> bool {
        self.is_payout() && self.parent_transaction.as_ref().is_some_and(|parent| parent.id == *payment)
    }
}
