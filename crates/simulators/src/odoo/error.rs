//! How a call is refused: Odoo's exception name, its message and the HTTP status that goes with it.

use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub status: u16,
    pub name: &'static str,
    pub message: String,
    /// The field at fault, which `load` reports beside the message.
    pub field: Option<&'static str>,
}

pub(super) type Outcome<T> = Result<T, Refusal>;

impl Refusal {
    fn new(status: u16, name: &'static str, message: impl Into<String>) -> Self {
        Self { status, name, message: message.into(), field: None }
    }

    pub(super) fn user(message: impl Into<String>) -> Self {
        Self::new(422, "odoo.exceptions.UserError", message)
    }

    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(422, "odoo.exceptions.ValidationError", message)
    }

    /// A mandatory field has no value.
    pub(super) fn mandatory(field: &'static str, label: &str, model: &str, model_label: &str) -> Self {
        let mut refusal = Self::validation(format!(
            "The operation cannot be completed: Missing required value for the field '{label}' ({field}).\n\
             Model: '{model_label}' ({model})\n- create/update: a mandatory field is not set\n\
             - delete: another model requires the record being deleted, you can archive it instead\n"
        ));
        refusal.field = Some(field);
        refusal
    }

    pub(super) fn value(message: impl Into<String>) -> Self {
        Self::new(500, "builtins.ValueError", message)
    }

    pub(super) fn missing(model: &str, id: i64) -> Self {
        let message = format!("Record does not exist or has been deleted.\n(Record: {model}({id},), User: 2)");
        Self::new(404, "odoo.exceptions.MissingError", message)
    }

    pub(super) fn access(message: impl Into<String>) -> Self {
        Self::new(403, "odoo.exceptions.AccessError", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "werkzeug.exceptions.NotFound", message)
    }

    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, "werkzeug.exceptions.Unauthorized", message)
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "werkzeug.exceptions.BadRequest", message)
    }

    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "werkzeug.exceptions.UnprocessableEntity", message)
    }

    pub(super) fn body(&self) -> Value {
        let mut arguments = vec![json!(self.message)];
        if self.name.starts_with("werkzeug.") {
            arguments.push(json!(self.status));
        }
        json!({
            "name": self.name,
            "message": self.message,
            "arguments": arguments,
            "context": {},
            "debug": format!("Traceback (most recent call last):\n  File \"odoo/http.py\", line 1, in _serve_db\n{}: {}\n", self.name, self.message),
        })
    }
}
