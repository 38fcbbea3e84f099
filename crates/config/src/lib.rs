//! From a TOML file to settings: every problem at once, with its line, what was expected and the nearest valid choice.
//!
//! [`load`] and [`parse`] are the way in, [`Settings`] is what comes out, [`Problems`] is what people read when it does not.

mod address;
mod backend;
mod connection;
mod document;
mod flow;
mod flow_test;
mod keys;
mod map;
mod measure;
mod path;
mod payments;
mod problem;
mod rates;
mod read;
mod schema;
mod secret;
mod section;
mod settings;
mod when;

pub use problem::{Level, Problem, Problems};
pub use read::{Loaded, load, load_to_look, parse, parse_with};
pub use schema::{schema, schema_with};
pub use secret::Env;
pub use settings::*;

/// Reads a duration as the file writes it: `1h30m`.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    measure::duration(text).map_err(|misfit| misfit.message)
}
