//! Simulated vendors for the tests and the demo, and for nothing else: stateful, over real HTTP on loopback, faithful
//! to the vendors' descriptions, and able to fail on demand. They keep everything in memory and check no more than a test needs.

pub mod account;
pub mod akeneo;
pub mod bring;
pub mod business_central;
mod call;
pub mod fault;
pub mod hubspot;
pub mod klarna;
pub mod magento;
pub mod odoo;
pub mod pair;
mod post;
pub mod roles;
mod server;
pub mod shipmondo;
pub mod shopify;
pub mod stripe;
pub mod trade;
pub mod tryton;
pub mod vipps;
pub mod woocommerce;
