//! A simulated Odoo 19 over its JSON-2 API: the sales, invoicing and stock parts that an integration touches, with Odoo's
//! own error shapes, rounding and duplicate traps. This file is the control surface for tests and the demo.

mod accounting;
mod calls;
mod domain;
mod error;
mod load;
mod orm;
mod records;
mod report;
mod role;
mod sales;
mod schema;
mod seed;
mod stock;
mod taxes;
mod web;

pub use records::TaxRounding;
pub use report::{Invoice, Order, OrderLine, Partner, Payment};
pub use seed::{Options, Product, Tax};

use crate::{
    fault::{self, Faults},
    server::Server,
};
use records::{Db, Id, number, row};
use rust_decimal::Decimal;
use serde_json::json;
use std::{
    io,
    sync::{Arc, MutexGuard},
};
use web::Shared;

/// A running simulated Odoo; it stops when dropped.
pub struct OdooSim {
    server: Server,
    shared: Arc<Shared>,
    faults: Faults,
}

impl OdooSim {
    pub async fn start(options: Options) -> io::Result<Self> {
        let mut db = Db::default();
        seed::fill(&mut db, &options).map_err(|refusal| io::Error::other(refusal.message))?;
        let faults = Faults::default();
        let shared = Arc::new(Shared::new(db, options));
        let router = web::router(Arc::clone(&shared)).layer(fault::layer(faults.clone()));
        let server = Server::start(router).await?;
        Ok(Self { server, shared, faults })
    }

    /// `http://127.0.0.1:port`, without a trailing slash.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    pub fn api_key(&self) -> &str {
        &self.shared.options.api_key
    }

    pub fn database(&self) -> &str {
        &self.shared.options.database
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    // --- what the ERP holds

    pub fn orders(&self) -> Vec<Order> {
        report::orders(&self.db())
    }

    pub fn invoices(&self) -> Vec<Invoice> {
        report::invoices(&self.db(), "out_invoice")
    }

    pub fn credit_notes(&self) -> Vec<Invoice> {
        report::invoices(&self.db(), "out_refund")
    }

    pub fn payments(&self) -> Vec<Payment> {
        report::payments(&self.db())
    }

    pub fn partners(&self) -> Vec<Partner> {
        report::partners(&self.db())
    }

    /// Calls that reached the API, by `model/method`, whatever came of them.
    pub fn calls(&self) -> std::collections::BTreeMap<String, u64> {
        self.shared.calls()
    }

    // --- what people in the ERP do

    /// Adds a product and returns its id in `product.product`.
    pub fn add_product(&self, product: &Product) -> i64 {
        let mut db = self.db();
        let added = seed::add_product(&mut db, product);
        db.commit();
        added.unwrap_or_else(|refusal| panic!("product {}: {}", product.sku, refusal.message))
    }

    /// Sets what is on hand in a location such as `WH/Stock`; moves the quant's `write_date`.
    pub fn set_stock(&self, sku: &str, location: &str, quantity: impl Into<Decimal>) {
        let mut db = self.db();
        let product = known(&db, "product.product", "default_code", sku);
        let location = known(&db, "stock.location", "complete_name", location);
        stock::set_quantity(&mut db, product, location, quantity.into());
        db.commit();
    }

    /// Changes a product's sales price: the template's `write_date` moves, the variant's does not.
    pub fn set_price(&self, sku: &str, price: Decimal) {
        let mut db = self.db();
        let product = known(&db, "product.product", "default_code", sku);
        let template = db.one("product.product", product, "product_tmpl_id").unwrap_or_default();
        let price = row([("list_price", number(price))]);
        db.set("product.template", template, price.clone());
        db.set_quietly("product.product", product, price);
        db.commit();
    }

    /// Ships all of an order (by `client_order_ref`) that is still open. False when the order is not there or not confirmed.
    pub fn ship(&self, client_order_ref: &str, carrier: &str, tracking: &str) -> bool {
        let mut db = self.db();
        let order = db.find("sale.order", "client_order_ref", client_order_ref);
        let Some(picking) = order.and_then(|order| stock::to_ship(&db, order)) else {
            return false;
        };
        let carrier = db.find("delivery.carrier", "name", carrier).unwrap_or_else(|| {
            let values = row([("name", json!(carrier)), ("active", json!(true))]);
            db.insert("delivery.carrier", values)
        });
        let values = row([("carrier_id", json!(carrier)), ("carrier_tracking_ref", json!(tracking))]);
        db.set("stock.picking", picking, values);
        let shipped = stock::validate(&mut db, picking, stock::Shortage::ShipAnyway);
        db.commit();
        shipped.is_ok()
    }

    // --- trouble

    /// Writes of the order with this `client_order_ref`, or of any order with this SKU, are refused with this message
    /// (422, or an error message in the answer of `load`) until [`OdooSim::accept`].
    pub fn refuse(&self, order_or_sku: &str, message: &str) {
        self.db().refused.insert(order_or_sku.to_owned(), message.to_owned());
    }

    pub fn accept(&self, order_or_sku: &str) {
        self.db().refused.remove(order_or_sku);
    }

    /// Calls about the order with this `client_order_ref` get no answer, and do nothing, until [`OdooSim::unhang`].
    pub fn hang(&self, client_order_ref: &str) {
        self.shared.hang(client_order_ref);
    }

    pub fn unhang(&self, client_order_ref: &str) {
        self.shared.unhang(client_order_ref);
    }

    /// This share of `load` calls answers Odoo's "could not serialize access" message and does nothing; zero ends it.
    pub fn conflicts_at_random(&self, seed: u64, share: f64) {
        self.shared.conflicts_at_random(seed, share);
    }

    fn db(&self) -> MutexGuard<'_, Db> {
        self.shared.db()
    }
}

/// A record that a test names; a name that does not exist is a mistake in the test.
fn known(db: &Db, model: &str, field: &str, text: &str) -> Id {
    db.find(model, field, text).unwrap_or_else(|| panic!("the simulated Odoo has no {model} whose {field} is {text}"))
}
