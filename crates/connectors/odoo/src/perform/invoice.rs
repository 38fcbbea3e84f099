//! Invoices of an order: those that are posted, or a new one for what is to be invoiced.

use super::find::read_order;
use crate::wire::{self, Id, Move, SaleOrder};
use serde_json::{Value, json};
use spindel_connect::{Api, CallError};

/// The posted invoices of an order. Drafts are posted; where there is none, what can be invoiced now is.
/// Empty when nothing can be: the order is a quotation or cancelled, or its products are invoiced on delivery.
pub(super) async fn posted_invoices(api: &Api, order: &SaleOrder) -> Result<Vec<Move>, CallError> {
    let mut invoices = read_invoices(api, order).await?;
    if invoices.is_empty() && order.invoice_status == "to invoice" {
        create(api, order).await?;
        let order = read_order(api, "read_order", order.id).await?;
        invoices = match order {
            Some(order) => read_invoices(api, &order).await?,
            None => Vec::new(),
        };
    }
    let drafts: Vec<i64> = invoices.iter().filter(|it| it.state == "draft").map(|it| it.id).collect();
    if !drafts.is_empty() {
        wire::act(api, "post_invoice", "account.move", "action_post", &drafts).await?;
        let ids: Vec<i64> = invoices.iter().map(|it| it.id).collect();
        invoices = wire::read(api, "read_invoices", "account.move", &ids, Move::FIELDS).await?;
    }
    invoices.retain(|it| it.state == "posted");
    Ok(invoices)
}

async fn read_invoices(api: &Api, order: &SaleOrder) -> Result<Vec<Move>, CallError> {
    let mut found: Vec<Move> = wire::read(api, "read_invoices", "account.move", &order.invoice_ids, Move::FIELDS).await?;
    found.retain(|it| it.move_type == "out_invoice" && it.state != "cancel");
    // Newest first, as Odoo lists them, is not promised.
    found.sort_by_key(|it| std::cmp::Reverse(it.id));
    Ok(found)
}

/// Odoo's own wizard. Run twice it finds nothing to invoice the second time, and refuses.
async fn create(api: &Api, order: &SaleOrder) -> Result<(), CallError> {
    const MODEL: &str = "sale.advance.payment.inv";
    let context = json!({ "active_model": "sale.order", "active_ids": [order.id] });
    let values = json!([{ "advance_payment_method": "delivered", "sale_order_ids": [[6, 0, [order.id]]] }]);
    let wizard: Vec<i64> =
        wire::call(api, "create_invoice", MODEL, "create", &json!({ "vals_list": values, "context": context })).await?;
    wire::call::<Value>(api, "create_invoice", MODEL, "create_invoices", &json!({ "ids": wizard, "context": context })).await?;
    Ok(())
}

/// Id of an active currency.
pub(super) async fn currency_id(api: &Api, code: &str) -> Result<i64, CallError> {
    const OPERATION: &str = "find_currency";
    let found: Vec<Id> = wire::search(api, OPERATION, "res.currency", json!([["name", "=", code]]), &["id"], "id asc", 1).await?;
    let id = found.first().map(|it| it.id);
    id.ok_or_else(|| {
        CallError::config(OPERATION, format!("currency {code} is not active in Odoo: activate it under Accounting, Currencies"))
    })
}
