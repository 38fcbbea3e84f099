//! What can be done with an order: invoice, capture, ship, track, cancel, remark.

use super::{Invoice, Item, Order, Shipment, cents, tell_order};
use crate::magento::{catalogue::decimal, http::Problem, state::State};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// Row and quantity, as a request names them; a row that is not the order's is refused.
pub(super) fn named(order: &Order, body: &Value, what: &str) -> Result<Vec<(u64, Decimal)>, Problem> {
    let mut rows = Vec::new();
    for row in body.get("items").and_then(Value::as_array).into_iter().flatten() {
        let id = row.get("order_item_id").and_then(Value::as_u64).unwrap_or_default();
        let qty = decimal(row.get("qty")).unwrap_or_default();
        if !order.items.iter().any(|it| it.id == id) {
            let message = format!("The {what} contains product item that is not part of the original order.");
            return Err(Problem::invalid(what, &[message]));
        }
        rows.push((id, qty));
    }
    Ok(rows)
}

/// `None` where there is no remark.
pub(super) fn remark(body: &Value, id: u64) -> Option<Value> {
    let text = body.pointer("/comment/comment")?.as_str()?;
    Some(json!({ "entity_id": id, "comment": text, "is_visible_on_front": 0, "is_customer_notified": 0 }))
}

/// A share of a row's amount, so that all shares make it.
pub(super) fn share(whole: Decimal, of: Decimal, before: Decimal, now: Decimal) -> Decimal {
    let upto = |quantity: Decimal| cents((whole * quantity).checked_div(of).unwrap_or_default());
    upto(before + now) - upto(before)
}

fn order_mut(state: &mut State, id: u64) -> Result<&mut Order, Problem> {
    state.orders.get_mut(&id).ok_or_else(Problem::no_entity)
}

fn settle(state: &mut State, id: u64) {
    let (now, apart) = (state.stamp(), state.options.bundles_apart);
    if let Some(order) = state.orders.get_mut(&id) {
        order.settle(apart);
        order.updated_at = now;
    }
    tell_order(state, id);
}

/// Of everything that is left where no rows are named.
pub(crate) fn invoice(state: &mut State, id: u64, body: &Value) -> Result<u64, Problem> {
    let (invoice_id, now) = (state.next_id(), state.stamp());
    let order = order_mut(state, id)?;
    if matches!(order.state, "canceled" | "closed" | "complete") || order.due() <= Decimal::ZERO {
        return Err(Problem::invalid("Invoice", &["The order does not allow an invoice to be created.".into()]));
    }
    let rows = named(order, body, "Invoice")?;
    let rows = if rows.is_empty() {
        order.counted().map(|it| (it.id, it.qty - it.invoiced - it.canceled)).filter(|(_, qty)| !qty.is_zero()).collect()
    } else {
        rows
    };
    let mut total = Decimal::ZERO;
    for (row, qty) in &rows {
        let item = order.items.iter().find(|it| it.id == *row);
        let open = item.map(|it| it.qty - it.invoiced - it.canceled).unwrap_or_default();
        if *qty > open {
            let message = "The quantity to invoice must not be greater than the uninvoiced quantity.";
            return Err(Problem::invalid("Invoice", &[message.to_owned()]));
        }
    }
    for (row, qty) in &rows {
        let Some(item) = order.items.iter_mut().find(|it| it.id == *row) else { continue };
        total += share(item.payable(), item.qty, item.invoiced, *qty);
        item.invoiced += *qty;
    }
    if !order.freight_invoiced {
        total += order.freight + order.freight_tax;
        order.freight_invoiced = true;
    }
    order.paid += total;
    let online = body.get("capture").and_then(Value::as_bool) == Some(true) && order.transaction.is_some();
    let transaction = order.transaction.clone().filter(|_| online).map(|it| format!("{it}-capture"));
    let invoice =
        Invoice { id: invoice_id, order: id, open: false, total, refunded: Decimal::ZERO, transaction, items: rows, at: now };
    let told = invoice.at.clone();
    state.invoices.insert(invoice_id, invoice);
    state.tell("sales_order_invoice_save_after", json!({ "entity_id": invoice_id, "order_id": id, "updated_at": told }));
    settle(state, id);
    Ok(invoice_id)
}

pub(crate) fn capture(state: &mut State, id: u64) -> Result<Value, Problem> {
    let invoice = state.invoices.get_mut(&id).ok_or_else(Problem::no_entity)?;
    if !invoice.open {
        return Err(Problem::new(400, "The invoice can't be captured now."));
    }
    let (order, total) = (invoice.order, invoice.total);
    invoice.open = false;
    let transaction = state.orders.get(&order).and_then(|it| it.transaction.clone());
    if let Some(invoice) = state.invoices.get_mut(&id) {
        invoice.transaction = transaction.map(|it| format!("{it}-capture"));
    }
    order_mut(state, order)?.paid += total;
    settle(state, order);
    Ok("1".into())
}

pub(crate) fn cancel(state: &mut State, id: u64) -> Result<bool, Problem> {
    let order = order_mut(state, id)?;
    let done = order.paid > Decimal::ZERO || order.items.iter().any(|it| !it.shipped.is_zero());
    if done || matches!(order.state, "canceled" | "complete" | "closed") {
        return Ok(false);
    }
    order.state = "canceled";
    order.items.iter_mut().for_each(|it| it.canceled = it.qty);
    settle(state, id);
    Ok(true)
}

/// What was ordered, and not what is left, where no rows are named.
pub(crate) fn ship(state: &mut State, id: u64, body: &Value) -> Result<u64, Problem> {
    let apart = state.options.bundles_apart;
    let source = body.pointer("/arguments/extension_attributes/source_code").and_then(Value::as_str);
    let source = source.unwrap_or("default").to_owned();
    if !state.options.sources.contains(&source) {
        let message = "Source with code \"%sourceCode\" does not exist.";
        return Err(Problem::new(400, message).with(json!({ "sourceCode": source })));
    }
    let (shipment, now) = (state.next_id(), state.stamp());
    let order = order_mut(state, id)?;
    if matches!(order.state, "canceled" | "closed" | "complete" | "holded") {
        return Err(Problem::invalid("Shipment", &["The order does not allow a shipment to be created.".into()]));
    }
    let rows = named(order, body, "Shipment")?;
    let rows: Vec<(u64, Decimal)> = if rows.is_empty() {
        order.items.iter().filter(|it| order.is_sent_as(it, apart)).map(|it| (it.id, it.qty)).collect()
    } else {
        rows
    };
    for (row, qty) in &rows {
        let Some(item) = order.items.iter().find(|it| it.id == *row) else { continue };
        if !order.is_sent_as(item, apart) || *qty > item.to_send() || *qty <= Decimal::ZERO {
            let message =
                format!("The quantity to ship must not be greater than the unshipped quantity for product SKU \"{}\".", item.sku);
            return Err(Problem::invalid("Shipment", &[message]));
        }
    }
    let mut gone: Vec<(String, Decimal)> = Vec::new();
    for (row, qty) in &rows {
        let parts: Vec<(String, Decimal)> =
            order.items.iter().filter(|it| it.parent == Some(*row)).map(|it| (it.sku.clone(), it.qty)).collect();
        let Some(item) = order.items.iter_mut().find(|it| it.id == *row) else { continue };
        item.shipped += *qty;
        let of = item.qty;
        match parts.is_empty() {
            true => gone.push((item.sku.clone(), *qty)),
            false => gone.extend(parts.into_iter().map(|(sku, part)| (sku, (part * *qty).checked_div(of).unwrap_or_default()))),
        }
    }
    for (sku, qty) in gone {
        if let Some(item) = state.source_items.get_mut(&(sku, source.clone())) {
            item.quantity -= qty;
        }
    }
    let tracks: Vec<Value> = body.get("tracks").and_then(Value::as_array).cloned().unwrap_or_default();
    let tracks = tracks.into_iter().map(|it| track(state, id, shipment, &it)).collect();
    let comments = remark(body, state.next_id()).into_iter().collect();
    let it =
        Shipment { id: shipment, order: id, items: rows, tracks, comments, source, created_at: now.clone(), updated_at: now };
    let told = json!({ "entity_id": shipment, "order_id": id, "created_at": it.created_at, "updated_at": it.updated_at });
    state.shipments.insert(shipment, it);
    state.tell("sales_order_shipment_save_after", told);
    settle(state, id);
    Ok(shipment)
}

fn track(state: &mut State, order: u64, shipment: u64, given: &Value) -> Value {
    json!({ "entity_id": state.next_id(), "order_id": order, "parent_id": shipment, "track_number": given["track_number"],
        "title": given["title"], "carrier_code": given["carrier_code"] })
}

/// The shipment's own time stays as it is.
pub(crate) fn add_track(state: &mut State, body: &Value) -> Result<Value, Problem> {
    let given = body.get("entity").cloned().unwrap_or_default();
    for field in ["order_id", "parent_id", "weight", "qty", "description", "track_number", "title", "carrier_code"] {
        if given.get(field).is_none_or(Value::is_null) {
            let message = "\"%fieldName\" is required. Enter and try again.";
            return Err(Problem::new(400, message).with(json!({ "fieldName": field })));
        }
    }
    let shipment = given["parent_id"].as_u64().filter(|id| state.shipments.contains_key(id)).ok_or_else(Problem::no_entity)?;
    let row = track(state, given["order_id"].as_u64().unwrap_or_default(), shipment, &given);
    if let Some(it) = state.shipments.get_mut(&shipment) {
        it.tracks.push(row.clone());
    }
    let now = state.stamp();
    state.tell(
        "sales_order_shipment_track_save_after",
        json!({ "entity_id": row["entity_id"], "parent_id": shipment, "updated_at": now }),
    );
    Ok(row)
}

pub(crate) fn comment(state: &mut State, id: u64, body: &Value) -> Result<Value, Problem> {
    let (history, now) = (state.next_id(), state.stamp());
    let text = body.pointer("/statusHistory/comment").and_then(Value::as_str).unwrap_or_default().to_owned();
    let order = order_mut(state, id)?;
    order.histories.push(json!({ "entity_id": history, "comment": text, "created_at": now, "parent_id": id }));
    Ok(true.into())
}

impl Order {
    pub fn row(&self, sku: &str) -> Option<&Item> {
        self.counted().find(|it| it.sku == sku)
    }
}
