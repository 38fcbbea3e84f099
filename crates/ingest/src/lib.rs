//! Takes webhooks in: cap, prove, commit, answer. Nothing here parses a body or knows a flow.

mod accept;
mod prove;
mod refuse;
mod serve;
mod trust;

pub use accept::*;
pub use refuse::Noted;
pub use serve::*;
pub use trust::{Sources, Trust};
