//! Money on its way from the buyer to the shop's bank: disputes and payouts.

use crate::{Money, OrderRef};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A buyer, or the buyer's bank, wants money back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dispute {
    pub id: String,
    pub order: OrderRef,
    /// The provider's reference of the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    pub amount: Money,
    /// In the provider's own word: `fraudulent`, `product_not_received`.
    pub reason: String,
    pub state: DisputeState,
    /// Until when the shop may answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_by: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeState {
    /// An inquiry that may still become a dispute.
    Warning,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
    Closed,
}

/// Money that the provider sends to the shop's bank, and what it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payout {
    pub id: String,
    pub state: PayoutState,
    /// What reaches the bank: the sum of the lines' `net`.
    pub amount: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_at: Option<Timestamp>,
    pub updated_at: Timestamp,
    /// Empty when the provider has not said yet.
    #[serde(default)]
    pub lines: Vec<PayoutLine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutState {
    Pending,
    InTransit,
    Paid,
    Failed,
    Cancelled,
}

/// One movement of money within a payout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PayoutLine {
    pub id: String,
    pub kind: PayoutLineKind,
    /// The provider's reference of the payment: what a transaction's `reference` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
    /// The provider's id of the capture or refund: what a transaction's `id` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    #[serde(default)]
    pub order: OrderRef,
    /// Positive: to the shop. `net` = `gross` − `fee`.
    pub gross: Money,
    pub fee: Money,
    pub net: Money,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutLineKind {
    Charge,
    Refund,
    Dispute,
    Fee,
    Adjustment,
}
