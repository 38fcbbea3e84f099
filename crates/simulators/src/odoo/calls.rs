//! The methods that can be called over JSON-2: their arguments, and what carries them out.

use super::{
    accounting,
    error::{Outcome, Refusal},
    load, orm,
    records::{Db, Id, Row, as_ids, row},
    sales,
    schema::Model,
    stock::{self, Shortage},
};
use serde_json::{Value, json};

/// Required and optional arguments of the methods that every model has.
const METHODS: &[(&str, &[&str], &[&str])] = &[
    ("search", &["domain"], &["offset", "limit", "order"]),
    ("search_read", &[], &["domain", "fields", "offset", "limit", "order", "load"]),
    ("search_count", &["domain"], &["limit"]),
    ("read", &[], &["fields", "load"]),
    ("create", &["vals_list"], &[]),
    ("write", &["vals"], &[]),
    ("unlink", &[], &[]),
    ("fields_get", &[], &["allfields", "attributes"]),
    ("load", &["fields", "data"], &[]),
];

/// The user whose key the API key is.
pub(super) const USER: Id = 2;

/// Methods that only one model has.
const ACTIONS: &[(&str, &str)] = &[
    ("res.users", "context_get"),
    ("account.payment", "action_post"),
    ("sale.order", "action_confirm"),
    ("sale.order", "action_cancel"),
    ("sale.order", "action_draft"),
    ("sale.order", "message_post"),
    ("res.partner", "message_post"),
    ("account.move", "message_post"),
    ("account.move", "action_post"),
    ("sale.advance.payment.inv", "create_invoices"),
    ("account.payment.register", "action_create_payments"),
    ("account.move.reversal", "refund_moves"),
    ("account.move.reversal", "reverse_moves"),
    ("stock.picking", "button_validate"),
    ("stock.picking", "action_assign"),
    ("stock.quant", "action_apply_inventory"),
];

/// One call is one transaction: when it fails, nothing of it stays.
pub(super) fn call(db: &mut Db, model: &str, method: &str, arguments: &Row) -> Outcome<Value> {
    let start = db.savepoint();
    let outcome = dispatch(db, model, method, arguments);
    if outcome.is_err() {
        db.rollback_to(start);
    }
    db.commit();
    outcome
}

fn dispatch(db: &mut Db, name: &str, method: &str, arguments: &Row) -> Outcome<Value> {
    let model = orm::model(name)?;
    if method.starts_with('_') {
        return Err(Refusal::access(format!("Private methods (such as '{name}.{method}') cannot be called remotely.")));
    }
    let call = Call { model, arguments };
    if let Some((_, required, optional)) = METHODS.iter().find(|(known, ..)| *known == method) {
        call.check(required, optional)?;
        return call.generic(db, method);
    }
    if !ACTIONS.contains(&(name, method)) {
        return Err(Refusal::not_found(format!("The method '{name}.{method}' does not exist")));
    }
    call.action(db, method)
}

struct Call<'a> {
    model: &'static Model,
    arguments: &'a Row,
}

impl Call<'_> {
    fn check(&self, required: &[&str], optional: &[&str]) -> Outcome<()> {
        if let Some(missing) = required.iter().find(|name| !self.arguments.contains_key(**name)) {
            return Err(Refusal::unprocessable(format!("missing a required argument: '{missing}'")));
        }
        let known = |name: &str| matches!(name, "ids" | "context") || required.contains(&name) || optional.contains(&name);
        match self.arguments.keys().find(|name| !known(name)) {
            Some(name) => Err(Refusal::unprocessable(format!("got an unexpected keyword argument '{name}'"))),
            None => Ok(()),
        }
    }

    fn generic(&self, db: &mut Db, method: &str) -> Outcome<Value> {
        let model = self.model;
        match method {
            "search" => Ok(json!(self.search(db)?)),
            "search_read" => orm::read(db, model, &self.search(db)?, &self.texts("fields")),
            "search_count" => Ok(json!(self.search(db)?.len())),
            "read" => orm::read(db, model, &self.ids(), &self.texts("fields")),
            "create" => self.create(db),
            "write" => {
                let values = self.arguments["vals"].as_object().cloned().unwrap_or_default();
                for id in self.ids() {
                    orm::write(db, model, id, &values)?;
                }
                Ok(json!(true))
            }
            "unlink" => {
                for id in self.ids() {
                    orm::unlink(db, model, id)?;
                }
                Ok(json!(true))
            }
            "fields_get" => Ok(orm::fields_get(model, &self.texts("allfields"), &self.texts("attributes"))),
            _ => load::load(db, model, &self.texts("fields"), &self.arguments["data"]),
        }
    }

    fn action(&self, db: &mut Db, method: &str) -> Outcome<Value> {
        if method == "context_get" {
            return Ok(json!({"lang": "en_US", "tz": false, "uid": USER}));
        }
        let ids = self.ids();
        let mut answer = json!(true);
        for id in ids {
            answer = match (self.model.name, method) {
                ("sale.order", "action_confirm") => sales::confirm(db, id).map(|()| json!(true)),
                ("sale.order", "action_cancel") => sales::cancel(db, id).map(|()| json!(true)),
                ("sale.order", "action_draft") => sales::draft(db, id).map(|()| json!(true)),
                ("account.move", "action_post") => accounting::post(db, id).map(|()| json!(false)),
                ("account.payment", "action_post") => accounting::post_payment(db, id).map(|()| Value::Null),
                (_, "create_invoices") => accounting::create_invoices(db, id),
                (_, "action_create_payments") => accounting::create_payments(db, id),
                (_, "refund_moves" | "reverse_moves") => accounting::refund_moves(db, id),
                (_, "button_validate") => stock::validate(db, id, self.shortage()),
                (_, "action_apply_inventory") => stock::apply_inventory(db, id).map(|()| Value::Null),
                (_, "message_post") => self.message(db, id),
                _ => Ok(json!(true)),
            }?;
        }
        Ok(answer)
    }

    fn create(&self, db: &mut Db) -> Outcome<Value> {
        let list = match &self.arguments["vals_list"] {
            Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        let mut ids = Vec::new();
        for values in list {
            let mut values = values.as_object().cloned().unwrap_or_default();
            self.wizard_context(&mut values);
            ids.push(orm::create(db, self.model, &values)?);
        }
        Ok(json!(ids))
    }

    /// Wizards take the documents they work on from the context, unless the values name them.
    fn wizard_context(&self, values: &mut Row) {
        let (field, about) = match self.model.name {
            "account.payment.register" => ("move_ids", "account.move"),
            "account.move.reversal" => ("move_ids", "account.move"),
            "sale.advance.payment.inv" => ("sale_order_ids", "sale.order"),
            _ => return,
        };
        let active = self.context("active_model").as_str() == Some(about);
        if active && !values.contains_key(field) {
            values.insert(field.into(), self.context("active_ids").clone());
        }
    }

    fn message(&self, db: &mut Db, id: Id) -> Outcome<Value> {
        let body = self.arguments.get("body").cloned().unwrap_or(json!(""));
        let values = row([("model", json!(self.model.name)), ("res_id", json!(id)), ("body", body)]);
        let message = db.insert("mail.message", values);
        Ok(json!(message))
    }

    fn shortage(&self) -> Shortage {
        match self.context("skip_backorder").as_bool() {
            Some(true) => Shortage::Backorder,
            _ => Shortage::Ask,
        }
    }

    fn search(&self, db: &Db) -> Outcome<Vec<Id>> {
        let number = |name: &str| self.arguments.get(name).and_then(Value::as_u64);
        let number = |name: &str| number(name).and_then(|number| usize::try_from(number).ok());
        let search = orm::Search {
            domain: self.arguments.get("domain").unwrap_or(&Value::Null),
            order: self.arguments.get("order").and_then(Value::as_str).filter(|order| !order.is_empty()),
            offset: number("offset").unwrap_or(0),
            limit: number("limit").filter(|limit| *limit > 0),
            active_only: self.context("active_test").as_bool() != Some(false),
        };
        orm::search(db, self.model, &search)
    }

    fn ids(&self) -> Vec<Id> {
        self.arguments.get("ids").map(as_ids).unwrap_or_default()
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let list = self.arguments.get(name).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    }

    fn context(&self, name: &str) -> &Value {
        self.arguments.get("context").and_then(|context| context.get(name)).unwrap_or(&Value::Null)
    }
}
