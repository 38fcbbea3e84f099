//! Places where a parcel can be fetched: post offices, shops and lockers near an address.

use crate::{Bring, wire};
use spindel_connect::{Api, CallError, FindPickupPoints};
use spindel_model::{Address, Decimal, Exact, PickupPoint, PickupQuery};

const PICKUP_POINTS: &str = "pickup_points";
/// Where Bring has any.
const COUNTRIES: [&str; 4] = ["DK", "FI", "NO", "SE"];

impl FindPickupPoints for Bring {
    async fn pickup_points(&self, api: &Api, query: &PickupQuery) -> Result<Vec<PickupPoint>, CallError> {
        let country = query.near.country.as_deref().unwrap_or(&self.sender.country).to_ascii_uppercase();
        if !COUNTRIES.contains(&country.as_str()) {
            return Ok(Vec::new());
        }
        let limit = query.limit.clamp(1, 50);
        let path = path(&country, &query.near, limit)?;
        let found: wire::PickupPoints = api.get(PICKUP_POINTS, path).fetch().await?;
        Ok(found.pickup_point.into_iter().take(limit).map(|it| it.into_point(&country)).collect())
    }
}

fn path(country: &str, near: &Address, limit: usize) -> Result<String, CallError> {
    let postal_code: String = near.postal_code.iter().flat_map(|it| it.chars()).filter(char::is_ascii_alphanumeric).collect();
    if postal_code.is_empty() {
        return Err(CallError::data(PICKUP_POINTS, "the address has no postal code"));
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("numberOfResponses", &limit.to_string());
    if let Some(line) = near.line1.as_deref().map(str::trim).filter(|it| !it.is_empty()) {
        let (street, number) = street_and_number(line);
        query.append_pair("street", street);
        if let Some(number) = number {
            query.append_pair("streetNumber", number);
        }
    }
    Ok(format!("/pickuppoint/api/pickuppoint/{country}/postalCode/{postal_code}.json?{}", query.finish()))
}

/// `Storgata 12 B` is `Storgata` and `12`.
fn street_and_number(line: &str) -> (&str, Option<&str>) {
    let mut starts = line.char_indices().filter(|(at, letter)| *at > 0 && letter.is_ascii_digit() && line[..*at].ends_with(' '));
    let Some((at, _)) = starts.next_back() else { return (line, None) };
    let number = line[at..].split(|it: char| !it.is_ascii_alphanumeric()).next();
    (line[..at].trim(), number)
}

impl wire::Point {
    fn into_point(self, country: &str) -> PickupPoint {
        let metres = self.distance_in_km.and_then(|Exact(km)| u32::try_from((km * Decimal::ONE_THOUSAND).round()).ok());
        let position = self.latitude.zip(self.longitude).map(|(Exact(north), Exact(east))| (north.to_string(), east.to_string()));
        let hours = match country {
            "NO" => self.opening_hours_norwegian,
            "SE" => self.opening_hours_swedish,
            "DK" => self.opening_hours_danish,
            _ => self.opening_hours_finnish,
        };
        let hours = hours.or(self.opening_hours_english).unwrap_or_default();
        PickupPoint {
            id: self.id,
            address: Address {
                company: Some(self.name.clone()),
                line1: self.visiting_address.or(self.address),
                postal_code: self.visiting_postal_code.or(self.postal_code),
                city: self.visiting_city.or(self.city),
                country: Some(self.country_code.unwrap_or_else(|| country.to_owned())),
                ..Address::default()
            },
            name: self.name,
            metres,
            opening_hours: hours.split(", ").filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            position,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn street_and_number_are_told_apart() {
        for (line, want) in [
            ("Storgata 1", ("Storgata", Some("1"))),
            ("Storgata 12 B", ("Storgata", Some("12"))),
            ("7. juni-gaten 3c", ("7. juni-gaten", Some("3c"))),
            ("Postboks", ("Postboks", None)),
            ("Ærøgade 5, 2. tv", ("Ærøgade 5,", Some("2"))),
        ] {
            assert_eq!(street_and_number(line), want);
        }
    }

    #[test]
    fn a_postal_code_cannot_lead_elsewhere() {
        let near = Address { postal_code: Some("../113 51?x=".into()), ..Address::default() };
        let path = path("SE", &near, 5).unwrap();
        assert_eq!(path, "/pickuppoint/api/pickuppoint/SE/postalCode/11351x.json?numberOfResponses=5");
    }

    #[test]
    fn a_distance_or_position_that_is_not_told_is_none() {
        let point: wire::Point = serde_json::from_str(r#"{"id":"1","name":"Kiosk","distanceInKm":"","latitude":null}"#).unwrap();
        let point = point.into_point("NO");
        assert_eq!((point.metres, point.position), (None, None));
    }
}
