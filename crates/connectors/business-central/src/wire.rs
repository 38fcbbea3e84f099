//! The vendor's JSON, as far as it is used, and how its addresses and batches are put together.

use crate::{mark::Mark, problem};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
pub use spindel_connect::wire::Number;
use spindel_connect::{Api, CallError, Effect, parse};
use spindel_model::{Currency, Exact, Timestamp};
use std::collections::BTreeMap;

// --- addresses

/// `path?$filter=…&$top=1`; the values are percent-encoded.
pub fn with_query(path: String, options: &[(&str, &str)]) -> String {
    let options: Vec<String> = options.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    format!("{path}?{}", options.join("&"))
}

fn encoded(text: &str) -> String {
    // A blank as `+` is understood in forms only.
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// A text in a filter.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[derive(Deserialize)]
pub struct List<T> {
    pub value: Vec<T>,
}

// --- several calls in one

/// Most calls that fit into one batch.
const BATCH: usize = 100;

/// One call of a batch.
#[derive(Serialize)]
pub struct Part {
    id: String,
    method: &'static str,
    url: String,
    headers: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
}

impl Part {
    pub fn post(path: &str, body: &impl Serialize) -> Self {
        Self::new("POST", path).with(body)
    }

    pub fn patch(path: &str, etag: &str, body: &impl Serialize) -> Self {
        Self::new("PATCH", path).matching(etag).with(body)
    }

    pub fn delete(path: &str, etag: &str) -> Self {
        Self::new("DELETE", path).matching(etag)
    }

    fn new(method: &'static str, path: &str) -> Self {
        // Below the address of the batch itself.
        let url = path.trim_start_matches('/').to_owned();
        Self { id: String::new(), method, url, headers: BTreeMap::new(), body: None }
    }

    fn matching(mut self, etag: &str) -> Self {
        self.headers.insert("If-Match", etag.to_owned());
        self
    }

    fn with(mut self, body: &impl Serialize) -> Self {
        self.headers.insert("Content-Type", "application/json".to_owned());
        self.body = serde_json::value::to_raw_value(body).ok();
        self
    }
}

#[derive(Serialize)]
struct Batch<'a> {
    requests: &'a [Part],
}

#[derive(Deserialize)]
struct Answers {
    responses: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    #[serde(default)]
    body: Option<Box<RawValue>>,
}

impl Answers {
    /// As many as there were calls, and none of them refused.
    fn all(self, operation: &'static str, calls: usize) -> Result<Vec<Answer>, CallError> {
        let failed = self.responses.iter().filter(|it| it.status >= 400);
        // What failed because of another call (424) explains nothing.
        if let Some(failed) = failed.min_by_key(|it| it.status == 424) {
            let body = failed.body.as_ref().map_or("", |it| it.get());
            return Err(refused(operation, failed.status, body));
        }
        if self.responses.len() != calls {
            return Err(CallError::unexpected(operation, "the batch has not as many answers as calls"));
        }
        Ok(self.responses)
    }
}

/// All or none, as far as one batch reaches.
pub async fn batch(api: &Api, operation: &'static str, parts: Vec<Part>) -> Result<(), CallError> {
    let mut parts = parts;
    for (index, part) in parts.iter_mut().enumerate() {
        part.id = (index + 1).to_string();
    }
    for requests in parts.chunks(BATCH) {
        let call = api.post(operation, "/$batch").header("isolation", "snapshot").json(&Batch { requests });
        call.fetch::<Answers>().await?.all(operation, requests.len())?;
    }
    Ok(())
}

/// A `GET` whose address names a person: in the body of a batch no log of addresses sees it.
pub async fn get_unseen<T: DeserializeOwned>(api: &Api, operation: &'static str, path: &str) -> Result<T, CallError> {
    let requests = [Part { id: "1".to_owned(), ..Part::new("GET", path) }];
    let answers: Answers = api.post(operation, "/$batch").json(&Batch { requests: &requests }).fetch().await?;
    let answer = answers.all(operation, 1)?.pop().and_then(|it| it.body);
    let body = answer.ok_or_else(|| CallError::unexpected(operation, "the batch's answer has no body"))?;
    parse(body.get().as_bytes()).map_err(|error| CallError::unexpected(operation, error.to_string()))
}

fn refused(operation: &'static str, status: u16, body: &str) -> CallError {
    match problem::read(status, body.as_bytes()) {
        Some(it) => CallError { operation, class: it.class, message: it.message, retry_after: None, effect: it.effect },
        None => CallError { effect: Effect::Unknown, ..CallError::transient(operation, format!("HTTP {status} within a batch")) },
    }
}

// --- values

/// An empty code is the local currency.
pub fn is_currency(code: &str, wanted: Currency, local: Currency) -> bool {
    if code.is_empty() { wanted == local } else { code == wanted.code() }
}

// --- documents

#[derive(Deserialize)]
pub struct Id {
    pub id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SalesOrder {
    #[serde(rename = "@odata.etag")]
    pub etag: String,
    pub id: String,
    pub number: String,
    pub customer_id: String,
    #[serde(default)]
    pub bill_to_customer_id: Option<String>,
    #[serde(default)]
    pub currency_code: String,
    #[serde(default)]
    pub prices_include_tax: bool,
    #[serde(default)]
    pub total_amount_including_tax: Exact,
    #[serde(default)]
    pub sales_order_lines: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    pub number: String,
    #[serde(default)]
    pub order_id: Option<String>,
    #[serde(default)]
    pub order_number: String,
    pub customer_id: String,
    #[serde(default)]
    pub bill_to_customer_id: Option<String>,
    #[serde(default)]
    pub currency_code: String,
    #[serde(default)]
    pub prices_include_tax: bool,
    #[serde(default)]
    pub remaining_amount: Exact,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub sales_invoice_lines: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreditMemo {
    #[serde(rename = "@odata.etag")]
    pub etag: String,
    pub id: String,
    pub number: String,
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    pub total_amount_including_tax: Exact,
}

impl CreditMemo {
    pub fn is_posted(&self) -> bool {
        matches!(self.status.as_str(), "Open" | "Paid" | "Canceled" | "Corrective")
    }
}

/// A line of any document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub line_type: String,
    #[serde(default)]
    pub line_object_number: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub description2: String,
    #[serde(default)]
    pub quantity: Exact,
    #[serde(default)]
    pub unit_price: Exact,
    #[serde(default)]
    pub tax_code: String,
    #[serde(default)]
    pub tax_percent: Exact,
    #[serde(default)]
    pub shipped_quantity: Exact,
    #[serde(default)]
    pub invoiced_quantity: Exact,
}

impl Line {
    pub fn mark(&self) -> Option<Mark> {
        Mark::read(&self.description2)
    }
}

/// A line on its way. The order of the fields matters: a code of VAT changes a price that stands already.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line_object_number: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax_code: Option<&'a str>,
    pub description: &'a str,
    pub description2: String,
    pub quantity: Number,
    pub unit_price: Number,
    /// Said even when it is none, or Business Central gives a discount of its own.
    pub discount_amount: Number,
}

// --- records that come out

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    pub id: String,
    pub number: String,
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub inventory: Exact,
    #[serde(default)]
    pub unit_price: Exact,
    #[serde(default)]
    pub price_includes_tax: bool,
    pub last_modified_date_time: Timestamp,
}

impl Item {
    pub const SELECT: &'static str = "id,number,type,inventory,unitPrice,priceIncludesTax,lastModifiedDateTime";
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    pub entry_number: i64,
    pub item_number: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    #[serde(rename = "@odata.etag", default)]
    pub etag: String,
    pub id: String,
    pub number: String,
    #[serde(default)]
    pub display_name: String,
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub address_line1: String,
    #[serde(default)]
    pub address_line2: String,
    #[serde(default)]
    pub city: String,
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    pub country: String,
    #[serde(default)]
    pub postal_code: String,
    #[serde(default)]
    pub phone_number: String,
    #[serde(default)]
    pub email: String,
    #[serde(default)]
    pub last_modified_date_time: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SalesShipment {
    pub id: String,
    pub number: String,
    pub external_document_number: String,
    #[serde(default)]
    pub posting_date: Option<String>,
    pub last_modified_date_time: Timestamp,
    #[serde(default)]
    pub sales_shipment_lines: Vec<Line>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_may_hold_quotes_blanks_and_hashes() {
        let path = with_query(
            "/companies(c)/salesOrders".into(),
            &[("$filter", &format!("number eq {}", quoted("#1'2"))), ("$top", "1")],
        );
        assert_eq!(path, "/companies(c)/salesOrders?$filter=number%20eq%20%27%231%27%272%27&$top=1");
    }

    #[test]
    fn amounts_are_exact_in_every_currency() {
        for (code, amount) in
            [("NOK", "1897.20"), ("SEK", "99.50"), ("DKK", "0.10"), ("EUR", "1234567.89"), ("JPY", "1897"), ("KWD", "12.345")]
        {
            let body = format!(
                r#"{{"@odata.etag":"W/\"1\"","id":"o","number":"101005","customerId":"c","currencyCode":"{code}",
                    "totalAmountIncludingTax":{amount},"salesOrderLines":[{{"quantity":3,"unitPrice":{amount}}}]}}"#
            );
            let order: SalesOrder = parse(body.as_bytes()).unwrap();
            assert_eq!(order.total_amount_including_tax.0.to_string(), amount, "{code}");
            assert_eq!(order.sales_order_lines[0].unit_price.0.to_string(), amount, "{code}");
            assert!(is_currency(&order.currency_code, code.parse().unwrap(), Currency::USD));
            let sent = serde_json::to_string(&Number(order.total_amount_including_tax.0)).unwrap();
            assert_eq!(sent.parse::<spindel_model::Decimal>(), amount.parse());
        }
    }

    #[test]
    fn no_code_is_the_local_currency() {
        assert!(is_currency("", Currency::NOK, Currency::NOK));
        assert!(!is_currency("", Currency::EUR, Currency::NOK));
        assert!(!is_currency("NOK", Currency::EUR, Currency::NOK));
    }
}
