//! What changed in Tryton since the last time: stock, prices, and shipments that left the warehouse.
//!
//! A round lists everything changed since `since`, by id. Rows carry the time at which they were written, and may appear
//! minutes after it, when their transaction ends: a round looks back a little further than the last one did.

mod price;
mod shipment;
mod stock;

use crate::wire;
use jiff::SignedDuration;
use serde_json::Value;
use spindel_connect::Round;

const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
const PAGE: usize = 100;
/// Rows that belong to the records of a page, fetched this many at a time.
const PARTS: usize = 1000;

/// Since when a round looks, as Tryton writes it.
fn from(round: &Round<i64>) -> Value {
    wire::moment(round.looks_back(OVERLAP).unwrap_or_default())
}
