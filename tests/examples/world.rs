//! A Spindel process that runs one of the examples.

use crate::cluster::Node;
use serde_json::Value;
use spindel_simulators::{
    akeneo::{self, AkeneoSim},
    odoo::OdooSim,
    pair::Pair,
    shopify::ShopifySim,
    stripe::{self, StripeSim},
    vipps::{self, VippsSim},
    woocommerce::{self, WoocommerceSim},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use toml::{Table, Value as Toml};

/// Long, since tests share two cores with others; what holds, holds soon.
pub const SOON: Duration = Duration::from_secs(60);

pub struct World {
    pub node: Node,
    _folder: TempDir,
}

/// One of the examples, to be changed until it fits the simulated vendors.
pub struct Example {
    config: Table,
    environment: Vec<(String, String)>,
}

impl Example {
    pub fn of(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/examples").join(name);
        let mut config: Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
        for flow in config.get_mut("flows").and_then(Toml::as_table_mut).into_iter().flat_map(|flows| flows.iter_mut()) {
            hurry(flow.1.as_table_mut().unwrap());
        }
        let mut example = Self { config, environment: Vec::new() };
        example.set("outbound.allow", vec!["127.0.0.0/8"]);
        example.set("server.admin", "off");
        example.config["server"].as_table_mut().unwrap().remove("public_url");
        example
    }

    /// Puts a value at `connections.shop.url`, whatever stood there.
    pub fn set(&mut self, path: &str, value: impl Into<Toml>) -> &mut Self {
        let mut parts: Vec<&str> = path.split('.').collect();
        let last = parts.pop().unwrap();
        let empty = || Toml::Table(Table::new());
        let table = parts
            .into_iter()
            .fold(&mut self.config, |table, part| table.entry(part).or_insert_with(empty).as_table_mut().unwrap());
        table.insert(last.to_owned(), value.into());
        self
    }

    /// The simulated shop and ERP in place of `shop` and `erp`.
    pub fn joins(&mut self, pair: &Pair) -> &mut Self {
        self.shop(&pair.shop).erp(&pair.erp)
    }

    pub fn shop(&mut self, shop: &ShopifySim) -> &mut Self {
        self.set("connections.shop.client_id", "client-id").set("connections.shop.base_url", shop.base_url());
        self.secret("SHOPIFY_CLIENT_SECRET", "client-secret")
    }

    pub fn woocommerce(&mut self, shop: &WoocommerceSim) -> &mut Self {
        let options = woocommerce::Options::default();
        self.set("connections.shop.url", shop.base_url());
        self.secret("WOOCOMMERCE_KEY", options.consumer_key).secret("WOOCOMMERCE_SECRET", options.consumer_secret);
        self.secret("WOOCOMMERCE_WEBHOOK_SECRET", options.webhook_secret)
    }

    pub fn stripe(&mut self, stripe: &StripeSim) -> &mut Self {
        let options = stripe::Options::default();
        self.set("connections.stripe.base_url", stripe.base_url());
        self.secret("STRIPE_API_KEY", options.api_keys[0].as_str()).secret("STRIPE_WEBHOOK_SECRET", options.webhook_secret)
    }

    /// Its webhooks are those of a registration by hand.
    pub fn vipps(&mut self, vipps: &VippsSim) -> &mut Self {
        let options = vipps::Options::default();
        self.set("connections.vipps.base_url", vipps.base_url()).set("connections.vipps.client_id", options.client_id);
        self.set("connections.vipps.webhook_secrets", Table::from_iter([("env".to_owned(), Toml::from("VIPPS_WEBHOOK_SECRET"))]));
        self.secret("VIPPS_CLIENT_SECRET", options.client_secret).secret("VIPPS_SUBSCRIPTION_KEY", options.subscription_key);
        self.secret("VIPPS_WEBHOOK_SECRET", options.webhook_secret)
    }

    pub fn akeneo(&mut self, pim: &AkeneoSim) -> &mut Self {
        let options = akeneo::Options::default();
        self.set("connections.pim.url", pim.base_url());
        self.set("connections.pim.client_id", options.client_id).set("connections.pim.username", options.username);
        self.secret("AKENEO_CLIENT_SECRET", options.client_secret).secret("AKENEO_PASSWORD", options.password);
        self.secret("AKENEO_WEBHOOK_SECRET", options.primary_secret)
    }

    /// One more flow.
    pub fn flow(&mut self, name: &str, from: &str, on: &[&str], to: &str, action: &str) -> &mut Self {
        let on: Vec<Toml> = on.iter().map(|topic| Toml::from(*topic)).collect();
        let keys = [("from", Toml::from(from)), ("on", on.into()), ("to", to.into()), ("do", action.into())];
        let mut flow = Table::from_iter(keys.map(|(key, value)| (key.to_owned(), value)));
        hurry(&mut flow);
        self.set(&format!("flows.{name}"), flow)
    }

    pub fn erp(&mut self, erp: &OdooSim) -> &mut Self {
        self.set("connections.erp.url", erp.base_url()).set("connections.erp.database", erp.database());
        for (tax, id) in [("NO/25/included", "31"), ("NO/15/included", "32"), ("NO/25/excluded", "3"), ("NO/15/excluded", "15")] {
            self.map("tax", tax, id);
        }
        self.secret("ODOO_API_KEY", erp.api_key())
    }

    /// One entry of `[maps.NAME]`, whose keys may have dots.
    pub fn map(&mut self, name: &str, key: &str, value: &str) -> &mut Self {
        let maps = self.config.entry("maps").or_insert_with(|| Table::new().into()).as_table_mut().unwrap();
        let map = maps.entry(name).or_insert_with(|| Table::new().into()).as_table_mut().unwrap();
        map.insert(key.to_owned(), value.into());
        self
    }

    /// What the config takes from the environment.
    pub fn secret(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub async fn start(&mut self) -> World {
        let folder = tempfile::tempdir().unwrap();
        let mut node = Node::new(folder.path().to_owned(), None);
        self.set("server.listen", node.address.to_string());
        self.set("store.url", format!("sqlite://{}/spindel.db", folder.path().display()));
        std::fs::write(folder.path().join("spindel.toml"), self.config.to_string()).unwrap();
        node.environment = self.environment.clone();
        node.launch();
        node.listens().await;
        World { node, _folder: folder }
    }
}

/// A simulated day is short.
fn hurry(flow: &mut Table) {
    let retry = Table::from_iter([
        ("first".to_owned(), Toml::from("200ms")),
        ("factor".to_owned(), Toml::from(2)),
        ("max".to_owned(), Toml::from("2s")),
    ]);
    flow.insert("retry".into(), retry.into());
    flow.remove("lag");
    if flow.contains_key("every") {
        flow.insert("every".into(), "1s".into());
    }
}

impl World {
    /// Where this connection's webhooks go.
    pub fn inbox(&self, connection: &str) -> String {
        format!("http://{}/in/{connection}", self.node.address)
    }

    /// Waits for a condition; where it does not come to hold, the message says what Spindel has not delivered.
    pub async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + SOON;
        while !holds() {
            if Instant::now() > until {
                let open = self.node.cli(&["deliveries", "list", "--undelivered", "--limit", "3"]);
                let show = |it: &Value| self.node.cli(&["deliveries", "show", it["id"].as_str().unwrap()]);
                let open = Value::from_iter(open.as_array().unwrap().iter().map(show));
                let events = self.node.cli(&["events", "list", "--limit", "20"]);
                panic!("waited {SOON:?} in vain for {what}\nundelivered: {open:#}\nevents: {events:#}\n{}", self.node.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until nothing is left to do, and nothing has failed.
    pub async fn until_all_is_delivered(&self) {
        self.until("everything to be delivered", || {
            self.node.cli(&["deliveries", "list", "--undelivered", "--limit", "1"]).as_array().unwrap().is_empty()
        })
        .await;
    }

    /// The flow's deliveries that arrived, or found that all was so already.
    pub fn delivered(&self, flow: &str) -> Vec<Value> {
        let all = self.node.cli(&["deliveries", "list", "--flow", flow, "--state", "delivered,unchanged", "--limit", "1000"]);
        all.as_array().unwrap().clone()
    }
}
