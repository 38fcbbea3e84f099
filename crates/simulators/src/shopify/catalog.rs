//! What the shop sells: products and variants, locations, stock levels and customers, made up from the seed.

use crate::shopify::state::State;
use jiff::Timestamp;
use rand::RngExt as _;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

pub(crate) struct Product {
    pub id: u64,
    pub title: String,
    pub body_html: String,
    pub vendor: String,
    pub product_type: String,
    pub handle: String,
    /// `ACTIVE`, `ARCHIVED` or `DRAFT`.
    pub status: String,
    pub tags: Vec<String>,
    pub option_names: Vec<String>,
    pub metafields: Vec<Metafield>,
    pub pictures: Vec<Picture>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub variants: Vec<Variant>,
}

#[derive(Clone)]
pub(crate) struct Variant {
    pub id: u64,
    pub inventory_item_id: u64,
    pub sku: String,
    /// The values of the product's options, with ` / ` between.
    pub title: String,
    /// One for each of the product's options.
    pub values: Vec<String>,
    pub price: Decimal,
    pub compare_at_price: Option<Decimal>,
    pub barcode: Option<String>,
    pub cost: Option<Decimal>,
    pub tax_rate: Decimal,
    pub grams: u64,
    pub tracked: bool,
    pub updated_at: Timestamp,
}

#[derive(Clone)]
pub(crate) struct Metafield {
    pub id: u64,
    pub namespace: String,
    pub key: String,
    /// `single_line_text_field`
    pub kind: String,
    pub value: String,
}

#[derive(Clone)]
pub(crate) struct Picture {
    pub id: u64,
    pub filename: String,
    /// Where it was fetched from.
    pub source: String,
    pub alt: Option<String>,
}

/// A text in another language of the shop.
pub(crate) struct Translation {
    pub value: String,
    /// Of the text that it translates.
    pub digest: String,
    pub updated_at: Timestamp,
}

pub(crate) struct Location {
    pub id: u64,
    pub name: String,
    pub country: String,
}

/// Stock of one item at one location.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    /// May be negative: oversold.
    pub available: i64,
    pub committed: i64,
    pub updated_at: Timestamp,
}

#[derive(Clone)]
pub(crate) struct Customer {
    pub id: u64,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub phone: Option<String>,
    /// `SUBSCRIBED` or `NOT_SUBSCRIBED`.
    pub marketing: String,
    pub address: Address,
    pub orders: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone)]
pub(crate) struct Address {
    pub first_name: String,
    pub last_name: String,
    pub company: Option<String>,
    pub address1: String,
    pub city: String,
    pub zip: String,
    pub country: &'static str,
    pub country_code: &'static str,
    pub phone: Option<String>,
}

/// Everything but the orders.
#[derive(Default)]
pub(crate) struct Catalog {
    pub products: BTreeMap<u64, Product>,
    /// Inventory item to product.
    pub items: BTreeMap<u64, u64>,
    /// Products by a metafield's namespace, key and value.
    pub custom_ids: BTreeMap<String, u64>,
    pub locations: Vec<Location>,
    /// By inventory item and location.
    pub levels: BTreeMap<(u64, u64), Level>,
    pub customers: BTreeMap<u64, Customer>,
    /// By resource, language and key.
    pub translations: BTreeMap<(String, String, String), Translation>,
}

impl Catalog {
    pub(crate) fn variants(&self) -> impl Iterator<Item = (&Product, &Variant)> {
        self.products.values().flat_map(|product| product.variants.iter().map(move |variant| (product, variant)))
    }

    pub(crate) fn variant_of_sku(&self, sku: &str) -> Option<(&Product, &Variant)> {
        self.variants().find(|(_, variant)| variant.sku == sku)
    }

    pub(crate) fn variant_of_item(&self, item: u64) -> Option<(&Product, &Variant)> {
        let product = self.products.get(self.items.get(&item)?)?;
        let variant = product.variants.iter().find(|variant| variant.inventory_item_id == item)?;
        Some((product, variant))
    }

    pub(crate) fn location(&self, id: u64) -> Option<&Location> {
        self.locations.iter().find(|location| location.id == id)
    }

    /// Available at all locations together.
    pub(crate) fn available(&self, item: u64) -> i64 {
        self.levels.range((item, 0)..=(item, u64::MAX)).map(|(_, level)| level.available).sum()
    }
}

impl Product {
    /// Names, each with its values in the order of the variants.
    pub(crate) fn options(&self) -> Vec<(&str, Vec<&str>)> {
        let values = |at: usize| {
            let mut values: Vec<&str> = Vec::new();
            for value in self.variants.iter().filter_map(|variant| variant.values.get(at)) {
                if !values.contains(&value.as_str()) {
                    values.push(value);
                }
            }
            values
        };
        self.option_names.iter().enumerate().map(|(at, name)| (name.as_str(), values(at))).collect()
    }

    pub(crate) fn metafield(&self, namespace: &str, key: &str) -> Option<&Metafield> {
        self.metafields.iter().find(|it| it.namespace == namespace && it.key == key)
    }
}

impl Picture {
    pub(crate) fn url(&self, state: &State) -> String {
        format!("https://{}/cdn/shop/files/{}?v={}", state.options.shop, self.filename, self.id)
    }
}

const WORDS: [&str; 10] = ["Fjord", "Vidda", "Skog", "Bris", "Tinde", "Elv", "Holme", "Lyng", "Skjær", "Vik"];
const KINDS: [&str; 6] = ["genser", "lue", "sekk", "jakke", "votter", "kopp"];
const SIZES: [&str; 4] = ["S", "M", "L", "XL"];
const FIRST: [&str; 8] = ["Kari", "Ola", "Ingrid", "Åse", "Bjørn", "Nils", "Märta", "Søren"];
const LAST: [&str; 6] = ["Nordmann", "Fiktivsen", "Prøvestad", "Eksempel", "Ødegård", "Tenkt"];
const CITIES: [(&str, &str); 4] = [("0155", "Oslo"), ("5003", "Bergen"), ("7010", "Trondheim"), ("9008", "Tromsø")];

/// Fills an empty shop: every product has up to four variants, and every variant stands at every location.
pub(crate) fn fill(state: &mut State, variants: usize, locations: usize, customers: usize, stock: i64) {
    for index in 0..locations.max(1) {
        let location = Location { id: state.new_id(), name: format!("Lager {}", index + 1), country: "NO".into() };
        state.catalog.locations.push(location);
    }
    let mut left = variants.max(1);
    while left > 0 {
        let take = left.min(state.rng.random_range(1..=SIZES.len()));
        add_product(state, variants.max(1) - left, take, stock);
        left -= take;
    }
    for _ in 0..customers.max(1) {
        add_customer(state);
    }
}

fn add_product(state: &mut State, first: usize, count: usize, stock: i64) {
    let now = state.now();
    let id = state.new_id();
    let number = state.catalog.products.len() + 1;
    let word = WORDS[state.rng.random_range(0..WORDS.len())];
    let kind = KINDS[state.rng.random_range(0..KINDS.len())];
    // Food rate now and then, so that orders mix rates.
    let tax_rate = if state.rng.random_bool(0.2) { Decimal::new(15, 2) } else { Decimal::new(25, 2) };
    let variants = (0..count)
        .map(|index| Variant {
            id: state.new_id(),
            inventory_item_id: state.new_id(),
            sku: format!("SKU-{:04}", first + index + 1),
            title: SIZES[index % SIZES.len()].into(),
            values: vec![SIZES[index % SIZES.len()].into()],
            price: Decimal::new(state.rng.random_range(990..199_900), 2),
            compare_at_price: None,
            barcode: Some(format!("70{:011}", state.rng.random_range(0_u64..99_999_999_999))),
            cost: None,
            tax_rate,
            grams: state.rng.random_range(50..2_000),
            tracked: true,
            updated_at: now,
        })
        .collect();
    let product = Product {
        id,
        title: format!("{word} {kind}"),
        body_html: format!("<p>{word} {kind}, nr. {number}</p>"),
        vendor: "Fjell & Fjære".into(),
        product_type: kind.into(),
        handle: format!("produkt-{number}"),
        status: "ACTIVE".into(),
        tags: vec!["ny".into(), kind.into()],
        option_names: vec!["Størrelse".into()],
        metafields: Vec::new(),
        pictures: Vec::new(),
        created_at: now,
        updated_at: now,
        variants,
    };
    insert_product(state, product);
    let locations: Vec<u64> = state.catalog.locations.iter().map(|location| location.id).collect();
    let items: Vec<u64> = state.catalog.products[&id].variants.iter().map(|variant| variant.inventory_item_id).collect();
    for item in items {
        for location in &locations {
            let level = Level { available: stock, committed: 0, updated_at: now };
            state.catalog.levels.insert((item, *location), level);
        }
    }
}

/// Adds or replaces a product and keeps the index of inventory items current.
pub(crate) fn insert_product(state: &mut State, product: Product) {
    for variant in &product.variants {
        state.catalog.items.insert(variant.inventory_item_id, product.id);
    }
    state.catalog.products.insert(product.id, product);
}

fn add_customer(state: &mut State) {
    let now = state.now();
    let number = state.catalog.customers.len() + 1;
    let first_name = FIRST[state.rng.random_range(0..FIRST.len())].to_owned();
    let last_name = LAST[state.rng.random_range(0..LAST.len())].to_owned();
    let (zip, city) = CITIES[state.rng.random_range(0..CITIES.len())];
    let phone = state.rng.random_bool(0.5).then(|| format!("+47 990 {:02} {:03}", number % 100, number % 1000));
    let customer = Customer {
        id: state.new_id(),
        email: format!("kunde{number}@example.no"),
        address: Address {
            first_name: first_name.clone(),
            last_name: last_name.clone(),
            company: state.rng.random_bool(0.2).then(|| format!("Bedrift {number} AS")),
            address1: format!("Storgata {number}"),
            city: city.into(),
            zip: zip.into(),
            country: "Norway",
            country_code: "NO",
            phone: phone.clone(),
        },
        first_name,
        last_name,
        phone,
        marketing: if state.rng.random_bool(0.5) { "SUBSCRIBED" } else { "NOT_SUBSCRIBED" }.into(),
        orders: 0,
        created_at: now,
        updated_at: now,
    };
    state.catalog.customers.insert(customer.id, customer);
}
