//! The configuration as the engine uses it: connections with their API handles, flows and maps. Swapped whole on reload.

use spindel_connect::{Api, Connection, Maps};
use spindel_model::{Flow, Payments, Topic};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// One configured connection, ready to be called.
pub struct Account {
    pub name: String,
    pub connection: Arc<dyn Connection>,
    pub api: Api,
    /// Deliveries at the same time.
    pub concurrency: usize,
    /// For one call.
    pub timeout: Duration,
    pub body_limit: usize,
    pub fixtures: &'static [spindel_connect::Fixture],
    pub insecure_accept_unsigned: bool,
}

/// How everything is connected right now.
#[derive(Default)]
pub struct Wiring {
    pub accounts: BTreeMap<String, Arc<Account>>,
    pub flows: Vec<Arc<Flow>>,
    pub payments: Option<Payments>,
    pub maps: Arc<Maps>,
}

impl Wiring {
    pub fn account(&self, name: &str) -> Option<&Arc<Account>> {
        self.accounts.get(name)
    }

    pub fn flow(&self, name: &str) -> Option<&Arc<Flow>> {
        self.flows.iter().find(|flow| flow.name == name)
    }

    /// The flows that want changes of this topic from this connection, in the order of the config.
    pub fn flows_for(&self, from: &str, topic: Topic) -> impl Iterator<Item = &Arc<Flow>> {
        self.flows.iter().filter(move |flow| flow.from == from && flow.on.contains(&topic))
    }
}

impl Account {
    /// Longer than any call, so that a lease never ends under a worker that is still waiting for an answer.
    pub fn lease(&self) -> Duration {
        self.timeout + Duration::from_secs(30)
    }

    /// All calls of one attempt together.
    pub fn attempt_limit(&self) -> Duration {
        self.timeout * 10
    }

    /// Slots that only fresh work may take: a quarter, and at least one where there are two.
    pub fn reserved(&self) -> usize {
        if self.concurrency < 2 { 0 } else { (self.concurrency / 4).max(1) }
    }
}
