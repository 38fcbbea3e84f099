//! All that the simulated shop remembers, behind one lock, and what it has to tell.

use super::{
    Options,
    auth::Nonces,
    resource::{Fields, fields, set_date},
    webhooks::{Hook, Job, Webhook, client},
};
use jiff::Timestamp;
use reqwest::Client;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};
use tokio::sync::{mpsc, watch};

/// What the shop refuses, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

pub(crate) fn refuse<T>(reason: impl Into<String>) -> Result<T, Refused> {
    Err(Refused(reason.into()))
}

/// The shop behind its lock, and the way out for its webhooks.
pub(crate) struct Shop {
    state: Mutex<State>,
    jobs: mpsc::UnboundedSender<Job>,
    /// Webhooks that were not tried yet.
    open: watch::Sender<usize>,
    pub client: Client,
}

impl Shop {
    pub fn new(state: State) -> Result<(Self, mpsc::UnboundedReceiver<Job>), reqwest::Error> {
        let (jobs, queue) = mpsc::unbounded_channel();
        Ok((Self { state: Mutex::new(state), jobs, open: watch::Sender::new(0), client: client()? }, queue))
    }

    /// Runs under the lock; then what is to be told goes to the sender.
    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        for job in state.outbox.drain(..) {
            self.open.send_modify(|open| *open += 1);
            if self.jobs.send(job).is_err() {
                self.done();
            }
        }
        result
    }

    pub fn done(&self) {
        self.open.send_modify(|open| *open = open.saturating_sub(1));
    }

    pub async fn settled(&self) {
        let mut open = self.open.subscribe();
        let _sender_lives = open.wait_for(|open| *open == 0).await;
    }
}

pub(crate) struct State {
    pub options: Options,
    /// The site's own address.
    pub home: String,
    /// Products, and variations with the id of theirs as `parent_id`.
    pub products: BTreeMap<u64, Fields>,
    pub orders: BTreeMap<u64, Fields>,
    /// Orders whose goods were taken off the stock.
    pub reduced: BTreeSet<u64>,
    /// With the order as `parent_id`.
    pub refunds: BTreeMap<u64, Fields>,
    /// Order, and its note.
    pub notes: Vec<(u64, Fields)>,
    pub customers: BTreeMap<u64, Fields>,
    pub webhooks: BTreeMap<u64, Hook>,
    pub sent: Vec<Webhook>,
    pub outbox: Vec<Job>,
    pub nonces: Nonces,
    pub gateway_refuses: Option<String>,
    last_id: u64,
}

impl State {
    pub fn filled(options: Options) -> Self {
        let count = options.products;
        let mut state = Self {
            options,
            home: String::new(),
            products: BTreeMap::new(),
            orders: BTreeMap::new(),
            reduced: BTreeSet::new(),
            refunds: BTreeMap::new(),
            notes: Vec::new(),
            customers: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            sent: Vec::new(),
            outbox: Vec::new(),
            nonces: Nonces::default(),
            gateway_refuses: None,
            last_id: 100,
        };
        for number in 1..=count {
            let price = format!("{}.00", 49 + 50 * number);
            let stock = state.options.stock;
            let row = fields(json!({
                "name": format!("Vare nº {number}"), "sku": format!("SKU-{number:02}"), "regular_price": price,
                "manage_stock": true, "stock_quantity": stock,
            }));
            state.add_product(None, row);
        }
        // What was there from the start is no news.
        state.outbox.clear();
        state
    }

    pub fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// In whole seconds, as the vendor keeps it.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.options.clock.now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub fn stamp(&self, fields: &mut Fields, name: &str) {
        set_date(fields, name, self.now(), self.options.utc_offset_hours);
    }

    /// Something happened: every active webhook of the topic is to tell it. What it says is looked up when it is sent.
    pub fn tell(&mut self, topic: &'static str, id: u64) {
        let listening = self.webhooks.values().filter(|it| it.topic == topic && it.status == "active");
        self.outbox.extend(listening.map(|it| Job { webhook: it.id, topic, resource: id }));
    }
}
