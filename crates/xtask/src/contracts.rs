//! What connectors send, held against the vendors' own API descriptions. Those are not part of the repository: without
//! them nothing is checked, and that is said.

mod graphql;
pub mod rest;

use crate::{Finding, Tree};
use anyhow::Result;
use std::path::Path;

/// A vendor whose description can be checked against.
struct Contract {
    /// Name of the connector, and of its folder among the descriptions.
    vendor: &'static str,
    check: fn(&Tree, &str, &Path) -> Result<Outcome>,
}

const CONTRACTS: &[Contract] = &[Contract { vendor: "shopify", check: graphql::check }];

#[derive(Default)]
pub struct Outcome {
    /// What was done and what was not, for people.
    pub notes: Vec<String>,
    pub findings: Vec<Finding>,
}

/// Checks every vendor that has a folder in `specs`.
pub fn check(root: &Path, specs: Option<&Path>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let Some(specs) = specs.filter(|it| it.is_dir()) else {
        let named = specs.map_or("no folder was named".to_owned(), |it| format!("there is no folder {}", it.display()));
        outcome.notes.push(format!("nothing checked: {named} (`--specs DIR` or SPINDEL_SPECS, with one sub-folder a vendor)"));
        return Ok(outcome);
    };
    let tree = Tree::read(root)?;
    for contract in CONTRACTS {
        let folder = specs.join(contract.vendor);
        if folder.is_dir() {
            let found = (contract.check)(&tree, contract.vendor, &folder)?;
            outcome.notes.extend(found.notes);
            outcome.findings.extend(found.findings);
        } else {
            outcome.notes.push(format!("{}: not checked, there is no folder {}", contract.vendor, folder.display()));
        }
    }
    let found = rest::check(&tree, spindel_catalog::CATALOG, specs)?;
    outcome.notes.extend(found.notes);
    outcome.findings.extend(found.findings);
    Ok(outcome)
}
