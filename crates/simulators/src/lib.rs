//! Simulated vendors for the tests and the demo, and for nothing else: stateful, over real HTTP on loopback, faithful
//! to the vendors' descriptions, and able to fail on demand. They keep everything in memory and check no more than a test needs.

pub mod fault;
pub mod odoo;
pub mod pair;
mod server;
pub mod shopify;
