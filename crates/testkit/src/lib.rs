//! Suites that every connector, store and queue must pass. For tests only: failures are panics with readable text.

pub mod conformance;
pub mod script;
mod subset;

pub use subset::subset;
