//! Credit memos: goods by quantity, freight, adjustments; paid out by the payment method, or by nobody.

use super::{
    Memo,
    act::{named, remark, share},
    cents, tell_order,
};
use crate::magento::{
    catalogue::decimal,
    http::Problem,
    state::{State, num},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// All amounts of a request are in base currency. Without rows all that is left is given back, without a freight all of it.
pub(crate) fn refund(state: &mut State, id: u64, invoice: Option<u64>, body: &Value) -> Result<u64, Problem> {
    const WHAT: &str = "Creditmemo";
    let order = state.orders.get(&id).ok_or_else(Problem::no_entity)?.clone();
    if order.paid - order.refunded <= Decimal::ZERO || order.state == "canceled" {
        return Err(Problem::invalid(WHAT, &["The order does not allow a creditmemo to be created.".into()]));
    }
    let mut rows = named(&order, body, WHAT)?;
    if rows.is_empty() {
        rows = order.counted().map(|it| (it.id, it.to_refund())).collect();
    }
    let argument = |name: &str| decimal(body.pointer(&format!("/arguments/{name}")));
    let left = order.freight - order.freight_refunded;
    let freight = argument("shipping_amount").unwrap_or(left);
    if freight > left {
        let message = "Maximum shipping amount allowed to refund is: %1";
        return Err(Problem::new(400, message).with(json!([left.to_string()])));
    }
    let freight_tax = cents((order.freight_tax * freight).checked_div(order.freight).unwrap_or_default());
    let (positive, negative) =
        (argument("adjustment_positive").unwrap_or_default(), argument("adjustment_negative").unwrap_or_default());
    let (mut items, mut total) = (Vec::new(), freight + freight_tax + positive - negative);
    for (row, qty) in &rows {
        let Some(item) = order.items.iter().find(|it| it.id == *row) else { continue };
        if *qty > item.to_refund() {
            let sku = &item.sku;
            let message =
                format!("The quantity to creditmemo must not be greater than the unrefunded quantity for product SKU \"{sku}\".");
            return Err(Problem::invalid(WHAT, &[message]));
        }
        let part = |whole: Decimal| share(whole, item.qty, item.refunded, *qty);
        let (net, tax, discount) = (part(item.net), part(item.tax), part(item.discount));
        total += net + tax - discount;
        items.push(json!({ "entity_id": row, "order_item_id": row, "sku": item.sku, "qty": num(*qty),
            "row_total": num(order.of(net)), "base_row_total": num(net), "tax_amount": num(order.of(tax)), "base_tax_amount": num(tax),
            "discount_amount": num(order.of(discount)), "base_discount_amount": num(discount) }));
        let children = order.items.iter().filter(|it| it.parent == Some(*row) && !qty.is_zero());
        items.extend(children.map(|it| json!({ "order_item_id": it.id, "sku": it.sku, "qty": num(*qty), "row_total": null })));
    }
    if total <= Decimal::ZERO {
        return Err(Problem::invalid(WHAT, &["The credit memo's total must be positive.".into()]));
    }
    if total > order.paid - order.refunded {
        let most = num(order.paid - order.refunded).to_string();
        return Err(Problem::invalid(WHAT, &[format!("The most money available to refund is {most}.")]));
    }
    let transaction = online(state, invoice, body, total)?;
    let (memo, now) = (state.next_id(), state.stamp());
    let comments = remark(body, memo).into_iter().collect();
    apply(state, id, &rows, body, (freight, freight_tax, total));
    let it = Memo {
        id: memo,
        order: id,
        items,
        freight,
        freight_tax,
        positive,
        negative,
        total,
        transaction,
        comments,
        at: now.clone(),
    };
    state.memos.insert(memo, it);
    state.tell(
        "sales_order_creditmemo_save_after",
        json!({ "entity_id": memo, "order_id": id, "created_at": now, "updated_at": now }),
    );
    tell_order(state, id);
    Ok(memo)
}

/// The payment method gives it back by the invoice that took it.
fn online(state: &mut State, invoice: Option<u64>, body: &Value, total: Decimal) -> Result<Option<String>, Problem> {
    let wanted = body.get("isOnline").and_then(Value::as_bool) == Some(true);
    let refuses = state.refuses.is_some();
    let Some(invoice) = invoice.and_then(|id| state.invoices.get_mut(&id)) else { return Ok(None) };
    if invoice.total - invoice.refunded < total {
        let message = "The invoice does not have that much left to refund.".to_owned();
        return Err(Problem::invalid("Creditmemo", &[message]));
    }
    if wanted && refuses {
        return Err(Problem::new(400, "Could not save a Creditmemo, see error log for details"));
    }
    invoice.refunded += total;
    Ok(invoice.transaction.clone().filter(|_| wanted).map(|it| format!("{it}-refund")))
}

fn apply(
    state: &mut State,
    id: u64,
    rows: &[(u64, Decimal)],
    body: &Value,
    (freight, freight_tax, total): (Decimal, Decimal, Decimal),
) {
    let back: Vec<u64> = body
        .pointer("/arguments/extension_attributes/return_to_stock_items")
        .and_then(Value::as_array)
        .map(|all| all.iter().filter_map(Value::as_u64).collect())
        .unwrap_or_default();
    let (now, apart) = (state.stamp(), state.options.bundles_apart);
    let Some(order) = state.orders.get_mut(&id) else { return };
    let mut returned = Vec::new();
    for (row, qty) in rows {
        let Some(item) = order.items.iter_mut().find(|it| it.id == *row) else { continue };
        item.refunded += *qty;
        if back.contains(row) {
            returned.push((item.sku.clone(), *qty));
        }
    }
    order.refunded += total;
    order.freight_refunded += freight;
    order.freight_tax_refunded += freight_tax;
    order.updated_at = now;
    order.settle(apart);
    for (sku, qty) in returned {
        if let Some(item) = state.source_items.get_mut(&(sku, "default".to_owned())) {
            item.quantity += qty;
        }
    }
}
