//! What a simulated company starts with: its options, and the rows that they become.

use super::{
    error::Outcome,
    orm,
    records::{Db, Id, TaxRounding, number, row},
};
use rust_decimal::Decimal;
use serde_json::json;
use std::time::Duration;

/// A product that the ERP sells. The SKU becomes `default_code`.
#[derive(Clone, Debug)]
pub struct Product {
    pub sku: String,
    pub name: String,
    pub price: Decimal,
    /// Goods whose stock is counted; services (shipping) are not.
    pub storable: bool,
    /// Tax id from [`Options::taxes`]; `None` sells without tax.
    pub tax: Option<i64>,
    pub barcode: Option<String>,
}

impl Product {
    /// Goods with 25 % tax on top of the price.
    pub fn goods(sku: &str, name: &str, price: Decimal) -> Self {
        Self { sku: sku.to_owned(), name: name.to_owned(), price, storable: true, tax: Some(3), barcode: None }
    }

    /// A service such as shipping, with 25 % tax on top of the price.
    pub fn service(sku: &str, name: &str, price: Decimal) -> Self {
        Self { storable: false, ..Self::goods(sku, name, price) }
    }
}

/// A sales tax in percent.
#[derive(Clone, Debug)]
pub struct Tax {
    pub id: i64,
    pub name: String,
    pub percent: Decimal,
    /// Whether prices contain the tax.
    pub included: bool,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub api_key: String,
    pub database: String,
    pub company_currency: String,
    /// Price list ids by currency: an order's currency is its price list's.
    pub pricelists: Vec<(i64, String)>,
    /// Price list that an order gets when it names none; `None` books in the company's currency.
    pub default_pricelist: Option<i64>,
    pub taxes: Vec<Tax>,
    pub rounding: TaxRounding,
    pub products: Vec<Product>,
    /// Warehouse codes; `WH` has the stock location `WH/Stock`.
    pub warehouses: Vec<String>,
    /// How long a `load` holds its record: a second one of the same external id meanwhile gets Odoo's serialization
    /// message. Zero never collides.
    pub load_time: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let tax = |id, percent: i64, included: bool| Tax {
            id,
            name: format!("{percent}%{}", if included { " incl." } else { "" }),
            percent: Decimal::from(percent),
            included,
        };
        Self {
            api_key: "simulated-odoo-key".to_owned(),
            database: "hub".to_owned(),
            company_currency: "NOK".to_owned(),
            pricelists: [(1, "NOK"), (2, "EUR"), (3, "SEK"), (4, "JPY")].map(|(id, code)| (id, code.to_owned())).into(),
            default_pricelist: None,
            taxes: vec![
                tax(3, 25, false),
                tax(4, 0, false),
                tax(15, 15, false),
                tax(17, 12, false),
                tax(31, 25, true),
                tax(32, 15, true),
                tax(33, 12, true),
                tax(34, 0, true),
            ],
            rounding: TaxRounding::default(),
            products: Vec::new(),
            warehouses: vec!["WH".to_owned()],
            load_time: Duration::ZERO,
        }
    }
}

const COUNTRIES: &[(i64, &str, &str)] = &[
    (166, "NO", "Norway"),
    (196, "SE", "Sweden"),
    (57, "DE", "Germany"),
    (59, "DK", "Denmark"),
    (70, "FI", "Finland"),
    (75, "FR", "France"),
    (165, "NL", "Netherlands"),
    (231, "GB", "United Kingdom"),
    (233, "US", "United States"),
];

const STATES: &[(&str, &str)] = &[("CA", "California"), ("NY", "New York"), ("WA", "Washington")];

const LANGUAGES: &[(&str, &str)] = &[("en_US", "English (US)"), ("nb_NO", "Norwegian Bokmål"), ("sv_SE", "Swedish")];

/// Id, code, symbol, decimals.
const CURRENCIES: &[(i64, &str, &str, u32)] = &[
    (14, "NOK", "kr", 2),
    (126, "EUR", "€", 2),
    (18, "SEK", "kr", 2),
    (10, "DKK", "kr", 2),
    (1, "USD", "$", 2),
    (143, "GBP", "£", 2),
    (25, "JPY", "¥", 0),
    (96, "KWD", "KD", 3),
];

const JOURNALS: &[(i64, &str, &str, &str)] = &[
    (1, "Sales", "INV", "sale"),
    (2, "Purchases", "BILL", "purchase"),
    (3, "Miscellaneous Operations", "MISC", "general"),
    (6, "Bank", "BNK1", "bank"),
];

pub(super) fn fill(db: &mut Db, options: &Options) -> Outcome<()> {
    for (id, code, name) in COUNTRIES {
        db.insert("res.country", row([("id", json!(id)), ("code", json!(code)), ("name", json!(name))]));
    }
    for (id, code, symbol, digits) in CURRENCIES {
        let values = row([
            ("id", json!(id)),
            ("name", json!(code)),
            ("symbol", json!(symbol)),
            ("active", json!(true)),
            ("decimal_places", json!(digits)),
            ("rounding", number(Decimal::new(1, *digits))),
            ("rate", json!(1.0)),
        ]);
        db.insert("res.currency", values);
    }
    for (id, name, code, kind) in JOURNALS {
        let values = row([
            ("id", json!(id)),
            ("name", json!(name)),
            ("code", json!(code)),
            ("type", json!(kind)),
            ("active", json!(true)),
            ("company_id", json!(1)),
        ]);
        db.insert("account.journal", values);
    }
    for (code, name) in STATES {
        let values = row([("code", json!(code)), ("name", json!(name)), ("country_id", json!(233))]);
        db.insert("res.country.state", values);
    }
    for (code, name) in LANGUAGES {
        db.insert("res.lang", row([("code", json!(code)), ("name", json!(name)), ("active", json!(true))]));
    }
    db.insert("uom.uom", row([("name", json!("Units"))]));
    company(db, options);
    warehouses(db, options);
    prices_and_taxes(db, options);
    for product in &options.products {
        add_product(db, product)?;
    }
    db.commit();
    Ok(())
}

fn company(db: &mut Db, options: &Options) {
    db.rounding = options.rounding;
    db.default_pricelist = options.default_pricelist;
    let method = match options.rounding {
        TaxRounding::Globally => "round_globally",
        TaxRounding::PerLine => "round_per_line",
    };
    let values = row([
        ("name", json!("Simulated Company AS")),
        ("currency_id", json!(currency(db, &options.company_currency))),
        ("tax_calculation_rounding_method", json!(method)),
    ]);
    db.insert("res.company", values);
    let user = row([
        ("id", json!(super::calls::USER)),
        ("name", json!("Administrator")),
        ("login", json!("admin")),
        ("lang", json!("en_US")),
        ("company_id", json!(1)),
    ]);
    db.insert("res.users", user);
    let partner = row([("name", json!("Simulated Company AS")), ("active", json!(true)), ("type", json!("contact"))]);
    db.insert("res.partner", partner);
}

pub(super) fn currency(db: &Db, code: &str) -> Option<Id> {
    db.find("res.currency", "name", code)
}

fn warehouses(db: &mut Db, options: &Options) {
    location(db, "Customers", "customer", None);
    location(db, "Vendors", "supplier", None);
    for code in &options.warehouses {
        let values = row([("name", json!(code)), ("code", json!(code)), ("company_id", json!(1))]);
        let warehouse = db.insert("stock.warehouse", values);
        let stock = location(db, &format!("{code}/Stock"), "internal", Some(warehouse));
        db.set("stock.warehouse", warehouse, row([("lot_stock_id", json!(stock))]));
    }
}

fn location(db: &mut Db, name: &str, usage: &str, warehouse: Option<Id>) -> Id {
    let short = name.rsplit('/').next().unwrap_or(name);
    let values = row([
        ("name", json!(short)),
        ("complete_name", json!(name)),
        ("usage", json!(usage)),
        ("active", json!(true)),
        ("warehouse_id", json!(warehouse)),
    ]);
    db.insert("stock.location", values)
}

fn prices_and_taxes(db: &mut Db, options: &Options) {
    for tax in &options.taxes {
        let override_ = if tax.included { "tax_included" } else { "tax_excluded" };
        let values = row([
            ("id", json!(tax.id)),
            ("name", json!(tax.name)),
            ("type_tax_use", json!("sale")),
            ("amount_type", json!("percent")),
            ("amount", number(tax.percent)),
            ("price_include", json!(tax.included)),
            ("price_include_override", json!(override_)),
            ("country_id", json!(166)),
            ("company_id", json!(1)),
            ("active", json!(true)),
        ]);
        db.insert("account.tax", values);
    }
    for (id, code) in &options.pricelists {
        let values =
            row([("id", json!(id)), ("name", json!(code)), ("currency_id", json!(currency(db, code))), ("active", json!(true))]);
        db.insert("product.pricelist", values);
    }
}

pub(super) fn add_product(db: &mut Db, product: &Product) -> Outcome<Id> {
    let taxes: Vec<i64> = product.tax.into_iter().collect();
    let values = row([
        ("name", json!(product.name)),
        ("default_code", json!(product.sku)),
        ("barcode", json!(product.barcode)),
        ("type", json!(if product.storable { "consu" } else { "service" })),
        ("is_storable", json!(product.storable)),
        ("list_price", number(product.price)),
        ("taxes_id", json!([[6, 0, taxes]])),
    ]);
    orm::create(db, orm::model("product.product")?, &values)
}
