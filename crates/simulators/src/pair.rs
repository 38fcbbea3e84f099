//! A simulated Shopify shop and a simulated Odoo that know the same products, the config that joins them, and the account that
//! compares both ends without asking who stands between them.

pub use crate::account::{Account, Difference};

use crate::{
    odoo::OdooSim,
    roles::{Erp, Shop},
    shopify::{self, ShopifySim},
    trade,
};
use std::{io, net::SocketAddr, path::Path};

/// A simulated day is short, so flows retry sooner than a shop's would.
pub(crate) const RETRY: &str = "retry = { first = \"200ms\", factor = 2, max = \"2s\" }\n";

/// Flows that carry orders and refunds to the ERP.
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
        let erp = OdooSim::with_goods(&shop.goods()).await?;
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
        let text = trade::config(folder, listen, backends, &[("shop", &self.shop), ("erp", &self.erp)], flows)?;
        std::fs::write(folder.join("spindel.toml"), &text)?;
        Ok(text)
    }

    /// Compares what the shop sold with what the ERP has.
    pub fn account(&self) -> Account {
        Account::of(&Shop::orders(&self.shop), Erp::orders(&self.erp))
    }
}
