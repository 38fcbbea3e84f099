//! The vendor's JSON, as far as it is used: ids are text, amounts whole numbers of smallest units.

mod canonical;

pub(crate) use canonical::{OrderKeys, is_known};

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny},
};
use spindel_model::{Currency, Timestamp};
use std::collections::BTreeMap;

pub(crate) type Metadata = BTreeMap<String, String>;

/// Seconds since 1970.
#[derive(Clone, Copy)]
pub(crate) struct At(pub Timestamp);

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = i64::deserialize(deserializer)?;
        Timestamp::from_second(seconds).map(At).map_err(|_| D::Error::custom("expected seconds since 1970"))
    }
}

/// A currency in lower case.
#[derive(Clone, Copy)]
pub(crate) struct Code(pub Currency);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?.to_ascii_uppercase();
        Currency::from_code(&code).map(Code).ok_or_else(|| D::Error::custom("expected a currency of ISO 4217"))
    }
}

/// An object, or its id only where it was not asked for with `expand[]`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Expandable<T> {
    Id(String),
    Object(Box<T>),
}

impl<T> Expandable<T> {
    pub(crate) fn object(&self) -> Option<&T> {
        match self {
            Self::Id(_) => None,
            Self::Object(it) => Some(it),
        }
    }
}

/// What has an id of its own.
pub(crate) trait Identified {
    fn id(&self) -> &str;
}

impl<T: Identified> Expandable<T> {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Id(id) => id,
            Self::Object(it) => it.id(),
        }
    }
}

macro_rules! identified {
    ($($Type:ty),*) => {$(impl Identified for $Type { fn id(&self) -> &str { &self.id } })*};
}
identified!(PaymentIntent, Charge, BalanceTransaction, Source);

/// One page of a list: newest first.
#[derive(Deserialize)]
pub(crate) struct List<T> {
    pub data: Vec<T>,
    #[serde(default)]
    pub has_more: bool,
    /// Of a search: where it goes on.
    pub next_page: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct PaymentIntent {
    pub id: String,
    pub amount: i64,
    #[serde(default)]
    pub amount_capturable: i64,
    #[serde(default)]
    pub amount_received: i64,
    pub currency: Code,
    pub status: String,
    pub capture_method: Option<String>,
    pub latest_charge: Option<Expandable<Charge>>,
    pub last_payment_error: Option<PaymentError>,
    pub cancellation_reason: Option<String>,
    pub canceled_at: Option<At>,
    pub metadata: Option<Metadata>,
    pub created: At,
    #[serde(default)]
    pub livemode: bool,
}

#[derive(Deserialize)]
pub(crate) struct PaymentError {
    pub charge: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Charge {
    pub id: String,
    pub amount: i64,
    #[serde(default)]
    pub amount_captured: i64,
    #[serde(default)]
    pub captured: bool,
    pub currency: Code,
    pub status: String,
    pub payment_intent: Option<Expandable<PaymentIntent>>,
    pub balance_transaction: Option<Expandable<BalanceTransaction>>,
    pub payment_method_details: Option<MethodDetails>,
    pub metadata: Option<Metadata>,
    pub created: At,
    #[serde(default)]
    pub livemode: bool,
}

#[derive(Deserialize)]
pub(crate) struct MethodDetails {
    pub card: Option<Card>,
    pub card_present: Option<Card>,
}

#[derive(Deserialize)]
pub(crate) struct Card {
    /// When an authorisation lapses.
    pub capture_before: Option<At>,
}

#[derive(Deserialize)]
pub(crate) struct Refund {
    pub id: String,
    pub amount: i64,
    pub currency: Code,
    pub charge: Option<Expandable<Charge>>,
    pub payment_intent: Option<Expandable<PaymentIntent>>,
    pub status: Option<String>,
    pub reason: Option<String>,
    pub failure_reason: Option<String>,
    /// The movement on the shop's balance; none of money that never came.
    balance_transaction: Option<IgnoredAny>,
    pub metadata: Option<Metadata>,
    pub created: At,
}

#[derive(Deserialize)]
pub(crate) struct Dispute {
    pub id: String,
    pub amount: i64,
    pub currency: Code,
    pub charge: Option<Expandable<Charge>>,
    pub payment_intent: Option<Expandable<PaymentIntent>>,
    pub reason: String,
    pub status: String,
    pub evidence_details: Option<EvidenceDetails>,
    #[serde(default)]
    pub balance_transactions: Vec<BalanceTransaction>,
    pub metadata: Option<Metadata>,
    pub created: At,
}

#[derive(Deserialize)]
pub(crate) struct EvidenceDetails {
    pub due_by: Option<At>,
}

#[derive(Deserialize)]
pub(crate) struct Payout {
    pub id: String,
    pub amount: i64,
    pub currency: Code,
    pub status: String,
    pub arrival_date: Option<At>,
    #[serde(default)]
    pub automatic: bool,
    pub reconciliation_status: Option<String>,
    pub created: At,
}

/// One movement of the balance. In the currency of the balance, which need not be the buyer's.
#[derive(Deserialize)]
pub(crate) struct BalanceTransaction {
    pub id: String,
    pub amount: i64,
    pub fee: i64,
    pub net: i64,
    pub currency: Code,
    #[serde(rename = "type")]
    pub kind: String,
    pub reporting_category: Option<String>,
    pub source: Option<Expandable<Source>>,
    pub created: At,
}

/// The charge, refund or dispute behind a movement: what they have in common.
#[derive(Deserialize)]
pub(crate) struct Source {
    pub id: String,
    pub payment_intent: Option<Expandable<PaymentIntent>>,
    pub charge: Option<Expandable<Charge>>,
    pub metadata: Option<Metadata>,
}
