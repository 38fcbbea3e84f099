//! Rules about source text: a header on every file, no vendor's name outside its place, names that say something, and
//! nothing of the machine it was written on.

use super::code::code_only;
use crate::{Finding, SourceFile, Tree};

/// Names that say nothing about what lives there.
const EMPTY_NAMES: [&str; 5] = ["utils", "helpers", "common", "manager", "processor"];

/// Where code may name a vendor, and why.
const MAY_NAME_VENDORS: &[(&str, &str)] = &[
    ("crates/catalog/", "the one list of connectors"),
    ("crates/connectors/", "each names its own"),
    ("crates/simulators/", "one module a vendor"),
    ("crates/spindel/src/demo", "the demo simulates two of them"),
    ("crates/xtask/", "contract checks differ by vendor"),
];

/// Where a request may be called verified without a check of its proof, and why.
const MAY_TRUST_THE_STORE: &[(&str, &str)] = &[
    ("crates/connect/src/receive.rs", "where it is defined"),
    ("crates/engine/src/", "the planner reads events whose proof held when they came"),
];

pub fn check(tree: &Tree, vendors: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        names(file, &mut findings);
        foreign_places(file, &mut findings);
        if file.path.ends_with(".rs") {
            header(file, &mut findings);
            let code = code_only(&file.text);
            verified(file, &code, &mut findings);
            vendor_names(file, &code, vendors, &mut findings);
        }
    }
    findings
}

fn header(file: &SourceFile, findings: &mut Vec<Finding>) {
    if !file.text.starts_with("//! ") {
        let remedy = "begin with `//!` and one to three sentences: what lives here and what does not";
        findings.push(Finding::new(&file.path, 1, "the file does not say what it is for", remedy));
    }
}

fn names(file: &SourceFile, findings: &mut Vec<Finding>) {
    let is_empty = |part: &str| EMPTY_NAMES.contains(&part.split('.').next().unwrap_or_default());
    if let Some(part) = file.path.split('/').find(|part| is_empty(part)) {
        let problem = format!("`{part}` is a name for anything");
        findings.push(Finding::new(&file.path, 1, problem, "name it after its job; what has no better name has no clear job"));
    }
}

fn verified(file: &SourceFile, code: &str, findings: &mut Vec<Finding>) {
    if is_under(file, MAY_TRUST_THE_STORE) || is_test(file) {
        return;
    }
    // From pieces, so that this file does not find itself.
    for line in lines_with(code, |line| line.contains(concat!("Verified::", "from_store"))) {
        let remedy = "make it with `Proof::check`; unverified bytes are never parsed";
        findings.push(Finding::new(&file.path, line, "only the engine may take a stored request for verified", remedy));
    }
}

fn vendor_names(file: &SourceFile, code: &str, vendors: &[&str], findings: &mut Vec<Finding>) {
    if is_under(file, MAY_NAME_VENDORS) || is_test(file) {
        return;
    }
    for vendor in vendors {
        for line in lines_with(code, |line| names_vendor(line, vendor)) {
            let problem = format!("code names the vendor `{vendor}`");
            let remedy = "vendor knowledge belongs in its connector; ask `spindel_connect` for what differs between vendors";
            findings.push(Finding::new(&file.path, line, problem, remedy));
        }
    }
}

/// As a word of its own, also of an identifier; `-` may be `_` or nothing there. Some vendors are called like a part of one.
fn names_vendor(line: &str, vendor: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    [vendor.to_owned(), vendor.replace('-', "_"), vendor.replace('-', "")].iter().any(|name| {
        lower.match_indices(name.as_str()).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let begins = line[at..].starts_with(|it: char| it.is_ascii_uppercase());
            let after = line[at + name.len()..].chars().next();
            (begins || before.is_none_or(|it| !it.is_alphabetic())) && after.is_none_or(|it| !it.is_lowercase())
        })
    })
}

/// Put together from pieces, so that this file does not find itself.
fn refused_places() -> Vec<(String, &'static str)> {
    let registry = |name: &str, end: &str| (format!("{name}.{end}"), "a host of a package registry");
    let folder = |name: &str| (format!("/{name}/"), "a path of some machine");
    vec![
        registry("crates", "io"),
        registry("npmjs", "org"),
        registry("npmjs", "com"),
        registry("pypi", "org"),
        registry("pythonhosted", "org"),
        folder("work"),
        folder("home"),
        folder("root"),
        folder("Users"),
    ]
}

fn foreign_places(file: &SourceFile, findings: &mut Vec<Finding>) {
    // Cargo writes where each crate came from.
    if file.path == "Cargo.lock" {
        return;
    }
    for (pattern, what) in refused_places() {
        for line in lines_with(&file.text, |line| holds(line, &pattern)) {
            let remedy = "name things relative to the repository, and tools by their own names";
            findings.push(Finding::new(&file.path, line, format!("`{pattern}` is {what}"), remedy));
        }
    }
}

/// Whether the pattern stands there by itself and not as the tail of something longer.
fn holds(line: &str, pattern: &str) -> bool {
    line.match_indices(pattern).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        match pattern.starts_with('/') {
            true => before.is_none_or(|it| it.is_whitespace() || "\"'`(=:<".contains(it)),
            false => before.is_none_or(|it| !it.is_alphanumeric() && it != '-'),
        }
    })
}

fn is_under(file: &SourceFile, places: &[(&str, &str)]) -> bool {
    places.iter().any(|(place, _)| file.path.starts_with(place))
}

fn is_test(file: &SourceFile) -> bool {
    file.path.starts_with("tests/") || file.path.contains("/tests/") || file.name().ends_with("tests.rs")
}

fn lines_with<'a>(text: &'a str, is: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = usize> + 'a {
    text.lines().enumerate().filter(move |(_, line)| is(line)).map(|(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        let found = check(&Tree::of(&[(path, text)]), &["acme"]);
        found.into_iter().map(|it| format!("{} {}", it.line, it.problem)).collect()
    }

    #[test]
    fn every_rust_file_says_what_it_is_for() {
        assert_eq!(problems("crates/a/src/lib.rs", "fn a() {}\n"), ["1 the file does not say what it is for"]);
        assert_eq!(problems("crates/a/src/lib.rs", "//! A.\nfn a() {}\n"), [""; 0]);
    }

    #[test]
    fn a_vendor_is_named_only_in_its_place() {
        let text = "//! About Acme.\n// as Acme does\nconst A: &str = \"ACME\";\n";
        assert_eq!(problems("crates/engine/src/plan.rs", text), ["3 code names the vendor `acme`"]);
        for place in ["crates/connectors/acme/src/lib.rs", "crates/simulators/src/acme.rs", "crates/engine/tests/acme_orders.rs"]
        {
            assert_eq!(problems(place, text), [""; 0], "{place}");
        }
    }

    #[test]
    fn a_vendor_is_recognised_by_a_whole_word() {
        for line in ["let acme = 1;", "AcmeSim::start()", "fn of_acme() {}", "const ACME_KEY: u8 = 1;", "\"acme-secret\""] {
            assert!(names_vendor(line, "acme"), "{line}");
        }
        for line in ["the_acmes", "\"who reacmes\"", "Acmes::new()"] {
            assert!(!names_vendor(line, "acme"), "{line}");
        }
        for line in ["\"big-shop\"", "big_shop::new()", "BigShop::new()"] {
            assert!(names_vendor(line, "big-shop"), "{line}");
        }
    }

    #[test]
    fn only_the_engine_trusts_the_store() {
        let text = "//! A.\nlet it = Verified::from_store(headers, body);\n";
        assert_eq!(problems("crates/engine/src/plan.rs", text), [""; 0]);
        assert_eq!(problems("crates/ingest/src/lib.rs", text), ["2 only the engine may take a stored request for verified"]);
    }

    #[test]
    fn names_for_anything_are_refused() {
        assert_eq!(problems("crates/a/src/utils.rs", "//! A.\n"), ["1 `utils.rs` is a name for anything"]);
        assert_eq!(problems("crates/common/README.md", "A\n"), ["1 `common` is a name for anything"]);
    }

    #[test]
    fn the_machine_and_the_registry_stay_out() {
        for (pattern, what) in refused_places() {
            let text = format!("see `{pattern}x`\n");
            assert_eq!(problems("README.md", &text), [format!("1 `{pattern}` is {what}")]);
        }
        for (pattern, _) in refused_places() {
            assert_eq!(problems("README.md", &format!("a{pattern}x\n")), [""; 0]);
        }
    }
}
