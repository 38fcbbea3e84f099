//! Requests as plain data, errors in Magento's own shape, and the way from a path to its answer.

use super::{auth, bulk, catalogue, sales, search, state::Shop, state::State};
use axum::{
    Json, Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) struct Call {
    pub method: Method,
    /// Scheme, host and path, as it is signed.
    pub address: String,
    /// Below `/rest/{store}/`.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A sentence with holes and what belongs into them.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub status: u16,
    pub message: String,
    pub parameters: Value,
}

impl Problem {
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), parameters: Value::Null }
    }

    pub fn with(mut self, parameters: Value) -> Self {
        self.parameters = parameters;
        self
    }

    pub fn unknown(field: &str, value: impl Into<Value>) -> Self {
        let parameters = json!({ "fieldName": field, "fieldValue": value.into() });
        Self::new(404, "No such entity with %fieldName = %fieldValue").with(parameters)
    }

    pub fn no_entity() -> Self {
        Self::new(404, "The entity that was requested doesn't exist. Verify the entity and try again.")
    }

    pub fn invalid(what: &str, messages: &[String]) -> Self {
        Self::new(400, format!("{what} Document Validation Error(s):\n{}", messages.join("\n")))
    }

    /// As a queued operation tells it.
    pub fn text(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in self.parameters.as_object().into_iter().flatten() {
            text = text.replace(&format!("%{name}"), value.as_str().unwrap_or_default());
        }
        text
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({ "message": self.message });
        if !self.parameters.is_null() {
            body["parameters"] = self.parameters;
        }
        (StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body)).into_response()
    }
}

pub(crate) fn router(shop: Arc<Shop>) -> Router {
    Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let shop = Arc::clone(&shop);
        async move {
            let answered = shop.with(|state| answer(state, method, &uri, headers, &body));
            shop.post_waiting();
            match answered {
                Ok((status, body)) => (status, Json(body)).into_response(),
                Err(problem) => problem.into_response(),
            }
        }
    })
}

fn answer(
    state: &mut State,
    method: Method,
    uri: &Uri,
    headers: HeaderMap,
    body: &Bytes,
) -> Result<(StatusCode, Value), Problem> {
    let query = uri.query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into_owned(), value.into_owned()));
    let no_route = || Problem::new(404, "Request does not match any route.");
    let below = uri.path().strip_prefix("/rest/").ok_or_else(no_route)?;
    let (store, path) = below.split_once('/').ok_or_else(no_route)?;
    // Apache and PHP do not let an encoded slash through.
    if path.contains("%2F") || path.contains("%2f") {
        return Err(no_route());
    }
    let body = match body.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(body).map_err(|_| Problem::new(400, "Decoding error."))?,
    };
    let host = headers.get("host").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let call = Call {
        address: format!("http://{host}{}", uri.path()),
        path: path.to_owned(),
        query: query.collect(),
        method,
        headers,
        body,
    };
    let store = state.store(store).ok_or_else(no_route)?;
    state.calls.push(format!("{} {path}", call.method));
    if call.path == "V1/integration/admin/token" {
        return Ok((StatusCode::OK, auth::admin_token(state, &call.body)?));
    }
    auth::check(state, &call)?;
    if let Some(route) = call.path.strip_prefix("async/bulk/V1/") {
        return Ok((StatusCode::ACCEPTED, bulk::take(state, store, route, &call.body)?));
    }
    let route = call.path.strip_prefix("V1/").ok_or_else(no_route)?.to_owned();
    let body = dispatch(state, store, &call.method, &route, &call.body, &call)?.ok_or_else(no_route)?;
    Ok((StatusCode::OK, body))
}

/// `None` for a route that there is not.
pub(crate) fn dispatch(
    state: &mut State,
    store: u64,
    method: &Method,
    route: &str,
    body: &Value,
    call: &Call,
) -> Result<Option<Value>, Problem> {
    let parts: Vec<&str> = route.trim_end_matches('/').split('/').collect();
    let list = |rows: Vec<Value>, state: &State| search::list(rows, call, state.options.input_limits).map(Some);
    let id = |text: &str| text.parse::<u64>().map_err(|_| type_error(text));
    Ok(Some(match (method.as_str(), parts.as_slice()) {
        ("GET", ["store", "storeConfigs"]) => state.store_configs(),
        ("GET", ["store", "storeViews"]) => state.store_views(),
        ("GET", ["orders"]) => return list(sales::orders(state), state),
        ("GET", ["orders", one]) => sales::order(state, id(one)?)?,
        ("GET", ["invoices"]) => return list(sales::invoices(state), state),
        ("GET", ["shipments"]) => return list(sales::shipments(state), state),
        ("GET", ["creditmemos"]) => return list(sales::memos(state), state),
        ("GET", ["shipment", one]) => find(sales::shipments(state), id(one)?)?,
        ("GET", ["creditmemo", one]) => find(sales::memos(state), id(one)?)?,
        ("GET", ["customers", "search"]) => return list(state.customers.values().cloned().collect(), state),
        ("GET", ["customers", one]) => {
            let id = id(one)?;
            state.customers.get(&id).cloned().ok_or_else(|| Problem::unknown("customerId", id.to_string()))?
        }
        ("GET", ["products"]) => return list(catalogue::products(state, store), state),
        ("GET", ["products", "attributes", code]) => catalogue::attribute(state, code)?,
        ("POST", ["products", "attributes", code, "options"]) => catalogue::add_option(state, code, body)?,
        ("POST", ["products"]) => catalogue::save(state, store, body)?,
        ("POST", ["products", "base-prices"]) => catalogue::base_prices(state, body)?,
        ("POST", ["products", "special-price"]) => catalogue::special_prices(state, body)?,
        ("POST", ["products", "special-price-delete"]) => catalogue::delete_special_prices(state, body)?,
        ("POST", ["products", "special-price-information"]) => catalogue::special_price_information(state, body)?,
        ("GET", ["inventory", "source-items"]) => return list(catalogue::source_items(state), state),
        ("GET", ["inventory", "sources"]) => return list(catalogue::sources(state), state),
        ("POST", ["inventory", "source-items"]) => catalogue::save_source_items(state, body)?,
        ("POST", ["orders", one, "cancel"]) => sales::cancel(state, id(one)?)?.into(),
        ("POST", ["orders", one, "comments"]) => sales::comment(state, id(one)?, body)?,
        ("POST", ["order", one, "ship"]) => sales::ship(state, id(one)?, body)?.to_string().into(),
        ("POST", ["order", one, "invoice"]) => sales::invoice(state, id(one)?, body)?.into(),
        ("POST", ["order", one, "refund"]) => sales::refund(state, id(one)?, None, body)?.into(),
        ("POST", ["invoice", one, "refund"]) => {
            let invoice = id(one)?;
            let order = sales::order_of_invoice(state, invoice)?;
            sales::refund(state, order, Some(invoice), body)?.into()
        }
        ("POST", ["invoices", one, "capture"]) => sales::capture(state, id(one)?)?,
        ("POST", ["shipment", "track"]) => sales::add_track(state, body)?,
        ("GET", ["bulk", uuid, "status"]) => bulk::status(state, uuid, false)?,
        ("GET", ["bulk", uuid, "detailed-status"]) => bulk::status(state, uuid, true)?,
        _ => return Ok(None),
    }))
}

fn type_error(text: &str) -> Problem {
    let parameters = json!({ "value": text, "type": "int" });
    Problem::new(400, "The \"%value\" value's type is invalid. The \"%type\" type was expected. Verify and try again.")
        .with(parameters)
}

fn find(rows: Vec<Value>, id: u64) -> Result<Value, Problem> {
    rows.into_iter().find(|row| row["entity_id"] == id).ok_or_else(Problem::no_entity)
}
