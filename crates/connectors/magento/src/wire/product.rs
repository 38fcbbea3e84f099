//! Products: simple ones, and configurable ones whose variants are products of their own.

use super::{Amount, Id, Utc, filled};
use crate::Shop;
use serde::Deserialize;
use serde_json::Value;
use spindel_connect::ParseError;
use spindel_model::{Attributes, Media, Money, ProductStatus, Timestamp, Variant};
use std::collections::BTreeMap;

const ENABLED: u64 = 1;

#[derive(Clone, Deserialize)]
pub(crate) struct Product {
    pub id: Id,
    pub sku: String,
    name: Option<String>,
    status: Option<u64>,
    visibility: Option<u64>,
    pub type_id: Option<String>,
    #[serde(default)]
    pub price: Amount,
    #[serde(default)]
    weight: Amount,
    #[serde(default)]
    pub created_at: Utc,
    #[serde(default)]
    updated_at: Utc,
    #[serde(default)]
    media_gallery_entries: Vec<Entry>,
    #[serde(default)]
    custom_attributes: Vec<Attribute>,
    extension_attributes: Option<Extension>,
}

#[derive(Clone, Deserialize)]
struct Entry {
    id: Id,
    label: Option<String>,
    file: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Attribute {
    attribute_code: String,
    #[serde(default)]
    value: Value,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Extension {
    configurable_product_options: Vec<OptionOf>,
    configurable_product_links: Vec<Id>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct OptionOf {
    pub attribute_id: Id,
}

/// An attribute that variants differ in, with the labels of its values.
#[derive(Deserialize)]
pub(crate) struct Labels {
    pub attribute_id: Option<Id>,
    pub attribute_code: String,
    pub default_frontend_label: Option<String>,
    #[serde(default)]
    pub options: Vec<Label>,
}

#[derive(Deserialize)]
pub(crate) struct Label {
    #[serde(default)]
    pub label: String,
    /// Its id, as text.
    #[serde(default)]
    pub value: String,
}

impl Product {
    pub fn is_configurable(&self) -> bool {
        self.type_id.as_deref() == Some("configurable")
    }

    /// What stands behind it is not told with it.
    pub fn is_whole(&self) -> bool {
        !matches!(self.type_id.as_deref(), Some("configurable" | "bundle" | "grouped"))
    }

    pub fn variants(&self) -> Vec<String> {
        self.extension_attributes.iter().flat_map(|it| &it.configurable_product_links).map(|it| it.0.clone()).collect()
    }

    pub fn options(&self) -> Vec<String> {
        self.extension_attributes
            .iter()
            .flat_map(|it| &it.configurable_product_options)
            .map(|it| it.attribute_id.0.clone())
            .collect()
    }

    pub fn attribute(&self, code: &str) -> Option<String> {
        let value = &self.custom_attributes.iter().find(|it| it.attribute_code == code)?.value;
        match value {
            Value::String(text) => filled(Some(text.clone())),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub fn modified(&self) -> Result<Timestamp, ParseError> {
        let missing = || ParseError::Content(format!("product {} has no time: expected `updated_at`", self.id.0));
        self.updated_at.0.or(self.created_at.0).ok_or_else(missing)
    }

    /// The price without tax or with it, as the shop keeps it. A special price counts from the rows that say when it holds.
    fn price(&self, shop: &Shop) -> Option<Money> {
        Some(Money::new(self.price.0?, shop.currency).scaled())
    }

    fn variant(&self, shop: &Shop, labels: &[Labels]) -> Variant {
        let option = |it: &Labels| {
            let value = self.attribute(&it.attribute_code)?;
            let label = it.options.iter().find(|option| option.value == value)?;
            let name = filled(it.default_frontend_label.clone()).unwrap_or_else(|| it.attribute_code.clone());
            Some((name, label.label.clone()))
        };
        Variant {
            id: self.id.0.clone(),
            sku: Some(self.sku.clone()),
            gtin: None,
            options: labels.iter().filter_map(option).collect(),
            price: self.price(shop),
            compare_at: None,
            grams: self.weight.0.filter(|it| !it.is_zero()).map(|it| shop.weight_unit.to_grams(it)),
        }
    }

    pub fn canonical(&self, shop: &Shop, variants: &[Self], labels: &[Labels]) -> Result<spindel_model::Product, ParseError> {
        let modified = variants.iter().filter_map(|it| it.modified().ok()).max();
        let variants = match variants {
            [] if self.is_configurable() => Vec::new(),
            [] => vec![self.variant(shop, &[])],
            some => some.iter().map(|it| it.variant(shop, labels)).collect(),
        };
        // Files are named below the shop's media folder, which is not always where the shop is.
        let media =
            self.media_gallery_entries.iter().map(|it| Media { id: it.id.0.clone(), url: None, alt: filled(it.label.clone()) });
        Ok(spindel_model::Product {
            id: self.id.0.clone(),
            handle: self.attribute("url_key"),
            title: self.name.clone().unwrap_or_default(),
            description: self.attribute("description"),
            brand: None,
            category: None,
            tags: Vec::new(),
            status: if self.status == Some(ENABLED) { ProductStatus::Active } else { ProductStatus::Draft },
            translations: BTreeMap::new(),
            media: media.collect(),
            variants,
            updated_at: self.modified()?.max(modified.unwrap_or(Timestamp::MIN)),
            attributes: self.attributes(),
        })
    }

    /// What the shop keeps of a product beyond the fields of all products, as it keeps it: options by their ids.
    fn attributes(&self) -> Attributes {
        const MOST: usize = 100;
        let mut attributes = Attributes::from([("sku".to_owned(), self.sku.clone().into())]);
        for (name, value) in
            [("visibility", self.visibility.map(Value::from)), ("type_id", self.type_id.clone().map(Value::from))]
        {
            attributes.extend(value.map(|value| (name.to_owned(), value)));
        }
        let own = self.custom_attributes.iter().filter(|it| !matches!(it.attribute_code.as_str(), "url_key" | "description"));
        for it in own.filter(|it| !it.value.is_null()).take(MOST) {
            attributes.entry(it.attribute_code.clone()).or_insert_with(|| it.value.clone());
        }
        if let Some(file) = self.media_gallery_entries.iter().find_map(|it| it.file.clone()) {
            attributes.insert("image".to_owned(), file.into());
        }
        attributes
    }
}
