//! How much of a SKU there is at a location.

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StockLevel {
    /// `None` where the source names the item by an id of its own only (`item_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    /// The source's own name of the place; `[maps.location]` translates it.
    pub location: String,
    /// `None` when the source does not track the item. May be negative (oversold).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<Decimal>,
    pub as_of: Timestamp,
}
