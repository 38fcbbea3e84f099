//! A simulated Tryton 8.2 behind its JSON-RPC: parties, sales, invoices with their payments, shipments, stock and prices of
//! one company that keeps its books in NOK.
//!
//! It knows the methods that an integration needs, and of their rules those that can get in its way: states and buttons,
//! unique ids, warnings that must be accepted, sessions that end, records that somebody else changed.

mod books;
mod buttons;
mod db;
mod error;
mod schema;
mod seed;
mod view;
mod web;

pub use view::{PartyView, SaleView};

use crate::{
    fault::{self, Faults},
    server::Server,
};
use books::{PRODUCT, SALE, SHIPMENT};
use db::{Db, Id, decimal};
use serde_json::{Value, json};
use spindel_model::Clock;
use std::{collections::BTreeMap, io, sync::Arc};

#[derive(Clone)]
pub struct Options {
    pub database: String,
    pub user: String,
    pub password: String,
    /// When things are written.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self { database: "hub".into(), user: "spindel".into(), password: "secret".into(), clock: Clock::default() }
    }
}

/// A running Tryton; it ends when it is dropped.
pub struct TrytonSim {
    server: Server,
    shared: Arc<web::Shared>,
    faults: Faults,
}

impl TrytonSim {
    pub async fn start(options: Options) -> io::Result<Self> {
        let shared = Arc::new(web::Shared::new(options, seed::company()));
        let faults = Faults::default();
        let server = Server::start(web::router(Arc::clone(&shared)).layer(fault::layer(faults.clone()))).await?;
        Ok(Self { server, shared, faults })
    }

    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How often each method was called.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.world().calls.clone()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Db) -> T) -> T {
        change(&mut self.shared.world().db)
    }

    fn first(&self, model: &str, field: &str, value: &str) -> Id {
        self.change(|db| db.by(model, field, &json!(value)).first().copied().unwrap_or_default())
    }
}

/// What the settings of a connection name.
impl TrytonSim {
    pub fn web_shop(&self) -> i64 {
        self.first("web.shop", "name", "Fjord")
    }

    pub fn warehouse(&self) -> i64 {
        self.first("stock.location", "type", "warehouse")
    }

    /// Of 25 %.
    pub fn tax(&self) -> i64 {
        self.first("account.tax", "name", "25 %")
    }

    pub fn payment_method(&self) -> i64 {
        self.first("account.invoice.payment.method", "name", "Vipps")
    }

    /// A price list whose prices are this many times the list price, with tax.
    pub fn add_price_list(&self, factor: &str) -> i64 {
        self.change(|db| {
            let list = db.insert("product.price_list", json!({ "tax_included": 1, "active": true }));
            let factor = factor.parse().unwrap_or_default();
            db.insert("product.price_list.line", json!({ "price_list": list, "factor": decimal(factor) }));
            list
        })
    }
}

/// What people do in Tryton.
impl TrytonSim {
    pub fn add_goods(&self, code: &str, price: &str) -> i64 {
        self.change(|db| seed::product(db, code, "goods", price))
    }

    pub fn add_service(&self, code: &str) -> i64 {
        self.change(|db| seed::product(db, code, "service", "0"))
    }

    pub fn set_price(&self, code: &str, price: &str) {
        let product = self.first(PRODUCT, "code", code);
        self.change(|db| {
            let template = db.stored(PRODUCT, product, "template").clone();
            for row in db.by("product.list_price", "template", &template) {
                db.set("product.list_price", row, "list_price", decimal(price.parse().unwrap_or_default()));
            }
        });
    }

    pub fn set_price_list(&self, list: i64, factor: &str) {
        self.change(|db| {
            for line in db.by("product.price_list.line", "price_list", &json!(list)) {
                db.set("product.price_list.line", line, "factor", decimal(factor.parse().unwrap_or_default()));
            }
        });
    }

    /// Goods arrive from a supplier.
    pub fn receive(&self, code: &str, pieces: i64) {
        let product = self.first(PRODUCT, "code", code);
        let (from, to) = (self.first("stock.location", "type", "supplier"), self.first("stock.location", "code", "STO"));
        let values = json!({ "product": product, "quantity": books::float(pieces.into()), "state": "done", "from_location": from,
            "to_location": to, "company": 1 });
        self.change(|db| db.insert("stock.move", values));
    }

    /// All that a sale waits for is packed under this number, and sent.
    pub fn ship(&self, web_id: &str, tracking: &str) {
        let sale = self.first(SALE, "web_id", web_id);
        self.change(|db| {
            for id in books::shipments(db, sale) {
                let package = json!({ "shipment": id, "shipping_reference": tracking,
                    "shipping_tracking_url": format!("https://track.example.com/{tracking}") });
                db.insert("stock.package", package);
                db.accepted.insert(format!("{id:032x}.no_carrier"));
                for button in ["assign_force", "pick", "pack", "ship", "do"] {
                    // One that is sent already stays as it is.
                    let _ = buttons::shipment(db, button, id);
                }
                db.set(SHIPMENT, id, "shipping_reference", json!(tracking));
            }
        });
    }

    /// A button of a sale, as people press it; whether Tryton let them.
    pub fn press(&self, web_id: &str, button: &str) -> bool {
        let sale = self.first(SALE, "web_id", web_id);
        self.change(|db| buttons::press(db, SALE, button, &[sale]).is_ok())
    }

    /// Somebody writes something else into the notes of the lines of a sale's invoices.
    pub fn rewrite_notes(&self, web_id: &str, note: &str) {
        let sale = self.first(SALE, "web_id", web_id);
        self.change(|db| {
            for invoice in books::invoices(db, sale) {
                for line in db.by("account.invoice.line", "invoice", &json!(invoice)) {
                    db.set("account.invoice.line", line, "note", json!(note));
                }
            }
        });
    }

    pub fn archive_product(&self, code: &str) {
        let product = self.first(PRODUCT, "code", code);
        self.change(|db| db.set(PRODUCT, product, "active", json!(false)));
    }
}

/// What gets in the way.
impl TrytonSim {
    /// Who is logged in is not any more.
    pub fn end_sessions(&self) {
        self.shared.world().sessions.clear();
    }

    /// Sessions are good enough for most calls, and too old for payments.
    pub fn age_sessions(&self) {
        self.shared.world().sessions.values_mut().for_each(|fresh| *fresh = false);
    }

    /// The next `n` calls that write find that somebody else wrote first.
    pub fn conflicts(&self, n: u32) {
        self.shared.world().conflicts = n;
    }

    /// The next `n` calls that write find the database locked.
    pub fn lock(&self, n: u32) {
        self.shared.world().locked = n;
    }

    /// The user has no access to a model, by the name that people see: `Sale`.
    pub fn deny(&self, label: &str) {
        self.shared.world().denied.insert(label.to_owned());
    }
}

fn amount(value: &Value) -> rust_decimal::Decimal {
    db::number(value)
}
