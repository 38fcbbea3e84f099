//! Products, quants and transfers: what is on hand, what orders reserve, what was shipped.

use super::{
    error::{Outcome, Refusal},
    records::{self, Db, Id, Row, number, row},
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

const PRODUCT: &str = "product.product";
const TEMPLATE: &str = "product.template";
const QUANT: &str = "stock.quant";
const PICKING: &str = "stock.picking";
const MOVE: &str = "stock.move";
const ORDER: &str = "sale.order";
const LINE: &str = "sale.order.line";

/// What a variant shares with its template.
const SHARED: &[&str] = &[
    "name",
    "default_code",
    "barcode",
    "type",
    "is_storable",
    "list_price",
    "weight",
    "taxes_id",
    "uom_id",
    "invoice_policy",
    "description_sale",
    "sale_ok",
    "active",
];

// --- hooks of the record layer

pub(super) fn defaults(db: &mut Db, model: &str, values: &mut Row) {
    if model == "stock.location" && !values.contains_key("complete_name") {
        let name = values.get("name").cloned().unwrap_or_default();
        values.insert("complete_name".into(), name);
    }
    if !matches!(model, PRODUCT | TEMPLATE) {
        return;
    }
    let fixed = [
        ("type", json!("consu")),
        ("is_storable", json!(false)),
        ("list_price", json!(1.0)),
        ("uom_id", json!(1)),
        ("invoice_policy", json!("order")),
        ("sale_ok", json!(true)),
        ("active", json!(true)),
    ];
    for (name, value) in fixed {
        values.entry(name).or_insert(value);
    }
    if model == PRODUCT && !values.contains_key("product_tmpl_id") {
        let template = db.insert(TEMPLATE, Row::new());
        values.insert("product_tmpl_id".into(), json!(template));
    }
}

pub(super) fn changed(db: &mut Db, model: &str, id: Id, values: &Row, created: bool) -> Outcome<()> {
    match model {
        PRODUCT => {
            barcode_is_free(db, id)?;
            let Some(template) = db.one(PRODUCT, id, "product_tmpl_id") else { return Ok(()) };
            if values.keys().any(|name| SHARED.contains(&name.as_str())) {
                let shared = shared(db, PRODUCT, id);
                db.set(TEMPLATE, template, shared);
            }
        }
        TEMPLATE => {
            let shared = shared(db, TEMPLATE, id);
            let variants = variants(db, id);
            if variants.is_empty() && created {
                let mut variant = shared.clone();
                variant.insert("product_tmpl_id".into(), json!(id));
                db.insert(PRODUCT, variant);
            }
            // A change of the template leaves the variant's write_date alone: who polls must ask both.
            for variant in variants {
                db.set_quietly(PRODUCT, variant, shared.clone());
            }
        }
        _ => {}
    }
    Ok(())
}

fn shared(db: &Db, model: &str, id: Id) -> Row {
    let values = SHARED.iter().filter_map(|name| Some(((*name).to_owned(), db.row(model, id)?.get(*name)?.clone())));
    values.collect()
}

fn variants(db: &Db, template: Id) -> Vec<Id> {
    let mut ids = db.all_ids(PRODUCT);
    ids.retain(|id| db.one(PRODUCT, *id, "product_tmpl_id") == Some(template));
    ids
}

fn barcode_is_free(db: &Db, id: Id) -> Outcome<()> {
    let barcode = db.text(PRODUCT, id, "barcode");
    let taken = !barcode.is_empty() && db.find(PRODUCT, "barcode", barcode).is_some_and(|other| other != id);
    match taken {
        true => Err(Refusal::validation(format!(
            "Barcode(s) already assigned:\n\n- Barcode \"{barcode}\" already assigned to product(s)"
        ))),
        false => Ok(()),
    }
}

pub(super) fn computed(db: &Db, model: &str, id: Id, field: &str) -> Option<Value> {
    if let (PRODUCT | TEMPLATE, "currency_id") = (model, field) {
        return Some(db.value("res.company", 1, "currency_id").clone());
    }
    let quantity = match (model, field) {
        (PRODUCT | TEMPLATE, "lst_price") => db.decimal(model, id, "list_price"),
        (TEMPLATE, "product_tmpl_id") => return Some(json!(id)),
        (PRODUCT, "qty_available") => on_hand(db, id).0,
        (PRODUCT, "free_qty") => on_hand(db, id).0 - on_hand(db, id).1,
        (PRODUCT, "virtual_available") => on_hand(db, id).0 - demanded(db, id),
        (QUANT, "available_quantity") => available(db, id),
        _ => return None,
    };
    Some(number(quantity))
}

/// Quantity and reservation of a product over all internal locations.
fn on_hand(db: &Db, product: Id) -> (Decimal, Decimal) {
    let quants = db.all_ids(QUANT).into_iter().filter(|quant| db.one(QUANT, *quant, "product_id") == Some(product));
    let mut sums = (Decimal::ZERO, Decimal::ZERO);
    for quant in quants {
        sums.0 += db.decimal(QUANT, quant, "quantity");
        sums.1 += db.decimal(QUANT, quant, "reserved_quantity");
    }
    sums
}

fn demanded(db: &Db, product: Id) -> Decimal {
    let moves = db.all_ids(MOVE).into_iter().filter(|id| {
        db.one(MOVE, *id, "product_id") == Some(product) && !matches!(db.text(MOVE, *id, "state"), "done" | "cancel")
    });
    moves.map(|id| db.decimal(MOVE, id, "product_uom_qty")).sum()
}

fn available(db: &Db, quant: Id) -> Decimal {
    db.decimal(QUANT, quant, "quantity") - db.decimal(QUANT, quant, "reserved_quantity")
}

// --- quants

pub(super) fn set_quantity(db: &mut Db, product: Id, location: Id, quantity: Decimal) {
    let quant = quant(db, product, location);
    db.set(QUANT, quant, row([("quantity", number(quantity))]));
}

/// The quant of a product in a location, made when there is none yet.
fn quant(db: &mut Db, product: Id, location: Id) -> Id {
    if let Some(quant) = db.quant(product, location) {
        return quant;
    }
    db.insert(QUANT, row([("product_id", json!(product)), ("location_id", json!(location))]))
}

/// `action_apply_inventory`: what was counted becomes what is on hand.
pub(super) fn apply_inventory(db: &mut Db, quant: Id) -> Outcome<()> {
    if !db.exists(QUANT, quant) {
        return Err(Refusal::missing(QUANT, quant));
    }
    let counted = db.value(QUANT, quant, "inventory_quantity").clone();
    db.set(QUANT, quant, row([("quantity", counted), ("inventory_quantity", json!(0.0))]));
    Ok(())
}

fn change(db: &mut Db, quant: Id, field: &str, by: Decimal) {
    if !by.is_zero() {
        let value = db.decimal(QUANT, quant, field) + by;
        db.set(QUANT, quant, row([(field, number(value))]));
    }
}

// --- transfers

/// Brings the open transfer of a confirmed order in line with what its lines still want.
pub(super) fn follow_order(db: &mut Db, order: Id) {
    let mut picking = open_picking(db, order);
    for line in db.ids(ORDER, order, "order_line") {
        let Some(product) = db.one(LINE, line, "product_id") else { continue };
        if db.text(PRODUCT, product, "type") != "consu" {
            continue;
        }
        let wanted = db.decimal(LINE, line, "product_uom_qty") - db.decimal(LINE, line, "qty_delivered");
        let open = picking.and_then(|picking| open_move(db, picking, line));
        match open {
            Some(open) if wanted == db.decimal(MOVE, open, "product_uom_qty") => {}
            Some(open) => {
                release(db, open);
                let wanted = wanted.max(Decimal::ZERO);
                let state = if wanted.is_zero() { "cancel" } else { "confirmed" };
                db.set(MOVE, open, row([("product_uom_qty", number(wanted)), ("state", json!(state))]));
            }
            None if wanted > Decimal::ZERO => {
                let into = *picking.get_or_insert_with(|| new_picking(db, order, None));
                new_move(db, into, line, product, wanted);
            }
            None => {}
        }
    }
    if let Some(picking) = picking {
        reserve(db, picking);
    }
}

fn open_picking(db: &Db, order: Id) -> Option<Id> {
    let pickings = db.ids(ORDER, order, "picking_ids");
    pickings.into_iter().find(|id| !matches!(db.text(PICKING, *id, "state"), "done" | "cancel"))
}

fn open_move(db: &Db, picking: Id, line: Id) -> Option<Id> {
    let mut moves = db.ids(PICKING, picking, "move_ids").into_iter();
    moves.find(|id| db.one(MOVE, *id, "sale_line_id") == Some(line) && db.text(MOVE, *id, "state") != "cancel")
}

fn new_picking(db: &mut Db, order: Id, backorder_of: Option<Id>) -> Id {
    let warehouse = db.one(ORDER, order, "warehouse_id").unwrap_or(1);
    let code = db.text("stock.warehouse", warehouse, "code").to_owned();
    let values = row([
        ("name", json!(format!("{code}/OUT/{:05}", db.draw(PICKING)))),
        ("origin", db.value(ORDER, order, "name").clone()),
        ("state", json!("confirmed")),
        ("partner_id", db.value(ORDER, order, "partner_shipping_id").clone()),
        ("sale_id", json!(order)),
        ("location_id", db.value("stock.warehouse", warehouse, "lot_stock_id").clone()),
        ("location_dest_id", json!(db.find("stock.location", "usage", "customer"))),
        ("picking_type_code", json!("outgoing")),
        ("scheduled_date", json!(records::now_in_seconds())),
        ("backorder_id", json!(backorder_of)),
    ]);
    db.insert(PICKING, values)
}

fn new_move(db: &mut Db, picking: Id, line: Id, product: Id, wanted: Decimal) {
    let values = row([
        ("picking_id", json!(picking)),
        ("product_id", json!(product)),
        ("sale_line_id", json!(line)),
        ("product_uom_qty", number(wanted)),
        ("quantity", json!(0.0)),
        ("state", json!("confirmed")),
    ]);
    db.insert(MOVE, values);
}

/// The quant that a move of a tracked product takes from.
fn source(db: &mut Db, move_id: Id) -> Option<Id> {
    let product = db.one(MOVE, move_id, "product_id")?;
    if !db.flag(PRODUCT, product, "is_storable") {
        return None;
    }
    let picking = db.one(MOVE, move_id, "picking_id")?;
    let location = db.one(PICKING, picking, "location_id")?;
    Some(quant(db, product, location))
}

fn release(db: &mut Db, move_id: Id) {
    let reserved = db.decimal(MOVE, move_id, "quantity");
    if let Some(quant) = source(db, move_id) {
        change(db, quant, "reserved_quantity", -reserved);
    }
    db.set(MOVE, move_id, row([("quantity", json!(0.0))]));
}

fn reserve(db: &mut Db, picking: Id) {
    let mut states = Vec::new();
    for id in db.ids(PICKING, picking, "move_ids") {
        let missing = db.decimal(MOVE, id, "product_uom_qty") - db.decimal(MOVE, id, "quantity");
        if db.text(MOVE, id, "state") == "cancel" {
            continue;
        }
        let source = source(db, id);
        let take = match source {
            Some(quant) => missing.min(available(db, quant)).max(Decimal::ZERO),
            None => missing,
        };
        if let Some(quant) = source {
            change(db, quant, "reserved_quantity", take);
        }
        let reserved = db.decimal(MOVE, id, "quantity") + take;
        let state = match (take == missing, reserved.is_zero()) {
            (true, _) => "assigned",
            (false, true) => "confirmed",
            (false, false) => "partially_available",
        };
        db.set(MOVE, id, row([("quantity", number(reserved)), ("state", json!(state))]));
        states.push(state);
    }
    let state = match states.as_slice() {
        [] => "cancel",
        states if states.iter().all(|state| *state == "confirmed") => "confirmed",
        _ => "assigned",
    };
    db.set(PICKING, picking, row([("state", json!(state))]));
}

pub(super) fn cancel_order(db: &mut Db, order: Id) {
    for picking in db.ids(ORDER, order, "picking_ids") {
        if matches!(db.text(PICKING, picking, "state"), "done" | "cancel") {
            continue;
        }
        for id in db.ids(PICKING, picking, "move_ids") {
            release(db, id);
            db.set(MOVE, id, row([("state", json!("cancel"))]));
        }
        db.set(PICKING, picking, row([("state", json!("cancel"))]));
    }
}

/// How a transfer is validated when not everything is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortage {
    /// Answer a wizard and do nothing, as Odoo does unless the context says `skip_backorder`.
    Ask,
    /// Ship what is reserved and leave the rest to a backorder.
    Backorder,
    /// Ship everything that was ordered; stock may go below zero.
    ShipAnyway,
}

/// `true`, or an action dictionary, and then nothing was done.
pub(super) fn validate(db: &mut Db, picking: Id, shortage: Shortage) -> Outcome<Value> {
    if !db.exists(PICKING, picking) {
        return Err(Refusal::missing(PICKING, picking));
    }
    if matches!(db.text(PICKING, picking, "state"), "done" | "cancel") {
        return Ok(json!(true));
    }
    let moves: Vec<Id> = db.ids(PICKING, picking, "move_ids");
    let moves: Vec<Id> = moves.into_iter().filter(|id| db.text(MOVE, *id, "state") != "cancel").collect();
    let short = |db: &Db, id: &Id| db.decimal(MOVE, *id, "quantity") < db.decimal(MOVE, *id, "product_uom_qty");
    let any_short = moves.iter().any(|id| short(db, id));
    if any_short && shortage == Shortage::Ask {
        return Ok(backorder_wizard(picking));
    }
    if shortage != Shortage::ShipAnyway && moves.iter().all(|id| db.decimal(MOVE, *id, "quantity").is_zero()) {
        return Err(Refusal::user(
            "You cannot validate a transfer if no quantities are reserved nor done. To force the transfer, encode quantities.",
        ));
    }
    let mut rest = Vec::new();
    for id in moves {
        if let Some(left) = carry_out(db, id, shortage) {
            rest.push(left);
        }
    }
    let done = row([("state", json!("done")), ("date_done", json!(records::now_in_seconds()))]);
    db.set(PICKING, picking, done);
    let order = db.one(PICKING, picking, "sale_id");
    if let (Some(order), false) = (order, rest.is_empty()) {
        let backorder = new_picking(db, order, Some(picking));
        for (line, product, wanted) in rest {
            new_move(db, backorder, line, product, wanted);
        }
        reserve(db, backorder);
    }
    Ok(json!(true))
}

/// Moves the goods of one move; what it leaves open is (order line, product, quantity).
fn carry_out(db: &mut Db, id: Id, shortage: Shortage) -> Option<(Id, Id, Decimal)> {
    let wanted = db.decimal(MOVE, id, "product_uom_qty");
    let reserved = db.decimal(MOVE, id, "quantity");
    let shipped = if shortage == Shortage::ShipAnyway { wanted } else { reserved };
    if let Some(quant) = source(db, id) {
        change(db, quant, "reserved_quantity", -reserved);
        change(db, quant, "quantity", -shipped);
    }
    let values = row([("quantity", number(shipped)), ("product_uom_qty", number(shipped)), ("state", json!("done"))]);
    db.set(MOVE, id, values);
    let line = db.one(MOVE, id, "sale_line_id")?;
    let delivered = db.decimal(LINE, line, "qty_delivered") + shipped;
    db.set(LINE, line, row([("qty_delivered", number(delivered))]));
    let product = db.one(MOVE, id, "product_id")?;
    (wanted > shipped).then_some((line, product, wanted - shipped))
}

fn backorder_wizard(picking: Id) -> Value {
    json!({
        "name": "Create Backorder?",
        "type": "ir.actions.act_window",
        "view_mode": "form",
        "res_model": "stock.backorder.confirmation",
        "target": "new",
        "context": {"button_validate_picking_ids": [picking], "default_pick_ids": [[4, picking]]},
    })
}

/// `false` without transfers, otherwise how far they are.
pub(super) fn delivery_status(db: &Db, order: Id) -> Value {
    let pickings = db.ids(ORDER, order, "picking_ids");
    let states = pickings.iter().map(|id| db.text(PICKING, *id, "state"));
    let live: Vec<&str> = states.filter(|state| *state != "cancel").collect();
    let done = live.iter().filter(|state| **state == "done").count();
    match (live.len(), done) {
        (0, _) => json!(false),
        (all, done) if all == done => json!("full"),
        (_, 0) => json!("pending"),
        _ => json!("partial"),
    }
}

/// The transfer of an order that is still to be shipped.
pub(super) fn to_ship(db: &Db, order: Id) -> Option<Id> {
    open_picking(db, order)
}
