//! Records as the API sees them: values checked by field type, defaults, x2many commands, searching and reading.

use super::{
    accounting,
    domain::{self, Domain},
    error::{Outcome, Refusal},
    records::{Db, Id, Row, as_ids, row},
    sales,
    schema::{self, Field, Kind, Model},
    stock,
};
use serde_json::{Value, json};
use std::cmp::Ordering;

pub(super) fn model(name: &str) -> Outcome<&'static Model> {
    schema::model(name).ok_or_else(|| Refusal::not_found(format!("the model '{name}' does not exist")))
}

// --- writing

/// Creates one record with its lines, and whatever Odoo derives from it.
pub(super) fn create(db: &mut Db, model: &'static Model, values: &Row) -> Outcome<Id> {
    let mut values = values.clone();
    sales::defaults(db, model.name, &mut values);
    accounting::defaults(db, model.name, &mut values)?;
    stock::defaults(db, model.name, &mut values);
    let (own, lines) = coerce(db, model, Row::new(), &values)?;
    require(model, &own)?;
    let id = db.insert(model.name, own);
    apply_lines(db, model, id, lines)?;
    changed(db, model, id, &values, true)?;
    Ok(id)
}

pub(super) fn write(db: &mut Db, model: &'static Model, id: Id, values: &Row) -> Outcome<()> {
    let Some(before) = db.row(model.name, id).cloned() else {
        return Err(Refusal::missing(model.name, id));
    };
    sales::may_write(db, model.name, id, values)?;
    accounting::may_write(db, model.name, id, values)?;
    let mut values = values.clone();
    sales::follow_product(db, model.name, id, &mut values);
    let (own, lines) = coerce(db, model, before, &values)?;
    let mut all = db.row(model.name, id).cloned().unwrap_or_default();
    all.extend(own.clone());
    require(model, &all)?;
    db.set(model.name, id, own);
    apply_lines(db, model, id, lines)?;
    changed(db, model, id, &values, false)
}

pub(super) fn unlink(db: &mut Db, model: &'static Model, id: Id) -> Outcome<()> {
    if !db.exists(model.name, id) {
        return Err(Refusal::missing(model.name, id));
    }
    sales::may_unlink(db, model.name, id)?;
    accounting::may_unlink(db, model.name, id)?;
    let parent = db.one(model.name, id, "order_id").or_else(|| db.one(model.name, id, "move_id"));
    for field in model.fields {
        if let Kind::Lines(child, back) = field.kind
            && matches!((child, back), ("sale.order.line", _) | ("account.move.line", _))
        {
            for line in db.ids(model.name, id, field.name) {
                db.cascade(child, line);
            }
        }
    }
    db.delete(model.name, id);
    match (model.name, parent) {
        ("sale.order.line", Some(order)) => sales::recompute(db, order),
        ("account.move.line", Some(entry)) => accounting::recompute(db, entry),
        _ => {}
    }
    Ok(())
}

fn changed(db: &mut Db, model: &Model, id: Id, values: &Row, created: bool) -> Outcome<()> {
    sales::changed(db, model.name, id, values)?;
    accounting::changed(db, model.name, id);
    stock::changed(db, model.name, id, values, created)
}

fn require(model: &'static Model, values: &Row) -> Outcome<()> {
    for name in model.required {
        let missing =
            values.get(*name).is_none_or(|value| matches!(value, Value::Bool(false) | Value::Null) || value.as_str() == Some(""));
        if !missing {
            continue;
        }
        if model.name == "res.partner" {
            return Err(Refusal::validation("The operation cannot be completed: Contacts require a name"));
        }
        let label = model.field(name).map_or(*name, |field| field.label);
        return Err(Refusal::mandatory(name, label, model.name, model.label));
    }
    Ok(())
}

type LineCommands = Vec<(&'static Field, Vec<Value>)>;

/// Values as they are stored, and apart from them the commands on lines, which need the record's id.
fn coerce(db: &Db, model: &'static Model, before: Row, values: &Row) -> Outcome<(Row, LineCommands)> {
    let (mut own, mut lines) = (Row::new(), Vec::new());
    for (name, value) in values {
        let Some(field) = model.field(name) else { return Err(unknown_field(model, name)) };
        match field.kind {
            Kind::Lines(..) => {
                let commands = value.as_array().cloned().unwrap_or_default();
                lines.push((field, commands));
            }
            Kind::Many(related) => {
                let ids = before.get(name).map(as_ids).unwrap_or_default();
                own.insert(name.clone(), json!(many(db, related, ids, value)?));
            }
            _ => {
                own.insert(name.clone(), coerced(db, model, field, value)?);
            }
        }
    }
    Ok((own, lines))
}

fn unknown_field(model: &Model, name: &str) -> Refusal {
    match model.name.ends_with(".line") {
        true => Refusal::value(format!("Invalid field '{name}' on model '{}'", model.name)),
        false => Refusal::value(format!("Invalid field '{name}' in '{}'", model.name)),
    }
}

fn coerced(db: &Db, model: &Model, field: &Field, value: &Value) -> Outcome<Value> {
    let unset = matches!(value, Value::Null | Value::Bool(false));
    Ok(match field.kind {
        Kind::Bool => json!(value.as_bool().unwrap_or(!unset)),
        Kind::Int | Kind::Float if unset => json!(if field.kind == Kind::Int { json!(0) } else { json!(0.0) }),
        _ if unset => json!(false),
        Kind::Float => json!(float(value)?),
        Kind::Int => json!(float(value)? as i64),
        Kind::Char => json!(value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned())),
        Kind::Selection(choices) => {
            if !value.as_str().is_some_and(|text| choices.contains(&text)) {
                let (at, shown) = (format!("{}.{}", model.name, field.name), domain::python(value));
                return Err(Refusal::value(format!("Wrong value for {at}: {shown}")));
            }
            value.clone()
        }
        Kind::Date => json!(moment(value, "%Y-%m-%d")?),
        Kind::Datetime => json!(moment(value, "%Y-%m-%d %H:%M:%S")?),
        Kind::One(related) => {
            let id = value.as_i64().ok_or_else(|| Refusal::value(format!("Wrong value for {}", field.name)))?;
            // Models that the simulator does not keep (fiscal positions, for one) are taken at their word.
            if schema::model(related).is_some() && !db.exists(related, id) {
                return Err(Refusal::missing(related, id));
            }
            json!(id)
        }
        Kind::Many(_) | Kind::Lines(..) => value.clone(),
    })
}

fn float(value: &Value) -> Outcome<f64> {
    let parsed = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    parsed.ok_or_else(|| Refusal::value(format!("could not convert string to float: {}", domain::python(value))))
}

/// A date or datetime in Odoo's only notation; a datetime may leave out the time of day.
fn moment(value: &Value, format: &str) -> Outcome<String> {
    let text = value.as_str().unwrap_or_default();
    let with_time = format.contains("%H");
    if is_moment(text, with_time) {
        return Ok(text.to_owned());
    }
    match with_time {
        true if is_moment(text, false) => Ok(format!("{text} 00:00:00")),
        false if is_moment(text, true) => Ok(text[..10].to_owned()),
        _ => Err(Refusal::value(format!("time data {} does not match format '{format}'", domain::python(value)))),
    }
}

pub(super) fn is_moment(text: &str, with_time: bool) -> bool {
    let shaped = text.len() == if with_time { 19 } else { 10 } && text.is_ascii();
    match with_time {
        true => shaped && text.as_bytes()[10] == b' ' && text.parse::<jiff::civil::DateTime>().is_ok(),
        false => shaped && text.parse::<jiff::civil::Date>().is_ok(),
    }
}

/// many2many commands (`[6,0,ids]`, `[4,id]`, `[3,id]`, `[5]`) or plain ids.
fn many(db: &Db, related: &str, mut ids: Vec<Id>, value: &Value) -> Outcome<Vec<Id>> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if items.iter().all(Value::is_i64) {
        ids = as_ids(value);
    }
    for command in items.iter().filter_map(Value::as_array) {
        let id = command.get(1).and_then(Value::as_i64);
        match (command.first().and_then(Value::as_i64), id) {
            (Some(6), _) => ids = command.get(2).map(as_ids).unwrap_or_default(),
            (Some(5), _) => ids.clear(),
            (Some(4), Some(id)) if !ids.contains(&id) => ids.push(id),
            (Some(2 | 3), Some(id)) => ids.retain(|kept| *kept != id),
            (Some(4), _) => {}
            _ => return Err(Refusal::value(format!("Wrong value: {}", domain::python(value)))),
        }
    }
    match ids.iter().find(|id| schema::model(related).is_some() && !db.exists(related, **id)) {
        Some(id) => Err(Refusal::missing(related, *id)),
        None => Ok(ids),
    }
}

fn apply_lines(db: &mut Db, parent: &'static Model, id: Id, lines: LineCommands) -> Outcome<()> {
    for (field, commands) in lines {
        let Kind::Lines(child, back) = field.kind else { continue };
        let child = model(child)?;
        for command in &commands {
            let parts = command.as_array().map(Vec::as_slice).unwrap_or_default();
            let code = parts.first().and_then(Value::as_i64);
            let line = parts.get(1).and_then(Value::as_i64);
            let mut values = parts.get(2).and_then(Value::as_object).cloned().unwrap_or_default();
            match (code, line) {
                (Some(0), _) => {
                    values.insert(back.into(), json!(id));
                    create(db, child, &values)?;
                }
                (Some(1), Some(line)) => write(db, child, line, &values)?,
                (Some(2 | 3), Some(line)) => unlink(db, child, line)?,
                (Some(4), Some(line)) => write(db, child, line, &row([(back, json!(id))]))?,
                (Some(5), _) => {
                    for line in db.ids(parent.name, id, field.name) {
                        unlink(db, child, line)?;
                    }
                }
                _ => return Err(Refusal::value(format!("Wrong value: {}", domain::python(command)))),
            }
        }
    }
    Ok(())
}

// --- searching

pub(super) struct Search<'a> {
    pub domain: &'a Value,
    pub order: Option<&'a str>,
    pub offset: usize,
    pub limit: Option<usize>,
    pub active_only: bool,
}

pub(super) fn search(db: &Db, model: &'static Model, search: &Search<'_>) -> Outcome<Vec<Id>> {
    let domain = Domain::parse(model, search.domain)?;
    let active_only = search.active_only && model.field("active").is_some() && !domain.mentions("active");
    let mut ids = domain.candidates(db, model).unwrap_or_else(|| db.all_ids(model.name));
    ids.retain(|id| {
        db.exists(model.name, *id) && (!active_only || db.flag(model.name, *id, "active")) && domain.holds(db, model, *id)
    });
    sort(db, model, &mut ids, search.order.unwrap_or(model.order))?;
    let limit = search.limit.unwrap_or(usize::MAX);
    Ok(ids.into_iter().skip(search.offset).take(limit).collect())
}

fn sort(db: &Db, model: &'static Model, ids: &mut [Id], order: &str) -> Outcome<()> {
    let mut keys = Vec::new();
    for part in order.split(',') {
        let mut words = part.split_whitespace();
        let name = words.next().unwrap_or_default();
        let descending = match words.next().map(str::to_lowercase).as_deref() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(_) => {
                return Err(Refusal::user(format!(
                    "Invalid \"order\" specified ({order}). A valid \"order\" specification is a comma-separated list of \
                     valid field names (optionally followed by asc/desc for the direction)"
                )));
            }
        };
        let field =
            model.field(name).ok_or_else(|| Refusal::value(format!("Invalid field '{name}' on model '{}'", model.name)))?;
        keys.push((field, descending));
    }
    let rank = |id: Id| -> Vec<Value> { keys.iter().map(|(field, _)| stored(db, model, id, field)).collect() };
    let mut ranked: Vec<(Vec<Value>, Id)> = ids.iter().map(|id| (rank(*id), *id)).collect();
    ranked.sort_by(|(a, a_id), (b, b_id)| {
        for ((a, b), (_, descending)) in a.iter().zip(b).zip(&keys) {
            let order = sort_order(a, b);
            if order != Ordering::Equal {
                return if *descending { order.reverse() } else { order };
            }
        }
        a_id.cmp(b_id)
    });
    for (slot, (_, id)) in ids.iter_mut().zip(ranked) {
        *slot = id;
    }
    Ok(())
}

/// An unset text sorts last, as NULL does in PostgreSQL.
fn sort_order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(false), Value::String(_)) => Ordering::Greater,
        (Value::String(_), Value::Bool(false)) => Ordering::Less,
        _ => domain::order(a, b).unwrap_or(Ordering::Equal),
    }
}

// --- reading

/// Records in the order of the ids; unknown ids are left out without an error, as Odoo does.
pub(super) fn read(db: &Db, model: &'static Model, ids: &[Id], fields: &[String]) -> Outcome<Value> {
    let mut wanted = Vec::new();
    for name in fields {
        let field = model.field(name).ok_or_else(|| Refusal::value(format!("Invalid field '{name}' on '{}'", model.name)))?;
        wanted.push(field);
    }
    if fields.is_empty() {
        wanted = model.all_fields().collect();
    }
    let known = ids.iter().filter(|id| db.exists(model.name, **id));
    let records = known.map(|id| {
        let mut record = row([("id", json!(id))]);
        for field in &wanted {
            record.insert(field.name.into(), shown(db, model, *id, field));
        }
        Value::Object(record)
    });
    Ok(Value::Array(records.collect()))
}

fn shown(db: &Db, model: &Model, id: Id, field: &Field) -> Value {
    let value = stored(db, model, id, field);
    match (field.kind, &value) {
        (Kind::Datetime, Value::String(text)) => json!(text.get(..19).unwrap_or(text)),
        (Kind::One(related), Value::Number(_)) => {
            let target = value.as_i64().unwrap_or_default();
            let name = schema::model(related).map(|related| display_name(db, related, target));
            json!([target, name.unwrap_or_default()])
        }
        _ => value,
    }
}

/// A field's value as searches see it: stored, or computed where Odoo computes it.
pub(super) fn stored(db: &Db, model: &Model, id: Id, field: &Field) -> Value {
    let computed = match field.name {
        "display_name" => Some(json!(display_name(db, model, id))),
        _ => sales::computed(db, model.name, id, field.name).or_else(|| stock::computed(db, model.name, id, field.name)),
    };
    let unset = || match field.kind {
        Kind::Int => json!(0),
        Kind::Float => json!(0.0),
        Kind::Many(_) | Kind::Lines(..) => json!([]),
        _ => json!(false),
    };
    computed.or_else(|| db.row(model.name, id)?.get(field.name).cloned()).unwrap_or_else(unset)
}

pub(super) fn display_name(db: &Db, model: &Model, id: Id) -> String {
    let name = db.text(model.name, id, "name");
    match model.name {
        "product.product" | "product.template" => match db.text(model.name, id, "default_code") {
            "" => name.to_owned(),
            sku => format!("[{sku}] {name}"),
        },
        "product.pricelist" => {
            let currency = db.one(model.name, id, "currency_id").unwrap_or_default();
            format!("{name} ({})", db.text("res.currency", currency, "name"))
        }
        "sale.order.line" => {
            let order = db.one(model.name, id, "order_id").unwrap_or_default();
            format!("{} - {name}", db.text("sale.order", order, "name"))
        }
        "stock.location" => db.text(model.name, id, "complete_name").to_owned(),
        "account.move" => match (name, db.text(model.name, id, "ref")) {
            ("", _) => "Draft Invoice".to_owned(),
            (name, "") => name.to_owned(),
            (name, reference) => format!("{name} ({reference})"),
        },
        _ => name.to_owned(),
    }
}

/// `fields_get`: type, label and relation of each field.
pub(super) fn fields_get(model: &'static Model, names: &[String], attributes: &[String]) -> Value {
    let wanted = model.all_fields().filter(|field| names.is_empty() || names.iter().any(|name| name == field.name));
    let described = wanted.map(|field| {
        let mut all = row([
            ("name", json!(field.name)),
            ("string", json!(field.label)),
            ("type", json!(type_name(field))),
            ("required", json!(model.required.contains(&field.name))),
            ("readonly", json!(matches!(field.name, "id" | "display_name" | "state"))),
            ("store", json!(true)),
        ]);
        if let Kind::One(related) | Kind::Many(related) | Kind::Lines(related, _) = field.kind {
            all.insert("relation".into(), json!(related));
        }
        if let Kind::Lines(_, back) = field.kind {
            all.insert("relation_field".into(), json!(back));
        }
        if let Kind::Selection(choices) = field.kind {
            all.insert("selection".into(), choices.iter().map(|choice| json!([choice, choice])).collect());
        }
        all.retain(|name, _| attributes.is_empty() || attributes.iter().any(|wanted| wanted == name));
        (field.name.to_owned(), Value::Object(all))
    });
    Value::Object(described.collect())
}

fn type_name(field: &Field) -> &'static str {
    match field.kind {
        Kind::Char => "char",
        Kind::Int => "integer",
        Kind::Float if field.name.starts_with("amount_") => "monetary",
        Kind::Float => "float",
        Kind::Bool => "boolean",
        Kind::Date => "date",
        Kind::Datetime => "datetime",
        Kind::Selection(_) => "selection",
        Kind::One(_) => "many2one",
        Kind::Many(_) => "many2many",
        Kind::Lines(..) => "one2many",
    }
}
