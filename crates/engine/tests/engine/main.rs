//! The engine on a real store and a real queue, between connections that do as each test says.

#![allow(clippy::unwrap_used)]

mod batches;
mod doubt;
mod ends;
mod gates;
mod lanes;
mod leases;
mod queue;
mod read_back;
mod slots;
mod vendor;
mod world;
mod yields;
