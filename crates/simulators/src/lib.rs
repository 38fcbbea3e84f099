//! Simulated vendors for the tests and the demo, and for nothing else: stateful, over real HTTP on loopback, faithful
//! to the vendors' descriptions, and able to fail on demand. They keep everything in memory and check no more than a test needs.

pub mod account;
mod call;
pub mod fault;
pub mod odoo;
pub mod pair;
mod post;
pub mod roles;
mod server;
pub mod shopify;
pub mod akeneo;
pub mod bring;
#[cfg(feature = "business_central")]
pub mod business_central;
pub mod hubspot;
pub mod klarna;
#[cfg(feature = "magento")]
pub mod magento;
pub mod shipmondo;
pub mod stripe;
pub mod trade;
#[cfg(feature = "tryton")]
pub mod tryton;
pub mod vipps;
pub mod woocommerce;
