//! Tracking by package, consignment or reference: newest event first, and failures inside a 200.

use crate::bring::{Consignment, Event, Package, Shared, guide, state::State as Memory};
use axum::{
    Json,
    extract::{Query, State},
};
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use serde_json::{Number, Value, json};
use std::{collections::BTreeMap, sync::Arc};

pub(crate) async fn tracking(State(shared): State<Arc<Shared>>, Query(query): Query<BTreeMap<String, String>>) -> Json<Value> {
    let wanted = query.get("q").map(|it| it.trim()).unwrap_or_default();
    Json(shared.with(|state| answer(state, wanted)))
}

fn answer(state: &Memory, wanted: &str) -> Value {
    let whole = |set: Value| json!({ "apiVersion": "2", "consignmentSet": set });
    let failed = |code: u16, message: &str| whole(json!([{ "error": { "code": code, "message": message } }]));
    match state.tracking_error {
        // Only this one is wrapped once more.
        Some(503) => return json!({ "shipments": [failed(503, "Server too busy/ Temporarily blocked")] }),
        Some(code) => return failed(code, "Error getting track & trace information"),
        None if wanted.is_empty() => return failed(400, "Invalid query"),
        None => {}
    }
    let now = state.options.clock.now();
    let shown = |it: &&Consignment| !it.test && now.duration_since(it.booked_at) >= state.options.shown_after;
    let asked = |it: &&Consignment| it.has(wanted) || it.reference == wanted;
    let found = state.consignments.iter().filter(shown).filter(asked);
    let found: Vec<Value> = found.map(|it| consignment(it, &state.options.customer_number)).collect();
    if found.is_empty() { failed(404, "No shipments found") } else { whole(found.into()) }
}

fn consignment(it: &Consignment, customer_number: &str) -> Value {
    let packages: Vec<Value> = it.packages.iter().map(|one| package(it, one)).collect();
    let weight: Decimal = it.packages.iter().map(|one| one.kilograms).sum();
    json!({
        "consignmentId": it.number,
        "previousConsignmentId": "",
        "packageSet": packages,
        "senderReference": it.reference,
        "senderCustomerNumber": customer_number,
        "senderCustomerType": "",
        "recipientCustomerNumber": "",
        "isPickupNoticeAvailable": false,
        "totalWeightInKgs": number(weight),
        "currencyCode": "",
        "consignmentActionSet": [],
    })
}

fn package(of: &Consignment, package: &Package) -> Value {
    let (length, width, height) = package.centimetres.unwrap_or_default();
    let mut events: Vec<&Event> = package.events.iter().rev().collect();
    // Stable: of one second, what was told last stays first.
    events.sort_by_key(|it| std::cmp::Reverse(it.at));
    json!({
        "statusDescription": events.first().map_or("", |it| description(&it.status)),
        "descriptions": [],
        "packageNumber": package.number,
        "previousPackageNumber": "",
        "productName": guide::service(&of.service).map_or("", |it| it.name),
        "productCode": of.service,
        "brand": "POSTEN",
        "lengthInCm": length,
        "widthInCm": width,
        "heightInCm": height,
        "weightInKgs": number(package.kilograms),
        "pickupCode": "AA11",
        "dateOfReturn": "",
        "dateOfEstimatedDelivery": "",
        "recipientHandlingAddress": { "postalCode": of.postal_code, "city": of.city, "countryCode": "", "country": "" },
        "eventSet": events.into_iter().map(event).collect::<Vec<_>>(),
        "additionalServiceSet": [],
    })
}

fn event(it: &Event) -> Value {
    let local = it.at.to_zoned(zone());
    json!({
        "description": description(&it.status),
        "status": it.status,
        "recipientSignature": { "name": "" },
        "unitId": "032850",
        "unitType": "BRING",
        "postalCode": "",
        "city": it.city,
        "countryCode": "",
        "country": "",
        "dateIso": local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        "displayDate": local.strftime("%d.%m.%Y").to_string(),
        "displayTime": local.strftime("%H:%M").to_string(),
        "consignmentEvent": false,
        "insignificant": false,
    })
}

pub(crate) fn zone() -> TimeZone {
    TimeZone::get("Europe/Oslo").unwrap_or(TimeZone::UTC)
}

fn number(decimal: Decimal) -> Value {
    decimal.normalize().to_string().parse::<Number>().map_or(Value::Null, Value::Number)
}

fn description(status: &str) -> &'static str {
    match status {
        "PRE_NOTIFIED" => "No shipment has been received yet, only notification of the shipment.",
        "READY_FOR_PICKUP" => "The shipment has arrived at pickup point.",
        "DELIVERED" => "The shipment has been delivered.",
        "RETURN" => "The shipment is on its way back to the sender.",
        _ => "The shipment is being handled.",
    }
}
