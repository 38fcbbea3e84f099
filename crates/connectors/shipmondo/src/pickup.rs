//! Places where a parcel can be fetched, of the carrier whose product is asked for.

use crate::{Shipmondo, wire};
use spindel_connect::{Api, CallError, FindPickupPoints};
use spindel_model::{Address, PickupPoint, PickupQuery};

const PICKUP_POINTS: &str = "pickup_points";

impl FindPickupPoints for Shipmondo {
    async fn pickup_points(&self, api: &Api, query: &PickupQuery) -> Result<Vec<PickupPoint>, CallError> {
        let path = self.path(query)?;
        let found: Vec<wire::ServicePoint> = api.get(PICKUP_POINTS, path).fetch().await?;
        let open = found.into_iter().filter(|it| it.pickup_allowed != Some(false));
        Ok(open.take(most(query)).map(wire::ServicePoint::into_point).collect())
    }
}

/// Shipmondo refuses to be asked for more than 20.
fn most(query: &PickupQuery) -> usize {
    query.limit.clamp(1, 20)
}

impl Shipmondo {
    fn path(&self, query: &PickupQuery) -> Result<String, CallError> {
        let asked = query.service.as_deref().filter(|code| self.services.iter().any(|it| it.product == *code));
        let product = asked.or(self.service.as_deref()).or(query.service.as_deref()).ok_or_else(|| {
            CallError::config(PICKUP_POINTS, "no product is named; set `service` to one with pick-up points, as in `GLSDK_SD`")
        })?;
        let near = &query.near;
        let postal_code = near.postal_code.as_deref().map(str::trim).filter(|it| !it.is_empty());
        let postal_code = postal_code.ok_or_else(|| CallError::data(PICKUP_POINTS, "the address has no postal code"))?;
        let country = near.country.as_deref().unwrap_or(&self.sender.country).to_ascii_uppercase();
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        pairs.append_pair("product_code", product).append_pair("country_code", &country).append_pair("zipcode", postal_code);
        for (name, value) in [("city", &near.city), ("address", &near.line1)] {
            if let Some(value) = value.as_deref().map(str::trim).filter(|it| !it.is_empty()) {
                pairs.append_pair(name, value);
            }
        }
        pairs.append_pair("quantity", &most(query).to_string());
        Ok(format!("/service_point/service_points?{}", pairs.finish()))
    }
}

impl wire::ServicePoint {
    fn into_point(self) -> PickupPoint {
        PickupPoint {
            id: self.id,
            address: Address {
                company: Some(self.name.clone()),
                line1: self.address,
                line2: self.address2.filter(|it| !it.is_empty()),
                postal_code: self.zipcode,
                city: self.city,
                country: self.country,
                ..Address::default()
            },
            name: self.name,
            metres: self.distance.and_then(|it| u32::try_from(it.0.round()).ok()),
            opening_hours: self.opening_hours.unwrap_or_default(),
            position: self.latitude.zip(self.longitude).map(|(north, east)| (north.0.to_string(), east.0.to_string())),
        }
    }
}
