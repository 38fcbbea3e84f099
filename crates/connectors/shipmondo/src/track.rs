//! Where parcels are, by the Shipment Monitor: asked for about several shipments at once.

use crate::{Shipmondo, wire};
use spindel_connect::{Api, CallError, Parcel, ParseError, Track};
use spindel_model::{Change, ErrorClass, OrderRef, Shipment, ShipmentState, Topic, Tracking};
use std::collections::BTreeMap;

const TRACK: &str = "track";

impl Track for Shipmondo {
    /// What fits on a page that nobody asked to be longer.
    const MAX: usize = 20;

    async fn track(&self, api: &Api, parcels: &[Parcel]) -> Result<Vec<Change>, CallError> {
        // Shipmondo follows shipments: all parcels of one are told as one.
        let mut asked: BTreeMap<&str, Vec<&Parcel>> = BTreeMap::new();
        for parcel in parcels.iter().filter(|it| is_id(&it.shipment)) {
            asked.entry(&parcel.shipment).or_default().push(parcel);
        }
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let ids = asked.keys().copied().collect::<Vec<_>>().join(",");
        let told = statuses(api, TRACK, &ids).await?.ok_or_else(no_monitor)?;
        let mut changes = Vec::new();
        for monitor in told {
            let Some(parcels) = asked.get(monitor.shipment_id.as_str()) else { continue };
            let order = parcels.first().map(|it| it.order.clone()).unwrap_or_default();
            let found = shipment(monitor, order).map_err(|error| CallError::unexpected(TRACK, error.to_string()))?;
            let Some(mut shipment) = found else { continue };
            if shipment.tracking.is_empty() {
                shipment.tracking = parcels.iter().map(|it| Tracking { number: it.number.clone(), url: None }).collect();
            }
            changes.push(Change::shipment(Topic::ShipmentUpdated, shipment));
        }
        Ok(changes)
    }
}

/// Ids stand in paths, and between commas.
pub(crate) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|it| it.is_ascii_alphanumeric())
}

/// What the monitor says of shipments, by their ids; `None` where Shipmondo does not answer this question.
pub(crate) async fn statuses(api: &Api, operation: &'static str, ids: &str) -> Result<Option<Vec<wire::Monitor>>, CallError> {
    let reply = match api.get(operation, format!("/shipment_monitor_statuses?ids={ids}")).send().await {
        Err(error) if error.class == ErrorClass::Gone => return Ok(None),
        reply => reply?,
    };
    // An address that is not there may be answered with a page.
    if reply.body.trim_ascii_start().starts_with(b"<") {
        return Ok(None);
    }
    reply.json().map(Some).map_err(|error| CallError::unexpected(operation, error.to_string()))
}

fn no_monitor() -> CallError {
    let problem = "Shipmondo does not answer where parcels are (`/shipment_monitor_statuses`) at this `base_url`; \
                   their shipments stay `booked` until it does: ask Shipmondo to open the Shipment Monitor's API to this account";
    CallError::config(TRACK, problem)
}

/// `None` while the carrier has told nothing.
pub(crate) fn shipment(monitor: wire::Monitor, order: OrderRef) -> Result<Option<Shipment>, ParseError> {
    let Some(status) = monitor.current_status.filter(|it| !it.is_empty()) else { return Ok(None) };
    let at = monitor.current_status_registered_at;
    let at = at.ok_or_else(|| ParseError::Content("the status has no `current_status_registered_at`".to_owned()))?;
    let number = monitor.carrier_track_id.filter(|it| !it.is_empty());
    Ok(Some(Shipment {
        id: monitor.shipment_id,
        order,
        state: state(&status, monitor.current_state.as_deref()),
        raw_state: Some(status),
        carrier: monitor.carrier_code,
        tracking: number.into_iter().map(|number| Tracking { number, url: None }).collect(),
        lines: Vec::new(),
        completes_order: false,
        location: monitor.city.filter(|it| !it.is_empty()),
        shipped_at: None,
        updated_at: at,
    }))
}

/// A status that is not known means that something moved, unless Shipmondo says that something is wrong.
fn state(status: &str, condition: Option<&str>) -> ShipmentState {
    let wrong = condition.is_some_and(|it| it.eq_ignore_ascii_case("DANGER"));
    match status.to_ascii_uppercase().as_str() {
        "DELIVERED" => ShipmentState::Delivered,
        _ if wrong => ShipmentState::Exception,
        "AVAILABLE_FOR_DELIVERY" => ShipmentState::ReadyForPickup,
        _ => ShipmentState::InTransit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_status_has_a_state_and_any_other_is_under_way() {
        for (status, condition, want) in [
            ("EN_ROUTE", None, ShipmentState::InTransit),
            ("AVAILABLE_FOR_DELIVERY", Some("SUCCESS"), ShipmentState::ReadyForPickup),
            ("DELIVERED", None, ShipmentState::Delivered),
            ("DELIVERED", Some("DANGER"), ShipmentState::Delivered),
            ("EN_ROUTE", Some("DANGER"), ShipmentState::Exception),
            ("delivered", None, ShipmentState::Delivered),
            ("BY_BALLOON", None, ShipmentState::InTransit),
        ] {
            assert_eq!(state(status, condition), want, "{status} {condition:?}");
        }
    }

    #[test]
    fn only_ids_are_asked_for() {
        assert!(is_id("1168"));
        for text in ["", "..", "1168/labels", "1168,1169", "1168&page=2", "cancelled:1168"] {
            assert!(!is_id(text), "{text}");
        }
    }
}
