//! The rows of the simulated database: stored values, relations kept in step, and an undo log that makes one call one transaction.

use super::schema::{self, Kind};
use rust_decimal::{Decimal, prelude::ToPrimitive as _};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

pub(super) type Row = Map<String, Value>;
pub(super) type Id = i64;

/// How the company rounds taxes: over the document, or line by line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TaxRounding {
    /// What a real Odoo 19 with the Norwegian chart does.
    #[default]
    Globally,
    PerLine,
}

#[derive(Default)]
pub(super) struct Db {
    tables: HashMap<&'static str, BTreeMap<Id, Row>>,
    last_id: HashMap<&'static str, Id>,
    sequences: HashMap<String, u64>,
    /// `module.name` of an external id to its row in `ir.model.data`, which is unique there.
    external: HashMap<String, Id>,
    quants: HashMap<(Id, Id), Id>,
    undo: Vec<(&'static str, Id, Option<Row>)>,
    pub(super) rounding: TaxRounding,
    pub(super) default_pricelist: Option<Id>,
    /// Order reference or SKU whose writes are refused, and the message that says so.
    pub(super) refused: BTreeMap<String, String>,
}

impl Db {
    // --- transactions

    pub(super) fn commit(&mut self) {
        self.undo.clear();
    }

    /// Where the transaction stands, to go back to with [`Db::rollback_to`].
    pub(super) fn savepoint(&self) -> usize {
        self.undo.len()
    }

    pub(super) fn rollback_to(&mut self, savepoint: usize) {
        while self.undo.len() > savepoint {
            let Some((model, id, before)) = self.undo.pop() else { return };
            self.place(model, id, before);
        }
    }

    // --- rows

    pub(super) fn row(&self, model: &str, id: Id) -> Option<&Row> {
        self.tables.get(model)?.get(&id)
    }

    pub(super) fn exists(&self, model: &str, id: Id) -> bool {
        self.row(model, id).is_some()
    }

    pub(super) fn all_ids(&self, model: &str) -> Vec<Id> {
        let table = self.tables.get(model);
        table.map(|rows| rows.keys().copied().collect()).unwrap_or_default()
    }

    /// Rows are numbered by model; a row that names its own `id` keeps it (fixed data such as countries).
    pub(super) fn insert(&mut self, model: &'static str, mut row: Row) -> Id {
        let last = self.last_id.entry(model).or_default();
        let id = row.get("id").and_then(Value::as_i64).unwrap_or(*last + 1);
        *last = (*last).max(id);
        row.insert("id".into(), json!(id));
        row.insert("create_date".into(), json!(now()));
        row.insert("write_date".into(), json!(now()));
        self.link_parents(model, id, &Row::new(), &row);
        self.replace(model, id, Some(row));
        id
    }

    /// Sets values and moves `write_date`.
    pub(super) fn set(&mut self, model: &'static str, id: Id, values: Row) {
        let mut values = values;
        values.insert("write_date".into(), json!(now()));
        self.set_quietly(model, id, values);
    }

    /// Sets values without moving `write_date`, as Odoo does for what it derives from other tables.
    pub(super) fn set_quietly(&mut self, model: &'static str, id: Id, values: Row) {
        let Some(before) = self.row(model, id).cloned() else { return };
        let mut after = before.clone();
        after.extend(values);
        self.link_parents(model, id, &before, &after);
        self.replace(model, id, Some(after));
    }

    pub(super) fn delete(&mut self, model: &'static str, id: Id) {
        let Some(before) = self.row(model, id).cloned() else { return };
        self.link_parents(model, id, &before, &Row::new());
        self.replace(model, id, None);
        for data in self.external_ids_of(model, id) {
            self.replace("ir.model.data", data, None);
        }
    }

    /// Removes the line of a document that goes. The external id stays behind, because in Odoo the database deletes such lines.
    pub(super) fn cascade(&mut self, model: &'static str, id: Id) {
        self.replace(model, id, None);
    }

    fn replace(&mut self, model: &'static str, id: Id, row: Option<Row>) {
        let before = self.row(model, id).cloned();
        self.undo.push((model, id, before));
        self.place(model, id, row);
    }

    fn place(&mut self, model: &'static str, id: Id, row: Option<Row>) {
        if model == "ir.model.data" {
            self.index_external(id, row.as_ref());
        }
        if model == "stock.quant" {
            self.index_quant(id, row.as_ref());
        }
        let table = self.tables.entry(model).or_default();
        match row {
            Some(row) => table.insert(id, row),
            None => table.remove(&id),
        };
    }

    /// Keeps the one2many lists of the parents in step with the many2one of the child.
    fn link_parents(&mut self, model: &'static str, id: Id, before: &Row, after: &Row) {
        let Some(definition) = schema::model(model) else { return };
        for field in definition.fields {
            let Kind::One(parent_model) = field.kind else { continue };
            let (old, new) = (before.get(field.name), after.get(field.name));
            if old == new {
                continue;
            }
            let Some(parent) = schema::model(parent_model) else { continue };
            let lists = parent.fields.iter().filter(|list| list.kind == Kind::Lines(model, field.name));
            for list in lists {
                if let Some(old) = old.and_then(Value::as_i64) {
                    self.relist(parent.name, old, list.name, |ids| ids.retain(|child| *child != id));
                }
                if let Some(new) = new.and_then(Value::as_i64) {
                    self.relist(parent.name, new, list.name, |ids| ids.push(id));
                }
            }
        }
    }

    fn relist(&mut self, model: &'static str, id: Id, field: &str, change: impl FnOnce(&mut Vec<Id>)) {
        let mut ids = self.ids(model, id, field);
        change(&mut ids);
        if let Some(mut row) = self.row(model, id).cloned() {
            row.insert(field.into(), json!(ids));
            self.replace(model, id, Some(row));
        }
    }

    // --- values

    pub(super) fn value(&self, model: &str, id: Id, field: &str) -> &Value {
        const UNSET: &Value = &Value::Bool(false);
        self.row(model, id).and_then(|row| row.get(field)).unwrap_or(UNSET)
    }

    pub(super) fn text(&self, model: &str, id: Id, field: &str) -> &str {
        self.value(model, id, field).as_str().unwrap_or_default()
    }

    pub(super) fn flag(&self, model: &str, id: Id, field: &str) -> bool {
        self.value(model, id, field).as_bool().unwrap_or_default()
    }

    /// A many2one: the id it points at.
    pub(super) fn one(&self, model: &str, id: Id, field: &str) -> Option<Id> {
        self.value(model, id, field).as_i64()
    }

    pub(super) fn ids(&self, model: &str, id: Id, field: &str) -> Vec<Id> {
        as_ids(self.value(model, id, field))
    }

    pub(super) fn decimal(&self, model: &str, id: Id, field: &str) -> Decimal {
        as_decimal(self.value(model, id, field))
    }

    /// The next number of a sequence. Like Odoo's, a number that was drawn is gone even if the transaction fails.
    pub(super) fn draw(&mut self, sequence: &str) -> u64 {
        let next = self.sequences.entry(sequence.to_owned()).or_default();
        *next += 1;
        *next
    }

    /// The first row whose field has this text.
    pub(super) fn find(&self, model: &str, field: &str, text: &str) -> Option<Id> {
        let rows = self.tables.get(model)?;
        let mut hits = rows.iter().filter(|(_, row)| row.get(field).and_then(Value::as_str) == Some(text));
        hits.next().map(|(id, _)| *id)
    }

    /// The quant of a product in a location.
    pub(super) fn quant(&self, product: Id, location: Id) -> Option<Id> {
        self.quants.get(&(product, location)).copied()
    }

    fn index_quant(&mut self, id: Id, row: Option<&Row>) {
        let one = |row: &Row, field: &str| row.get(field).and_then(Value::as_i64);
        let key = |row: &Row| Some((one(row, "product_id")?, one(row, "location_id")?));
        if let Some(old) = self.row("stock.quant", id).and_then(key) {
            self.quants.remove(&old);
        }
        if let Some(new) = row.and_then(key) {
            self.quants.insert(new, id);
        }
    }

    // --- external ids

    /// The `ir.model.data` row of a complete external id.
    pub(super) fn external(&self, complete_name: &str) -> Option<Id> {
        self.external.get(complete_name).copied()
    }

    pub(super) fn external_ids_of(&self, model: &str, id: Id) -> Vec<Id> {
        // Only documents that `load` made have one; the table is scanned because deleting is rare.
        let Some(rows) = self.tables.get("ir.model.data") else { return Vec::new() };
        let belongs = |row: &Row| {
            row.get("res_id").and_then(Value::as_i64) == Some(id) && row.get("model").and_then(Value::as_str) == Some(model)
        };
        rows.iter().filter(|(_, row)| belongs(row)).map(|(id, _)| *id).collect()
    }

    fn index_external(&mut self, id: Id, row: Option<&Row>) {
        let name = |row: &Row| row.get("complete_name").and_then(Value::as_str).map(str::to_owned);
        if let Some(old) = self.row("ir.model.data", id).and_then(name) {
            self.external.remove(&old);
        }
        if let Some(new) = row.and_then(name) {
            self.external.insert(new, id);
        }
    }
}

/// `YYYY-MM-DD HH:MM:SS.ffffff` in UTC; answers cut it to seconds.
pub(super) fn now() -> String {
    spindel_model::Clock::system().now().strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

pub(super) fn today() -> String {
    spindel_model::Clock::system().now().strftime("%Y-%m-%d").to_string()
}

pub(super) fn now_in_seconds() -> String {
    spindel_model::Clock::system().now().strftime("%Y-%m-%d %H:%M:%S").to_string()
}

pub(super) fn as_ids(value: &Value) -> Vec<Id> {
    let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_i64).collect()
}

/// Numbers are stored as Odoo sends them, as floats; their shortest text is the exact decimal that was meant.
pub(super) fn as_decimal(value: &Value) -> Decimal {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return Decimal::ZERO,
    };
    text.parse().or_else(|_| Decimal::from_scientific(&text)).unwrap_or_default()
}

pub(super) fn number(value: Decimal) -> Value {
    json!(value.to_f64().unwrap_or_default())
}

/// A row from pairs.
pub(super) fn row<const N: usize>(pairs: [(&str, Value); N]) -> Row {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
