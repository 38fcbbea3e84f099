//! Pick-up points near a postal code: distances as text, positions as numbers, hours in five languages.

use crate::bring::api::refusal;
use axum::{
    Json,
    extract::{Path, Query},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Number, Value, json};
use std::collections::BTreeMap;

/// Id, country, name, street, postal code, city, latitude and longitude.
#[rustfmt::skip]
const POINTS: [[&str; 8]; 7] = [
    ["121524", "NO", "Kiosken ved broen", "BRUGATA 3", "0186", "OSLO", "59.91327009967021", "10.76078134926039"],
    ["121525", "NO", "Dagligvarer Storgata", "STORGATA 40", "0182", "OSLO", "59.91655286", "10.75588"],
    ["122608", "NO", "Post i butikk Havna", "HAVNEGATA 7", "5018", "BERGEN", "60.395226", "5.321725"],
    ["900001", "SE", "Kiosken Odenplan", "ODENGATAN 60", "11322", "STOCKHOLM", "59.34282", "18.04992"],
    ["900002", "SE", "Livs vid torget", "TORGGATAN 2", "21140", "MALMÖ", "55.60587", "13.00073"],
    ["800001", "DK", "Kiosken Smedjen", "SMEDEGADE 3", "2200", "KØBENHAVN N", "55.69012", "12.55331"],
    ["700001", "FI", "Kioski Kallio", "HÄMEENTIE 5", "00530", "HELSINKI", "60.18421", "24.95022"],
];

pub(crate) fn exists(country: &str, id: &str) -> bool {
    POINTS.iter().any(|it| it[0] == id && it[1] == country)
}

pub(crate) async fn by_postal_code(
    Path((country, file)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let (Some(code), true) = (file.strip_suffix(".json"), ["NO", "DK", "SE", "FI"].contains(&country.as_str())) else {
        return refusal(StatusCode::NOT_FOUND, "Not found");
    };
    let most = query.get("numberOfResponses").map_or(Ok(10), |it| it.parse::<usize>());
    let (Ok(near), Ok(most)) = (code.parse::<i64>(), most) else {
        return refusal(StatusCode::BAD_REQUEST, "The postal code or the number of responses is not valid");
    };
    // A difference of postal codes stands for a way here.
    let away = |point: &[&str; 8]| point[4].parse::<i64>().map_or(i64::MAX, |at| (at - near).abs());
    let mut points: Vec<&[&str; 8]> = POINTS.iter().filter(|it| it[1] == country).collect();
    points.sort_by_key(|it| away(it));
    let found: Vec<Value> = points.into_iter().take(most).map(|it| json_of(it, away(it))).collect();
    Json(json!({ "pickupPoint": found })).into_response()
}

fn json_of([id, country, name, street, postal_code, city, latitude, longitude]: &[&str; 8], away: i64) -> Value {
    let number = |digits: &str| digits.parse::<Number>().map_or(Value::Null, Value::Number);
    let tenths = away.saturating_add(2);
    json!({
        "id": id,
        "unitId": id,
        "name": name,
        // Letters go to a post box; the door is the visiting address.
        "address": "POSTBOKS 100",
        "postalCode": postal_code,
        "city": city,
        "countryCode": country,
        "visitingAddress": street,
        "visitingPostalCode": postal_code,
        "visitingCity": city,
        "openingHoursNorwegian": "Man - Fre: 0800-2200, Lør: 0800-2000",
        "openingHoursEnglish": "Mon - Fri: 0800-2200, Sat: 0800-2000",
        "openingHoursFinnish": "Maa - Per: 0800-2200, Lau: 0800-2000",
        "openingHoursDanish": "Man - Fre: 0800-2200, Lør: 0800-2000",
        "openingHoursSwedish": "Mån - Fre: 0800-2200, Lör: 0800-2000",
        "latitude": number(latitude),
        "longitude": number(longitude),
        "distanceInKm": format!("{}.{}", tenths / 10, tenths % 10),
        "distanceType": "DRIVING_DISTANCE",
        "type": "4",
    })
}
