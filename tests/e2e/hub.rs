//! A Spindel process with a connection to each of some simulated vendors, and a sink for what comes of what they tell.

use crate::{cluster::Node, sink::Sink};
use serde_json::Value;
use spindel_simulators::{
    business_central::{BusinessCentralSim, Setup},
    fault::Faults,
    roles::{Joint, Vendor, secret},
};
use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Long, since tests share few cores; what holds, holds soon.
const SOON: Duration = Duration::from_secs(60);

pub struct Hub {
    pub node: Node,
    pub sink: Sink,
    config: String,
    folder: TempDir,
}

impl Hub {
    /// Everything but the process. `rest` is what the config says beside the connections.
    pub async fn prepare(vendors: &[(&str, &dyn Vendor)], rest: &str) -> Self {
        spindel_http::init();
        let folder = tempfile::tempdir().unwrap();
        let node = Node::new(folder.path().to_owned(), None);
        let sink = Sink::start().await;
        let mut config = format!(
            "[server]\nlisten = \"{}\"\nadmin = \"off\"\n\n[store]\nurl = \"sqlite://{}/spindel.db\"\n\n\
             [outbound]\nallow = [\"127.0.0.0/8\"]\n",
            node.address,
            folder.path().display()
        );
        let people = Plain::new("webhook", format!("url = \"{}\"\n", sink.url)).secret("signing_secrets", crate::sink::SECRET);
        for (name, vendor) in vendors.iter().copied().chain([("people", &people as &dyn Vendor)]) {
            let secrets = folder.path().join(name);
            std::fs::create_dir(&secrets).unwrap();
            let joint = vendor.join(&secrets).unwrap();
            config += &format!("\n[connections.{name}]\nconnector = \"{}\"\n{}", vendor.connector(), joint.settings);
            for (part, keys) in joint.parts {
                config += &format!("\n[connections.{name}.{part}]\n{keys}");
            }
            config += &format!("\n{}", joint.tables);
        }
        config += &format!("\n{rest}");
        let hub = Self { node, sink, config, folder };
        hub.write(&hub.config);
        hub
    }

    /// Up and running; nobody has told it how vendors reach it.
    pub async fn start(vendors: &[(&str, &dyn Vendor)], rest: &str) -> Self {
        let mut hub = Self::prepare(vendors, rest).await;
        hub.launch().await;
        hub
    }

    /// Up and running, and looking after its subscriptions.
    pub async fn start_public(vendors: &[(&str, &dyn Vendor)], rest: &str) -> Self {
        let mut hub = Self::prepare(vendors, rest).await;
        hub.says_its_address();
        hub.launch().await;
        hub
    }

    /// From now on the config has `server.public_url`; a running process takes no notice.
    pub fn says_its_address(&mut self) {
        self.says_address(&format!("http://{}", self.node.address));
    }

    /// The same with the address of what stands before it.
    pub fn says_address(&mut self, public_url: &str) {
        self.change("[server]\n", &format!("[server]\npublic_url = \"{public_url}\"\n"));
    }

    /// Puts something else in place of a text of the config.
    pub fn change(&mut self, text: &str, other: &str) {
        assert!(self.config.contains(text), "{}", self.config);
        self.config = self.config.replace(text, other);
        self.write(&self.config);
    }

    fn write(&self, config: &str) {
        std::fs::write(self.folder.path().join("spindel.toml"), config).unwrap();
    }

    pub async fn launch(&mut self) {
        self.node.launch();
        self.node.listens().await;
    }

    pub async fn restart(&mut self) {
        self.node.kill();
        self.launch().await;
    }

    /// Where this connection's webhooks go.
    pub fn inbox(&self, connection: &str) -> String {
        format!("http://{}/in/{connection}", self.node.address)
    }

    /// Events of a connection, newest first.
    pub fn events(&self, connection: &str) -> Vec<Value> {
        let all = self.node.cli(&["events", "list", "--connection", connection, "--limit", "1000"]);
        all.as_array().unwrap().clone()
    }

    /// How many webhooks of a topic were taken in and understood.
    pub fn heard(&self, connection: &str, topic: &str) -> usize {
        let heard = |it: &&Value| it["cause"] == "webhook" && it["topic"] == topic && it["state"] != "quarantined";
        self.events(connection).iter().filter(heard).count()
    }

    /// Topic and state, as `spindel subscriptions list` or `repair` says.
    pub fn standings(&self, command: &str, connection: &str) -> Vec<(String, String)> {
        let rows = self.node.cli(&["subscriptions", command, connection]);
        let text = |it: &Value| it.as_str().unwrap().to_owned();
        rows.as_array().unwrap().iter().map(|row| (text(&row["topic"]), text(&row["state"]))).collect()
    }

    pub fn all_are_active(&self, connection: &str) -> bool {
        self.standings("list", connection).iter().all(|(_, state)| state == "active")
    }

    /// Waits for a condition; where it does not come to hold, the message says what came in and what the log says.
    pub async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + SOON;
        while !holds() {
            if Instant::now() > until {
                let events = self.node.cli(&["events", "list", "--limit", "30"]);
                let rejected = self.node.cli(&["events", "list", "--rejected", "--limit", "10"]);
                panic!("waited {SOON:?} in vain for {what}\nevents: {events:#}\nrejected: {rejected:#}\n{}", self.node.log());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A flow that tells people of what this connection says.
pub fn told(connection: &str, topics: &[&str]) -> String {
    format!(
        "[flows.{connection}]\nfrom = \"{connection}\"\non = {topics:?}\nto = \"people\"\ndo = \"send_change\"\n\
         retry = {{ first = \"200ms\", factor = 2, max = \"2s\" }}\n\n"
    )
}

/// A connection that is only written down.
pub struct Plain {
    connector: &'static str,
    settings: String,
    secrets: Vec<(&'static str, String)>,
}

impl Plain {
    pub fn new(connector: &'static str, settings: impl Into<String>) -> Self {
        Self { connector, settings: settings.into(), secrets: Vec::new() }
    }

    pub fn secret(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.secrets.push((key, value.into()));
        self
    }

    pub fn business_central(company: &BusinessCentralSim) -> Self {
        let setup = Setup::default();
        let settings = format!(
            "tenant = \"{}\"\ncompany = \"{}\"\nclient_id = \"{}\"\ncurrency = \"NOK\"\nurl = \"{}\"\ntoken_url = \"{}\"\n",
            setup.tenant,
            setup.company,
            setup.client_id,
            company.api_url(),
            company.token_url()
        );
        Self::new("business-central", settings)
            .secret("client_secret", setup.client_secret)
            .secret("webhook_secret", "thirty-two-letters-and-digits-01")
    }
}

impl Vendor for Plain {
    fn connector(&self) -> &'static str {
        self.connector
    }

    fn join(&self, folder: &Path) -> io::Result<Joint> {
        let mut settings = self.settings.clone();
        for (key, value) in &self.secrets {
            settings += &format!("{key} = {}\n", secret(folder, key, value)?);
        }
        Ok(Joint { settings, ..Joint::default() })
    }

    fn faults(&self) -> Faults {
        Faults::default()
    }

    fn tell(&self, _: &[String]) {}
}
