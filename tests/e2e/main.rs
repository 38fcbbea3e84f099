//! End-to-end suites: a started Spindel between simulated vendors, over real HTTP, on a real store.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may fail where it stands, and knows its neighbours' answers

mod answers;
mod bus;
#[path = "../cluster/mod.rs"]
#[allow(dead_code)] // shared with the suites of several nodes
mod cluster;
mod coalescing;
mod command_line;
mod crash;
mod demo;
mod disk;
mod forgeries;
mod front;
mod hub;
mod journey;
mod lanes;
mod mappings;
mod rates;
mod real_odoo;
mod reload;
mod round_trip;
mod silence;
#[path = "../examples/sink.rs"]
mod sink;
mod subscriptions;
mod unknown_outcome;
mod watch;
mod way_back;
mod world;
