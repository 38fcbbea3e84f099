//! The Shipping Guide: prices as text with and without tax, delivery dates, and refusals for each service by itself.

use crate::bring::{
    Shared,
    api::{field, list, refusal},
    state::State as Memory,
};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::civil::{Date, Weekday};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// A way to send.
pub(crate) struct Service {
    pub id: &'static str,
    pub name: &'static str,
    /// Where it delivers.
    pub countries: &'static [&'static str],
    pub max_kilograms: i64,
    /// In hundredths without tax, for a parcel of up to five kilograms.
    price: i64,
    working_days: u32,
    /// Whether one booking may hold several parcels.
    pub several: bool,
    /// Whether it can go to a pick-up point that the buyer chose.
    pub to_point: bool,
}

#[rustfmt::skip]
pub(crate) const SERVICES: [Service; 5] = [
    Service { id: "5800", name: "Pickup parcel", countries: &["NO"], max_kilograms: 35, price: 11_920, working_days: 2, several: true, to_point: true },
    Service { id: "5600", name: "Parcel home plus", countries: &["NO"], max_kilograms: 35, price: 15_920, working_days: 2, several: true, to_point: false },
    Service { id: "3584", name: "Home mailbox parcel", countries: &["NO"], max_kilograms: 5, price: 5_520, working_days: 3, several: false, to_point: false },
    Service { id: "5000", name: "Business parcel", countries: &["NO"], max_kilograms: 35, price: 14_575, working_days: 1, several: true, to_point: false },
    Service { id: "0340", name: "PickUp parcel", countries: &["SE", "DK", "FI"], max_kilograms: 20, price: 9_900, working_days: 4, several: true, to_point: true },
];

pub(crate) fn service(id: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|it| it.id == id)
}

pub(crate) async fn products(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let request = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let consignments = list(&request, "consignments");
    let answers: Option<Vec<Value>> = shared.with(|state| consignments.iter().map(|it| answer(state, &request, it)).collect());
    match answers.filter(|it| !it.is_empty()) {
        Some(answers) => {
            Json(json!({ "traceMessages": [], "consignments": answers, "uniqueId": Uuid::new_v4() })).into_response()
        }
        None => {
            refusal(StatusCode::BAD_REQUEST, "consignments, products, packages, countries, postal codes and a date are needed")
        }
    }
}

/// What is asked about one consignment.
struct Asked {
    from: String,
    to: String,
    postal_code: String,
    grams: Vec<Decimal>,
    date: Date,
}

fn answer(state: &Memory, request: &Value, consignment: &Value) -> Option<Value> {
    let upper = |name: &str| field(consignment, name).map(|it| it.to_uppercase());
    let grams = |it: &Value| field(it, "grossWeight")?.parse::<Decimal>().ok().filter(|it| *it > Decimal::ZERO);
    field(consignment, "fromPostalCode")?;
    let asked = Asked {
        from: upper("fromCountryCode")?,
        to: upper("toCountryCode")?,
        postal_code: field(consignment, "toPostalCode")?,
        grams: list(consignment, "packages").iter().map(grams).collect::<Option<Vec<_>>>().filter(|it| !it.is_empty())?,
        date: match &consignment["shippingDate"] {
            // The parcel is taken to be at the terminal already.
            Value::Null => state.options.clock.now().to_zoned(super::tracking::zone()).date(),
            given => date(given)?,
        },
    };
    let wanted = list(consignment, "products");
    let products: Vec<Value> = wanted.iter().filter_map(|it| product(state, request, &asked, it)).collect();
    (!wanted.is_empty()).then(|| json!({ "consignmentId": consignment["id"], "products": products }))
}

fn date(parts: &Value) -> Option<Date> {
    let part = |name: &str| field(parts, name)?.parse::<i16>().ok();
    let small = |name: &str| i8::try_from(part(name)?).ok();
    Date::new(part("year")?, small("month")?, small("day")?).ok()
}

/// `None` for a service that does not carry it there: the answer leaves it out.
fn product(state: &Memory, request: &Value, asked: &Asked, wanted: &Value) -> Option<Value> {
    let id = field(wanted, "id").unwrap_or_default();
    let customer = field(wanted, "customerNumber");
    let error = |code: &str, text: &str| Some(json!({ "id": id, "errors": [{ "code": code, "description": text }] }));
    if let Some((code, text)) = state.service_errors.get(&id) {
        return error(code, text);
    }
    let Some(service) = service(&id) else { return error("SERVICE_NOT_FOUND", "The service does not exist") };
    if !postal_code_fits(&asked.to, &asked.postal_code) {
        return error("INVALID_POSTAL_CODE", "The postal code of the recipient is not valid");
    }
    if customer.as_ref().is_some_and(|it| *it != state.options.customer_number) {
        return error("INVALID_CUSTOMER_NUMBER", "The customer number is not valid for this service");
    }
    let too_heavy = asked.grams.iter().any(|it| *it > Decimal::from(service.max_kilograms * 1_000));
    let covered = service.countries.contains(&asked.to.as_str()) && !state.options.uncovered.contains(&asked.postal_code);
    if too_heavy || !covered || (asked.grams.len() > 1 && !service.several) {
        return None;
    }
    let mut product = json!({ "id": id, "productionCode": id });
    let on = |name: &str| request[name] != json!(false);
    if on("withGuiInformation") {
        let about = format!("{}, with tracking", service.name);
        product["guiInformation"] = json!({
            "displayName": service.name,
            "productName": service.name,
            "descriptionText": about,
            "maxWeightInKgs": service.max_kilograms.to_string(),
        });
    }
    if on("withPrice") && state.prices_down {
        product["warnings"] = json!([{ "code": "PRICE_NOT_AVAILABLE", "description": "The price is not available right now" }]);
    } else if on("withPrice") {
        let list = state.prices.get(&id).copied().unwrap_or_else(|| Decimal::new(service.price, 2));
        product["price"] = price(list, asked, customer.is_some());
    }
    if on("withExpectedDelivery") {
        product["expectedDelivery"] = delivery(service.working_days, asked.date);
    }
    Some(product)
}

/// One price for each parcel, with ten more for every five kilograms that follow the first; agreed prices are a fifth lower.
fn price(list: Decimal, asked: &Asked, agreed: bool) -> Value {
    let steps = |grams: &Decimal| (grams / Decimal::from(5_000)).ceil() - Decimal::ONE;
    let list: Decimal = asked.grams.iter().map(|it| list + steps(it) * Decimal::TEN).sum();
    let (currency, tax) = match asked.from.as_str() {
        "SE" => ("SEK", Decimal::new(25, 2)),
        "DK" => ("DKK", Decimal::new(25, 2)),
        "FI" => ("EUR", Decimal::new(255, 3)),
        _ => ("NOK", Decimal::new(25, 2)),
    };
    let priced = |net: Decimal| {
        let round = |it: Decimal| it.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero);
        let (net, vat) = (round(net), round(net * tax));
        let text = |it: Decimal| format!("{it:.2}");
        let amounts = json!({ "amountWithoutVAT": text(net), "vat": text(vat), "amountWithVAT": text(net + vat) });
        json!({ "priceWithoutAdditionalServices": amounts, "priceWithAdditionalServices": amounts, "currencyCode": currency })
    };
    let mut price = json!({ "listPrice": priced(list) });
    if agreed {
        price["netPrice"] = priced(list * Decimal::new(8, 1));
    }
    price
}

fn delivery(working_days: u32, from: Date) -> Value {
    let later = from.series(jiff::Span::new().days(1)).skip(1);
    let mut working = later.filter(|it| !matches!(it.weekday(), Weekday::Saturday | Weekday::Sunday));
    let date = working.nth(working_days.saturating_sub(1) as usize).unwrap_or(from);
    let (year, month, day) = (date.year().to_string(), date.month().to_string(), date.day().to_string());
    json!({
        "workingDays": working_days.to_string(),
        "formattedExpectedDeliveryDate": date.strftime("%d.%m.%Y").to_string(),
        "expectedDeliveryDate": { "year": year, "month": month, "day": day },
        "alternativeDeliveryDates": [],
    })
}

/// Four digits in Norway and Denmark, five in Sweden and Finland; elsewhere anything.
pub(crate) fn postal_code_fits(country: &str, code: &str) -> bool {
    let code = code.replace(' ', "");
    let digits = |many: usize| code.len() == many && code.bytes().all(|it| it.is_ascii_digit());
    match country {
        "NO" | "DK" => digits(4),
        "SE" | "FI" => digits(5),
        _ => !code.is_empty(),
    }
}
