//! Invoices, credit notes and payments, and the wizards that make them.

use super::{
    error::{Outcome, Refusal},
    orm,
    records::{self, Db, Id, Row, as_ids, number, row},
    schema,
    taxes::{self, Taxable},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const ENTRY: &str = "account.move";
const LINE: &str = "account.move.line";
const PAYMENT: &str = "account.payment";
const REGISTER: &str = "account.payment.register";
const REVERSAL: &str = "account.move.reversal";
const ORDER: &str = "sale.order";
const ORDER_LINE: &str = "sale.order.line";

/// Decimals of a currency.
pub(super) fn digits(db: &Db, currency: Option<Id>) -> u32 {
    let places = currency.and_then(|id| db.value("res.currency", id, "decimal_places").as_u64());
    places.and_then(|places| u32::try_from(places).ok()).unwrap_or(2)
}

// --- hooks of the record layer

pub(super) fn defaults(db: &mut Db, model: &str, values: &mut Row) -> Outcome<()> {
    match model {
        ENTRY => {
            let fixed = [
                ("move_type", json!("entry")),
                ("payment_state", json!("not_paid")),
                ("date", json!(records::today())),
                ("company_id", json!(1)),
                ("currency_id", db.value("res.company", 1, "currency_id").clone()),
                ("journal_id", json!(db.find("account.journal", "type", "sale"))),
            ];
            for (name, value) in fixed {
                values.entry(name).or_insert(value);
            }
            values.insert("state".into(), json!("draft"));
        }
        LINE => {
            if let Some(product) = values.get("product_id").and_then(Value::as_i64)
                && let Some(definition) = schema::model("product.product")
            {
                let name = json!(orm::display_name(db, definition, product));
                values.entry("name").or_insert(name);
                let price = db.value("product.product", product, "list_price").clone();
                values.entry("price_unit").or_insert(price);
                let taxes = json!(db.ids("product.product", product, "taxes_id"));
                values.entry("tax_ids").or_insert(taxes);
            }
            values.entry("quantity").or_insert(json!(1.0));
            values.entry("display_type").or_insert(json!("product"));
        }
        PAYMENT => {
            let fixed = [
                ("payment_type", json!("inbound")),
                ("partner_type", json!("customer")),
                ("date", json!(records::today())),
                ("currency_id", db.value("res.company", 1, "currency_id").clone()),
                ("journal_id", json!(db.find("account.journal", "type", "bank"))),
            ];
            for (name, value) in fixed {
                values.entry(name).or_insert(value);
            }
            values.insert("state".into(), json!("draft"));
        }
        "account.journal" => {
            values.entry("active").or_insert(json!(true));
        }
        REGISTER => return register_defaults(db, values),
        _ => {}
    }
    Ok(())
}

pub(super) fn may_write(db: &Db, model: &str, id: Id, values: &Row) -> Outcome<()> {
    const FROZEN: [&str; 4] = ["invoice_date", "partner_id", "currency_id", "invoice_line_ids"];
    let posted = |entry: Id| db.text(ENTRY, entry, "state") == "posted";
    let frozen: Vec<&str> = match model {
        ENTRY if posted(id) => FROZEN.into_iter().filter(|name| values.contains_key(*name)).collect(),
        LINE if db.one(LINE, id, "move_id").is_some_and(posted) => vec!["invoice_line_ids"],
        _ => Vec::new(),
    };
    if frozen.is_empty() {
        return Ok(());
    }
    let fields = frozen.join(", ");
    Err(Refusal::user(format!("You cannot modify the following readonly fields on a posted move: {fields}")))
}

pub(super) fn may_unlink(db: &Db, model: &str, id: Id) -> Outcome<()> {
    if model == ENTRY && db.text(ENTRY, id, "state") == "posted" {
        let name = db.text(ENTRY, id, "name");
        return Err(Refusal::user(format!(
            "You can't delete a posted journal item. Don’t play games with your accounting records; reset the journal entry \
             {name} to draft before deleting it."
        )));
    }
    Ok(())
}

pub(super) fn changed(db: &mut Db, model: &str, id: Id) {
    let entry = if model == LINE { db.one(LINE, id, "move_id") } else { (model == ENTRY).then_some(id) };
    if let Some(entry) = entry {
        recompute(db, entry);
    }
}

pub(super) fn recompute(db: &mut Db, entry: Id) {
    let digits = digits(db, db.one(ENTRY, entry, "currency_id"));
    let mut all = Vec::new();
    for line in db.ids(ENTRY, entry, "invoice_line_ids") {
        let taxable = Taxable {
            quantity: db.decimal(LINE, line, "quantity"),
            price_unit: db.decimal(LINE, line, "price_unit"),
            discount: db.decimal(LINE, line, "discount"),
            taxes: db.ids(LINE, line, "tax_ids"),
        };
        let amounts = taxes::line(db, &taxable, digits);
        let values = row([("price_subtotal", number(amounts.untaxed)), ("price_total", number(amounts.total()))]);
        db.set_quietly(LINE, line, values);
        all.push(taxable);
    }
    let amounts = taxes::document(db, &all, digits);
    let mut values = row([
        ("amount_untaxed", number(amounts.untaxed)),
        ("amount_tax", number(amounts.tax)),
        ("amount_total", number(amounts.total())),
    ]);
    // What is due on a posted entry is what payments and credit notes left of it.
    if db.text(ENTRY, entry, "state") == "draft" {
        values.insert("amount_residual".into(), number(amounts.total()));
    }
    db.set_quietly(ENTRY, entry, values);
}

// --- invoicing an order

const NOTHING_TO_INVOICE: &str = "Cannot create an invoice. No items are available to invoice.\n\nTo resolve this issue, \
    please ensure that:\n   • The products have been delivered before attempting to invoice them.\n   • The invoicing \
    policy of the product is configured correctly.\n";

/// `sale.advance.payment.inv/create_invoices`: one draft invoice for what is not invoiced yet.
pub(super) fn create_invoices(db: &mut Db, wizard: Id) -> Outcome<Value> {
    const WIZARD: &str = "sale.advance.payment.inv";
    if !db.exists(WIZARD, wizard) {
        return Err(Refusal::missing(WIZARD, wizard));
    }
    let mut last = None;
    for order in db.ids(WIZARD, wizard, "sale_order_ids") {
        last = Some(invoice(db, order)?);
    }
    let invoice = last.ok_or_else(|| Refusal::user(NOTHING_TO_INVOICE))?;
    Ok(json!({"name": "Invoices", "type": "ir.actions.act_window", "res_model": ENTRY, "view_mode": "form", "res_id": invoice}))
}

fn invoice(db: &mut Db, order: Id) -> Outcome<Id> {
    super::sales::exists(db, order)?;
    let open = |db: &Db, line: Id| db.decimal(ORDER_LINE, line, "product_uom_qty") - db.decimal(ORDER_LINE, line, "qty_invoiced");
    let mut lines = db.ids(ORDER, order, "order_line");
    lines.retain(|line| db.one(ORDER_LINE, *line, "product_id").is_some() && open(db, *line) > Decimal::ZERO);
    if lines.is_empty() || db.text(ORDER, order, "state") != "sale" {
        return Err(Refusal::user(NOTHING_TO_INVOICE));
    }
    let copied = |field: &str| db.value(ORDER, order, field).clone();
    let mut values = row([
        ("move_type", json!("out_invoice")),
        ("ref", copied("client_order_ref")),
        ("invoice_origin", copied("name")),
        ("partner_id", copied("partner_invoice_id")),
        ("currency_id", copied("currency_id")),
    ]);
    defaults(db, ENTRY, &mut values)?;
    let entry = db.insert(ENTRY, values);
    for line in lines {
        let quantity = open(db, line);
        let mut values = copy(db, ORDER_LINE, line, &["name", "product_id", "price_unit", "discount", "tax_ids"]);
        values.extend(row([
            ("move_id", json!(entry)),
            ("quantity", number(quantity)),
            ("display_type", json!("product")),
            ("sale_line_ids", json!([line])),
        ]));
        db.insert(LINE, values);
        let invoiced = db.decimal(ORDER_LINE, line, "qty_invoiced") + quantity;
        db.set(ORDER_LINE, line, row([("qty_invoiced", number(invoiced))]));
    }
    attach(db, order, entry);
    recompute(db, entry);
    Ok(entry)
}

fn copy(db: &Db, model: &str, id: Id, fields: &[&str]) -> Row {
    fields.iter().map(|field| ((*field).to_owned(), db.value(model, id, field).clone())).collect()
}

fn attach(db: &mut Db, order: Id, entry: Id) {
    let mut invoices = db.ids(ORDER, order, "invoice_ids");
    invoices.push(entry);
    db.set(ORDER, order, row([("invoice_ids", json!(invoices))]));
}

/// Odoo links an order and its invoices by their lines: a credit note whose lines were replaced no longer belongs to it.
pub(super) fn still_of_an_order(db: &Db, entry: Id) -> bool {
    let lines = db.ids(ENTRY, entry, "invoice_line_ids");
    lines.iter().any(|line| !db.ids(LINE, *line, "sale_line_ids").is_empty())
}

/// Cancelling an order cancels its draft invoices and leaves posted ones alone.
pub(super) fn cancel_drafts(db: &mut Db, entries: &[Id]) {
    for entry in entries {
        if db.text(ENTRY, *entry, "state") == "draft" {
            db.set(ENTRY, *entry, row([("state", json!("cancel"))]));
        }
    }
}

pub(super) fn post(db: &mut Db, entry: Id) -> Outcome<()> {
    if !db.exists(ENTRY, entry) {
        return Err(Refusal::missing(ENTRY, entry));
    }
    if db.text(ENTRY, entry, "state") != "draft" {
        let name = db.text(ENTRY, entry, "name");
        return Err(Refusal::user(format!("The entry {name} (id {entry}) must be in draft.")));
    }
    if db.ids(ENTRY, entry, "invoice_line_ids").is_empty() {
        return Err(Refusal::user("Even magicians can't post nothing!"));
    }
    let today = records::today();
    let date = match db.text(ENTRY, entry, "invoice_date") {
        "" => today,
        date => date.to_owned(),
    };
    let prefix = if db.text(ENTRY, entry, "move_type") == "out_refund" { "RINV" } else { "INV" };
    let year = date.get(..4).unwrap_or_default().to_owned();
    let name = format!("{prefix}/{year}/{:05}", db.draw(&format!("{prefix}{year}")));
    let values = row([
        ("state", json!("posted")),
        ("name", json!(name)),
        ("invoice_date", json!(date)),
        ("date", json!(date)),
        ("payment_reference", json!(name)),
    ]);
    db.set(ENTRY, entry, values);
    offset_reversed(db, entry);
    Ok(())
}

/// A posted credit note settles the invoice that it reverses, as far as that one is open.
fn offset_reversed(db: &mut Db, credit: Id) {
    let Some(invoice) = db.one(ENTRY, credit, "reversed_entry_id") else { return };
    let (due, credited) = (db.decimal(ENTRY, invoice, "amount_residual"), db.decimal(ENTRY, credit, "amount_residual"));
    let offset = due.min(credited);
    if offset.is_zero() {
        return;
    }
    for (entry, residual) in [(invoice, due - offset), (credit, credited - offset)] {
        let by_credit_alone = entry == invoice && db.ids(ENTRY, invoice, "matched_payment_ids").is_empty();
        let state = match (residual.is_zero(), by_credit_alone) {
            (true, true) => "reversed",
            (true, false) => "paid",
            (false, _) => "partial",
        };
        db.set(ENTRY, entry, row([("amount_residual", number(residual)), ("payment_state", json!(state))]));
    }
}

// --- payments

fn register_defaults(db: &Db, values: &mut Row) -> Outcome<()> {
    let entries = values.get("move_ids").map(as_ids).unwrap_or_default();
    if entries.is_empty() {
        return Err(Refusal::user(
            "The register payment wizard should only be called on account.move or account.move.line records.",
        ));
    }
    if let Some(missing) = entries.iter().find(|entry| !db.exists(ENTRY, **entry)) {
        return Err(Refusal::missing(ENTRY, *missing));
    }
    let due: Decimal = entries.iter().map(|entry| db.decimal(ENTRY, *entry, "amount_residual")).sum();
    if due.is_zero() {
        return Err(Refusal::user(
            "There's nothing left to pay for the selected journal items, so no payment registration is necessary. You've \
             got your finances under control like a boss!",
        ));
    }
    let first = entries[0];
    values.entry("amount").or_insert(number(due));
    values.entry("payment_date").or_insert(json!(records::today()));
    let currency = db.value(ENTRY, first, "currency_id").clone();
    values.entry("currency_id").or_insert(currency);
    let reference = db.value(ENTRY, first, "name").clone();
    values.entry("communication").or_insert(reference);
    values.entry("journal_id").or_insert(json!(db.find("account.journal", "type", "bank")));
    let difference = due - records::as_decimal(&values["amount"]);
    values.insert("payment_difference".into(), number(difference));
    Ok(())
}

pub(super) fn create_payments(db: &mut Db, wizard: Id) -> Outcome<Value> {
    if !db.exists(REGISTER, wizard) {
        return Err(Refusal::missing(REGISTER, wizard));
    }
    let mut left = db.decimal(REGISTER, wizard, "amount");
    let entries = db.ids(REGISTER, wizard, "move_ids");
    let mut made = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let due = db.decimal(ENTRY, *entry, "amount_residual");
        // What is left over stays with the last invoice as an overpayment.
        let amount = if at + 1 == entries.len() { left } else { left.min(due) };
        left -= amount;
        made.push(pay(db, wizard, *entry, amount));
    }
    let payment = made.last();
    Ok(json!({
        "name": "Payments", "type": "ir.actions.act_window", "res_model": PAYMENT,
        "context": {"create": false}, "view_mode": "form", "res_id": payment,
    }))
}

fn pay(db: &mut Db, wizard: Id, entry: Id, amount: Decimal) -> Id {
    let journal = db.one(REGISTER, wizard, "journal_id").unwrap_or_default();
    let date = db.text(REGISTER, wizard, "payment_date").to_owned();
    let name = payment_name(db, journal, &date);
    let inbound = db.text(ENTRY, entry, "move_type") != "out_refund";
    let values = row([
        ("name", json!(name)),
        ("memo", db.value(REGISTER, wizard, "communication").clone()),
        ("amount", number(amount)),
        ("currency_id", db.value(REGISTER, wizard, "currency_id").clone()),
        ("state", json!("paid")),
        ("date", json!(date)),
        ("journal_id", json!(journal)),
        ("partner_id", db.value(ENTRY, entry, "partner_id").clone()),
        ("payment_type", json!(if inbound { "inbound" } else { "outbound" })),
        ("partner_type", json!("customer")),
        ("invoice_ids", json!([entry])),
        ("reconciled_invoice_ids", json!([entry])),
    ]);
    let payment = db.insert(PAYMENT, values);
    let mut matched = db.ids(ENTRY, entry, "matched_payment_ids");
    matched.insert(0, payment);
    let residual = (db.decimal(ENTRY, entry, "amount_residual") - amount).max(Decimal::ZERO);
    let state = if residual.is_zero() { "paid" } else { "partial" };
    let values =
        row([("matched_payment_ids", json!(matched)), ("amount_residual", number(residual)), ("payment_state", json!(state))]);
    db.set(ENTRY, entry, values);
    payment
}

/// A payment that was entered by itself. It stands on the customer's account; no invoice is settled by it.
pub(super) fn post_payment(db: &mut Db, payment: Id) -> Outcome<()> {
    if !db.exists(PAYMENT, payment) {
        return Err(Refusal::missing(PAYMENT, payment));
    }
    if db.text(PAYMENT, payment, "state") == "draft" {
        let journal = db.one(PAYMENT, payment, "journal_id").unwrap_or_default();
        let date = db.text(PAYMENT, payment, "date").to_owned();
        let name = payment_name(db, journal, &date);
        db.set(PAYMENT, payment, row([("state", json!("in_process")), ("name", json!(name))]));
    }
    Ok(())
}

fn payment_name(db: &mut Db, journal: Id, date: &str) -> String {
    let code = db.text("account.journal", journal, "code");
    let prefix = format!("P{code}/{}", date.get(..4).unwrap_or_default());
    format!("{prefix}/{:05}", db.draw(&prefix))
}

// --- credit notes

/// `account.move.reversal/refund_moves`: a draft credit note with every line of the invoice.
pub(super) fn refund_moves(db: &mut Db, wizard: Id) -> Outcome<Value> {
    if !db.exists(REVERSAL, wizard) {
        return Err(Refusal::missing(REVERSAL, wizard));
    }
    let mut made = Vec::new();
    for entry in db.ids(REVERSAL, wizard, "move_ids") {
        if db.text(ENTRY, entry, "state") != "posted" {
            return Err(Refusal::user("To reverse a journal entry, it has to be posted first."));
        }
        made.push(reverse(db, wizard, entry));
    }
    db.set(REVERSAL, wizard, row([("new_move_ids", json!(made))]));
    Ok(json!({
        "name": "Reverse Moves", "type": "ir.actions.act_window", "res_model": ENTRY, "view_mode": "form",
        "res_id": made.last(), "context": {"default_move_type": "out_refund"},
    }))
}

fn reverse(db: &mut Db, wizard: Id, entry: Id) -> Id {
    let name = db.text(ENTRY, entry, "name");
    let reference = match db.text(REVERSAL, wizard, "reason") {
        "" => format!("Reversal of: {name}"),
        reason => format!("Reversal of: {name}, {reason}"),
    };
    let date = match db.text(REVERSAL, wizard, "date") {
        "" => records::today(),
        date => date.to_owned(),
    };
    let mut values = copy(db, ENTRY, entry, &["invoice_origin", "partner_id", "currency_id", "company_id"]);
    values.extend(row([
        ("move_type", json!("out_refund")),
        ("state", json!("draft")),
        ("payment_state", json!("not_paid")),
        ("ref", json!(reference)),
        ("date", json!(date)),
        ("invoice_date", json!(date)),
        ("journal_id", db.value(REVERSAL, wizard, "journal_id").clone()),
        ("reversed_entry_id", json!(entry)),
    ]));
    let credit = db.insert(ENTRY, values);
    for line in db.ids(ENTRY, entry, "invoice_line_ids") {
        let fields = ["name", "product_id", "quantity", "price_unit", "discount", "tax_ids", "display_type", "sale_line_ids"];
        let mut values = copy(db, LINE, line, &fields);
        values.insert("move_id".into(), json!(credit));
        db.insert(LINE, values);
    }
    let orders = db.all_ids(ORDER).into_iter().filter(|order| db.ids(ORDER, *order, "invoice_ids").contains(&entry));
    for order in orders.collect::<Vec<_>>() {
        attach(db, order, credit);
    }
    recompute(db, credit);
    credit
}
