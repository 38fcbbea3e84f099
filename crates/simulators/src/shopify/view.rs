//! What a test may look at: the shop's own truth, to be compared with what arrived elsewhere.

use crate::shopify::{
    catalog::{Metafield, Picture},
    catalog_rest,
    order::{Fulfilment, Order},
    pricing::Amount,
    state::{Refused, State, refuse},
    translations,
};
use jiff::Timestamp;
use rust_decimal::Decimal;

/// An order as the shop has it now.
#[derive(Clone, Debug)]
pub struct OrderView {
    pub id: String,
    /// `#1042`.
    pub name: String,
    /// As placed; never changes.
    pub placed_total: Decimal,
    /// After edits and refunds, in the shop's currency; zero when cancelled.
    pub current_total: Decimal,
    pub current_total_presentment: Decimal,
    pub current_tax: Decimal,
    /// Money given back.
    pub refunded: Decimal,
    /// ISO 4217.
    pub currency: String,
    pub presentment_currency: String,
    pub taxes_included: bool,
    pub cancelled: bool,
    /// `authorized`, `paid`, `partially_refunded` …
    pub financial_status: String,
    /// `partial` or `fulfilled`, or nothing.
    pub fulfilment_status: Option<String>,
    pub lines: Vec<LineView>,
    /// Still to be paid, in the currency that the buyer pays in.
    pub outstanding: Decimal,
    /// Company and number of each parcel.
    pub tracking: Vec<(Option<String>, String)>,
    /// What was told of the parcels, in the order of telling.
    pub events: Vec<EventView>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Something that happened to a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventView {
    /// The parcel's tracking numbers.
    pub numbers: Vec<String>,
    /// `IN_TRANSIT`
    pub status: String,
    pub happened_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct LineView {
    pub id: String,
    pub sku: String,
    pub quantity: u32,
    pub current_quantity: u32,
}

#[derive(Clone, Debug)]
pub struct VariantView {
    pub sku: String,
    pub price: Decimal,
    pub product_id: String,
    pub variant_id: String,
    pub inventory_item_id: String,
    pub title: String,
}

/// A product as the shop has it now.
#[derive(Clone, Debug)]
pub struct ProductView {
    pub id: String,
    pub handle: String,
    pub title: String,
    pub description: String,
    /// `ACTIVE`, `ARCHIVED` or `DRAFT`.
    pub status: String,
    pub tags: Vec<String>,
    /// SKU and option values of each variant.
    pub variants: Vec<(String, Vec<String>)>,
    /// Name as in `pim.material`, type and value.
    pub metafields: Vec<(String, String, String)>,
    pub pictures: Vec<PictureView>,
    pub translations: Vec<TranslationView>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureView {
    pub id: String,
    pub filename: String,
    /// Where it was fetched from.
    pub source: String,
    pub alt: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslationView {
    pub locale: String,
    /// `title`, `body_html`, or a metafield's name as in `pim.material`.
    pub field: String,
    pub value: String,
    /// The shop's own text has changed since.
    pub outdated: bool,
}

/// A write of stock through the API that was carried out.
#[derive(Clone, Debug)]
pub struct StockWrite {
    pub sku: String,
    /// The location's id.
    pub location: String,
    /// Available after the write.
    pub available: i64,
    pub at: Timestamp,
}

impl OrderView {
    pub(crate) fn of(order: &Order) -> Self {
        let current = order.current();
        let Amount { shop: current_total, presentment: current_total_presentment } = current.total;
        Self {
            id: order.id.to_string(),
            name: order.name(),
            placed_total: order.placed.total.shop,
            current_total,
            current_total_presentment,
            current_tax: current.tax.shop,
            refunded: order.refunded().shop,
            currency: order.currencies.shop.code().to_owned(),
            presentment_currency: order.currencies.presentment.code().to_owned(),
            taxes_included: order.taxes_included,
            cancelled: order.cancelled_at.is_some(),
            financial_status: order.financial_status().to_owned(),
            fulfilment_status: order.fulfilment_status().map(str::to_owned),
            lines: order.lines.iter().map(LineView::of).collect(),
            outstanding: order.outstanding().presentment,
            events: order.fulfilments.iter().flat_map(EventView::of).collect(),
            tracking: order
                .fulfilments
                .iter()
                .flat_map(|it| it.numbers.iter().map(|number| (it.company.clone(), number.clone())))
                .collect(),
            created_at: order.created_at,
            updated_at: order.updated_at,
        }
    }
}

impl EventView {
    fn of(fulfilment: &Fulfilment) -> impl Iterator<Item = Self> {
        fulfilment.events.iter().map(|event| Self {
            numbers: fulfilment.numbers.clone(),
            status: event.status.clone(),
            happened_at: event.happened_at,
        })
    }
}

impl LineView {
    fn of(line: &crate::shopify::order::Line) -> Self {
        Self { id: line.id.to_string(), sku: line.sku.clone(), quantity: line.quantity, current_quantity: line.current }
    }
}

impl ProductView {
    pub(crate) fn of(state: &State, sku: &str) -> Option<Self> {
        let (product, _) = state.catalog.variant_of_sku(sku)?;
        let picture = |it: &Picture| PictureView {
            id: it.id.to_string(),
            filename: it.filename.clone(),
            source: it.source.clone(),
            alt: it.alt.clone(),
        };
        let metafield = |it: &Metafield| (format!("{}.{}", it.namespace, it.key), it.kind.clone(), it.value.clone());
        let translations = translations::of_product(state, product).into_iter();
        Some(Self {
            id: product.id.to_string(),
            handle: product.handle.clone(),
            title: product.title.clone(),
            description: product.body_html.clone(),
            status: product.status.clone(),
            tags: product.tags.clone(),
            variants: product.variants.iter().map(|it| (it.sku.clone(), it.values.clone())).collect(),
            metafields: product.metafields.iter().map(metafield).collect(),
            pictures: product.pictures.iter().map(picture).collect(),
            translations: translations
                .map(|(locale, field, value, outdated)| TranslationView { locale, field, value, outdated })
                .collect(),
        })
    }
}

impl VariantView {
    pub(crate) fn all(state: &State) -> Vec<Self> {
        let view = |(product, variant): (&crate::shopify::catalog::Product, &crate::shopify::catalog::Variant)| Self {
            sku: variant.sku.clone(),
            price: variant.price,
            product_id: product.id.to_string(),
            variant_id: variant.id.to_string(),
            inventory_item_id: variant.inventory_item_id.to_string(),
            title: product.title.clone(),
        };
        state.catalog.variants().map(view).collect()
    }
}

impl State {
    pub(crate) fn update_product(&mut self, sku: &str, title: Option<&str>, price: Option<Decimal>) -> Result<(), Refused> {
        let now = self.now();
        let Some((product, variant)) = self.catalog.variant_of_sku(sku) else {
            return refuse(format!("there is no variant with SKU {sku:?}"));
        };
        let (id, variant) = (product.id, variant.id);
        if let Some(product) = self.catalog.products.get_mut(&id) {
            product.updated_at = now;
            if let Some(title) = title {
                product.title = title.to_owned();
            }
            let mine = product.variants.iter_mut().find(|it| it.id == variant);
            if let (Some(variant), Some(price)) = (mine, price) {
                variant.price = price;
                variant.updated_at = now;
            }
        }
        self.announce_product(id);
        Ok(())
    }

    pub(crate) fn update_customer(&mut self, customer: Option<&str>, email: &str) -> Result<String, Refused> {
        let now = self.now();
        let asked = customer.map(|id| id.rsplit('/').next().and_then(|number| number.parse::<u64>().ok()));
        let found = match asked {
            Some(id) => id.and_then(|id| self.catalog.customers.get_mut(&id)),
            None => self.catalog.customers.values_mut().next(),
        };
        let Some(found) = found else { return refuse("the customer does not exist") };
        found.email = email.to_owned();
        found.updated_at = now;
        let found = found.clone();
        let body = catalog_rest::customer(self, &found);
        self.event(None, vec![("customers/update", body)]);
        Ok(found.id.to_string())
    }
}
