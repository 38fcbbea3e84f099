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
        let claims = Claims::of(delivery).ok()?;
        Some(format!("{}/{}", claims.webhook, Told::by(&claims).ok()??.key()))
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        let told = Told::by(&Claims::of(delivery)?)?;
        Ok(told.and_then(Told::change).into_iter().collect())
    }
}

/// What a webhook tells.
enum Told {
    Created(wire::Shipment),
    Cancelled(wire::Shipment),
    Moved(Box<Shipment>),
}

impl Told {
    /// `None` where it is about something else, or says nothing.
    fn by(claims: &Claims) -> Result<Option<Self>, ParseError> {
        Ok(match topic_of(&claims.webhook) {
            Some("Shipments/create") => claims.data()?.map(Self::Created),
            Some("Shipments/cancel") => claims.data()?.map(Self::Cancelled),
            Some(_) => monitored(claims)?.map(|it| Self::Moved(Box::new(it))),
            None => None,
        })
    }

    fn key(&self) -> String {
        match self {
            Self::Created(it) | Self::Cancelled(it) => format!("{}//{}", it.id, it.updated_at),
            Self::Moved(it) => format!("{}/{}/{}", it.id, it.raw_state.as_deref().unwrap_or_default(), it.updated_at),
        }
    }

    fn change(self) -> Option<Change> {
        let shipment = |it: wire::Shipment, state| find::shipment(&it, find::order_of(&it), state);
        Some(match self {
            // The booking has told it already, and knows more: the id of the order.
            Self::Created(it) if find::is_ours(&it) => return None,
            Self::Created(it) => Change::shipment(Topic::ShipmentCreated, shipment(it, ShipmentState::Booked)),
            Self::Cancelled(it) => Change::shipment(Topic::ShipmentUpdated, shipment(it, ShipmentState::Cancelled)),
            // The monitor does not name the order, so the shipment is read back.
            Self::Moved(it) => Change::new(Topic::ShipmentUpdated, it.id, it.updated_at, Record::Nudge),
        })
    }
}

fn monitored(claims: &Claims) -> Result<Option<Shipment>, ParseError> {
    let data: Option<wire::Monitor> = claims.data()?;
    data.map_or(Ok(None), |it| track::shipment(it, OrderRef::default()))
}
