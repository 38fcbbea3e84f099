//! The production shape as it is meant to be used: two nodes on PostgreSQL and RabbitMQ, and nothing that fails.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may fail where it stands, and knows its neighbours' answers

#[path = "../cluster/mod.rs"]
#[allow(dead_code)] // shared with the fault suite
mod cluster;
mod journeys;
