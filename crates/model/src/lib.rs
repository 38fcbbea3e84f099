//! The nouns and verbs of Spindel: what a shop's systems tell each other, in one vocabulary.
//!
//! Records ([`Order`], [`Refund`], [`StockLevel`] …) say how things are, a [`Change`] says what happened to one,
//! an [`Action`] asks a vendor to do something about it, and a [`Delivery`] carries one change through one flow.
//! Only data lives here: no I/O, no async, nothing that knows a vendor.

mod action;
mod attribute_map;
mod booking;
mod change;
mod clock;
mod customer;
mod delivery;
mod filter;
mod flow;
mod ledger;
mod matching;
mod money;
mod order;
mod payment;
mod privacy;
mod product;
mod rate;
mod refund;
mod shipment;
mod specimen;
mod stock;

pub use action::*;
pub use attribute_map::*;
pub use booking::*;
pub use change::*;
pub use clock::*;
pub use customer::*;
pub use delivery::*;
pub use filter::*;
pub use flow::*;
pub use ledger::*;
pub use matching::*;
pub use money::*;
pub use order::*;
pub use payment::*;
pub use privacy::*;
pub use product::*;
pub use rate::*;
pub use refund::*;
pub use shipment::*;
pub use specimen::*;
pub use stock::*;

pub use iso_currency::Currency;
pub use jiff::Timestamp;
pub use rust_decimal::Decimal;

/// Vendor extras that the canonical model has no field for, by a name that the connector's README lists.
pub type Attributes = std::collections::BTreeMap<String, serde_json::Value>;
