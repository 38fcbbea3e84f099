//! Bring's JSON, as far as it is used. Ids are text; amounts, distances and positions are never floats.

use serde::{Deserialize, Deserializer};
use spindel_model::{Exact, Timestamp};

/// Customer numbers of a user.
#[derive(Deserialize)]
pub(crate) struct Customers {
    pub customers: Vec<Customer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Customer {
    pub customer_number: String,
    #[serde(default)]
    pub products: Vec<String>,
}

/// Answer to a booking.
#[derive(Deserialize)]
pub(crate) struct Booked {
    pub consignments: Vec<BookedConsignment>,
}

#[derive(Deserialize)]
pub(crate) struct BookedConsignment {
    pub confirmation: Option<Confirmation>,
    pub errors: Option<Vec<BookingError>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Confirmation {
    pub consignment_number: String,
    #[serde(default)]
    pub links: Links,
    #[serde(default)]
    pub packages: Vec<BookedPackage>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Links {
    pub labels: Option<String>,
    pub tracking: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BookedPackage {
    pub package_number: String,
}

#[derive(Deserialize)]
pub(crate) struct BookingError {
    #[serde(default)]
    pub code: String,
    #[serde(default)]
    pub messages: Vec<BookingMessage>,
}

#[derive(Deserialize)]
pub(crate) struct BookingMessage {
    pub lang: Option<String>,
    #[serde(default)]
    pub message: String,
}

/// Answer of the Shipping Guide.
#[derive(Deserialize)]
pub(crate) struct Guide {
    #[serde(default)]
    pub consignments: Vec<GuideConsignment>,
}

#[derive(Deserialize)]
pub(crate) struct GuideConsignment {
    #[serde(default)]
    pub products: Vec<GuideProduct>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GuideProduct {
    pub id: String,
    pub gui_information: Option<GuiInformation>,
    pub price: Option<GuidePrice>,
    pub expected_delivery: Option<ExpectedDelivery>,
    #[serde(default)]
    pub errors: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GuiInformation {
    pub display_name: Option<String>,
    pub product_name: Option<String>,
    pub description_text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GuidePrice {
    pub list_price: Option<Priced>,
    pub net_price: Option<Priced>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Priced {
    pub price_with_additional_services: Option<Amounts>,
    pub currency_code: String,
}

#[derive(Deserialize)]
pub(crate) struct Amounts {
    #[serde(rename = "amountWithVAT")]
    pub with_vat: Exact,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExpectedDelivery {
    pub expected_delivery_date: Option<DateParts>,
}

/// A date in parts, each a text.
#[derive(Deserialize)]
pub(crate) struct DateParts {
    pub year: Exact,
    pub month: Exact,
    pub day: Exact,
}

/// Answer of the Pickup Point API.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PickupPoints {
    #[serde(default)]
    pub pickup_point: Vec<Point>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Point {
    pub id: String,
    pub name: String,
    pub country_code: Option<String>,
    /// A post box, often.
    pub address: Option<String>,
    pub postal_code: Option<String>,
    pub city: Option<String>,
    pub visiting_address: Option<String>,
    pub visiting_postal_code: Option<String>,
    pub visiting_city: Option<String>,
    pub opening_hours_norwegian: Option<String>,
    pub opening_hours_english: Option<String>,
    pub opening_hours_swedish: Option<String>,
    pub opening_hours_danish: Option<String>,
    pub opening_hours_finnish: Option<String>,
    #[serde(default, deserialize_with = "number")]
    pub latitude: Option<Exact>,
    #[serde(default, deserialize_with = "number")]
    pub longitude: Option<Exact>,
    #[serde(default, deserialize_with = "number")]
    pub distance_in_km: Option<Exact>,
}

/// Answer of the Tracking API. One that is too busy wraps its failure once more, in `shipments`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tracked {
    consignment_set: Option<Vec<TrackedConsignment>>,
    shipments: Option<Vec<Tracked>>,
}

impl Tracked {
    /// `None` when it holds no set at all, which is not the same as an empty one.
    pub fn consignments(self) -> Option<Vec<TrackedConsignment>> {
        if self.consignment_set.is_some() {
            return self.consignment_set;
        }
        let sets = self.shipments?.into_iter().map(|it| it.consignment_set);
        sets.collect::<Option<Vec<_>>>().filter(|it| !it.is_empty()).map(|it| it.into_iter().flatten().collect())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrackedConsignment {
    pub error: Option<TrackingError>,
    #[serde(default)]
    pub consignment_id: String,
    #[serde(default)]
    pub sender_reference: String,
    #[serde(default)]
    pub package_set: Vec<TrackedPackage>,
}

#[derive(Deserialize)]
pub(crate) struct TrackingError {
    pub code: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrackedPackage {
    pub package_number: String,
    #[serde(default)]
    pub event_set: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub status: String,
    #[serde(deserialize_with = "time")]
    pub date_iso: Timestamp,
    #[serde(default)]
    pub city: String,
}

/// What Event Cast sends.
#[derive(Deserialize)]
pub(crate) struct Cast {
    pub status: String,
    pub shipment: Option<String>,
    pub package: Option<String>,
    #[serde(deserialize_with = "time")]
    pub created: Timestamp,
}

/// A number, its text, or nothing, which Bring says as `""` too.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Exact>, D::Error> {
    let raw = <Option<Box<serde_json::value::RawValue>>>::deserialize(from)?;
    Ok(raw.and_then(|it| serde_json::from_str(it.get()).ok()))
}

/// `2026-11-20T14:58:48+0000`, or with a colon in the offset.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    let read = text.parse::<Timestamp>().or_else(|_| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", &text));
    read.map_err(|_| serde::de::Error::custom("expected a time with its offset"))
}
