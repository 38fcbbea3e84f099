//! A real Tryton: what the walk needs to be there, and what people do in it.

use crate::walk::{Books, Sale};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Client;
use serde_json::{Value, json};
use spindel_model::{Clock, Decimal};
use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The company, its chart and its taxes are made at the installation.
const COMPANY: i64 = 1;
const LOGIN: &str = "spindel";
const PASSWORD: &str = "kleve-bord-17-vinter";
const GROUPS: [&str; 6] =
    ["Sales", "Sales Administrator", "Stock", "Accounting", "Party Administration", "Account Product Administration"];

pub struct Peer {
    client: Client,
    url: String,
    database: String,
    session: String,
    run: String,
    ids: BTreeMap<&'static str, i64>,
}

fn decimal(text: &str) -> Value {
    json!({ "__class__": "Decimal", "decimal": text })
}

fn read_decimal(value: &Value) -> Decimal {
    value["decimal"].as_str().unwrap().parse().unwrap()
}

fn first(ids: &Value) -> i64 {
    ids[0].as_i64().unwrap_or_else(|| panic!("nothing found: {ids}"))
}

impl Peer {
    /// The Tryton that the environment names, if it names one, with what the walk needs.
    pub async fn from_environment() -> Option<Self> {
        let read = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let url = read("SPINDEL_TRYTON_URL")?.trim_end_matches('/').to_owned();
        let database = read("SPINDEL_TRYTON_DATABASE").unwrap_or_else(|| "hub".to_owned());
        let password = read("SPINDEL_TRYTON_PASSWORD").unwrap_or_else(|| "admin".to_owned());
        spindel_http::init();
        let client = Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        let run = format!("{}-", SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs());
        let mut peer = Self { client, url, database, session: String::new(), run, ids: BTreeMap::new() };
        let answer = peer.post("common.db.login", json!(["admin", { "password": password }])).await;
        let (id, token) = (answer["result"][0].as_i64().unwrap(), answer["result"][1].as_str().unwrap().to_owned());
        peer.session = format!("Session {}", STANDARD.encode(format!("admin:{id}:{token}")));
        peer.prepare().await;
        Some(peer)
    }

    async fn post(&self, method: &str, parameters: Value) -> Value {
        let request = self.client.post(format!("{}/{}/rpc/", self.url, self.database)).header("content-type", "application/json");
        let body = json!({ "id": 1, "method": method, "params": parameters }).to_string();
        let answer = request.header("authorization", &self.session).body(body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {parameters}: {status} {text:.500}");
        serde_json::from_str(&text).unwrap()
    }

    /// Warnings are answered with yes.
    async fn call(&self, method: &str, mut parameters: Vec<Value>) -> Value {
        parameters.push(json!({ "company": COMPANY, "language": "en" }));
        let parameters = Value::from(parameters);
        for _ in 0..10 {
            let answer = self.post(method, parameters.clone()).await;
            if answer["error"][0] == "UserWarning" {
                let skip = json!([answer["error"][1][0], false, { "company": COMPANY }]);
                self.post("model.res.user.warning.skip", skip).await;
                continue;
            }
            assert!(answer.get("error").is_none(), "{method} {parameters}: {answer:.900}");
            return answer["result"].clone();
        }
        panic!("{method} warns again and again");
    }

    async fn search(&self, model: &str, domain: Value) -> Value {
        self.call(&format!("model.{model}.search"), vec![domain, json!(0), json!(100), json!([["id", "ASC"]])]).await
    }

    async fn find(&self, model: &str, domain: Value, fields: &[&str]) -> Vec<Value> {
        let parameters = vec![domain, json!(0), json!(100), json!([["id", "ASC"]]), json!(fields)];
        self.call(&format!("model.{model}.search_read"), parameters).await.as_array().unwrap().clone()
    }

    async fn create(&self, model: &str, values: Value) -> i64 {
        first(&self.call(&format!("model.{model}.create"), vec![json!([values])]).await)
    }

    async fn find_or_create(&self, model: &str, domain: Value, values: Value) -> i64 {
        match self.search(model, domain).await[0].as_i64() {
            Some(id) => id,
            None => self.create(model, values).await,
        }
    }

    async fn press(&self, model: &str, button: &str, ids: &Value) {
        self.call(&format!("model.{model}.{button}"), vec![ids.clone()]).await;
    }

    /// Looked for first, and made only where it is missing, so that runs share it.
    async fn prepare(&mut self) {
        let nok = first(&self.search("currency.currency", json!([["code", "=", "NOK"]])).await);
        let since = json!({ "__class__": "date", "year": 2026, "month": 1, "day": 1 });
        let others = [
            ("EUR", "0.0875", "0.01", 2),
            ("JPY", "14.2", "1", 0),
            ("SEK", "0.97", "0.01", 2),
            ("DKK", "0.65", "0.01", 2),
            ("KWD", "0.0305", "0.001", 3),
        ];
        for (code, rate, rounding, digits) in others {
            let values = json!({ "name": code, "symbol": code, "code": code, "rounding": decimal(rounding), "digits": digits,
                "rates": [["create", [{ "date": since, "rate": decimal(rate) }]]] });
            self.find_or_create("currency.currency", json!([["code", "=", code]]), values).await;
        }
        let norway = json!({ "name": "Norway", "code": "NO" });
        self.find_or_create("country.country", json!([["code", "=", "NO"]]), norway).await;
        let warehouse = first(&self.search("stock.location", json!([["type", "=", "warehouse"]])).await);
        let shop = json!({ "name": "Fjord", "company": COMPANY, "currency": nok, "warehouses": [["add", [warehouse]]] });
        let shop = self.find_or_create("web.shop", json!([["name", "=", "Fjord"]]), shop).await;
        let cash = self
            .find("account.account", json!([["name", "=", "Cash and Cash Equivalents"], ["type", "!=", null]]), &["name"])
            .await;
        let cash = cash[0]["id"].as_i64().unwrap();
        let journal = first(&self.search("account.journal", json!([["type", "=", "cash"]])).await);
        let method =
            json!({ "name": "Vipps", "company": COMPANY, "journal": journal, "credit_account": cash, "debit_account": cash });
        let method = self.find_or_create("account.invoice.payment.method", json!([["name", "=", "Vipps"]]), method).await;
        let tax = first(&self.search("account.tax", json!([["parent", "=", null]])).await);
        let ids = [("warehouse", warehouse), ("shop", shop), ("method", method), ("tax", tax), ("nok", nok)];
        self.ids.extend(ids);
        self.user().await;
        for at in 0..4 {
            self.product(&self.sku(at), "goods").await;
        }
        for service in ["FRAKT", "AVRUNDING", "GEBYR"] {
            self.product(service, "service").await;
        }
    }

    /// Whom Spindel works as: no administrator.
    async fn user(&self) {
        let groups: Vec<i64> = self
            .find("res.group", json!([["name", "in", GROUPS]]), &["name"])
            .await
            .iter()
            .map(|it| it["id"].as_i64().unwrap())
            .collect();
        assert_eq!(groups.len(), GROUPS.len());
        let values = json!({ "name": "Spindel", "login": LOGIN, "password": PASSWORD, "companies": [["add", [COMPANY]]],
            "company": COMPANY, "groups": [["add", groups]] });
        self.find_or_create("res.user", json!([["login", "=", LOGIN]]), values).await;
    }

    async fn product(&self, code: &str, kind: &str) -> i64 {
        if let Some(id) = self.search("product.product", json!([["code", "=", code]])).await[0].as_i64() {
            return id;
        }
        let unit = first(&self.search("product.uom", json!([["name", "=", "Unit"]])).await);
        let category = first(&self.search("product.category", json!([["name", "=", "Goods"]])).await);
        let template = json!({ "name": format!("Thing {code}"), "type": kind, "default_uom": unit, "salable": true, "sale_uom": unit,
            "list_price": decimal("100"), "account_category": category, "products": [["create", [{ "suffix_code": code }]]] });
        self.create("product.template", template).await;
        first(&self.search("product.product", json!([["code", "=", code]])).await)
    }
}

impl Books for Peer {
    fn settings(&self) -> Value {
        json!({ "url": self.url, "database": self.database, "user": LOGIN, "password": PASSWORD, "company": COMPANY,
            "web_shop": self.ids["shop"], "warehouse": self.ids["warehouse"], "shipping_product": "FRAKT",
            "rounding_product": "AVRUNDING", "charge_product": "GEBYR" })
    }

    fn maps(&self) -> Value {
        let tax = self.ids["tax"].to_string();
        json!({ "tax": { "NO/25/included": tax, "NO/25/excluded": tax }, "payment": { "vipps": self.ids["method"].to_string() } })
    }

    fn run(&self) -> String {
        self.run.clone()
    }

    fn clock(&self) -> Clock {
        Clock::system()
    }

    fn sku(&self, at: usize) -> String {
        format!("SKU-{}{at}", self.run)
    }

    async fn sale(&self, web_id: &str) -> Sale {
        let fields = ["state", "invoice_state", "shipment_state", "total_amount", "invoices.state", "invoices.total_amount"];
        let found = self.find("sale.sale", json!([["web_id", "=", web_id]]), &fields).await;
        let text = |name: &str| found.first().map(|it| it[name].as_str().unwrap().to_owned()).unwrap_or_default();
        let invoices = found.first().map(|it| it["invoices."].as_array().unwrap().clone()).unwrap_or_default();
        let booked = invoices.iter().filter(|it| matches!(it["state"].as_str(), Some("posted" | "paid")));
        Sale {
            state: text("state"),
            invoice_state: text("invoice_state"),
            shipment_state: text("shipment_state"),
            total: found.first().map(|it| read_decimal(&it["total_amount"])).unwrap_or_default(),
            invoiced: booked.map(|it| read_decimal(&it["total_amount"])).sum(),
            times: found.len(),
        }
    }

    async fn credited(&self, reference: &str) -> Decimal {
        let found = self.find("account.invoice", json!([["reference", "=", reference]]), &["state", "total_amount"]).await;
        assert_eq!(found.len(), 1, "{reference}: {found:?}");
        assert_eq!(found[0]["state"], "posted");
        read_decimal(&found[0]["total_amount"])
    }

    async fn receive(&self, sku: &str, pieces: i64) {
        let warehouse = self.find("stock.location", json!([["id", "=", self.ids["warehouse"]]]), &["storage_location"]).await;
        let supplier = first(&self.search("stock.location", json!([["type", "=", "supplier"]])).await);
        let values = json!({ "product": self.product(sku, "goods").await, "unit": 1, "quantity": pieces, "from_location": supplier,
            "to_location": warehouse[0]["storage_location"], "company": COMPANY, "unit_price": decimal("10"), "currency": self.ids["nok"] });
        let moved = self.create("stock.move", values).await;
        self.press("stock.move", "do", &json!([moved])).await;
    }

    async fn set_price(&self, sku: &str, price: &str) {
        let product = self.find("product.product", json!([["code", "=", sku]]), &["template"]).await;
        let values = json!({ "list_price": decimal(price) });
        self.call("model.product.template.write", vec![json!([product[0]["template"]]), values]).await;
    }

    async fn ship(&self, web_id: &str, tracking: &str) {
        let sale = self.find("sale.sale", json!([["web_id", "=", web_id]]), &["shipments", "shipments.outgoing_moves"]).await;
        let ids = sale[0]["shipments"].clone();
        self.press("stock.shipment.out", "assign_force", &ids).await;
        self.press("stock.shipment.out", "pick", &ids).await;
        let kind = self.find_or_create("stock.package.type", json!([["name", "=", "Box"]]), json!({ "name": "Box" })).await;
        let moves = sale[0]["shipments."][0]["outgoing_moves"].clone();
        let package =
            json!({ "type": kind, "shipment": format!("stock.shipment.out,{}", first(&ids)), "moves": [["add", moves]] });
        let package = self.create("stock.package", package).await;
        self.call("model.stock.package.write", vec![json!([package]), json!({ "shipping_reference": tracking })]).await;
        for button in ["pack", "ship", "do"] {
            self.press("stock.shipment.out", button, &ids).await;
        }
    }

    async fn party(&self, code: &str) -> (String, String, String) {
        let fields = ["name", "contact_mechanisms.type", "contact_mechanisms.value"];
        let found = self.find("party.party", json!([["code", "=", code]]), &fields).await;
        let of = |kind: &str| {
            let all = found[0]["contact_mechanisms."].as_array().unwrap();
            let values: Vec<&str> = all.iter().filter(|it| it["type"] == kind).map(|it| it["value"].as_str().unwrap()).collect();
            values.join(", ")
        };
        (found[0]["name"].as_str().unwrap().to_owned(), of("email"), of("phone"))
    }
}
