//! The root fields that read: lists by page, filter and order, and single records by id.

use crate::shopify::{
    document::Field,
    graphql::{Failure, fail, page, page_size},
    nodes,
    sender::Sender,
    state::{State, gid, parse_gid},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) fn run(state: &State, sender: &Sender, field: &Field) -> Result<Value, Failure> {
    match field.name.as_str() {
        "shop" => Ok(nodes::shop(state)),
        "locations" => locations(state, field),
        "orders" => orders(state, field),
        "products" => products(state, field),
        "productVariants" => variants(state, field, |product, variant| nodes::variant(state, product, variant)),
        "inventoryItems" => variants(state, field, |product, variant| nodes::item(state, product, variant)),
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
        // Every job is carried out before its mutation is answered.
        "job" => Ok(json!({ "id": field.arguments.get("id"), "done": true })),
        other => fail("undefinedField", format!("Field '{other}' doesn't exist on type 'QueryRoot' of the simulated shop")),
    }
}

fn node(state: &State, id: &str) -> Value {
    let catalog = &state.catalog;
    let of = |kind: &str| parse_gid(kind, id);
    let variant = |matches: &dyn Fn(&crate::shopify::catalog::Variant) -> bool| {
        catalog.variants().find(|(_, variant)| matches(variant))
    };
    let found = if let Some(order) = of("Order").and_then(|id| state.orders.get(&id)) {
        Some(nodes::order(state, order))
    } else if let Some(product) = of("Product").and_then(|id| catalog.products.get(&id)) {
        Some(nodes::product(state, product))
    } else if let Some((product, found)) = of("ProductVariant").and_then(|id| variant(&|it| it.id == id)) {
        Some(nodes::variant(state, product, found))
    } else if let Some((product, found)) = of("InventoryItem").and_then(|id| catalog.variant_of_item(id)) {
        Some(nodes::item(state, product, found))
    } else if let Some(customer) = of("Customer").and_then(|id| catalog.customers.get(&id)) {
        Some(nodes::customer(customer))
    } else if let Some(location) = of("Location").and_then(|id| catalog.location(id)) {
        Some(nodes::location(location))
    } else {
        let order = of("FulfillmentOrder").and_then(|id| state.orders.values().find(|order| order.fulfilment_order == id));
        order.map(|order| nodes::fulfilment_order(state, order))
    };
    found.unwrap_or(Value::Null)
}

fn locations(state: &State, field: &Field) -> Result<Value, Failure> {
    let rows = state.catalog.locations.iter().map(|location| (0, location.id, location)).collect();
    paged(field, rows, |location| nodes::location(location))
}

fn orders(state: &State, field: &Field) -> Result<Value, Failure> {
    let filter = Filter::of(field, &["updated_at", "created_at", "processed_at", "name", "id", "status", "financial_status", "test"])?;
    let by = field.arguments.get("sortKey").and_then(Value::as_str).unwrap_or("PROCESSED_AT");
    let rows = state
        .orders
        .values()
        .filter(|order| {
            filter.time("updated_at", order.updated_at)
                && filter.time("created_at", order.created_at)
                && filter.time("processed_at", order.created_at)
                && filter.word("name", &[&order.name(), &order.number.to_string()])
                && filter.word("id", &[&order.id.to_string(), &gid("Order", order.id)])
                && filter.word("financial_status", &[order.financial_status()])
        })
        .map(|order| {
            let key = match by {
                "UPDATED_AT" => order.updated_at.as_second(),
                "ID" => 0,
                _ => order.created_at.as_second(),
            };
            (key, order.id, order)
        })
        .collect();
    paged(field, rows, |order| nodes::order(state, order))
}

fn products(state: &State, field: &Field) -> Result<Value, Failure> {
    let filter = Filter::of(field, &["updated_at", "created_at", "sku", "id", "handle", "status", "title"])?;
    let by_update = field.arguments.get("sortKey").and_then(Value::as_str) == Some("UPDATED_AT");
    let rows = state
        .catalog
        .products
        .values()
        .filter(|product| {
            let skus: Vec<&str> = product.variants.iter().map(|variant| variant.sku.as_str()).collect();
            filter.time("updated_at", product.updated_at)
                && filter.time("created_at", product.created_at)
                && filter.word("sku", &skus)
                && filter.word("id", &[&product.id.to_string()])
                && filter.word("handle", &[&product.handle])
                && filter.word("title", &[&product.title])
                && filter.word("status", &[&product.status])
        })
        .map(|product| (if by_update { product.updated_at.as_second() } else { 0 }, product.id, product))
        .collect();
    paged(field, rows, |product| nodes::product(state, product))
}

fn variants(
    state: &State,
    field: &Field,
    show: impl Fn(&crate::shopify::catalog::Product, &crate::shopify::catalog::Variant) -> Value,
) -> Result<Value, Failure> {
    let filter = Filter::of(field, &["sku", "id", "updated_at", "product_id", "barcode"])?;
    let rows = state
        .catalog
        .variants()
        .filter(|(product, variant)| {
            filter.word("sku", &[&variant.sku])
                && filter.word("id", &[&variant.id.to_string(), &variant.inventory_item_id.to_string()])
                && filter.word("product_id", &[&product.id.to_string()])
                && filter.word("barcode", &[variant.barcode.as_deref().unwrap_or_default()])
                && filter.time("updated_at", variant.updated_at)
        })
        .map(|row| (0, row.1.id, row))
        .collect();
    paged(field, rows, |(product, variant)| show(product, variant))
}

fn customers(state: &State, field: &Field) -> Result<Value, Failure> {
    let filter = Filter::of(field, &["updated_at", "email", "id"])?;
    let by_update = field.arguments.get("sortKey").and_then(Value::as_str) == Some("UPDATED_AT");
    let rows = state
        .catalog
        .customers
        .values()
        .filter(|customer| {
            filter.time("updated_at", customer.updated_at)
                && filter.word("email", &[&customer.email])
                && filter.word("id", &[&customer.id.to_string()])
        })
        .map(|customer| (if by_update { customer.updated_at.as_second() } else { 0 }, customer.id, customer))
        .collect();
    paged(field, rows, |customer| nodes::customer(customer))
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
    paged(field, rows, |it| nodes::subscription(state, it))
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

/// The search syntax, as far as it is used: `updated_at:>='2026-11-20T00:00:00Z' AND name:#1042`.
struct Filter {
    terms: Vec<(String, String, String)>,
}

impl Filter {
    fn of(field: &Field, known: &[&str]) -> Result<Self, Failure> {
        let query = field.arguments.get("query").and_then(Value::as_str).unwrap_or_default();
        let mut terms = Vec::new();
        for word in words(query).into_iter().filter(|word| word != "AND") {
            let Some((key, value)) = word.split_once(':') else {
                return fail("BAD_REQUEST", format!("the simulated shop cannot search for {word:?}, only for field:value"));
            };
            if !known.contains(&key) {
                return fail("BAD_REQUEST", format!("the simulated shop cannot search {:?} by {key:?}", field.name));
            }
            let operator = [">=", "<=", ">", "<"].into_iter().find(|operator| value.starts_with(operator)).unwrap_or("");
            let value = &value[operator.len()..];
            // Unquoted, the vendor takes the rest of a time for another term.
            if value.contains(':') && !value.starts_with(['\'', '"']) {
                return fail("BAD_REQUEST", format!("the value in {word:?} holds a colon and must be quoted"));
            }
            terms.push((key.to_owned(), operator.to_owned(), value.trim_matches(['\'', '"']).to_owned()));
        }
        Ok(Self { terms })
    }

    fn time(&self, key: &str, time: Timestamp) -> bool {
        self.of_key(key).all(|(operator, value)| {
            let Ok(limit) = value.parse::<Timestamp>() else { return false };
            match operator {
                ">=" => time >= limit,
                ">" => time > limit,
                "<=" => time <= limit,
                "<" => time < limit,
                _ => time == limit,
            }
        })
    }

    fn word(&self, key: &str, values: &[&str]) -> bool {
        self.of_key(key).all(|(_, wanted)| values.iter().any(|value| value.eq_ignore_ascii_case(wanted)))
    }

    fn of_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let terms = self.terms.iter().filter(move |(known, ..)| known == key);
        terms.map(|(_, operator, value)| (operator.as_str(), value.as_str()))
    }
}

/// Splits at blanks outside quotes.
fn words(query: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in query.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"') => quote = Some(c),
            None if c.is_whitespace() => {
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
