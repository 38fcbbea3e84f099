//! `record_tracking`: new numbers become tracks of their shipment, and the order's history says where the parcel is.

use super::{at, mark, path, unchanged_at};
use crate::{
    Magento,
    perform::fulfilment::tracks,
    wire::{order::Order, says, shipment::Shipment as WireShipment},
};
use serde::Serialize;
use serde_json::json;
use spindel_connect::{Api, Around, Ask, CallError, Perform, Repeat};
use spindel_model::{Performed, RecordTracking, Shipment, ShipmentState};

const OPERATION: &str = "record_tracking";

#[derive(Serialize)]
struct Entity {
    order_id: u64,
    parent_id: u64,
    weight: u8,
    qty: u8,
    description: String,
    track_number: String,
    title: String,
    carrier_code: String,
}

impl Perform<RecordTracking> for Magento {
    /// What stands there already is not written again.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordTracking>) -> Result<Performed, CallError> {
        let shipment = &*ask.verb.shipment;
        let order = self.order_of(api, OPERATION, &ask.around, &shipment.order).await?;
        let tracked = self.add_tracks(api, &ask.around, &order, shipment).await?;
        let told = self.tell(api, &ask.around, &order, shipment).await?;
        Ok(if tracked || told { at(&order) } else { unchanged_at(&order) })
    }
}

impl Magento {
    async fn add_tracks(&self, api: &Api, around: &Around<'_>, order: &Order, shipment: &Shipment) -> Result<bool, CallError> {
        if shipment.tracking.is_empty() {
            return Ok(false);
        }
        let there = self.shipments(api, OPERATION, order).await?;
        let mut added = false;
        for track in tracks(shipment, around.maps) {
            let (track_number, title, carrier_code) = track.into_parts();
            if there.iter().any(|it| it.has_track(&track_number)) {
                continue;
            }
            let numbers = order.entity_id.number().zip(parent(around, &there, shipment).and_then(|it| it.entity_id.number()));
            let Some((order_id, parent_id)) = numbers else {
                let message = format!("order {} has no shipment that the parcel belongs to: ship it first", order.number());
                return Err(CallError::missing_dependency(OPERATION, message));
            };
            let description = String::new();
            let entity = Entity { order_id, parent_id, weight: 0, qty: 0, description, track_number, title, carrier_code };
            let body = json!({ "entity": entity });
            api.post(OPERATION, "/all/V1/shipment/track").json(&body).fetch::<serde::de::IgnoredAny>().await?;
            added = true;
        }
        Ok(added)
    }

    /// A line in the order's history; the buyer is not written to.
    async fn tell(&self, api: &Api, around: &Around<'_>, order: &Order, shipment: &Shipment) -> Result<bool, CallError> {
        let state = state(shipment.state);
        let mark = mark(around, &format!("{} {state}", shipment.id));
        if says(order.status_histories.as_ref(), &mark) {
            return Ok(false);
        }
        let who = shipment.carrier.as_deref().unwrap_or("Shipment");
        let numbers: Vec<&str> = shipment.tracking.iter().map(|it| it.number.as_str()).collect();
        let comment = format!("{who} {}: {state} {mark}", numbers.join(", ")).replace(" :", ":");
        let id = order.entity_id.number();
        let history = json!({ "statusHistory": {
            "comment": comment, "parent_id": id, "is_customer_notified": 0, "is_visible_on_front": 1,
        } });
        let told: bool = api.post(OPERATION, path(OPERATION, "orders", order, "comments")?).json(&history).fetch().await?;
        if told { Ok(true) } else { Err(CallError::data(OPERATION, "the shop did not take the remark")) }
    }
}

/// The shipment that was made of this parcel, else the only one.
fn parent<'a>(around: &Around<'_>, there: &'a [WireShipment], shipment: &Shipment) -> Option<&'a WireShipment> {
    let mark = mark(around, &shipment.id);
    let own = there.iter().find(|it| says(it.comments.as_ref(), &mark));
    own.or(match there {
        [one] => Some(one),
        _ => None,
    })
}

/// In words that a buyer may read.
fn state(state: ShipmentState) -> &'static str {
    match state {
        ShipmentState::Pending => "pending",
        ShipmentState::Booked => "booked",
        ShipmentState::Shipped => "shipped",
        ShipmentState::InTransit => "in transit",
        ShipmentState::Delayed => "delayed",
        ShipmentState::OutForDelivery => "out for delivery",
        ShipmentState::ReadyForPickup => "ready for pick-up",
        ShipmentState::Attempted => "delivery attempted",
        ShipmentState::Delivered => "delivered",
        ShipmentState::Exception => "held up",
        ShipmentState::Returning => "on its way back",
        ShipmentState::Returned => "returned",
        ShipmentState::Lost => "lost",
        ShipmentState::Cancelled => "cancelled",
        ShipmentState::Failed => "failed",
    }
}
