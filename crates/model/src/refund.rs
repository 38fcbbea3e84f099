//! Money given back: with goods or without, paid out or still pending.

use crate::{MoneyBag, OrderRef, Transaction};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A refund without lines (goodwill) and one without transactions (pending) are both valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refund {
    pub id: String,
    pub order: OrderRef,
    pub created_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    #[serde(default)]
    pub lines: Vec<RefundLine>,
    /// Shipping given back, tax included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<MoneyBag>,
    /// Goodwill, fees and differences, tax included.
    #[serde(default)]
    pub adjustments: Vec<RefundAdjustment>,
    #[serde(default)]
    pub transactions: Vec<Transaction>,
    /// All that is given back, tax included.
    pub total: MoneyBag,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefundLine {
    pub line_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    pub quantity: Decimal,
    /// With or without tax as the order says.
    pub subtotal: MoneyBag,
    pub tax: MoneyBag,
    pub restock: Restock,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<String>,
}

/// Where the goods go; apart from the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restock {
    No,
    Cancel,
    Return,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RefundAdjustment {
    pub reason: String,
    pub amount: MoneyBag,
}
