//! The PIM's JSON, as far as it is used: lists, products, product models, and what describes them.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::value::RawValue;
use spindel_model::Timestamp;
use std::collections::BTreeMap;

/// One page of a list (HAL).
#[derive(Deserialize)]
pub(crate) struct Listed<T> {
    #[serde(rename = "_links", default)]
    links: Links,
    #[serde(rename = "_embedded")]
    embedded: Embedded<T>,
}

#[derive(Default, Deserialize)]
struct Links {
    next: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

#[derive(Deserialize)]
struct Embedded<T> {
    items: Vec<T>,
}

impl<T> Listed<T> {
    /// The items, and the link to the page behind them.
    pub fn parts(self) -> (Vec<T>, Option<String>) {
        (self.embedded.items, self.links.next.map(|it| it.href))
    }
}

pub(crate) type Values = BTreeMap<String, Vec<Value>>;

/// What stands under one attribute, for one locale and one channel.
#[derive(Deserialize)]
pub(crate) struct Value {
    /// `None`: the same in all.
    pub locale: Option<String>,
    /// The channel. `None`: the same in all.
    pub scope: Option<String>,
    /// Kept as it is written: amounts must not pass through a float.
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
    /// Labels of the options, where `data` is their codes.
    #[serde(default)]
    pub linked_data: Option<serde_json::Value>,
}

impl Value {
    pub fn text(&self) -> Option<&str> {
        self.data.as_ref().map(|it| it.get())
    }

    pub fn is_same(&self, other: &Self) -> bool {
        self.locale == other.locale && self.scope == other.scope && self.text() == other.text()
    }
}

/// A product: one that is sold as it is, or a variant of a product model. Its values hold those of its models too.
#[derive(Deserialize)]
pub(crate) struct Item {
    pub uuid: String,
    #[serde(default = "yes")]
    pub enabled: bool,
    #[serde(default)]
    pub family: Option<String>,
    #[serde(default)]
    pub categories: Vec<String>,
    #[serde(default)]
    pub groups: Vec<String>,
    #[serde(default)]
    pub parent: Option<String>,
    #[serde(default, deserialize_with = "or_empty_list")]
    pub values: Values,
    pub updated: Timestamp,
    #[serde(default)]
    pub completenesses: Vec<Completeness>,
}

/// How much of what a family requires is filled in, in percent.
#[derive(Deserialize)]
pub(crate) struct Completeness {
    pub scope: String,
    pub locale: String,
    pub data: u8,
}

/// As much of a product as says where it belongs.
#[derive(Deserialize)]
pub(crate) struct Bare {
    pub uuid: String,
    #[serde(default)]
    pub parent: Option<String>,
    /// Newer PIMs name the top of two levels.
    #[serde(default)]
    pub root_parent: Option<String>,
    pub updated: Timestamp,
}

/// What several products have in common. There may be two levels of them.
#[derive(Deserialize)]
pub(crate) struct Model {
    pub code: String,
    #[serde(default)]
    pub family: Option<String>,
    pub family_variant: String,
    #[serde(default)]
    pub parent: Option<String>,
    #[serde(default)]
    pub categories: Vec<String>,
    #[serde(default, deserialize_with = "or_empty_list")]
    pub values: Values,
    pub updated: Timestamp,
}

/// By what the products of a model differ.
#[derive(Deserialize)]
pub(crate) struct FamilyVariant {
    pub variant_attribute_sets: Vec<AttributeSet>,
}

#[derive(Deserialize)]
pub(crate) struct AttributeSet {
    pub level: u8,
    pub axes: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Attribute {
    pub code: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_empty_list")]
    pub labels: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize)]
pub(crate) struct Channel {
    pub locales: Vec<String>,
    pub currencies: Vec<String>,
}

fn yes() -> bool {
    true
}

/// PHP writes a map without entries as a list without items.
fn or_empty_list<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let raw = <Box<RawValue>>::deserialize(deserializer)?;
    if raw.get().bytes().all(|it| matches!(it, b'[' | b']' | b' ' | b'\n' | b'\t' | b'\r')) {
        return Ok(T::default());
    }
    serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_map_may_be_written_as_an_empty_list() {
        let item = |values: &str| {
            let json = format!(r#"{{"uuid":"u","updated":"2026-11-20T09:15:00+00:00","values":{values}}}"#);
            serde_json::from_str::<Item>(&json)
        };
        assert!(item("[]").unwrap().values.is_empty());
        assert!(item("{}").unwrap().values.is_empty());
        assert_eq!(item(r#"{"sku":[{"locale":null,"scope":null,"data":"A"}]}"#).unwrap().values.len(), 1);
        assert!(item("[1]").is_err());
    }
}
