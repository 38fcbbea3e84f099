//! A whole Spindel out of a config: store, queue, engine, polls and the webhook port; started, reloaded and stopped.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use spindel_config::{Loaded, Problem, Settings};
use spindel_connect::{Api, BoxFuture, Secret};
use spindel_engine::{Account, Engine, Parts, Wiring, jq};
use spindel_http::{Client, Options, TokenKeeper};
use spindel_ingest::{Bodies, Ingest, Inlet};
use spindel_model::Clock;
use spindel_queue::Embedded;
use spindel_store::{SqliteStore, Store};
use spindel_sync::Poller;
use std::{fs::File, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// An embedded Spindel is one node; it takes up under this name what it left when it died.
const NODE: &str = "local";
/// jq children; mappings are short.
const JQ_CHILDREN: usize = 2;
const PRUNE_EVERY: Duration = Duration::from_secs(600);
const PRUNE_AT_A_TIME: usize = 500;
const REJECTED_KEPT: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// A running Spindel.
pub struct Server {
    pub address: SocketAddr,
    pub engine: Arc<Engine>,
    client: Client,
    tokens: Arc<dyn TokenKeeper>,
    stop: CancellationToken,
    tasks: TaskTracker,
    drain: Duration,
    fixed: Fixed,
    /// Held as long as this process uses the database file.
    _lock: File,
}

impl Server {
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let lock = lock(&settings.store.path)?;
        let store: Arc<dyn Store> = open_store(&settings)?;
        let listener = TcpListener::bind(settings.server.listen).await.with_context(|| {
            format!("cannot listen on {}: choose another `server.listen`, or stop what listens there", settings.server.listen)
        })?;
        let address = listener.local_addr()?;
        let tokens: Arc<dyn TokenKeeper> = Arc::new(StoredTokens(Arc::clone(&store)));
        let client = Client::new();
        let (drain, retention, fixed) = (settings.server.drain, settings.store.retention, Fixed::of(&settings));
        let engine = Engine::new(Parts {
            store: Arc::clone(&store),
            queue: Arc::new(Embedded::new()),
            wiring: wire(settings, &client, &tokens, &clock)?,
            jq: jq_pool()?,
            clock: clock.clone(),
            node: NODE.into(),
            alone: true,
        });
        engine.start().await;

        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let poller = Poller { engine: Arc::clone(&engine), store: Arc::clone(&store), clock: clock.clone(), node: NODE.into() };
        tasks.spawn(poller.run(stop.clone()));
        tasks.spawn(prune(Arc::clone(&store), clock.clone(), retention, stop.clone()));
        let router = spindel_ingest::routes(ingest(&engine, &store, clock));
        tasks.spawn(async_serve(listener, router, stop.clone(), drain));
        Ok(Self { address, engine, client, tokens, stop, tasks, drain, fixed, _lock: lock })
    }

    /// Takes the new connections, flows and maps. What belongs to the process (`server`, `store`, `queue`) needs a restart.
    pub fn reload(&self, settings: Settings) -> anyhow::Result<()> {
        if Fixed::of(&settings) != self.fixed {
            tracing::warn!("what changed in [server] and [store] takes effect with the next start");
        }
        self.engine.rewire(wire(settings, &self.client, &self.tokens, &Clock::system())?);
        Ok(())
    }

    /// Takes no more requests, finishes what runs, releases the rest.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        let everything = async {
            self.tasks.wait().await;
            self.engine.drain(self.drain).await;
        };
        if tokio::time::timeout(self.drain * 2, everything).await.is_err() {
            tracing::warn!("stopped before everything had ended");
        }
    }
}

/// Settings that a running process keeps.
#[derive(PartialEq)]
struct Fixed {
    server: spindel_config::Server,
    store: std::path::PathBuf,
    retention: Duration,
}

impl Fixed {
    fn of(settings: &Settings) -> Self {
        let (server, store, retention) = (settings.server.clone(), settings.store.path.clone(), settings.store.retention);
        Self { server, store, retention }
    }
}

async fn async_serve(listener: TcpListener, router: axum::Router, stop: CancellationToken, drain: Duration) {
    if let Err(error) = spindel_ingest::serve(listener, router, stop, drain).await {
        tracing::error!(%error, "the webhook port is closed");
    }
}

/// One process at a time works on a database file; the command line may look at it beside that.
fn lock(database: &Path) -> anyhow::Result<File> {
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let path = database.with_extension("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}: the folder must be writable", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => bail!("another Spindel works on {}: stop it, or give this one another `store.url`", database.display()),
    }
}

/// Opens the database file; a new one belongs to this user alone, for it holds people's orders.
pub fn open_store(settings: &Settings) -> anyhow::Result<Arc<SqliteStore>> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = &settings.store.path;
    File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let encryption_key = settings.store.encryption_key.as_ref().map(encryption_key).transpose()?;
    SqliteStore::open(path, spindel_store::Options { encryption_key })
        .with_context(|| format!("cannot open the store {}", path.display()))
}

fn encryption_key(secret: &Secret) -> anyhow::Result<[u8; 32]> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(secret.expose().trim()).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .context("`store.encryption_key` must be 32 bytes in base64: `openssl rand -base64 32` makes one")
}

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
    let mut wiring =
        Wiring { maps: Arc::new(settings.maps), flows: settings.flows.into_iter().map(Arc::new).collect(), ..Wiring::default() };
    for (name, connection) in settings.connections {
        let options = Options {
            allow: settings.outbound.allow.clone(),
            timeout: connection.timeout,
            ..Options::new(&name, clock.clone(), Arc::clone(tokens))
        };
        let transport = client
            .transport(connection.endpoint, connection.entry.budget, options)
            .with_context(|| format!("connection `{name}` cannot be reached as it is set up"))?;
        let account = Account {
            name: name.clone(),
            api: Api::new(Arc::new(transport), connection.entry.refine, clock.clone()),
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

fn ingest(engine: &Arc<Engine>, store: &Arc<dyn Store>, clock: Clock) -> Ingest {
    let (for_inlets, for_announce) = (Arc::clone(engine), Arc::clone(engine));
    Ingest {
        store: Arc::clone(store),
        inlets: Arc::new(move |name| {
            let wiring = for_inlets.wiring();
            let account = wiring.account(name)?;
            Some(Inlet {
                connection: Arc::clone(&account.connection),
                body_limit: account.body_limit,
                insecure_accept_unsigned: account.insecure_accept_unsigned,
            })
        }),
        announce: Arc::new(move |event| {
            let engine = Arc::clone(&for_announce);
            Box::pin(async move { engine.announce(event).await })
        }),
        clock,
        noted: Arc::default(),
        bodies: Bodies::default(),
    }
}

async fn prune(store: Arc<dyn Store>, clock: Clock, retention: Duration, stop: CancellationToken) {
    let retention = jiff::SignedDuration::try_from(retention).unwrap_or(jiff::SignedDuration::MAX);
    while !stop.is_cancelled() {
        let now = clock.now();
        let before = now.checked_sub(retention).unwrap_or(spindel_model::Timestamp::MIN);
        let rejected_before = now.checked_sub(REJECTED_KEPT).unwrap_or(before);
        match store.prune(before, rejected_before, PRUNE_AT_A_TIME).await {
            // More may be left: on at once, with air for others.
            Ok(gone) if gone == PRUNE_AT_A_TIME => tokio::time::sleep(Duration::from_millis(100)).await,
            Ok(_) => tokio::select! { () = stop.cancelled() => {} () = tokio::time::sleep(PRUNE_EVERY) => {} },
            Err(error) => {
                tracing::warn!(%error, "old events could not be deleted");
                tokio::select! { () = stop.cancelled() => {} () = tokio::time::sleep(PRUNE_EVERY) => {} }
            }
        }
    }
}

/// Refresh tokens in the store, so that a restart does not lose the one the vendor gave last.
struct StoredTokens(Arc<dyn Store>);

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

fn token_key(connection: &str) -> String {
    format!("refresh_token {connection}")
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
