//! Every file of `config/examples` as it is meant to be used: a started Spindel with that file between simulated vendors, and
//! both ends compared when all has been carried. Only addresses, secrets and times are replaced.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may fail where it stands, and knows its neighbours' answers

#[path = "../cluster/mod.rs"]
#[allow(dead_code)] // shared with the suites of several nodes
mod cluster;
mod consent;
mod order_to_cash;
mod parcels;
mod payment_events;
mod payouts;
mod product_texts;
mod sink;
mod world;
