//! `record_tracking`: tells the buyer where the parcel is.

use crate::{
    Shopify,
    graphql::{Nodes, ORDER_TO_TRACK, RECORD_TRACKING, UserError, refused},
    perform::{TrackingInfo, at_order, order_gone, unchanged_at},
    wire::Id,
};
use serde::Deserialize;
use serde_json::json;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Performed, RecordTracking, Shipment, ShipmentState, Timestamp};

const OPERATION: &str = RECORD_TRACKING.name;

#[derive(Deserialize)]
struct Order {
    id: Id,
    name: String,
    fulfillments: Vec<Fulfilment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fulfilment {
    id: String,
    status: String,
    tracking_info: Vec<TrackingInfo>,
    events: Nodes<Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    status: String,
    happened_at: Timestamp,
}

impl Perform<RecordTracking> for Shopify {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordTracking>) -> Result<Performed, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Told {
            fulfillment_event_create: Outcome,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Outcome {
            user_errors: Vec<UserError>,
        }
        let shipment = &ask.verb.shipment;
        let Some(status) = status(shipment.state) else { return Ok(Performed::unchanged()) };
        let order = self.order_to_track(api, &ask).await?;
        let fulfilments = order.fulfilments(shipment)?;
        let untold: Vec<&Fulfilment> = fulfilments.into_iter().filter(|it| !it.knows(status, shipment)).collect();
        if untold.is_empty() {
            return Ok(unchanged_at(&order.id, &order.name));
        }
        for fulfilment in untold {
            let event = json!({ "fulfillmentId": fulfilment.id, "status": status, "happenedAt": seconds(shipment.updated_at) });
            let told: Told = self.ask(api, RECORD_TRACKING, json!({ "event": event })).await?;
            refused(OPERATION, &told.fulfillment_event_create.user_errors)?;
        }
        Ok(at_order(&order.id, &order.name))
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, RecordTracking>) -> Result<Option<Performed>, CallError> {
        let shipment = &ask.verb.shipment;
        let Some(status) = status(shipment.state) else { return Ok(Some(Performed::unchanged())) };
        let order = self.order_to_track(api, &ask).await?;
        let told = order.fulfilments(shipment)?.into_iter().all(|it| it.knows(status, shipment));
        Ok(told.then(|| at_order(&order.id, &order.name)))
    }
}

impl Shopify {
    async fn order_to_track(&self, api: &Api, ask: &Ask<'_, RecordTracking>) -> Result<Order, CallError> {
        #[derive(Deserialize)]
        struct Found {
            order: Option<Order>,
        }
        let id = self.order_id(api, OPERATION, &ask.around, &ask.verb.shipment.order).await?;
        let found: Found = self.ask(api, ORDER_TO_TRACK, json!({ "id": id })).await?;
        found.order.ok_or_else(|| order_gone(OPERATION))
    }
}

impl Order {
    /// Those that went out in this parcel: there may be one for each location.
    fn fulfilments(&self, shipment: &Shipment) -> Result<Vec<&Fulfilment>, CallError> {
        let numbers: Vec<&str> = shipment.tracking.iter().map(|it| it.number.as_str()).collect();
        if numbers.is_empty() {
            return Err(CallError::data(OPERATION, "the shipment has no tracking number to find its fulfilment by"));
        }
        let of_it = |it: &&Fulfilment| {
            it.status != "CANCELLED"
                && it.tracking_info.iter().filter_map(|info| info.number.as_deref()).any(|number| numbers.contains(&number))
        };
        let found: Vec<&Fulfilment> = self.fulfillments.iter().filter(of_it).collect();
        match found.is_empty() {
            true => Err(CallError::missing_dependency(
                OPERATION,
                format!("order {} has no fulfilment with tracking number {}", self.name, numbers.join(", ")),
            )),
            false => Ok(found),
        }
    }
}

impl Fulfilment {
    fn knows(&self, status: &str, shipment: &Shipment) -> bool {
        let at = shipment.updated_at.as_second();
        self.events.nodes.iter().any(|event| event.status == status && event.happened_at.as_second() == at)
    }
}

/// `FulfillmentEventStatus`; nothing for what a buyer is not told.
fn status(state: ShipmentState) -> Option<&'static str> {
    match state {
        ShipmentState::Pending | ShipmentState::Cancelled => None,
        ShipmentState::Booked => Some("CONFIRMED"),
        ShipmentState::Shipped => Some("CARRIER_PICKED_UP"),
        ShipmentState::InTransit => Some("IN_TRANSIT"),
        ShipmentState::Delayed => Some("DELAYED"),
        ShipmentState::OutForDelivery => Some("OUT_FOR_DELIVERY"),
        ShipmentState::ReadyForPickup => Some("READY_FOR_PICKUP"),
        ShipmentState::Attempted => Some("ATTEMPTED_DELIVERY"),
        ShipmentState::Delivered => Some("DELIVERED"),
        ShipmentState::Exception
        | ShipmentState::Returning
        | ShipmentState::Returned
        | ShipmentState::Lost
        | ShipmentState::Failed => Some("FAILURE"),
    }
}

/// Shopify's times have whole seconds.
fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
