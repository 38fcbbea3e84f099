//! What it costs to send something somewhere, and where it can be picked up.

use crate::{Address, Currency, Money};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A checkout's question: what would it cost to send this there?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateRequest {
    pub currency: Currency,
    /// BCP 47, as in `nb-NO`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// `None`: the sender of the connection's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Address>,
    pub destination: Address,
    pub items: Vec<RateItem>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    pub quantity: Decimal,
    /// Of one.
    #[serde(default)]
    pub grams: Decimal,
    /// Of one.
    pub price: Money,
}

impl RateRequest {
    pub fn grams(&self) -> Decimal {
        self.items.iter().map(|item| item.grams * item.quantity).sum()
    }
}

/// One way of sending it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The carrier's code of the service: what a booking asks for.
    pub service: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tax included.
    pub price: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<Date>,
}

/// A question for places where a parcel can be fetched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PickupQuery {
    pub near: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PickupPoint {
    /// The carrier's id: what a booking's `pickup_point` says.
    pub id: String,
    pub name: String,
    pub address: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metres: Option<u32>,
    /// One line for each day, as the carrier words it.
    #[serde(default)]
    pub opening_hours: Vec<String>,
    /// Degrees north and east, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<(String, String)>,
}
