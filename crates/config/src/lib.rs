//! From a TOML file to settings: every problem at once, with its line, what was expected and the nearest valid choice.

mod settings;

pub use settings::*;
