//! What Tryton works out and keeps watch over: amounts, states, stock, and what may be changed when.

use super::{
    db::{Db, Id, Row, decimal, number},
    error::{Outcome, Refusal},
    schema::Model,
};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const SALE: &str = "sale.sale";
pub(super) const SALE_LINE: &str = "sale.line";
pub(super) const INVOICE: &str = "account.invoice";
pub(super) const INVOICE_LINE: &str = "account.invoice.line";
pub(super) const MOVE: &str = "stock.move";
pub(super) const SHIPMENT: &str = "stock.shipment.out";
pub(super) const PRODUCT: &str = "product.product";

pub(super) fn computed(db: &Db, model: &str, id: Id, field: &str) -> Value {
    match (model, field) {
        (SALE, "total_amount") => decimal(total(db, SALE_LINE, &lines(db, SALE_LINE, "sale", id), digits(db, SALE, id))),
        (SALE, "invoices") => json!(invoices(db, id)),
        (SALE, "shipments") => json!(shipments(db, id)),
        (SALE, "invoice_state") => json!(invoice_state(db, id)),
        (SALE, "shipment_state") => json!(shipment_state(db, id)),
        (INVOICE, "total_amount") => decimal(invoice_total(db, id)),
        (INVOICE, "amount_to_pay") => decimal(to_pay(db, id)),
        (INVOICE_LINE, "amount") => decimal(amount(db, INVOICE_LINE, id, digits(db, INVOICE_LINE, id))),
        (MOVE, "internal_quantity") => db.stored(MOVE, id, "quantity").clone(),
        (PRODUCT, "quantity") => float(on_hand(db, id)),
        (PRODUCT, "sale_price_uom") => price(db, id),
        _ => Value::Null,
    }
}

pub(super) fn float(amount: Decimal) -> Value {
    let text = amount.normalize().to_string();
    let text = if text.contains('.') { text } else { format!("{text}.0") };
    serde_json::from_str(&text).unwrap_or_default()
}

// --- amounts

/// Digits of the currency of a record.
pub(super) fn digits(db: &Db, model: &str, id: Id) -> u32 {
    let currency = db.one(model, id, "currency").unwrap_or_default();
    db.stored("currency.currency", currency, "digits").as_u64().and_then(|it| u32::try_from(it).ok()).unwrap_or(2)
}

/// Half to even, as Tryton rounds.
fn round(amount: Decimal, digits: u32) -> Decimal {
    let mut rounded = amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointNearestEven);
    rounded.rescale(digits);
    rounded
}

pub(super) fn lines(db: &Db, model: &str, by: &str, id: Id) -> Vec<Id> {
    let lines = db.by(model, by, &json!(id));
    lines.into_iter().filter(|it| db.text(model, *it, "type") == "line").collect()
}

fn exact(db: &Db, model: &str, line: Id) -> Decimal {
    number(db.stored(model, line, "quantity")) * number(db.stored(model, line, "unit_price"))
}

fn amount(db: &Db, model: &str, line: Id, digits: u32) -> Decimal {
    round(exact(db, model, line), digits)
}

/// Lines are rounded one by one, taxes once for each over all lines of the document.
fn total(db: &Db, model: &str, lines: &[Id], digits: u32) -> Decimal {
    let mut taxes: BTreeMap<Id, Decimal> = BTreeMap::new();
    let mut sum = round(Decimal::ZERO, digits);
    for line in lines {
        sum += amount(db, model, *line, digits);
        for tax in db.list(model, *line, "taxes") {
            *taxes.entry(tax).or_default() += exact(db, model, *line) * number(db.stored("account.tax", tax, "rate"));
        }
    }
    sum + taxes.into_values().map(|it| round(it, digits)).sum::<Decimal>()
}

pub(super) fn invoice_total(db: &Db, id: Id) -> Decimal {
    total(db, INVOICE_LINE, &lines(db, INVOICE_LINE, "invoice", id), digits(db, INVOICE, id))
}

/// Nothing is due before an invoice is posted, and after it was paid.
pub(super) fn to_pay(db: &Db, id: Id) -> Decimal {
    match db.text(INVOICE, id, "state") {
        "posted" => invoice_total(db, id) - number(db.stored(INVOICE, id, "paid")),
        _ => Decimal::ZERO,
    }
}

// --- states of a sale

pub(super) fn origin_of(model: &str, id: Id) -> Value {
    json!(format!("{model},{id}"))
}

fn sale_lines(db: &Db, sale: Id) -> Vec<Id> {
    db.by(SALE_LINE, "sale", &json!(sale))
}

pub(super) fn invoices(db: &Db, sale: Id) -> Vec<Id> {
    let lines = sale_lines(db, sale).into_iter().flat_map(|it| db.by(INVOICE_LINE, "origin", &origin_of(SALE_LINE, it)));
    let mut found: Vec<Id> = lines.filter_map(|it| db.one(INVOICE_LINE, it, "invoice")).collect();
    found.sort_unstable();
    found.dedup();
    found
}

pub(super) fn moves(db: &Db, sale: Id) -> Vec<Id> {
    sale_lines(db, sale).into_iter().flat_map(|it| db.by(MOVE, "origin", &origin_of(SALE_LINE, it))).collect()
}

pub(super) fn shipments(db: &Db, sale: Id) -> Vec<Id> {
    let mut found: Vec<Id> = moves(db, sale).into_iter().filter_map(|it| db.one(MOVE, it, "shipment")).collect();
    found.sort_unstable();
    found.dedup();
    found
}

pub(super) fn invoice_state(db: &Db, sale: Id) -> &'static str {
    let ignored = db.list(SALE, sale, "invoices_ignored");
    let states: Vec<&str> =
        invoices(db, sale).into_iter().filter(|it| !ignored.contains(it)).map(|it| db.text(INVOICE, it, "state")).collect();
    let all = |state| states.iter().all(|it| *it == state);
    let any = |state| states.contains(&state);
    match () {
        () if states.is_empty() => "none",
        () if any("cancelled") => "exception",
        () if all("paid") => "paid",
        () if any("paid") => "partially paid",
        () if any("posted") => "awaiting payment",
        () => "pending",
    }
}

pub(super) fn open_exceptions(db: &Db, sale: Id) -> Vec<Id> {
    let ignored: Vec<Id> = sale_lines(db, sale).into_iter().flat_map(|it| db.list(SALE_LINE, it, "moves_ignored")).collect();
    let is_open = |it: &Id| db.text(MOVE, *it, "state") == "cancelled" && !ignored.contains(it);
    moves(db, sale).into_iter().filter(is_open).collect()
}

pub(super) fn shipment_state(db: &Db, sale: Id) -> &'static str {
    let states: Vec<&str> = moves(db, sale).into_iter().map(|it| db.text(MOVE, it, "state")).collect();
    let live: Vec<&&str> = states.iter().filter(|it| **it != "cancelled").collect();
    let done = live.iter().filter(|it| ***it == "done").count();
    match () {
        () if !open_exceptions(db, sale).is_empty() => "exception",
        () if live.is_empty() => "none",
        () if done == live.len() => "sent",
        () if done > 0 => "partially shipped",
        () => "waiting",
    }
}

// --- stock and prices

/// In the locations of the context, and only there.
fn on_hand(db: &Db, product: Id) -> Decimal {
    let places = db.context.get("locations").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_inside = |location: Option<Id>| {
        let mut at = location;
        while let Some(id) = at {
            if places.contains(&json!(id)) {
                return true;
            }
            at = db.one("stock.location", id, "parent");
        }
        false
    };
    let mut sum = Decimal::ZERO;
    for moved in db.by(MOVE, "product", &json!(product)).into_iter().filter(|it| db.text(MOVE, *it, "state") == "done") {
        let quantity = number(db.stored(MOVE, moved, "quantity"));
        let (from, to) = (is_inside(db.one(MOVE, moved, "from_location")), is_inside(db.one(MOVE, moved, "to_location")));
        sum += if to { quantity } else { Decimal::ZERO } - if from { quantity } else { Decimal::ZERO };
    }
    sum
}

fn price(db: &Db, product: Id) -> Value {
    let template = db.stored(PRODUCT, product, "template");
    let list = db.by("product.list_price", "template", template);
    let Some(price) = list.last().map(|it| db.stored("product.list_price", *it, "list_price")).filter(|it| !it.is_null()) else {
        return Value::Null;
    };
    let factor = db.context.get("price_list").and_then(|it| db.by("product.price_list.line", "price_list", it).first().copied());
    let factor = factor.map_or(Decimal::ONE, |it| number(db.stored("product.price_list.line", it, "factor")));
    decimal((number(price) * factor).round_dp(4))
}

// --- rules

pub(super) fn defaults(db: &mut Db, model: &'static str, id: Id) {
    let company = db.context.get("company").cloned().unwrap_or(json!(1));
    let currency = db.stored("company.company", 1, "currency").clone();
    let values = match model {
        SALE => json!({ "state": "draft", "company": company, "currency": currency, "invoice_method": "order",
            "shipment_method": "order", "shipment_cost_method": "order", "warehouse": db.by("stock.location", "type", &json!("warehouse")).first() }),
        SALE_LINE => json!({ "type": "line" }),
        INVOICE => json!({ "state": "draft", "type": "out", "company": company, "currency": currency }),
        INVOICE_LINE => json!({ "type": "line", "company": company, "currency": currency }),
        _ => json!({}),
    };
    for (field, value) in values.as_object().into_iter().flatten() {
        db.set(model, id, field, value.clone());
    }
}

/// Fields of a sale and its lines that stay open to the end.
const OPEN: [&str; 4] = ["comment", "reference", "note", "moves_ignored"];

pub(super) fn may_write(db: &Db, model: &'static str, id: Id, values: &Row) -> Outcome<()> {
    let (sale, label) = match model {
        SALE => (id, "Sale"),
        SALE_LINE => (db.one(SALE_LINE, id, "sale").unwrap_or_default(), "Sale Line"),
        INVOICE => return may_write_invoice(db, id),
        _ => return Ok(()),
    };
    let closed = values.keys().find(|it| !OPEN.contains(&it.as_str()));
    match closed.filter(|_| db.text(SALE, sale, "state") != "draft") {
        Some(field) => Err(not_modifiable(&title(field), &name(db, SALE, sale), label)),
        None => Ok(()),
    }
}

fn may_write_invoice(db: &Db, id: Id) -> Outcome<()> {
    if matches!(db.text(INVOICE, id, "state"), "draft" | "validated") {
        return Ok(());
    }
    let text = format!("You cannot modify invoice \"{}\" because it is posted, paid or cancelled.", name(db, INVOICE, id));
    Err(Refusal::User(text))
}

fn not_modifiable(field: &str, record: &str, model: &str) -> Refusal {
    Refusal::User(format!("You are not allowed to modify the field \"{field}\" in record \"{record}\" of \"{model}\"."))
}

fn title(field: &str) -> String {
    let words = field.split('_').map(|it| it[..1].to_uppercase() + &it[1..]);
    words.collect::<Vec<_>>().join(" ")
}

/// What a record is called: `2 [#1001]`.
pub(super) fn name(db: &Db, model: &str, id: Id) -> String {
    let (number, reference) = (db.text(model, id, "number"), db.text(model, id, "reference"));
    match (number, reference) {
        ("", "") => format!("({id})"),
        (number, "") => number.to_owned(),
        ("", reference) => format!("[{reference}]"),
        (number, reference) => format!("{number} [{reference}]"),
    }
}

pub(super) fn check(db: &Db, model: &'static Model, id: Id, is_new: bool) -> Outcome<()> {
    let clashes = |field: &str| {
        let value = db.stored(model.name, id, field);
        !value.is_null() && db.by(model.name, field, value).len() > 1
    };
    match model.name {
        "party.party" if clashes("code") => Err(Refusal::user("The code on party must be unique.")),
        PRODUCT if clashes("code") => Err(Refusal::user("Code of active product must be unique.")),
        SALE => check_sale(db, id),
        SALE_LINE => check_sale_line(db, id, is_new),
        INVOICE_LINE => check_invoice_line(db, id),
        _ => Ok(()),
    }
}

fn check_sale(db: &Db, id: Id) -> Outcome<()> {
    let shop = db.stored(SALE, id, "web_shop");
    let same = db.by(SALE, "web_id", db.stored(SALE, id, "web_id"));
    if !shop.is_null() && same.into_iter().filter(|it| db.stored(SALE, *it, "web_shop") == shop).count() > 1 {
        return Err(Refusal::user("The web ID on the sale must be unique per shop."));
    }
    if db.one(SALE, id, "party").is_none() {
        return Err(Refusal::User(format!(
            "A value is required for field \"Party\" in record \"{}\" of \"Sale\".",
            name(db, SALE, id)
        )));
    }
    for (field, label) in [("invoice_address", "Invoice Address"), ("shipment_address", "Shipment Address")] {
        let Some(address) = db.one(SALE, id, field) else { continue };
        if db.stored("party.address", address, "party") != db.stored(SALE, id, "party") {
            return Err(not_in_domain(&address.to_string(), label, &name(db, SALE, id), "Sale"));
        }
    }
    Ok(())
}

fn not_in_domain(value: &str, field: &str, record: &str, model: &str) -> Refusal {
    let text = format!(
        "The value \"{value}\" for field \"{field}\" in record \"{record}\" of \"{model}\" is not valid according to its domain."
    );
    Refusal::User(text)
}

fn check_sale_line(db: &Db, id: Id, is_new: bool) -> Outcome<()> {
    let sale = db.one(SALE_LINE, id, "sale").unwrap_or_default();
    let record = name(db, SALE, sale);
    if is_new && db.text(SALE, sale, "state") != "draft" {
        return Err(not_modifiable("Type", &record, "Sale Line"));
    }
    if db.text(SALE_LINE, id, "type") != "line" {
        return Ok(());
    }
    if let Some(product) = db.one(SALE_LINE, id, "product")
        && *db.stored(PRODUCT, product, "salable") != json!(true)
    {
        return Err(not_in_domain(&product.to_string(), "Product", &record, "Sale Line"));
    }
    for tax in db.list(SALE_LINE, id, "taxes") {
        if db.stored("account.tax", tax, "rate").is_null() {
            return Err(not_in_domain(&tax.to_string(), "Taxes", &record, "Sale Line"));
        }
    }
    too_fine(db, SALE_LINE, id, "unit_price", 4, &record)?;
    too_fine(db, SALE_LINE, id, "quantity", 0, &record)
}

fn too_fine(db: &Db, model: &str, id: Id, field: &str, digits: u32, record: &str) -> Outcome<()> {
    let value = number(db.stored(model, id, field)).normalize();
    if value.scale() <= digits {
        return Ok(());
    }
    let text = format!(
        "The number of digits in the value \"'{value}'\" for field \"{}\" in record \"{record}\" of \"Sale Line\" exceeds the limit of \"(None, {digits})\".",
        title(field)
    );
    Err(Refusal::User(text))
}

fn check_invoice_line(db: &Db, id: Id) -> Outcome<()> {
    let invoice = db.one(INVOICE_LINE, id, "invoice").unwrap_or_default();
    if db.stored(INVOICE_LINE, id, "currency") != db.stored(INVOICE, invoice, "currency") {
        return Err(not_in_domain(&id.to_string(), "Lines", &name(db, INVOICE, invoice), "Account Invoice"));
    }
    Ok(())
}
