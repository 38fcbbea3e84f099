//! Where parcels are: one question for each, and what Bring's events mean.

use crate::{Bring, label::tracking_page, wire};
use spindel_connect::{Api, CallError, Parcel, Read, Track};
use spindel_model::{Change, ErrorClass, OrderRef, Shipment, ShipmentState, Timestamp, Topic, Tracking};

const TRACK: &str = "track";
const READ: &str = "read_shipment";

impl Track for Bring {
    /// A question names one number.
    const MAX: usize = 1;

    async fn track(&self, api: &Api, parcels: &[Parcel]) -> Result<Vec<Change>, CallError> {
        let mut changes = Vec::new();
        for parcel in parcels {
            let found = self.tracked(api, TRACK, &parcel.number).await?;
            let Some(consignment) = found.iter().find(|it| it.has(&parcel.number)) else { continue };
            let shipment = shipment(consignment, &parcel.shipment, parcel.order.clone(), api.now());
            changes.push(Change::shipment(Topic::ShipmentUpdated, shipment));
        }
        Ok(changes)
    }
}

impl Read<Shipment> for Bring {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Shipment>, CallError> {
        let found = self.tracked(api, READ, id).await?;
        let Some(consignment) = found.iter().find(|it| it.has(id)) else { return Ok(None) };
        Ok(Some(shipment(consignment, id, order_of(&consignment.sender_reference), api.now())))
    }
}

/// What a booking's reference tells of its order: `1042@shop`, or whatever was typed in Mybring.
fn order_of(reference: &str) -> OrderRef {
    let number = reference.rsplit_once('@').map_or(reference, |(number, _)| number).trim();
    OrderRef { id: None, number: (!number.is_empty()).then(|| number.to_owned()) }
}

impl Bring {
    /// All consignments under a number or a reference; none when Bring knows none.
    pub(crate) async fn tracked(
        &self,
        api: &Api,
        operation: &'static str,
        number: &str,
    ) -> Result<Vec<wire::TrackedConsignment>, CallError> {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("q", number).append_pair("lang", "en").finish();
        let found: wire::Tracked = api.get(operation, format!("/tracking/api/v2/tracking.json?{query}")).fetch().await?;
        let Some(found) = found.consignments() else {
            return Err(CallError::unexpected(operation, "the answer holds no `consignmentSet`"));
        };
        let mut consignments = Vec::new();
        for it in found {
            // Failures come with status 200.
            match it.error.as_ref().map(|it| it.code) {
                None => consignments.push(it),
                Some(404) => {}
                Some(429) => return Err(CallError::new(operation, ErrorClass::RateLimited, "Bring is asked too often")),
                Some(code @ 400..=499) => {
                    return Err(CallError::data(operation, format!("Bring refuses the number ({code})")));
                }
                Some(code) => return Err(CallError::transient(operation, format!("Bring's tracking fails ({code})"))),
            }
        }
        Ok(consignments)
    }
}

impl wire::TrackedConsignment {
    fn has(&self, number: &str) -> bool {
        self.consignment_id == number || self.package_set.iter().any(|it| it.package_number == number)
    }
}

impl wire::TrackedPackage {
    /// The newest event that says where the parcel is; one that only tells of messages where there is no other.
    /// Of two in the same second it is the one that Bring lists first.
    fn latest(&self) -> Option<&wire::Event> {
        self.event_set.iter().rev().max_by_key(|it| (!only_told(&it.status), it.date_iso, state(&it.status).has_left()))
    }
}

/// Events about what somebody was told or wishes, not about where the parcel is.
fn only_told(status: &str) -> bool {
    matches!(status, "NOTIFICATION_SENT" | "DELIVERY_ORDERED" | "DELIVERY_CHANGED" | "DELIVERY_CANCELLED")
}

/// A status that is not known means that something moved.
fn state(status: &str) -> ShipmentState {
    match status {
        "PRE_NOTIFIED" | "NOTIFICATION_SENT" | "DELIVERY_ORDERED" | "DELIVERY_CHANGED" | "DELIVERY_CANCELLED" => {
            ShipmentState::Booked
        }
        "TRANSPORT_TO_RECIPIENT" => ShipmentState::OutForDelivery,
        "READY_FOR_PICKUP" => ShipmentState::ReadyForPickup,
        "ATTEMPTED_DELIVERY" => ShipmentState::Attempted,
        "DELIVERED" => ShipmentState::Delivered,
        "DEVIATION" => ShipmentState::Delayed,
        "RETURN" => ShipmentState::Returning,
        "DELIVERED_SENDER" => ShipmentState::Returned,
        // HANDED_IN, COLLECTED, TERMINAL, IN_TRANSIT, INTERNATIONAL, CUSTOMS, and whatever Bring adds.
        _ => ShipmentState::InTransit,
    }
}

/// A consignment stands where the last of its parcels is that has not arrived; without any event it is booked.
pub(crate) fn shipment(consignment: &wire::TrackedConsignment, id: &str, order: OrderRef, now: Timestamp) -> Shipment {
    let latest = || consignment.package_set.iter().filter_map(wire::TrackedPackage::latest);
    let open = latest().filter(|it| !state(&it.status).is_final()).max_by_key(|it| it.date_iso);
    let decisive = open.or_else(|| latest().max_by_key(|it| it.date_iso));
    let events = consignment.package_set.iter().flat_map(|it| &it.event_set);
    let left = events.clone().filter(|it| state(&it.status).has_left()).map(|it| it.date_iso).min();
    let numbers = consignment.package_set.iter().map(|it| it.package_number.clone());
    Shipment {
        id: id.to_owned(),
        order,
        state: decisive.map_or(ShipmentState::Booked, |it| state(&it.status)),
        raw_state: decisive.map(|it| it.status.clone()),
        carrier: Some("Bring".to_owned()),
        tracking: numbers.map(|number| Tracking { url: Some(tracking_page(&number)), number }).collect(),
        lines: Vec::new(),
        completes_order: false,
        location: decisive.map(|it| it.city.clone()).filter(|it| !it.is_empty()),
        shipped_at: left,
        updated_at: events.map(|it| it.date_iso).max().unwrap_or(now),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn package(events: &[(&str, &str)]) -> Value {
        let events: Vec<Value> = events.iter().map(|(status, at)| json!({ "status": status, "dateIso": at })).collect();
        json!({ "packageNumber": "37", "eventSet": events })
    }

    fn state_of(packages: &[Value]) -> Shipment {
        let text = json!({ "consignmentId": "70", "packageSet": packages }).to_string();
        let consignment: wire::TrackedConsignment = serde_json::from_str(&text).unwrap();
        shipment(&consignment, "70", OrderRef::default(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn every_documented_status_has_a_state_and_any_other_keeps_its_name() {
        for (status, want) in [
            ("PRE_NOTIFIED", ShipmentState::Booked),
            ("HANDED_IN", ShipmentState::InTransit),
            ("COLLECTED", ShipmentState::InTransit),
            ("TERMINAL", ShipmentState::InTransit),
            ("IN_TRANSIT", ShipmentState::InTransit),
            ("INTERNATIONAL", ShipmentState::InTransit),
            ("CUSTOMS", ShipmentState::InTransit),
            ("TRANSPORT_TO_RECIPIENT", ShipmentState::OutForDelivery),
            ("NOTIFICATION_SENT", ShipmentState::Booked),
            ("READY_FOR_PICKUP", ShipmentState::ReadyForPickup),
            ("ATTEMPTED_DELIVERY", ShipmentState::Attempted),
            ("DELIVERED", ShipmentState::Delivered),
            ("DELIVERED_SENDER", ShipmentState::Returned),
            ("RETURN", ShipmentState::Returning),
            ("DEVIATION", ShipmentState::Delayed),
            ("UNKNOWN", ShipmentState::InTransit),
            ("SENT_TO_THE_MOON", ShipmentState::InTransit),
        ] {
            let shipment = state_of(&[package(&[(status, "2026-11-20T10:00:00+01:00")])]);
            assert_eq!((shipment.state, shipment.raw_state.as_deref()), (want, Some(status)));
        }
    }

    #[test]
    fn a_message_to_the_recipient_does_not_move_the_parcel_back() {
        let shipment = state_of(&[package(&[
            ("NOTIFICATION_SENT", "2026-11-20T10:05:00+01:00"),
            ("READY_FOR_PICKUP", "2026-11-20T10:00:00+01:00"),
            ("IN_TRANSIT", "2026-11-19T10:00:00+01:00"),
        ])]);
        assert_eq!(shipment.state, ShipmentState::ReadyForPickup);
        assert_eq!(shipment.updated_at.to_string(), "2026-11-20T09:05:00Z");
        assert_eq!(shipment.shipped_at.unwrap().to_string(), "2026-11-19T09:00:00Z");
    }

    #[test]
    fn of_two_events_in_one_second_the_first_listed_is_the_newest() {
        let at = "2026-11-20T10:00:00+01:00";
        assert_eq!(state_of(&[package(&[("DELIVERED", at), ("IN_TRANSIT", at)])]).state, ShipmentState::Delivered);
        assert_eq!(state_of(&[package(&[("RETURN", at), ("READY_FOR_PICKUP", at)])]).state, ShipmentState::Returning);
    }

    #[test]
    fn an_answer_without_a_set_is_not_taken_for_an_empty_one() {
        let read = |text: &str| serde_json::from_str::<wire::Tracked>(text).unwrap().consignments().map(|it| it.len());
        assert_eq!(read(r#"{"consignmentSet":[]}"#), Some(0));
        assert_eq!(read(r#"{"shipments":[{"consignmentSet":[{"error":{"code":503}}]}]}"#), Some(1));
        for nothing in ["{}", r#"{"shipments":[]}"#, r#"{"shipments":[{}]}"#] {
            assert_eq!(read(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_consignment_has_arrived_when_its_last_parcel_has() {
        let here = package(&[("DELIVERED", "2026-11-20T12:00:00+01:00")]);
        let there = package(&[("IN_TRANSIT", "2026-11-20T08:00:00+01:00")]);
        assert_eq!(state_of(&[here.clone(), there]).state, ShipmentState::InTransit);
        assert_eq!(state_of(&[here.clone(), here]).state, ShipmentState::Delivered);
        assert_eq!(state_of(&[package(&[])]).state, ShipmentState::Booked);
    }

    #[test]
    fn the_order_is_named_by_the_reference_of_the_booking() {
        assert_eq!(order_of("1042@shop").number.as_deref(), Some("1042"));
        assert_eq!(order_of("Julegaver").number.as_deref(), Some("Julegaver"));
        assert_eq!(order_of(" ").number, None);
    }
}
