//! What a valid config file comes down to: typed, resolved, with every name checked. The rest of Spindel reads only this.

use ipnet::IpNet;
use spindel_connect::{Connection, Endpoint, Entry, Maps, Secret};
/// Flow, Filter (with Condition and Test), RetryPolicy, Trust and Payments live in `spindel_model` (flow.rs, filter.rs, ledger.rs):
/// the engine, which does not know this crate, needs them. This crate parses and lints them.
use spindel_model::Money;
pub use spindel_model::{Condition, Filter, Flow, Payments, RetryPolicy, Test, Trust};
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

pub struct Settings {
    pub server: Server,
    pub store: StoreSettings,
    pub queue: QueueSettings,
    pub outbound: Outbound,
    pub connections: BTreeMap<String, ConnectionSettings>,
    /// In the order of the file.
    pub flows: Vec<Flow>,
    pub rates: Vec<Rates>,
    pub payments: Option<Payments>,
    pub maps: Maps,
    pub tests: Vec<FlowTest>,
}

/// `[server]`
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    pub listen: SocketAddr,
    /// For people and machines that watch: health, metrics. Nothing where it is `"off"`.
    pub admin: Option<SocketAddr>,
    /// What this node is called among several; as its host where nothing is given.
    pub node: Option<String>,
    /// How vendors reach this Spindel; needed to register subscriptions.
    pub public_url: Option<url::Url>,
    /// How long a stop may take: what runs is finished, the rest is released.
    pub drain: Duration,
}

/// `[store]`
pub struct StoreSettings {
    pub location: StoreLocation,
    /// Events that ended are kept this long, rejected requests a day.
    pub retention: Duration,
    /// 32 bytes, base64: bodies and payloads are encrypted with it.
    pub encryption_key: Option<Secret>,
}

/// One SQLite file belongs to one process; several nodes share a PostgreSQL database.
#[derive(Clone, Debug, PartialEq)]
pub enum StoreLocation {
    Sqlite {
        path: PathBuf,
    },
    /// `postgres://user@host:port,…/database?sslmode=…`
    Postgres {
        server: Remote,
        /// Where the tables stand; the user's own when it is not named.
        schema: Option<String>,
    },
}

/// `[queue]`
#[derive(Clone, Debug, PartialEq)]
pub enum QueueSettings {
    /// Inside the process. With PostgreSQL several nodes may have one each: what one leaves, the others find in the store.
    Embedded,
    /// `amqp://user@host:port/vhost`; names of exchanges and queues begin with the prefix.
    Amqp { broker: Remote, prefix: String },
}

/// A server of ours: the database, or the broker.
#[derive(Clone)]
pub struct Remote {
    /// As written, without the password. A database on another machine is spoken to over TLS unless it says `sslmode=disable`.
    pub url: String,
    pub password: Option<Secret>,
    /// PEM file of the authority that signed the server's certificate, where the system does not trust it.
    pub ca: Option<PathBuf>,
}

/// `[outbound]`
#[derive(Clone, Debug, PartialEq)]
pub struct Outbound {
    /// Networks that may be called although they are private: `["10.0.0.0/8"]`.
    pub allow: Vec<IpNet>,
}

/// `[connections.NAME]`
pub struct ConnectionSettings {
    pub name: String,
    pub entry: Entry,
    pub connection: Arc<dyn Connection>,
    pub endpoint: Endpoint,
    /// Largest webhook that is accepted, in bytes.
    pub body_limit: usize,
    /// Requests without a proof are believed. For tests behind a wall only.
    pub insecure_accept_unsigned: bool,
    /// Deliveries to this connection at the same time.
    pub concurrency: usize,
    /// For one call to the vendor.
    pub timeout: Duration,
}

/// `[rates.NAME]`
pub struct Rates {
    /// Of the shop's connection, where its checkout asks in its own way.
    pub name: String,
    /// Names of connections.
    pub carriers: Vec<String>,
    pub deadline: Duration,
    pub keep: Duration,
    /// Of questions in plain JSON.
    pub token: Option<Secret>,
    pub fallback: Vec<RateTable>,
}

/// `[[rates.NAME.fallback]]`
#[derive(Clone, Debug, PartialEq)]
pub struct RateTable {
    pub service: String,
    pub title: String,
    /// Tax included.
    pub price: Money,
    /// Two letters each; empty for all.
    pub countries: Vec<String>,
    pub up_to_grams: Option<u64>,
    pub days: Option<i64>,
}

/// `[[tests]]`: given this event, expect these actions.
#[derive(Clone, Debug)]
pub struct FlowTest {
    pub name: String,
    pub connection: String,
    pub given: Given,
    pub expect: Vec<ExpectedAction>,
    /// Line of the file, counted from 1.
    pub line: usize,
}

#[derive(Clone, Debug)]
pub enum Given {
    /// One of the connector's own fixtures, by name.
    Fixture(String),
    /// A webhook as the vendor sends it; no signature is needed.
    Webhook { headers: BTreeMap<String, String>, body: String },
    /// A change in the canonical model, as JSON.
    Change(serde_json::Value),
}

/// One expected delivery. What is not mentioned may be anything.
#[derive(Clone, Debug)]
pub struct ExpectedAction {
    pub flow: String,
    /// Subset of the action's JSON.
    pub action: Option<serde_json::Value>,
    /// Text that the reason of a skipped or failed delivery contains.
    pub skipped: Option<String>,
}
