//! `upsert_product`: a simple product, or a configurable one with its variants, and its texts for each store view.
//!
//! Everything goes by `POST products`, which makes a product or changes the one of that SKU: in the path, a SKU with a slash
//! does not get through.

use crate::{
    Magento,
    search::Search,
    wire::{Id, Number, product::Product as WireProduct},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Performed, Product, ProductStatus, Texts, UpsertProduct, Variant};

pub(super) const OPERATION: &str = "upsert_product";
/// Shown in catalogue and search, and shown nowhere: a variant is bought through its product.
const EVERYWHERE: u8 = 4;
const NOWHERE: u8 = 1;

#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub product: &'a Fields,
}

/// What is left out stays as it is.
#[derive(Default, Serialize)]
pub(super) struct Fields {
    pub sku: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute_set_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<Number>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom_attributes: Vec<Attribute>,
    #[serde(skip_serializing_if = "Extension::is_empty")]
    pub extension_attributes: Extension,
}

#[derive(Clone, Serialize)]
pub(super) struct Attribute {
    pub attribute_code: String,
    pub value: Value,
}

#[derive(Default, Serialize)]
pub(super) struct Extension {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub category_links: Vec<CategoryLink>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configurable_product_options: Vec<VariantOption>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configurable_product_links: Vec<u64>,
}

#[derive(Serialize)]
pub(super) struct CategoryLink {
    position: u64,
    category_id: String,
}

#[derive(Serialize)]
pub(super) struct VariantOption {
    pub attribute_id: String,
    pub label: String,
    pub position: usize,
    pub values: Vec<OptionValue>,
}

#[derive(Serialize)]
pub(super) struct OptionValue {
    pub value_index: u64,
}

impl Extension {
    fn is_empty(&self) -> bool {
        self.category_links.is_empty()
            && self.configurable_product_options.is_empty()
            && self.configurable_product_links.is_empty()
    }
}

#[derive(Deserialize)]
pub(super) struct Saved {
    pub id: Id,
}

impl Attribute {
    pub fn new(code: &str, value: impl Into<Value>) -> Self {
        Self { attribute_code: code.to_owned(), value: value.into() }
    }
}

impl Perform<UpsertProduct> for Magento {
    /// It is looked for first by what makes it unique in the shop.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, UpsertProduct>) -> Result<Performed, CallError> {
        let product = &*ask.verb.product;
        let views = views(&ask)?;
        let (sku, is_new) = self.sku_of(api, &ask).await?;
        let mut fields = self.fields(&ask, &sku, is_new)?;
        if is_configurable(product) {
            fields.type_id = Some("configurable");
            fields.extension_attributes = self.variants(api, &ask, fields.extension_attributes).await?;
        } else if let Some(variant) = product.variants.first() {
            fields.type_id = is_new.then_some("simple");
            self.own(variant, &ask, &mut fields)?;
        }
        let saved: Saved = self.save(api, "all", &fields).await?;
        for (view, texts) in views {
            let fields = Fields {
                sku: sku.clone(),
                name: texts.title.clone(),
                custom_attributes: texts.description.iter().map(|it| Attribute::new("description", it.as_str())).collect(),
                ..Fields::default()
            };
            self.save(api, view, &fields).await?;
        }
        Ok(Performed::at(saved.id.0).numbered(sku))
    }
}

/// One variant without options is the product itself.
fn is_configurable(product: &Product) -> bool {
    product.variants.len() > 1 || product.variants.iter().any(|it| !it.options.is_empty())
}

/// The store views that a language is for, by `[maps.locale]`: one or several with commas. Languages that are not in it are
/// not the shop's.
fn views<'a>(ask: &'a Ask<'_, UpsertProduct>) -> Result<Vec<(&'a str, &'a Texts)>, CallError> {
    let mut views = Vec::new();
    for (locale, texts) in &ask.verb.product.translations {
        let named = ask.maps.find("locale", locale).unwrap_or_default();
        for view in named.split(',').map(str::trim).filter(|it| !it.is_empty()) {
            let plain = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
            if view == "all" || view.len() > 60 || !view.bytes().all(plain) {
                let message =
                    format!("[maps.locale] `{locale}` must be the code of a store view, as in `no` (several with commas)");
                return Err(CallError::config(OPERATION, message));
            }
            if texts.title.is_some() || texts.description.is_some() {
                views.push((view, texts));
            }
        }
    }
    Ok(views)
}

impl Magento {
    pub(super) async fn save(&self, api: &Api, view: &str, fields: &Fields) -> Result<Saved, CallError> {
        api.post(OPERATION, format!("/{view}/V1/products")).json(&Body { product: fields }).fetch().await
    }

    /// The SKU under which the product stands in the shop, or is to stand; and whether it is new there.
    async fn sku_of(&self, api: &Api, ask: &Ask<'_, UpsertProduct>) -> Result<(String, bool), CallError> {
        let product = &*ask.verb.product;
        if let Some(known) = ask.known {
            let found = self.product_of(api, OPERATION, known).await?;
            return found
                .map(|it| (it.sku, false))
                .ok_or_else(|| CallError::gone(OPERATION, "the product is no longer in the shop"));
        }
        let sku = match is_configurable(product) {
            // Its variants have the SKUs that are sold.
            true => Some(product.handle.clone().unwrap_or_else(|| product.id.clone())),
            false => product.variants.first().and_then(|it| it.sku.clone()).or_else(|| product.handle.clone()),
        };
        let sku = sku.filter(|it| !it.trim().is_empty());
        let sku = sku.ok_or_else(|| CallError::data(OPERATION, "the product has neither a SKU nor a handle to be found by"))?;
        let is_new = self.sku_is_new(api, &sku).await?;
        Ok((sku, is_new))
    }

    pub(super) async fn sku_is_new(&self, api: &Api, sku: &str) -> Result<bool, CallError> {
        let search = Search::new().with("sku", "eq", sku).page(1, 1).fields("items[id,sku,type_id]");
        let found: Vec<WireProduct> = search.list(api, OPERATION, "products").await?;
        Ok(found.is_empty())
    }

    fn fields(&self, ask: &Ask<'_, UpsertProduct>, sku: &str, is_new: bool) -> Result<Fields, CallError> {
        let product = &*ask.verb.product;
        let mut custom_attributes = attributes(ask);
        custom_attributes.extend(product.description.iter().map(|it| Attribute::new("description", it.as_str())));
        let mut fields = Fields {
            sku: sku.to_owned(),
            name: Some(product.title.clone()),
            status: Some(if product.status == ProductStatus::Active { 1 } else { 2 }),
            custom_attributes,
            ..Fields::default()
        };
        if is_new {
            self.introduce(&mut fields, EVERYWHERE);
            // Once it is there, its address belongs to the shop.
            fields.custom_attributes.extend(product.handle.iter().map(|it| Attribute::new("url_key", it.as_str())));
        }
        if let Some(category) = &product.category
            && let Some(id) = ask.maps.find("category", category)
        {
            if id.is_empty() || !id.bytes().all(|it| it.is_ascii_digit()) {
                let message = format!("[maps.category] `{category}` must be the number of a category in the shop");
                return Err(CallError::config(OPERATION, message));
            }
            fields.extension_attributes.category_links.push(CategoryLink { position: 0, category_id: id.to_owned() });
        }
        Ok(fields)
    }

    fn introduce(&self, fields: &mut Fields, visibility: u8) {
        fields.attribute_set_id = Some(self.attribute_set);
        fields.visibility = Some(visibility);
    }

    /// What a variant has of its own.
    pub(super) fn own(&self, variant: &Variant, ask: &Ask<'_, UpsertProduct>, fields: &mut Fields) -> Result<(), CallError> {
        if let Some(grams) = variant.grams {
            let weight = grams.checked_div(self.shop.weight_unit.grams()).unwrap_or_default();
            fields.weight = Some(Number(weight.round_dp(4).normalize()));
        }
        if let Some(price) = variant.price {
            self.check_currency(OPERATION, price)?;
            let before = variant.compare_at.filter(|it| it.currency == price.currency && it.amount > price.amount);
            fields.price = Some(Number(before.unwrap_or(price).rounded().amount));
            if before.is_some() {
                fields.custom_attributes.push(Attribute::new("special_price", price.rounded().amount.to_string()));
            }
        }
        if let Some(gtin) = &variant.gtin
            && let Some(code) = ask.maps.find("attribute", "gtin")
        {
            fields.custom_attributes.push(Attribute::new(code, gtin.as_str()));
        }
        Ok(())
    }

    /// A variant: hidden, and bought through its product.
    pub(super) fn variant_fields(
        &self,
        ask: &Ask<'_, UpsertProduct>,
        variant: &Variant,
        sku: &str,
        is_new: bool,
    ) -> Result<Fields, CallError> {
        let product = &*ask.verb.product;
        let options: Vec<&str> = variant.options.iter().map(|(_, value)| value.as_str()).collect();
        let mut fields = Fields {
            sku: sku.to_owned(),
            name: Some(format!("{} {}", product.title, options.join(" ")).trim().to_owned()),
            status: Some(1),
            custom_attributes: attributes(ask),
            ..Fields::default()
        };
        if is_new {
            fields.type_id = Some("simple");
            self.introduce(&mut fields, NOWHERE);
            fields.custom_attributes.push(Attribute::new("url_key", address(sku)));
        }
        self.own(variant, ask, &mut fields)?;
        Ok(fields)
    }
}

/// What `[maps.attribute]` names of the source's attributes, as plain values.
fn attributes(ask: &Ask<'_, UpsertProduct>) -> Vec<Attribute> {
    let product = &*ask.verb.product;
    let mut all: Vec<Attribute> = Vec::new();
    for (name, value) in &product.attributes {
        let Some(code) = ask.maps.find("attribute", name) else { continue };
        match value {
            Value::String(text) => all.push(Attribute::new(code, text.as_str())),
            Value::Number(number) => all.push(Attribute::new(code, number.to_string())),
            Value::Bool(it) => all.push(Attribute::new(code, if *it { "1" } else { "0" })),
            Value::Array(list) if list.iter().all(Value::is_string) => {
                let list: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                all.push(Attribute::new(code, list.join(",")));
            }
            _ => {}
        }
    }
    if let (Some(brand), Some(code)) = (&product.brand, ask.maps.find("attribute", "brand")) {
        all.push(Attribute::new(code, brand.as_str()));
    }
    all
}

/// Two products may not have the same address, and SKUs are unique.
fn address(sku: &str) -> String {
    let plain = |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_lowercase() } else { '-' };
    sku.chars().map(plain).collect()
}
