//! The contract between Spindel and a connector: what a vendor can do, how its requests prove themselves,
//! and the handle through which it is called.
//!
//! A connector is vendor knowledge only. It implements [`Connector`], lists what it can do in
//! [`Connector::ABILITIES`] (each row is checked by the compiler), and never meets an HTTP client, a store or a queue.

mod ability;
mod api;
mod ask;
pub mod carrier;
mod connector;
mod entry;
mod envelope;
mod error;
mod fixture;
mod journal;
mod proof;
mod receive;
mod round;
mod secret;
mod settings;
mod status;
pub mod wire;

pub use ability::*;
pub use api::*;
pub use ask::*;
pub use connector::*;
pub use entry::*;
pub use envelope::*;
pub use error::*;
pub use fixture::*;
pub use journal::*;
pub use proof::*;
pub use receive::*;
pub use round::*;
pub use secret::*;
pub use settings::*;
pub use status::*;

/// A boxed future; what the type-erased side of the contract returns.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn std::future::Future<Output = T> + Send + 'a>>;
