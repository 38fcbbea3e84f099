//! Shopify's words for states, in the spelling of webhooks (`partially_paid`) or of GraphQL (`PARTIALLY_PAID`).
//!
//! New words come with new versions: what is not known here reads as the state that promises least.

use spindel_model::{FulfilmentState, PaymentState, TransactionKind, TransactionStatus};

pub(super) fn payment_state(word: Option<&str>) -> PaymentState {
    match lower(word).as_str() {
        "authorized" => PaymentState::Authorized,
        "partially_paid" => PaymentState::PartiallyPaid,
        "paid" => PaymentState::Paid,
        "partially_refunded" => PaymentState::PartiallyRefunded,
        "refunded" => PaymentState::Refunded,
        "voided" => PaymentState::Voided,
        "expired" => PaymentState::Expired,
        _ => PaymentState::Pending,
    }
}

pub(super) fn fulfilment_state(word: Option<&str>) -> FulfilmentState {
    match lower(word).as_str() {
        "partial" | "partially_fulfilled" => FulfilmentState::Partial,
        "fulfilled" => FulfilmentState::Fulfilled,
        "restocked" => FulfilmentState::Restocked,
        _ => FulfilmentState::Unfulfilled,
    }
}

/// `None` for what moves no money of the order: change given over the counter, a suggestion.
pub(super) fn transaction_kind(word: &str) -> Option<TransactionKind> {
    Some(match lower(Some(word)).as_str() {
        "authorization" | "emv_authorization" => TransactionKind::Authorization,
        "capture" => TransactionKind::Capture,
        "sale" => TransactionKind::Sale,
        "void" => TransactionKind::Void,
        "refund" => TransactionKind::Refund,
        _ => return None,
    })
}

pub(super) fn transaction_status(word: &str) -> TransactionStatus {
    match lower(Some(word)).as_str() {
        "success" => TransactionStatus::Success,
        "failure" => TransactionStatus::Failure,
        "error" => TransactionStatus::Error,
        _ => TransactionStatus::Pending,
    }
}

pub(super) fn cancel_reason(word: Option<String>) -> Option<String> {
    word.map(|word| word.to_ascii_lowercase()).filter(|word| !word.is_empty())
}

fn lower(word: Option<&str>) -> String {
    word.unwrap_or_default().to_ascii_lowercase()
}
