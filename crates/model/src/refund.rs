//! Money given back: with goods or without, paid out or still pending.

use crate::{Money, MoneyBag, MoneyError, OrderRef, Transaction, TransactionKind, TransactionStatus};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A refund without lines (goodwill) and one without transactions (pending) are both valid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refund {
    pub id: String,
    pub order: OrderRef,
    /// The provider's reference of the payment that is given back, where the source knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<String>,
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

impl Refund {
    /// What is still to be given back, in the currency that the buyer paid in: the total less what the source says went out.
    pub fn outstanding(&self) -> Result<Money, MoneyError> {
        let gone =
            self.transactions.iter().filter(|it| it.kind == TransactionKind::Refund && it.status == TransactionStatus::Success);
        let mut left = match gone.clone().next() {
            Some(it) if it.amount.currency == self.total.shop.currency => self.total.shop,
            _ => self.total.presentment,
        };
        for transaction in gone {
            left = left.try_sub(transaction.amount)?;
        }
        Ok(left)
    }
}
