//! What Shipmondo sends: signed tokens about shipments that were made or cancelled, and about where parcels are.

use crate::{
    Shipmondo, find,
    subscribe::topic_of,
    track,
    wire::{self, Claims},
};
use bytes::Bytes;
use http::StatusCode;
use spindel_connect::{Answer, Incoming, ParseError, Proof, Receive, Secret, Verified};
use spindel_model::{Change, OrderRef, Record, Shipment, ShipmentState, Topic};

impl Receive for Shipmondo {
    /// The body is `{"data": "…"}` with a token signed by HS256; what is parsed is what the token says.
    fn proof(&self, kept: &[Secret]) -> Proof {
        let keys: Vec<Secret> = self.webhook_keys.iter().chain(kept).cloned().collect();
        Proof::jws("/data", &keys)
    }

    /// A new webhook's address is called at once and must answer 200. A call that says nothing has nothing to prove.
    fn challenge(&self, incoming: &Incoming) -> Option<Answer> {
        let says_nothing = incoming.body.trim_ascii().is_empty() || incoming.body.trim_ascii() == b"{}";
        says_nothing.then(|| Answer { status: StatusCode::OK, content_type: "text/plain", body: Bytes::from_static(b"ok\n") })
    }

    /// From the name of the webhook, which is signed; the headers that say it as well are not.
    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        let name = Claims::of(delivery)?.webhook;
        Ok(topic_of(&name).map_or(name, str::to_owned))
    }

    /// There is no id of the delivery: what it is about, and as of when.
    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        let changes = self.changes(delivery).ok()?;
        let name = Claims::of(delivery).ok()?.webhook;
        let change = changes.first()?;
        let Record::Shipment(shipment) = &change.record else { return None };
        let state = shipment.raw_state.as_deref().unwrap_or_default();
        Some(format!("{name}/{}/{state}/{}", change.entity.id, shipment.updated_at))
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        let claims = Claims::of(delivery)?;
        let (topic, shipment) = match topic_of(&claims.webhook) {
            Some("Shipments/create") => (Topic::ShipmentCreated, shipment(&claims, ShipmentState::Booked)?),
            Some("Shipments/cancel") => (Topic::ShipmentUpdated, shipment(&claims, ShipmentState::Cancelled)?),
            Some(_) => (Topic::ShipmentUpdated, monitored(&claims)?),
            // Genuine, and about something else.
            None => return Ok(Vec::new()),
        };
        Ok(shipment.map(|it| Change::shipment(topic, it)).into_iter().collect())
    }
}

fn shipment(claims: &Claims, state: ShipmentState) -> Result<Option<Shipment>, ParseError> {
    let data: Option<wire::Shipment> = claims.data()?;
    Ok(data.map(|it| find::shipment(&it, find::order_of(&it), state)))
}

/// The monitor does not name the order: only the shipment.
fn monitored(claims: &Claims) -> Result<Option<Shipment>, ParseError> {
    let data: Option<wire::Monitor> = claims.data()?;
    data.map_or(Ok(None), |it| track::shipment(it, OrderRef::default()))
}
