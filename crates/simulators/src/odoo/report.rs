//! The ERP's own account of what it holds, for comparing both ends without asking the hub.

use super::{
    accounting,
    records::{Db, Id},
};
use rust_decimal::Decimal;
use std::collections::HashMap;

/// A sales order as the ERP has it. Amounts carry the currency's decimals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub id: i64,
    pub name: String,
    pub client_order_ref: String,
    /// `module.name`, when the order was made by `load`.
    pub external_id: Option<String>,
    /// `draft`, `sale` or `cancel`.
    pub state: String,
    pub amount_untaxed: Decimal,
    pub amount_tax: Decimal,
    pub amount_total: Decimal,
    pub currency: String,
    pub partner: String,
    pub date_order: String,
    pub lines: Vec<OrderLine>,
    /// How many orders carry this `client_order_ref`: more than one is a duplicate.
    pub create_count: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderLine {
    pub sku: String,
    pub name: String,
    pub quantity: Decimal,
    pub price_unit: Decimal,
    pub discount: Decimal,
    pub subtotal: Decimal,
    pub total: Decimal,
}

/// An invoice or a credit note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    pub id: i64,
    pub name: String,
    /// The order's `client_order_ref`; of a credit note that of the order whose invoice it reverses.
    pub order: Option<String>,
    /// `draft`, `posted` or `cancel`.
    pub state: String,
    pub payment_state: String,
    pub reference: String,
    pub currency: String,
    pub amount: Decimal,
    pub amount_due: Decimal,
    /// The invoice that a credit note reverses.
    pub reverses: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub id: i64,
    pub name: String,
    pub memo: String,
    pub amount: Decimal,
    pub currency: String,
    /// Money in, as opposed to money paid back.
    pub inbound: bool,
    pub invoices: Vec<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    pub id: i64,
    pub name: String,
    pub email: String,
    pub reference: String,
    pub parent: Option<i64>,
    pub external_id: Option<String>,
}

fn amount(db: &Db, model: &str, id: Id, field: &str) -> Decimal {
    let mut amount = db.decimal(model, id, field);
    amount.rescale(accounting::digits(db, db.one(model, id, "currency_id")));
    amount
}

fn name_of(db: &Db, model: &str, id: Id, field: &str, related: &str) -> String {
    let target = db.one(model, id, field).unwrap_or_default();
    db.text(related, target, "name").to_owned()
}

fn external_ids(db: &Db, model: &str) -> HashMap<Id, String> {
    const DATA: &str = "ir.model.data";
    let of_model = db.all_ids(DATA).into_iter().filter(|id| db.text(DATA, *id, "model") == model);
    let pairs = of_model.filter_map(|id| Some((db.one(DATA, id, "res_id")?, db.text(DATA, id, "complete_name").to_owned())));
    pairs.collect()
}

pub(super) fn orders(db: &Db) -> Vec<Order> {
    const ORDER: &str = "sale.order";
    let external = external_ids(db, ORDER);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let ids = db.all_ids(ORDER);
    for id in &ids {
        *counts.entry(db.text(ORDER, *id, "client_order_ref")).or_default() += 1;
    }
    let order = |id: &Id| {
        let text = |field| db.text(ORDER, *id, field).to_owned();
        Order {
            id: *id,
            name: text("name"),
            create_count: counts.get(db.text(ORDER, *id, "client_order_ref")).copied().unwrap_or_default(),
            client_order_ref: text("client_order_ref"),
            external_id: external.get(id).cloned(),
            state: text("state"),
            amount_untaxed: amount(db, ORDER, *id, "amount_untaxed"),
            amount_tax: amount(db, ORDER, *id, "amount_tax"),
            amount_total: amount(db, ORDER, *id, "amount_total"),
            currency: name_of(db, ORDER, *id, "currency_id", "res.currency"),
            partner: name_of(db, ORDER, *id, "partner_id", "res.partner"),
            date_order: text("date_order"),
            lines: db.ids(ORDER, *id, "order_line").iter().map(|line| order_line(db, *line)).collect(),
        }
    };
    ids.iter().map(order).collect()
}

fn order_line(db: &Db, id: Id) -> OrderLine {
    const LINE: &str = "sale.order.line";
    let product = db.one(LINE, id, "product_id").unwrap_or_default();
    OrderLine {
        sku: db.text("product.product", product, "default_code").to_owned(),
        name: db.text(LINE, id, "name").to_owned(),
        quantity: db.decimal(LINE, id, "product_uom_qty"),
        price_unit: db.decimal(LINE, id, "price_unit"),
        discount: db.decimal(LINE, id, "discount"),
        subtotal: amount(db, LINE, id, "price_subtotal"),
        total: amount(db, LINE, id, "price_total"),
    }
}

pub(super) fn invoices(db: &Db, move_type: &str) -> Vec<Invoice> {
    const ENTRY: &str = "account.move";
    let mut order_of: HashMap<Id, String> = HashMap::new();
    for order in db.all_ids("sale.order") {
        for invoice in db.ids("sale.order", order, "invoice_ids") {
            order_of.insert(invoice, db.text("sale.order", order, "client_order_ref").to_owned());
        }
    }
    let ids = db.all_ids(ENTRY).into_iter().filter(|id| db.text(ENTRY, *id, "move_type") == move_type);
    let invoice = |id: Id| {
        let text = |field| db.text(ENTRY, id, field).to_owned();
        Invoice {
            id,
            name: text("name"),
            order: order_of.get(&id).cloned(),
            state: text("state"),
            payment_state: text("payment_state"),
            reference: text("ref"),
            currency: name_of(db, ENTRY, id, "currency_id", "res.currency"),
            amount: amount(db, ENTRY, id, "amount_total"),
            amount_due: amount(db, ENTRY, id, "amount_residual"),
            reverses: db.one(ENTRY, id, "reversed_entry_id"),
        }
    };
    ids.map(invoice).collect()
}

pub(super) fn payments(db: &Db) -> Vec<Payment> {
    const PAYMENT: &str = "account.payment";
    let payment = |id: Id| Payment {
        id,
        name: db.text(PAYMENT, id, "name").to_owned(),
        memo: db.text(PAYMENT, id, "memo").to_owned(),
        amount: amount(db, PAYMENT, id, "amount"),
        currency: name_of(db, PAYMENT, id, "currency_id", "res.currency"),
        inbound: db.text(PAYMENT, id, "payment_type") == "inbound",
        invoices: db.ids(PAYMENT, id, "invoice_ids"),
    };
    db.all_ids(PAYMENT).into_iter().map(payment).collect()
}

pub(super) fn partners(db: &Db) -> Vec<Partner> {
    const PARTNER: &str = "res.partner";
    let external = external_ids(db, PARTNER);
    let partner = |id: Id| Partner {
        id,
        name: db.text(PARTNER, id, "name").to_owned(),
        email: db.text(PARTNER, id, "email").to_owned(),
        reference: db.text(PARTNER, id, "ref").to_owned(),
        parent: db.one(PARTNER, id, "parent_id"),
        external_id: external.get(&id).cloned(),
    };
    db.all_ids(PARTNER).into_iter().map(partner).collect()
}
