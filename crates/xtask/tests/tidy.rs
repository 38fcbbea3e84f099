//! `cargo xtask tidy`, as a test.

#[test]
fn the_repository_keeps_its_own_rules() {
    let findings = xtask::tidy::check(&xtask::repository()).expect("the repository can be read");
    let list: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    assert!(findings.is_empty(), "{} finding(s):\n{list}", findings.len());
}
