//! The client that all connections share, and what a connection may set.

use crate::{
    TokenKeeper,
    guard::{Guard, Reach, Resolver},
    transport::HttpTransport,
};
use ipnet::IpNet;
use reqwest::redirect::Policy;
use spindel_connect::{Endpoint, Failure};
use spindel_model::Clock;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub use spindel_connect::BudgetFn;

/// Makes transports; connections that may reach the same networks share one pool.
#[derive(Default)]
pub struct Client {
    pools: Mutex<Vec<Pool>>,
}

/// What goes with one connection, beyond its endpoint.
pub struct Options {
    /// Its name in the config; in log lines and for [`TokenKeeper`].
    pub connection: String,
    /// Networks that may be called although they are not public, over plain `http` too.
    pub allow: Vec<IpNet>,
    /// From the first byte sent to the last byte read.
    pub timeout: Duration,
    /// Name, route and TLS.
    pub connect_timeout: Duration,
    /// Largest answer, unpacked.
    pub response_cap: usize,
    /// Longest wait for a turn inside a call; beyond it the call fails as limited.
    pub max_wait: Duration,
    pub clock: Clock,
    pub tokens: Arc<dyn TokenKeeper>,
}

impl Options {
    pub fn new(connection: impl Into<String>, clock: Clock, tokens: Arc<dyn TokenKeeper>) -> Self {
        Self {
            connection: connection.into(),
            allow: Vec::new(),
            timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            response_cap: 8 * 1024 * 1024,
            max_wait: Duration::from_secs(2),
            clock,
            tokens,
        }
    }
}

struct Pool {
    guard: Guard,
    connect_timeout: Duration,
    public: reqwest::Client,
    allowed: reqwest::Client,
}

/// The way to the network: one pool for public addresses, one that can reach nothing but the allowed networks.
#[derive(Clone)]
pub(crate) struct Lines {
    pub(crate) guard: Guard,
    public: reqwest::Client,
    allowed: reqwest::Client,
}

impl Lines {
    pub(crate) fn of(&self, reach: Reach) -> &reqwest::Client {
        match reach {
            Reach::Public => &self.public,
            Reach::Allowed => &self.allowed,
        }
    }
}

impl Client {
    pub fn new() -> Self {
        crate::init();
        Self::default()
    }

    /// The transport of one connection. Fails when the endpoint makes no sense: a base URL that is none or that the
    /// guard refuses, a header that cannot be sent.
    pub fn transport(&self, endpoint: Endpoint, budget: BudgetFn, options: Options) -> Result<HttpTransport, Failure> {
        let lines = self.lines(Guard::new(&options.allow), options.connect_timeout.min(options.timeout))?;
        HttpTransport::new(lines, endpoint, budget, options)
    }

    fn lines(&self, guard: Guard, connect_timeout: Duration) -> Result<Lines, Failure> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let known = pools.iter().position(|it| it.guard == guard && it.connect_timeout == connect_timeout);
        let at = match known {
            Some(at) => at,
            None => {
                let build = |reach| build(guard.clone(), reach, connect_timeout);
                let (public, allowed) = (build(Reach::Public)?, build(Reach::Allowed)?);
                pools.push(Pool { guard, connect_timeout, public, allowed });
                pools.len() - 1
            }
        };
        let pool = &pools[at];
        Ok(Lines { guard: pool.guard.clone(), public: pool.public.clone(), allowed: pool.allowed.clone() })
    }
}

/// A redirect would carry credentials to another address, and a proxy would look names up behind the guard's back.
fn build(guard: Guard, reach: Reach, connect_timeout: Duration) -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder()
        .user_agent(concat!("spindel/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(Duration::from_secs(60))
        .dns_resolver(Resolver { guard, reach })
        .build()
        .map_err(|error| Failure::Refused(format!("the HTTP client cannot be built: {error}")))
}
