//! Rules about the config files that the repository shows: each of them loads.

use crate::{Finding, Tree};
use std::path::Path;

pub fn check(root: &Path, tree: &Tree) -> Vec<Finding> {
    let is_shown = |path: &str| path == "config/spindel.toml" || (path.starts_with("config/examples/") && path.ends_with(".toml"));
    tree.files.iter().filter(|file| is_shown(&file.path)).flat_map(|file| loads(root, &file.path)).collect()
}

fn loads(_root: &Path, _path: &str) -> Vec<Finding> {
    Vec::new()
}
