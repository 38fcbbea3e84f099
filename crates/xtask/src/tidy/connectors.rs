//! Rules about connectors: the catalog is sorted, and who has read one folder has read them all.

use crate::{Finding, Tree};
use spindel_connect::{Described, Entry, Kind};

const FOLDER: &str = "crates/connectors";
const CATALOG: &str = "crates/catalog/src/lib.rs";

/// A connector as the catalog lists it.
pub struct Listed {
    pub id: &'static str,
    pub receives: bool,
    pub performs: bool,
}

pub fn listed() -> Vec<Listed> {
    let row = |entry: &Entry| Listed {
        id: entry.info.id,
        receives: entry.receives(),
        performs: (entry.abilities)().iter().any(|it| matches!(it, Described::Performs { .. })),
    };
    spindel_catalog::CATALOG.iter().map(row).collect()
}

/// Names that only a vendor has; those of generic connectors, and of one that is only tried, are ordinary words.
pub fn vendors() -> Vec<&'static str> {
    let entries = spindel_catalog::CATALOG.iter();
    entries.filter(|entry| entry.info.kind != Kind::Generic).map(|entry| entry.info.id).filter(|id| *id != "example").collect()
}

pub fn check(tree: &Tree, listed: &[Listed]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pair in listed.windows(2) {
        if pair[0].id >= pair[1].id {
            let problem = format!("`{}` does not stand in alphabetical order", pair[1].id);
            findings.push(Finding::new(CATALOG, 1, problem, format!("move it before `{}`", pair[0].id)));
        }
    }
    let folders = folders(tree);
    for folder in folders.iter().filter(|folder| !listed.iter().any(|it| it.id == **folder)) {
        let problem = format!("connector `{folder}` is not in the catalog");
        findings.push(Finding::new(CATALOG, 1, problem, "add its line, in alphabetical order"));
    }
    for connector in listed {
        if folders.contains(&connector.id) {
            findings.extend(files(tree, connector));
        } else {
            let problem = format!("connector `{}` does not live in {FOLDER}/{}", connector.id, connector.id);
            findings.push(Finding::new(CATALOG, 1, problem, "give folder and connector the same name"));
        }
    }
    findings
}

fn folders(tree: &Tree) -> Vec<&str> {
    let mut found: Vec<&str> =
        tree.under(FOLDER).filter_map(|file| file.path[FOLDER.len() + 1..].split_once('/')).map(|(folder, _)| folder).collect();
    found.dedup();
    found
}

/// The same files in every connector.
fn files(tree: &Tree, connector: &Listed) -> Vec<Finding> {
    let base = format!("{FOLDER}/{}", connector.id);
    let file = |path: &str| tree.file(&format!("{base}/{path}")).is_some();
    let folder = |path: &str| tree.has_folder(&format!("{base}/{path}"));
    let module = |name: &str| file(&format!("src/{name}.rs")) || folder(&format!("src/{name}"));
    [
        ("src/lib.rs", file("src/lib.rs"), "info, config and abilities stand there"),
        ("README.md", file("README.md"), "it says what the vendor needs and what is special about it"),
        ("fixtures/", folder("fixtures"), "one example of each ability"),
        ("tests/conformance.rs", file("tests/conformance.rs"), "`spindel_testkit::conformance!(…);`"),
        ("src/receive.rs", !connector.receives || module("receive"), "what receives webhooks stands there"),
        ("src/perform.rs", !connector.performs || module("perform"), "what performs actions stands there"),
    ]
    .into_iter()
    .filter(|(_, is_there, _)| !is_there)
    .map(|(path, _, remedy)| {
        Finding::new(format!("{base}/{path}"), 1, "every connector has this file, and this one has not", remedy)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: [&str; 5] = ["src/lib.rs", "README.md", "fixtures/a.json", "tests/conformance.rs", "src/perform/orders.rs"];

    fn tree(id: &str, files: &[&str]) -> Tree {
        let paths: Vec<String> = files.iter().map(|file| format!("{FOLDER}/{id}/{file}")).collect();
        Tree::of(&paths.iter().map(|path| (path.as_str(), "")).collect::<Vec<_>>())
    }

    fn listed(id: &'static str) -> Listed {
        Listed { id, receives: false, performs: true }
    }

    #[test]
    fn a_missing_file_is_named() {
        assert_eq!(check(&tree("acme", &COMPLETE), &[listed("acme")]), []);
        for missing in COMPLETE {
            let rest: Vec<&str> = COMPLETE.into_iter().filter(|it| *it != missing).collect();
            assert_eq!(check(&tree("acme", &rest), &[listed("acme")]).len(), 1, "{missing}");
        }
        let receiver = Listed { receives: true, ..listed("acme") };
        assert_eq!(check(&tree("acme", &COMPLETE), &[receiver])[0].file, "crates/connectors/acme/src/receive.rs");
    }

    #[test]
    fn folders_and_catalog_agree_and_are_sorted() {
        let problem = |found: Vec<Finding>| found.into_iter().map(|it| it.problem).next().unwrap_or_default();
        assert_eq!(problem(check(&tree("acme", &COMPLETE), &[])), "connector `acme` is not in the catalog");
        assert_eq!(
            problem(check(&Tree::default(), &[listed("acme")])),
            "connector `acme` does not live in crates/connectors/acme"
        );
        assert_eq!(problem(check(&Tree::default(), &[listed("b"), listed("a")])), "`a` does not stand in alphabetical order");
    }
}
