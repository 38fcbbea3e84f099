//! Rules about `Cargo.toml` files: members are listed, versions and lints are shared. Connectors are listed by the catalog
//! alone: what it depends on by its path is a member of the workspace.

use crate::{Finding, SourceFile, Tree};
use toml::{Table, Value};

const CATALOG: &str = "crates/catalog/Cargo.toml";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.name() == "Cargo.toml") {
        match file.text.parse::<Table>() {
            Ok(table) if file.path == "Cargo.toml" => members(tree, file, &table, &mut findings),
            Ok(table) => package(file, &table, &mut findings),
            Err(error) => findings.push(Finding::new(&file.path, 1, format!("no valid TOML: {}", error.message()), "mend it")),
        }
    }
    findings
}

fn members(tree: &Tree, file: &SourceFile, table: &Table, findings: &mut Vec<Finding>) {
    let listed: Vec<&str> = table
        .get("workspace")
        .and_then(|it| it.get("members"))
        .and_then(Value::as_array)
        .map(|items| items.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let line_of = |member: &str| file.line_where(|line| line.trim_start().starts_with(&format!("\"{member}\"")));
    for pair in listed.windows(2) {
        if pair[0] >= pair[1] {
            let problem = format!("member `{}` does not stand in alphabetical order", pair[1]);
            findings.push(Finding::new(&file.path, line_of(pair[1]), problem, format!("move it before `{}`", pair[0])));
        }
    }
    let folders: Vec<&str> = tree.files.iter().filter_map(|file| file.path.strip_suffix("/Cargo.toml")).collect();
    let catalog = tree.file(CATALOG).map_or("", |file| file.text.as_str());
    for folder in folders.iter().filter(|folder| !listed.contains(folder)) {
        let (named, remedy) = match folder.strip_prefix("crates/connectors/") {
            Some(name) => {
                let line = format!("spindel-connector-{name} = {{ path = \"../connectors/{name}\" }}");
                (catalog.lines().any(|it| it == line), format!("add `{line}` to {CATALOG}"))
            }
            None => (false, format!("add `\"{folder}\",` to `members`")),
        };
        if !named {
            let problem = format!("`{folder}` has a Cargo.toml and is no member of the workspace");
            findings.push(Finding::new(&file.path, line_of(folder), problem, remedy));
        }
    }
    for member in listed.iter().filter(|member| !folders.contains(member)) {
        let problem = format!("member `{member}` has no Cargo.toml");
        findings.push(Finding::new(&file.path, line_of(member), problem, "remove the line"));
    }
}

fn package(file: &SourceFile, table: &Table, findings: &mut Vec<Finding>) {
    if table.get("lints").and_then(|it| it.get("workspace")).and_then(Value::as_bool) != Some(true) {
        let remedy = "add `[lints]` with `workspace = true`";
        findings.push(Finding::new(&file.path, 1, "the package does not inherit the workspace's lints", remedy));
    }
    for (name, value) in dependencies(table) {
        if is_connector(name, value) {
            continue;
        }
        let inherits = value.get("workspace").and_then(Value::as_bool) == Some(true);
        if !inherits || value.get("version").is_some() {
            let line = file.line_where(|line| line.starts_with(name.as_str()));
            let problem = format!("`{name}` says for itself where it comes from");
            let remedy = format!("list it under [workspace.dependencies] of the root and write `{name}.workspace = true`");
            findings.push(Finding::new(&file.path, line, problem, remedy));
        }
    }
}

/// A connector at its path, and nothing else said: the root does not name connectors.
fn is_connector(name: &str, value: &Value) -> bool {
    let path = name.strip_prefix("spindel-connector-").map(|name| format!("../connectors/{name}"));
    path.is_some()
        && value.get("path").and_then(Value::as_str) == path.as_deref()
        && value.as_table().is_some_and(|it| it.len() == 1)
}

/// Those of every kind and every target.
fn dependencies(table: &Table) -> Vec<(&String, &Value)> {
    let targets = table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values).filter_map(Value::as_table);
    std::iter::once(table)
        .chain(targets)
        .flat_map(|it| ["dependencies", "dev-dependencies", "build-dependencies"].map(|kind| it.get(kind)))
        .flatten()
        .filter_map(Value::as_table)
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n";

    fn problems(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).into_iter().map(|it| format!("{}:{} {}", it.file, it.line, it.problem)).collect()
    }

    #[test]
    fn members_are_complete_and_sorted() {
        let root = "[workspace]\nmembers = [\n    \"b\",\n    \"a\",\n    \"gone\",\n]\n";
        assert_eq!(
            problems(&[("Cargo.toml", root), ("a/Cargo.toml", PLAIN), ("b/Cargo.toml", PLAIN), ("c/Cargo.toml", PLAIN)]),
            [
                "Cargo.toml:4 member `a` does not stand in alphabetical order",
                "Cargo.toml:1 `c` has a Cargo.toml and is no member of the workspace",
                "Cargo.toml:5 member `gone` has no Cargo.toml",
            ]
        );
    }

    #[test]
    fn versions_and_lints_belong_to_the_workspace() {
        let lonely = "[dependencies]\nserde = \"1\"\n[target.'cfg(unix)'.dev-dependencies]\nrustix = { version = \"1\" }\n";
        assert_eq!(
            problems(&[("a/Cargo.toml", lonely)]),
            [
                "a/Cargo.toml:1 the package does not inherit the workspace's lints",
                "a/Cargo.toml:2 `serde` says for itself where it comes from",
                "a/Cargo.toml:4 `rustix` says for itself where it comes from",
            ]
        );
    }

    #[test]
    fn a_connector_is_a_member_by_the_catalogs_path_to_it() {
        let (root, catalog) = ("[workspace]\nmembers = [\n    \"crates/catalog\",\n]\n", |line: &str| format!("{PLAIN}{line}\n"));
        let found = |line: &str| {
            let files = [("Cargo.toml", root), (CATALOG, &catalog(line)), ("crates/connectors/a-b/Cargo.toml", PLAIN)];
            problems(&files)
        };
        assert_eq!(found("spindel-connector-a-b = { path = \"../connectors/a-b\" }"), [""; 0]);
        let missing = "Cargo.toml:1 `crates/connectors/a-b` has a Cargo.toml and is no member of the workspace";
        assert_eq!(found(""), [missing]);
        for other in ["{ path = \"../connectors/c\" }", "{ path = \"../connectors/a-b\", version = \"1\" }"] {
            let own = "crates/catalog/Cargo.toml:5 `spindel-connector-a-b` says for itself where it comes from";
            assert_eq!(found(&format!("spindel-connector-a-b = {other}")), [missing, own], "{other}");
        }
    }
}
