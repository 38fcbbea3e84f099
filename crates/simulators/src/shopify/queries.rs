//! The root fields that read: lists by page, filter and order, and single records by id.

use crate::shopify::{
    api::SCOPES,
    catalog::{Product, Variant},
    catalog_nodes,
    document::Field,
    graphql::{Failure, fail, page, page_size},
    nodes,
    sender::Sender,
    state::{State, gid, parse_gid},
    translations,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::borrow::Cow;

pub(crate) fn run(state: &State, sender: &Sender, field: &Field) -> Result<Value, Failure> {
    match field.name.as_str() {
        "shop" => Ok(catalog_nodes::shop(state)),
        "locations" => locations(state, field),
        "orders" => orders(state, field),
        "products" => products(state, field),
        "productVariants" => variants(state, field, |product, variant| catalog_nodes::variant(state, product, variant)),
        "inventoryItems" => variants(state, field, |product, variant| catalog_nodes::item(state, product, variant)),
        "customers" => customers(state, field),
        "webhookSubscriptions" => subscriptions(state, sender, field),
        "order" | "product" | "productVariant" | "inventoryItem" | "customer" | "location" | "fulfillmentOrder" | "node" => {
            let id = field.arguments.get("id").and_then(Value::as_str).unwrap_or_default();
            Ok(node(state, id))
        }
        "nodes" => {
            let ids = field.arguments.get("ids").and_then(Value::as_array);
            let ids = ids.into_iter().flatten().filter_map(Value::as_str);
            Ok(ids.map(|id| node(state, id)).collect())
        }
        "refund" => {
            let id = field.arguments.get("id").and_then(Value::as_str).and_then(|id| parse_gid("Refund", id));
            let mut refunds = state.orders.values().flat_map(|order| order.refunds.iter().map(move |refund| (order, refund)));
            let found = refunds.find(|(_, refund)| Some(refund.id) == id);
            Ok(found.map_or(Value::Null, |(order, refund)| nodes::refund(order, refund)))
        }
        "currentAppInstallation" => {
            let scopes: Vec<Value> = SCOPES.split(',').map(|scope| json!({ "handle": scope })).collect();
            Ok(json!({ "id": "gid://shopify/AppInstallation/1", "accessScopes": scopes }))
        }
        "translatableResource" | "translatableResourcesByIds" => translations::read(state, field),
        "shopLocales" => Ok(translations::locales(state)),
        // Every job is carried out before its mutation is answered.
        "job" => Ok(json!({ "id": field.arguments.get("id"), "done": true })),
        other => fail("undefinedField", format!("Field '{other}' doesn't exist on type 'QueryRoot' of the simulated shop")),
    }
}

fn node(state: &State, id: &str) -> Value {
    let catalog = &state.catalog;
    let of = |kind: &str| parse_gid(kind, id);
    let variant = |matches: &dyn Fn(&Variant) -> bool| catalog.variants().find(|(_, variant)| matches(variant));
    let found = if let Some(order) = of("Order").and_then(|id| state.orders.get(&id)) {
        Some(nodes::order(state, order))
    } else if let Some(product) = of("Product").and_then(|id| catalog.products.get(&id)) {
        Some(catalog_nodes::product(state, product))
    } else if let Some((product, found)) = of("ProductVariant").and_then(|id| variant(&|it| it.id == id)) {
        Some(catalog_nodes::variant(state, product, found))
    } else if let Some((product, found)) = of("InventoryItem").and_then(|id| catalog.variant_of_item(id)) {
        Some(catalog_nodes::item(state, product, found))
    } else if let Some(customer) = of("Customer").and_then(|id| catalog.customers.get(&id)) {
        Some(catalog_nodes::customer(customer))
    } else if let Some(location) = of("Location").and_then(|id| catalog.location(id)) {
        Some(catalog_nodes::location(location))
    } else {
        let order = of("FulfillmentOrder").and_then(|id| state.orders.values().find(|order| order.fulfilment_order == id));
        order.map(|order| nodes::fulfilment_order(state, order))
    };
    found.unwrap_or(Value::Null)
}

fn locations(state: &State, field: &Field) -> Result<Value, Failure> {
    let rows = state.catalog.locations.iter().map(|location| (0, location.id, location)).collect();
    paged(field, rows, |location| catalog_nodes::location(location))
}

fn orders(state: &State, field: &Field) -> Result<Value, Failure> {
    let filter = Filter::of(field)?;
    let by = sort_key(field);
    let mut rows = Vec::new();
    for order in state.orders.values() {
        let answers = |key: &str| match key {
            "updated_at" => Some(Answers::Time(order.updated_at)),
            "created_at" | "processed_at" => Some(Answers::Time(order.created_at)),
            "name" => Some(Answers::Words(vec![order.name().into(), order.number.to_string().into()])),
            "id" => Some(Answers::Words(vec![order.id.to_string().into(), gid("Order", order.id).into()])),
            "email" => Some(word(&order.email)),
            "financial_status" => Some(word(order.financial_status())),
            "status" if order.cancelled_at.is_some() => Some(Answers::Words(vec!["any".into(), "cancelled".into()])),
            "status" => Some(Answers::Words(vec!["any".into(), "open".into()])),
            _ => None,
        };
        if filter.holds(answers)? {
            let key = match by {
                "UPDATED_AT" => order.updated_at.as_second(),
                "ID" => 0,
                _ => order.created_at.as_second(),
            };
            rows.push((key, order.id, order));
        }
    }
    paged(field, rows, |order| nodes::order(state, order))
}

fn sort_key(field: &Field) -> &str {
    field.arguments.get("sortKey").and_then(Value::as_str).unwrap_or_default()
}

fn products(state: &State, field: &Field) -> Result<Value, Failure> {
    let filter = Filter::of(field)?;
    let mut rows = Vec::new();
    for product in state.catalog.products.values() {
        let answers = |key: &str| match key {
            "updated_at" => Some(Answers::Time(product.updated_at)),
            "created_at" => Some(Answers::Time(product.created_at)),
            "sku" => Some(Answers::Words(product.variants.iter().map(|variant| Cow::from(&variant.sku)).collect())),
            "id" => Some(word(product.id.to_string())),
            "handle" => Some(word(&product.handle)),
            "title" => Some(word(&product.title)),
            "status" => Some(word(&product.status)),
            _ => None,
        };
        if filter.holds(answers)? {
            let key = if sort_key(field) == "UPDATED_AT" { product.updated_at.as_second() } else { 0 };
            rows.push((key, product.id, product));
        }
    }
    paged(field, rows, |product| catalog_nodes::product(state, product))
}

/// Variants, or their inventory items.
fn variants(state: &State, field: &Field, show: impl Fn(&Product, &Variant) -> Value) -> Result<Value, Failure> {
    let filter = Filter::of(field)?;
    let mut rows = Vec::new();
    for (product, variant) in state.catalog.variants() {
        let answers = |key: &str| match key {
            "sku" => Some(word(&variant.sku)),
            "barcode" => Some(word(variant.barcode.as_deref().unwrap_or_default())),
            "product_id" => Some(word(product.id.to_string())),
            "id" => Some(Answers::Words(vec![variant.id.to_string().into(), variant.inventory_item_id.to_string().into()])),
            "updated_at" => Some(Answers::Time(variant.updated_at)),
            _ => None,
        };
        if filter.holds(answers)? {
            rows.push((0, variant.id, (product, variant)));
        }
    }
    paged(field, rows, |(product, variant)| show(product, variant))
}

fn customers(state: &State, field: &Field) -> Result<Value, Failure> {
    let filter = Filter::of(field)?;
    let mut rows = Vec::new();
    for customer in state.catalog.customers.values() {
        let answers = |key: &str| match key {
            "updated_at" => Some(Answers::Time(customer.updated_at)),
            "email" => Some(word(&customer.email)),
            "id" => Some(word(customer.id.to_string())),
            _ => None,
        };
        if filter.holds(answers)? {
            let key = if sort_key(field) == "UPDATED_AT" { customer.updated_at.as_second() } else { 0 };
            rows.push((key, customer.id, customer));
        }
    }
    paged(field, rows, |customer| catalog_nodes::customer(customer))
}

fn subscriptions(state: &State, sender: &Sender, field: &Field) -> Result<Value, Failure> {
    let known = sender.subscriptions();
    let topics = field.arguments.get("topics").and_then(Value::as_array);
    let uri = field.arguments.get("uri").and_then(Value::as_str);
    let rows = known
        .iter()
        .filter(|it| topics.is_none_or(|topics| topics.iter().any(|topic| topic == &it.topic)))
        .filter(|it| uri.is_none_or(|uri| uri == it.uri))
        .map(|it| (0, it.id, it))
        .collect();
    paged(field, rows, |it| catalog_nodes::subscription(state, it))
}

/// One page of rows (sort key, id, record), sorted; cursors name a key and an id, so that they survive changes.
fn paged<T>(field: &Field, mut rows: Vec<(i64, u64, T)>, show: impl Fn(&T) -> Value) -> Result<Value, Failure> {
    let size = page_size(field)?;
    let reverse = field.arguments.get("reverse").and_then(Value::as_bool).unwrap_or(false);
    rows.sort_by_key(|(key, id, _)| (*key, *id));
    if reverse {
        rows.reverse();
    }
    let after = match field.arguments.get("after").and_then(Value::as_str) {
        Some(cursor) => Some(read_cursor(cursor)?),
        None => None,
    };
    let mut rows = rows.into_iter().filter(|(key, id, _)| match after {
        None => true,
        Some(after) if reverse => (*key, *id) < after,
        Some(after) => (*key, *id) > after,
    });
    let taken: Vec<(i64, u64, T)> = rows.by_ref().take(size).collect();
    let more = rows.next().is_some();
    let cursors = taken.iter().map(|(key, id, _)| STANDARD.encode(format!("{key}:{id}"))).collect();
    Ok(page(taken.iter().map(|(_, _, record)| show(record)).collect(), cursors, more))
}

fn read_cursor(cursor: &str) -> Result<(i64, u64), Failure> {
    let text = STANDARD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let parts = text.as_deref().and_then(|text| text.split_once(':'));
    let parts = parts.and_then(|(key, id)| Some((key.parse().ok()?, id.parse().ok()?)));
    parts.map_or_else(|| fail("BAD_REQUEST", format!("Invalid cursor {cursor:?}")), Ok)
}

/// The search syntax, as far as it is used: `updated_at:>='2026-11-20T00:00:00Z' AND name:#1042`, `sku:'A' OR sku:'B'`.
struct Filter {
    /// One group must hold as a whole.
    groups: Vec<Vec<Term>>,
}

struct Term {
    key: String,
    operator: &'static str,
    value: String,
}

/// What a record answers to one search key.
enum Answers<'a> {
    Time(Timestamp),
    Words(Vec<Cow<'a, str>>),
}

fn word<'a>(word: impl Into<Cow<'a, str>>) -> Answers<'a> {
    Answers::Words(vec![word.into()])
}

impl Filter {
    fn of(field: &Field) -> Result<Self, Failure> {
        let query = field.arguments.get("query").and_then(Value::as_str).unwrap_or_default();
        let mut groups = vec![Vec::new()];
        for word in words(query) {
            match word.as_str() {
                "AND" => {}
                "OR" => groups.push(Vec::new()),
                _ => {
                    let term = Term::read(&word)?;
                    if let Some(group) = groups.last_mut() {
                        group.push(term);
                    }
                }
            }
        }
        Ok(Self { groups })
    }

    /// Whether a record matches; `answers` tells what it answers to a key, `None` for a key that cannot be searched by.
    fn holds<'a>(&self, answers: impl Fn(&str) -> Option<Answers<'a>>) -> Result<bool, Failure> {
        for group in &self.groups {
            let mut holds = true;
            for term in group {
                let Some(answers) = answers(&term.key) else {
                    return fail("BAD_REQUEST", format!("the simulated shop cannot search by {:?}", term.key));
                };
                holds &= term.holds(&answers);
            }
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Term {
    fn read(word: &str) -> Result<Self, Failure> {
        let Some((key, value)) = word.split_once(':') else {
            return fail("BAD_REQUEST", format!("the simulated shop cannot search for {word:?}, only for field:value"));
        };
        let operator = [">=", "<=", ">", "<"].into_iter().find(|operator| value.starts_with(operator)).unwrap_or("");
        let value = &value[operator.len()..];
        let quoted = value.starts_with(['\'', '"']);
        // Unquoted, the vendor takes the rest of a time for another term.
        if value.contains(':') && !quoted {
            return fail("BAD_REQUEST", format!("the value in {word:?} holds a colon and must be quoted"));
        }
        let value = if quoted && value.len() >= 2 { unescaped(&value[1..value.len() - 1]) } else { value.to_owned() };
        Ok(Self { key: key.to_owned(), operator, value })
    }

    fn holds(&self, answers: &Answers<'_>) -> bool {
        match answers {
            Answers::Words(words) => words.iter().any(|word| word.eq_ignore_ascii_case(&self.value)),
            Answers::Time(time) => {
                let Ok(limit) = self.value.parse::<Timestamp>() else { return false };
                match self.operator {
                    ">=" => *time >= limit,
                    ">" => *time > limit,
                    "<=" => *time <= limit,
                    "<" => *time < limit,
                    _ => *time == limit,
                }
            }
        }
    }
}

fn unescaped(quoted: &str) -> String {
    let mut escaped = false;
    let mut text = String::new();
    for c in quoted.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            text.push(c);
        }
    }
    text
}

/// Splits at blanks outside quotes; escapes are kept.
fn words(query: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quote, mut escaped) = (None, false);
    for c in query.chars() {
        match quote {
            _ if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            None if c.is_whitespace() || matches!(c, '(' | ')') => {
                words.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
