//! Acme's JSON, as far as it is used. Ids are text; money and quantities are never floats.

use serde::{Deserialize, Serialize};
use spindel_model::{
    Change, Currency, Exact, Money, OrderRef, Shipment, ShipmentState, Timestamp, Topic, Tracking, Transaction, TransactionKind,
    TransactionStatus,
};

#[derive(Deserialize)]
pub(crate) struct Account {
    pub name: String,
}

#[derive(Deserialize)]
pub(crate) struct Failed {
    pub error: String,
}

/// A success says at least this.
#[derive(Deserialize)]
pub(crate) struct Saved {
    #[serde(rename = "id")]
    _id: String,
}

#[derive(Serialize)]
pub(crate) struct Quantity<'a> {
    pub sku: &'a str,
    pub location: &'a str,
    pub quantity: String,
}

/// One for each that was sent, in the same order.
#[derive(Deserialize)]
pub(crate) struct QuantitySaved {
    pub problem: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct StockPage {
    pub items: Vec<StockItem>,
    pub next: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct StockItem {
    pub sku: String,
    pub location: String,
    pub quantity: Exact,
    pub changed_at: Timestamp,
}

#[derive(Deserialize)]
pub(crate) struct PaymentChanged {
    pub payment: String,
    pub at: Timestamp,
}

/// Amounts are whole cents, or whatever the currency's smallest unit is.
#[derive(Deserialize)]
pub(crate) struct Payment {
    pub id: String,
    pub order: String,
    pub captured: i64,
    pub held: i64,
    pub currency: Currency,
    pub changed_at: Timestamp,
}

impl Payment {
    pub fn transaction(self) -> (OrderRef, Transaction) {
        let order = OrderRef { id: None, number: Some(self.order) };
        let transaction = Transaction {
            id: self.id.clone(),
            parent_id: None,
            gateway: "acme".to_owned(),
            kind: TransactionKind::Capture,
            status: TransactionStatus::Success,
            amount: Money::from_minor(self.captured, self.currency),
            processed_at: self.changed_at,
            reference: Some(self.id),
            expires_at: None,
            test: false,
        };
        (order, transaction)
    }
}

#[derive(Deserialize)]
pub(crate) struct Parcel {
    pub number: String,
    pub order: String,
    pub status: String,
    pub at: Timestamp,
}

#[derive(Deserialize)]
pub(crate) struct Booked {
    pub parcel: Parcel,
    pub label: Option<String>,
}

impl Parcel {
    pub fn change(self, topic: Topic) -> Change {
        let state = match self.status.as_str() {
            "booked" => ShipmentState::Booked,
            "at_pickup_point" => ShipmentState::ReadyForPickup,
            "delivered" => ShipmentState::Delivered,
            // One that is not known means that something moved; the carrier's own word goes along.
            _ => ShipmentState::InTransit,
        };
        Change::shipment(
            topic,
            Shipment {
                id: self.number.clone(),
                order: OrderRef { id: None, number: Some(self.order) },
                state,
                raw_state: Some(self.status),
                carrier: Some("Acme".to_owned()),
                tracking: vec![Tracking { number: self.number, url: None }],
                lines: Vec::new(),
                completes_order: false,
                location: None,
                shipped_at: None,
                updated_at: self.at,
            },
        )
    }
}

#[derive(Deserialize)]
pub(crate) struct Offer {
    pub code: String,
    pub name: String,
    pub cents: i64,
}

#[derive(Deserialize)]
pub(crate) struct Point {
    pub id: String,
    pub name: String,
    pub street: String,
}

#[derive(Deserialize)]
pub(crate) struct Webhook {
    pub id: String,
    pub topic: String,
    pub url: String,
    pub paused: bool,
}

#[derive(Deserialize)]
pub(crate) struct WebhookMade {
    pub id: String,
    pub secret: spindel_connect::Secret,
}

#[derive(Deserialize)]
pub(crate) struct Cart {
    pub currency: Currency,
    pub country: String,
    pub postal_code: String,
    pub lines: Vec<CartLine>,
}

#[derive(Deserialize)]
pub(crate) struct CartLine {
    pub sku: String,
    pub quantity: Exact,
    pub grams: Exact,
    pub cents: i64,
}
