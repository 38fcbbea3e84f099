//! All that the simulated shop remembers, behind one lock, and the ids, times and events it hands out.

use crate::shopify::{
    Options, StockWrite,
    api::Api,
    catalog::Catalog,
    order::Order,
    webhooks::{self, Webhook},
};
use jiff::{Timestamp, tz::Offset};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use uuid::Uuid;

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

pub(crate) struct State {
    pub options: Options,
    pub rng: StdRng,
    pub catalog: Catalog,
    pub orders: BTreeMap<u64, Order>,
    pub stock_writes: Vec<StockWrite>,
    /// The newest webhooks, oldest first.
    pub log: VecDeque<Webhook>,
    /// Webhooks of the running change, to be handed to the sender when the lock is given back.
    pub outbox: Vec<Webhook>,
    pub api: Api,
    next_id: u64,
    next_number: u64,
}

impl State {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            rng: StdRng::seed_from_u64(options.seed),
            catalog: Catalog::default(),
            orders: BTreeMap::new(),
            stock_writes: Vec::new(),
            log: VecDeque::new(),
            outbox: Vec::new(),
            api: Api::default(),
            // Above 2^53, so that an id that went through a float is another id.
            next_id: 9_107_199_254_740_993,
            next_number: 1000,
            options,
        }
    }

    pub(crate) fn new_id(&mut self) -> u64 {
        let id = self.next_id;
        // Always odd: halves of doubles at this size.
        self.next_id += 2 * self.rng.random_range(1..50_u64);
        id
    }

    pub(crate) fn new_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    pub(crate) fn new_uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    /// The present moment in whole seconds, as the vendor keeps it.
    pub(crate) fn now(&self) -> Timestamp {
        let seconds = self.options.clock.now().as_second();
        Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// A time with the shop's offset, as webhook bodies carry it.
    pub(crate) fn local(&self, time: Timestamp) -> String {
        let zone = Offset::constant(self.options.utc_offset_hours).to_time_zone();
        time.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// One thing that happened and its webhooks: same event id for all topics, a webhook id for each.
    pub(crate) fn event(&mut self, order_id: Option<u64>, topics: Vec<(&'static str, Value)>) {
        let event_id = self.new_uuid();
        for (topic, body) in topics {
            if !self.wants(topic) {
                continue;
            }
            let webhook = webhooks::build(self, topic, event_id, order_id, &body);
            self.outbox.push(webhook.clone());
            self.log.push_back(webhook);
            if self.log.len() > self.options.webhooks_kept {
                self.log.pop_front();
            }
        }
    }

    /// Whether webhooks of this topic are sent at all.
    pub(crate) fn wants(&self, topic: &str) -> bool {
        self.options.topics.as_ref().is_none_or(|topics| topics.iter().any(|wanted| wanted == topic))
    }
}

/// `2026-11-20T09:15:02Z`, as the GraphQL answers carry it.
pub(crate) fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn gid(kind: &str, id: u64) -> String {
    format!("gid://shopify/{kind}/{id}")
}

/// The number in `gid://shopify/{kind}/{number}`.
pub(crate) fn parse_gid(kind: &str, gid: &str) -> Option<u64> {
    gid.strip_prefix("gid://shopify/")?.strip_prefix(kind)?.strip_prefix('/')?.parse().ok()
}
