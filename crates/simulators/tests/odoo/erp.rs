//! A plain JSON-2 client and the records that the tests begin with.

use rust_decimal::Decimal;
use serde_json::{Value, json};
use spindel_simulators::odoo::{OdooSim, Options, Product};

#[derive(Clone)]
pub struct Erp {
    pub http: reqwest::Client,
    pub base: String,
    pub key: String,
    pub database: String,
}

impl Erp {
    pub fn new(base: &str, key: &str, database: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { http: reqwest::Client::new(), base: base.to_owned(), key: key.to_owned(), database: database.to_owned() }
    }

    pub fn of(sim: &OdooSim) -> Self {
        Self::new(&sim.base_url(), sim.api_key(), sim.database())
    }

    pub async fn send(&self, model: &str, method: &str, body: &Value) -> reqwest::Result<(u16, Value)> {
        let request = self
            .http
            .post(format!("{}/json/2/{model}/{method}", self.base))
            .header("authorization", format!("bearer {}", self.key))
            .header("x-odoo-database", &self.database)
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        #[expect(clippy::disallowed_methods, reason = "the server is the test's own")]
        let text = answer.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    pub async fn call(&self, model: &str, method: &str, body: Value) -> (u16, Value) {
        self.send(model, method, &body).await.unwrap()
    }

    pub async fn ok(&self, model: &str, method: &str, body: Value) -> Value {
        let (status, answer) = self.call(model, method, body.clone()).await;
        assert_eq!(status, 200, "{model}/{method} {body}: {}", answer["message"]);
        answer
    }

    pub async fn refusal(&self, model: &str, method: &str, body: Value) -> (u16, String, String) {
        let (status, answer) = self.call(model, method, body).await;
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        (status, text("name"), text("message"))
    }

    pub async fn found(&self, model: &str, domain: Value) -> i64 {
        let ids = self.ok(model, "search", json!({"domain": domain, "limit": 1})).await;
        ids[0].as_i64().unwrap_or_else(|| panic!("no {model} for {domain}"))
    }

    pub async fn read(&self, model: &str, id: i64, fields: &[&str]) -> Value {
        self.ok(model, "read", json!({"ids": [id], "fields": fields})).await[0].clone()
    }
}

pub async fn simulated() -> (OdooSim, Erp) {
    let products = vec![
        Product::goods("ULL-1", "Ullgenser", Decimal::new(79920, 2)),
        Product::goods("LUE-1", "Lue", Decimal::new(7920, 2)),
        Product::service("FRAKT", "Frakt", Decimal::new(4900, 2)),
    ];
    let sim = OdooSim::start(Options { products, ..Options::default() }).await.unwrap();
    let erp = Erp::of(&sim);
    (sim, erp)
}

pub async fn customer(erp: &Erp) -> i64 {
    let values = json!({"vals_list": [{"name": "Kari Nordmann", "email": "kari@example.no", "ref": "C-1"}]});
    erp.ok("res.partner", "create", values).await[0].as_i64().unwrap()
}

pub const COLUMNS: [&str; 9] = [
    "id",
    "partner_id/.id",
    "client_order_ref",
    "date_order",
    "order_line/id",
    "order_line/product_id/.id",
    "order_line/product_uom_qty",
    "order_line/price_unit",
    "order_line/discount",
];

/// The rows of an order with lines (product, quantity, price, discount).
pub fn order_rows(reference: &str, partner: i64, lines: &[(i64, &str, &str, &str)]) -> Value {
    let mut rows = Vec::new();
    for (at, (product, quantity, price, discount)) in lines.iter().enumerate() {
        let head = match at {
            0 => [format!("hub.order_{reference}"), partner.to_string(), reference.to_owned(), "2026-11-21 09:00:00".into()],
            _ => Default::default(),
        };
        let mut row: Vec<String> = head.into();
        row.extend([format!("hub.order_{reference}_l{at}"), product.to_string()]);
        row.extend([(*quantity).to_owned(), (*price).to_owned(), (*discount).to_owned()]);
        rows.push(row);
    }
    json!({"fields": COLUMNS, "data": rows})
}

pub async fn product(erp: &Erp, sku: &str) -> i64 {
    erp.found("product.product", json!([["default_code", "=", sku]])).await
}

pub async fn loaded(erp: &Erp, rows: Value) -> i64 {
    let answer = erp.ok("sale.order", "load", rows).await;
    answer["ids"][0].as_i64().unwrap_or_else(|| panic!("not loaded: {answer}"))
}
