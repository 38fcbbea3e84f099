//! Files and parts of files that are made from code: the config schema, and the tables of what connectors can do.

use crate::{Finding, Tree};
use anyhow::{Context as _, Result};
use spindel_catalog::{COLUMNS, table};
use spindel_connect::{Described, Entry};
use std::{fs, path::Path};

const REMEDY: &str = "run `cargo xtask generate`";
const MARKS: &str = "add the two lines, then run `cargo xtask generate`";

/// What a file should hold; `Err` says why that cannot be told.
struct Generated {
    path: String,
    text: Result<String, String>,
}

/// Writes what is not current; answers what was written and what could not be.
pub fn write(root: &Path) -> Result<(Vec<String>, Vec<Finding>)> {
    let tree = Tree::read(root)?;
    let mut written = Vec::new();
    let mut findings = Vec::new();
    for it in all(&tree) {
        match it.text {
            Err(problem) => findings.push(Finding::new(it.path, 1, problem, MARKS)),
            Ok(text) if tree.file(&it.path).is_none_or(|file| file.text != text) => {
                let path = root.join(&it.path);
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
                }
                fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
                written.push(it.path);
            }
            Ok(_) => {}
        }
    }
    Ok((written, findings))
}

/// What is not current.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    Ok(stale(&Tree::read(root)?))
}

pub(crate) fn stale(tree: &Tree) -> Vec<Finding> {
    let finding = |it: Generated| match (it.text, tree.file(&it.path)) {
        (Err(problem), _) => Some(Finding::new(it.path, 1, problem, MARKS)),
        (Ok(_), None) => Some(Finding::new(it.path, 1, "the generated file is missing", REMEDY)),
        (Ok(text), Some(file)) if text != file.text => {
            let line = text.lines().zip(file.text.lines()).take_while(|(a, b)| a == b).count() + 1;
            Some(Finding::new(it.path, line, "the generated text is not current", REMEDY))
        }
        _ => None,
    };
    all(tree).into_iter().filter_map(finding).collect()
}

fn all(tree: &Tree) -> Vec<Generated> {
    let mut list = vec![
        Generated { path: "config/spindel.schema.json".into(), text: Ok(schema()) },
        part(tree, "README.md".into(), "connectors", &connectors(spindel_catalog::CATALOG)),
    ];
    for entry in spindel_catalog::CATALOG {
        let path = format!("crates/connectors/{}/README.md", entry.info.id);
        list.push(part(tree, path, "abilities", &abilities(&(entry.abilities)())));
    }
    list
}

fn schema() -> String {
    format!("{:#}\n", spindel_config::schema())
}

/// The file with the text between `<!-- NAME -->` and `<!-- /NAME -->` replaced.
fn part(tree: &Tree, path: String, name: &str, table: &str) -> Generated {
    let text = match tree.file(&path) {
        None => Err("the file is missing".to_owned()),
        Some(file) => replaced(&file.text, name, table),
    };
    Generated { path, text }
}

fn replaced(text: &str, name: &str, table: &str) -> Result<String, String> {
    let (open, close) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let around = text.split_once(&open).and_then(|(before, rest)| Some((before, rest.split_once(&close)?.1)));
    let (before, after) = around.ok_or_else(|| format!("there is no `{open}` line with a `{close}` line below"))?;
    Ok(format!("{before}{open}\n{table}{close}{after}"))
}

/// What a connector can do, for its own README.
fn abilities(list: &[Described]) -> String {
    let mut out = "| ability | may be repeated | in one call |\n|---|---|---|\n".to_owned();
    for ability in list {
        out += &match ability {
            Described::Performs { repeat, batch, .. } => format!("| `{ability}` | {} | {batch} |\n", repeat.as_str()),
            _ => format!("| `{ability}` | | |\n"),
        };
    }
    out
}

/// All connectors, for the front page: the table that `spindel connectors` prints, with links.
fn connectors(catalog: &[Entry]) -> String {
    let mut out = format!("| {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    for [id, kind, webhooks, abilities @ ..] in table(catalog) {
        let id = id.concat();
        out += &format!("| [{id}](crates/connectors/{id}) | {} | {} |", kind.concat(), webhooks.join(", "));
        for words in abilities {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            out += &format!(" {} |", words.join(", "));
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use spindel_connect::Repeat;
    use spindel_model::{ActionKind, EntityKind};

    #[test]
    fn only_the_text_between_the_marks_is_replaced() {
        let text = "# A\n<!-- abilities -->\nold\n<!-- /abilities -->\nend\n";
        assert_eq!(replaced(text, "abilities", "new\n").unwrap(), "# A\n<!-- abilities -->\nnew\n<!-- /abilities -->\nend\n");
        assert!(replaced("# A\n", "abilities", "new\n").unwrap_err().contains("<!-- abilities -->"));
        assert!(replaced("<!-- /abilities -->\n<!-- abilities -->\n", "abilities", "new\n").is_err());
    }

    #[test]
    fn the_table_of_connectors_links_each_and_has_a_cell_for_every_column() {
        let page = connectors(spindel_catalog::CATALOG);
        assert_eq!(page.lines().count(), spindel_catalog::CATALOG.len() + 2);
        assert!(page.lines().all(|line| line.matches('|').count() == COLUMNS.len() + 1), "{page}");
        assert!(page.contains("\n| [webhook](crates/connectors/webhook) | generic | received | `send_change` |"), "{page}");
    }

    #[test]
    fn a_table_of_abilities_says_how_each_may_be_repeated() {
        let rows = [
            Described::Receives,
            Described::Performs { action: ActionKind::SetStock, repeat: Repeat::VendorKey, batch: 250 },
            Described::Polls(EntityKind::Stock),
        ];
        assert_eq!(
            abilities(&rows),
            "| ability | may be repeated | in one call |\n|---|---|---|\n\
             | `receive` | | |\n| `set_stock` | vendor key | 250 |\n| `poll stock` | | |\n"
        );
    }
}
