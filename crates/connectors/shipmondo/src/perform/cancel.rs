//! `cancel_shipment`: takes a booking back, at Shipmondo and at the carrier where that is possible.

use crate::{Shipmondo, find, wire};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{CancelShipment, Change, ErrorClass, Performed, Shipment, ShipmentState, Topic, Tracking};

const CANCEL: &str = "cancel_shipment";
/// Stands before the id in the link of an order whose booking was taken back: it may be booked again.
pub(crate) const CANCELLED: &str = "cancelled:";

impl Perform<CancelShipment> for Shipmondo {
    /// What is cancelled stays so.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, CancelShipment>) -> Result<Performed, CallError> {
        if let Some(known) = ask.known.filter(|it| it.starts_with(CANCELLED)) {
            return Ok(Performed { unchanged: true, ..Performed::at(known) });
        }
        let Some((id, tracking)) = self.booked(api, &ask).await? else { return Ok(Performed::unchanged()) };
        let answer: wire::Cancelled = api.put(CANCEL, format!("/shipments/{id}/cancel")).fetch().await.map_err(gone)?;
        if !answer.cancelled {
            return Err(CallError::data(CANCEL, "Shipmondo did not cancel the shipment; the carrier may have it already"));
        }
        let shipment = Shipment {
            id: id.clone(),
            order: ask.verb.order.clone(),
            state: ShipmentState::Cancelled,
            raw_state: (answer.cancelled_at_carrier == Some(false)).then(|| "not_cancelled_at_carrier".to_owned()),
            carrier: None,
            tracking,
            lines: Vec::new(),
            completes_order: false,
            location: None,
            shipped_at: None,
            updated_at: ask.now,
        };
        let change = Change::shipment(Topic::ShipmentUpdated, shipment);
        Ok(Performed::at(format!("{CANCELLED}{id}")).telling(change))
    }
}

impl Shipmondo {
    /// The shipment that the link names, or one with the order's reference; `None` when the order was never booked.
    async fn booked(&self, api: &Api, ask: &Ask<'_, CancelShipment>) -> Result<Option<(String, Vec<Tracking>)>, CallError> {
        if let Some(known) = ask.known {
            let plain = known.chars().all(|it| it.is_ascii_alphanumeric());
            let id = plain.then(|| known.to_owned()).ok_or_else(|| CallError::data(CANCEL, "the link is no id of a shipment"))?;
            return Ok(Some((id, Vec::new())));
        }
        let reference = find::reference(CANCEL, &ask.verb.order, ask.from)?;
        let month_ago = ask.now - jiff::SignedDuration::from_hours(30 * 24);
        let found = self.find(api, CANCEL, &reference, month_ago, None).await?;
        Ok(found.map(|it| {
            let tracking = it.numbers().into_iter().map(|number| Tracking { number, url: None }).collect();
            (it.id, tracking)
        }))
    }
}

fn gone(error: CallError) -> CallError {
    match error.class {
        ErrorClass::Gone => CallError::gone(CANCEL, "Shipmondo has no such shipment; it may have been deleted there"),
        _ => error,
    }
}
