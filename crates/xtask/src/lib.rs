//! Repository chores: what a machine can check or write about this repository, so that no person has to.
//!
//! `tidy` also runs as a test; a rule that is not in here is a hope.

pub mod contracts;
mod finding;
pub mod generate;
pub mod new_connector;
pub mod tidy;
mod tree;

pub use finding::Finding;
pub use tree::{SourceFile, Tree};

use std::path::PathBuf;

/// The root of this repository.
pub fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
