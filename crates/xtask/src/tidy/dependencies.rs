//! The dependency rule: connectors know `connect` and `model` and nothing else of ours, only `catalog` knows connectors
//! by name, and only `http`, `store` and `queue` know an HTTP client, a database or a broker.

use crate::{Finding, Tree};
use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::path::Path;

/// Which of our packages may build on which. A `*` at the end stands for any ending.
const EDGES: &[(&str, &[&str])] = &[
    (
        "spindel",
        &[
            "spindel-catalog",
            "spindel-config",
            "spindel-connect",
            "spindel-engine",
            "spindel-http",
            "spindel-ingest",
            "spindel-model",
            "spindel-queue",
            "spindel-rates",
            "spindel-simulators", // the demo
            "spindel-store",
            "spindel-sync",
        ],
    ),
    ("spindel-catalog", &["spindel-connect", "spindel-connector-*"]),
    ("spindel-config", &["spindel-catalog", "spindel-connect", "spindel-model"]),
    ("spindel-connect", &["spindel-model"]),
    ("spindel-connector-*", &["spindel-connect", "spindel-model"]),
    ("spindel-engine", &["spindel-connect", "spindel-model", "spindel-queue", "spindel-store"]),
    ("spindel-http", &["spindel-connect", "spindel-model"]),
    ("spindel-ingest", &["spindel-connect", "spindel-model", "spindel-queue", "spindel-store"]),
    ("spindel-model", &[]),
    ("spindel-queue", &["spindel-model"]),
    ("spindel-rates", &["spindel-connect", "spindel-model"]),
    ("spindel-simulators", &["spindel-model"]),
    ("spindel-store", &["spindel-model"]),
    // Polls what the engine's flows ask for, and announces it to the engine.
    ("spindel-sync", &["spindel-connect", "spindel-engine", "spindel-model", "spindel-queue", "spindel-store"]),
    ("spindel-testkit", &["spindel-connect", "spindel-model", "spindel-queue", "spindel-store"]),
    // Plays the connectors' examples, to hold what they send against the vendors' descriptions.
    ("xtask", &["spindel-catalog", "spindel-config", "spindel-connect", "spindel-model", "spindel-testkit"]),
];

/// What every package may use for its tests.
const IN_TESTS: &[&str] = &["spindel-simulators", "spindel-testkit"];

/// What single packages may use for theirs: a simulated vendor is held against the connector that is to meet it.
const IN_TESTS_OF: &[(&str, &[&str])] = &[("spindel-simulators", &["spindel-connect", "spindel-connector-*", "spindel-http"])];

/// A crate that only few packages may know.
struct Kept {
    name: &'static str,
    by: &'static [&'static str],
    /// Whether tests of any package may use it.
    in_tests: bool,
    why: &'static str,
}

const KEPT: &[Kept] = &[
    Kept {
        name: "reqwest",
        // `simulators` send webhooks, `spindel send` posts to a running Spindel: neither calls a vendor.
        by: &["spindel", "spindel-http", "spindel-simulators"],
        in_tests: true,
        why: "vendors are called through `spindel_connect::Api` alone, where auth, limits, caps and redaction are",
    },
    // The benchmark and the suites that start servers go to these by themselves: they measure and disturb what is behind them.
    Kept { name: "rusqlite", by: &["spindel-store"], in_tests: true, why: DATABASE },
    Kept { name: "tokio-postgres", by: &["spindel-store"], in_tests: true, why: DATABASE },
    Kept { name: "lapin", by: &["spindel-queue"], in_tests: true, why: "the broker is behind `spindel_queue::Queue`" },
    Kept { name: "backoff", by: &["spindel-engine"], in_tests: false, why: "only the engine retries" },
    Kept { name: "jaq-core", by: &["spindel-engine"], in_tests: false, why: JQ },
    Kept { name: "jaq-json", by: &["spindel-engine"], in_tests: false, why: JQ },
    Kept { name: "jaq-std", by: &["spindel-engine"], in_tests: false, why: JQ },
];
const DATABASE: &str = "the database is behind `spindel_store::Store`";
const JQ: &str = "jq runs in child processes that the engine starts and can kill";

/// All that a connector may use of others: it holds vendor knowledge and does no I/O of its own.
const CONNECTOR_CRATES: &[&str] =
    &["base64", "bytes", "http", "jiff", "rust_decimal", "schemars", "serde", "serde_json", "thiserror", "url", "uuid"];
const CONNECTOR_CRATES_IN_TESTS: &[&str] = &["insta", "proptest", "tokio"];

/// A package as far as these rules look at it.
pub struct Package {
    pub name: String,
    pub manifest: String,
    pub dependencies: Vec<Dependency>,
}

pub struct Dependency {
    pub name: String,
    pub in_tests: bool,
}

pub fn packages(root: &Path) -> Result<Vec<Package>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("`cargo metadata` does not work here")?;
    let package = |it: cargo_metadata::Package| Package {
        manifest: it.manifest_path.strip_prefix(&metadata.workspace_root).unwrap_or(&it.manifest_path).to_string(),
        name: it.name.to_string(),
        dependencies: it
            .dependencies
            .iter()
            .map(|one| Dependency { name: one.name.clone(), in_tests: one.kind == DependencyKind::Development })
            .collect(),
    };
    Ok(metadata.packages.into_iter().map(package).collect())
}

pub fn check(packages: &[Package], tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours = |name: &str| packages.iter().any(|package| package.name == name);
    for package in packages {
        let Some((_, allowed)) = EDGES.iter().find(|(pattern, _)| matches(pattern, &package.name)) else {
            findings.push(Finding::new(
                &package.manifest,
                1,
                format!("`{}` has no row in the table of allowed dependencies", package.name),
                "add one to EDGES in crates/xtask/src/tidy/dependencies.rs, and the crate to the code map in crates/README.md",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let refused = if ours(&dependency.name) {
                own_edge(&package.name, allowed, dependency)
            } else {
                foreign_edge(&package.name, dependency)
            };
            if let Some(why) = refused {
                let line = tree
                    .file(&package.manifest)
                    .map_or(1, |file| file.line_where(|line| line.starts_with(dependency.name.as_str())));
                let problem = format!("`{}` may not depend on `{}`: {why}", package.name, dependency.name);
                findings.push(Finding::new(&package.manifest, line, problem, "see the dependency rule in crates/README.md"));
            }
        }
    }
    findings
}

/// Why this edge between two of our packages is refused.
fn own_edge(package: &str, allowed: &[&str], dependency: &Dependency) -> Option<String> {
    let fits = |list: &[&str]| list.iter().any(|pattern| matches(pattern, &dependency.name));
    let of_it = IN_TESTS_OF.iter().find(|(name, _)| *name == package).map_or(&[][..], |(_, list)| list);
    if fits(allowed) || (dependency.in_tests && (fits(IN_TESTS) || fits(of_it))) {
        return None;
    }
    Some(match allowed {
        [] => "it builds on none of our crates".to_owned(),
        _ => format!("it builds on {}", allowed.join(", ")),
    })
}

/// Why this package may not know this third-party crate.
fn foreign_edge(package: &str, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    if let Some(kept) = KEPT.iter().find(|kept| kept.name == name) {
        let may = kept.by.contains(&package) || (dependency.in_tests && kept.in_tests);
        return (!may).then(|| kept.why.to_owned());
    }
    if matches("spindel-connector-*", package) {
        let may = CONNECTOR_CRATES.contains(&name) || (dependency.in_tests && CONNECTOR_CRATES_IN_TESTS.contains(&name));
        return (!may).then(|| format!("a connector does no I/O of its own and uses only {}", CONNECTOR_CRATES.join(", ")));
    }
    None
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, normal: &[&str], in_tests: &[&str]) -> Package {
        let row = |in_tests| move |name: &&str| Dependency { name: (*name).to_owned(), in_tests };
        Package {
            name: name.to_owned(),
            manifest: format!("{name}/Cargo.toml"),
            dependencies: normal.iter().map(row(false)).chain(in_tests.iter().map(row(true))).collect(),
        }
    }

    fn refused(packages: &[Package]) -> Vec<String> {
        let short = |it: Finding| it.problem.split(':').next().unwrap_or_default().to_owned();
        check(packages, &Tree::default()).into_iter().map(short).collect()
    }

    #[test]
    fn a_connector_knows_the_contract_and_nothing_else_of_ours() {
        let connect = || package("spindel-connect", &[], &[]);
        let store = || package("spindel-store", &[], &[]);
        let testkit = || package("spindel-testkit", &[], &[]);
        let good = package("spindel-connector-x", &["spindel-connect", "serde"], &["spindel-testkit", "tokio"]);
        assert_eq!(refused(&[good, connect(), store(), testkit()]), [""; 0]);
        let bad = package("spindel-connector-x", &["spindel-store", "tokio", "reqwest", "spindel-testkit"], &[]);
        assert_eq!(
            refused(&[bad, connect(), store(), testkit()]),
            ["spindel-store", "tokio", "reqwest", "spindel-testkit"]
                .map(|it| format!("`spindel-connector-x` may not depend on `{it}`"))
        );
    }

    #[test]
    fn only_the_catalog_knows_connectors_by_name() {
        let all = |who: &str| [package(who, &["spindel-connector-x"], &[]), package("spindel-connector-x", &[], &[])];
        assert_eq!(refused(&all("spindel-catalog")), [""; 0]);
        for who in ["spindel", "spindel-engine", "spindel-config", "xtask"] {
            assert_eq!(refused(&all(who)), [format!("`{who}` may not depend on `spindel-connector-x`")]);
        }
    }

    #[test]
    fn simulated_vendors_know_connectors_in_their_tests_only() {
        let connector = || package("spindel-connector-x", &[], &[]);
        assert_eq!(refused(&[package("spindel-simulators", &[], &["spindel-connector-x"]), connector()]), [""; 0]);
        let expected = ["`spindel-simulators` may not depend on `spindel-connector-x`"];
        assert_eq!(refused(&[package("spindel-simulators", &["spindel-connector-x"], &[]), connector()]), expected);
    }

    #[test]
    fn client_database_and_broker_are_known_in_one_place_each() {
        for (name, keeper) in [
            ("reqwest", "spindel-http"),
            ("rusqlite", "spindel-store"),
            ("lapin", "spindel-queue"),
            ("backoff", "spindel-engine"),
        ] {
            assert_eq!(refused(&[package(keeper, &[name], &[])]), [""; 0]);
            assert_eq!(
                refused(&[package("spindel-ingest", &[name], &[])]),
                [format!("`spindel-ingest` may not depend on `{name}`")]
            );
        }
    }

    #[test]
    fn an_unknown_package_needs_a_row() {
        assert_eq!(
            refused(&[package("spindel-new", &[], &[])]),
            ["`spindel-new` has no row in the table of allowed dependencies"]
        );
    }
}
