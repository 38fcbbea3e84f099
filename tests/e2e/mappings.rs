//! jq mappings: they change what is sent, and one that runs wild harms nobody but its own delivery.

use crate::world::{World, wait_for};
use serde_json::Value;
use spindel_simulators::shopify::{Options, OrderSpec};
use std::{
    process::{Command, Output},
    time::Duration,
};

/// Orders to the ERP through this mapping; one delivery an order.
fn flows(map: &str) -> String {
    format!(
        "[flows.orders]\nfrom = \"shop\"\non = [\"order.created\"]\nto = \"erp\"\ndo = \"push_order\"\n\
         retry = {{ first = \"200ms\", factor = 2, max = \"2s\" }}\nmap = '''{map}'''\n"
    )
}

fn options() -> Options {
    Options { topics: Some(vec!["orders/create".into()]), ..Options::plus() }
}

/// A Spindel whose mapping is made for one of the shop's SKUs.
async fn start(map: impl Fn(&str) -> String) -> (World, String) {
    let mut world = World::prepare("", options()).await;
    let wild = world.pair.shop.skus()[0].clone();
    world.pair.write_config(world.folder.path(), world.address, &flows(&map(&wild))).unwrap();
    world.launch();
    (world, wild)
}

fn shown(world: &World, delivery: &Value) -> Value {
    world.cli(&["deliveries", "show", delivery["id"].as_str().unwrap()])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_changes_what_is_sent() {
    let world = World::start(&flows(r#".order.note = "web " + .order.number"#), options()).await;
    let sku = world.pair.shop.skus()[0].clone();
    let placed = world.pair.shop.place_order(&OrderSpec::of([(sku, 1)])).unwrap();
    world.wait_until_clean(Duration::from_secs(20)).await;

    let delivered = world.deliveries("delivered");
    assert_eq!(delivered.len(), 1);
    let detail = shown(&world, &delivered[0]);
    assert_eq!(detail["action"]["do"], "push_order", "{detail:#}");
    assert_eq!(detail["action"]["order"]["note"], format!("web {}", placed.number), "{detail:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_never_ends_fails_its_delivery_alone() {
    one_runs_wild(|sku| format!(r#"if any(.order.lines[]; .sku == "{sku}") then last(repeat(1)) else . end"#)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_eats_all_memory_fails_its_delivery_alone() {
    one_runs_wild(|sku| format!(r#"if any(.order.lines[]; .sku == "{sku}") then [repeat("x" * 1000)] else . end"#)).await;
}

/// The mapping goes astray over one SKU: that order is dead with a reason, those before and after it arrive.
async fn one_runs_wild(map: impl Fn(&str) -> String) {
    let (world, wild) = start(&map).await;
    let shop = &world.pair.shop;
    let tame = shop.skus()[1].clone();
    for number in 0..12 {
        let sku = if number % 4 == 1 { &wild } else { &tame };
        shop.place_order(&OrderSpec::of([(sku.clone(), 1)])).unwrap();
    }
    wait_for("nine orders delivered and three dead", Duration::from_secs(60), || {
        world.deliveries("delivered").len() == 9 && world.deliveries("dead").len() == 3
    })
    .await;
    for dead in world.deliveries("dead") {
        assert_eq!(dead["class"], "config", "{dead:#}");
        let reason = dead["reason"].as_str().unwrap();
        let program = &map(&wild)[..40];
        for part in [program, "500ms", "256 MiB"] {
            assert!(reason.contains(part), "`{part}` is not in: {reason}");
        }
    }
    assert_eq!(world.pair.account().right, 9);

    // Mended, they arrive too.
    world.pair.write_config(world.folder.path(), world.address, &flows(".")).unwrap();
    world.signal("HUP");
    wait_for("the new config", Duration::from_secs(20), || world.log().contains("config reloaded")).await;
    world.cli(&["events", "reprocess", "--state", "planned"]);
    world.wait_until_clean(Duration::from_secs(30)).await;
}

/// Runs a command that must refuse this mapping, and gives what it printed.
async fn refused(command: &[&str], map: &str) -> (String, usize) {
    let mut world = World::prepare("", options()).await;
    let text = world.pair.write_config(world.folder.path(), world.address, &flows(map)).unwrap();
    let line = text.lines().position(|line| line.starts_with("map = ")).unwrap() + 1;
    let output: Output = Command::new(env!("CARGO_BIN_EXE_spindel"))
        .arg("-c")
        .arg(world.config())
        .args(command)
        .env("SPINDEL_E2E_TREASURE", "treasure-of-the-server")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(3), "{command:?} with {map}: {printed}");
    world.kill();
    (printed, line)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_environment_is_out_of_a_mappings_reach() {
    for map in
        [".order.note = env.SPINDEL_E2E_TREASURE", ".order.note = $ENV.SPINDEL_E2E_TREASURE", ".order.note = (env | tostring)"]
    {
        for command in [["serve"], ["check"]] {
            let (printed, line) = refused(&command, map).await;
            assert!(printed.contains(&format!("spindel.toml:{line}:")), "no line {line} in: {printed}");
            assert!(!printed.contains("treasure-of-the-server"), "{printed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_no_jq_is_reported_with_its_line() {
    for map in [".order.note |= ", "if .order then . ", ".order.note = nonsense(1)"] {
        let (printed, line) = refused(&["check"], map).await;
        assert!(printed.contains(&format!("spindel.toml:{line}:")), "no line {line} in: {printed}");
    }
}
