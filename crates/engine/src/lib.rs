//! Plans events into deliveries and carries deliveries to their destinations, in order per entity, until each has ended.
//!
//! [`step`] decides what becomes of a delivery and is pure; [`plan`] says what an event means; [`Engine`] carries both out
//! with workers on the queue's channels. The only code that retries is here.

mod account;
mod announce;
mod breaker;
mod deliver;
mod engine;
pub mod jq;
mod meter;
mod note;
mod outcome;
mod plan;
mod retry;
mod step;
mod sweep;

pub use account::*;
pub use breaker::*;
pub use engine::*;
pub use meter::age;
pub use note::{LEDGER, PARCELS, TO_READ, ledger_notes};
pub use plan::*;
pub use retry::*;
pub use step::*;
