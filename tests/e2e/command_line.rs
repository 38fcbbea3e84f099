//! What ops do: see what did not arrive and why, mend it, try again; and `send`, `check`, `connectors`.

use crate::world::{FLOWS, World, wait_for};
use serde_json::Value;
use spindel_simulators::shopify::{Options, OrderSpec};
use std::{process::Command, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_order_is_seen_with_its_reason_mended_and_retried() {
    let world = World::start(FLOWS, Options { topics: Some(vec!["orders/create".into()]), ..Options::plus() }).await;
    let sku = world.pair.shop.skus()[0].clone();
    world.pair.erp.refuse(&sku, "This product is blocked for sale");
    world.pair.shop.place_order(&OrderSpec::of([(sku.clone(), 1)])).unwrap();
    wait_for("a dead delivery", Duration::from_secs(20), || !world.deliveries("dead").is_empty()).await;

    let undelivered = world.cli(&["deliveries", "list", "--undelivered"]);
    assert_eq!(undelivered[0]["class"], "data", "{undelivered:#}");
    assert!(undelivered[0]["reason"].as_str().unwrap().contains("blocked for sale"), "{undelivered:#}");

    world.pair.erp.accept(&sku);
    assert_eq!(world.cli(&["deliveries", "retry", "--state", "dead", "--dry-run"])["would_change"], 1);
    let retried = world.cli(&["deliveries", "retry", "--state", "dead"]);
    assert_eq!(retried.as_array().unwrap().len(), 1);
    world.wait_until_clean(Duration::from_secs(20)).await;
    assert_eq!(world.cli_with_code(&["deliveries", "retry", "--state", "dead"]).0, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_delivery_says_who_and_why() {
    let world = World::start(FLOWS, Options { topics: Some(vec!["orders/create".into()]), ..Options::plus() }).await;
    let sku = world.pair.shop.skus()[0].clone();
    world.pair.erp.refuse(&sku, "no");
    world.pair.shop.place_order(&OrderSpec::of([(sku, 1)])).unwrap();
    wait_for("a dead delivery", Duration::from_secs(20), || !world.deliveries("dead").is_empty()).await;
    let id = world.deliveries("dead")[0]["id"].as_str().unwrap().to_owned();
    world.cli(&["deliveries", "discard", &id, "--why", "booked by hand"]);
    let detail = world.cli(&["deliveries", "show", &id]);
    assert_eq!((&detail["delivery"]["state"], &detail["delivery"]["why"]), (&"discarded".into(), &"booked by hand".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unrouted_or_quarantined_event_can_be_planned_again() {
    let flows = FLOWS.replace("\"order.created\", ", "");
    let mut world = World::start(&flows, Options { topics: Some(vec!["orders/create".into()]), ..Options::plus() }).await;
    let sku = world.pair.shop.skus()[0].clone();
    world.pair.shop.place_order(&OrderSpec::of([(sku, 1)])).unwrap();
    wait_for("an unrouted event", Duration::from_secs(20), || {
        !world.cli(&["events", "list", "--state", "unrouted"]).as_array().unwrap().is_empty()
    })
    .await;

    world.kill();
    world.pair.write_config(world.folder.path(), world.address, FLOWS).unwrap();
    world.launch();
    world.cli(&["events", "reprocess", "--state", "unrouted"]);
    world.wait_until_clean(Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn send_posts_a_signed_example_that_is_accepted() {
    let world = World::start(FLOWS, Options::plus()).await;
    let shopify = world.cli(&["connectors", "shopify"]);
    let fixture = shopify["fixtures"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .find(|name| name.contains("order"))
        .unwrap()
        .to_owned();
    let sent = world.cli(&["send", "shop", &fixture]);
    assert_eq!(sent["status"], 200, "{sent:#}");
    let (code, refused) = world.cli_with_code(&["send", "shop", "no_such_fixture"]);
    assert_eq!(code, 6);
    assert!(refused["error"].as_str().unwrap().contains("no_such_fixture"), "{refused:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_the_credentials_when_asked() {
    let world = World::start(FLOWS, Options::plus()).await;
    let report = world.cli(&["check", "--live"]);
    assert!(report["live"].as_array().unwrap().iter().all(|live| live["ok"] == true), "{report:#}");
    std::fs::write(world.folder.path().join("api_key"), "wrong").unwrap();
    let (code, report) = world.cli_with_code(&["check", "--live"]);
    assert_eq!(code, 4, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_subscriptions_are_seen_and_registered() {
    let world = World::start(FLOWS, Options::plus()).await;
    let listed = world.cli(&["subscriptions", "list", "shop"]);
    let create = |rows: &Value| rows.as_array().unwrap().iter().find(|row| row["topic"] == "orders/create").unwrap().clone();
    assert_eq!(create(&listed)["addresses"], Value::Array(vec![]), "{listed:#}");
    assert_eq!(world.cli_with_code(&["subscriptions", "repair", "shop"]).0, 1, "without a public address");

    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(world.config(), config.replacen("[server]", "[server]\npublic_url = \"https://hooks.example.no\"", 1))
        .unwrap();
    let repaired = world.cli(&["subscriptions", "repair", "shop"]);
    assert_eq!(create(&repaired)["registered"], true, "{repaired:#}");
    let again = world.cli(&["subscriptions", "repair", "shop"]);
    assert_eq!(
        (&create(&again)["registered"], &create(&again)["addresses"][0]),
        (&false.into(), &"https://hooks.example.no/in/shop".into())
    );
}

#[test]
fn every_mistake_of_a_config_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spindel.toml");
    std::fs::write(&path, "[serverr]\n[connections.shop]\nconnector = \"shopfy\"\n[flows.a]\nfrom = \"shp\"\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_spindel")).arg("-c").arg(&path).arg("check").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    for part in ["serverr", "shopify", "spindel.toml"] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "colour although it is no terminal");
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(env!("CARGO_BIN_EXE_spindel")).args(["completions", shell]).output().unwrap();
        assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().contains("spindel"));
    }
}
