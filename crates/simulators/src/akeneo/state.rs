//! What the PIM knows, and how it changes.

use super::{Options, events::Message};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// Newest messages that are kept.
const KEPT: usize = 10_000;

/// What somebody asked for, and the PIM does not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// A value that somebody types in; `null` empties it.
#[derive(Clone, Debug)]
pub struct Val {
    pub attribute: String,
    pub locale: Option<String>,
    pub scope: Option<String>,
    pub data: Value,
}

impl Val {
    pub fn new(attribute: &str, data: impl Into<Value>) -> Self {
        Self { attribute: attribute.to_owned(), locale: None, scope: None, data: data.into() }
    }

    pub fn locale(mut self, locale: &str) -> Self {
        self.locale = Some(locale.to_owned());
        self
    }

    /// The channel.
    pub fn scope(mut self, scope: &str) -> Self {
        self.scope = Some(scope.to_owned());
        self
    }
}

/// A product to be made: one of a family, or a variant of a model.
#[derive(Clone, Debug, Default)]
pub struct ProductSpec {
    pub family: Option<String>,
    pub parent: Option<String>,
    pub categories: Vec<String>,
    pub enabled: bool,
    pub values: Vec<Val>,
}

/// A product as a test sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductView {
    pub uuid: String,
    pub sku: Option<String>,
    pub parent: Option<String>,
    pub enabled: bool,
    /// Of its own, those of its models left out.
    pub updated: Timestamp,
}

pub(crate) type Values = BTreeMap<String, Vec<Val>>;

pub(crate) struct Channel {
    pub locales: Vec<String>,
    pub currencies: Vec<String>,
}

pub(crate) struct Attribute {
    pub kind: String,
    pub labels: BTreeMap<String, String>,
    pub localizable: bool,
    pub scopable: bool,
    /// Labels by option.
    pub options: BTreeMap<String, BTreeMap<String, String>>,
}

pub(crate) struct Family {
    pub attributes: Vec<String>,
    /// For a product to be complete.
    pub required: Vec<String>,
    pub variants: BTreeMap<String, FamilyVariant>,
}

/// Its levels, the upper one first.
pub(crate) struct FamilyVariant(pub Vec<Level>);

pub(crate) struct Level {
    pub axes: Vec<String>,
    pub attributes: Vec<String>,
}

#[derive(Default)]
pub(crate) struct Product {
    pub uuid: String,
    pub enabled: bool,
    pub family: Option<String>,
    pub parent: Option<String>,
    pub categories: Vec<String>,
    pub values: Values,
    pub created: Timestamp,
    pub updated: Timestamp,
}

#[derive(Default)]
pub(crate) struct Model {
    pub code: String,
    pub family: String,
    pub family_variant: String,
    pub parent: Option<String>,
    pub categories: Vec<String>,
    pub values: Values,
    pub created: Timestamp,
    pub updated: Timestamp,
}

pub(crate) struct File {
    pub filename: String,
    pub mime: String,
    pub bytes: Vec<u8>,
}

pub(crate) struct State {
    pub options: Options,
    /// Of links.
    pub base: String,
    pub channels: BTreeMap<String, Channel>,
    pub attributes: BTreeMap<String, Attribute>,
    pub families: BTreeMap<String, Family>,
    /// By uuid, which is the order of lists.
    pub products: BTreeMap<String, Product>,
    pub models: BTreeMap<String, Model>,
    pub files: BTreeMap<String, File>,
    /// When each token ends.
    pub tokens: BTreeMap<String, Timestamp>,
    pub refresh_tokens: Vec<String>,
    pub tokens_issued: u64,
    pub is_removed: bool,
    pub calls: BTreeMap<String, u64>,
    pub target: Option<String>,
    pub older_target: Option<String>,
    pub outbox: Vec<super::events::Happened>,
    pub log: VecDeque<Message>,
    made: u128,
}

type Done = Result<(), Refused>;

fn refused<T>(why: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(why.into()))
}

impl State {
    pub fn new(options: Options) -> Self {
        let tokens = options.app_token.iter().map(|token| (token.clone(), Timestamp::MAX)).collect();
        Self {
            options,
            tokens,
            base: String::new(),
            channels: BTreeMap::new(),
            attributes: BTreeMap::new(),
            families: BTreeMap::new(),
            products: BTreeMap::new(),
            models: BTreeMap::new(),
            files: BTreeMap::new(),
            refresh_tokens: Vec::new(),
            tokens_issued: 0,
            is_removed: false,
            calls: BTreeMap::new(),
            target: None,
            older_target: None,
            outbox: Vec::new(),
            log: VecDeque::new(),
            made: 0,
        }
    }

    /// In whole seconds, as the PIM keeps it.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.options.clock.now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The next of a sequence that looks like chance and is the same every time.
    pub fn uuid(&mut self) -> String {
        self.made += 1;
        let spread = self.made.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        uuid::Builder::from_random_bytes(spread.to_be_bytes()).into_uuid().to_string()
    }

    pub fn keep(&mut self, message: Message) {
        self.log.push_back(message);
        if self.log.len() > KEPT {
            self.log.pop_front();
        }
    }

    pub fn create_product(&mut self, spec: ProductSpec) -> Result<String, Refused> {
        let family = match &spec.parent {
            Some(parent) => Some(self.model(parent)?.family.clone()),
            None => spec.family,
        };
        if family.as_ref().is_some_and(|it| !self.families.contains_key(it)) {
            return refused("there is no such family");
        }
        let values = self.checked(Values::new(), spec.values)?;
        let (uuid, now) = (self.uuid(), self.now());
        let (enabled, parent, categories) = (spec.enabled, spec.parent, spec.categories);
        let product = Product { uuid: uuid.clone(), enabled, family, parent, categories, values, created: now, updated: now };
        self.products.insert(uuid.clone(), product);
        self.product_event("created", &uuid, json!({}));
        Ok(uuid)
    }

    pub fn create_model(&mut self, code: &str, family_variant: &str, parent: Option<&str>, values: Vec<Val>) -> Done {
        let family = self.families.iter().find(|(_, it)| it.variants.contains_key(family_variant)).map(|(code, _)| code.clone());
        let Some(family) = family else { return refused("there is no such family variant") };
        if let Some(parent) = parent {
            self.model(parent)?;
        }
        let (values, now) = (self.checked(Values::new(), values)?, self.now());
        let model = Model {
            code: code.to_owned(),
            family,
            family_variant: family_variant.to_owned(),
            parent: parent.map(str::to_owned),
            categories: Vec::new(),
            values,
            created: now,
            updated: now,
        };
        self.models.insert(code.to_owned(), model);
        self.model_event("created", code);
        Ok(())
    }

    pub fn change_product(&mut self, uuid: &str, values: Vec<Val>) -> Done {
        let now = self.now();
        let before = self.product(uuid)?.values.clone();
        let changes = super::events::changes(&before, &values, &self.attributes);
        let values = self.checked(before, values)?;
        let product = self.product_mut(uuid)?;
        (product.values, product.updated) = (values, now);
        self.product_event("updated", uuid, json!({ "values": changes }));
        Ok(())
    }

    /// Its variants keep their times, and no event tells of them.
    pub fn change_model(&mut self, code: &str, values: Vec<Val>) -> Done {
        let now = self.now();
        let values = self.checked(self.model(code)?.values.clone(), values)?;
        let Some(model) = self.models.get_mut(code) else { return refused("there is no such model") };
        (model.values, model.updated) = (values, now);
        self.model_event("updated", code);
        Ok(())
    }

    pub fn set_enabled(&mut self, uuid: &str, enabled: bool) -> Done {
        let now = self.now();
        let product = self.product_mut(uuid)?;
        // What is so already is not saved.
        if product.enabled == enabled {
            return Ok(());
        }
        (product.enabled, product.updated) = (enabled, now);
        self.product_event("updated", uuid, json!({ "enabled": { "previous": !enabled, "new": enabled } }));
        Ok(())
    }

    pub fn move_product(&mut self, uuid: &str, parent: &str) -> Done {
        let (now, family) = (self.now(), self.model(parent)?.family.clone());
        let product = self.product_mut(uuid)?;
        if product.family.as_ref() != Some(&family) {
            return refused("the model is of another family");
        }
        let previous = product.parent.replace(parent.to_owned());
        product.updated = now;
        self.product_event("updated", uuid, json!({ "parent": { "previous": previous, "new": parent } }));
        Ok(())
    }

    pub fn delete_product(&mut self, uuid: &str) -> Done {
        let sku = self.sku(self.product(uuid)?);
        self.products.remove(uuid);
        self.deleted_event(uuid, sku);
        Ok(())
    }

    pub fn delete_model(&mut self, code: &str) -> Done {
        self.model(code)?;
        let below: Vec<String> =
            self.models.values().filter(|it| it.parent.as_deref() == Some(code)).map(|it| it.code.clone()).collect();
        for code in below {
            self.delete_model(&code)?;
        }
        let products: Vec<String> =
            self.products.values().filter(|it| it.parent.as_deref() == Some(code)).map(|it| it.uuid.clone()).collect();
        for uuid in products {
            self.delete_product(&uuid)?;
        }
        self.models.remove(code);
        self.model_event("deleted", code);
        Ok(())
    }

    pub fn add_option(&mut self, attribute: &str, code: &str, labels: &[(&str, &str)]) -> Done {
        let Some(attribute) = self.attributes.get_mut(attribute) else { return refused("there is no such attribute") };
        let labels = labels.iter().map(|(locale, label)| ((*locale).to_owned(), (*label).to_owned())).collect();
        attribute.options.insert(code.to_owned(), labels);
        Ok(())
    }

    pub fn upload(&mut self, filename: &str, mime: &str, bytes: &[u8]) -> String {
        let id = self.uuid().replace('-', "");
        let parts: Vec<String> = id.chars().take(4).map(String::from).collect();
        let code = format!("{}/{id}_{filename}", parts.join("/"));
        let file = File { filename: filename.to_owned(), mime: mime.to_owned(), bytes: bytes.to_vec() };
        self.files.insert(code.clone(), file);
        code
    }

    pub fn remove_connection(&mut self) {
        let client = self.options.client_id.clone();
        self.tell("connection.deleted", json!({ "connection": { "client_id": client } }));
        self.tokens.clear();
        self.is_removed = true;
    }

    pub fn view(&self, product: &Product) -> ProductView {
        ProductView {
            uuid: product.uuid.clone(),
            sku: self.sku(product),
            parent: product.parent.clone(),
            enabled: product.enabled,
            updated: product.updated,
        }
    }

    pub fn sku(&self, product: &Product) -> Option<String> {
        product.values.get("sku")?.first()?.data.as_str().map(str::to_owned)
    }

    /// A model and those above it, the product's own first.
    pub fn lineage(&self, parent: Option<&str>) -> Vec<&Model> {
        let mut found: Vec<&Model> = Vec::new();
        let mut next = parent;
        while let Some(model) = next.and_then(|code| self.models.get(code)).filter(|_| found.len() < 2) {
            found.push(model);
            next = model.parent.as_deref();
        }
        found
    }

    /// With those of its models.
    pub fn all_values(&self, own: &Values, parent: Option<&str>) -> Values {
        let mut all = own.clone();
        for model in self.lineage(parent) {
            for (code, values) in &model.values {
                all.entry(code.clone()).or_insert_with(|| values.clone());
            }
        }
        all
    }

    /// For each channel and each of its locales; without a family nothing is counted.
    pub fn completenesses(&self, product: &Product) -> Vec<Value> {
        let Some(family) = product.family.as_ref().and_then(|it| self.families.get(it)) else { return Vec::new() };
        let values = self.all_values(&product.values, product.parent.as_deref());
        let fits = |own: &Option<String>, asked: &String| own.as_ref().is_none_or(|own| own == asked);
        let mut all = Vec::new();
        for (scope, channel) in &self.channels {
            for locale in &channel.locales {
                let is_there = |code: &&String| {
                    values.get(*code).is_some_and(|it| it.iter().any(|it| fits(&it.scope, scope) && fits(&it.locale, locale)))
                };
                let there = family.required.iter().filter(is_there).count();
                all.push(json!({ "scope": scope, "locale": locale, "data": there * 100 / family.required.len().max(1) }));
            }
        }
        all
    }

    /// Sets each value in the place of one for the same locale and channel.
    fn checked(&self, mut values: Values, new: Vec<Val>) -> Result<Values, Refused> {
        for val in new {
            let Some(attribute) = self.attributes.get(&val.attribute) else {
                return refused(format!("there is no attribute {}", val.attribute));
            };
            if attribute.localizable != val.locale.is_some() || attribute.scopable != val.scope.is_some() {
                return refused(format!("{} wants another locale or channel", val.attribute));
            }
            let options =
                val.data.as_str().into_iter().chain(val.data.as_array().into_iter().flatten().filter_map(Value::as_str));
            if attribute.kind.ends_with("select") && options.into_iter().any(|it| !attribute.options.contains_key(it)) {
                return refused(format!("{} has no such option", val.attribute));
            }
            let of_code = values.entry(val.attribute.clone()).or_default();
            of_code.retain(|it| it.locale != val.locale || it.scope != val.scope);
            if !val.data.is_null() {
                of_code.push(val);
            }
        }
        values.retain(|_, it| !it.is_empty());
        Ok(values)
    }

    fn product(&self, uuid: &str) -> Result<&Product, Refused> {
        self.products.get(uuid).ok_or_else(|| Refused(format!("there is no product {uuid}")))
    }

    fn product_mut(&mut self, uuid: &str) -> Result<&mut Product, Refused> {
        self.products.get_mut(uuid).ok_or_else(|| Refused(format!("there is no product {uuid}")))
    }

    fn model(&self, code: &str) -> Result<&Model, Refused> {
        self.models.get(code).ok_or_else(|| Refused(format!("there is no product model {code}")))
    }
}
