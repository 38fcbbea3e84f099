//! HubSpot's JSON, as far as it is used. Values of properties are always text.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use spindel_model::Timestamp;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    pub portal_id: u64,
    #[serde(default)]
    pub company_currency: Option<String>,
}

/// Properties by their internal name. One that is left out stays as it is.
pub(crate) type Properties = Map<String, Value>;

#[derive(Serialize)]
pub(crate) struct Inputs<T> {
    pub inputs: Vec<T>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Upsert<'a> {
    pub id: &'a str,
    pub id_property: &'a str,
    pub properties: &'a Properties,
}

/// The answer to a batch; with status 207 a part of it was refused.
#[derive(Deserialize)]
pub(crate) struct Batch {
    #[serde(default)]
    pub results: Vec<Object>,
    #[serde(default)]
    pub errors: Vec<Problem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Object {
    pub id: String,
    #[serde(default)]
    pub properties: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    #[serde(default)]
    pub archived: bool,
}

impl Object {
    pub fn text(&self, property: &str) -> Option<String> {
        self.properties.get(property)?.clone().filter(|it| !it.is_empty())
    }
}

/// A refusal: of a whole call, or of one input of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    pub category: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub errors: Vec<Detail>,
    #[serde(default)]
    pub correlation_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Detail {
    #[serde(default)]
    pub code: Option<String>,
    #[serde(default, rename = "in")]
    pub place: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Statuses {
    #[serde(default)]
    pub results: Vec<Status>,
}

/// How one subscription of a person stands.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    #[serde(default)]
    pub subscription_id: Option<u64>,
    pub status: String,
    #[serde(default)]
    pub timestamp: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SetStatus {
    pub channel: &'static str,
    pub status_state: &'static str,
    pub subscription_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_basis: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_basis_explanation: Option<String>,
}

/// One entry of a webhook, which carries up to a hundred.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[serde(default)]
    pub event_id: u64,
    #[serde(default)]
    pub subscription_id: u64,
    pub portal_id: u64,
    /// Milliseconds since 1970.
    pub occurred_at: i64,
    pub subscription_type: String,
    #[serde(default)]
    pub object_id: Option<u64>,
    /// Of the newer, generic kinds: `0-1` is a contact.
    #[serde(default)]
    pub object_type_id: Option<String>,
}
