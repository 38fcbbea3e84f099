//! How Tryton answers calls as such: statuses, errors, names with dots, domains. Asked of both.

use crate::walk::Books;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Client;
use serde_json::{Value, json};

pub struct Raw {
    client: Client,
    url: String,
    database: String,
    user: String,
    password: String,
    pub session: String,
}

impl Raw {
    pub fn of(settings: &Value) -> Self {
        spindel_http::init();
        let text = |name: &str| settings[name].as_str().unwrap().to_owned();
        let (url, database, user, password) = (text("url"), text("database"), text("user"), text("password"));
        Self { client: Client::new(), url, database, user, password, session: String::new() }
    }

    pub async fn post(&self, path: &str, method: &str, params: Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let request = if self.session.is_empty() { request } else { request.header("authorization", &self.session) };
        let body = json!({ "id": 7, "method": method, "params": params }).to_string();
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    pub async fn rpc(&self, method: &str, params: Value) -> (u16, Value) {
        self.post(&format!("/{}/rpc/", self.database), method, params).await
    }

    pub async fn login(&mut self) {
        let (status, answer) = self.rpc("common.db.login", json!([self.user, { "password": self.password }])).await;
        assert_eq!((status, &answer["id"]), (200, &json!(7)));
        let (id, token) = (answer["result"][0].as_i64().unwrap(), answer["result"][1].as_str().unwrap());
        self.session = format!("Session {}", STANDARD.encode(format!("{}:{id}:{token}", self.user)));
    }

    async fn result(&self, method: &str, params: Value) -> Value {
        let (status, answer) = self.rpc(method, params).await;
        assert_eq!((status, answer.get("error")), (200, None), "{method}");
        answer["result"].clone()
    }

    /// The kind of an error, and what it says.
    async fn error(&self, method: &str, params: Value) -> (String, String) {
        let (status, answer) = self.rpc(method, params).await;
        assert_eq!(status, 200, "{method}: {answer}");
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let error = &answer["error"];
        (text(&error[0]), if error[1].is_array() { text(&error[1][0]) } else { text(&error[1]) })
    }
}

pub async fn shapes(books: &impl Books) {
    let settings = books.settings();
    let context = json!({ "company": 1, "language": "en" });
    let mut raw = Raw::of(&settings);
    statuses(&raw, &context).await;
    raw.login().await;
    errors(&raw, &context, &books.run()).await;
    reading(&raw, &context, &books.sku(0)).await;
}

async fn statuses(raw: &Raw, context: &Value) {
    assert_eq!(raw.post("/rpc/", "common.server.version", json!([])).await.0, 200);
    assert_eq!(raw.rpc("model.sale.sale.search", json!([[], 0, 1, null, context])).await.0, 401);
    assert_eq!(raw.rpc("common.db.login", json!(["nobody", { "password": "x" }])).await.0, 401);
    assert_eq!(raw.post("/elsewhere/rpc/", "common.db.login", json!(["nobody", { "password": "x" }])).await.0, 404);
}

async fn errors(raw: &Raw, context: &Value, run: &str) {
    assert_eq!(raw.rpc("model.sale.sale.frobnicate", json!([[1], context])).await.0, 403);
    assert_eq!(raw.rpc("model.sale.sale.search", json!([[], 0, 1, null])).await.0, 422);
    assert_eq!(raw.error("model.foo.bar.search", json!([[], 0, 1, null, context])).await.0, "'foo.bar'");
    for (method, params) in [
        ("model.party.party.search", json!([[["frob", "=", 1]], 0, 1, null, context])),
        ("model.party.party.search_read", json!([[], 0, 1, null, ["frob"], context])),
        ("model.party.party.create", json!([[{ "name": "x", "frob": 1 }], context])),
    ] {
        assert_eq!(raw.error(method, params).await.0, "'frob'", "{method}");
    }
    let party = json!([[{ "name": "Twice", "code": format!("twice{run}") }], context]);
    let id = raw.result("model.party.party.create", party.clone()).await[0].clone();
    let twice = raw.error("model.party.party.create", party).await;
    assert_eq!(twice, ("UserError".into(), "The code on party must be unique.".into()));
    let (kind, text) = raw.error("model.sale.sale.write", json!([[999_999], { "comment": "x" }, context])).await;
    assert_eq!(
        (kind.as_str(), text.as_str()),
        ("UserError", "You are trying to write to records \"999999\" of \"Sale\" that don't exist.")
    );
    let mut stale = context.clone();
    stale["_timestamp"] = json!({ format!("party.party,{id}"): "1.0" });
    let (kind, text) = raw.error("model.party.party.write", json!([[id], { "name": "x" }, stale])).await;
    assert_eq!((kind.as_str(), text.as_str()), ("ConcurrencyException", "Records were modified in the meanwhile"));
    // A sale that is being processed.
    let sale =
        raw.result("model.sale.sale.search", json!([[["state", "=", "processing"]], 0, 1, null, context])).await[0].clone();
    let (kind, text) = raw.error("model.sale.sale.quote", json!([[sale], context])).await;
    assert_eq!(kind, "UserError");
    assert!(text.starts_with("You can not call \"quote\" on \"") && text.ends_with("\" of \"Sale\"."), "{text}");
    let line = json!([["create", [{ "type": "comment", "description": "x" }]]]);
    let (kind, text) = raw.error("model.sale.sale.write", json!([[sale], { "lines": line }, context])).await;
    assert_eq!(kind, "UserError");
    assert!(text.starts_with("You are not allowed to modify the field \""), "{text}");
}

async fn reading(raw: &Raw, context: &Value, sku: &str) {
    let fields = raw.result("model.sale.sale.fields_get", json!([["web_id", "frob"], context])).await;
    assert_eq!(fields.as_object().unwrap().keys().collect::<Vec<_>>(), ["web_id"]);
    let names = json!(["code", "template.list_prices.list_price", "salable", "quantity"]);
    for domain in [
        json!([["code", "=", sku]]),
        json!(["OR", ["code", "=", "none"], ["code", "in", [sku]]]),
        json!([["code", "=", sku], ["OR", [["type", "=", "goods"], ["id", ">", 0]], ["id", "<", 0]]]),
        json!([["template.list_prices.list_price", ">=", { "__class__": "Decimal", "decimal": "0" }], ["code", "=", sku]]),
        json!([["code", "like", format!("{}%", sku.replace('-', "_"))]]),
        json!([["code", "not in", ["none"]], ["code", "!=", null], ["code", "like", sku]]),
    ] {
        let found = raw.result("model.product.product.search_read", json!([domain, 0, 1, [["id", "ASC"]], names, context])).await;
        let product = &found[0];
        assert_eq!(product["code"], sku, "{domain}");
        assert_eq!(product["template."]["list_prices."].as_array().unwrap().len(), 1);
        assert_eq!(product["template."]["list_prices."][0]["list_price"]["__class__"], "Decimal");
        assert!(product["template."].get("id").is_some() && product.get("template").is_none(), "{product}");
    }
    for domain in [
        json!([["code", "like", sku.replace('-', "\\_")]]),
        json!([["code", "=", sku], ["code", "=", "none"]]),
        json!([["code", "=", sku], ["last_modified_at", "<", { "__class__": "datetime", "year": 2000, "month": 1, "day": 1,
            "hour": 0, "minute": 0, "second": 0, "microsecond": 0 }]]),
    ] {
        let found = raw.result("model.product.product.search", json!([domain, 0, 1, null, context])).await;
        assert_eq!(found, json!([]), "{domain}");
    }
}
