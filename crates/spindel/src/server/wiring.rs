//! From settings to what the engine calls: connections with their API handles, flows, maps, mappings.

use crate::bus::{self, Bus};
use anyhow::Context as _;
use spindel_config::{Loaded, Problem, Settings};
use spindel_connect::{Api, Auth, BoxFuture, Endpoint, Request, Secret, Transport};
use spindel_engine::{Account, Wiring, jq};
use spindel_http::{Client, HttpTransport, MemoryTokens, Options, TokenKeeper};
use spindel_ingest::{Sources, Trust};
use spindel_model::Clock;
use spindel_store::Store;
use std::{path::Path, sync::Arc, time::Duration};

/// jq children; mappings are short.
const JQ_CHILDREN: usize = 2;

pub fn jq_pool() -> anyhow::Result<jq::Pool> {
    // Where the system has it: this very program, even after an upgrade has put another in its place.
    let running = Path::new("/proc/self/exe");
    let this = match running.exists() {
        true => running.to_owned(),
        false => std::env::current_exe().context("cannot find this program's own path, which jq mappings need")?,
    };
    Ok(jq::Pool::new(vec![this.into(), crate::cli::WORKER_JQ.into()], JQ_CHILDREN))
}

/// Connections with their API handles, flows and maps.
pub fn wire(settings: Settings, client: &Client, tokens: &Arc<dyn TokenKeeper>, clock: &Clock) -> anyhow::Result<Wiring> {
    let mut wiring = Wiring {
        maps: Arc::new(settings.maps),
        flows: settings.flows.into_iter().map(Arc::new).collect(),
        payments: settings.payments,
        ..Wiring::default()
    };
    for (name, connection) in settings.connections {
        let options = Options {
            allow: settings.outbound.allow.clone(),
            timeout: connection.timeout,
            ..Options::new(&name, clock.clone(), Arc::clone(tokens))
        };
        let transport: anyhow::Result<Arc<dyn Transport>> = match bus::is_broker(&connection.endpoint) {
            true => Bus::new(&name, connection.endpoint, connection.timeout).map(|it| Arc::new(it) as _),
            false => {
                let transport = client.transport(connection.endpoint, connection.entry.budget, options);
                transport.map(|it| Arc::new(it) as _).map_err(Into::into)
            }
        };
        let transport = transport.with_context(|| format!("connection `{name}` cannot be reached as it is set up"))?;
        let account = Account {
            name: name.clone(),
            api: Api::new(transport, connection.entry.refine, clock.clone()),
            connection: connection.connection,
            concurrency: connection.concurrency,
            timeout: connection.timeout,
            body_limit: connection.body_limit,
            fixtures: connection.entry.fixtures,
            insecure_accept_unsigned: connection.insecure_accept_unsigned,
        };
        if account.insecure_accept_unsigned {
            tracing::warn!(connection = name, "accepts requests without a proof: anybody can send it orders");
        }
        wiring.accounts.insert(name, Arc::new(account));
    }
    Ok(wiring)
}

/// Compiles and tries every flow's mapping on an example of what it will get.
pub async fn try_mappings(loaded: &Loaded, jq: &jq::Pool) -> Vec<Problem> {
    let mut problems = Vec::new();
    for flow in &loaded.settings.flows {
        let Some(topic) = flow.on.iter().find(|_| flow.map.is_some()) else { continue };
        let change = spindel_model::specimen_change(*topic);
        if let Err(spindel_model::State::Dead { reason, .. }) = spindel_engine::action(jq, flow, &change).await {
            problems.push(loaded.problem_at(&format!("flows.{}.map", flow.name), reason));
        }
    }
    problems
}

/// Refresh tokens in the store, so that a restart does not lose the one the vendor gave last.
pub struct StoredTokens(pub Arc<dyn Store>);

impl TokenKeeper for StoredTokens {
    fn load<'a>(&'a self, connection: &'a str) -> BoxFuture<'a, Result<Option<Secret>, String>> {
        Box::pin(async move {
            let kept = self.0.setting(&token_key(connection)).await.map_err(|error| error.to_string())?;
            Ok(kept.and_then(|bytes| String::from_utf8(bytes).ok()).map(Secret::new))
        })
    }

    fn save<'a>(&'a self, connection: &'a str, refresh_token: &'a Secret) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let bytes = refresh_token.expose().as_bytes().to_vec();
            self.0.set_setting(&token_key(connection), bytes).await.map_err(|error| error.to_string())
        })
    }
}

/// What webhooks are proved with beyond the settings.
pub fn trust(store: &Arc<dyn Store>, client: &Client) -> anyhow::Result<Arc<Trust>> {
    /// Far more than any key.
    const LARGEST_KEY: usize = 16 * 1024;
    let options = Options {
        response_cap: LARGEST_KEY,
        timeout: Duration::from_secs(5),
        ..Options::new("published keys", Clock::system(), Arc::new(MemoryTokens::default()))
    };
    let vendors = client.transport(Endpoint::new("", Auth::None), |_| None, options)?;
    Ok(Arc::new(Trust::new(Arc::new(KeptAndPublished { store: Arc::clone(store), vendors }))))
}

/// Secrets out of the store, and keys from where vendors publish them: public addresses only, without credentials.
struct KeptAndPublished {
    store: Arc<dyn Store>,
    vendors: HttpTransport,
}

impl Sources for KeptAndPublished {
    fn secrets<'a>(&'a self, connection: &'a str) -> BoxFuture<'a, Result<Vec<Secret>, String>> {
        Box::pin(async move { spindel_sync::kept_secrets(&*self.store, connection).await.map_err(|error| error.to_string()) })
    }

    fn published_key<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Option<String>, String>> {
        Box::pin(async move {
            let request = Request {
                operation: "published_key",
                method: http::Method::GET,
                path: address.to_owned(),
                headers: http::HeaderMap::from_iter([(http::header::ACCEPT, http::HeaderValue::from_static("*/*"))]),
                body: Default::default(),
                cost: 1.0,
            };
            let reply = self.vendors.send(&request).await.map_err(|failure| failure.to_string())?;
            match reply.status {
                200 => Ok(String::from_utf8(reply.body.to_vec()).ok()),
                400..=499 if reply.status != 429 => Ok(None),
                status => Err(format!("HTTP {status}")),
            }
        })
    }
}

fn token_key(connection: &str) -> String {
    format!("refresh_token {connection}")
}
