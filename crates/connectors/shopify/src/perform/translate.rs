//! A product's texts in the shop's other languages: registered against the digest of the text that they translate.

use crate::{
    Shopify,
    graphql::{Nodes, TEXTS_TO_TRANSLATE, TRANSLATE, UserError, refused},
    perform::metafields::{Metafield, metafield_value},
};
use serde::Deserialize;
use serde_json::{Value, json};
use spindel_connect::{Api, CallError, Maps};
use spindel_model::{Product, Texts};
use std::collections::BTreeMap;

const OPERATION: &str = TRANSLATE.name;
/// Shopify takes so many translations of one resource in one call.
const AT_ONCE: usize = 100;
/// Resources that are asked about at once: `first` of the query.
const ONE_PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Translatable {
    resource_id: String,
    translatable_content: Vec<Content>,
}

#[derive(Deserialize)]
struct Content {
    key: String,
    digest: Option<String>,
}

impl Shopify {
    /// `product_gid` is the product as it was just written, with these metafields.
    pub(super) async fn translate(
        &self,
        api: &Api,
        maps: &Maps,
        product: &Product,
        product_gid: &str,
        metafields: &[Metafield],
    ) -> Result<(), CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Found {
            translatable_resources_by_ids: Nodes<Translatable>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Registered {
            translations_register: Outcome,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Outcome {
            user_errors: Vec<UserError>,
        }
        let wanted = wanted(maps, product, product_gid, metafields);
        let ids: Vec<&String> = wanted.keys().collect();
        let mut resources = Vec::with_capacity(ids.len());
        for ids in ids.chunks(ONE_PAGE) {
            let found: Found = self.ask(api, TEXTS_TO_TRANSLATE, json!({ "ids": ids })).await?;
            resources.extend(found.translatable_resources_by_ids.nodes);
        }
        for resource in resources {
            let texts = wanted.get(&resource.resource_id).map(Vec::as_slice).unwrap_or_default();
            let translations: Vec<Value> = texts.iter().filter_map(|text| text.input(&resource)).collect();
            for part in translations.chunks(AT_ONCE) {
                let variables = json!({ "id": resource.resource_id, "translations": part });
                let registered: Registered = self.ask(api, TRANSLATE, variables).await?;
                refused(OPERATION, &registered.translations_register.user_errors)?;
            }
        }
        Ok(())
    }
}

/// One text in one language.
struct Translated {
    locale: String,
    key: &'static str,
    value: String,
}

impl Translated {
    /// Nothing where the shop has no such text in its own language.
    fn input(&self, of: &Translatable) -> Option<Value> {
        let digest = of.translatable_content.iter().find(|it| it.key == self.key)?.digest.as_ref()?;
        Some(json!({ "locale": self.locale, "key": self.key, "value": self.value, "translatableContentDigest": digest }))
    }
}

/// By the resource that has the text: the product, and its metafields.
fn wanted(maps: &Maps, product: &Product, product_gid: &str, metafields: &[Metafield]) -> BTreeMap<String, Vec<Translated>> {
    let mut wanted: BTreeMap<String, Vec<Translated>> = BTreeMap::new();
    for (tag, texts) in &product.translations {
        let locale = maps.find("locale", tag).unwrap_or(tag);
        let mut add = |gid: &str, key, value: &str| {
            let text = Translated { locale: locale.to_owned(), key, value: value.to_owned() };
            wanted.entry(gid.to_owned()).or_default().push(text);
        };
        let Texts { title, description, attributes } = texts;
        for (key, text) in [("title", title), ("body_html", description)] {
            if let Some(text) = text {
                add(product_gid, key, text);
            }
        }
        for metafield in metafields {
            let value = attributes.get(&format!("{}.{}", metafield.namespace, metafield.key)).and_then(metafield_value);
            if let Some((_, value)) = value {
                add(&metafield.id, "value", &value);
            }
        }
    }
    wanted
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_translated_by_the_digest_of_the_shops_own_and_left_where_it_has_none() {
        let product: Product = serde_json::from_value(json!({
            "id": "1", "title": "Sweater", "status": "active", "variants": [], "updated_at": "2026-11-20T09:00:00Z",
            "attributes": { "pim.material": "Wool" },
            "translations": {
                "nb-NO": { "title": "Genser", "description": "<p>Varm</p>", "attributes": { "pim.material": "Ull", "pim.colour": "Rød" } },
                "sv": { "title": "Tröja" },
            },
        }))
        .unwrap();
        let maps = Maps([("locale".to_owned(), [("nb-NO".to_owned(), "nb".to_owned())].into())].into());
        let metafields = [Metafield { id: "gid://shopify/Metafield/7".into(), namespace: "pim".into(), key: "material".into() }];
        let wanted = wanted(&maps, &product, "gid://shopify/Product/1", &metafields);
        let of = |gid: &str, content: Value| {
            let resource: Translatable =
                serde_json::from_value(json!({ "resourceId": gid, "translatableContent": content })).unwrap();
            wanted[gid].iter().filter_map(|text| text.input(&resource)).collect::<Value>()
        };
        let content = json!([{ "key": "title", "digest": "d1" }, { "key": "body_html", "digest": null }]);
        assert_eq!(
            of("gid://shopify/Product/1", content),
            json!([
                { "locale": "nb", "key": "title", "value": "Genser", "translatableContentDigest": "d1" },
                { "locale": "sv", "key": "title", "value": "Tröja", "translatableContentDigest": "d1" },
            ])
        );
        assert_eq!(
            of("gid://shopify/Metafield/7", json!([{ "key": "value", "digest": "d2" }])),
            json!([{ "locale": "nb", "key": "value", "value": "Ull", "translatableContentDigest": "d2" }])
        );
        assert_eq!(wanted.len(), 2);
    }
}
