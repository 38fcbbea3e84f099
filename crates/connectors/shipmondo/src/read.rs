//! A shipment as it stands now: what it says itself, and where the Shipment Monitor says that it is.

use crate::{Shipmondo, find, track, wire};
use spindel_connect::{Api, CallError, Read};
use spindel_model::{Shipment, ShipmentState};

const READ: &str = "read_shipment";

impl Read<Shipment> for Shipmondo {
    /// A shipment tells its order and its numbers, but not where it is: the monitor does, once the carrier has told anything.
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Shipment>, CallError> {
        if !track::is_id(id) {
            return Err(CallError::data(READ, "this is no id of a shipment at Shipmondo; they are numbers"));
        }
        let Some(own) = api.get(READ, format!("/shipments/{id}")).find::<wire::Shipment>().await? else { return Ok(None) };
        let booked = find::shipment(&own, find::order_of(&own), ShipmentState::Booked);
        let told = track::statuses(api, READ, id).await?.unwrap_or_default();
        let Some(monitor) = told.into_iter().find(|it| it.shipment_id == id) else { return Ok(Some(booked)) };
        let moved = track::shipment(monitor, booked.order.clone());
        let moved = moved.map_err(|error| CallError::unexpected(READ, error.to_string()))?;
        Ok(Some(moved.map_or_else(|| booked.clone(), |it| joined(it, &booked))))
    }
}

/// The monitor names one number at most, the shipment those of all its parcels.
fn joined(moved: Shipment, booked: &Shipment) -> Shipment {
    let tracking = if booked.tracking.is_empty() { moved.tracking } else { booked.tracking.clone() };
    Shipment { tracking, carrier: moved.carrier.or_else(|| booked.carrier.clone()), ..moved }
}
