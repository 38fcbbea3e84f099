//! Tryton's JSON-RPC: a method with its parameters, the last of which is the context; warnings, wizards.

use crate::{Tryton, problem, records::WebShop};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use spindel_connect::{Api, CallError};
use spindel_model::ErrorClass;

/// Warnings of one call that are accepted one after the other.
const MOST_WARNINGS: usize = 20;

/// `/hub/rpc/`
pub(crate) fn path(database: &str) -> String {
    format!("/{database}/rpc/")
}

/// Calls as this connection makes them.
pub(crate) struct Rpc<'a> {
    tryton: &'a Tryton,
    api: &'a Api,
}

impl Tryton {
    pub(crate) fn rpc<'a>(&'a self, api: &'a Api) -> Rpc<'a> {
        Rpc { tryton: self, api }
    }
}

#[derive(Deserialize)]
struct Answer<T> {
    #[serde(default = "nothing")]
    result: Option<T>,
    /// Only warnings get here: whatever else went wrong is an error already.
    #[serde(default)]
    error: Option<(String, Value)>,
}

fn nothing<T>() -> Option<T> {
    None
}

impl Rpc<'_> {
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        method: &str,
        parameters: Vec<Value>,
    ) -> Result<T, CallError> {
        self.within(operation, method, parameters, Value::Null).await
    }

    /// With more in the context than the company.
    pub(crate) async fn within<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        method: &str,
        parameters: Vec<Value>,
        context: Value,
    ) -> Result<T, CallError> {
        let result = self.run(operation, method, parameters, context).await?;
        result.ok_or_else(|| CallError::unexpected(operation, format!("`{method}` answers nothing")))
    }

    /// A method whose answer says nothing.
    pub(crate) async fn act(&self, operation: &'static str, method: &str, parameters: Vec<Value>) -> Result<(), CallError> {
        self.run::<Value>(operation, method, parameters, Value::Null).await.map(drop)
    }

    async fn run<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        method: &str,
        mut parameters: Vec<Value>,
        more: Value,
    ) -> Result<Option<T>, CallError> {
        parameters.push(self.context(more));
        let body = json!({ "id": 1, "method": method, "params": parameters });
        for _ in 0..MOST_WARNINGS {
            let answer: Answer<T> = self.api.post(operation, self.path()).json(&body).fetch().await?;
            match answer.error {
                None => return Ok(answer.result),
                Some((_, warning)) => self.accept(operation, &warning).await?,
            }
        }
        Err(CallError::data(operation, "Tryton warns again and again: do it once by hand to see why"))
    }

    /// English, as failures are told apart by their texts.
    fn context(&self, more: Value) -> Value {
        let mut context = Map::new();
        context.insert("company".into(), self.tryton.config.company.into());
        context.insert("language".into(), "en".into());
        if let Value::Object(more) = more {
            context.extend(more);
        }
        Value::Object(context)
    }

    fn path(&self) -> String {
        path(&self.tryton.config.database)
    }

    /// `[name, message, description]`: the name says which warning about which records it is.
    async fn accept(&self, operation: &'static str, warning: &Value) -> Result<(), CallError> {
        let text = |at: usize| warning.get(at).and_then(Value::as_str).unwrap_or_default();
        if !self.tryton.config.accept_warnings {
            let problem = format!("UserWarning: {} (`accept_warnings` is off: do it by hand)", problem::first_line(text(1)));
            return Err(CallError::data(operation, problem));
        }
        let skip = json!({
            "id": 1,
            "method": "model.res.user.warning.skip",
            "params": [text(0), false, self.context(Value::Null)],
        });
        let _: Answer<Value> = self.api.post("accept_warning", self.path()).json(&skip).fetch().await?;
        Ok(())
    }

    // --- records

    pub(crate) async fn search<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        model: &str,
        domain: Value,
        fields: &[&str],
        limit: usize,
    ) -> Result<Vec<T>, CallError> {
        let parameters = vec![domain, json!(0), json!(limit), json!([["id", "ASC"]]), json!(fields)];
        self.call(operation, &format!("model.{model}.search_read"), parameters).await
    }

    /// Only what exists: `read` itself refuses all when one is gone.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        model: &str,
        ids: &[i64],
        fields: &[&str],
    ) -> Result<Vec<T>, CallError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.search(operation, model, json!([["id", "in", ids]]), fields, ids.len()).await
    }

    /// All of them or none; their ids, in the same order.
    pub(crate) async fn create(&self, operation: &'static str, model: &str, rows: Vec<Value>) -> Result<Vec<i64>, CallError> {
        let wanted = rows.len();
        let made = self.call(operation, &format!("model.{model}.create"), vec![Value::Array(rows)]).await;
        let ids: Vec<i64> = made.map_err(overtaken)?;
        if ids.len() != wanted {
            return Err(CallError::unexpected(
                operation,
                format!("{wanted} records of {model} were made, {} ids came back", ids.len()),
            ));
        }
        Ok(ids)
    }

    pub(crate) async fn create_one(&self, operation: &'static str, model: &str, row: Value) -> Result<i64, CallError> {
        Ok(self.create(operation, model, vec![row]).await?.first().copied().unwrap_or_default())
    }

    pub(crate) async fn write(&self, operation: &'static str, model: &str, id: i64, values: Value) -> Result<(), CallError> {
        self.act(operation, &format!("model.{model}.write"), vec![json!([id]), values]).await
    }

    /// A button.
    pub(crate) async fn press(&self, operation: &'static str, model: &str, button: &str, ids: &[i64]) -> Result<(), CallError> {
        self.act(operation, &format!("model.{model}.{button}"), vec![json!(ids)]).await
    }

    pub(crate) async fn server_version(&self) -> Result<String, CallError> {
        let body = json!({ "id": 1, "method": "common.server.version", "params": [] });
        let answer: Answer<String> = self.api.post("version", "/rpc/").json(&body).fetch().await?;
        answer.result.ok_or_else(|| CallError::unexpected("version", "the server does not say its version"))
    }

    pub(crate) async fn web_shop(&self, operation: &'static str) -> Result<WebShop, CallError> {
        let id = self.tryton.config.web_shop;
        let found = self.search(operation, "web.shop", json!([["id", "=", id]]), WebShop::FIELDS, 1).await?.pop();
        found.ok_or_else(|| CallError::config(operation, format!("`web_shop`: Tryton has no active web shop with the id {id}")))
    }
}

/// What is looked for before it is made, and there all the same, was made by another attempt in between.
fn overtaken(error: CallError) -> CallError {
    let clashes = error.class == ErrorClass::Data && error.message.contains("must be unique");
    if clashes { CallError { class: ErrorClass::Transient, ..error } } else { error }
}

/// A wizard that is open.
pub(crate) struct Wizard<'a> {
    rpc: &'a Rpc<'a>,
    operation: &'static str,
    name: &'static str,
    session: i64,
    context: Value,
}

/// What a wizard answers to a step: a form, or nothing when it is through.
#[derive(Deserialize)]
pub(crate) struct Stage {
    #[serde(default)]
    view: Option<View>,
}

#[derive(Deserialize)]
struct View {
    #[serde(default)]
    defaults: Map<String, Value>,
}

impl Stage {
    /// The form as it is filled in to begin with. Names of records, which only people need, are left out.
    pub(crate) fn form(self) -> Option<Map<String, Value>> {
        let defaults = self.view?.defaults;
        Some(defaults.into_iter().filter(|(name, _)| !name.ends_with('.')).collect())
    }
}

impl<'a> Rpc<'a> {
    /// Opens a wizard on one record.
    pub(crate) async fn wizard(
        &'a self,
        operation: &'static str,
        name: &'static str,
        model: &str,
        id: i64,
    ) -> Result<Wizard<'a>, CallError> {
        let context = json!({ "active_model": model, "active_id": id, "active_ids": [id] });
        let (session, _, _): (i64, String, String) =
            self.within(operation, &format!("wizard.{name}.create"), Vec::new(), context.clone()).await?;
        Ok(Wizard { rpc: self, operation, name, session, context })
    }
}

impl Wizard<'_> {
    pub(crate) async fn step(&self, data: Value, state: &str) -> Result<Stage, CallError> {
        let parameters = vec![json!(self.session), data, json!(state)];
        self.rpc.within(self.operation, &format!("wizard.{}.execute", self.name), parameters, self.context.clone()).await
    }

    /// What it was for is done by now: that it is not tidied up is no failure.
    pub(crate) async fn close(self) {
        let parameters = vec![json!(self.session)];
        let method = format!("wizard.{}.delete", self.name);
        let _ = self.rpc.run::<Value>(self.operation, &method, parameters, self.context).await;
    }
}
