//! The other way round: asks systems that send no webhooks what changed, with a durable cursor; and looks after the webhooks of
//! those that do.

mod bookkeeper;
mod gap;
mod keeper;
mod parcels;
mod poll;
mod subscriptions;

pub use bookkeeper::*;
pub use gap::owed;
pub use keeper::Keeper;
pub use poll::*;
pub use subscriptions::*;
