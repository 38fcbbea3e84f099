//! The other way round: asks systems that send no webhooks what changed, with a durable cursor; and looks after the webhooks of
//! those that do.

mod authorizations;
mod parcels;
mod poll;
mod subscriptions;

pub use authorizations::*;
pub use poll::*;
pub use subscriptions::*;
