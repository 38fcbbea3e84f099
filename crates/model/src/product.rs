//! Products with their variants, and prices.

use crate::{Attributes, Money};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Product {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    pub title: String,
    /// HTML, as the source keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    pub status: ProductStatus,
    /// The same texts in other languages, by BCP 47 tag: `nb-NO`. What stands above is in the source's first language.
    #[serde(default)]
    pub translations: BTreeMap<String, Texts>,
    #[serde(default)]
    pub media: Vec<Media>,
    pub variants: Vec<Variant>,
    pub updated_at: Timestamp,
    #[serde(default)]
    pub attributes: Attributes,
}

/// What a buyer reads about a product, in one language.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Texts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What [`Product::attributes`] says otherwise in this language, under the same names.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

/// A picture or a film of a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Media {
    pub id: String,
    /// Where anybody can fetch it; `None` where the source keeps it to itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    Draft,
    Active,
    Archived,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtin: Option<String>,
    /// Option name and value: `Size` → `M`.
    #[serde(default)]
    pub options: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_at: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grams: Option<Decimal>,
}

/// What one SKU costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Price {
    pub sku: String,
    pub amount: Money,
    /// The higher price that is shown struck through; `None` when there is no sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_at: Option<Money>,
    pub includes_tax: bool,
    /// The sale, when there is one, lasts from here …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale_from: Option<Timestamp>,
    /// … to here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale_until: Option<Timestamp>,
    pub as_of: Timestamp,
}
