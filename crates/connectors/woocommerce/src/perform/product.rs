//! `upsert_product`: a simple product, or a variable one with its variations. Found by link, by slug, or by SKU.

use super::{catalogue::MAX, price::Fields};
use crate::{
    Woocommerce,
    reply::Problem,
    wire::{Id, product},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Performed, Product, ProductStatus, UpsertProduct, Variant};
use std::collections::{BTreeMap, BTreeSet};

const OPERATION: &str = "upsert_product";

#[derive(Deserialize)]
struct Saved {
    id: Id,
}

impl Perform<UpsertProduct> for Woocommerce {
    /// It is looked for first by what makes it unique in the shop.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, UpsertProduct>) -> Result<Performed, CallError> {
        let product = &*ask.verb.product;
        let variable = is_variable(product);
        let id = self.find_product(api, &ask).await?;
        let mut body = self.product_body(product, &ask)?;
        if id.is_none() {
            // Sent again they would be fetched and kept again.
            let media = product.media.iter().filter_map(|it| Some(json!({ "src": it.url.as_ref()?, "alt": it.alt })));
            body.insert("images".into(), media.collect());
        }
        let saved: Saved = match &id {
            Some(id) => api.put(OPERATION, self.path(&format!("/products/{id}"), &[])).json(&body).fetch().await?,
            None => api.post(OPERATION, self.path("/products", &[])).json(&body).fetch().await?,
        };
        if variable {
            self.write_variations(api, &saved.id.0, product).await?;
        }
        Ok(Performed::at(saved.id.0))
    }
}

/// One variant without options is the product itself.
fn is_variable(product: &Product) -> bool {
    product.variants.len() > 1 || product.variants.iter().any(|it| !it.options.is_empty())
}

impl Woocommerce {
    async fn find_product(&self, api: &Api, ask: &Ask<'_, UpsertProduct>) -> Result<Option<String>, CallError> {
        let product = &*ask.verb.product;
        if let Some(known) = ask.known {
            return crate::read::checked(OPERATION, known).map(|id| Some(id.to_owned()));
        }
        if let Some(slug) = product.handle.as_deref() {
            let query = [("slug", slug), ("_fields", "id")];
            let found: Vec<Saved> = api.get(OPERATION, self.path("/products", &query)).fetch().await?;
            if let Some(one) = found.into_iter().next() {
                return Ok(Some(one.id.0));
            }
        }
        let skus: BTreeSet<&str> = product.variants.iter().filter_map(|it| it.sku.as_deref()).take(MAX).collect();
        if skus.is_empty() && product.handle.is_none() {
            return Err(CallError::data(OPERATION, "the product has neither a handle nor a SKU to be found by"));
        }
        let found = self.by_sku(api, OPERATION, &skus).await?;
        let owner = |it: &product::Product| it.parent().unwrap_or_else(|| it.id.0.clone());
        // The search is lenient about case; a SKU is not.
        let mine = found.iter().filter(|(sku, _)| skus.contains(sku.as_str()));
        let owners: BTreeSet<String> = mine.flat_map(|(_, items)| items).map(owner).collect();
        match owners.len() {
            0 | 1 => Ok(owners.into_iter().next()),
            _ => Err(CallError::data(OPERATION, "the SKUs of this product stand on several products of the shop")),
        }
    }

    fn product_body(&self, product: &Product, ask: &Ask<'_, UpsertProduct>) -> Result<Map<String, Value>, CallError> {
        let variable = is_variable(product);
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
        put("name", product.title.clone().into());
        put("type", if variable { "variable" } else { "simple" }.into());
        put("status", status(product.status).into());
        if let Some(slug) = &product.handle {
            put("slug", slug.clone().into());
        }
        if let Some(text) = &product.description {
            put("description", text.clone().into());
        }
        if let Some(category) = &product.category
            && let Some(id) = ask.maps.find("category", category)
        {
            let id: u64 = id.parse().map_err(|_| {
                CallError::config(OPERATION, format!("[maps.category] `{category}` must be the number of a category in the shop"))
            })?;
            put("categories", json!([{ "id": id }]));
        }
        if variable {
            put("attributes", attributes(product));
        } else if let Some(variant) = product.variants.first() {
            body.extend(self.variant_body(variant)?);
        }
        Ok(body)
    }

    fn variant_body(&self, variant: &Variant) -> Result<Map<String, Value>, CallError> {
        let mut body = Map::new();
        if let Some(sku) = &variant.sku {
            body.insert("sku".into(), sku.clone().into());
        }
        if let Some(gtin) = &variant.gtin {
            body.insert("global_unique_id".into(), gtin.clone().into());
        }
        if let Some(grams) = variant.grams {
            let weight = grams.checked_div(self.shop.weight_unit.grams()).unwrap_or_default().round_dp(4).normalize();
            body.insert("weight".into(), weight.to_string().into());
        }
        if let Some(price) = variant.price {
            self.check_currency(OPERATION, price)?;
            let compare_at = variant.compare_at.filter(|it| it.currency == price.currency && it.amount > price.amount);
            if let Ok(Value::Object(fields)) = serde_json::to_value(Fields::of(price, compare_at, None, None)) {
                body.extend(fields);
            }
        }
        Ok(body)
    }

    /// Variations are matched by SKU; those that the source does not have are hidden, not deleted.
    async fn write_variations(&self, api: &Api, id: &str, product: &Product) -> Result<(), CallError> {
        let there = self.variations(api, OPERATION, id).await?;
        let by_sku: BTreeMap<String, &product::Product> = there.iter().filter_map(|it| Some((it.sku()?, it))).collect();
        let (mut create, mut update, mut kept) = (Vec::new(), Vec::new(), BTreeSet::new());
        for variant in &product.variants {
            let sku = variant.sku.as_ref().ok_or_else(|| CallError::data(OPERATION, "a variant has no SKU to be found by"))?;
            let mut body = self.variant_body(variant)?;
            let options = variant.options.iter().map(|(name, option)| json!({ "name": name, "option": option }));
            body.insert("attributes".into(), options.collect());
            body.insert("status".into(), "publish".into());
            match by_sku.get(sku) {
                Some(it) => {
                    kept.insert(it.id.0.as_str());
                    body.insert("id".into(), number(&it.id)?);
                    update.push(Value::Object(body));
                }
                None => create.push(Value::Object(body)),
            }
        }
        for gone in there.iter().filter(|it| !kept.contains(it.id.0.as_str())) {
            update.push(json!({ "id": number(&gone.id)?, "status": "private" }));
        }
        for (what, rows) in [("update", update), ("create", create)] {
            for rows in rows.chunks(MAX) {
                self.write_rows(api, id, what, rows).await?;
            }
        }
        Ok(())
    }

    async fn write_rows(&self, api: &Api, id: &str, what: &str, rows: &[Value]) -> Result<(), CallError> {
        #[derive(Deserialize)]
        struct Written {
            #[serde(default)]
            create: Vec<Row>,
            #[serde(default)]
            update: Vec<Row>,
        }
        #[derive(Deserialize)]
        struct Row {
            error: Option<Problem>,
        }
        let path = self.path(&format!("/products/{id}/variations/batch"), &[]);
        let written: Written = api.post(OPERATION, path).json(&json!({ what: rows })).fetch().await?;
        let answered: Vec<Row> = written.update.into_iter().chain(written.create).collect();
        if answered.len() < rows.len() {
            return Err(CallError::unexpected(OPERATION, "no outcome came back for some of the variations"));
        }
        match answered.into_iter().find_map(|it| it.error) {
            Some(problem) => Err(CallError::data(OPERATION, format!("a variation was refused: {}", problem.word()))),
            None => Ok(()),
        }
    }
}

fn status(status: ProductStatus) -> &'static str {
    match status {
        ProductStatus::Active => "publish",
        ProductStatus::Draft => "draft",
        ProductStatus::Archived => "private",
    }
}

/// Every option with all of its values, in the order in which they appear.
fn attributes(product: &Product) -> Value {
    let mut names: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, value) in product.variants.iter().flat_map(|it| &it.options) {
        match names.iter_mut().find(|(it, _)| it == name) {
            Some((_, values)) if values.contains(&value.as_str()) => {}
            Some((_, values)) => values.push(value),
            None => names.push((name, vec![value])),
        }
    }
    let attribute = |(name, options)| json!({ "name": name, "visible": true, "variation": true, "options": options });
    names.into_iter().map(attribute).collect()
}

fn number(id: &Id) -> Result<Value, CallError> {
    let id: u64 = id.0.parse().map_err(|_| CallError::unexpected(OPERATION, "a variation's id is no number"))?;
    Ok(id.into())
}
