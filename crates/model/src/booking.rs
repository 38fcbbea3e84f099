//! What a carrier is asked to do with an order's goods.

use crate::{Address, Money, Order, OrderLine, OrderRef, Unsuitable};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// A transport to be booked. Who sends it, and what else the carrier's contract says, stands in the connection's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Booking {
    pub order: OrderRef,
    pub recipient: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    pub parcels: Vec<Parcel>,
    /// The shop's code of the chosen way of shipping; `[maps.service]` translates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The carrier's id of the pick-up point that the buyer chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pickup_point: Option<String>,
    /// What the goods cost, in the shop's currency.
    pub value: Money,
    pub items: Vec<BookedItem>,
}

/// One parcel. What is not known is left to the connection's settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grams: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_mm: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width_mm: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height_mm: Option<u32>,
}

/// One kind of goods in the parcels, as customs wants to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BookedItem {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    pub title: String,
    pub quantity: Decimal,
    /// Of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grams: Option<Decimal>,
    /// Of one, in the shop's currency.
    pub price: Money,
}

impl Booking {
    /// The physical goods of an order in one parcel to its shipping address.
    pub fn of(order: &Order) -> Result<Self, Unsuitable> {
        let goods: Vec<&OrderLine> = order.physical_lines().collect();
        if goods.is_empty() {
            return Err(Unsuitable::NothingToShip);
        }
        let way = order.shipping_lines.first();
        Ok(Self {
            order: order.reference(),
            recipient: order.shipping_address.clone().ok_or(Unsuitable::NoAddress)?,
            email: order.email.clone(),
            phone: order.phone.clone(),
            parcels: vec![Parcel { grams: weight(&goods), ..Parcel::default() }],
            service: way.and_then(|it| it.code.clone().or_else(|| Some(it.title.clone()))),
            pickup_point: way.and_then(|it| it.pickup_point.clone()),
            value: order.totals.subtotal.shop,
            items: goods.into_iter().map(item).collect(),
        })
    }
}

/// The sum of all lines; unknown when one of them is.
fn weight(goods: &[&OrderLine]) -> Option<Decimal> {
    goods.iter().map(|line| Some(line.grams? * line.quantity)).sum()
}

fn item(line: &OrderLine) -> BookedItem {
    BookedItem {
        line_id: Some(line.id.clone()),
        sku: line.sku.clone(),
        title: line.title.clone(),
        quantity: line.quantity,
        grams: line.grams,
        price: line.unit_price.shop,
    }
}
