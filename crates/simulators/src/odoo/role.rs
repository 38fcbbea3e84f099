//! Odoo as the ERP of a day.

use crate::{
    fault::Faults,
    odoo::{OdooSim, Options, Product},
    roles::{Booked, BookedState, Erp, Goods, Joint, Vendor, secret},
};
use rust_decimal::Decimal;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
};

/// Service products for what is no goods.
const SERVICES: [&str; 4] = ["SHIPPING", "DISCOUNT", "ROUNDING", "CHARGE"];

const TAXES: &str = r#"[maps.tax]
"NO/25/included" = "31"
"NO/15/included" = "32"
"NO/25/excluded" = "3"
"NO/15/excluded" = "15"
"#;

impl OdooSim {
    /// One that knows these goods.
    pub async fn with_goods(goods: &[Goods]) -> io::Result<Self> {
        let goods = goods.iter().map(|it| Product::goods(&it.sku, &it.title, it.price));
        let services = SERVICES.iter().map(|sku| Product::service(sku, sku, Decimal::ZERO));
        Self::start(Options { products: goods.chain(services).collect(), ..Options::default() }).await
    }

    /// Posted credit notes by the number of the order whose invoice they reverse.
    fn credited(&self) -> BTreeMap<String, Decimal> {
        let order_of: HashMap<i64, String> =
            self.invoices().into_iter().filter_map(|invoice| Some((invoice.id, invoice.order?))).collect();
        let mut credited: BTreeMap<String, Decimal> = BTreeMap::new();
        for note in self.credit_notes().into_iter().filter(|note| note.state == "posted") {
            if let Some(number) = note.order.or_else(|| order_of.get(&note.reverses?).cloned()) {
                *credited.entry(number).or_default() += note.amount;
            }
        }
        credited
    }
}

impl Vendor for OdooSim {
    fn connector(&self) -> &'static str {
        "odoo"
    }

    fn join(&self, folder: &Path) -> io::Result<Joint> {
        let api_key = secret(folder, "api_key", self.api_key())?;
        let (url, database) = (self.base_url(), self.database());
        let settings = format!(
            r#"url = "{url}"
database = "{database}"
api_key = {api_key}
shipping_product = "SHIPPING"
discount_product = "DISCOUNT"
rounding_product = "ROUNDING"
charge_product = "CHARGE"
timeout = "5s"
"#
        );
        Ok(Joint { settings, tables: TAXES.to_owned(), ..Joint::default() })
    }

    fn faults(&self) -> Faults {
        self.faults().clone()
    }

    /// It is asked, and tells nothing by itself.
    fn tell(&self, _: &[String]) {}
}

impl Erp for OdooSim {
    fn orders(&self) -> Vec<Booked> {
        let credited = self.credited();
        let booked = |order: crate::odoo::Order| Booked {
            credited: credited.get(&order.client_order_ref).copied().unwrap_or_default(),
            number: order.client_order_ref,
            state: match order.state.as_str() {
                "sale" => BookedState::Confirmed,
                "cancel" => BookedState::Cancelled,
                _ => BookedState::Draft,
            },
            total: order.amount_total,
            currency: order.currency,
        };
        self.orders().into_iter().map(booked).collect()
    }
}
