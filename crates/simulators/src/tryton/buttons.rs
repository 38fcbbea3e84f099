//! Buttons and wizards: how sales, invoices and shipments go on.

use super::{
    books::{self, INVOICE, INVOICE_LINE, MOVE, PRODUCT, SALE, SALE_LINE, SHIPMENT, float, lines, origin_of},
    db::{Db, Id, Row, decimal, ids_of, number},
    error::{Outcome, Refusal},
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

pub(super) fn press(db: &mut Db, model: &str, button: &str, ids: &[Id]) -> Outcome<()> {
    for id in ids {
        match (model, button) {
            (SALE, _) => sale(db, button, *id)?,
            (INVOICE, _) => invoice(db, button, *id)?,
            (SHIPMENT, _) => shipment(db, button, *id)?,
            _ => return Err(Refusal::Status(403, FORBIDDEN)),
        }
    }
    Ok(())
}

pub(super) const FORBIDDEN: &str = "You don&#39;t have the permission to access the requested resource. It is either read-protected or not readable by the server.";

fn sale(db: &mut Db, button: &str, id: Id) -> Outcome<()> {
    let state = db.text(SALE, id, "state").to_owned();
    let to = match (button, state.as_str()) {
        ("quote", "draft") => "quotation",
        ("confirm", "quotation") => "confirmed",
        ("draft", "quotation" | "confirmed" | "cancelled") => "draft",
        ("cancel", "draft" | "quotation") => "cancelled",
        ("process", "confirmed" | "processing" | "done") => return process(db, id),
        ("quote" | "confirm" | "draft" | "cancel", _) => {
            return Err(Refusal::not_callable(button, &books::name(db, SALE, id), "Sale"));
        }
        _ => return Err(Refusal::Status(403, FORBIDDEN)),
    };
    if button == "quote" {
        if db.one(SALE, id, "invoice_address").is_none() {
            let text = format!("To get a quote for sale \"{}\" you must enter an invoice address.", books::name(db, SALE, id));
            return Err(Refusal::User(text));
        }
        if db.stored(SALE, id, "number").is_null() {
            let number = db.next("sale");
            db.set(SALE, id, "number", number);
        }
    }
    db.set(SALE, id, "state", json!(to));
    // By the queue, which runs at once where no worker is set up.
    if button == "confirm" { process(db, id) } else { Ok(()) }
}

/// Makes invoice and shipment, once; and sees whether there is anything left to do.
pub(super) fn process(db: &mut Db, id: Id) -> Outcome<()> {
    if db.text(SALE, id, "state") == "confirmed" {
        if db.text(SALE, id, "invoice_method") == "order" {
            make_invoice(db, id);
        }
        make_shipment(db, id);
    }
    let invoiced = matches!(books::invoice_state(db, id), "paid" | "none");
    let shipped = matches!(books::shipment_state(db, id), "sent" | "none");
    db.set(SALE, id, "state", json!(if invoiced && shipped { "done" } else { "processing" }));
    Ok(())
}

fn make_invoice(db: &mut Db, sale: Id) {
    let sold = lines(db, SALE_LINE, "sale", sale);
    if sold.is_empty() {
        return;
    }
    let of = |field: &str| db.stored(SALE, sale, field).clone();
    let values = json!({ "state": "draft", "type": "out", "company": of("company"), "party": of("party"), "account": 39, "journal": 1,
        "invoice_address": of("invoice_address"), "currency": of("currency") });
    let invoice = db.insert(INVOICE, values);
    for line in sold {
        let mut row = Row::new();
        for field in ["type", "product", "unit", "quantity", "unit_price", "taxes", "description", "note"] {
            row.insert(field.into(), db.stored(SALE_LINE, line, field).clone());
        }
        row.insert("invoice".into(), json!(invoice));
        row.insert("company".into(), db.stored(SALE, sale, "company").clone());
        row.insert("currency".into(), db.stored(SALE, sale, "currency").clone());
        row.insert("account".into(), json!(99));
        row.insert("origin".into(), origin_of(SALE_LINE, line));
        db.insert(INVOICE_LINE, Value::Object(row));
    }
}

fn make_shipment(db: &mut Db, sale: Id) {
    let goods = |db: &Db, line: &Id| {
        let product = db.one(SALE_LINE, *line, "product").unwrap_or_default();
        db.text(PRODUCT, product, "type") == "goods"
    };
    let sold: Vec<Id> = lines(db, SALE_LINE, "sale", sale).into_iter().filter(|it| goods(db, it)).collect();
    if sold.is_empty() {
        return;
    }
    let number = db.next("shipment");
    let warehouse = db.one(SALE, sale, "warehouse").unwrap_or_default();
    let company = db.stored(SALE, sale, "company").clone();
    let shipment = json!({ "state": "waiting", "number": number, "warehouse": warehouse, "company": company });
    let shipment = db.insert(SHIPMENT, shipment);
    let place = |db: &Db, kind: &str| db.by("stock.location", "type", &json!(kind)).first().copied();
    let output = db.by("stock.location", "code", &json!("OUT")).first().copied();
    for line in sold {
        let quantity = number_of(db, line);
        let values = json!({ "product": db.stored(SALE_LINE, line, "product"), "quantity": float(quantity), "state": "draft",
            "origin": origin_of(SALE_LINE, line), "from_location": output, "to_location": place(db, "customer"),
            "shipment": shipment, "company": company });
        db.insert(MOVE, values);
    }
}

fn number_of(db: &Db, line: Id) -> Decimal {
    number(db.stored(SALE_LINE, line, "quantity"))
}

/// The sales that an invoice or a shipment is of.
fn sales_of(db: &Db, is_of: impl Fn(&Db, Id) -> bool) -> Vec<Id> {
    let processed = |db: &Db, id: Id| matches!(db.text(SALE, id, "state"), "processing" | "done");
    db.ids(SALE).into_iter().filter(|it| processed(db, *it) && is_of(db, *it)).collect()
}

fn reprocess(db: &mut Db, sales: Vec<Id>) -> Outcome<()> {
    sales.into_iter().try_for_each(|it| process(db, it))
}

fn invoice(db: &mut Db, button: &str, id: Id) -> Outcome<()> {
    let state = db.text(INVOICE, id, "state").to_owned();
    let is_open = matches!(state.as_str(), "draft" | "validated");
    match button {
        "post" if is_open => {
            warn_of_taxes(db, id)?;
            let number = db.next("invoice");
            db.set(INVOICE, id, "number", number);
            db.set(INVOICE, id, "state", json!("posted"));
        }
        "cancel" if is_open => db.set(INVOICE, id, "state", json!("cancelled")),
        "delete" if is_open => {
            for line in db.by(INVOICE_LINE, "invoice", &json!(id)) {
                db.remove(INVOICE_LINE, line);
            }
            db.remove(INVOICE, id);
            return Ok(());
        }
        "delete" => {
            let name = books::name(db, INVOICE, id);
            return Err(Refusal::User(format!("You cannot modify invoice \"{name}\" because it is posted, paid or cancelled.")));
        }
        "post" | "cancel" => return Err(Refusal::not_callable(button, &books::name(db, INVOICE, id), "Account Invoice")),
        _ => return Err(Refusal::Status(403, FORBIDDEN)),
    }
    let sales = sales_of(db, |db, sale| books::invoices(db, sale).contains(&id));
    reprocess(db, sales)
}

/// A line whose taxes are not those of its product is asked about.
fn warn_of_taxes(db: &mut Db, id: Id) -> Outcome<()> {
    for line in lines(db, INVOICE_LINE, "invoice", id) {
        let Some(product) = db.one(INVOICE_LINE, line, "product") else { continue };
        let category = db.one(PRODUCT, product, "account_category").unwrap_or_default();
        if db.list("product.category", category, "taxes") != db.list(INVOICE_LINE, line, "taxes") {
            let name = books::name(db, INVOICE, id);
            let text =
                format!("The invoice \"{name}\" does not have the default taxes for {}.", db.text(PRODUCT, product, "code"));
            return warn(db, format!("{id:032x}.invoice_taxes"), text);
        }
    }
    Ok(())
}

fn warn(db: &mut Db, name: String, text: String) -> Outcome<()> {
    if db.accepted.remove(&name) { Ok(()) } else { Err(Refusal::Warning(name, text)) }
}

pub(super) fn shipment(db: &mut Db, button: &str, id: Id) -> Outcome<()> {
    let state = db.text(SHIPMENT, id, "state").to_owned();
    let (to, moves) = match (button, state.as_str()) {
        ("cancel", "draft" | "waiting" | "assigned" | "picked" | "packed") => ("cancelled", Some("cancelled")),
        ("assign_force", "waiting") => ("assigned", None),
        ("pick", "assigned") => ("picked", None),
        ("pack", "picked") => ("packed", Some("assigned")),
        ("ship", "packed") => ("shipped", None),
        ("do", "packed" | "shipped") => ("done", Some("done")),
        _ => return Err(Refusal::not_callable(button, db.text(SHIPMENT, id, "number"), "Customer Shipment")),
    };
    if button == "pack" && db.one(SHIPMENT, id, "carrier").is_none() {
        let text = format!("The shipment \"{}\" does not have a carrier set.", db.text(SHIPMENT, id, "number"));
        warn(db, format!("{id:032x}.no_carrier"), text)?;
    }
    if to == "done" {
        let today = db.today();
        db.set(SHIPMENT, id, "effective_date", today);
    }
    for moved in db.by(MOVE, "shipment", &json!(id)) {
        if let Some(state) = moves {
            db.set(MOVE, moved, "state", json!(state));
        }
    }
    db.set(SHIPMENT, id, "state", json!(to));
    let sales = sales_of(db, |db, sale| books::shipments(db, sale).contains(&id));
    reprocess(db, sales)
}

// --- wizards

const PAY: &str = "account.invoice.pay";

pub(super) fn open(db: &mut Db, name: &str) -> Outcome<Value> {
    let start = match name {
        PAY => "start",
        "sale.handle.shipment.exception" | "sale.handle.invoice.exception" => "ask",
        _ => return Err(Refusal::key(name)),
    };
    let session = db.wizards.keys().last().copied().unwrap_or_default() + 1;
    db.wizards.insert(session, (name.to_owned(), Row::new()));
    Ok(json!([session, start, "end"]))
}

pub(super) fn step(db: &mut Db, name: &str, session: Id, data: &Value, state: &str) -> Outcome<Value> {
    let Some((_, known)) = db.wizards.get_mut(&session).filter(|(it, _)| it == name) else {
        let text = format!("You are trying to read records \"{session}\" of \"Wizard Session\" that don't exist.");
        return Err(Refusal::User(text));
    };
    known.extend(data.as_object().cloned().unwrap_or_default());
    let data = known.clone();
    let record = db.context.get("active_id").and_then(Value::as_i64).unwrap_or_default();
    match (name, state) {
        (PAY, "choice") => pay(db, record, &data, false),
        (PAY, "pay") => pay(db, record, &data, true),
        (_, "ask") => Ok(form(questions(db, name, record))),
        (_, "handle") => handle(db, name, record, &data),
        _ => Err(Refusal::key(state)),
    }
}

fn form(defaults: Value) -> Value {
    json!({ "view": { "defaults": defaults, "values": {}, "buttons": [] } })
}

fn questions(db: &Db, name: &str, sale: Id) -> Value {
    if name == "sale.handle.shipment.exception" {
        return json!({ "domain_moves": books::open_exceptions(db, sale) });
    }
    let ignored = db.list(SALE, sale, "invoices_ignored");
    let invoices = books::invoices(db, sale).into_iter();
    let open = invoices.filter(|it| db.text(INVOICE, *it, "state") == "cancelled" && !ignored.contains(it));
    json!({ "domain_invoices": open.collect::<Vec<_>>() })
}

fn handle(db: &mut Db, name: &str, sale: Id, data: &Map<String, Value>) -> Outcome<Value> {
    let asked = data.get("ask").cloned().unwrap_or_default();
    if name == "sale.handle.shipment.exception" {
        let ignored = ids_of(asked.get("ignore_moves"));
        for line in db.by(SALE_LINE, "sale", &json!(sale)) {
            let moves = db.by(MOVE, "origin", &origin_of(SALE_LINE, line));
            let mut list = db.list(SALE_LINE, line, "moves_ignored");
            list.extend(moves.into_iter().filter(|it| ignored.contains(it)));
            db.set(SALE_LINE, line, "moves_ignored", json!(list));
        }
    } else {
        let mut list = db.list(SALE, sale, "invoices_ignored");
        list.extend(ids_of(asked.get("ignore_invoices")));
        db.set(SALE, sale, "invoices_ignored", json!(list));
    }
    process(db, sale)?;
    Ok(json!({}))
}

/// All that is due is booked at once; of less or more it is asked what it is.
fn pay(db: &mut Db, invoice: Id, data: &Map<String, Value>, answered: bool) -> Outcome<Value> {
    let start = data.get("start").cloned().unwrap_or_default();
    let (amount, due) = (number(&start["amount"]), books::to_pay(db, invoice));
    let method = start["payment_method"].as_i64().unwrap_or_default();
    if db.stored("account.invoice.payment.method", method, "name").is_null() {
        let text = format!("You are trying to read records \"{method}\" of \"Payment Method\" that don't exist.");
        return Err(Refusal::User(text));
    }
    if amount != due && !answered {
        let kind = if amount >= due { "overpayment" } else { "partial" };
        return Ok(form(json!({ "type": kind, "amount": decimal(amount), "currency": start["currency"], "invoice": invoice,
            "invoice.": { "rec_name": books::name(db, INVOICE, invoice) }, "lines": [], "lines_to_pay": [], "payment_lines": [] })));
    }
    if due.is_zero() {
        let text =
            format!("You cannot overpay invoice \"{}\" because there is no more left to pay.", books::name(db, INVOICE, invoice));
        return Err(Refusal::User(text));
    }
    let paid = number(db.stored(INVOICE, invoice, "paid")) + amount.min(due);
    db.set(INVOICE, invoice, "paid", decimal(paid));
    db.insert("account.move", json!({ "description": start["description"], "origin": origin_of(INVOICE, invoice) }));
    if amount >= due {
        db.set(INVOICE, invoice, "state", json!("paid"));
    }
    let sales = sales_of(db, |db, sale| books::invoices(db, sale).contains(&invoice));
    reprocess(db, sales)?;
    Ok(json!({}))
}
