//! The page itself: what it shows is what stands in these files.

use std::{fs, path::Path};

#[test]
fn every_snippet_of_the_tutorial_stands_in_these_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../connectors/README.md")).unwrap();
    let mut files = Vec::new();
    for folder in ["tests/tutorial", "tests/tutorial/fixtures"] {
        for file in fs::read_dir(root.join(folder)).unwrap().map(|it| it.unwrap().path()).filter(|it| it.is_file()) {
            files.push(fs::read_to_string(file).unwrap());
        }
    }
    let snippets = snippets(&page);
    assert!(snippets.len() >= 10, "the page has lost its snippets");
    for snippet in snippets {
        // What a snippet leaves out stands in lines of dots.
        for part in snippet.split("    // …\n") {
            assert!(files.iter().any(|file| file.contains(part)), "nowhere in tests/tutorial:\n{part}");
        }
    }
}

/// What stands between fences of Rust and JSON.
fn snippets(page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line {
            "```rust" | "```json" => {
                inside = true;
                found.push(String::new());
            }
            "```" => inside = false,
            _ if inside => {
                let snippet = found.last_mut().unwrap();
                snippet.push_str(line);
                snippet.push('\n');
            }
            _ => {}
        }
    }
    found
}
