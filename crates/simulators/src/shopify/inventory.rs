//! Stock writes through the API: absolute with compare-and-set, by difference, and the first stock at a location.
//! A batch is carried out whole or not at all.

use crate::shopify::{
    StockWrite, catalog_nodes,
    document::Field,
    graphql::{Failure, fail},
    idempotency::user_error,
    mutations::argument,
    state::{State, gid, parse_gid, utc},
};
use serde_json::{Value, json};

const MAX_BATCH: usize = 250;
const MAX_QUANTITY: i64 = 1_000_000_000;
const REASONS: [&str; 12] = [
    "correction",
    "cycle_count_available",
    "damaged",
    "movement_created",
    "movement_updated",
    "movement_received",
    "movement_canceled",
    "other",
    "promotion",
    "quality_control",
    "received",
    "restock",
];

/// One entry of a batch that may be carried out.
struct Entry {
    item: u64,
    location: u64,
    quantity: i64,
}

pub(crate) fn set_quantities(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let input = argument(field, "input")?;
    let rows = rows(input, "quantities")?;
    let name = input["name"].as_str().unwrap_or_default();
    let mut errors = head_errors(input, &["available", "on_hand"]);
    let mut entries: Vec<Entry> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match judge(state, row, name, "quantity", index) {
            Ok(entry) if entries.iter().any(|it| (it.item, it.location) == (entry.item, entry.location)) => {
                let message = "The combination of inventoryItemId and locationId must be unique";
                errors.push(row_error(
                    index,
                    "locationId",
                    "quantities",
                    message,
                    "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR",
                ));
            }
            Ok(entry) => entries.push(entry),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Ok(json!({ "inventoryAdjustmentGroup": null, "userErrors": errors }));
    }
    let mut changes = Vec::new();
    for Entry { item, location, quantity } in entries {
        let level = state.catalog.levels[&(item, location)];
        let available = if name == "on_hand" { quantity - level.committed } else { quantity };
        changes.push((item, location, available - level.available));
        write(state, item, location, available);
    }
    Ok(group(state, input, &changes))
}

pub(crate) fn adjust_quantities(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let input = argument(field, "input")?;
    let rows = rows(input, "changes")?;
    let mut errors = head_errors(input, &["available"]);
    let mut entries = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match judge(state, row, "available", "delta", index) {
            Ok(entry) => entries.push(entry),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Ok(json!({ "inventoryAdjustmentGroup": null, "userErrors": errors }));
    }
    let mut changes = Vec::new();
    for Entry { item, location, quantity } in entries {
        let available = state.catalog.levels[&(item, location)].available + quantity;
        changes.push((item, location, quantity));
        write(state, item, location, available);
    }
    Ok(group(state, input, &changes))
}

pub(crate) fn activate(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let item = argument(field, "inventoryItemId")?.as_str().and_then(|id| parse_gid("InventoryItem", id));
    let location = argument(field, "locationId")?.as_str().and_then(|id| parse_gid("Location", id));
    let available = field.arguments.get("available").and_then(Value::as_i64);
    let known_item = item.filter(|item| state.catalog.items.contains_key(item));
    let known_location = location.filter(|location| state.catalog.location(*location).is_some());
    let refusal = |name: &str, message: &str| {
        Ok(json!({ "inventoryLevel": null, "userErrors": [user_error(&[name], message, "INVALID")] }))
    };
    let Some(item) = known_item else {
        return refusal("inventoryItemId", "The inventory item couldn't be found.");
    };
    let Some(location) = known_location else {
        return refusal("locationId", "The location couldn't be found.");
    };
    if state.catalog.levels.contains_key(&(item, location)) {
        if available.is_some() {
            return refusal(
                "available",
                "Not allowed to set available quantity when the item is already active at the location.",
            );
        }
    } else {
        let available = available.unwrap_or(0);
        state.stock_at(item, location, available);
        note_write(state, item, location, available);
    }
    let level = state.catalog.levels[&(item, location)];
    Ok(json!({ "inventoryLevel": catalog_nodes::level(state, item, location, &level), "userErrors": [] }))
}

fn rows<'a>(input: &'a Value, name: &str) -> Result<&'a Vec<Value>, Failure> {
    match input[name].as_array() {
        None => fail("INVALID_VARIABLE", format!("Variable $input was provided invalid value for {name}")),
        Some(rows) if rows.len() > MAX_BATCH => fail(
            "MAX_INPUT_SIZE_EXCEEDED",
            format!("The input array size of {} is greater than the maximum allowed of {MAX_BATCH}.", rows.len()),
        ),
        Some(rows) => match rows.iter().position(|row| row.get("changeFromQuantity").is_none()) {
            Some(index) => fail(
                "INVALID_VARIABLE",
                format!(
                    "Variable $input was provided invalid value for {name}.{index}.changeFromQuantity (must be given explicitly; null skips the check)"
                ),
            ),
            None => Ok(rows),
        },
    }
}

fn head_errors(input: &Value, names: &[&str]) -> Vec<Value> {
    let mut errors = Vec::new();
    if !input["name"].as_str().is_some_and(|name| names.contains(&name)) {
        errors.push(user_error(&["input", "name"], "The quantity name is not valid here.", "INVALID_NAME"));
    }
    if !input["reason"].as_str().is_some_and(|reason| REASONS.contains(&reason)) {
        errors.push(user_error(&["input", "reason"], "The reason is not valid.", "INVALID_REASON"));
    }
    let document = &input["referenceDocumentUri"];
    if !document.is_null() && !document.as_str().is_some_and(|uri| uri.starts_with("gid://") || uri.contains("://")) {
        let message = "The reference document URI is not valid.";
        errors.push(user_error(&["input", "referenceDocumentUri"], message, "INVALID_REFERENCE_DOCUMENT"));
    }
    errors
}

/// Checks one row; `amount` is `quantity` or `delta`.
fn judge(state: &State, row: &Value, name: &str, amount: &str, index: usize) -> Result<Entry, Value> {
    let list = if amount == "delta" { "changes" } else { "quantities" };
    let refuse = |field: &str, message: &str, code: &str| Err(row_error(index, field, list, message, code));
    let item = row["inventoryItemId"].as_str().and_then(|id| parse_gid("InventoryItem", id));
    let Some((_, variant)) = item.and_then(|item| state.catalog.variant_of_item(item)) else {
        return refuse("inventoryItemId", "The specified inventory item could not be found.", "INVALID_INVENTORY_ITEM");
    };
    let location = row["locationId"].as_str().and_then(|id| parse_gid("Location", id));
    let Some(location) = location.filter(|id| state.catalog.location(*id).is_some()) else {
        return refuse("locationId", "The specified location could not be found.", "INVALID_LOCATION");
    };
    let item = variant.inventory_item_id;
    let Some(level) = state.catalog.levels.get(&(item, location)) else {
        return refuse("locationId", "The specified inventory item is not stocked at the location.", "INVALID_LOCATION");
    };
    if !variant.tracked {
        return refuse("inventoryItemId", "Inventory item is not tracked.", "NON_MUTABLE_INVENTORY_ITEM");
    }
    let Some(quantity) = row[amount].as_i64() else {
        return refuse(amount, "The quantity is not a whole number.", "INVALID_QUANTITY_TOO_LOW");
    };
    if quantity > MAX_QUANTITY {
        return refuse(amount, "The quantity can't be higher than 1,000,000,000.", "INVALID_QUANTITY_TOO_HIGH");
    }
    if quantity < -MAX_QUANTITY {
        return refuse(amount, "The quantity can't be lower than -1,000,000,000.", "INVALID_QUANTITY_TOO_LOW");
    }
    if amount == "quantity" && quantity < 0 {
        return refuse(amount, "The quantity can't be negative.", "INVALID_QUANTITY_NEGATIVE");
    }
    let there = if name == "on_hand" { level.available + level.committed } else { level.available };
    match row["changeFromQuantity"].as_i64() {
        Some(expected) if expected != there => {
            let message = "The changeFromQuantity argument no longer matches the persisted quantity.";
            refuse("changeFromQuantity", message, "CHANGE_FROM_QUANTITY_STALE")
        }
        _ => Ok(Entry { item, location, quantity }),
    }
}

fn row_error(index: usize, field: &str, list: &str, message: &str, code: &str) -> Value {
    user_error(&["input", list, &index.to_string(), field], message, code)
}

fn write(state: &mut State, item: u64, location: u64, available: i64) {
    state.set_stock(item, location, available);
    note_write(state, item, location, available);
}

fn note_write(state: &mut State, item: u64, location: u64, available: i64) {
    let sku = state.catalog.variant_of_item(item).map(|(_, variant)| variant.sku.clone());
    let write =
        StockWrite { sku: sku.unwrap_or_default(), location: location.to_string(), available, at: state.options.clock.now() };
    state.stock_writes.push(write);
}

fn group(state: &mut State, input: &Value, changes: &[(u64, u64, i64)]) -> Value {
    let changes: Vec<Value> = changes
        .iter()
        .map(|(item, location, delta)| {
            json!({
                "name": "available",
                "delta": delta,
                "quantityAfterChange": state.catalog.levels[&(*item, *location)].available,
                "item": { "id": gid("InventoryItem", *item) },
                "location": { "id": gid("Location", *location) },
            })
        })
        .collect();
    let id = state.new_id();
    json!({
        "inventoryAdjustmentGroup": {
            "id": gid("InventoryAdjustmentGroup", id),
            "createdAt": utc(state.now()),
            "reason": input["reason"],
            "referenceDocumentUri": input["referenceDocumentUri"],
            "changes": changes,
        },
        "userErrors": [],
    })
}
