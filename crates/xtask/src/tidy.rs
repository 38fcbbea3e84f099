//! The rules of this repository that the compiler does not know, each with its remedy.

mod architecture;
mod code;
mod configs;
mod connectors;
mod dependencies;
mod manifests;
mod sources;

use crate::{Finding, Tree, generate};
use anyhow::Result;
use std::path::Path;

/// Every rule over the whole repository; all findings at once, sorted by place.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let tree = Tree::read(root)?;
    let mut findings = manifests::check(&tree);
    findings.extend(dependencies::check(&dependencies::packages(root)?, &tree));
    findings.extend(sources::check(&tree, &connectors::vendors()));
    findings.extend(connectors::check(&tree, &connectors::listed()));
    findings.extend(configs::check(&tree));
    findings.extend(architecture::check(&tree));
    findings.extend(generate::stale(&tree));
    findings.sort();
    findings.dedup();
    Ok(findings)
}
