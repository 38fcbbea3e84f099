//! The only crate that knows the HTTP client: it carries a connector's calls to its vendor.
//!
//! [`Client::transport`] makes the [`spindel_connect::Transport`] of one connection: base URL, credentials and tokens,
//! limits, timeouts, a cap on answers, and a guard against addresses inside the own network. It never retries a call,
//! but for one new token after a 401, and never follows a redirect.

mod client;
mod guard;
mod limit;
mod oauth1;
mod token;
mod transport;
mod wire;

pub use client::{BudgetFn, Client, Options};
pub use token::{MemoryTokens, TokenKeeper};
pub use transport::HttpTransport;

/// Chooses the cryptography of TLS, once for the process; every [`Client::new`] does it too.
pub fn init() {
    // An error means that it was chosen before, which is all that matters.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
