//! Reading from the PIM: single products, and product models with all that belongs to them.

use crate::{
    API, Akeneo,
    product::{Axis, MODEL, segment},
    wire::{Attribute, FamilyVariant, Item, Listed, Model},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use spindel_connect::{Api, CallError, Read};
use spindel_model::{Product, Timestamp};
use std::collections::BTreeMap;
use url::form_urlencoded::Serializer;

/// More cannot be asked for at once.
pub(crate) const PAGE: usize = 100;
/// Two thousand variants: more than shops have room for.
const MOST_PAGES: usize = 20;

impl Read<Product> for Akeneo {
    /// The id of a variant gives the product that it belongs to.
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Product>, CallError> {
        const OPERATION: &str = "read_product";
        let mut desk = Desk::new(self, api, OPERATION);
        if let Some(code) = id.strip_prefix(MODEL) {
            return desk.product_of(code).await;
        }
        let query = "with_attribute_options=true&with_completenesses=true";
        let path = format!("{API}products-uuid/{}?{query}", segment(id));
        let Some(item) = api.get(OPERATION, path).find::<Item>().await? else { return Ok(None) };
        match &item.parent {
            Some(parent) => desk.product_of(parent).await,
            None => self.simple(&item).map(Some).map_err(CallError::misfit(OPERATION)),
        }
    }
}

impl Akeneo {
    /// Products with what is told of them, by a search.
    pub(crate) fn products_path(&self, search: Option<serde_json::Value>, size: usize) -> String {
        let (locales, size) = (self.locales.join(","), size.to_string());
        let mut query = vec![
            ("pagination_type", "search_after"),
            ("limit", size.as_str()),
            ("scope", self.channel.as_str()),
            ("locales", locales.as_str()),
            ("with_attribute_options", "true"),
            ("with_completenesses", "true"),
        ];
        let search = search.map(|it| it.to_string());
        query.extend(search.as_deref().map(|it| ("search", it)));
        path("products-uuid", &query)
    }
}

/// Reads product models, each thing once.
pub(crate) struct Desk<'a> {
    akeneo: &'a Akeneo,
    api: &'a Api,
    operation: &'static str,
    /// By family and family variant.
    axes: BTreeMap<(String, String), Vec<Axis>>,
    /// The top model of a model.
    roots: BTreeMap<String, String>,
}

impl<'a> Desk<'a> {
    pub fn new(akeneo: &'a Akeneo, api: &'a Api, operation: &'static str) -> Self {
        Self { akeneo, api, operation, axes: BTreeMap::new(), roots: BTreeMap::new() }
    }

    /// The top one of the model's levels; `None` when there is no such model any more.
    pub async fn root_of(&mut self, code: &str) -> Result<Option<String>, CallError> {
        if let Some(root) = self.roots.get(code) {
            return Ok(Some(root.clone()));
        }
        let Some(model) = self.model(code).await? else { return Ok(None) };
        // There are two levels at most.
        let root = model.parent.unwrap_or(model.code);
        self.roots.insert(code.to_owned(), root.clone());
        Ok(Some(root))
    }

    /// The product that this model, at whatever level, belongs to.
    pub async fn product_of(&mut self, code: &str) -> Result<Option<Product>, CallError> {
        let Some(model) = self.model(code).await? else { return Ok(None) };
        match &model.parent {
            None => self.with_variants(model).await.map(Some),
            Some(root) => self.product(root).await,
        }
    }

    /// The product of a top model.
    pub async fn product(&mut self, root: &str) -> Result<Option<Product>, CallError> {
        match self.model(root).await? {
            Some(model) => self.with_variants(model).await.map(Some),
            None => Ok(None),
        }
    }

    async fn with_variants(&mut self, model: Model) -> Result<Product, CallError> {
        let search = json!({ "parent": [{ "operator": "=", "value": model.code }] });
        let items: Vec<Item> = self.all(self.akeneo.products_path(Some(search), PAGE)).await?;
        let mut updated = model.updated;
        if items.iter().any(|it| it.parent.as_ref() != Some(&model.code)) {
            updated = updated.max(self.newest_below(&model.code).await?.unwrap_or(updated));
        }
        let axes = match items.is_empty() {
            true => Vec::new(),
            false => self.axes(&model).await?,
        };
        self.akeneo.with_variants(&model, updated, &axes, &items).map_err(CallError::misfit(self.operation))
    }

    /// When a model between this one and its variants changed last.
    async fn newest_below(&self, root: &str) -> Result<Option<Timestamp>, CallError> {
        let search = json!({ "parent": [{ "operator": "IN", "value": [root] }] }).to_string();
        let size = PAGE.to_string();
        let query = [("pagination_type", "search_after"), ("limit", size.as_str()), ("search", search.as_str())];
        let models: Vec<Model> = self.all(path("product-models", &query)).await?;
        Ok(models.into_iter().map(|it| it.updated).max())
    }

    async fn model(&self, code: &str) -> Result<Option<Model>, CallError> {
        self.api.get(self.operation, format!("{API}product-models/{}", segment(code))).find().await
    }

    async fn axes(&mut self, model: &Model) -> Result<Vec<Axis>, CallError> {
        let family = model.family.clone().ok_or_else(|| CallError::data(self.operation, "the product model has no family"))?;
        let key = (family, model.family_variant.clone());
        if let Some(known) = self.axes.get(&key) {
            return Ok(known.clone());
        }
        let path = format!("{API}families/{}/variants/{}", segment(&key.0), segment(&key.1));
        let FamilyVariant { variant_attribute_sets: mut sets } = self.api.get(self.operation, path).fetch().await?;
        sets.sort_by_key(|it| it.level);
        let codes: Vec<String> = sets.into_iter().flat_map(|it| it.axes).collect();
        let known = attributes(self.api, self.operation, codes.iter().map(String::as_str)).await?;
        let axis = |code: String| {
            let labels = known.iter().find(|it| it.code == code).map(|it| &it.labels);
            let own = self.akeneo.locales.first().and_then(|locale| labels?.get(locale)?.clone());
            Axis { label: own.filter(|it| !it.is_empty()).unwrap_or_else(|| code.clone()), code }
        };
        let axes: Vec<Axis> = codes.into_iter().map(axis).collect();
        self.axes.insert(key, axes.clone());
        Ok(axes)
    }

    /// A list to its end.
    async fn all<T: DeserializeOwned>(&self, first: String) -> Result<Vec<T>, CallError> {
        let (mut all, mut next) = (Vec::new(), Some(first));
        for _ in 0..MOST_PAGES {
            let Some(path) = next else { return Ok(all) };
            let (items, link) = self.api.get(self.operation, path).fetch::<Listed<T>>().await?.parts();
            all.extend(items);
            next = link.map(|it| below(self.operation, &it)).transpose()?;
        }
        match next {
            None => Ok(all),
            Some(_) => Err(CallError::data(self.operation, format!("the model has more than {} products", MOST_PAGES * PAGE))),
        }
    }
}

/// Attributes by code.
pub(crate) async fn attributes(
    api: &Api,
    operation: &'static str,
    codes: impl Iterator<Item = &str>,
) -> Result<Vec<Attribute>, CallError> {
    let mut codes: Vec<&str> = codes.collect();
    codes.sort_unstable();
    codes.dedup();
    let search = json!({ "code": [{ "operator": "IN", "value": codes }] }).to_string();
    let size = PAGE.to_string();
    let query = [("limit", size.as_str()), ("search", search.as_str())];
    Ok(api.get(operation, path("attributes", &query)).fetch::<Listed<Attribute>>().await?.parts().0)
}

fn path(resource: &str, query: &[(&str, &str)]) -> String {
    format!("{API}{resource}?{}", Serializer::new(String::new()).extend_pairs(query).finish())
}

/// The way to the next page. A PIM behind a proxy may take itself for another host, so that of the settings counts.
pub(crate) fn below(operation: &'static str, link: &str) -> Result<String, CallError> {
    let at = link.find(API).ok_or_else(|| CallError::unexpected(operation, "the link to the next page leads elsewhere"))?;
    Ok(link[at..].to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_at_the_address_of_the_settings_and_nowhere_else() {
        for link in ["http://pim.internal/api/rest/v1/products-uuid?search_after=a", "/api/rest/v1/products-uuid?search_after=a"]
        {
            assert_eq!(below("poll", link).unwrap(), "/api/rest/v1/products-uuid?search_after=a");
        }
        assert!(below("poll", "https://elsewhere.example/products").is_err());
    }
}
