//! Products, stock levels and fulfilments of webhooks; products and stock levels of GraphQL.

use super::{Id, filled, gid, latest, split_tags};
use crate::graphql::{Nodes, PageInfo};
use serde::Deserialize;
use spindel_model::{
    Attributes, Currency, Decimal, Exact, Money, OrderRef, ProductStatus, Shipment, ShipmentLine, ShipmentState, StockLevel,
    Timestamp, Tracking,
};
use std::collections::BTreeMap;

/// `products/*`
#[derive(Deserialize)]
pub(crate) struct Product {
    pub id: Id,
    pub updated_at: Timestamp,
    title: Option<String>,
    handle: Option<String>,
    body_html: Option<String>,
    vendor: Option<String>,
    product_type: Option<String>,
    status: Option<String>,
    tags: Option<String>,
    #[serde(default)]
    variants: Vec<Variant>,
    #[serde(default)]
    variant_gids: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    options: Vec<ProductOption>,
}

#[derive(Deserialize)]
struct ProductOption {
    name: String,
}

#[derive(Deserialize)]
struct Variant {
    id: Id,
    sku: Option<String>,
    barcode: Option<String>,
    price: Option<Exact>,
    compare_at_price: Option<Exact>,
    option1: Option<String>,
    option2: Option<String>,
    option3: Option<String>,
}

impl Product {
    /// Webhooks carry the first hundred variants only, and then the ids of all.
    pub fn is_cut(&self) -> bool {
        self.variant_gids.len() > self.variants.len()
    }

    /// Prices are left out where the shop's currency is not known.
    pub fn canonical(self, currency: Option<Currency>) -> spindel_model::Product {
        let names: Vec<String> = self.options.into_iter().map(|option| option.name).collect();
        let money = |amount: Option<Exact>| Some(Money::new(amount?.0, currency?));
        let variant = |it: Variant| spindel_model::Variant {
            id: it.id.0,
            sku: filled(it.sku),
            gtin: filled(it.barcode),
            options: options(names.iter().cloned().zip([it.option1, it.option2, it.option3])),
            price: money(it.price),
            compare_at: money(it.compare_at_price),
            grams: None,
        };
        spindel_model::Product {
            id: self.id.0,
            handle: filled(self.handle),
            title: self.title.unwrap_or_default(),
            description: filled(self.body_html),
            brand: filled(self.vendor),
            category: filled(self.product_type),
            tags: split_tags(self.tags),
            status: status(self.status.as_deref()),
            translations: BTreeMap::new(),
            media: Vec::new(),
            variants: self.variants.into_iter().map(variant).collect(),
            updated_at: self.updated_at,
            attributes: Attributes::new(),
        }
    }
}

/// A product without options has one by the name of `Title`, with the value `Default Title`.
fn options(pairs: impl Iterator<Item = (String, Option<String>)>) -> Vec<(String, String)> {
    let real = |(name, value): &(String, String)| !(name == "Title" && value == "Default Title");
    pairs.filter_map(|(name, value)| Some((name, filled(value)?))).filter(real).collect()
}

fn status(word: Option<&str>) -> ProductStatus {
    match word.unwrap_or_default().to_ascii_lowercase().as_str() {
        "active" | "unlisted" => ProductStatus::Active,
        "archived" => ProductStatus::Archived,
        _ => ProductStatus::Draft,
    }
}

/// A product in GraphQL.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphProduct {
    id: Id,
    handle: Option<String>,
    title: String,
    description_html: Option<String>,
    vendor: Option<String>,
    product_type: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    status: Option<String>,
    updated_at: Timestamp,
    pub variants: Nodes<GraphVariant>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphVariant {
    id: Id,
    sku: Option<String>,
    barcode: Option<String>,
    price: Option<Exact>,
    compare_at_price: Option<Exact>,
    #[serde(default)]
    selected_options: Vec<SelectedOption>,
}

#[derive(Deserialize)]
struct SelectedOption {
    name: String,
    value: String,
}

impl GraphProduct {
    pub fn canonical(self, currency: Currency) -> spindel_model::Product {
        let money = |amount: Option<Exact>| Some(Money::new(amount?.0, currency));
        let variant = |it: GraphVariant| spindel_model::Variant {
            id: it.id.0,
            sku: filled(it.sku),
            gtin: filled(it.barcode),
            options: options(it.selected_options.into_iter().map(|option| (option.name, Some(option.value)))),
            price: money(it.price),
            compare_at: money(it.compare_at_price),
            grams: None,
        };
        spindel_model::Product {
            id: self.id.0,
            handle: filled(self.handle),
            title: self.title,
            description: filled(self.description_html),
            brand: filled(self.vendor),
            category: filled(self.product_type),
            tags: self.tags,
            status: status(self.status.as_deref()),
            translations: BTreeMap::new(),
            media: Vec::new(),
            variants: self.variants.nodes.into_iter().map(variant).collect(),
            updated_at: self.updated_at,
            attributes: Attributes::new(),
        }
    }
}

/// `inventory_levels/*`
#[derive(Deserialize)]
pub(crate) struct Level {
    inventory_item_id: Id,
    location_id: Id,
    available: Option<Exact>,
    pub updated_at: Timestamp,
}

impl Level {
    /// Webhooks name the item by an id of its own and not by its SKU.
    pub fn canonical(self) -> StockLevel {
        StockLevel {
            sku: None,
            item_id: Some(self.inventory_item_id.0),
            location: gid("Location", &self.location_id.0),
            available: self.available.map(|available| available.0),
            on_hand: None,
            as_of: self.updated_at,
        }
    }
}

/// Id of a level among the changes of this source: item and location.
pub(crate) fn level_id(level: &StockLevel) -> String {
    format!("{}@{}", level.item_id.as_deref().unwrap_or_default(), super::bare_id(&level.location))
}

/// An inventory item in GraphQL, with levels or with one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphItem {
    pub id: Id,
    sku: Option<String>,
    #[serde(default = "tracked")]
    tracked: bool,
    #[serde(default)]
    pub inventory_levels: GraphLevels,
    pub inventory_level: Option<GraphLevel>,
}

fn tracked() -> bool {
    true
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphLevels {
    pub nodes: Vec<GraphLevel>,
    #[serde(default)]
    pub page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphLevel {
    updated_at: Timestamp,
    location: Ref,
    quantities: Vec<GraphQuantity>,
}

#[derive(Deserialize)]
pub(crate) struct Ref {
    pub id: Id,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GraphQuantity {
    name: String,
    quantity: i64,
    updated_at: Option<Timestamp>,
}

impl GraphItem {
    pub fn canonical(&self, level: &GraphLevel) -> StockLevel {
        let quantity = |name: &str| level.quantities.iter().find(|it| it.name == name).map(|it| Decimal::from(it.quantity));
        StockLevel {
            sku: filled(self.sku.clone()),
            item_id: Some(self.id.0.clone()),
            location: gid("Location", &level.location.id.0),
            available: quantity("available").filter(|_| self.tracked),
            on_hand: quantity("on_hand").filter(|_| self.tracked),
            as_of: level.quantities.iter().fold(level.updated_at, |at, it| latest(at, it.updated_at)),
        }
    }
}

/// `fulfillments/*`
#[derive(Deserialize)]
pub(crate) struct Fulfilment {
    pub id: Id,
    order_id: Id,
    name: Option<String>,
    status: Option<String>,
    shipment_status: Option<String>,
    tracking_company: Option<String>,
    tracking_number: Option<String>,
    #[serde(default)]
    tracking_numbers: Vec<String>,
    tracking_url: Option<String>,
    #[serde(default)]
    tracking_urls: Vec<String>,
    location_id: Option<Id>,
    created_at: Option<Timestamp>,
    pub updated_at: Timestamp,
    #[serde(default)]
    line_items: Vec<FulfilledLine>,
}

#[derive(Deserialize)]
struct FulfilledLine {
    id: Id,
    sku: Option<String>,
    quantity: Exact,
}

impl Fulfilment {
    pub fn canonical(self) -> Shipment {
        let numbers = if self.tracking_numbers.is_empty() {
            filled(self.tracking_number).into_iter().collect()
        } else {
            self.tracking_numbers
        };
        let urls: Vec<String> =
            if self.tracking_urls.is_empty() { filled(self.tracking_url).into_iter().collect() } else { self.tracking_urls };
        let tracking = numbers.into_iter().enumerate().map(|(at, number)| Tracking { number, url: urls.get(at).cloned() });
        Shipment {
            id: self.id.0,
            // `#1042.1` is the first fulfilment of order `#1042`.
            order: OrderRef {
                id: Some(self.order_id.0),
                number: self.name.as_deref().and_then(|name| name.rsplit_once('.')).map(|(number, _)| number.to_owned()),
            },
            state: shipment_state(self.status.as_deref(), self.shipment_status.as_deref()),
            raw_state: filled(self.shipment_status),
            completes_order: false,
            carrier: filled(self.tracking_company),
            tracking: tracking.collect(),
            lines: self
                .line_items
                .into_iter()
                .map(|line| ShipmentLine { line_id: Some(line.id.0), sku: filled(line.sku), quantity: line.quantity.0 })
                .collect(),
            location: self.location_id.map(|id| gid("Location", &id.0)),
            shipped_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

fn shipment_state(status: Option<&str>, shipment: Option<&str>) -> ShipmentState {
    match (status.unwrap_or_default(), shipment.unwrap_or_default()) {
        ("cancelled", _) => ShipmentState::Cancelled,
        ("error" | "failure", _) => ShipmentState::Failed,
        ("pending" | "open", _) => ShipmentState::Pending,
        (_, "in_transit") => ShipmentState::InTransit,
        (_, "delayed") => ShipmentState::Delayed,
        (_, "out_for_delivery") => ShipmentState::OutForDelivery,
        (_, "ready_for_pickup") => ShipmentState::ReadyForPickup,
        (_, "attempted_delivery") => ShipmentState::Attempted,
        (_, "delivered") => ShipmentState::Delivered,
        (_, "failure") => ShipmentState::Failed,
        // Labels and confirmations come before the parcel moves, and the shop says that it is sent.
        _ => ShipmentState::Shipped,
    }
}
