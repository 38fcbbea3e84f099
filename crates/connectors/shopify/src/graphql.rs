//! The GraphQL documents, and how they are asked. What they cost here is an estimate: the bucket is corrected by every reply.

use crate::Shopify;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use spindel_connect::{Api, CallError};
use spindel_model::{Currency, ErrorClass};
use std::time::Duration;

/// One file of `graphql/`.
#[derive(Clone, Copy)]
pub(crate) struct Document {
    /// Name of the file, and what is being done.
    pub name: &'static str,
    text: &'static str,
    cost: f64,
}

macro_rules! documents {
    ($($NAME:ident = $name:literal, $cost:literal;)*) => {$(
        pub(crate) const $NAME: Document = Document {
            name: $name,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/graphql/", $name, ".graphql")),
            cost: $cost,
        };
    )*};
}
documents! {
    ACTIVATE_ITEM = "activate_item", 10.0;
    CANCEL_ORDER = "cancel_order", 10.0;
    CREATE_FULFILMENT = "create_fulfilment", 10.0;
    FIND_ITEMS = "find_items", 60.0;
    FIND_ORDER = "find_order", 5.0;
    FIND_VARIANT = "find_variant", 10.0;
    ORDER = "order", 80.0;
    ORDERS_SINCE = "orders_since", 10.0;
    ORDER_LINES = "order_lines", 60.0;
    ORDER_TO_CANCEL = "order_to_cancel", 1.0;
    ORDER_TO_FULFIL = "order_to_fulfil", 60.0;
    ORDER_TO_PAY = "order_to_pay", 15.0;
    ORDER_TO_REFUND = "order_to_refund", 40.0;
    ORDER_TO_TRACK = "order_to_track", 60.0;
    PROBE = "probe", 5.0;
    PRODUCT = "product", 20.0;
    PRODUCTS_SINCE = "products_since", 10.0;
    RECORD_PAYMENT = "record_payment", 10.0;
    RECORD_TRACKING = "record_tracking", 10.0;
    REFUND = "refund", 40.0;
    REFUND_ORDER = "refund_order", 10.0;
    SET_METAFIELDS = "set_metafields", 10.0;
    SET_PRICE = "set_price", 10.0;
    SET_QUANTITIES = "set_quantities", 10.0;
    STOCK_LEVEL = "stock_level", 5.0;
    STOCK_LEVELS = "stock_levels", 20.0;
    STOCK_PAGE = "stock_page", 60.0;
    SUBSCRIBE = "subscribe", 10.0;
    SUBSCRIPTIONS = "subscriptions", 15.0;
    TEXTS_TO_TRANSLATE = "texts_to_translate", 10.0;
    TRANSLATE = "translate", 10.0;
    UPSERT_PRODUCT = "upsert_product", 20.0;
}

impl Shopify {
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        api: &Api,
        document: Document,
        variables: impl Serialize + Send,
    ) -> Result<T, CallError> {
        api.graphql(document.name, &*self.path, document.text, variables, document.cost).await
    }
}

/// A connection's nodes on one page.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "T: Deserialize<'de>"))]
pub(crate) struct Nodes<T> {
    pub nodes: Vec<T>,
    #[serde(default)]
    pub page_info: PageInfo,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageInfo {
    #[serde(default)]
    pub has_next_page: bool,
    #[serde(default)]
    pub end_cursor: Option<String>,
}

impl<T> Default for Nodes<T> {
    fn default() -> Self {
        Self { nodes: Vec::new(), page_info: PageInfo::default() }
    }
}

impl PageInfo {
    /// Where the next page begins, if there is one.
    pub fn next(self) -> Option<String> {
        self.end_cursor.filter(|_| self.has_next_page)
    }
}

/// Quoted for Shopify's search syntax.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// What a mutation refuses, with status 200.
#[derive(Deserialize)]
pub(crate) struct UserError {
    pub field: Option<Vec<String>>,
    pub message: String,
    pub code: Option<String>,
}

impl UserError {
    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// Which of several inputs it is about: the number in `["input", "quantities", "3", "quantity"]`.
    pub fn index(&self) -> Option<usize> {
        self.field.as_ref()?.iter().find_map(|part| part.parse().ok())
    }

    pub fn to_error(&self, operation: &'static str) -> CallError {
        let text: String = self.message.chars().take(200).collect();
        let field = self.field.as_ref().map(|path| path.join(".")).filter(|path| !path.is_empty());
        let message = match (field, self.code()) {
            (Some(field), "") => format!("Shopify refuses `{field}`: {text}"),
            (Some(field), code) => format!("Shopify refuses `{field}`: {text} ({code})"),
            (None, "") => format!("Shopify refuses it: {text}"),
            (None, code) => format!("Shopify refuses it: {text} ({code})"),
        };
        match self.code() {
            // The first attempt with this key is still being carried out.
            "IDEMPOTENCY_CONCURRENT_REQUEST" => CallError::transient(operation, message).after(Duration::from_secs(2)),
            "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED" | "ORDER_IS_TEMPORARILY_UNAVAILABLE" => {
                CallError::transient(operation, message)
            }
            "IDEMPOTENCY_KEY_PARAMETER_MISMATCH" => CallError::new(operation, ErrorClass::Bug, message),
            "INTERNAL_ERROR" => CallError::unexpected(operation, message),
            _ => CallError::data(operation, message),
        }
    }
}

/// The first of a mutation's errors; they are listed when it did nothing.
pub(crate) fn refused(operation: &'static str, errors: &[UserError]) -> Result<(), CallError> {
    errors.first().map_or(Ok(()), |error| Err(error.to_error(operation)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Probe {
    pub shop: Shop,
    pub current_app_installation: Installation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Shop {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub myshopify_domain: String,
    pub currency_code: Currency,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Installation {
    pub access_scopes: Vec<Scope>,
}

#[derive(Deserialize)]
pub(crate) struct Scope {
    pub handle: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_refused_input_is_found_by_its_place_in_the_field_path() {
        let error: UserError =
            serde_json::from_value(json!({ "field": ["input", "quantities", "3", "quantity"], "message": "too high" })).unwrap();
        assert_eq!(error.index(), Some(3));
        let error: UserError = serde_json::from_value(json!({ "field": ["input", "reason"], "message": "no" })).unwrap();
        assert_eq!(error.index(), None);
    }

    #[test]
    fn quotes_cannot_leave_the_search_term() {
        assert_eq!(quoted(r"A'B\"), r"'A\'B\\'");
    }
}
