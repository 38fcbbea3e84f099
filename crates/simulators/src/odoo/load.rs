//! `load`: the import that creates or updates by external id. Its errors are messages in an answer with status 200.

use super::{
    domain::python,
    error::{Outcome, Refusal},
    orm,
    records::{Db, Id, Row, row},
    schema::{self, Field, Kind, Model},
};
use serde_json::{Value, json};

/// One column: where its value goes, and its place in the row.
#[derive(Clone)]
struct Column {
    path: Vec<String>,
    at: usize,
}

type Cells = Vec<Vec<String>>;

pub(super) fn load(db: &mut Db, model: &'static Model, fields: &[String], data: &Value) -> Outcome<Value> {
    let columns: Vec<Column> = fields.iter().enumerate().map(|(at, field)| column(field, at)).collect();
    for column in &columns {
        known(model, &column.path)?;
    }
    let cells = cells(data)?;
    let start = db.savepoint();
    let (mut ids, mut messages) = (Vec::new(), Vec::new());
    for (record, (from, to)) in records(&columns, model, &cells).into_iter().enumerate() {
        let place = json!({"rows": {"from": from, "to": to - 1}, "record": record, "type": "error"});
        let mut import = Import { problems: Vec::new() };
        let values = import.convert(db, model, &columns, &cells[from..to], "");
        messages.extend(import.problems.into_iter().map(|problem| merged(&place, problem)));
        let before = db.savepoint();
        match save(db, model, values) {
            Ok(id) => ids.push(id),
            Err(refusal) => {
                db.rollback_to(before);
                messages.push(merged(&place, refusal_message(&refusal)));
            }
        }
    }
    if messages.is_empty() {
        return Ok(json!({"ids": ids, "messages": [], "nextrow": 0}));
    }
    db.rollback_to(start);
    Ok(failed(messages))
}

/// What Odoo answers when another transaction wrote the same rows: nothing was done, and it is worth trying again.
pub(super) fn conflict() -> Value {
    failed(vec![json!({
        "rows": {"from": 0, "to": 0}, "record": 0, "type": "error",
        "message": "could not serialize access due to concurrent update\n",
    })])
}

fn failed(messages: Vec<Value>) -> Value {
    json!({"ids": false, "messages": messages, "nextrow": 0})
}

fn refusal_message(refusal: &Refusal) -> Row {
    let bare = refusal.message.strip_prefix("The operation cannot be completed: ");
    let mut message = row([("message", json!(bare.unwrap_or(&refusal.message)))]);
    if let Some(field) = refusal.field {
        message.insert("field".into(), json!(field));
    }
    message
}

fn merged(place: &Value, message: Row) -> Value {
    let mut all = place.as_object().cloned().unwrap_or_default();
    all.extend(message);
    Value::Object(all)
}

fn column(field: &str, at: usize) -> Column {
    Column { path: field.split('/').map(str::to_owned).collect(), at }
}

fn known(model: &'static Model, path: &[String]) -> Outcome<()> {
    let Some((name, rest)) = path.split_first() else { return Ok(()) };
    if matches!(name.as_str(), "id" | ".id") {
        return Ok(());
    }
    let field = model.field(name).ok_or_else(|| Refusal::value(format!("Invalid field name '{name}'")))?;
    match related(field) {
        Some(related) => known(related, rest),
        None => Ok(()),
    }
}

fn related(field: &Field) -> Option<&'static Model> {
    match field.kind {
        Kind::One(model) | Kind::Many(model) | Kind::Lines(model, _) => schema::model(model),
        _ => None,
    }
}

fn cells(data: &Value) -> Outcome<Cells> {
    let rows = data.as_array().ok_or_else(|| Refusal::value("data must be a list of lists"))?;
    let text = |cell: &Value| match cell {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(false) => String::new(),
        other => other.to_string(),
    };
    let line = |row: &Value| row.as_array().map(|cells| cells.iter().map(text).collect());
    Ok(rows.iter().map(|row| line(row).unwrap_or_default()).collect())
}

fn cell<'a>(line: &'a [String], column: &Column) -> &'a str {
    line.get(column.at).map(String::as_str).unwrap_or_default()
}

fn is_line_column(model: &Model, column: &Column) -> bool {
    let field = column.path.first().and_then(|name| model.field(name));
    field.is_some_and(|field| matches!(field.kind, Kind::Lines(..)))
}

/// A record begins where a column of its own is filled; rows below it that fill only line columns belong to it.
fn records(columns: &[Column], model: &Model, cells: &[Vec<String>]) -> Vec<(usize, usize)> {
    let own: Vec<&Column> = columns.iter().filter(|column| !is_line_column(model, column)).collect();
    let begins = |line: &[String]| own.iter().any(|column| !cell(line, column).is_empty());
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (at, line) in cells.iter().enumerate() {
        match spans.last_mut() {
            Some((_, to)) if !begins(line) => *to = at + 1,
            _ => spans.push((at, at + 1)),
        }
    }
    spans
}

/// A record on its way in: its external or database id, its values, its lines.
struct Incoming {
    external: String,
    database: Option<Id>,
    values: Row,
    lines: Vec<(&'static Field, Vec<Incoming>)>,
}

/// Collects what could not be converted; such a field is left out and the rest goes on, so that all problems are told.
struct Import {
    problems: Vec<Row>,
}

impl Import {
    fn convert(&mut self, db: &Db, model: &'static Model, columns: &[Column], cells: &[Vec<String>], above: &str) -> Incoming {
        let mut incoming = Incoming { external: String::new(), database: None, values: Row::new(), lines: Vec::new() };
        let Some(first) = cells.first() else { return incoming };
        for column in columns.iter().filter(|column| !is_line_column(model, column)) {
            let text = cell(first, column);
            match column.path[0].as_str() {
                "id" => incoming.external = text.to_owned(),
                ".id" => incoming.database = self.database_id(db, model, text),
                name => self.value(db, model, name, column.path.get(1), text, above, &mut incoming.values),
            }
        }
        for field in model.fields.iter().filter(|field| matches!(field.kind, Kind::Lines(..))) {
            let inner = inner_columns(columns, field.name);
            let Some(child) = related(field) else { continue };
            let filled = |line: &Vec<String>| inner.iter().any(|column| !cell(line, column).is_empty());
            let rows: Cells = cells.iter().filter(|line| filled(line)).cloned().collect();
            if inner.is_empty() || rows.is_empty() {
                continue;
            }
            let known_before = self.problems.len();
            let spans = records(&inner, child, &rows).into_iter();
            let label = format!("{above}{}/", field.label);
            let lines = spans.map(|(from, to)| self.convert(db, child, &inner, &rows[from..to], &label)).collect();
            if self.problems.len() == known_before {
                incoming.lines.push((field, lines));
            } else {
                self.problems.truncate(known_before + 1);
                self.problems[known_before].insert("field".into(), json!(field.name));
                self.problems[known_before].insert("field_name".into(), json!(field.label));
            }
        }
        incoming
    }

    fn database_id(&mut self, db: &Db, model: &Model, text: &str) -> Option<Id> {
        if text.is_empty() {
            return None;
        }
        let id = text.parse().ok().filter(|id| db.exists(model.name, *id));
        if id.is_none() {
            let message = format!("Unknown database identifier '{text}'");
            self.problems.push(row([("field", json!(".id")), ("message", json!(message))]));
        }
        id
    }

    #[expect(clippy::too_many_arguments, reason = "a cell, where it goes, and how messages call it")]
    fn value(
        &mut self,
        db: &Db,
        model: &'static Model,
        name: &str,
        by: Option<&String>,
        text: &str,
        above: &str,
        into: &mut Row,
    ) {
        let Some(field) = model.field(name) else { return };
        let label = format!("{above}{}", field.label);
        match convert(db, field, by.map(String::as_str), text, &label) {
            Ok(value) => {
                into.insert(name.to_owned(), value);
            }
            Err((message, more)) => {
                let mut problem = row([("field", json!(name)), ("field_name", json!(field.label)), ("message", json!(message))]);
                if let Some(more) = more {
                    problem.insert("moreinfo".into(), more);
                }
                self.problems.push(problem);
            }
        }
    }
}

fn inner_columns(columns: &[Column], name: &str) -> Vec<Column> {
    let inner = columns.iter().filter(|column| column.path.len() > 1 && column.path[0] == name);
    inner.map(|column| Column { path: column.path[1..].to_vec(), at: column.at }).collect()
}

/// A message, and Odoo's hint on what would be valid.
type Problem = (String, Option<Value>);

/// A cell as the value of a field. An empty cell empties the field.
fn convert(db: &Db, field: &Field, by: Option<&str>, text: &str, label: &str) -> Result<Value, Problem> {
    match field.kind {
        Kind::Many(_) if text.is_empty() => return Ok(json!([[6, 0, []]])),
        _ if text.is_empty() => return Ok(json!(false)),
        _ => {}
    }
    match field.kind {
        Kind::One(related) => reference(db, related, by, text, label).map(|id| json!(id)),
        Kind::Many(related) => {
            let ids: Result<Vec<Id>, Problem> =
                text.split(',').map(|one| reference(db, related, by, one.trim(), label)).collect();
            Ok(json!([[6, 0, ids?]]))
        }
        Kind::Int | Kind::Float => text
            .parse::<f64>()
            .map(|number| json!(number))
            .map_err(|_| (format!("'{text}' does not seem to be a number for field '{label}'"), None)),
        Kind::Bool => Ok(json!(matches!(text.to_lowercase().as_str(), "1" | "true" | "yes"))),
        Kind::Date if !orm::is_moment(text, false) => Err(not_a_moment(text, "date", "2012-12-31", label)),
        Kind::Datetime if !orm::is_moment(text, true) && !orm::is_moment(text, false) => {
            Err(not_a_moment(text, "datetime", "2012-12-31 23:59:59", label))
        }
        Kind::Selection(choices) if !choices.contains(&text) => {
            Err((format!("Value '{text}' not found in selection field '{label}'"), Some(json!(choices))))
        }
        _ => Ok(json!(text)),
    }
}

fn not_a_moment(text: &str, what: &str, example: &str, label: &str) -> Problem {
    (
        format!("'{text}' does not seem to be a valid {what} for field '{label}'"),
        Some(json!(format!("Use the format '{example}'"))),
    )
}

/// The record that a cell points at: by database id (`/.id`), external id (`/id`) or name.
fn reference(db: &Db, model: &'static str, by: Option<&str>, text: &str, label: &str) -> Result<Id, Problem> {
    let (kind, found) = match by {
        Some(".id") => {
            let Ok(id) = text.parse::<Id>() else {
                return Err((format!("Invalid database id '{text}' for the field '{label}'"), possible(model)));
            };
            ("database id", Some(id).filter(|id| db.exists(model, *id)))
        }
        Some("id") => ("external id", external(db, text).map(|(_, id)| id).filter(|id| db.exists(model, *id))),
        _ => ("name", by_name(db, model, text)),
    };
    found.ok_or_else(|| {
        let message = format!("No matching record found for {kind} '{text}' in field '{label}'");
        (message, possible(model))
    })
}

fn possible(model: &str) -> Option<Value> {
    Some(json!({
        "name": "Possible Values", "type": "ir.actions.act_window", "target": "new", "view_mode": "list,form",
        "context": {"create": false}, "help": "See all possible values", "res_model": "ir.model.data",
        "domain": [["model", "=", model]],
    }))
}

fn by_name(db: &Db, model: &'static str, text: &str) -> Option<Id> {
    let fields = ["default_code", "code", "name", "complete_name"];
    fields.iter().find_map(|field| db.find(model, field, text))
}

/// The model and record of an external id.
fn external(db: &Db, name: &str) -> Option<(String, Id)> {
    let data = db.external(&complete(name))?;
    let model = db.text("ir.model.data", data, "model").to_owned();
    Some((model, db.one("ir.model.data", data, "res_id")?))
}

/// An external id without a module belongs to `__import__`.
fn complete(name: &str) -> String {
    match name.contains('.') {
        true => name.to_owned(),
        false => format!("__import__.{name}"),
    }
}

fn save(db: &mut Db, model: &'static Model, incoming: Incoming) -> Outcome<Id> {
    let known = own_record(db, model, &incoming)?;
    let mut commands = Vec::new();
    for (field, lines) in incoming.lines {
        let Some(child) = related(field) else { continue };
        for line in lines {
            commands.push((field, child, line));
        }
    }
    let id = match known {
        Some(id) => {
            orm::write(db, model, id, &incoming.values)?;
            id
        }
        None => orm::create(db, model, &incoming.values)?,
    };
    name_record(db, model, &incoming.external, id)?;
    for (field, child, mut line) in commands {
        let Kind::Lines(_, back) = field.kind else { continue };
        line.values.insert(back.into(), json!(id));
        save(db, child, line)?;
    }
    Ok(id)
}

/// The record that is already there for this external or database id.
fn own_record(db: &Db, model: &Model, incoming: &Incoming) -> Outcome<Option<Id>> {
    if incoming.external.is_empty() {
        return Ok(incoming.database);
    }
    let name = &incoming.external;
    match external(db, name) {
        Some((other, _)) if other != model.name => {
            let data = db.external(&complete(name)).unwrap_or_default();
            Err(Refusal::validation(format!(
                "For external id {name} when trying to create/update a record of model {} found record of different model {other} ({data})",
                model.name
            )))
        }
        // A record that was deleted leaves its external id behind: it is made anew under the same name.
        Some((_, id)) => Ok(Some(id).filter(|id| db.exists(model.name, *id))),
        None => Ok(None),
    }
}

fn name_record(db: &mut Db, model: &'static Model, name: &str, id: Id) -> Outcome<()> {
    if name.is_empty() {
        return Ok(());
    }
    if name.contains(' ') {
        return Err(Refusal::validation(format!(
            "new row for relation \"ir_model_data\" violates check constraint \"ir_model_data_name_nospaces\"\nDETAIL:  {}\n",
            python(&json!(name))
        )));
    }
    let complete = complete(name);
    if let Some(data) = db.external(&complete) {
        if db.one("ir.model.data", data, "res_id") != Some(id) {
            db.set("ir.model.data", data, row([("res_id", json!(id))]));
        }
        return Ok(());
    }
    let (module, short) = complete.split_once('.').unwrap_or(("__import__", name));
    let values = row([
        ("module", json!(module)),
        ("name", json!(short)),
        ("complete_name", json!(complete)),
        ("model", json!(model.name)),
        ("res_id", json!(id)),
        ("noupdate", json!(false)),
    ]);
    db.insert("ir.model.data", values);
    Ok(())
}
