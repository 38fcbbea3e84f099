//! The other way round: asks systems that send no webhooks what changed, with a durable cursor.

mod poll;

pub use poll::*;
