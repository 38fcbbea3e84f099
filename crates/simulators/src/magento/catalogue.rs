//! Products with their values for each store view, prices, and the rows of Multi Source Inventory.

use super::{
    http::Problem,
    state::{State, num},
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Rows of one call of a shop with input limits.
const MOST: usize = 20;

#[derive(Clone, Default)]
pub(crate) struct Product {
    pub id: u64,
    pub sku: String,
    pub type_id: String,
    pub price: Option<Decimal>,
    pub weight: Option<Decimal>,
    pub status: u64,
    pub visibility: u64,
    pub attribute_set_id: u64,
    /// `name` and custom attributes, by store view; 0 is all of them.
    pub values: BTreeMap<u64, Map<String, Value>>,
    pub extension: Map<String, Value>,
    pub created_at: String,
    pub updated_at: String,
}

#[derive(Clone)]
pub(crate) struct Special {
    pub price: Decimal,
    pub from: Option<String>,
    pub to: Option<String>,
}

#[derive(Clone)]
pub(crate) struct SourceItem {
    pub quantity: Decimal,
    pub status: u64,
}

pub(crate) struct Attribute {
    pub id: u64,
    pub code: String,
    pub label: String,
    /// Label and id.
    pub options: Vec<(String, u64)>,
}

impl Product {
    /// Of the store view, else of all.
    pub fn value(&self, store: u64, name: &str) -> Option<&Value> {
        let of = |store: u64| self.values.get(&store).and_then(|it| it.get(name));
        of(store).or_else(|| of(0))
    }

    fn json(&self, store: u64, special: Option<&Special>) -> Value {
        let mut custom = self.values.get(&0).cloned().unwrap_or_default();
        custom.extend(self.values.get(&store).cloned().unwrap_or_default());
        let name = custom.remove("name").unwrap_or_default();
        let mut custom: Vec<Value> =
            custom.into_iter().map(|(code, value)| json!({ "attribute_code": code, "value": value })).collect();
        if let Some(special) = special {
            custom.push(json!({ "attribute_code": "special_price", "value": format!("{:.6}", special.price) }));
        }
        json!({
            "id": self.id, "sku": self.sku, "name": name, "attribute_set_id": self.attribute_set_id,
            "price": self.price.map(num), "status": self.status, "visibility": self.visibility, "type_id": self.type_id,
            "created_at": self.created_at, "updated_at": self.updated_at, "weight": self.weight.map(num),
            "extension_attributes": self.extension, "product_links": [], "options": [], "media_gallery_entries": [],
            "tier_prices": [], "custom_attributes": custom,
        })
    }
}

pub(crate) fn products(state: &State, store: u64) -> Vec<Value> {
    state.products.values().map(|it| it.json(store, state.specials.get(&(it.sku.clone(), 0)))).collect()
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

pub(crate) fn decimal(value: Option<&Value>) -> Option<Decimal> {
    match value? {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn required(field: &str) -> Problem {
    Problem::new(400, "\"%fieldName\" is required. Enter and try again.").with(json!({ "fieldName": field }))
}

fn limit(state: &State, rows: &[Value], kind: &str) -> Result<(), Problem> {
    if state.options.input_limits && rows.len() > MOST {
        let parameters = json!({ "type": kind, "max": MOST.to_string() });
        return Err(Problem::new(400, "Maximum items of type \"%type\" is %max").with(parameters));
    }
    Ok(())
}

/// Makes a product, or changes the one of that SKU; what is left out stays as it is.
pub(crate) fn save(state: &mut State, store: u64, body: &Value) -> Result<Value, Problem> {
    let given = body.get("product").ok_or_else(|| required("product"))?;
    let sku = text(given, "sku").filter(|it| !it.is_empty()).ok_or_else(|| required("sku"))?;
    let now = state.stamp();
    // SKUs are compared whatever their case.
    let there = state.products.values().find(|it| it.sku.eq_ignore_ascii_case(&sku)).cloned();
    let is_new = there.is_none();
    let mut product = match there {
        Some(product) => product,
        None => {
            let set = given.get("attribute_set_id").and_then(Value::as_u64);
            let set =
                set.ok_or_else(|| Problem::new(400, "Attribute set is required: invalid data provided for linked entities"))?;
            if text(given, "name").is_none() {
                return Err(Problem::new(400, "The value of attribute \"%1\" must be set.").with(json!(["name"])));
            }
            let type_id = text(given, "type_id").unwrap_or_else(|| "simple".to_owned());
            Product {
                id: state.next_id(),
                sku,
                type_id,
                status: 1,
                visibility: 4,
                attribute_set_id: set,
                created_at: now.clone(),
                ..Product::default()
            }
        }
    };
    if let Some(type_id) = text(given, "type_id") {
        product.type_id = type_id;
    }
    product.price = decimal(given.get("price")).or(product.price);
    product.weight = decimal(given.get("weight")).or(product.weight);
    product.status = given.get("status").and_then(Value::as_u64).unwrap_or(product.status);
    product.visibility = given.get("visibility").and_then(Value::as_u64).unwrap_or(product.visibility);
    let scope = if is_new { 0 } else { store };
    let values = product.values.entry(scope).or_default();
    values.extend(given.get("name").map(|name| ("name".to_owned(), name.clone())));
    for attribute in given.get("custom_attributes").and_then(Value::as_array).into_iter().flatten() {
        let code = text(attribute, "attribute_code").ok_or_else(|| required("attribute_code"))?;
        let value = attribute.get("value").cloned().unwrap_or_default();
        if code == "special_price" {
            let price = decimal(Some(&value)).ok_or_else(|| Problem::new(400, "Please enter a number."))?;
            state.specials.insert((product.sku.clone(), 0), Special { price, from: None, to: None });
            continue;
        }
        if code == "url_key" && state.products.values().any(|it| it.id != product.id && it.value(0, "url_key") == Some(&value)) {
            return Err(Problem::new(400, "URL key for specified store already exists."));
        }
        values.insert(code, value);
    }
    for (name, value) in given.get("extension_attributes").and_then(Value::as_object).into_iter().flatten() {
        check_links(state, name, value)?;
        product.extension.insert(name.clone(), value.clone());
    }
    product.updated_at = now;
    let id = product.id;
    state.products.insert(id, product.clone());
    state.tell(
        "catalog_product_save_commit_after",
        json!({ "entity_id": id, "sku": product.sku, "created_at": product.created_at,
        "updated_at": product.updated_at }),
    );
    Ok(product.json(store, None))
}

fn check_links(state: &State, name: &str, value: &Value) -> Result<(), Problem> {
    if name != "configurable_product_links" {
        return Ok(());
    }
    for link in value.as_array().into_iter().flatten() {
        if !link.as_u64().is_some_and(|id| state.products.contains_key(&id)) {
            return Err(Problem::new(400, "The product with the \"%1\" ID isn't found.").with(json!([link.to_string()])));
        }
    }
    Ok(())
}

/// By code or by number.
pub(crate) fn attribute(state: &State, code: &str) -> Result<Value, Problem> {
    let found = state.attributes.iter().find(|it| it.code == code || it.id.to_string() == code);
    let it = found.ok_or_else(|| {
        let message = "The attribute with a \"%1\" attributeCode doesn't exist. Verify the attribute and try again.";
        Problem::new(404, message).with(json!([code]))
    })?;
    let mut options = vec![json!({ "label": " ", "value": "" })];
    options.extend(it.options.iter().map(|(label, id)| json!({ "label": label, "value": id.to_string() })));
    Ok(json!({ "attribute_id": it.id, "attribute_code": it.code, "default_frontend_label": it.label, "options": options }))
}

pub(crate) fn add_option(state: &mut State, code: &str, body: &Value) -> Result<Value, Problem> {
    attribute(state, code)?;
    let label = body.pointer("/option/label").and_then(Value::as_str).ok_or_else(|| required("label"))?.to_owned();
    let id = state.next_id();
    let Some(it) = state.attributes.iter_mut().find(|it| it.code == code) else { return Err(Problem::no_entity()) };
    if it.options.iter().any(|(known, _)| *known == label) {
        return Err(Problem::new(400, "Admin store attribute option label \"%1\" is already exists.").with(json!([label])));
    }
    it.options.push((label, id));
    Ok(format!("id_{id}").into())
}

fn prices(body: &Value) -> Result<&Vec<Value>, Problem> {
    body.get("prices").and_then(Value::as_array).ok_or_else(|| required("prices"))
}

/// Refuses rows without their place, and takes the others.
pub(crate) fn base_prices(state: &mut State, body: &Value) -> Result<Value, Problem> {
    let rows = prices(body)?;
    limit(state, rows, "Magento\\Catalog\\Api\\Data\\BasePriceInterface")?;
    let now = state.stamp();
    let mut refused = Vec::new();
    let message = "Invalid attribute %fieldName = %fieldValue.";
    for row in rows {
        let (sku, price) = (text(row, "sku").unwrap_or_default(), decimal(row.get("price")));
        let Some(product) = state.products.values_mut().find(|it| it.sku == sku && it.type_id != "configurable") else {
            refused.push(json!({ "message": message, "parameters": ["SKU", sku] }));
            continue;
        };
        match price.filter(|it| *it >= Decimal::ZERO) {
            Some(price) => {
                product.price = Some(price);
                product.updated_at.clone_from(&now);
            }
            None => refused.push(json!({ "message": message, "parameters": ["Price", row.get("price")] })),
        }
    }
    Ok(refused.into())
}

fn special_row(state: &State, row: &Value) -> Result<(String, u64, Special), Value> {
    let (sku, store) = (text(row, "sku").unwrap_or_default(), row.get("store_id").and_then(Value::as_u64).unwrap_or_default());
    let parameters = json!([sku, store.to_string(), row.get("price_from"), row.get("price_to")]);
    let place = "Row ID: SKU = %SKU, Store ID: %storeId, Price From: %priceFrom, Price To: %priceTo.";
    let refused = |why: &str| json!({ "message": format!("{why} {place}"), "parameters": parameters });
    if !state.products.values().any(|it| it.sku == sku) {
        return Err(refused("The product that was requested doesn't exist. Verify the product and try again."));
    }
    let date = |name: &str| {
        let text = text(row, name).filter(|it| !it.is_empty());
        let good = text.as_deref().is_none_or(|it| it.len() == 19 && it.parse::<jiff::civil::DateTime>().is_ok());
        if good { Ok(text) } else { Err(refused("Invalid attribute Price From.")) }
    };
    let price = decimal(row.get("price")).ok_or_else(|| refused("Invalid attribute Price."))?;
    Ok((sku, store, Special { price, from: date("price_from")?, to: date("price_to")? }))
}

/// A day that is left out stays as it is.
pub(crate) fn special_prices(state: &mut State, body: &Value) -> Result<Value, Problem> {
    let rows = prices(body)?;
    limit(state, rows, "Magento\\Catalog\\Api\\Data\\SpecialPriceInterface")?;
    let mut refused = Vec::new();
    for row in rows {
        match special_row(state, row) {
            Ok((sku, store, special)) => {
                let before = state.specials.get(&(sku.clone(), store)).cloned();
                let from = special.from.or_else(|| before.as_ref().and_then(|it| it.from.clone()));
                let to = special.to.or_else(|| before.as_ref().and_then(|it| it.to.clone()));
                state.specials.insert((sku, store), Special { price: special.price, from, to });
            }
            Err(problem) => refused.push(problem),
        }
    }
    Ok(refused.into())
}

pub(crate) fn delete_special_prices(state: &mut State, body: &Value) -> Result<Value, Problem> {
    let rows = prices(body)?;
    limit(state, rows, "Magento\\Catalog\\Api\\Data\\SpecialPriceInterface")?;
    let mut refused = Vec::new();
    for row in rows {
        match special_row(state, row) {
            Ok((sku, store, _)) => {
                state.specials.remove(&(sku, store));
            }
            Err(problem) => refused.push(problem),
        }
    }
    Ok(refused.into())
}

pub(crate) fn special_price_information(state: &State, body: &Value) -> Result<Value, Problem> {
    let skus = body.get("skus").and_then(Value::as_array).ok_or_else(|| required("skus"))?;
    limit(state, skus, "string")?;
    let skus: Vec<&str> = skus.iter().filter_map(Value::as_str).collect();
    if let Some(unknown) = skus.iter().find(|sku| !state.products.values().any(|it| it.sku == **sku)) {
        let message = "The following SKUs were not found in the system: %1";
        return Err(Problem::new(404, message).with(json!([unknown])));
    }
    let rows = state.specials.iter().filter(|((sku, _), _)| skus.contains(&sku.as_str()));
    let row = |((sku, store), it): (&(String, u64), &Special)| json!({ "price": num(it.price), "store_id": store, "sku": sku, "price_from": it.from, "price_to": it.to });
    Ok(rows.map(row).collect())
}

pub(crate) fn sources(state: &State) -> Vec<Value> {
    state.options.sources.iter().map(|code| json!({ "source_code": code, "name": code, "enabled": true })).collect()
}

pub(crate) fn source_items(state: &State) -> Vec<Value> {
    let row = |((sku, source), it): (&(String, String), &SourceItem)| json!({ "sku": sku, "source_code": source, "quantity": num(it.quantity), "status": it.status });
    state.source_items.iter().map(row).collect()
}

/// All rows or none. A SKU that no product has is taken.
pub(crate) fn save_source_items(state: &mut State, body: &Value) -> Result<Value, Problem> {
    let rows = body.get("sourceItems").and_then(Value::as_array).ok_or_else(|| required("sourceItems"))?;
    limit(state, rows, "Magento\\InventoryApi\\Api\\Data\\SourceItemInterface")?;
    if rows.is_empty() {
        return Err(Problem::new(400, "Input data is empty"));
    }
    let mut items = Vec::new();
    for row in rows {
        let (sku, source) = (text(row, "sku").unwrap_or_default(), text(row, "source_code").unwrap_or_default());
        let quantity = decimal(row.get("quantity"));
        if sku.is_empty() {
            return Err(Problem::new(400, "Validation Failed: \"%field\" can not be empty.").with(json!({ "field": "sku" })));
        }
        if !state.options.sources.contains(&source) {
            let message = "Validation Failed: source with code \"%sourceCode\" does not exist.";
            return Err(Problem::new(400, message).with(json!({ "sourceCode": source })));
        }
        let quantity = quantity.ok_or_else(|| Problem::new(400, "\"quantity\" should be numeric."))?;
        items.push(((sku, source), SourceItem { quantity, status: row.get("status").and_then(Value::as_u64).unwrap_or(1) }));
    }
    state.source_items.extend(items);
    Ok(json!([]))
}
