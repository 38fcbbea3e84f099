//! What a test may look at: the shop's own truth.

use super::{
    orders::refunded,
    resource::{amount, filled},
    state::State,
    webhooks::Hook,
};
use rust_decimal::Decimal;
use serde_json::Value;

/// An order as the shop has it now.
#[derive(Clone, Debug)]
pub struct OrderView {
    pub id: String,
    pub number: String,
    /// `processing`, `completed` …
    pub status: String,
    pub total: Decimal,
    pub refunded: Decimal,
    pub paid: bool,
    pub transaction_id: Option<String>,
    /// Notes that the buyer got.
    pub told: Vec<String>,
    /// As it would be read through the API.
    pub json: Value,
}

/// A webhook as the shop has it now.
#[derive(Clone, Debug)]
pub struct WebhookView {
    pub id: String,
    pub topic: String,
    pub address: String,
    /// `active`, `paused` or `disabled`.
    pub status: String,
    /// In a row.
    pub failures: u32,
    /// What the address answered to the ping: `None` while it was not asked, 0 where it is not there.
    pub pinged: Option<u16>,
}

impl State {
    pub fn view(&self, id: u64) -> Option<OrderView> {
        let order = self.orders.get(&id)?;
        let told = self.notes.iter().filter(|(order, note)| *order == id && note["customer_note"] == true);
        Some(OrderView {
            id: id.to_string(),
            number: filled(order, "number")?,
            status: filled(order, "status")?,
            total: amount(order, "total"),
            refunded: refunded(order),
            paid: !order["date_paid_gmt"].is_null(),
            transaction_id: filled(order, "transaction_id"),
            told: told.filter_map(|(_, note)| filled(note, "note")).collect(),
            json: order.clone().into(),
        })
    }
}

impl Hook {
    pub fn view(&self) -> WebhookView {
        WebhookView {
            id: self.id.to_string(),
            topic: self.topic.clone(),
            address: self.delivery_url.clone(),
            status: self.status.clone(),
            failures: self.failures,
            pinged: self.pinged,
        }
    }
}
