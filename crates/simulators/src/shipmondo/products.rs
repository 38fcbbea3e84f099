//! What can be sent with whom, what it costs, and where parcels can be fetched.

use crate::shipmondo::api::{Query, Refused};
use rust_decimal::Decimal;
use serde_json::{Value, json};

pub(crate) struct Product {
    pub id: u64,
    pub code: &'static str,
    pub carrier: &'static str,
    pub description: &'static str,
    /// Countries that it goes to, from Denmark.
    pub to: &'static [&'static str],
    /// Hundredths of a krone without VAT: for the first kilogram, and for each that is started after it.
    price: (i64, i64),
    pub most_grams: u64,
    pub needs_point: bool,
    /// Services that it cannot be booked without.
    pub requires: &'static [&'static str],
    pub cancels_at_carrier: bool,
}

pub(crate) const SERVICES: [&str; 3] = ["EMAIL_NT", "SMS_NT", "FLEX"];

static CATALOG: [Product; 4] = [
    Product {
        id: 64,
        code: "GLSDK_SD",
        carrier: "gls",
        description: "ShopDelivery",
        to: &["DK"],
        price: (3_400, 400),
        most_grams: 20_000,
        needs_point: true,
        requires: &["EMAIL_NT", "SMS_NT"],
        cancels_at_carrier: true,
    },
    Product {
        id: 65,
        code: "GLSDK_HD",
        carrier: "gls",
        description: "HomeDelivery",
        to: &["DK"],
        price: (4_400, 500),
        most_grams: 30_000,
        needs_point: false,
        requires: &[],
        cancels_at_carrier: true,
    },
    Product {
        id: 71,
        code: "PDK_MH",
        carrier: "pdk",
        description: "MyPack Home",
        to: &["DK", "NO", "SE"],
        price: (5_925, 650),
        most_grams: 30_000,
        needs_point: false,
        requires: &["EMAIL_NT"],
        cancels_at_carrier: true,
    },
    Product {
        id: 83,
        code: "DAO_STS",
        carrier: "dao",
        description: "Shop",
        to: &["DK"],
        price: (2_900, 250),
        most_grams: 10_000,
        needs_point: true,
        requires: &[],
        cancels_at_carrier: false,
    },
];

pub(crate) fn product(code: &str) -> Option<&'static Product> {
    CATALOG.iter().find(|it| it.code == code)
}

impl Product {
    pub(crate) fn before_vat(&self, grams: u64) -> Decimal {
        let more = grams.div_ceil(1_000).saturating_sub(1);
        Decimal::new(self.price.0, 2) + Decimal::new(self.price.1, 2) * Decimal::from(more)
    }

    pub(crate) fn with_vat(&self, grams: u64) -> Decimal {
        (self.before_vat(grams) * Decimal::new(125, 2)).round_dp(2)
    }
}

/// One quote for each product that goes there, in the order of the products.
pub(crate) fn quotes(body: &Value) -> Result<Value, Refused> {
    for place in ["sender", "receiver"] {
        for field in ["address1", "zipcode", "city", "country_code"] {
            if body[place][field].as_str().is_none_or(|it| it.trim().is_empty()) {
                return Err(Refused::invalid(format!("{place}.{field}")));
            }
        }
    }
    let parcels = body["parcels"].as_array().filter(|it| !it.is_empty()).ok_or_else(|| Refused::invalid("parcels"))?;
    let mut weights = Vec::new();
    for parcel in parcels {
        let grams = parcel["weight"].as_u64().filter(|it| *it > 0).ok_or_else(|| Refused::invalid("parcels.weight"))?;
        weights.extend(std::iter::repeat_n(grams, parcel["quantity"].as_u64().unwrap_or(1).min(100) as usize));
    }
    let (from, to) = (&body["sender"]["country_code"], body["receiver"]["country_code"].as_str().unwrap_or_default());
    let goes = |it: &&Product| from == "DK" && it.to.contains(&to) && weights.iter().all(|grams| *grams <= it.most_grams);
    let quote = |it: &Product| {
        let price: Decimal = weights.iter().map(|grams| it.with_vat(*grams)).sum();
        let before_vat: Decimal = weights.iter().map(|grams| it.before_vat(*grams)).sum();
        json!({
            "carrier_code": it.carrier,
            "description": it.description,
            "product_code": it.code,
            "service_codes": it.requires.join(","),
            "price": number(price),
            "price_before_vat": number(before_vat),
            "currency_code": "DKK",
        })
    };
    Ok(CATALOG.iter().filter(goes).map(quote).collect())
}

/// A number as JSON writes it: `42.5`.
fn number(amount: Decimal) -> Value {
    serde_json::from_str(&amount.normalize().to_string()).unwrap_or_default()
}

/// The closest first. The second of them takes parcels in and hands none out.
pub(crate) fn service_points(query: &Query) -> Result<Value, Refused> {
    let asked = |name: &str| query.get(name).map(|it| it.trim()).filter(|it| !it.is_empty()).ok_or_else(Refused::missing);
    let (product, country, zipcode) = (asked("product_code")?, asked("country_code")?, asked("zipcode")?);
    let product = product_with_points(product)?;
    let quantity = query.get("quantity").map_or(Some(10), |it| it.parse::<usize>().ok()).ok_or_else(Refused::missing)?;
    let city = query.get("city").map_or("By", String::as_str);
    let nearest = if query.contains_key("address") { 120 } else { 480 };
    let point = |index: usize| {
        json!({
            "id": point_id(product.carrier, zipcode, index),
            "name": format!("Butik {}", index + 1),
            "address": format!("Gade {}", index + 1),
            "address2": null,
            "zipcode": zipcode,
            "city": city,
            "country": country,
            "distance": nearest + 130 * index,
            "longitude": 10.4159,
            "latitude": 55.4086,
            "carrier_code": product.carrier,
            "type": "SP",
            "opening_hours": ["Man: 08:00 - 20:00", "Tir: 08:00 - 20:00"],
            "drop_off_allowed": true,
            "pickup_allowed": index != 1,
        })
    };
    let known = if product.to.contains(&country) { POINTS } else { 0 };
    Ok((0..quantity.min(MOST_ASKED).min(known)).map(point).collect())
}

const POINTS: usize = 25;
const MOST_ASKED: usize = 20;

fn product_with_points(code: &str) -> Result<&'static Product, Refused> {
    product(code).filter(|it| it.needs_point).ok_or_else(Refused::missing)
}

pub(crate) fn point_id(carrier: &str, zipcode: &str, index: usize) -> String {
    let digit = if carrier == "gls" { 9 } else { 7 };
    format!("{digit}{zipcode}{index:02}")
}

pub(crate) fn is_point(product: &Product, id: &str) -> bool {
    let start = point_id(product.carrier, "", 0);
    id.len() > 3 && id.starts_with(&start[..1]) && id.bytes().all(|it| it.is_ascii_digit())
}
