//! `upsert_product`: a product with all its variants, found by link, by handle, or by a metafield with its id at the source.

use crate::{
    Shopify,
    graphql::{UPSERT_PRODUCT, UserError, refused},
    wire::{Id, gid},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Media, Performed, Product, ProductStatus, UpsertProduct, Variant};

const OPERATION: &str = UPSERT_PRODUCT.name;

impl Perform<UpsertProduct> for Shopify {
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, UpsertProduct>) -> Result<Performed, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Upserted {
            product_set: Outcome,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Outcome {
            product: Option<Made>,
            user_errors: Vec<UserError>,
        }
        #[derive(Deserialize)]
        struct Made {
            id: Id,
        }
        let product = &ask.verb.product;
        let variables = json!({ "identifier": self.identifier(product, ask.known)?, "input": input(product)? });
        let Upserted { product_set: outcome } = self.ask(api, UPSERT_PRODUCT, variables).await?;
        refused(OPERATION, &outcome.user_errors)?;
        let made = outcome.product.ok_or_else(|| CallError::unexpected(OPERATION, "neither a product nor an error came back"))?;
        let at = gid("Product", &made.id.0);
        let metafields = self.set_metafields(api, product, &at).await?;
        self.translate(api, ask.maps, product, &at, &metafields).await?;
        Ok(Performed::at(made.id.0))
    }
}

impl Shopify {
    fn identifier(&self, product: &Product, known: Option<&str>) -> Result<Value, CallError> {
        match (known, &product.handle, &self.product_key) {
            (Some(id), ..) => Ok(json!({ "id": gid("Product", id) })),
            (None, Some(handle), _) => Ok(json!({ "handle": handle })),
            (None, None, Some(at)) => {
                Ok(json!({ "customId": { "namespace": at.namespace, "key": at.key, "value": product.id } }))
            }
            (None, None, None) => Err(CallError::config(
                OPERATION,
                "the product has no handle to be found by; set `product_metafield` of this connection",
            )),
        }
    }
}

/// Lists are set as a whole: a variant that the source does not have is removed.
fn input(product: &Product) -> Result<Value, CallError> {
    if product.variants.is_empty() {
        return Err(CallError::data(OPERATION, "the product has no variants; Shopify would remove all it has"));
    }
    let status = match product.status {
        ProductStatus::Draft => "DRAFT",
        ProductStatus::Active => "ACTIVE",
        ProductStatus::Archived => "ARCHIVED",
    };
    let mut input = Map::new();
    let mut set = |name: &str, value: Value| input.insert(name.to_owned(), value);
    set("title", json!(product.title));
    set("status", json!(status));
    set("tags", json!(product.tags));
    // What the source does not say is left as it is in the shop.
    let optional = [
        ("handle", &product.handle),
        ("descriptionHtml", &product.description),
        ("vendor", &product.brand),
        ("productType", &product.category),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            set(name, json!(value));
        }
    }
    let files = files(product);
    if !files.is_empty() {
        set("files", json!(files));
    }
    set("productOptions", json!(options(product)));
    set("variants", product.variants.iter().map(variant).collect());
    Ok(input.into())
}

/// Pictures that the shop can fetch. By its name a picture that is there already is replaced and not added again.
fn files(product: &Product) -> Vec<Value> {
    let file = |media: &Media| {
        let url = media.url.as_deref()?;
        let name = url.split(['?', '#']).next()?.rsplit('/').next().filter(|name| name.contains('.'));
        let mut file = json!({ "originalSource": url, "contentType": "IMAGE" });
        if let Some(alt) = &media.alt {
            file["alt"] = json!(alt);
        }
        if let Some(name) = name {
            file["filename"] = json!(name);
            file["duplicateResolutionMode"] = json!("REPLACE");
        }
        Some(file)
    };
    product.media.iter().filter_map(file).collect()
}

/// Shopify's own name of the one option of a product that has none.
fn default_option() -> Vec<(String, String)> {
    vec![("Title".into(), "Default Title".into())]
}

fn options_of(variant: &Variant) -> Vec<(String, String)> {
    if variant.options.is_empty() { default_option() } else { variant.options.clone() }
}

fn options(product: &Product) -> Vec<Value> {
    let mut names: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in product.variants.iter().flat_map(options_of) {
        match names.iter_mut().find(|(it, _)| *it == name) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => names.push((name, vec![value])),
        }
    }
    let named = |value: String| json!({ "name": value });
    names
        .into_iter()
        .map(|(name, values)| json!({ "name": name, "values": values.into_iter().map(named).collect::<Vec<_>>() }))
        .collect()
}

fn variant(it: &Variant) -> Value {
    let values: Vec<Value> =
        options_of(it).into_iter().map(|(name, value)| json!({ "optionName": name, "name": value })).collect();
    let mut variant = json!({ "optionValues": values });
    if let Some(sku) = &it.sku {
        variant["sku"] = json!(sku);
    }
    if let Some(gtin) = &it.gtin {
        variant["barcode"] = json!(gtin);
    }
    if let Some(price) = it.price {
        variant["price"] = json!(price.amount.to_string());
        variant["compareAtPrice"] = json!(it.compare_at.map(|money| money.amount.to_string()));
    }
    variant
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_replaced_by_its_name_and_one_that_nobody_can_fetch_is_left_out() {
        let media =
            |url: Option<&str>, alt: Option<&str>| Media { id: "1".into(), url: url.map(Into::into), alt: alt.map(Into::into) };
        let product: Product = serde_json::from_value(json!({
            "id": "1", "title": "T", "status": "active", "variants": [], "updated_at": "2026-11-20T09:00:00Z",
        }))
        .unwrap();
        let pictures = vec![
            media(Some("https://cdn.example.no/a/genser.jpg?v=2#x"), Some("Genser")),
            media(Some("https://pim.example.no/media/42/"), None),
            media(None, Some("kept by the source")),
        ];
        assert_eq!(
            json!(files(&Product { media: pictures, ..product })),
            json!([
                {
                    "originalSource": "https://cdn.example.no/a/genser.jpg?v=2#x", "contentType": "IMAGE", "alt": "Genser",
                    "filename": "genser.jpg", "duplicateResolutionMode": "REPLACE",
                },
                { "originalSource": "https://pim.example.no/media/42/", "contentType": "IMAGE" },
            ])
        );
    }
}
