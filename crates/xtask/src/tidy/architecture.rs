//! Rules about the architecture page: it names every crate and every decision, and the tests it names exist.

use crate::{Finding, SourceFile, Tree};

const PAGE: &str = "crates/README.md";
/// What stands before the names of the tests that break with an invariant.
const BREAKS: &str = "Breaks:";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.file(PAGE) else {
        return vec![Finding::new(
            PAGE,
            1,
            "the architecture page is missing",
            "write it: bird's-eye view, code map, invariants",
        )];
    };
    let mut findings = tests(tree, page);
    findings.extend(folders(tree, page));
    findings.extend(decisions(tree, page));
    findings
}

/// Each name between a `Breaks:` and the end of its paragraph is a function somewhere.
fn tests(tree: &Tree, page: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut listing = false;
    for (index, line) in page.text.lines().enumerate() {
        let starts_anew = line.is_empty() || line.starts_with(|it: char| it.is_ascii_digit());
        listing &= !starts_anew;
        let names = match line.split_once(BREAKS) {
            Some((_, names)) => {
                listing = true;
                names
            }
            None if listing => line,
            None => continue,
        };
        for name in names.split('`').skip(1).step_by(2).filter(|name| !is_function(tree, name)) {
            let problem = format!("there is no test `{name}`");
            findings.push(Finding::new(PAGE, index + 1, problem, "name the test that breaks when the invariant does not hold"));
        }
    }
    findings
}

fn is_function(tree: &Tree, name: &str) -> bool {
    // Suites list their cases in a macro, as `name: check`.
    let forms = [format!("fn {name}("), format!("{name}: ")];
    tree.files
        .iter()
        .filter(|file| file.path.ends_with(".rs"))
        .any(|file| forms.iter().any(|form| file.text.contains(form.as_str())))
}

fn folders(tree: &Tree, page: &SourceFile) -> Vec<Finding> {
    let crates = tree.files.iter().filter_map(|file| file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"));
    let missing = crates.filter(|folder| !folder.contains('/') && !page.text.contains(&format!("| `{folder}` |")));
    missing.map(|folder| Finding::new(PAGE, 1, format!("the code map does not name `{folder}`"), "add its row")).collect()
}

fn decisions(tree: &Tree, page: &SourceFile) -> Vec<Finding> {
    let pages = tree.under("crates/decisions").filter_map(|file| file.path.strip_prefix("crates/"));
    let missing = pages.filter(|path| !page.text.contains(&format!("({path})")));
    missing.map(|path| Finding::new(PAGE, 1, format!("the list of decisions does not name {path}"), "add its line")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(page: &str) -> Vec<String> {
        let tree = Tree::of(&[
            (PAGE, page),
            ("crates/model/Cargo.toml", ""),
            ("crates/decisions/0001-a.md", ""),
            ("tests/a.rs", "fn it_holds() {}"),
        ]);
        check(&tree).into_iter().map(|it| format!("{} {}", it.line, it.problem)).collect()
    }

    #[test]
    fn the_page_names_every_crate_and_decision_and_only_tests_that_exist() {
        assert_eq!(problems("| `model` | x |\n1. A. Breaks: `it_holds`.\n\n[a](decisions/0001-a.md) `no test`\n"), [""; 0]);
        assert_eq!(
            problems("1. A. Breaks:\n   `it_holds`, `it_does_not`.\n2. B `name`.\n"),
            [
                "2 there is no test `it_does_not`",
                "1 the code map does not name `model`",
                "1 the list of decisions does not name decisions/0001-a.md"
            ]
        );
    }
}
