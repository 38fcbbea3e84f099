//! Booking a shipment: what is refused, what it costs, and its labels.

use crate::shipmondo::{
    api::Refused,
    products::{self, Product, SERVICES, is_point, point_id},
    state::{Package, Shipment, State},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const FORMATS: [&str; 7] = ["a4_pdf", "10x19_pdf", "10x19_png", "10x19_zpl", "compact_png", "compact_pdf", "compact_zpl"];
/// What the account is set up for.
const DEFAULT_FORMAT: &str = "a4_pdf";

/// Books what was asked for, however often: there is no key.
pub(crate) fn shipment(state: &mut State, body: &Value) -> Result<Value, Refused> {
    let format = optional(body, "label_format")?;
    if format.is_some_and(|it| !FORMATS.contains(&it)) {
        return Err(Refused::invalid("label_format"));
    }
    let made = made(state, body)?;
    let labels = format.map(|it| labels(&made, Some(it))).transpose()?;
    let mut answer = keep(state, made);
    if let Some(labels) = labels {
        answer["labels"] = labels;
    }
    Ok(answer)
}

fn keep(state: &mut State, shipment: Shipment) -> Value {
    let (id, json) = (shipment.id, shipment.json());
    state.shipments.insert(id, shipment);
    state.tell("Shipments", "create", id, &json);
    json
}

fn made(state: &mut State, body: &Value) -> Result<Shipment, Refused> {
    let own_agreement = body["own_agreement"].as_bool().ok_or_else(|| Refused::invalid("own_agreement"))?;
    let product = text(body, "product_code").and_then(products::product).ok_or_else(|| Refused::invalid("product_code"))?;
    let services = body["service_codes"].as_str().ok_or_else(|| Refused::invalid("service_codes"))?;
    let (sender, receiver) = (party(body, "sender")?, party(body, "receiver")?);
    goes_there(product, &receiver)?;
    check_services(product, services, &receiver)?;
    let asked = parcels(body, product)?;
    let service_point = service_point(body, product, &receiver)?;
    let price = asked.iter().map(|(grams, quantity, _)| product.with_vat(*grams) * Decimal::from(*quantity)).sum();
    let id = state.new_id();
    let parcels = asked.into_iter().enumerate().map(|(kind, (grams, quantity, asked))| {
        let numbers = (0..quantity).map(|index| format!("60645{id:05}{kind}{index:02}")).collect();
        Package { grams, numbers, asked }
    });
    let now = state.now();
    Ok(Shipment {
        id,
        created_at: now,
        updated_at: now,
        product,
        service_codes: services.to_owned(),
        customer_number: own_agreement.then(|| optional(body, "customer_number")).transpose()?.flatten().map(str::to_owned),
        price: if own_agreement { Decimal::ZERO } else { price },
        reference: optional(body, "reference")?.map(str::to_owned),
        order_id: None,
        parties: vec![sender, receiver],
        parcels: parcels.collect(),
        service_point,
        source: "api",
        test: body["test_mode"] == true,
        cancelled: false,
        scanned: None,
    })
}

pub(crate) fn by_hand(state: &mut State, reference: Option<&str>, order_id: Option<&str>) -> u64 {
    let body = json!({
        "own_agreement": false,
        "product_code": "GLSDK_HD",
        "service_codes": "",
        "reference": reference,
        "parties": [
            { "type": "sender", "name": "Fjord Handel ApS", "address1": "Vej 1", "postal_code": "5000", "city": "Odense",
              "country_code": "DK" },
            { "type": "receiver", "name": "Kari Hansen", "address1": "Vej 2", "postal_code": "8000", "city": "Aarhus",
              "country_code": "DK" },
        ],
        "parcels": [{ "weight": 1_000 }],
    });
    let Ok(made) = made(state, &body) else { return 0 };
    let id = made.id;
    keep(state, Shipment { source: "manual", order_id: order_id.map(str::to_owned), ..made });
    id
}

/// For PNG one for each parcel, for the others one with all of them.
pub(crate) fn labels(shipment: &Shipment, format: Option<&str>) -> Result<Value, Refused> {
    let format = format.unwrap_or(DEFAULT_FORMAT);
    if !FORMATS.contains(&format) {
        return Err(Refused::invalid("label_format"));
    }
    let numbers: Vec<&str> = shipment.numbers().map(String::as_str).collect();
    let kind = format.rsplit('_').next().unwrap_or_default();
    let label = |data: Vec<u8>| json!({ "base64": STANDARD.encode(data), "file_format": kind });
    Ok(match kind {
        "zpl" => {
            json!([label(numbers.iter().map(|it| format!("^XA^FO50,50^BCN,100^FD{it}^FS^XZ\n")).collect::<String>().into())])
        }
        "png" => numbers.iter().map(|it| label([b"\x89PNG\r\n\x1a\n", it.as_bytes()].concat())).collect(),
        _ => json!([label(format!("%PDF-1.3\n% {}\n%%EOF\n", numbers.join(" ")).into())]),
    })
}

fn text<'a>(body: &'a Value, field: &str) -> Option<&'a str> {
    body[field].as_str().map(str::trim).filter(|it| !it.is_empty())
}

/// A text, or nothing; anything else is refused.
fn optional<'a>(body: &'a Value, field: &str) -> Result<Option<&'a str>, Refused> {
    match &body[field] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(Refused::invalid(field)),
    }
}

/// From `parties`, or the older object of this name, whose postal code is a `zipcode`.
fn party(body: &Value, kind: &str) -> Result<Value, Refused> {
    let listed = body["parties"].as_array().and_then(|all| all.iter().find(|it| it["type"] == kind));
    let mut party = listed.or_else(|| body.get(kind)).cloned().ok_or_else(|| Refused::invalid(kind))?;
    if listed.is_none() {
        party["type"] = json!(kind);
        party["postal_code"] = party["zipcode"].take();
    }
    for field in ["name", "address1", "postal_code", "city", "country_code"] {
        if text(&party, field).is_none() {
            return Err(Refused::invalid(format!("{kind}.{field}")));
        }
    }
    Ok(party)
}

fn goes_there(product: &Product, receiver: &Value) -> Result<(), Refused> {
    let there = receiver["country_code"].as_str().is_some_and(|it| product.to.contains(&it));
    if there { Ok(()) } else { Err(Refused::invalid("receiver.country_code")) }
}

/// A notice by e-mail needs an address, one by SMS a number.
fn check_services(product: &Product, codes: &str, receiver: &Value) -> Result<(), Refused> {
    let codes: Vec<&str> = codes.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    if let Some(unknown) = codes.iter().find(|it| !SERVICES.contains(it)) {
        return Err(Refused::invalid(format!("service_codes: {unknown}")));
    }
    if let Some(missing) = product.requires.iter().find(|it| !codes.contains(it)) {
        return Err(Refused::said(format!("{} requires the service {missing}", product.code)));
    }
    let has = |fields: &[&str]| fields.iter().any(|it| text(receiver, it).is_some());
    if codes.contains(&"EMAIL_NT") && !has(&["email"]) {
        return Err(Refused::said("Receiver email is required by EMAIL_NT"));
    }
    if codes.contains(&"SMS_NT") && !has(&["phone", "mobile"]) {
        return Err(Refused::said("Receiver phone is required by SMS_NT"));
    }
    Ok(())
}

/// Weight, quantity, and the whole as it came.
fn parcels(body: &Value, product: &Product) -> Result<Vec<(u64, u64, Value)>, Refused> {
    let parcels = body["parcels"].as_array().filter(|it| !it.is_empty()).ok_or_else(|| Refused::invalid("parcels"))?;
    let read = |it: &Value| {
        let kilograms = || text(it, "weight_kg")?.parse::<Decimal>().ok().map(|it| it * Decimal::ONE_THOUSAND);
        let grams = it["weight"].as_u64().or_else(|| u64::try_from(kilograms()?).ok());
        let grams = grams.filter(|it| (1..=product.most_grams).contains(it)).ok_or_else(|| Refused::invalid("parcels.weight"))?;
        let quantity = it.get("quantity").map_or(Some(1), Value::as_u64).filter(|it| (1..=99).contains(it));
        Ok((grams, quantity.ok_or_else(|| Refused::invalid("parcels.quantity"))?, it.clone()))
    };
    parcels.iter().map(read).collect()
}

fn service_point(body: &Value, product: &Product, receiver: &Value) -> Result<Option<String>, Refused> {
    let asked = optional(body, "service_point_id")?;
    if !product.needs_point {
        return Ok(None);
    }
    match asked {
        Some(id) if is_point(product, id) => Ok(Some(id.to_owned())),
        Some(_) => Err(Refused::invalid("service_point_id")),
        None if body["automatic_select_service_point"] == true => {
            Ok(Some(point_id(product.carrier, text(receiver, "postal_code").unwrap_or_default(), 0)))
        }
        None => Err(Refused::said(format!("{} requires a service point", product.code))),
    }
}
