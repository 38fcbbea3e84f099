//! What is there from the beginning: a company, its currencies and taxes, a warehouse, a web shop.

use super::db::{Db, Id, decimal};
use rust_decimal::Decimal;
use serde_json::json;

pub(super) fn company() -> Db {
    let mut db = Db::default();
    for (code, digits) in [("NOK", 2), ("EUR", 2), ("SEK", 2), ("DKK", 2), ("JPY", 0), ("KWD", 3)] {
        db.insert("currency.currency", json!({ "code": code, "digits": digits, "active": true }));
    }
    db.insert("company.company", json!({ "currency": 1 }));
    for (code, name) in [("NO", "Norway"), ("SE", "Sweden"), ("US", "United States")] {
        db.insert("country.country", json!({ "code": code, "name": name }));
    }
    db.insert("country.subdivision", json!({ "code": "US-CA" }));
    for code in ["en", "de", "fr", "nl"] {
        db.insert("ir.lang", json!({ "code": code }));
    }
    let tax = db.insert("account.tax", json!({ "name": "25 %", "rate": decimal(Decimal::new(25, 2)), "active": true }));
    db.insert("product.category", json!({ "account_revenue": 99, "taxes": [tax] }));
    db.insert("account.invoice.payment.method", json!({ "name": "Vipps" }));
    db.insert("web.shop", json!({ "name": "Fjord", "active": true }));
    let warehouse = db.insert("stock.location", json!({ "type": "warehouse", "code": "WH", "name": "Warehouse" }));
    for (kind, code, name, inside) in [
        ("storage", "STO", "Storage Zone", true),
        ("storage", "OUT", "Output Zone", true),
        ("supplier", "SUP", "Supplier", false),
        ("customer", "CUS", "Customer", false),
    ] {
        let parent = inside.then_some(warehouse);
        db.insert("stock.location", json!({ "type": kind, "code": code, "name": name, "parent": parent }));
    }
    db
}

pub(super) fn product(db: &mut Db, code: &str, kind: &str, price: &str) -> Id {
    let template = db.insert("product.template", json!({ "name": code }));
    let price = decimal(price.parse().unwrap_or_default());
    db.insert("product.list_price", json!({ "template": template, "product": null, "list_price": price }));
    let product = json!({ "code": code, "template": template, "type": kind, "default_uom": 1, "sale_uom": 1, "salable": true,
        "account_category": 1, "active": true });
    db.insert("product.product", product)
}
