//! `[payments]`

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod connectors;

use connectors::CATALOG;
use spindel_config::{Loaded, Problems, parse_with};
use std::time::Duration;

const ENDS: &str = r#"
[connections.shop]
connector = "stall"
url = "https://stall.example.no"
api_key = { env = "KEY" }

[connections.parcels]
connector = "parcels"
"#;

fn parse(text: &str) -> Result<Loaded, Problems> {
    let env = |name: &str| (name == "KEY").then(|| "correct-horse".to_owned());
    parse_with(CATALOG, &format!("{ENDS}\n[payments]\n{text}"), "spindel.toml", &env)
}

#[test]
fn payments_are_what_the_file_says_and_sensible_where_it_is_silent() {
    let payments =
        parse("orders = [\"shop\"]\nproviders = [\"shop\"]\npayout_after = \"7d\"").unwrap().settings.payments.unwrap();
    assert_eq!((payments.orders, payments.providers), (vec!["shop".to_owned()], vec!["shop".to_owned()]));
    assert_eq!((payments.every, payments.payout_after), (Duration::from_secs(3600), Duration::from_secs(7 * 86_400)));
    assert!(payments.except.is_empty());
}

#[test]
fn what_is_wrong_with_payments_is_named_where_it_stands() {
    for (text, code) in [
        ("orders = [\"shop\"]", "missing_key payments"),
        ("orders = [\"shp\"]\nproviders = [\"shop\"]", "unknown_connection payments.orders[0]"),
        ("orders = [\"shop\"]\nproviders = [\"parcels\"]", "unsupported_source payments.providers[0]"),
        ("orders = [\"shop\"]\nproviders = [\"shop\"]\nwarn_before = \"1s\"", "out_of_range payments.warn_before"),
    ] {
        let problems = parse(text).unwrap_err();
        let found: Vec<String> = problems.list.iter().map(|it| format!("{} {}", it.code, it.path)).collect();
        assert!(found.iter().any(|it| it == code), "{text}: {code} in {found:?}");
    }
}
