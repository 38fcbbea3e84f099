//! Shipmondo's JSON, as far as it is used. Ids are text; prices and positions are never floats.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use spindel_connect::{ParseError, Verified, parse};
use spindel_model::{Exact, Timestamp};

#[derive(Deserialize)]
pub(crate) struct Account {
    pub name: String,
}

#[derive(Deserialize)]
pub(crate) struct Refused {
    pub error: String,
}

/// A shipment as it is answered, listed, and told by webhooks.
#[derive(Deserialize)]
pub(crate) struct Shipment {
    #[serde(deserialize_with = "text")]
    pub id: String,
    pub updated_at: Timestamp,
    pub created_at: Option<Timestamp>,
    pub carrier_code: Option<String>,
    pub reference: Option<String>,
    pub order_id: Option<String>,
    /// How it was made: `api`, `manual`, `return`, …
    pub source_type: Option<String>,
    pub pkg_no: Option<String>,
    #[serde(default)]
    pub parcels: Vec<Package>,
    #[serde(default)]
    pub labels: Vec<Label>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub pkg_no: Option<String>,
    pub pkg_nos: Option<Vec<String>>,
}

impl Shipment {
    /// Every number under which a parcel of it is tracked, once.
    pub fn numbers(&self) -> Vec<String> {
        let of =
            |it: &Package| it.pkg_nos.clone().filter(|it| !it.is_empty()).unwrap_or_else(|| it.pkg_no.iter().cloned().collect());
        let mut numbers: Vec<String> = self.parcels.iter().flat_map(of).collect();
        if numbers.is_empty() {
            numbers.extend(self.pkg_no.clone());
        }
        numbers.retain(|it| !it.is_empty());
        let mut seen = std::collections::BTreeSet::new();
        numbers.retain(|it| seen.insert(it.clone()));
        numbers
    }
}

#[derive(Deserialize)]
pub(crate) struct Label {
    pub base64: String,
    pub file_format: String,
}

#[derive(Deserialize)]
pub(crate) struct Cancelled {
    #[serde(default)]
    pub cancelled: bool,
    pub cancelled_at_carrier: Option<bool>,
}

#[derive(Deserialize)]
pub(crate) struct Quoted {
    pub product_code: String,
    pub description: Option<String>,
    /// With VAT.
    pub price: Exact,
    pub currency_code: String,
}

#[derive(Deserialize)]
pub(crate) struct ServicePoint {
    #[serde(deserialize_with = "text")]
    pub id: String,
    pub name: String,
    pub address: Option<String>,
    pub address2: Option<String>,
    pub zipcode: Option<String>,
    pub city: Option<String>,
    pub country: Option<String>,
    pub distance: Option<Exact>,
    pub longitude: Option<Exact>,
    pub latitude: Option<Exact>,
    pub opening_hours: Option<Vec<String>>,
    pub pickup_allowed: Option<bool>,
}

#[derive(Deserialize)]
pub(crate) struct Webhook {
    #[serde(deserialize_with = "text")]
    pub id: String,
    pub endpoint: String,
    pub active: Option<bool>,
    pub action: String,
    pub resource_name: String,
}

/// An answer that the description promises as a list and gives as one.
pub(crate) fn one_or_first<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<Option<T>, ParseError> {
    if body.trim_ascii_start().starts_with(b"[") {
        return parse::<Vec<T>>(body).map(|it| it.into_iter().next());
    }
    parse(body).map(Some)
}

/// What a webhook's signature vouches for.
#[derive(Deserialize)]
pub(crate) struct Claims {
    /// The name that the webhook was registered under.
    pub webhook: String,
    pub data: Option<Box<RawValue>>,
}

impl Claims {
    /// The claims are an object, or its JSON as a text.
    pub fn of(delivery: &Verified) -> Result<Self, ParseError> {
        if delivery.body().trim_ascii_start().starts_with(b"\"") {
            let inner: String = delivery.json()?;
            return parse(inner.as_bytes());
        }
        delivery.json()
    }

    /// `None` where there is nothing, as in the request that checks a new webhook.
    pub fn data<T: serde::de::DeserializeOwned>(&self) -> Result<Option<T>, ParseError> {
        match self.data.as_ref().map(|it| it.get().trim()) {
            None | Some("null" | "{}" | "[]" | "\"\"") => Ok(None),
            Some(data) => parse(data.as_bytes()).map(Some),
        }
    }
}

/// What the Shipment Monitor tells of a parcel.
#[derive(Deserialize)]
pub(crate) struct Monitor {
    #[serde(deserialize_with = "text")]
    pub shipment_id: String,
    pub current_status: Option<String>,
    /// How well it goes: `DANGER` when something is wrong.
    pub current_state: Option<String>,
    pub current_status_registered_at: Option<Timestamp>,
    pub carrier_code: Option<String>,
    pub carrier_track_id: Option<String>,
    pub city: Option<String>,
}

/// An id, as a number or as its text.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let raw = <Box<RawValue>>::deserialize(from)?;
    let text = raw.get().trim_matches('"');
    let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    if text.is_empty() || matches!(text, "null" | "true" | "false") || !text.chars().all(plain) {
        return Err(serde::de::Error::custom("expected an id"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_text_however_long_and_however_it_is_sent() {
        for (sent, want) in [("9007199254740993", "9007199254740993"), ("\"95558\"", "95558")] {
            let json = format!(r#"{{"id":{sent},"endpoint":"","action":"create","resource_name":"Shipments"}}"#);
            assert_eq!(parse::<Webhook>(json.as_bytes()).unwrap().id, want);
        }
        for sent in ["null", "{}", "\"\"", "\"../1\""] {
            let json = format!(r#"{{"id":{sent},"endpoint":"","action":"create","resource_name":"Shipments"}}"#);
            assert!(parse::<Webhook>(json.as_bytes()).is_err(), "{sent}");
        }
    }

    #[test]
    fn every_parcel_has_its_number_once() {
        let json = r#"{"id":1,"updated_at":"2026-11-20T10:00:00.557Z","pkg_no":"A","parcels":[{"pkg_no":"A","pkg_nos":["A","B"]},{"pkg_no":"C"},{"pkg_no":""}]}"#;
        assert_eq!(parse::<Shipment>(json.as_bytes()).unwrap().numbers(), ["A", "B", "C"]);
        let json = r#"{"id":1,"updated_at":"2026-11-20T10:00:00.557Z","pkg_no":"A"}"#;
        assert_eq!(parse::<Shipment>(json.as_bytes()).unwrap().numbers(), ["A"]);
    }
}
