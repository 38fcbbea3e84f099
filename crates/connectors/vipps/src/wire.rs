//! Vipps MobilePay's JSON, as far as it is used. Amounts are whole minor units; ids are text.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use spindel_model::{Currency, Money, Timestamp, TransactionKind};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Amount {
    pub currency: Currency,
    pub value: i64,
}

impl From<Amount> for Money {
    fn from(it: Amount) -> Self {
        Self::from_minor(it.value, it.currency)
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub reference: String,
    pub state: State,
    pub amount: Amount,
    pub aggregate: Aggregate,
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// Where the buyer stands with the approval, and nothing more: it says nothing about captures and refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum State {
    Created,
    Aborted,
    Expired,
    Authorized,
    Terminated,
    #[serde(other)]
    Unknown,
}

/// All that ever happened to the money, in sums.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Aggregate {
    authorized_amount: Amount,
    cancelled_amount: Amount,
    captured_amount: Amount,
    refunded_amount: Amount,
}

impl Aggregate {
    pub fn authorized(&self) -> i64 {
        self.authorized_amount.value
    }

    pub fn cancelled(&self) -> i64 {
        self.cancelled_amount.value
    }

    pub fn captured(&self) -> i64 {
        self.captured_amount.value
    }

    pub fn refunded(&self) -> i64 {
        self.refunded_amount.value
    }

    /// What may still be captured or let go.
    pub fn held(&self) -> i64 {
        self.authorized().saturating_sub(self.captured()).saturating_sub(self.cancelled())
    }

    /// What may still be given back.
    pub fn refundable(&self) -> i64 {
        self.captured().saturating_sub(self.refunded())
    }

    pub fn of(&self, kind: TransactionKind) -> Amount {
        match kind {
            TransactionKind::Authorization => self.authorized_amount,
            TransactionKind::Void => self.cancelled_amount,
            TransactionKind::Capture | TransactionKind::Sale => self.captured_amount,
            TransactionKind::Refund => self.refunded_amount,
        }
    }
}

/// One entry of a payment's log; a webhook carries one, with the sales unit.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[serde(default)]
    pub msn: Option<String>,
    pub reference: String,
    pub psp_reference: String,
    pub name: EventName,
    /// Of this one movement.
    pub amount: Amount,
    pub timestamp: Timestamp,
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// `false`: it was tried and did not happen.
    pub success: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum EventName {
    Created,
    Aborted,
    Expired,
    Terminated,
    Authorized,
    Cancelled,
    Captured,
    Refunded,
    #[serde(other)]
    Unknown,
}

impl EventName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Aborted => "aborted",
            Self::Expired => "expired",
            Self::Terminated => "terminated",
            Self::Authorized => "authorized",
            Self::Cancelled => "cancelled",
            Self::Captured => "captured",
            Self::Refunded => "refunded",
            Self::Unknown => "unknown",
        }
    }

    /// The movement of money; `None` for what moves none and never will.
    pub fn kind(self) -> Option<TransactionKind> {
        match self {
            Self::Created | Self::Aborted | Self::Expired | Self::Terminated | Self::Authorized => {
                Some(TransactionKind::Authorization)
            }
            Self::Cancelled => Some(TransactionKind::Void),
            Self::Captured => Some(TransactionKind::Capture),
            Self::Refunded => Some(TransactionKind::Refund),
            Self::Unknown => None,
        }
    }
}

/// What a webhook of any product says about what it is.
#[derive(Deserialize)]
pub(crate) struct Named {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default, rename = "eventType")]
    pub event_type: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Modification {
    pub modification_amount: Amount,
}

/// How a payment stands after a capture, a refund or a cancellation.
#[derive(Deserialize)]
pub(crate) struct Modified {
    pub aggregate: Aggregate,
}

#[derive(Deserialize)]
pub(crate) struct Webhooks {
    pub webhooks: Vec<Webhook>,
}

#[derive(Deserialize)]
pub(crate) struct Webhook {
    pub id: String,
    pub url: String,
    #[serde(default)]
    pub events: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ledgers {
    #[serde(default)]
    pub items: Vec<Ledger>,
    #[serde(default)]
    pub cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ledger {
    pub ledger_id: String,
}

/// One page of a ledger's day.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    #[serde(default)]
    pub items: Vec<Entry>,
    #[serde(default)]
    pub cursor: Option<String>,
    #[serde(default)]
    pub has_more: bool,
    /// The day is not closed yet.
    #[serde(default)]
    pub try_later: bool,
}

/// One entry of a ledger of funds or of fees.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    #[serde(default)]
    pub psp_reference: Option<String>,
    pub time: Timestamp,
    #[serde(default)]
    pub ledger_date: Option<Date>,
    pub entry_type: String,
    #[serde(default)]
    pub reference: Option<String>,
    pub currency: Currency,
    /// Positive: to the shop.
    pub amount: i64,
    #[serde(default)]
    pub recipient_handle: Option<String>,
}

impl Entry {
    /// Names the entry within its ledger.
    pub fn id(&self) -> String {
        let id = self.psp_reference.as_deref().or(self.reference.as_deref()).filter(|it| !it.is_empty());
        id.map_or_else(|| self.time.to_string(), str::to_owned)
    }

    /// The guide and the description name it differently.
    pub fn is_payout(&self) -> bool {
        matches!(self.entry_type.as_str(), "payout-scheduled" | "scheduled-for-payout")
    }

    /// Fees of some time are taken at once.
    pub fn takes_fees(&self) -> bool {
        self.entry_type.starts_with("fees-")
    }
}
