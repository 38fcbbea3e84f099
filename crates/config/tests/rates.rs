//! `[rates.NAME]`, and flows that begin at a carrier.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod connectors;

use connectors::CATALOG;
use spindel_config::{Loaded, Problems, parse_with};
use spindel_model::{Currency, Money};

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
    parse_with(CATALOG, &format!("{ENDS}\n{text}"), "spindel.toml", &env)
}

/// `code path` of every problem.
fn codes(text: &str) -> Vec<String> {
    let list = match parse(text) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems.list,
    };
    list.iter().map(|it| format!("{} {}", it.code, it.path)).collect()
}

#[test]
fn rates_are_what_the_file_says() {
    let text = r#"
[rates.shop]
carriers = ["parcels"]
deadline = "1500ms"
token = { env = "KEY" }

[[rates.shop.fallback]]
service = "HOME"
title = "Home delivery"
price = "99.00 NOK"
countries = ["NO", "SE"]
up_to_grams = 35000
days = 3
"#;
    let settings = parse(text).unwrap().settings;
    let [rates] = settings.rates.as_slice() else { panic!("one table of rates") };
    assert_eq!((rates.name.as_str(), rates.carriers.as_slice()), ("shop", ["parcels".to_owned()].as_slice()));
    assert_eq!((rates.deadline.as_millis(), rates.keep.as_secs()), (1500, 600));
    assert_eq!(rates.token.as_ref().unwrap().expose(), "correct-horse");
    let row = &rates.fallback[0];
    assert_eq!((row.price, row.up_to_grams, row.days), (Money::from_minor(9900, Currency::NOK), Some(35000), Some(3)));
    assert_eq!(row.countries, ["NO", "SE"]);
}

#[test]
fn what_is_wrong_with_rates_is_named_where_it_stands() {
    for (text, expected) in [
        ("carriers = [\"parcels\"]", vec!["missing_key rates.shop", "unused rates.shop"]),
        ("carriers = [\"parcel\"]\ntoken = { env = \"KEY\" }", vec!["unknown_connection rates.shop.carriers[0]"]),
        ("carriers = [\"shop\"]\ntoken = { env = \"KEY\" }", vec!["unsupported_action rates.shop.carriers[0]"]),
        ("carriers = [\"parcels\"]\ntoken = \"open\"", vec!["literal_secret rates.shop.token"]),
        ("carriers = [\"parcels\"]\ntoken = { env = \"KEY\" }\ndeadline = \"1m\"", vec!["out_of_range rates.shop.deadline"]),
        (
            "carriers = [\"parcels\"]\ntoken = { env = \"KEY\" }\n[[rates.shop.fallback]]\nservice = \"A\"\ntitle = \"A\"\nprice = \"99,00 NOK\"\ncountries = [\"Norge\"]",
            vec!["invalid_value rates.shop.fallback[0].price", "invalid_value rates.shop.fallback[0].countries[0]"],
        ),
    ] {
        let found = codes(&format!("[rates.shop]\n{text}"));
        for code in expected {
            assert!(found.iter().any(|it| it == code), "{text}: {code} in {found:?}");
        }
    }
}

#[test]
fn a_carrier_tells_of_what_was_booked_without_webhooks_and_without_polls() {
    let flow = |topic: &str| {
        let flow = "[flows.tracking]\nfrom = \"parcels\"\nto = \"shop\"\ndo = \"set_stock\"";
        codes(&format!("{flow}\non = [\"{topic}\"]"))
    };
    assert!(!flow("shipment.created").iter().any(|it| it.starts_with("unsupported_source")));
    assert!(flow("order.created").iter().any(|it| it == "unsupported_source flows.tracking.from"));
}
