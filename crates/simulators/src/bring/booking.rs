//! Booking: what is missing or wrong is told by Bring's codes, all at once; the same booking twice is two bookings.

use crate::bring::{
    Consignment, Package, Shared,
    api::{field, list},
    guide::{SERVICES, postal_code_fits, service},
    places,
    state::State as Memory,
};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, civil::DateTime};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// The longest text of a party.
const LINE: usize = 35;

#[rustfmt::skip]
const MESSAGES: [(&str, &str); 26] = [
    ("BOOK-INPUT-001", "Bad request"),
    ("BOOK-INPUT-002", "Weight is required"),
    ("BOOK-INPUT-003", "Schema version must be present"),
    ("BOOK-INPUT-004", "At least one consignment must be specified"),
    ("BOOK-INPUT-005", "Multiple consignments in one booking is not supported"),
    ("BOOK-INPUT-009", "Package or Package Group must be specified"),
    ("BOOK-INPUT-012", "Shipping date and time must be provided"),
    ("BOOK-INPUT-014", "Name must be provided"),
    ("BOOK-INPUT-015", "Address must be provided"),
    ("BOOK-INPUT-016", "City must be provided"),
    ("BOOK-INPUT-017", "ISO Country code must be provided"),
    ("BOOK-INPUT-020", "Invalid product ID"),
    ("BOOK-INPUT-021", "Invalid customer number"),
    ("BOOK-INPUT-023", "The shipment is too big to send with the given product"),
    ("BOOK-INPUT-024", "The product is not available between the given addresses (outside coverage)"),
    ("BOOK-INPUT-025", "The product is not available between the given countries"),
    ("BOOK-INPUT-030", "Please set the testIndicator attribute on the request"),
    ("BOOK-INPUT-032", "Multiple packages are not supported for this product"),
    ("BOOK-INPUT-045", "Could not find a pickup point for the provided recipient"),
    ("BOOK-INPUT-047", "Pickup point delivery method is not available for this product"),
    ("BOOK_INPUT-057", "Invalid postal Code"),
    ("BOOK_INPUT-059", "Invalid input provided. Not able to parse the input successfully."),
    ("BOOK_VALIDATION-002", "A valid mobile phone number or email address is required for eVarsling"),
    ("BOOK_VALIDATION-011", "A valid recipient mobile number or email address is required for notification"),
    ("BOOK_VALIDATION-014", "Customs declarations are required for exporting this product from Norway"),
    ("PICKUP-INPUT-012", "Selected pickup point should be in recipient country"),
];

pub(crate) async fn customers(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let number = shared.with(|state| state.options.customer_number.clone());
    let products = SERVICES.map(|it| it.id);
    Json(json!({ "customers": [{ "name": "Demo", "customerNumber": number, "countryCode": "NO", "products": products }] }))
}

pub(crate) async fn create(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let request = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    shared.with(|state| {
        let problems = problems(state, &request);
        if problems.is_empty() {
            return Json(json!({ "consignments": [book(state, &request)] })).into_response();
        }
        let errors: Vec<Value> = problems.iter().map(|it| error(it)).collect();
        let correlation_id = &request["consignments"][0]["correlationId"];
        let refused = json!({ "confirmation": null, "errors": errors, "correlationId": correlation_id });
        let status = StatusCode::from_u16(state.options.refusal_status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, Json(json!({ "consignments": [refused] }))).into_response()
    })
}

fn error(code: &str) -> Value {
    let message = MESSAGES.iter().find(|(known, _)| code.starts_with(known)).map_or("Bad request", |(_, message)| message);
    json!({ "uniqueId": Uuid::new_v4(), "code": code, "messages": [{ "lang": "en", "message": message }] })
}

/// Codes of all that is wrong; empty for a booking that can be made.
fn problems(state: &Memory, request: &Value) -> Vec<String> {
    let whole = |code: &str| vec![code.to_owned()];
    let consignment = match list(request, "consignments") {
        _ if !request.is_object() => return whole("BOOK_INPUT-059"),
        _ if !request["schemaVersion"].is_number() => return whole("BOOK-INPUT-003"),
        _ if !request["testIndicator"].is_boolean() => return whole("BOOK-INPUT-030"),
        [] => return whole("BOOK-INPUT-004"),
        [one] => one,
        _ => return whole("BOOK-INPUT-005"),
    };
    let parties = &consignment["parties"];
    let mut codes = party_problems(&parties["sender"], "SENDER");
    codes.extend(party_problems(&parties["recipient"], "RECIPIENT"));
    let found =
        [package_problems(consignment), product_problems(state, consignment), point_problems(consignment).into_iter().collect()];
    codes.extend(found.into_iter().flatten().map(str::to_owned));
    codes
}

fn party_problems(party: &Value, suffix: &str) -> Vec<String> {
    let needed = [("name", "014"), ("addressLine", "015"), ("city", "016"), ("countryCode", "017")];
    let missing = needed.into_iter().filter(|(name, _)| field(party, name).is_none());
    let mut codes: Vec<String> = missing.map(|(_, code)| format!("BOOK-INPUT-{code}-{suffix}")).collect();
    if !postal_code_fits(&country(party), &field(party, "postalCode").unwrap_or_default()) {
        codes.push("BOOK_INPUT-057".to_owned());
    }
    let long = |it: &str| field(party, it).is_some_and(|text| text.chars().count() > LINE);
    if ["name", "addressLine", "addressLine2", "city", "reference"].into_iter().any(long) {
        codes.push("BOOK-INPUT-001".to_owned());
    }
    codes
}

fn package_problems(consignment: &Value) -> Vec<&'static str> {
    let shipped = &consignment["shippingDateTime"];
    let packages = list(consignment, "packages");
    [
        (!shipped.is_number() && shipped.as_str().is_none_or(|it| it.parse::<DateTime>().is_err()), "BOOK-INPUT-012"),
        (packages.is_empty(), "BOOK-INPUT-009"),
        (packages.iter().any(|it| kilograms(it).is_none()), "BOOK-INPUT-002"),
    ]
    .into_iter()
    .filter_map(|(wrong, code)| wrong.then_some(code))
    .collect()
}

fn product_problems(state: &Memory, consignment: &Value) -> Vec<&'static str> {
    let product = &consignment["product"];
    let Some(service) = service(&field(product, "id").unwrap_or_default()) else { return vec!["BOOK-INPUT-020"] };
    let (sender, recipient) = (&consignment["parties"]["sender"], &consignment["parties"]["recipient"]);
    let packages = list(consignment, "packages");
    let postal_code = field(recipient, "postalCode").unwrap_or_default();
    let reaches = service.countries.contains(&country(recipient).as_str());
    let exported = country(sender) == "NO" && country(recipient) != "NO";
    let most = Decimal::from(service.max_kilograms);
    [
        (field(product, "customerNumber").as_ref() != Some(&state.options.customer_number), "BOOK-INPUT-021"),
        (packages.iter().filter_map(kilograms).any(|it| it > most), "BOOK-INPUT-023"),
        (packages.len() > 1 && !service.several, "BOOK-INPUT-032"),
        (!reaches, "BOOK-INPUT-025"),
        (reaches && state.options.uncovered.contains(&postal_code), "BOOK-INPUT-024"),
        (reaches && exported && !consignment["customsInformation"].is_object(), "BOOK_VALIDATION-014"),
        (notice(consignment).is_some_and(|it| it == (None, None)), "BOOK_VALIDATION-002"),
    ]
    .into_iter()
    .filter_map(|(wrong, code)| wrong.then_some(code))
    .collect()
}

fn point_problems(consignment: &Value) -> Option<&'static str> {
    let (point, recipient) = (&consignment["parties"]["pickupPoint"], &consignment["parties"]["recipient"]);
    let contact = &recipient["contact"];
    let reachable = field(contact, "email").is_some() || field(contact, "phoneNumber").is_some();
    let to_point = service(&field(&consignment["product"], "id")?).is_none_or(|it| it.to_point);
    let id = field(point, "id").unwrap_or_default();
    match country(point) {
        _ if point.is_null() => None,
        _ if !to_point => Some("BOOK-INPUT-047"),
        of if of != country(recipient) => Some("PICKUP-INPUT-012"),
        of if !places::exists(&of, &id) => Some("BOOK-INPUT-045"),
        _ => (!reachable).then_some("BOOK_VALIDATION-011"),
    }
}

/// Upper and lower case are the same to Bring.
fn country(party: &Value) -> String {
    field(party, "countryCode").unwrap_or_default().to_uppercase()
}

fn kilograms(package: &Value) -> Option<Decimal> {
    field(package, "weightInKg")?.parse::<Decimal>().ok().filter(|it| *it > Decimal::ZERO)
}

/// E-mail address and telephone number of the notice to the recipient, where one is ordered.
fn notice(consignment: &Value) -> Option<(Option<String>, Option<String>)> {
    let notice = list(&consignment["product"], "additionalServices").iter().find(|it| it["id"] == "EVARSLING")?;
    Some((field(notice, "email"), field(notice, "mobile")))
}

fn book(state: &mut Memory, request: &Value) -> Value {
    let booked = booked(state, request, &request["consignments"][0]);
    let packages = booked.packages.iter().map(|it| json!({ "packageNumber": it.number, "correlationId": it.correlation_id }));
    let (number, at, test) = (booked.number.clone(), booked.booked_at, booked.test);
    let answer = json!({
        "confirmation": {
            "consignmentNumber": number,
            "productSpecificData": null,
            "links": {
                "labels": format!("{}/labels/id/{}.pdf", state.base, booked.label),
                "waybill": null,
                "tracking": format!("https://sporing.bring.no/sporing/{number}"),
            },
            "dateAndTimes": { "earliestPickup": null, "expectedDelivery": (at + SignedDuration::from_hours(72)).as_millisecond() },
            "packages": packages.collect::<Vec<_>>(),
        },
        "errors": null,
        "correlationId": booked.correlation_id,
    });
    state.consignments.push(booked);
    if !test {
        // Refused for tests and unknown parcels alone, and this is neither.
        let _known = state.scan(&number, "PRE_NOTIFIED", at);
    }
    answer
}

fn booked(state: &mut Memory, request: &Value, consignment: &Value) -> Consignment {
    let (sender, recipient) = (&consignment["parties"]["sender"], &consignment["parties"]["recipient"]);
    let text = |of: &Value, name: &str| field(of, name).unwrap_or_default();
    Consignment {
        number: format!("70438101268{:06}", state.next_number()),
        reference: text(sender, "reference"),
        correlation_id: field(consignment, "correlationId"),
        service: text(&consignment["product"], "id"),
        recipient_name: text(recipient, "name"),
        postal_code: text(recipient, "postalCode"),
        city: text(recipient, "city"),
        pickup_point: field(&consignment["parties"]["pickupPoint"], "id"),
        shipping_date_time: text(consignment, "shippingDateTime"),
        notified: notice(consignment).unwrap_or_default(),
        test: request["testIndicator"] == true,
        booked_at: state.options.clock.now(),
        packages: list(consignment, "packages").iter().map(|it| package(state, it)).collect(),
        label: Uuid::new_v4().to_string(),
        label_downloads: 0,
    }
}

fn package(state: &mut Memory, wanted: &Value) -> Package {
    let side = |name: &str| field(&wanted["dimensions"], name)?.parse::<u32>().ok();
    let centimetres = || Some((side("lengthInCm")?, side("widthInCm")?, side("heightInCm")?));
    Package {
        number: format!("370438101268{:06}", state.next_number()),
        correlation_id: field(wanted, "correlationId"),
        kilograms: kilograms(wanted).unwrap_or_default(),
        centimetres: centimetres(),
        events: Vec::new(),
    }
}
