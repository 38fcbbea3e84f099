//! Products as a shop has them: one that is sold as it is, or a product model with all its variants.

use crate::{
    Akeneo,
    settings::PublishWhen,
    values::{Seen, View, common, seen},
    wire::{Item, Model},
};
use serde_json::{Value as Json, json};
use spindel_connect::ParseError;
use spindel_model::{Attributes, Media, Product, ProductStatus, Texts, Timestamp, Variant};
use std::collections::BTreeMap;

/// By what the variants of a model differ: an attribute and its name in the shop's own language.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub code: String,
    pub label: String,
}

/// Ids of product models are of a kind of their own: a code may look like anything.
pub(crate) const MODEL: &str = "model/";

/// What a product is put together from.
struct Parts<'a> {
    id: String,
    /// What holds for all variants.
    values: Seen<'a>,
    family: Option<&'a str>,
    categories: Vec<&'a str>,
    items: Vec<&'a Item>,
    axes: &'a [Axis],
    status: ProductStatus,
    updated_at: Timestamp,
}

impl Akeneo {
    pub(crate) fn view(&self) -> View<'_> {
        View { channel: &self.channel, locales: &self.locales }
    }

    /// A product without a model is its own only variant.
    pub(crate) fn simple(&self, item: &Item) -> Result<Product, ParseError> {
        self.product(Parts {
            id: item.uuid.clone(),
            values: seen(&item.values),
            family: item.family.as_deref(),
            categories: item.categories.iter().map(String::as_str).collect(),
            items: vec![item],
            axes: &[],
            status: self.status(self.is_published(item)),
            updated_at: item.updated,
        })
    }

    /// `updated` is the newest change of a model in between: it changes its variants and not their time.
    pub(crate) fn with_variants(
        &self,
        model: &Model,
        updated: Timestamp,
        axes: &[Axis],
        items: &[Item],
    ) -> Result<Product, ParseError> {
        let published: Vec<&Item> = items.iter().filter(|it| self.is_published(it)).collect();
        let is_published = !published.is_empty();
        let items = if is_published { published } else { items.iter().collect() };
        let all: Vec<_> = items.iter().map(|it| &it.values).collect();
        let mut values = seen(&model.values);
        values.extend(common(&all));
        let mut categories: Vec<&str> = model.categories.iter().map(String::as_str).collect();
        for category in items.iter().flat_map(|it| &it.categories) {
            if !categories.contains(&category.as_str()) {
                categories.push(category);
            }
        }
        let newest = items.iter().map(|it| it.updated).max();
        self.product(Parts {
            id: format!("{MODEL}{}", model.code),
            values,
            family: model.family.as_deref(),
            categories,
            items,
            axes,
            status: self.status(is_published),
            updated_at: newest.map_or(updated, |it| it.max(updated)).max(model.updated),
        })
    }

    fn status(&self, is_published: bool) -> ProductStatus {
        if is_published { ProductStatus::Active } else { ProductStatus::Draft }
    }

    /// Without a family nothing is required, and nothing is counted.
    fn is_published(&self, item: &Item) -> bool {
        let complete = |locale: &String| {
            let own = item.completenesses.iter().find(|it| it.scope == self.channel && it.locale == *locale);
            item.family.is_none() || own.is_some_and(|it| it.data >= 100)
        };
        item.enabled
            && match self.publish_when {
                PublishWhen::Enabled => true,
                PublishWhen::Complete => self.locales.first().is_some_and(complete),
                PublishWhen::CompleteEverywhere => self.locales.iter().all(complete),
            }
    }

    fn product(&self, parts: Parts) -> Result<Product, ParseError> {
        let (view, fields, values) = (self.view(), &self.fields, &parts.values);
        let variants = parts.items.iter().map(|it| self.variant(it, parts.axes)).collect::<Result<Vec<_>, _>>()?;
        let own = self.locales.first().map_or("", String::as_str);
        Ok(Product {
            handle: view.own_text(values, fields.handle.as_ref()),
            title: self.title(&parts),
            description: view.own_text(values, fields.description.as_ref()),
            brand: view.own_text(values, fields.brand.as_ref()),
            category: parts.categories.first().map(|it| (*it).to_owned()),
            tags: fields.tags.as_ref().map(|code| view.texts(values, code)).unwrap_or_default(),
            status: parts.status,
            translations: self.locales.iter().skip(1).filter_map(|it| self.translation(values, own, it)).collect(),
            media: self.media(&parts),
            variants,
            updated_at: parts.updated_at,
            attributes: self.attributes(&parts, own),
            id: parts.id,
        })
    }

    /// Where it has no name in the shop's language it has one in another, or that of its first variant, or its number.
    fn title(&self, parts: &Parts) -> String {
        let (view, code) = (self.view(), &self.fields.title);
        let firsts = parts.items.first().map(|it| seen(&it.values)).unwrap_or_default();
        let named = |values: &Seen| self.locales.iter().find_map(|locale| view.text(values, code, locale));
        let sku = || view.own_text(&firsts, Some(&self.fields.sku));
        named(&parts.values).or_else(|| named(&firsts)).or_else(sku).unwrap_or_else(|| parts.id.clone())
    }

    fn variant(&self, item: &Item, axes: &[Axis]) -> Result<Variant, ParseError> {
        let (view, fields, values) = (self.view(), &self.fields, seen(&item.values));
        Ok(Variant {
            id: item.uuid.clone(),
            sku: view.own_text(&values, Some(&fields.sku)),
            gtin: view.own_text(&values, fields.gtin.as_ref()),
            options: axes.iter().filter_map(|it| Some((it.label.clone(), view.choice(&values, &it.code)?))).collect(),
            price: view.money(&values, fields.price.as_ref(), self.currency)?,
            compare_at: view.money(&values, fields.compare_at.as_ref(), self.currency)?,
            grams: view.grams(&values, fields.weight.as_ref())?,
        })
    }

    /// `None` where the locale says nothing of its own.
    fn translation(&self, values: &Seen, own: &str, locale: &str) -> Option<(String, Texts)> {
        let view = self.view();
        let first = view.all(values, own);
        let mut attributes = view.all(values, locale);
        attributes.retain(|code, value| first.get(code) != Some(value));
        let texts = Texts {
            title: view.text(values, &self.fields.title, locale),
            description: self.fields.description.as_ref().and_then(|code| view.text(values, code, locale)),
            attributes,
        };
        (texts != Texts::default()).then(|| (locale.replace('_', "-"), texts))
    }

    /// Those of all variants first, then each variant's own.
    fn media(&self, parts: &Parts) -> Vec<Media> {
        let view = self.view();
        let each = parts.items.iter().map(|it| seen(&it.values));
        let mut found: Vec<Media> = Vec::new();
        for values in std::iter::once(parts.values.clone()).chain(each) {
            for id in self.fields.images.iter().flat_map(|code| view.codes(&values, code)) {
                if !id.is_empty() && !found.iter().any(|it| it.id == id) {
                    let url = self.media_address(&id);
                    found.push(Media { id, url, alt: None });
                }
            }
        }
        found
    }

    /// The PIM's own links need its token, so they are nobody else's.
    fn media_address(&self, id: &str) -> Option<String> {
        if id.starts_with("https://") {
            return Some(id.to_owned());
        }
        let code: Vec<String> = id.split('/').map(segment).collect();
        self.media_url.as_ref().map(|template| template.replace("{code}", &code.join("/")))
    }

    /// All attributes by code. No attribute of the PIM can be called `family`, `categories`, `groups` or `products`.
    fn attributes(&self, parts: &Parts, locale: &str) -> Attributes {
        let view = self.view();
        let mut all = view.all(&parts.values, locale);
        if let Some(family) = parts.family {
            all.insert("family".to_owned(), family.into());
        }
        if !parts.categories.is_empty() {
            all.insert("categories".to_owned(), json!(parts.categories));
        }
        let groups: Vec<&String> = parts.items.iter().flat_map(|it| &it.groups).collect();
        if !groups.is_empty() {
            all.insert("groups".to_owned(), json!(groups));
        }
        let own = |item: &&Item| {
            let mut values = seen(&item.values);
            values.retain(|code, _| !parts.values.contains_key(code));
            (item.uuid.clone(), view.all(&values, locale))
        };
        let own: BTreeMap<String, BTreeMap<String, Json>> =
            parts.items.iter().map(own).filter(|(_, values)| !values.is_empty()).collect();
        if !own.is_empty() {
            all.insert("products".to_owned(), json!(own));
        }
        all
    }
}

/// Percent-encoded, for one part of a path.
pub(crate) fn segment(text: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|it| if plain(it) { char::from(it).to_string() } else { format!("%{it:02X}") }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tests::connect;

    fn item(change: Json) -> Item {
        let mut item = json!({
            "uuid": "u1", "enabled": true, "family": "knit", "categories": ["jumpers"], "groups": [],
            "values": {
                "sku": [{ "locale": null, "scope": null, "data": "ULL" }],
                "name": [{ "locale": "nb_NO", "scope": null, "data": "Ullgenser" },
                         { "locale": "sv_SE", "scope": null, "data": "Ylletröja" }],
                "picture": [{ "locale": null, "scope": null, "data": "1/2/3 ull.jpg" }],
            },
            "updated": "2026-11-20T09:15:00+00:00",
            "completenesses": [{ "scope": "ecommerce", "locale": "nb_NO", "data": 100 },
                               { "scope": "ecommerce", "locale": "sv_SE", "data": 60 },
                               { "scope": "print", "locale": "nb_NO", "data": 0 }],
        });
        for (key, value) in change.as_object().unwrap() {
            item[key] = value.clone();
        }
        serde_json::from_str(&item.to_string()).unwrap()
    }

    fn status(settings: Json, change: Json) -> ProductStatus {
        connect(settings).unwrap().0.simple(&item(change)).unwrap().status
    }

    #[test]
    fn a_product_is_active_once_it_is_enabled_and_complete_for_the_channel_where_the_settings_ask_for_it() {
        use ProductStatus::{Active, Draft};
        let other = json!([{ "scope": "print", "locale": "nb_NO", "data": 100 }]);
        for (publish_when, change, expected) in [
            ("complete", json!({}), Active),
            ("complete", json!({ "enabled": false }), Draft),
            ("complete", json!({ "completenesses": other }), Draft),
            ("complete", json!({ "completenesses": [], "family": null }), Active),
            ("complete_everywhere", json!({}), Draft),
            ("enabled", json!({ "completenesses": [] }), Active),
            ("enabled", json!({ "enabled": false }), Draft),
        ] {
            assert_eq!(status(json!({ "publish_when": publish_when }), change.clone()), expected, "{publish_when} {change}");
        }
    }

    #[test]
    fn a_product_without_a_name_takes_that_of_another_language_or_its_number() {
        let akeneo = connect(json!({})).unwrap().0;
        let values = json!({ "sku": [{ "locale": null, "scope": null, "data": "ULL" }] });
        assert_eq!(akeneo.simple(&item(json!({ "values": values }))).unwrap().title, "ULL");
        assert_eq!(akeneo.simple(&item(json!({ "values": {} }))).unwrap().title, "u1");
        let swedish = json!({ "name": [{ "locale": "sv_SE", "scope": null, "data": "Ylletröja" }] });
        assert_eq!(akeneo.simple(&item(json!({ "values": swedish }))).unwrap().title, "Ylletröja");
    }

    #[test]
    fn a_language_has_only_what_it_says_otherwise() {
        let product = connect(json!({})).unwrap().0.simple(&item(json!({}))).unwrap();
        let swedish = &product.translations["sv-SE"];
        assert_eq!(swedish.title.as_deref(), Some("Ylletröja"));
        assert_eq!(swedish.attributes.keys().collect::<Vec<_>>(), ["name"]);
        assert_eq!(product.attributes["name"], "Ullgenser");
    }

    #[test]
    fn a_picture_has_an_address_only_where_the_settings_say_where_it_can_be_fetched() {
        let media = |settings: Json| connect(settings).unwrap().0.simple(&item(json!({}))).unwrap().media;
        let secret = media(json!({ "media_url": null }));
        assert_eq!((secret[0].id.as_str(), &secret[0].url), ("1/2/3 ull.jpg", &None));
        let public = media(json!({ "media_url": "https://cdn.example.no/{code}" }));
        assert_eq!(public[0].url.as_deref(), Some("https://cdn.example.no/1/2/3%20ull.jpg"));
    }
}
