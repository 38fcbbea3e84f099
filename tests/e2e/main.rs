//! End-to-end suites: a started Spindel between a simulated shop and a simulated ERP, over real HTTP, on a real store.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test may fail where it stands, and knows its neighbours' answers

mod answers;
mod bus;
mod coalescing;
mod command_line;
mod crash;
mod disk;
mod journey;
mod lanes;
mod mappings;
mod real_odoo;
mod reload;
mod unknown_outcome;
mod watch;
mod way_back;
mod world;
