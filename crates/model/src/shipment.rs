//! A parcel that left, and how to follow it.

use crate::OrderRef;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shipment {
    pub id: String,
    pub order: OrderRef,
    pub state: ShipmentState,
    /// The carrier's own code of the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_state: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    #[serde(default)]
    pub tracking: Vec<Tracking>,
    /// Empty means: all that is left of the order.
    #[serde(default)]
    pub lines: Vec<ShipmentLine>,
    /// With it nothing of the order is left to be sent.
    #[serde(default)]
    pub completes_order: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipped_at: Option<Timestamp>,
    pub updated_at: Timestamp,
}

/// Where the goods are; the carrier's own code stays in [`Shipment::raw_state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShipmentState {
    Pending,
    /// The carrier knows of it and does not have it yet.
    Booked,
    /// The shop, or the ERP, says that it left.
    Shipped,
    InTransit,
    Delayed,
    OutForDelivery,
    ReadyForPickup,
    /// Nobody was there.
    Attempted,
    Delivered,
    /// Something is wrong that a person must look at.
    Exception,
    Returning,
    Returned,
    Lost,
    Cancelled,
    Failed,
}

impl ShipmentState {
    /// Nothing more will happen to it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Returned | Self::Lost | Self::Cancelled | Self::Failed)
    }

    /// It left the shop.
    pub fn has_left(self) -> bool {
        !matches!(self, Self::Pending | Self::Booked | Self::Cancelled | Self::Failed)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracking {
    pub number: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShipmentLine {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    pub quantity: Decimal,
}
