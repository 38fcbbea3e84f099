//! Suites that every connector, store and queue must pass. For tests only: failures are panics with readable text.

pub mod conformance;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "queue")]
pub mod queue;
mod request;
pub mod script;
#[cfg(feature = "store")]
pub mod store;
mod subset;

pub use request::post;
pub use subset::subset;
