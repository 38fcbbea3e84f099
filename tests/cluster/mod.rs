//! Spindel as it runs in earnest: nodes on one PostgreSQL and one RabbitMQ, webhooks spread over the nodes, and between each
//! node and its services a proxy that can fail. Or one embedded node, for the same tests.

mod feed;
mod node;
mod services;

pub use feed::Feed;
pub use node::{Node, Ways};
pub use services::Services;

use rand::{SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use spindel_simulators::{
    pair::{FLOWS, Pair},
    shopify::{Delivery, Options, sign},
};
use spindel_testkit::proxy::Proxy;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub struct Cluster {
    pub pair: Arc<Pair>,
    pub nodes: Vec<Node>,
    /// For random choices of the test.
    pub rng: StdRng,
    pub seed: u64,
    /// Spreads the webhooks over the nodes.
    pub front: Proxy,
    client: reqwest::Client,
    backend: Option<Backend>,
    kind: &'static str,
    begun: Instant,
    folder: TempDir,
}

/// What a node says to a webhook.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: bool,
    pub took: Duration,
}

/// What the nodes share in the production shape.
pub struct Backend {
    pub services: Services,
    pub database: String,
    pub vhost: String,
}

/// How a cluster is made.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Of both, for people: `broker killed`.
    pub kind: &'static str,
    pub nodes: usize,
    /// Not the vhost that every broker has from the start, but one that is gone when the broker is wiped.
    pub own_vhost: bool,
    pub flows: &'static str,
}

impl Shape {
    pub fn of(kind: &'static str) -> Self {
        Self { kind, nodes: 2, own_vhost: true, flows: FLOWS }
    }
}

impl Cluster {
    /// Two nodes in the production shape, up; nothing where tests with services are left out.
    pub async fn start(kind: &'static str) -> Option<Self> {
        let mut cluster = Self::prepare(Shape::of(kind)).await?;
        cluster.launch().await;
        Some(cluster)
    }

    /// The production shape, before its nodes are launched.
    pub async fn prepare(shape: Shape) -> Option<Self> {
        let services = Services::take()?;
        Some(Self::assemble(shape, Some(Backend::fresh(services, shape.own_vhost))).await)
    }

    /// One node that needs nothing but its folder, before it is launched.
    pub async fn embedded(kind: &'static str) -> Self {
        Self::assemble(Shape { nodes: 1, ..Shape::of(kind) }, None).await
    }

    async fn assemble(shape: Shape, backend: Option<Backend>) -> Self {
        spindel_http::init();
        let seed = seed();
        // The shop tries again for as long as an outage of these tests may take.
        let options = Options { seed, concurrency: 32, retry_base: Duration::from_millis(200), ..Options::plus() };
        // One webhook an order keeps the run short.
        let options = Options { topics: Some(vec!["orders/create".into()]), ..options };
        let pair = Arc::new(Pair::start(options).await.unwrap());
        let folder = tempfile::tempdir().unwrap();
        let services = backend.as_ref().map(|backend| &backend.services);
        let nodes: Vec<Node> =
            (0..shape.nodes).map(|number| Node::new(folder.path().join(format!("node-{number}")), services)).collect();
        let front = Proxy::spread(nodes.iter().map(|node| node.address).collect());
        pair.shop.set_target(Some(&format!("http://{}/in/shop", front.address)));
        pair.shop.set_delivery(Delivery { duplicates: 0.05, reorder_window: 4, drop: 0.0 });
        let rng = StdRng::seed_from_u64(seed);
        let (kind, begun) = (shape.kind, Instant::now());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let cluster = Self { pair, nodes, rng, seed, front, client, backend, kind, begun, folder };
        cluster.configure(shape.flows);
        cluster
    }

    /// One file a node, and one for the command line, which goes to the database directly.
    fn configure(&self, flows: &str) {
        for node in &self.nodes {
            self.pair.write_config(&node.folder, node.address, flows).unwrap();
            let Some(backend) = &self.backend else { continue };
            std::fs::write(node.folder.join("password"), &backend.services.password).unwrap();
            let (store, queue) = (node.ways().store.address, node.ways().broker.address);
            backend.rewrite(&node.folder, Some(node.admin), &store.to_string(), &queue.to_string());
        }
        if let Some(backend) = &self.backend {
            let folder = self.folder.path();
            self.pair.write_config(folder, self.nodes[0].address, flows).unwrap();
            std::fs::write(folder.join("password"), &backend.services.password).unwrap();
            backend.rewrite(folder, None, &backend.services.postgres.to_string(), &backend.services.amqp.to_string());
        }
    }

    pub async fn launch(&mut self) {
        self.nodes.iter_mut().for_each(Node::launch);
        for node in &mut self.nodes {
            node.listens().await;
        }
    }

    /// Webhooks go to this node, and no longer to all.
    pub fn send_only_to(&self, node: usize) {
        self.pair.shop.set_target(Some(&format!("http://{}/in/shop", self.nodes[node].address)));
    }

    /// Only in the production shape.
    pub fn backend(&self) -> &Backend {
        self.backend.as_ref().unwrap()
    }

    pub fn services(&self) -> &Services {
        &self.backend().services
    }

    /// For the command line: it sees the store whatever becomes of the nodes' ways.
    pub fn config(&self) -> PathBuf {
        let folder = if self.backend.is_some() { self.folder.path() } else { &self.nodes[0].folder };
        folder.join("spindel.toml")
    }

    /// Runs the command line and reads what it prints with `--json`.
    pub fn cli(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spindel"));
        let output = command.arg("--json").arg("-c").arg(self.config()).args(arguments).output().unwrap();
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "spindel {arguments:?} ended with {}: {text}{errors}", output.status);
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a genuine webhook of no consequence to one node.
    pub async fn post(&self, node: usize, body: String) -> Answer {
        let (asked, url) = (Instant::now(), format!("http://{}/in/shop", self.nodes[node].address));
        let request = self.client.post(url).header("X-Shopify-Topic", "orders/delete");
        let request = request.header("X-Shopify-Hmac-Sha256", sign("client-secret", body.as_bytes())).body(body);
        let answer = request.timeout(Duration::from_secs(20)).send().await.unwrap();
        let retry_after = answer.headers().contains_key("retry-after");
        Answer { status: answer.status().as_u16(), retry_after, took: asked.elapsed() }
    }

    /// What a node says of its parts.
    pub async fn parts(&self, node: usize) -> Value {
        let url = format!("http://{}/readyz", self.nodes[node].admin);
        let answer = self.client.get(url).timeout(Duration::from_secs(20)).send().await.unwrap();
        let mut ready: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        ready["parts"].take()
    }

    /// Connections that each node has opened to a service until now.
    pub fn opened(&self, to: fn(&Ways) -> &Proxy) -> Vec<u64> {
        self.nodes.iter().map(|node| to(node.ways()).counts().connections).collect()
    }

    /// Each node has lost connections to this service and opened at least so many since: the fault was none for nobody.
    pub fn opened_again(&self, to: fn(&Ways) -> &Proxy, before: &[u64], times: u64) {
        let now = self.opened(to);
        let hit = before.iter().zip(&now).all(|(before, now)| now - before >= times);
        assert!(hit, "{}: not every node had to connect again {times} times: {before:?}, then {now:?}", self.kind);
    }

    /// Places orders in the background, one each `every`.
    pub fn feed(&self, orders: usize, every: Duration) -> Feed {
        Feed::start(Arc::clone(&self.pair), orders, every)
    }

    /// The account, once everything has come to rest: what was acknowledged is in the ERP exactly once, with equal amounts.
    #[allow(clippy::print_stderr)]
    pub async fn settle(&self, feed: Feed) {
        let at = || self.begun.elapsed().as_secs();
        let (orders, fed) = (feed.end().await, at());
        let sent = self.pair.shop.flush().await;
        assert_eq!(sent.given_up, 0, "the shop gave up on webhooks, so this run proves nothing: {sent:?}\n{}", self.logs());
        let acknowledged = at();
        self.wait_until_clean(Duration::from_secs(150)).await;
        let clean = at();
        assert_eq!(self.pair.account().in_shop, orders);
        let until = Instant::now() + Duration::from_secs(60);
        while self.undelivered(1) != Value::Array(vec![]) {
            assert!(Instant::now() < until, "not at rest: {:#}\n{}", self.undelivered(5), self.logs());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let account = self.pair.account();
        assert!(account.is_clean(), "clean, and then not: {account:#?}");
        eprintln!(
            "{}: {} orders in the shop, {} acknowledged webhooks of {} tries, {} in the ERP once and equal, {} lost, {} doubled; \
             all placed after {fed} s, acknowledged after {acknowledged} s, in the ERP after {clean} s, at rest after {} s",
            self.kind,
            account.in_shop,
            sent.acknowledged,
            sent.sent + sent.retries,
            account.right,
            account.lost.len(),
            account.doubled.len(),
            at(),
        );
    }

    async fn wait_until_clean(&self, within: Duration) {
        let until = Instant::now() + within;
        loop {
            let account = self.pair.account();
            if account.is_clean() {
                return;
            }
            if Instant::now() > until {
                let open = self.undelivered(5);
                panic!("both ends do not agree: {account:#?}\nundelivered: {open:#}\n{}", self.logs());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn undelivered(&self, limit: u32) -> Value {
        self.cli(&["deliveries", "list", "--undelivered", "--limit", &limit.to_string()])
    }

    /// The ends of all nodes' logs.
    pub fn logs(&self) -> String {
        self.nodes.iter().map(|node| format!("-- {}\n{}\n", node.address, node.log())).collect()
    }
}

impl Backend {
    /// A database and a vhost that nobody else has, empty.
    fn fresh(services: Services, own_vhost: bool) -> Self {
        let name = format!("spindel_{}", uuid::Uuid::new_v4().simple());
        services.sql("postgres", &format!("create database {name}"));
        let vhost = if own_vhost { name.clone() } else { "/".into() };
        if own_vhost {
            services.rabbitmqctl(&["add_vhost", &vhost]);
            services.rabbitmqctl(&["set_permissions", "-p", &vhost, "spindel", ".*", ".*", ".*"]);
        }
        Self { services, database: name, vhost }
    }

    /// What SQL says about this database.
    pub fn sql(&self, statement: &str) -> String {
        self.services.sql(&self.database, statement)
    }

    /// Queues with what they hold, consumers included.
    pub fn queues(&self) -> Vec<(String, usize)> {
        let text = self.services.rabbitmqctl(&["list_queues", "-p", &self.vhost, "name", "messages", "--no-table-headers"]);
        let row = |line: &str| {
            let (name, messages) = line.rsplit_once(char::is_whitespace)?;
            Some((name.trim().to_owned(), messages.parse().ok()?))
        };
        text.lines().filter_map(row).collect()
    }

    /// Puts the services in place of the embedded store.
    fn rewrite(&self, folder: &Path, admin: Option<std::net::SocketAddr>, store: &str, queue: &str) {
        let file = folder.join("spindel.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, after) = text.split_once("[store]\n").unwrap();
        let before = before.replace("admin = \"off\"\n", "");
        let (_, rest) = after.split_once("\n\n").unwrap();
        let admin = admin.map(|admin| format!("admin = \"{admin}\"\n")).unwrap_or_default();
        let password = format!("password = {{ file = \"{}\" }}", folder.join("password").display());
        let (database, vhost) = (&self.database, self.vhost.replace('/', "%2F"));
        let text = format!(
            "{}\n{admin}\n[store]\nurl = \"postgres://spindel@{store}/{database}\"\n{password}\n\n\
             [queue]\nurl = \"amqp://spindel@{queue}/{vhost}\"\n{password}\n\n{rest}",
            before.trim_end()
        );
        std::fs::write(&file, text).unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The database can only be dropped once nobody is in it.
        self.nodes.clear();
        let Some(backend) = &self.backend else { return };
        if std::thread::panicking() {
            // What failed can be looked at; a second panic would hide why.
            return;
        }
        backend.services.sql("postgres", &format!("drop database if exists {} with (force)", backend.database));
        if backend.vhost != "/" {
            backend.services.rabbitmqctl(&["delete_vhost", &backend.vhost]);
        }
    }
}

/// Waits for a condition, with a deadline that says what was waited for.
pub async fn wait_for(what: &str, within: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + within;
    while !holds().await {
        assert!(Instant::now() < until, "waited {within:?} in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The seed of a random test: from `SPINDEL_SEED` to repeat a failure, else new. Printed, so that a failure shows it.
#[allow(clippy::print_stderr)]
fn seed() -> u64 {
    let seed =
        std::env::var("SPINDEL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| rand::random_range(1..1_000_000));
    eprintln!("seed: repeat this run with SPINDEL_SEED={seed}");
    seed
}
