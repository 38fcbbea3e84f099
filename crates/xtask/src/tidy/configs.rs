//! Rules about the configs that the repository shows, as files and on the front page: each of them loads.

use crate::{Finding, Tree};
use base64::Engine as _;

pub fn check(tree: &Tree) -> Vec<Finding> {
    let is_shown =
        |path: &str| path == "config/spindel.toml" || (path.starts_with("config/examples/") && path.ends_with(".toml"));
    let files = tree.files.iter().filter(|file| is_shown(&file.path)).map(|file| (file.path.as_str(), file.text.clone()));
    let front_page = tree.file("README.md").map(|file| ("README.md", toml_of(&file.text)));
    files.chain(front_page).flat_map(|(path, text)| problems(path, &text)).collect()
}

/// The TOML of a page; all other lines are blank, so that line numbers stay.
fn toml_of(page: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(page.len());
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```toml";
        } else if inside {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

fn problems(path: &str, text: &str) -> Vec<Finding> {
    let finding = |it: spindel_config::Problem| {
        let remedy = it.hint.or(it.nearest).unwrap_or_else(|| "write it as the schema says".to_owned());
        Finding::new(path, it.line, format!("{}: {}", it.path, it.message), remedy)
    };
    match spindel_config::parse(text, path, &any_variable) {
        Ok(loaded) => loaded.warnings.into_iter().map(finding).collect(),
        Err(problems) => problems.list.into_iter().map(finding).collect(),
    }
}

/// Every variable is set: 32 bytes in base64 will do as a token and as a key, but where a vendor's keys show what they are.
fn any_variable(name: &str) -> Option<String> {
    const BEGIN: [(&str, &str); 3] = [("STRIPE_API_KEY", "sk_"), ("WOOCOMMERCE_KEY", "ck_"), ("WOOCOMMERCE_SECRET", "cs_")];
    let begin = BEGIN.iter().find(|(key, _)| *key == name).map_or("", |(_, begin)| begin);
    Some(format!("{begin}{}", base64::engine::general_purpose::STANDARD.encode([7; 32])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_load_is_found_with_its_line() {
        let tree =
            Tree::of(&[("config/examples/broken.toml", "[server]\n\n[flowz.a]\n"), ("config/grafana/other.toml", "anything\n")]);
        let found = check(&tree);
        assert!(found.iter().any(|it| it.file == "config/examples/broken.toml" && it.line == 3), "{found:?}");
        let found = check(&Tree::of(&[("README.md", "# Spindel\n```toml\n[flowz.a]\n```\n[not.toml]\n")]));
        assert!(found.iter().all(|it| it.line == 3) && !found.is_empty(), "{found:?}");
    }
}
