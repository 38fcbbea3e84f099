//! Products and variations: one shape, from which come the product, its stock and its price.

use super::{Amount, Id, Utc, filled, some_id};
use crate::{Shop, WeightUnit};
use serde::Deserialize;
use serde_json::Value;
use spindel_connect::ParseError;
use spindel_model::{Attributes, Decimal, Media, Money, Price, ProductStatus, StockLevel, Timestamp, Variant};
use std::collections::BTreeMap;

#[derive(Clone, Deserialize)]
pub(crate) struct Product {
    pub id: Id,
    parent_id: Option<Id>,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    name: String,
    slug: Option<String>,
    status: Option<String>,
    description: Option<String>,
    sku: Option<String>,
    global_unique_id: Option<String>,
    #[serde(default)]
    pub regular_price: Amount,
    #[serde(default)]
    pub sale_price: Amount,
    #[serde(default)]
    on_sale: bool,
    #[serde(default)]
    pub date_on_sale_from_gmt: Utc,
    #[serde(default)]
    pub date_on_sale_to_gmt: Utc,
    /// `true`, `false`, or "parent".
    #[serde(default)]
    manage_stock: Value,
    #[serde(default)]
    pub stock_quantity: Amount,
    #[serde(default)]
    weight: Amount,
    #[serde(default)]
    categories: Vec<Named>,
    #[serde(default)]
    tags: Vec<Named>,
    #[serde(default)]
    brands: Vec<Named>,
    #[serde(default)]
    images: Vec<Image>,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    date_created_gmt: Utc,
    #[serde(default)]
    date_modified_gmt: Utc,
}

#[derive(Clone, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Clone, Deserialize)]
struct Image {
    id: Id,
    src: Option<String>,
    alt: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Attribute {
    #[serde(default)]
    name: String,
    /// Of a variation: the one value that it stands for.
    option: Option<String>,
}

impl Product {
    pub fn is_draft(&self) -> bool {
        matches!(self.status.as_deref(), Some("auto-draft" | "importing"))
    }

    pub fn has_variations(&self) -> bool {
        self.kind == "variable" || self.kind == "variable-subscription"
    }

    pub fn is_variation(&self) -> bool {
        self.kind.contains("variation")
    }

    /// Grouped products have a parent too, and are none.
    pub fn parent(&self) -> Option<String> {
        some_id(self.parent_id.as_ref()).filter(|_| self.is_variation())
    }

    pub fn sku(&self) -> Option<String> {
        filled(self.sku.clone())
    }

    pub fn tracks_stock(&self) -> bool {
        self.manage_stock == Value::Bool(true)
    }

    pub fn modified(&self) -> Result<Timestamp, ParseError> {
        self.date_modified_gmt
            .0
            .or(self.date_created_gmt.0)
            .ok_or_else(|| ParseError::Content(format!("product {} has no time: expected `date_modified_gmt`", self.id.0)))
    }

    /// `93` of a product, `93/99` of a variation: both are needed to read it.
    pub fn item_id(&self, parent: Option<&str>) -> String {
        parent.map_or_else(|| self.id.0.clone(), |parent| format!("{parent}/{}", self.id.0))
    }

    /// `None` where its stock is not tracked, or is its parent's.
    pub fn stock(&self, shop: &Shop, parent: Option<&str>) -> Result<Option<StockLevel>, ParseError> {
        if !self.tracks_stock() {
            return Ok(None);
        }
        Ok(Some(StockLevel {
            sku: self.sku(),
            item_id: Some(self.item_id(parent)),
            location: shop.location.clone(),
            available: self.stock_quantity.0.map(|it| it.normalize()),
            on_hand: None,
            as_of: self.modified()?,
        }))
    }

    /// What one costs now, and what it costs without the sale. `None` without a SKU, a price, or the shop's settings for it.
    pub fn price(&self, shop: &Shop) -> Result<Option<Price>, ParseError> {
        let (Some(sku), Some((amount, compare_at)), Some(includes_tax)) =
            (self.sku(), self.amounts(shop), shop.prices_include_tax)
        else {
            return Ok(None);
        };
        let on_sale = compare_at.is_some();
        Ok(Some(Price {
            sku,
            amount,
            compare_at,
            includes_tax,
            sale_from: self.date_on_sale_from_gmt.0.filter(|_| on_sale),
            sale_until: self.date_on_sale_to_gmt.0.filter(|_| on_sale),
            as_of: self.modified()?,
        }))
    }

    /// The price of a product with variations is only the lowest of theirs.
    fn amounts(&self, shop: &Shop) -> Option<(Money, Option<Money>)> {
        let currency = shop.currency.filter(|_| !self.has_variations())?;
        let regular = Money::new(self.regular_price.0?, currency).scaled();
        // A sale that is still to come changes nothing yet; the shop tells when it begins.
        match self.sale_price.0.filter(|_| self.on_sale) {
            Some(sale) => Some((Money::new(sale, currency).scaled(), Some(regular))),
            None => Some((regular, None)),
        }
    }

    fn variant(&self, shop: &Shop) -> Variant {
        let (price, compare_at) = self.amounts(shop).map_or((None, None), |(price, compare_at)| (Some(price), compare_at));
        let options = self.attributes.iter().filter_map(|it| Some((it.name.clone(), filled(it.option.clone())?)));
        Variant {
            id: self.id.0.clone(),
            sku: self.sku(),
            gtin: filled(self.global_unique_id.clone()),
            options: options.collect(),
            price,
            compare_at,
            grams: self.weight.0.filter(|it| !it.is_zero()).map(|it| grams(it, shop.weight_unit)),
        }
    }

    pub fn canonical(&self, shop: &Shop, variations: &[Self]) -> Result<spindel_model::Product, ParseError> {
        let modified = variations.iter().filter_map(|it| it.date_modified_gmt.0).max();
        let names = |named: &[Named]| named.iter().map(|it| it.name.clone()).filter(|it| !it.is_empty()).collect::<Vec<_>>();
        let variants = match variations {
            [] if self.has_variations() => Vec::new(),
            [] => vec![self.variant(shop)],
            some => some.iter().map(|it| it.variant(shop)).collect(),
        };
        let media =
            self.images.iter().map(|it| Media { id: it.id.0.clone(), url: filled(it.src.clone()), alt: filled(it.alt.clone()) });
        Ok(spindel_model::Product {
            id: self.id.0.clone(),
            handle: filled(self.slug.clone()),
            title: self.name.clone(),
            description: filled(self.description.clone()),
            brand: names(&self.brands).into_iter().next(),
            category: names(&self.categories).into_iter().next(),
            tags: names(&self.tags),
            status: match self.status.as_deref() {
                Some("publish") => ProductStatus::Active,
                Some("trash") => ProductStatus::Archived,
                _ => ProductStatus::Draft,
            },
            translations: BTreeMap::new(),
            media: media.collect(),
            variants,
            updated_at: self.modified()?.max(modified.unwrap_or(Timestamp::MIN)),
            attributes: Attributes::from([("type".to_owned(), self.kind.clone().into())]),
        })
    }
}

fn grams(weight: Decimal, unit: WeightUnit) -> Decimal {
    let factor = unit.grams();
    weight.checked_mul(factor).unwrap_or_default().normalize()
}

impl WeightUnit {
    /// In one of it.
    pub(crate) fn grams(self) -> Decimal {
        match self {
            Self::Kg => Decimal::ONE_THOUSAND,
            Self::G => Decimal::ONE,
            Self::Lbs => Decimal::new(45_359_237, 5),
            Self::Oz => Decimal::new(28_349_523_125, 9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use spindel_model::Currency;

    fn shop(currency: Currency) -> Shop {
        Shop {
            currency: Some(currency),
            prices_include_tax: Some(true),
            weight_unit: WeightUnit::Kg,
            location: "main".into(),
            reserving_methods: Vec::new(),
            pickup_point_meta: None,
            shipment_note: String::new(),
        }
    }

    fn product(extra: Value) -> Product {
        let mut it = json!({
            "id": 93, "type": "simple", "sku": "MUG", "regular_price": "199.00", "sale_price": "149.00", "price": "149.00",
            "on_sale": true, "date_on_sale_from_gmt": "2026-11-20T00:00:00", "date_on_sale_to_gmt": null, "manage_stock": true,
            "stock_quantity": 12, "weight": "0.35", "date_modified_gmt": "2026-11-20T10:00:00",
        });
        for (key, value) in extra.as_object().unwrap() {
            it[key] = value.clone();
        }
        spindel_connect::parse(it.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_sale_has_its_days_and_its_price_before() {
        let price = product(json!({})).price(&shop(Currency::NOK)).unwrap().unwrap();
        assert_eq!((price.amount.to_string(), price.compare_at.unwrap().to_string()), ("149.00 NOK".into(), "199.00 NOK".into()));
        assert_eq!(price.sale_from.unwrap().to_string(), "2026-11-20T00:00:00Z");
        assert_eq!(price.sale_until, None);
    }

    #[test]
    fn a_sale_that_is_still_to_come_is_none_yet() {
        let price = product(json!({ "on_sale": false })).price(&shop(Currency::NOK)).unwrap().unwrap();
        assert_eq!((price.amount.to_string(), price.compare_at, price.sale_from), ("199.00 NOK".into(), None, None));
    }

    #[test]
    fn prices_are_exact_in_every_currency() {
        for (currency, text, want) in [
            (Currency::NOK, "199.90", "199.90 NOK"),
            (Currency::SEK, "199.9", "199.90 SEK"),
            (Currency::DKK, "199", "199.00 DKK"),
            (Currency::EUR, "0.1", "0.10 EUR"),
            (Currency::JPY, "4470.00", "4470 JPY"),
            (Currency::KWD, "12.345", "12.345 KWD"),
        ] {
            let price = product(json!({ "regular_price": text, "on_sale": false })).price(&shop(currency)).unwrap().unwrap();
            assert_eq!(price.amount.to_string(), want);
        }
    }

    #[test]
    fn what_is_not_known_is_not_told() {
        let nok = shop(Currency::NOK);
        for extra in [json!({ "sku": "" }), json!({ "regular_price": "", "on_sale": false }), json!({ "type": "variable" })] {
            assert_eq!(product(extra).price(&nok).unwrap(), None);
        }
        assert_eq!(product(json!({})).price(&Shop { currency: None, ..shop(Currency::NOK) }).unwrap(), None);
        for manage in [json!(false), json!("parent")] {
            assert_eq!(product(json!({ "manage_stock": manage })).stock(&nok, Some("7")).unwrap(), None);
        }
    }

    #[test]
    fn weights_are_grams() {
        let it = product(json!({})).canonical(&shop(Currency::NOK), &[]).unwrap();
        assert_eq!(it.variants[0].grams.unwrap().to_string(), "350");
        let pounds = Shop { weight_unit: WeightUnit::Lbs, ..shop(Currency::NOK) };
        let it = product(json!({ "weight": "2" })).canonical(&pounds, &[]).unwrap();
        assert_eq!(it.variants[0].grams.unwrap().to_string(), "907.18474");
    }
}
