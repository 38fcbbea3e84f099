//! A simulated shop and a simulated ERP that know the same products, the config that joins them, and the account that
//! compares both ends without asking who stands between them.

use crate::{
    odoo::{self, OdooSim, Product},
    shopify::{self, OrderView, ShopifySim},
};
use rust_decimal::Decimal;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::SocketAddr,
    path::Path,
};

/// Service products of the ERP for what is no goods.
const SERVICES: [&str; 4] = ["SHIPPING", "DISCOUNT", "ROUNDING", "CHARGE"];

/// Flows that carry orders and refunds to the ERP. A simulated day is short, so they retry sooner than a shop would.
pub const FLOWS: &str = r#"[flows.orders]
from = "shop"
on = ["order.created", "order.updated", "order.paid", "order.cancelled"]
to = "erp"
do = "push_order"
retry = { first = "200ms", factor = 2, max = "2s" }

[flows.refunds]
from = "shop"
on = ["refund.created"]
to = "erp"
do = "record_refund"
retry = { first = "200ms", factor = 2, max = "2s" }
"#;

pub struct Pair {
    pub shop: ShopifySim,
    pub erp: OdooSim,
}

impl Pair {
    pub async fn start(shop: shopify::Options) -> io::Result<Self> {
        let shop = ShopifySim::start(shop).await?;
        let goods = shop.variants().into_iter().map(|variant| Product::goods(&variant.sku, &variant.title, variant.price));
        let services = SERVICES.iter().map(|sku| Product::service(sku, sku, Decimal::ZERO));
        let erp = OdooSim::start(odoo::Options { products: goods.chain(services).collect(), ..odoo::Options::default() }).await?;
        Ok(Self { shop, erp })
    }

    /// Writes a config that joins the two into `folder`, with the secrets in files beside it, and answers its text.
    /// `flows` is added as it is. Store and queue are the embedded ones.
    pub fn write_config(&self, folder: &Path, listen: SocketAddr, flows: &str) -> io::Result<String> {
        let store = format!("[store]\nurl = \"sqlite://{}/spindel.db\"", folder.display());
        self.write_config_on(folder, listen, &store, flows)
    }

    /// The same with these tables for store and queue.
    pub fn write_config_on(&self, folder: &Path, listen: SocketAddr, backends: &str, flows: &str) -> io::Result<String> {
        std::fs::write(folder.join("client_secret"), "client-secret")?;
        std::fs::write(folder.join("api_key"), self.erp.api_key())?;
        let text = self.config(folder, listen, backends, flows);
        std::fs::write(folder.join("spindel.toml"), &text)?;
        Ok(text)
    }

    fn config(&self, folder: &Path, listen: SocketAddr, backends: &str, flows: &str) -> String {
        let (shop, erp, database) = (self.shop.base_url(), self.erp.base_url(), self.erp.database());
        let folder = folder.display();
        format!(
            r##"[server]
listen = "{listen}"
admin = "off"

{backends}

[outbound]
allow = ["127.0.0.0/8"]

[connections.shop]
connector = "shopify"
shop = "example.myshopify.com"
client_id = "client-id"
client_secret = {{ file = "{folder}/client_secret" }}
base_url = "{shop}"

[connections.erp]
connector = "odoo"
url = "{erp}"
database = "{database}"
api_key = {{ file = "{folder}/api_key" }}
shipping_product = "SHIPPING"
discount_product = "DISCOUNT"
rounding_product = "ROUNDING"
charge_product = "CHARGE"
timeout = "5s"

[maps.tax]
"NO/25/included" = "31"
"NO/15/included" = "32"
"NO/25/excluded" = "3"
"NO/15/excluded" = "15"

{flows}"##
        )
    }

    /// Compares what the shop sold with what the ERP has.
    pub fn account(&self) -> Account {
        let mut by_number: HashMap<String, Vec<odoo::Order>> = HashMap::new();
        for order in self.erp.orders() {
            by_number.entry(order.client_order_ref.clone()).or_default().push(order);
        }
        let credited = self.credited();
        let mut account = Account::default();
        for order in self.shop.orders() {
            account.in_shop += 1;
            let found = by_number.remove(&order.name).unwrap_or_default();
            account.judge(&order, &found, credited.get(&order.name).copied().unwrap_or_default());
        }
        account.unknown = by_number.values().map(Vec::len).sum();
        account
    }

    /// Posted credit notes by the number of the order whose invoice they reverse.
    fn credited(&self) -> BTreeMap<String, Decimal> {
        let order_of: HashMap<i64, String> =
            self.erp.invoices().into_iter().filter_map(|invoice| Some((invoice.id, invoice.order?))).collect();
        let mut credited: BTreeMap<String, Decimal> = BTreeMap::new();
        for note in self.erp.credit_notes().into_iter().filter(|note| note.state == "posted") {
            if let Some(number) = note.order.or_else(|| order_of.get(&note.reverses?).cloned()) {
                *credited.entry(number).or_default() += note.amount;
            }
        }
        credited
    }
}

/// The account of both ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    pub in_shop: usize,
    /// In the ERP once, with the shop's state and amount.
    pub right: usize,
    pub lost: Vec<String>,
    pub doubled: Vec<String>,
    /// Cancelled at one end only, or not confirmed in the ERP.
    pub wrong_state: Vec<String>,
    pub wrong_amount: Vec<Difference>,
    /// Orders of the ERP that the shop never had.
    pub unknown: usize,
}

/// One order whose amounts differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub order: String,
    pub shop: String,
    pub erp: String,
}

impl Account {
    fn judge(&mut self, order: &OrderView, found: &[odoo::Order], credited: Decimal) {
        let name = order.name.clone();
        let [only] = found else {
            if found.is_empty() {
                self.lost.push(name)
            } else {
                self.doubled.push(name)
            }
            return;
        };
        // An order that was not confirmed yet would never leave the warehouse.
        if only.state != if order.cancelled { "cancel" } else { "sale" } {
            self.wrong_state.push(name);
            return;
        }
        // A cancelled order is owed nothing at either end; what its lines say is history.
        let owed = only.amount_total - credited;
        if !order.cancelled && (owed != order.current_total || only.currency != order.currency) {
            self.wrong_amount.push(Difference {
                order: name,
                shop: format!("{} {}", order.current_total, order.currency),
                erp: format!("{owed} {}", only.currency),
            });
            return;
        }
        self.right += 1;
    }

    /// Everything the shop has is in the ERP once and equal, and nothing else is there.
    pub fn is_clean(&self) -> bool {
        self.right == self.in_shop && self.unknown == 0
    }
}
