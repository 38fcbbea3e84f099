//! A product's attributes as metafields. They are set one by one and not with the product: there Shopify would delete every
//! metafield that is not named, those of other apps included.

use crate::{
    Shopify,
    graphql::{SET_METAFIELDS, UserError, refused},
};
use serde::Deserialize;
use serde_json::{Value, json};
use spindel_connect::{Api, CallError};
use spindel_model::Product;

const OPERATION: &str = SET_METAFIELDS.name;
/// Shopify takes so many in one call.
const AT_ONCE: usize = 25;

/// One that was set.
#[derive(Deserialize)]
pub(super) struct Metafield {
    pub id: String,
    pub namespace: String,
    pub key: String,
}

impl Shopify {
    pub(super) async fn set_metafields(&self, api: &Api, product: &Product, owner: &str) -> Result<Vec<Metafield>, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Set {
            metafields_set: Outcome,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Outcome {
            metafields: Option<Vec<Metafield>>,
            user_errors: Vec<UserError>,
        }
        let wanted = inputs(product, owner);
        let mut made = Vec::with_capacity(wanted.len());
        for part in wanted.chunks(AT_ONCE) {
            let Set { metafields_set: outcome } = self.ask(api, SET_METAFIELDS, json!({ "metafields": part })).await?;
            refused(OPERATION, &outcome.user_errors)?;
            made.extend(outcome.metafields.unwrap_or_default());
        }
        Ok(made)
    }
}

/// Attributes whose names have the shape of a metafield's, `namespace.key`; the others are the source's own business.
fn inputs(product: &Product, owner: &str) -> Vec<Value> {
    let field = |(name, value): (&String, &Value)| {
        let (namespace, key) = named(name)?;
        let (kind, value) = metafield_value(value)?;
        Some(json!({ "ownerId": owner, "namespace": namespace, "key": key, "type": kind, "value": value }))
    };
    product.attributes.iter().filter_map(field).collect()
}

/// Namespace and key, where Shopify would take them as such.
fn named(name: &str) -> Option<(&str, &str)> {
    let (namespace, key) = name.split_once('.')?;
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    let fits = (3..=255).contains(&namespace.len()) && (2..=64).contains(&key.len()) && plain(namespace) && plain(key);
    fits.then_some((namespace, key))
}

/// Type and value as Shopify keeps them: everything is text. Nothing for what is empty, which Shopify refuses.
pub(super) fn metafield_value(value: &Value) -> Option<(&'static str, String)> {
    Some(match value {
        Value::String(text) if text.trim().is_empty() => return None,
        Value::String(text) if text.contains('\n') => ("multi_line_text_field", text.clone()),
        Value::String(text) => ("single_line_text_field", text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => ("number_integer", number.to_string()),
        Value::Number(number) => ("number_decimal", number.to_string()),
        Value::Bool(flag) => ("boolean", flag.to_string()),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => {
            ("list.single_line_text_field", value.to_string())
        }
        Value::Array(items) if items.is_empty() => return None,
        Value::Array(_) | Value::Object(_) => ("json", value.to_string()),
        Value::Null => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_becomes_the_metafield_that_its_json_looks_like() {
        for (value, want) in [
            (json!("Ull"), Some(("single_line_text_field", "Ull"))),
            (json!("Ull\nog lin"), Some(("multi_line_text_field", "Ull\nog lin"))),
            (json!(420), Some(("number_integer", "420"))),
            (json!(1.5), Some(("number_decimal", "1.5"))),
            (json!(true), Some(("boolean", "true"))),
            (json!(["rød", "blå"]), Some(("list.single_line_text_field", r#"["rød","blå"]"#))),
            (json!([1, 2]), Some(("json", "[1,2]"))),
            (json!({ "cm": 3 }), Some(("json", r#"{"cm":3}"#))),
            (json!(null), None),
            (json!(" "), None),
            (json!([]), None),
        ] {
            let got = metafield_value(&value);
            assert_eq!(got.as_ref().map(|(kind, text)| (*kind, text.as_str())), want, "{value}");
        }
    }

    #[test]
    fn only_names_that_shopify_takes_are_metafields() {
        assert_eq!(named("pim.material"), Some(("pim", "material")));
        for name in ["material", "p.material", "pim.m", "pim.a b", "pim.material.nb", ".", ""] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
