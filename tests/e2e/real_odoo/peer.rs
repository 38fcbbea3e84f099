//! A real Odoo over JSON-2: what the test needs to be there, and what Odoo then says of an order.

use reqwest::Client;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use spindel_model::{Currency, Decimal, Exact, Money};
use spindel_simulators::shopify::VariantView;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// Far more than any answer here holds.
const MOST_BYTES: usize = 16 << 20;
const MOST_RECORDS: usize = 5_000;

pub const DATABASE: &str = "hub";

/// A many2one: `[7, "NOK"]`.
#[derive(Debug, Deserialize)]
pub struct Ref(pub i64, pub String);

/// One Odoo database.
pub struct Peer {
    client: Client,
    pub url: String,
    pub key: String,
}

impl Peer {
    /// The Odoo that the environment names, if it names one.
    pub fn from_environment() -> Option<Self> {
        let read = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let (url, key) = (read("SPINDEL_ODOO_URL")?, read("SPINDEL_ODOO_KEY")?);
        spindel_http::init();
        let client = Client::builder().timeout(Duration::from_secs(120)).build().unwrap();
        Some(Self { client, url: url.trim_end_matches('/').to_owned(), key: key.trim().to_owned() })
    }

    async fn call<T: DeserializeOwned>(&self, model: &str, method: &str, arguments: Value) -> T {
        let request = self.client.post(format!("{}/json/2/{model}/{method}", self.url));
        let request =
            request.bearer_auth(&self.key).header("X-Odoo-Database", DATABASE).header("Content-Type", "application/json");
        let mut answer = request.body(arguments.to_string()).send().await.unwrap();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.unwrap() {
            body.extend_from_slice(&chunk);
            assert!(body.len() < MOST_BYTES, "{model}.{method} answers without end");
        }
        let text = String::from_utf8_lossy(&body);
        assert!(answer.status().is_success(), "{model}.{method} {arguments}: {} {text:.500}", answer.status());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{model}.{method} {arguments}: {error}: {text:.500}"))
    }

    async fn search<T: DeserializeOwned>(&self, model: &str, domain: Value, fields: &[&str]) -> Vec<T> {
        let arguments = json!({ "domain": domain, "fields": fields, "order": "id asc", "limit": MOST_RECORDS });
        let found: Vec<T> = self.call(model, "search_read", arguments).await;
        assert!(found.len() < MOST_RECORDS, "more than {MOST_RECORDS} of {model} match");
        found
    }
}

/// What an order refers to. Looked for first, and made only where it is missing, so that runs share it.
impl Peer {
    /// The id of the sales tax of `percent`, included in prices or on top of them.
    pub async fn tax(&self, percent: u32, included: bool) -> i64 {
        #[derive(Deserialize)]
        struct Tax {
            id: i64,
            price_include: bool,
        }
        let domain = json!([["type_tax_use", "=", "sale"], ["amount_type", "=", "percent"], ["amount", "=", percent]]);
        let taxes: Vec<Tax> = self.search("account.tax", domain, &["price_include"]).await;
        if let Some(tax) = taxes.iter().find(|tax| tax.price_include == included) {
            return tax.id;
        }
        let word = if included { "included" } else { "excluded" };
        let values = json!({
            "name": format!("{percent}% {word}"),
            "amount": percent,
            "amount_type": "percent",
            "type_tax_use": "sale",
            "price_include_override": format!("tax_{word}"),
        });
        self.create("account.tax", values).await
    }

    /// The id of a price list in this currency, which is active then.
    pub async fn pricelist(&self, currency: &str) -> i64 {
        let arguments = json!({ "domain": [["name", "=", currency]], "context": { "active_test": false } });
        let currencies: Vec<i64> = self.call("res.currency", "search", arguments).await;
        let arguments = json!({ "ids": currencies, "vals": { "active": true } });
        let _: Value = self.call("res.currency", "write", arguments).await;
        let lists: Vec<Id> = self.search("product.pricelist", json!([["currency_id", "in", currencies]]), &["id"]).await;
        match lists.first() {
            Some(list) => list.id,
            None => self.create("product.pricelist", json!({ "name": currency, "currency_id": currencies[0] })).await,
        }
    }

    /// Goods for what the shop sells, and services for what is no goods; invoiced as ordered.
    pub async fn products(&self, goods: &[VariantView], services: &[&str]) {
        #[derive(Deserialize)]
        struct Product {
            default_code: String,
        }
        let goods = goods.iter().map(|it| (it.sku.as_str(), it.title.as_str(), "consu"));
        let wanted: Vec<_> = goods.chain(services.iter().map(|sku| (*sku, *sku, "service"))).collect();
        let codes: Vec<&str> = wanted.iter().map(|(code, ..)| *code).collect();
        let found: Vec<Product> = self.search("product.product", json!([["default_code", "in", codes]]), &["default_code"]).await;
        let found: HashSet<String> = found.into_iter().map(|it| it.default_code).collect();
        let missing = wanted.iter().filter(|(code, ..)| !found.contains(*code));
        let values: Vec<Value> = missing
            .map(|(code, name, kind)| {
                json!({ "default_code": code, "name": name, "type": kind, "invoice_policy": "order", "taxes_id": [[6, 0, []]] })
            })
            .collect();
        if !values.is_empty() {
            let _: Vec<i64> = self.call("product.product", "create", json!({ "vals_list": values })).await;
        }
    }

    async fn create(&self, model: &str, values: Value) -> i64 {
        let ids: Vec<i64> = self.call(model, "create", json!({ "vals_list": [values] })).await;
        ids[0]
    }
}

#[derive(Deserialize)]
struct Id {
    id: i64,
}

#[derive(Deserialize)]
struct External {
    name: String,
    res_id: i64,
}

#[derive(Deserialize)]
struct SaleOrder {
    id: i64,
    state: String,
    currency_id: Ref,
    amount_total: Exact,
    invoice_ids: Vec<i64>,
}

#[derive(Deserialize)]
struct Invoice {
    id: i64,
    amount_total: Exact,
}

#[derive(Deserialize)]
struct CreditNote {
    amount_total: Exact,
    currency_id: Ref,
    reversed_entry_id: Ref,
}

/// What Odoo says of an order.
#[derive(Debug)]
pub struct Booked {
    /// `sale`, `cancel`, `draft` …
    pub state: String,
    pub currency: String,
    pub total: Decimal,
    /// Posted invoices, if there are any.
    pub invoiced: Option<Decimal>,
    /// Posted credit notes that reverse its invoices.
    pub credited: Decimal,
    /// Currencies of those credit notes.
    pub credited_in: Vec<String>,
}

/// What Odoo says now.
impl Peer {
    pub async fn newest_order(&self) -> i64 {
        let arguments = json!({ "domain": [], "order": "id desc", "limit": 1 });
        let ids: Vec<i64> = self.call("sale.order", "search", arguments).await;
        ids.first().copied().unwrap_or_default()
    }

    /// The orders under external ids of this namespace, by the name there.
    pub async fn orders(&self, namespace: &str) -> HashMap<String, Vec<Booked>> {
        let domain = json!([["module", "=", namespace], ["model", "=", "sale.order"]]);
        let externals: Vec<External> = self.search("ir.model.data", domain, &["name", "res_id"]).await;
        let ids: Vec<i64> = externals.iter().map(|it| it.res_id).collect();
        let fields = ["state", "currency_id", "amount_total", "invoice_ids"];
        let orders: Vec<SaleOrder> = self.search("sale.order", json!([["id", "in", ids]]), &fields).await;
        let invoice_ids: Vec<i64> = orders.iter().flat_map(|it| it.invoice_ids.clone()).collect();
        let posted = json!([["id", "in", invoice_ids], ["move_type", "=", "out_invoice"], ["state", "=", "posted"]]);
        let invoices: Vec<Invoice> = self.search("account.move", posted, &["amount_total"]).await;
        let reversing =
            json!([["reversed_entry_id", "in", invoice_ids], ["move_type", "=", "out_refund"], ["state", "=", "posted"]]);
        let fields = ["amount_total", "currency_id", "reversed_entry_id"];
        let notes: Vec<CreditNote> = self.search("account.move", reversing, &fields).await;

        let mut found: HashMap<String, Vec<Booked>> = HashMap::new();
        for External { name, res_id } in externals {
            let records = orders.iter().filter(|it| it.id == res_id);
            found.entry(name).or_default().extend(records.map(|it| booked(it, &invoices, &notes)));
        }
        found
    }

    /// Orders after `id` with one of these numbers that stand under no external id at all: written outside a `load`.
    pub async fn strays(&self, after: i64, numbers: &[String]) -> usize {
        let domain = json!([["id", ">", after], ["client_order_ref", "in", numbers]]);
        let orders: Vec<Id> = self.search("sale.order", domain, &["id"]).await;
        let ids: Vec<i64> = orders.iter().map(|it| it.id).collect();
        let domain = json!([["model", "=", "sale.order"], ["res_id", "in", ids]]);
        let externals: Vec<External> = self.search("ir.model.data", domain, &["name", "res_id"]).await;
        let known: HashSet<i64> = externals.iter().map(|it| it.res_id).collect();
        ids.iter().filter(|id| !known.contains(id)).count()
    }
}

fn booked(order: &SaleOrder, invoices: &[Invoice], notes: &[CreditNote]) -> Booked {
    let currency = order.currency_id.1.clone();
    let amount = |exact: Exact| minor(exact, &currency);
    let posted: Vec<&Invoice> = invoices.iter().filter(|it| order.invoice_ids.contains(&it.id)).collect();
    let reversing: Vec<&CreditNote> = notes.iter().filter(|it| order.invoice_ids.contains(&it.reversed_entry_id.0)).collect();
    Booked {
        state: order.state.clone(),
        total: amount(order.amount_total),
        invoiced: (!posted.is_empty()).then(|| posted.iter().map(|it| amount(it.amount_total)).sum()),
        credited: reversing.iter().map(|it| amount(it.amount_total)).sum(),
        credited_in: reversing.iter().map(|it| it.currency_id.1.clone()).collect(),
        currency,
    }
}

/// Odoo's floats are written with dust now and then (`0.30000000000000004`); more than dust is not forgiven.
fn minor(exact: Exact, currency: &str) -> Decimal {
    let rounded = Money::new(exact.0, currency.parse().unwrap_or(Currency::XXX)).rounded().amount;
    assert!((rounded - exact.0).abs() < Decimal::new(1, 6), "{} is no amount in {currency}", exact.0);
    rounded
}
