//! Spindel under every fault that we could think of: real processes, a real broker and database that are killed, cut off and
//! wiped, and in the end always the same account. `SPINDEL_SEED` repeats a run.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may fail where it stands, and knows its neighbours' answers

mod broker;
mod clocks;
#[path = "../cluster/mod.rs"]
#[allow(dead_code)] // shared with the suite of the production shape
mod cluster;
mod database;
mod disk;
mod links;
mod neighbours;
mod nodes;
mod partitions;
mod repeats;

use std::time::Duration;

/// Of every test. With one every ten milliseconds the shop sells for ten seconds.
const ORDERS: usize = 1_000;
const EVERY: Duration = Duration::from_millis(10);

/// An outage that nobody could take for a hiccup.
const OUTAGE: Duration = Duration::from_secs(4);
