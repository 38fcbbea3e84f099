//! A whole Spindel out of a config: store, queue, engine, polls and the webhook port; started, reloaded and stopped.

mod backends;
mod housekeeping;
mod rates;
mod wiring;

pub use backends::{open_store, remove};
use wiring::trust;
pub use wiring::{StoredTokens, jq_pool, try_mappings, wire};

use crate::{
    roles::Roles,
    watch::{self, Watch, Watched},
};
use anyhow::Context as _;
use spindel_config::{QueueSettings, Settings, StoreLocation};
use spindel_engine::{Engine, Parts};
use spindel_http::{Client, TokenKeeper};
use spindel_ingest::{Bodies, Ingest, Inlet, Trust};
use spindel_model::Clock;
use spindel_store::Store;
use spindel_sync::{Bookkeeper, Keeper, Poller};
use std::{fs::File, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// An embedded Spindel is one node; it takes up under this name what it left when it died.
const ALONE: &str = "local";

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
    desks: Arc<rates::Desks>,
    /// Held as long as this process uses the database file.
    _lock: Option<File>,
}

impl Server {
    pub async fn start(mut settings: Settings, roles: Roles) -> anyhow::Result<Self> {
        let lock = backends::lock(&settings.store.location)?;
        let store = open_store(&settings.store).await?;
        let clock = Clock::steady(store.time().await.context("the store does not tell the time")?);
        let alone = lock.is_some();
        let node = if alone { ALONE.to_owned() } else { name(settings.server.node.as_deref()) };
        watch::begin(&node);
        let queue = backends::open_queue(&settings.queue, &node, roles.worker)?;
        let listener = listen(settings.server.listen, "server.listen").await?;
        let admin = match settings.server.admin {
            Some(address) => Some(listen(address, "server.admin").await?),
            None => None,
        };
        let address = listener.local_addr()?;
        let tokens: Arc<dyn TokenKeeper> = Arc::new(StoredTokens(Arc::clone(&store)));
        let client = Client::new();
        let (desks, offers) = (Arc::new(rates::Desks::default()), std::mem::take(&mut settings.rates));
        let origin = settings.server.public_url.as_ref().map_or_else(String::new, |url| url.origin().ascii_serialization());
        let public_url = settings.server.public_url.as_ref().map(ToString::to_string);
        let inbox = settings.server.public_url.as_ref().map(|url| format!("{}/in/", url.as_str().trim_end_matches('/')));
        let (drain, retention, fixed) = (settings.server.drain, settings.store.retention, Fixed::of(&settings));
        let engine = Engine::new(Parts {
            store: Arc::clone(&store),
            queue: Arc::clone(&queue),
            wiring: wire(settings, &client, &tokens, &Clock::system())?,
            jq: jq_pool()?,
            clock: clock.clone(),
            wall: Clock::system(),
            node: node.clone(),
            alone,
            worker: roles.worker,
        });
        engine.start().await;

        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(housekeeping::keep_time(Arc::clone(&store), clock.clone(), stop.clone()));
        if roles.sync {
            let poller =
                || Poller { engine: Arc::clone(&engine), store: Arc::clone(&store), clock: clock.clone(), node: node.clone() };
            tasks.spawn(poller().run(stop.clone()));
            tasks.spawn(Bookkeeper(poller()).run(stop.clone()));
            if let Some(inbox) = inbox {
                tasks.spawn(Keeper { poller: poller(), inbox }.run(stop.clone()));
            }
            tasks.spawn(housekeeping::prune(Arc::clone(&store), clock.clone(), retention, node.clone(), stop.clone()));
        }
        let watch = Watch::new(Watched {
            engine: Arc::clone(&engine),
            store: Arc::clone(&store),
            queue,
            clock: clock.clone(),
            node,
            ingest: roles.ingest,
            stop: stop.clone(),
        });
        if let Some(admin) = admin {
            tasks.spawn(serve(admin, watch::admin_router(&watch), stop.clone(), drain));
        }
        let mut router = watch::public_router(&watch);
        if roles.ingest {
            desks.set(offers, &engine.wiring());
            router = router.merge(spindel_ingest::routes(ingest(&engine, &store, clock, public_url, trust(&store, &client)?)));
            router = router.merge(spindel_rates::routes(desks.finder(origin), Clock::system()));
        }
        tasks.spawn(serve(listener, router, stop.clone(), drain));
        Ok(Self { address, engine, client, tokens, stop, tasks, drain, fixed, desks, _lock: lock })
    }

    /// Takes the new connections, flows and maps. What belongs to the process (`server`, `store`, `queue`) needs a restart.
    pub fn reload(&self, mut settings: Settings) -> anyhow::Result<()> {
        if Fixed::of(&settings) != self.fixed {
            tracing::warn!("what changed in [server], [store] and [queue] takes effect with the next start");
        }
        let offers = std::mem::take(&mut settings.rates);
        self.engine.rewire(wire(settings, &self.client, &self.tokens, &Clock::system())?);
        self.desks.set(offers, &self.engine.wiring());
        Ok(())
    }

    /// Takes no more requests, finishes what runs within the drain time, releases the rest.
    pub async fn stop(self) {
        let until = tokio::time::Instant::now() + self.drain;
        self.stop.cancel();
        self.tasks.close();
        let everything = async {
            // The last requests come with work of their own: deliveries are stopped after them, in what is left of the time.
            let _ = tokio::time::timeout_at(until - self.drain / 4, self.tasks.wait()).await;
            self.engine.drain(until.saturating_duration_since(tokio::time::Instant::now())).await;
        };
        if tokio::time::timeout_at(until + RELEASE_WITHIN, everything).await.is_err() {
            tracing::warn!("stopped before everything had ended");
        }
    }
}

/// To write down what was given up, when the time to stop is over.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);

/// Names a node among several, so that no other ever has the same name: what a dead process of this machine holds is not ours.
fn name(given: Option<&str>) -> String {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let name = given.map_or_else(host, str::to_owned);
    let own = uuid::Uuid::new_v4().simple().to_string();
    format!("{}-{}", if name.is_empty() { "node" } else { &name }, &own[..8])
}

/// Settings that a running process keeps.
#[derive(PartialEq)]
struct Fixed {
    server: spindel_config::Server,
    store: StoreLocation,
    queue: QueueSettings,
    retention: Duration,
}

impl Fixed {
    fn of(settings: &Settings) -> Self {
        Self {
            server: settings.server.clone(),
            store: settings.store.location.clone(),
            queue: settings.queue.clone(),
            retention: settings.store.retention,
        }
    }
}

async fn listen(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another `{key}`, or stop what listens there"))
}

async fn serve(listener: TcpListener, router: axum::Router, stop: CancellationToken, drain: Duration) {
    if let Err(error) = spindel_ingest::serve(listener, router, stop, drain).await {
        tracing::error!(%error, "a port is closed");
    }
}

fn ingest(engine: &Arc<Engine>, store: &Arc<dyn Store>, clock: Clock, public_url: Option<String>, trust: Arc<Trust>) -> Ingest {
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
        announce: Arc::new(move |event| for_announce.announce(event)),
        clock,
        wall: Clock::system(),
        noted: Arc::default(),
        bodies: Bodies::default(),
        public_url,
        trust,
    }
}
