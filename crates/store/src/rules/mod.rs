//! What must be the same in every database: who may go in a lane, what a plan, an outcome and a person's word change.
//! Rows are known only by traits that each database implements: no SQL and no I/O here.

mod columns;
pub(crate) mod finish;
pub(crate) mod lanes;
pub(crate) mod people;
pub(crate) mod plan;

pub(crate) use columns::{StateColumns, is_fresh, payload_id};
