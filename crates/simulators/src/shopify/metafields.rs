//! Metafields of products: set one by one, or all of a product's as a whole, as the vendor's two ways differ.

use crate::shopify::{
    catalog::Metafield,
    catalog_nodes,
    document::Field,
    graphql::Failure,
    idempotency::user_error,
    mutations::argument,
    product_writes::refusal,
    state::{State, parse_gid},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const MOST: usize = 25;

/// `metafieldsSet`: all or nothing; what is not named stays.
pub(crate) fn set(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let inputs = argument(field, "metafields")?.as_array().cloned().unwrap_or_default();
    let refused = |index: usize, part: &str, message: &str, code: &str| {
        let mut error = user_error(&["metafields", &index.to_string(), part], message, code);
        error["elementIndex"] = json!(index);
        Ok(json!({ "metafields": null, "userErrors": [error] }))
    };
    if inputs.len() > MOST {
        return refused(MOST, "metafields", "Exceeded the maximum metafields input limit of 25", "LESS_THAN_OR_EQUAL_TO");
    }
    for (index, input) in inputs.iter().enumerate() {
        let owner = input["ownerId"].as_str().and_then(|id| parse_gid("Product", id));
        let Some(product) = owner.and_then(|id| state.catalog.products.get(&id)) else {
            return refused(index, "ownerId", "Owner does not exist", "INVALID");
        };
        if let Err((part, message, code)) = judge(input, product.metafield(text(input, "namespace"), text(input, "key"))) {
            return refused(index, part, message, code);
        }
    }
    let (mut made, mut products) = (Vec::new(), Vec::new());
    for input in &inputs {
        if let Some(id) = input["ownerId"].as_str().and_then(|id| parse_gid("Product", id)) {
            made.push(write(state, id, input));
            products.push(id);
        }
    }
    products.dedup();
    for id in products {
        state.announce_product(id);
    }
    let shown: Vec<Value> = made.iter().map(catalog_nodes::metafield).collect();
    Ok(json!({ "metafields": shown, "userErrors": [] }))
}

/// Why `productSet` would refuse these.
pub(crate) fn misfit(inputs: &Value, custom_id: &Value) -> Option<Value> {
    let inputs = inputs.as_array()?;
    for (index, input) in inputs.iter().enumerate() {
        if let Err((part, message, _)) = judge(input, None) {
            return Some(refusal(&["input", "metafields", &index.to_string(), part], message, "INVALID_METAFIELD"));
        }
    }
    let same = |input: &Value| ["namespace", "key", "value"].iter().all(|name| input[name] == custom_id[name]);
    if custom_id.is_object() && !inputs.iter().any(same) {
        let message = "The input argument `metafields` (if present) must contain the `customId` value.";
        return Some(refusal(&["input", "metafields"], message, "METAFIELD_MISMATCH"));
    }
    None
}

/// Within `productSet` they are a list like any other: what is not named is deleted.
pub(crate) fn replace(state: &mut State, id: u64, inputs: &Value) {
    let Some(inputs) = inputs.as_array() else { return };
    let kept: Vec<u64> = inputs.iter().map(|input| write(state, id, input).id).collect();
    if let Some(product) = state.catalog.products.get_mut(&id) {
        product.metafields.retain(|it| kept.contains(&it.id));
    }
}

fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input[name].as_str().unwrap_or_default()
}

fn write(state: &mut State, id: u64, input: &Value) -> Metafield {
    let (namespace, key) = (text(input, "namespace"), text(input, "key"));
    let old = state.catalog.products.get(&id).and_then(|product| product.metafield(namespace, key)).cloned();
    let mut new = old.unwrap_or_else(|| Metafield {
        id: state.new_id(),
        namespace: namespace.to_owned(),
        key: key.to_owned(),
        kind: String::new(),
        value: String::new(),
    });
    if let Some(kind) = input["type"].as_str() {
        new.kind = kind.to_owned();
    }
    new.value = text(input, "value").to_owned();
    if let Some(product) = state.catalog.products.get_mut(&id) {
        product.metafields.retain(|it| it.id != new.id);
        product.metafields.push(new.clone());
    }
    new
}

/// Which part is wrong, why, and the code of that.
fn judge(input: &Value, known: Option<&Metafield>) -> Result<(), (&'static str, &'static str, &'static str)> {
    for (part, least) in [("namespace", 3), ("key", 2)] {
        if text(input, part).len() < least {
            return Err((part, "is too short", "TOO_SHORT"));
        }
    }
    let value = text(input, "value");
    if value.is_empty() {
        return Err(("value", "can't be blank", "BLANK"));
    }
    let kind = match (input["type"].as_str(), known) {
        (Some(kind), Some(known)) if kind != known.kind => {
            return Err(("type", "must be consistent with the definition", "INVALID_TYPE"));
        }
        (Some(kind), _) => kind,
        (None, Some(known)) => known.kind.as_str(),
        (None, None) => return Err(("type", "can't be blank", "BLANK")),
    };
    let fits = match kind {
        "single_line_text_field" | "id" => !value.contains('\n'),
        "multi_line_text_field" => true,
        "number_integer" => value.parse::<i64>().is_ok(),
        "number_decimal" => value.parse::<Decimal>().is_ok(),
        "boolean" => matches!(value, "true" | "false"),
        "json" => serde_json::from_str::<Value>(value).is_ok(),
        "list.single_line_text_field" => serde_json::from_str::<Vec<String>>(value).is_ok(),
        _ => return Err(("type", "must be one of the supported types", "INVALID_TYPE")),
    };
    if fits { Ok(()) } else { Err(("value", "does not fit the type", "INVALID_VALUE")) }
}
