//! Sales orders: defaults, what may be changed in which state, totals, confirming, cancelling.

use super::{
    accounting,
    error::{Outcome, Refusal},
    orm,
    records::{self, Db, Id, Row, number, row},
    stock,
    taxes::{self, Taxable},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const ORDER: &str = "sale.order";
const LINE: &str = "sale.order.line";

// --- defaults and rules of the record layer

pub(super) fn defaults(db: &mut Db, model: &str, values: &mut Row) {
    match model {
        ORDER => order_defaults(db, values),
        LINE => line_defaults(db, values),
        "res.partner" => partner_defaults(values),
        _ => {}
    }
}

fn or_default(values: &mut Row, name: &str, value: impl FnOnce() -> Value) {
    if values.get(name).is_none_or(Value::is_null) {
        values.insert(name.into(), value());
    }
}

fn order_defaults(db: &mut Db, values: &mut Row) {
    if values.get("partner_id").and_then(Value::as_i64).is_none() {
        return;
    }
    let partner = values["partner_id"].clone();
    or_default(values, "name", || json!(format!("S{:05}", db.draw(ORDER))));
    or_default(values, "date_order", || json!(records::now_in_seconds()));
    or_default(values, "partner_invoice_id", || partner.clone());
    or_default(values, "partner_shipping_id", || partner.clone());
    or_default(values, "company_id", || json!(1));
    or_default(values, "warehouse_id", || json!(1));
    let list = partner.as_i64().and_then(|partner| db.one("res.partner", partner, "property_product_pricelist"));
    or_default(values, "pricelist_id", || json!(list.or(db.default_pricelist)));
    values.insert("state".into(), json!("draft"));
    values.insert("locked".into(), json!(false));
}

fn line_defaults(db: &Db, values: &mut Row) {
    or_default(values, "product_uom_qty", || json!(1.0));
    or_default(values, "discount", || json!(0.0));
    let Some(product) = values.get("product_id").and_then(Value::as_i64) else {
        return;
    };
    let Some(definition) = super::schema::model("product.product") else { return };
    or_default(values, "name", || json!(orm::display_name(db, definition, product)));
    or_default(values, "price_unit", || db.value("product.product", product, "list_price").clone());
    or_default(values, "tax_ids", || json!(db.ids("product.product", product, "taxes_id")));
    or_default(values, "product_uom_id", || json!(1));
}

fn partner_defaults(values: &mut Row) {
    or_default(values, "type", || json!("contact"));
    let company = values.get("is_company").and_then(Value::as_bool).unwrap_or(false)
        || values.get("company_type").and_then(Value::as_str) == Some("company");
    values.insert("is_company".into(), json!(company));
    values.insert("company_type".into(), json!(if company { "company" } else { "person" }));
    or_default(values, "lang", || json!("en_US"));
    or_default(values, "active", || json!(true));
}

pub(super) fn may_write(db: &Db, model: &str, id: Id, values: &Row) -> Outcome<()> {
    match model {
        ORDER => {
            refused(db, id)?;
            let pricelist = values.get("pricelist_id").map(Value::as_i64);
            let confirmed = db.text(ORDER, id, "state") == "sale";
            // Odoo refuses even the same price list on a confirmed order only when it differs.
            if confirmed && pricelist.is_some_and(|new| new != db.one(ORDER, id, "pricelist_id")) {
                return Err(Refusal::user("You cannot change the pricelist of a confirmed order !"));
            }
            Ok(())
        }
        LINE => {
            let product = values.get("product_id").map(Value::as_i64);
            let changes = product.is_some_and(|new| new != db.one(LINE, id, "product_id"));
            if changes && order_state(db, id) == "sale" {
                return Err(Refusal::user("You cannot modify the product of this order line."));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A draft line that gets another product takes that product's text, price and taxes, unless they are given.
pub(super) fn follow_product(db: &Db, model: &str, id: Id, values: &mut Row) {
    if model == LINE
        && let Some(product) = values.get("product_id").and_then(Value::as_i64)
        && db.one(LINE, id, "product_id") != Some(product)
    {
        line_defaults(db, values);
    }
}

pub(super) fn may_unlink(db: &Db, model: &str, id: Id) -> Outcome<()> {
    match model {
        ORDER if matches!(db.text(ORDER, id, "state"), "sale" | "sent") => {
            Err(Refusal::user("You can not delete a sent quotation or a confirmed sales order. You must first cancel it."))
        }
        LINE if order_state(db, id) == "sale" => Err(Refusal::user(
            "Once a sales order is confirmed, you can't remove one of its lines (we need to track if something gets \
             invoiced or delivered).\n                Set the quantity to 0 instead.",
        )),
        _ => Ok(()),
    }
}

fn order_state(db: &Db, line: Id) -> &str {
    let order = db.one(LINE, line, "order_id").unwrap_or_default();
    db.text(ORDER, order, "state")
}

/// After an order or a line was created or written.
pub(super) fn changed(db: &mut Db, model: &str, id: Id, values: &Row) -> Outcome<()> {
    let order = match model {
        ORDER => id,
        LINE => {
            let discount = taxes::round(db.decimal(LINE, id, "discount"), 2);
            db.set_quietly(LINE, id, row([("discount", number(discount))]));
            // Lines nested in an order's create or write are counted once, when the order is done.
            let Some(order) = db.one(LINE, id, "order_id") else { return Ok(()) };
            order
        }
        _ => return Ok(()),
    };
    if model == ORDER && (values.contains_key("pricelist_id") || db.one(ORDER, id, "currency_id").is_none()) {
        set_currency(db, id);
    }
    refused(db, order)?;
    recompute(db, order);
    if db.text(ORDER, order, "state") == "sale" {
        stock::follow_order(db, order);
    }
    Ok(())
}

/// The currency is the price list's; without one it is the company's. What the caller sent is ignored.
fn set_currency(db: &mut Db, order: Id) {
    let list = db.one(ORDER, order, "pricelist_id");
    let currency = list
        .and_then(|list| db.one("product.pricelist", list, "currency_id"))
        .or_else(|| db.one("res.company", 1, "currency_id"));
    db.set_quietly(ORDER, order, row([("currency_id", json!(currency))]));
}

// --- amounts

fn taxable(db: &Db, line: Id) -> Taxable {
    Taxable {
        quantity: db.decimal(LINE, line, "product_uom_qty"),
        price_unit: db.decimal(LINE, line, "price_unit"),
        discount: db.decimal(LINE, line, "discount"),
        taxes: db.ids(LINE, line, "tax_ids"),
    }
}

pub(super) fn recompute(db: &mut Db, order: Id) {
    let digits = accounting::digits(db, db.one(ORDER, order, "currency_id"));
    let lines = db.ids(ORDER, order, "order_line");
    let state = db.value(ORDER, order, "state").clone();
    let currency = db.value(ORDER, order, "currency_id").clone();
    let mut all = Vec::new();
    for line in lines {
        let taxable = taxable(db, line);
        let amounts = taxes::line(db, &taxable, digits);
        let (subtotal, total) = (number(amounts.untaxed), number(amounts.total()));
        // Odoo subtracts floats here and shows it: 359.6400000000001.
        let tax = total.as_f64().unwrap_or_default() - subtotal.as_f64().unwrap_or_default();
        let values = row([
            ("price_subtotal", subtotal),
            ("price_total", total),
            ("price_tax", json!(tax)),
            ("state", state.clone()),
            ("currency_id", currency.clone()),
        ]);
        db.set_quietly(LINE, line, values);
        all.push(taxable);
    }
    let amounts = taxes::document(db, &all, digits);
    let values = row([
        ("amount_untaxed", number(amounts.untaxed)),
        ("amount_tax", number(amounts.tax)),
        ("amount_total", number(amounts.total())),
    ]);
    db.set_quietly(ORDER, order, values);
}

pub(super) fn computed(db: &Db, model: &str, id: Id, field: &str) -> Option<Value> {
    match (model, field) {
        (ORDER, "invoice_status") => Some(json!(invoice_status(db, id))),
        (ORDER, "delivery_status") => Some(stock::delivery_status(db, id)),
        (ORDER, "invoice_count") => Some(json!(db.ids(ORDER, id, "invoice_ids").len())),
        (ORDER, "invoice_ids") => {
            let mut newest_first = db.ids(ORDER, id, "invoice_ids");
            newest_first.retain(|entry| accounting::still_of_an_order(db, *entry));
            newest_first.sort_unstable_by(|a, b| b.cmp(a));
            Some(json!(newest_first))
        }
        _ => None,
    }
}

fn invoice_status(db: &Db, order: Id) -> &'static str {
    if db.text(ORDER, order, "state") != "sale" {
        return "no";
    }
    let lines = db.ids(ORDER, order, "order_line");
    let open = |line: &Id| {
        let ordered = db.decimal(LINE, *line, "product_uom_qty");
        ordered > db.decimal(LINE, *line, "qty_invoiced")
    };
    let counted = |line: &Id| db.one(LINE, *line, "product_id").is_some();
    match (lines.iter().filter(|line| counted(line)).any(open), lines.iter().any(counted)) {
        (true, _) => "to invoice",
        (false, true) if lines.iter().any(|line| db.decimal(LINE, *line, "qty_invoiced") > Decimal::ZERO) => "invoiced",
        _ => "no",
    }
}

// --- actions

pub(super) fn confirm(db: &mut Db, order: Id) -> Outcome<()> {
    exists(db, order)?;
    refused(db, order)?;
    if !matches!(db.text(ORDER, order, "state"), "draft" | "sent") {
        return Err(Refusal::user("Some orders are not in a state requiring confirmation."));
    }
    // Confirming sets the date anew; the shop's own date is lost unless it is written again.
    let now = records::now_in_seconds();
    db.set(ORDER, order, row([("state", json!("sale")), ("date_order", json!(now))]));
    recompute(db, order);
    stock::follow_order(db, order);
    Ok(())
}

pub(super) fn cancel(db: &mut Db, order: Id) -> Outcome<()> {
    exists(db, order)?;
    refused(db, order)?;
    stock::cancel_order(db, order);
    accounting::cancel_drafts(db, &db.ids(ORDER, order, "invoice_ids"));
    db.set(ORDER, order, row([("state", json!("cancel"))]));
    recompute(db, order);
    Ok(())
}

/// Only cancelled orders go back to draft; for others Odoo answers `true` and does nothing.
pub(super) fn draft(db: &mut Db, order: Id) -> Outcome<()> {
    exists(db, order)?;
    refused(db, order)?;
    if db.text(ORDER, order, "state") == "cancel" {
        db.set(ORDER, order, row([("state", json!("draft"))]));
        recompute(db, order);
    }
    Ok(())
}

pub(super) fn exists(db: &Db, order: Id) -> Outcome<()> {
    match db.exists(ORDER, order) {
        true => Ok(()),
        false => Err(Refusal::missing(ORDER, order)),
    }
}

/// Whether a test told the simulator to refuse writes of this order, by its reference or one of its SKUs.
fn refused(db: &Db, order: Id) -> Outcome<()> {
    if db.refused.is_empty() {
        return Ok(());
    }
    let reference = db.text(ORDER, order, "client_order_ref").to_owned();
    let lines = db.ids(ORDER, order, "order_line");
    let products = lines.iter().filter_map(|line| db.one(LINE, *line, "product_id"));
    let skus = products.map(|product| db.text("product.product", product, "default_code").to_owned());
    match std::iter::once(reference).chain(skus).find_map(|key| db.refused.get(&key)) {
        Some(message) => Err(Refusal::user(message.clone())),
        None => Ok(()),
    }
}
