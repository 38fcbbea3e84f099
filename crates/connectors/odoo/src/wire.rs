//! Odoo's JSON-2 API: named arguments in, records out, with its `false` for empty and its floats for money.

use jiff::{civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
pub use spindel_connect::wire::Number;
use spindel_connect::{Api, CallError};
use spindel_model::{ErrorClass, Exact, Timestamp};

/// Longest part of Odoo's message that is repeated.
const KEPT_MESSAGE: usize = 300;

// --- calls

pub async fn call<T: DeserializeOwned>(
    api: &Api,
    operation: &'static str,
    model: &str,
    method: &str,
    arguments: &(impl Serialize + Sync),
) -> Result<T, CallError> {
    api.post(operation, format!("/json/2/{model}/{method}")).json(arguments).fetch().await
}

/// A method whose answer says nothing (`true`, `null`, an action for the web client).
pub async fn act(api: &Api, operation: &'static str, model: &str, method: &str, ids: &[i64]) -> Result<(), CallError> {
    call::<Value>(api, operation, model, method, &json!({ "ids": ids })).await.map(drop)
}

pub async fn search<T: DeserializeOwned>(
    api: &Api,
    operation: &'static str,
    model: &str,
    domain: Value,
    fields: &[&str],
    order: &str,
    limit: usize,
) -> Result<Vec<T>, CallError> {
    let arguments = json!({ "domain": domain, "fields": fields, "order": order, "limit": limit });
    call(api, operation, model, "search_read", &arguments).await
}

/// Records by id; an id that does not exist is left out.
pub async fn read<T: DeserializeOwned>(
    api: &Api,
    operation: &'static str,
    model: &str,
    ids: &[i64],
    fields: &[&str],
) -> Result<Vec<T>, CallError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    call(api, operation, model, "read", &json!({ "ids": ids, "fields": fields })).await
}

pub async fn write(api: &Api, operation: &'static str, model: &str, id: i64, values: Value) -> Result<(), CallError> {
    call::<Value>(api, operation, model, "write", &json!({ "ids": [id], "vals": values })).await.map(drop)
}

/// Creates or updates records by external id, all or nothing. One id for each record (rows with an empty `id` continue one).
pub async fn load(
    api: &Api,
    operation: &'static str,
    model: &str,
    fields: &[&str],
    data: &[Vec<String>],
) -> Result<Vec<i64>, CallError> {
    // Cells that hold a time are read in the user's time zone unless told otherwise.
    let arguments = json!({ "fields": fields, "data": data, "context": { "tz": "UTC" } });
    let answer: Loaded = call(api, operation, model, "load", &arguments).await?;
    match answer.ids {
        Some(ids) if !ids.is_empty() => Ok(ids),
        _ => Err(refused(operation, &answer.messages)),
    }
}

/// `load` reports its failures with status 200, and what it reports was rolled back.
fn refused(operation: &'static str, messages: &[LoadMessage]) -> CallError {
    let Some(first) = messages.iter().find(|it| it.kind == "error").or(messages.first()) else {
        return CallError::unexpected(operation, "`load` answered neither ids nor messages");
    };
    let text = first_line(&first.message);
    if is_conflict(&first.message) {
        CallError::transient(operation, text)
    } else if first.message.starts_with("No matching record found for database id") {
        CallError::config(operation, format!("{text}; correct this id in the connection's settings or in [maps]"))
    } else {
        CallError::data(operation, text)
    }
}

#[derive(Deserialize)]
struct Loaded {
    #[serde(deserialize_with = "or_false")]
    ids: Option<Vec<i64>>,
    #[serde(default)]
    messages: Vec<LoadMessage>,
}

#[derive(Deserialize)]
struct LoadMessage {
    #[serde(rename = "type")]
    kind: String,
    message: String,
}

// --- failures

/// Body of a failed call. Its `debug` is a traceback with paths and data: it is not even read.
#[derive(Deserialize)]
pub struct Problem {
    name: String,
    message: String,
}

impl Problem {
    /// `odoo.exceptions.MissingError` is a `MissingError`.
    pub fn kind(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }

    /// Whether the database gave up in favour of another transaction, or was away.
    pub fn is_conflict(&self) -> bool {
        const KINDS: [&str; 6] = ["Serialization", "Deadlock", "LockNotAvailable", "Operational", "Interface", "Concurrency"];
        KINDS.iter().any(|it| self.kind().contains(it)) || is_conflict(&self.message)
    }

    pub fn first_line(&self) -> String {
        format!("{}: {}", self.kind(), first_line(&self.message))
    }
}

fn is_conflict(message: &str) -> bool {
    ["could not serialize access", "deadlock detected", "could not obtain lock"].iter().any(|it| message.contains(it))
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().chars().take(KEPT_MESSAGE).collect()
}

// --- values

/// A many2one: `[7, "Kari"]`.
#[derive(Clone, Debug, Deserialize)]
pub struct Ref(pub i64, String);

impl Ref {
    pub fn name(&self) -> &str {
        &self.1
    }
}

/// Odoo says `false` where there is nothing.
pub fn or_false<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Or<T> {
        Value(T),
        Nothing(Option<bool>),
    }
    match Or::deserialize(deserializer)? {
        Or::Value(value) => Ok(Some(value)),
        Or::Nothing(None | Some(false)) => Ok(None),
        Or::Nothing(Some(true)) => Err(serde::de::Error::custom("expected a value or `false`")),
    }
}

/// `2026-11-20 10:15:00`, which is UTC.
pub fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The day, in UTC.
pub fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d").to_string()
}

pub fn read_time(text: &str) -> Option<Timestamp> {
    let civil: DateTime = text.parse().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    read_time(&text).ok_or_else(|| serde::de::Error::custom("expected a time such as `2026-11-20 10:15:00`"))
}

/// An id in `[maps.*]`.
pub fn mapped_id(operation: &'static str, map: &str, key: &str, value: &str) -> Result<i64, CallError> {
    value.trim().parse().map_err(|_| {
        CallError::new(
            operation,
            ErrorClass::Config,
            format!("[maps.{map}] \"{key}\": expected an id in Odoo, which is a number"),
        )
    })
}

// --- records

#[derive(Deserialize)]
pub struct Server {
    pub version: String,
}

#[derive(Deserialize)]
pub struct Session {
    pub uid: i64,
}

#[derive(Deserialize)]
pub struct User {
    pub name: String,
    #[serde(deserialize_with = "or_false")]
    pub company_id: Option<Ref>,
}

/// A row of `ir.model.data`.
#[derive(Deserialize)]
pub struct External {
    pub name: String,
    pub res_id: i64,
}

#[derive(Deserialize)]
pub struct Id {
    pub id: i64,
}

#[derive(Deserialize)]
pub struct Coded {
    pub id: i64,
    pub code: String,
}

#[derive(Deserialize)]
pub struct Company {
    pub currency_id: Ref,
}

#[derive(Clone, Deserialize)]
pub struct SaleOrder {
    pub id: i64,
    pub name: String,
    pub state: String,
    #[serde(deserialize_with = "or_false")]
    pub origin: Option<String>,
    pub amount_total: Exact,
    pub currency_id: Ref,
    pub partner_id: Ref,
    pub invoice_ids: Vec<i64>,
    pub invoice_status: String,
}

impl SaleOrder {
    pub const FIELDS: &'static [&'static str] =
        &["name", "state", "origin", "amount_total", "currency_id", "partner_id", "invoice_ids", "invoice_status"];

    pub fn is_cancelled(&self) -> bool {
        self.state == "cancel"
    }

    pub fn is_confirmed(&self) -> bool {
        self.state == "sale"
    }
}

#[derive(Deserialize)]
pub struct SaleLine {
    pub id: i64,
    pub name: String,
    #[serde(deserialize_with = "or_false")]
    pub product_id: Option<Ref>,
    pub product_uom_qty: Exact,
    pub price_unit: Exact,
    pub price_total: Exact,
    pub tax_ids: Vec<i64>,
}

impl SaleLine {
    pub const FIELDS: &'static [&'static str] =
        &["name", "product_id", "product_uom_qty", "price_unit", "price_total", "tax_ids"];
}

/// An invoice or a credit note.
#[derive(Deserialize)]
pub struct Move {
    pub id: i64,
    pub move_type: String,
    pub state: String,
    pub amount_total: Exact,
    pub amount_residual: Exact,
    pub partner_id: Ref,
    pub journal_id: Ref,
}

impl Move {
    pub const FIELDS: &'static [&'static str] =
        &["move_type", "state", "amount_total", "amount_residual", "partner_id", "journal_id"];
}

#[derive(Deserialize)]
pub struct Payment {
    pub id: i64,
    pub state: String,
    pub amount: Exact,
}

#[derive(Deserialize)]
pub struct Product {
    pub id: i64,
    #[serde(deserialize_with = "or_false")]
    pub default_code: Option<String>,
}

#[derive(Deserialize)]
pub struct PricedProduct {
    pub id: i64,
    #[serde(deserialize_with = "or_false")]
    pub default_code: Option<String>,
    pub lst_price: Exact,
    #[serde(deserialize_with = "or_false")]
    pub currency_id: Option<Ref>,
    #[serde(deserialize_with = "or_false")]
    pub product_tmpl_id: Option<Ref>,
    pub taxes_id: Vec<i64>,
    #[serde(deserialize_with = "moment")]
    pub write_date: Timestamp,
}

#[derive(Deserialize)]
pub struct Template {
    pub id: i64,
    #[serde(deserialize_with = "moment")]
    pub write_date: Timestamp,
}

#[derive(Deserialize)]
pub struct Tax {
    pub id: i64,
    pub price_include: bool,
}

#[derive(Deserialize)]
pub struct Quant {
    pub id: i64,
    pub product_id: Ref,
    pub location_id: Ref,
    pub quantity: Exact,
    pub reserved_quantity: Exact,
    #[serde(deserialize_with = "moment")]
    pub write_date: Timestamp,
}

#[derive(Deserialize)]
pub struct Picking {
    pub id: i64,
    #[serde(deserialize_with = "or_false")]
    pub sale_id: Option<Ref>,
    #[serde(deserialize_with = "or_false")]
    pub carrier_id: Option<Ref>,
    #[serde(deserialize_with = "or_false")]
    pub carrier_tracking_ref: Option<String>,
    #[serde(deserialize_with = "or_false")]
    pub carrier_tracking_url: Option<String>,
    #[serde(deserialize_with = "or_false")]
    pub location_id: Option<Ref>,
    #[serde(deserialize_with = "or_false")]
    pub date_done: Option<String>,
    #[serde(deserialize_with = "moment")]
    pub write_date: Timestamp,
}

#[derive(Deserialize)]
pub struct StockMove {
    pub id: i64,
    #[serde(deserialize_with = "or_false")]
    pub picking_id: Option<Ref>,
    pub product_id: Ref,
    #[serde(deserialize_with = "or_false")]
    pub sale_line_id: Option<Ref>,
    pub quantity: Exact,
}
