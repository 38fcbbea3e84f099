//! The shop's memory: everything that the API and a test's hands work on.

use super::{
    Options,
    bulk::Operation,
    catalogue::{Attribute, Product, SourceItem, Special},
    events::{Letter, Post},
    sales::{Invoice, Memo, Order, Shipment},
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, PoisonError},
};

/// Why something that a test asked for cannot be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

pub(crate) struct State {
    pub options: Options,
    pub products: BTreeMap<u64, Product>,
    pub specials: BTreeMap<(String, u64), Special>,
    pub source_items: BTreeMap<(String, String), SourceItem>,
    pub attributes: Vec<Attribute>,
    pub customers: BTreeMap<u64, Value>,
    pub orders: BTreeMap<u64, Order>,
    pub invoices: BTreeMap<u64, Invoice>,
    pub shipments: BTreeMap<u64, Shipment>,
    pub memos: BTreeMap<u64, Memo>,
    pub operations: Vec<Operation>,
    pub admin_tokens: BTreeMap<String, Timestamp>,
    /// Time and nonce of signed calls.
    pub nonces: BTreeSet<(i64, String)>,
    /// Words with which the payment method refuses to give money back.
    pub refuses: Option<String>,
    /// Method and path of every call.
    pub calls: Vec<String>,
    pub target: Option<String>,
    /// What is to be sent.
    pub letters: Vec<Letter>,
    ids: u64,
}

/// A number as PHP writes it: a float.
pub(crate) fn num(amount: Decimal) -> Value {
    serde_json::from_str(&amount.normalize().to_string()).unwrap_or_default()
}

impl State {
    pub fn filled(options: Options) -> Self {
        let mut state = Self {
            options,
            products: BTreeMap::new(),
            specials: BTreeMap::new(),
            source_items: BTreeMap::new(),
            attributes: Vec::new(),
            customers: BTreeMap::new(),
            orders: BTreeMap::new(),
            invoices: BTreeMap::new(),
            shipments: BTreeMap::new(),
            memos: BTreeMap::new(),
            operations: Vec::new(),
            admin_tokens: BTreeMap::new(),
            nonces: BTreeSet::new(),
            refuses: None,
            calls: Vec::new(),
            target: None,
            letters: Vec::new(),
            ids: 100,
        };
        state.seed();
        state
    }

    /// Simple products, a sweater in two sizes, a bundle with the prices of its parts and one with a price of its own.
    fn seed(&mut self) {
        for number in 1..=self.options.products {
            let price = Decimal::from(49 + 50 * number as u64);
            self.add(&format!("SKU-{number:02}"), &format!("Product {number}"), "simple", Some(price), 4);
        }
        let sizes = ["M", "L"].map(|label| (label.to_owned(), self.next_id()));
        self.attributes.push(Attribute { id: 141, code: "size".into(), label: "Size".into(), options: sizes.clone().into() });
        let mut links = Vec::new();
        for (label, option) in &sizes {
            let id = self.add(&format!("TEE-{label}"), &format!("Tee {label}"), "simple", Some(Decimal::from(199)), 1);
            links.push(id);
            self.set_value(id, "size", option.to_string().into());
        }
        let tee = self.add("TEE", "Tee", "configurable", None, 4);
        let values: Vec<Value> = sizes.iter().map(|(_, option)| json!({ "value_index": option })).collect();
        let options =
            json!([{ "id": 1, "attribute_id": "141", "label": "Size", "position": 0, "values": values, "product_id": tee }]);
        if let Some(product) = self.products.get_mut(&tee) {
            product.extension.insert("configurable_product_options".into(), options);
            product.extension.insert("configurable_product_links".into(), links.into());
        }
        self.add("SET", "Set by parts", "bundle", None, 4);
        self.add("BOX", "Box as a whole", "bundle", Some(Decimal::from(300)), 4);
    }

    fn add(&mut self, sku: &str, name: &str, type_id: &str, price: Option<Decimal>, visibility: u64) -> u64 {
        let (id, now) = (self.next_id(), self.stamp());
        let mut values = Map::new();
        values.insert("name".into(), name.into());
        values.insert("url_key".into(), sku.to_lowercase().into());
        let product = Product {
            id,
            sku: sku.into(),
            type_id: type_id.into(),
            price,
            weight: Some(Decimal::new(35, 2)),
            status: 1,
            visibility,
            attribute_set_id: 4,
            values: BTreeMap::from([(0, values)]),
            extension: Map::new(),
            created_at: now.clone(),
            updated_at: now,
        };
        self.products.insert(id, product);
        if type_id == "simple" {
            for source in self.options.sources.clone() {
                let item = SourceItem { quantity: Decimal::from(self.options.stock), status: 1 };
                self.source_items.insert((sku.to_owned(), source), item);
            }
        }
        id
    }

    fn set_value(&mut self, id: u64, name: &str, value: Value) {
        if let Some(product) = self.products.get_mut(&id) {
            product.values.entry(0).or_default().insert(name.to_owned(), value);
        }
    }

    pub fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// The machine's, by which calls are signed.
    pub fn wall(&self) -> Timestamp {
        spindel_model::Clock::system().now()
    }

    /// In UTC, without saying so.
    pub fn stamp(&self) -> String {
        self.now().to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    pub fn product(&self, sku: &str) -> Result<&Product, Refused> {
        self.products.values().find(|it| it.sku == sku).ok_or_else(|| Refused(format!("there is no product {sku}")))
    }

    /// The number of a store view; 0 is all of them.
    pub fn store(&self, code: &str) -> Option<u64> {
        if code == "all" {
            return Some(0);
        }
        self.options.stores.iter().position(|(known, _)| known == code).map(|it| it as u64 + 1)
    }

    pub fn store_configs(&self) -> Value {
        let row = |(index, (code, locale)): (usize, &(String, String))| {
            json!({ "id": index + 1, "code": code, "website_id": 1, "locale": locale, "timezone": "Europe/Oslo",
                "base_currency_code": self.options.currency, "default_display_currency_code": self.options.currency,
                "weight_unit": "kgs", "base_url": "http://localhost/" })
        };
        self.options.stores.iter().enumerate().map(row).collect()
    }

    pub fn store_views(&self) -> Value {
        let admin = json!({ "id": 0, "code": "admin", "name": "Admin", "website_id": 0, "store_group_id": 0, "is_active": 1 });
        let row = |(index, (code, _)): (usize, &(String, String))| json!({ "id": index + 1, "code": code, "name": code, "website_id": 1, "store_group_id": 1, "is_active": 1 });
        std::iter::once(admin).chain(self.options.stores.iter().enumerate().map(row)).collect()
    }

    /// Something happened that observers are told of.
    pub fn tell(&mut self, observer: &str, fields: Value) {
        let letters = super::events::letters(self, observer, fields);
        self.letters.extend(letters);
    }
}

/// The memory behind one lock, and the way out of the shop.
pub(crate) struct Shop {
    state: Mutex<State>,
    pub post: Post,
}

impl Shop {
    pub fn new(state: State, post: Post) -> Self {
        Self { state: Mutex::new(state), post }
    }

    pub fn with<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        run(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands over what is to be sent.
    pub fn post_waiting(&self) {
        let letters = self.with(|state| std::mem::take(&mut state.letters));
        letters.into_iter().for_each(|letter| self.post.send(letter));
    }
}
