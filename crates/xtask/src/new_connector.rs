//! Writes the skeleton of a connector that builds at once, and its lines in the two places that list connectors.

use anyhow::{Context as _, Result, bail, ensure};
use std::{collections::BTreeMap, fs, path::Path, process::Command};

/// File in the connector's folder, and its template.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../templates/Cargo.toml.template")),
    ("README.md", include_str!("../templates/README.md.template")),
    ("src/lib.rs", include_str!("../templates/lib.rs.template")),
    ("src/receive.rs", include_str!("../templates/receive.rs.template")),
    ("src/perform.rs", include_str!("../templates/perform.rs.template")),
    ("src/wire.rs", include_str!("../templates/wire.rs.template")),
    ("fixtures/config.json", include_str!("../templates/config.json.template")),
    ("fixtures/receive_product_changed.json", include_str!("../templates/receive_product_changed.json.template")),
    ("fixtures/set_stock.json", include_str!("../templates/set_stock.json.template")),
    ("fixtures/set_stock_unknown_sku.json", include_str!("../templates/set_stock_unknown_sku.json.template")),
    ("tests/conformance.rs", include_str!("../templates/conformance.rs.template")),
];

/// Writes it all; answers what was done and what comes next.
pub fn write(root: &Path, name: &str) -> Result<Vec<String>> {
    check_name(name)?;
    let folder = format!("crates/connectors/{name}");
    ensure!(!root.join(&folder).exists(), "{folder} exists already");
    let mut said = Vec::new();
    for (file, text) in edited(root, name)? {
        fs::write(root.join(file), text).with_context(|| format!("cannot write {file}"))?;
        said.push(format!("added a line to {file}"));
    }
    for (file, template) in FILES {
        let path = root.join(&folder).join(file);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(&path, filled(template, name)).with_context(|| format!("cannot write {}", path.display()))?;
        said.push(format!("wrote {folder}/{file}"));
    }
    format(root, &folder);
    said.push(format!(
        "next: `cargo nextest run -p spindel-connector-{name}`, then `cargo xtask generate`; crates/connectors/README.md goes on from here"
    ));
    Ok(said)
}

/// The shared files with their new lines; nothing is written before all of it has worked.
fn edited(root: &Path, name: &str) -> Result<BTreeMap<&'static str, String>> {
    let mut files = BTreeMap::new();
    for edit in edits(name) {
        let text = match files.remove(edit.file) {
            Some(text) => text,
            None => fs::read_to_string(root.join(edit.file)).with_context(|| format!("cannot read {}", edit.file))?,
        };
        let text = edit.apply(&text).with_context(|| format!("{} does not look as expected", edit.file))?;
        files.insert(edit.file, text);
    }
    Ok(files)
}

/// Where lines break depends on the name. Without rustfmt they stay as they are.
fn format(root: &Path, folder: &str) {
    let sources = FILES.iter().filter(|(file, _)| file.ends_with(".rs")).map(|(file, _)| root.join(folder).join(file));
    let _ = Command::new("rustfmt").args(["--edition", "2024"]).args(sources).status();
}

fn check_name(name: &str) -> Result<()> {
    let is_name = name.starts_with(|it: char| it.is_ascii_lowercase())
        && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-')
        && !name.ends_with('-')
        && !name.contains("--");
    ensure!(is_name, "`{name}` is no name for a connector: small letters, digits and single hyphens, as in `business-central`");
    Ok(())
}

fn filled(template: &str, name: &str) -> String {
    template.replace("{{name}}", name).replace("{{module}}", &name.replace('-', "_")).replace("{{Type}}", &type_name(name))
}

/// `business-central` is `BusinessCentral`.
fn type_name(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        })
        .collect()
}

/// A line that joins its like, in alphabetical order.
struct Edit {
    file: &'static str,
    /// What its neighbours begin with, blanks included.
    like: &'static str,
    line: String,
}

/// Two lines: what the catalog depends on by its path is a member of the workspace, so that the root need not name it.
fn edits(name: &str) -> [Edit; 2] {
    [
        Edit {
            file: "crates/catalog/Cargo.toml",
            like: "spindel-connector-",
            line: format!("spindel-connector-{name} = {{ path = \"../connectors/{name}\" }}"),
        },
        Edit {
            file: "crates/catalog/src/lib.rs",
            like: "    entry::<spindel_connector_",
            line: format!("    entry::<spindel_connector_{}::{}>(),", name.replace('-', "_"), type_name(name)),
        },
    ]
}

impl Edit {
    fn apply(&self, text: &str) -> Result<String> {
        let mut lines: Vec<&str> = text.lines().collect();
        let Some(first) = lines.iter().position(|line| line.starts_with(self.like)) else {
            bail!("there is no line that begins with `{}`", self.like.trim());
        };
        let block = lines[first..].iter().take_while(|line| line.starts_with(self.like)).count();
        let before = lines[first..first + block].iter().take_while(|line| self.name(line) < self.name(&self.line)).count();
        lines.insert(first + before, &self.line);
        Ok(lines.join("\n") + "\n")
    }

    /// The connector's name in such a line.
    fn name<'a>(&self, line: &'a str) -> &'a str {
        let rest = &line[self.like.len()..];
        let end = rest.find(|it: char| !it.is_alphanumeric() && it != '-' && it != '_').unwrap_or(rest.len());
        &rest[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_config_files() {
        for good in ["acme", "business-central", "e-conomic", "a1"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "Acme", "1a", "a_b", "a-", "-a", "a--b", "a/b", "../x"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert_eq!(type_name("business-central"), "BusinessCentral");
    }

    #[test]
    fn a_line_joins_its_like_in_order() {
        let text = "spindel-connect.workspace = true\nspindel-connector-bring = 1\nspindel-connector-odoo = 2\n[z]\n";
        let place =
            |name: &str| edits(name)[0].apply(text).unwrap().lines().position(|it| it.contains(&format!("/{name}\""))).unwrap();
        assert_eq!([place("acme"), place("fortnox"), place("zalando")], [1, 2, 3]);
        assert!(edits("acme")[0].apply("nothing\n").is_err());
    }

    /// Both shared files as they really are: the edits keep applying, and there is no third.
    #[test]
    fn a_new_connector_adds_a_line_to_each_of_two_shared_files() {
        const SHARED: [&str; 2] = ["crates/catalog/Cargo.toml", "crates/catalog/src/lib.rs"];
        let root = tempfile::tempdir().unwrap();
        for file in SHARED {
            let to = root.path().join(file);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(crate::repository().join(file), to).unwrap();
        }
        write(root.path(), "new-vendor").unwrap();
        let read = |file: &str| fs::read_to_string(root.path().join(file)).unwrap();
        for (file, line) in SHARED.iter().zip([
            "spindel-connector-new-vendor = { path = \"../connectors/new-vendor\" }",
            "    entry::<spindel_connector_new_vendor::NewVendor>(),",
        ]) {
            let before = fs::read_to_string(crate::repository().join(file)).unwrap();
            let now = read(file);
            assert_eq!(now.lines().filter(|it| *it != line).collect::<Vec<_>>(), before.lines().collect::<Vec<_>>(), "{file}");
            assert_eq!(now.lines().count(), before.lines().count() + 1, "{file}");
        }
        assert!(read("crates/connectors/new-vendor/src/lib.rs").contains("pub struct NewVendor"));
        assert!(write(root.path(), "new-vendor").unwrap_err().to_string().contains("exists already"));
    }

    #[test]
    fn no_template_leaves_a_gap() {
        for (file, template) in FILES {
            assert!(!filled(template, "new-vendor").contains("{{"), "{file}");
        }
    }
}
