//! End-to-end suites: a started Spindel between a simulated shop and a simulated ERP, over real HTTP, on a real store.

mod answers;
mod coalescing;
mod command_line;
mod crash;
mod disk;
mod journey;
mod lanes;
mod real_odoo;
mod reload;
mod unknown_outcome;
mod world;
