//! Latest wins for state: ten thousand stock changes become a hundred pushes.

use crate::world::{World, wait_for};
use reqwest::Client;
use serde_json::json;
use spindel_simulators::{fault::Fault, shopify::Options};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::task::JoinSet;

const SKUS: usize = 100;
const CHANGES: usize = 10_000;

const FLOWS: &str = r#"[connections.warehouse]
connector = "webhook"
receive = { scheme = "token", header = "x-token", secrets = { file = "FOLDER/client_secret" } }

[flows.stock]
from = "warehouse"
on = ["stock.changed"]
to = "shop"
do = "set_stock"
retry = { first = "200ms", factor = 2, max = "2s" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_changes_to_a_hundred_skus_become_at_most_a_hundred_pushes() {
    let mut world = World::prepare("", Options { variants: SKUS, ..Options::default() }).await;
    let folder = world.folder.path().to_owned();
    world.pair.write_config(&folder, world.address, &FLOWS.replace("FOLDER", &folder.display().to_string())).unwrap();
    world.launch();
    world.pair.shop.faults().set(Some(Fault::Down));

    let (skus, location) = (world.pair.shop.skus(), world.pair.shop.locations()[0].clone());
    let mut last: HashMap<String, i64> = HashMap::new();
    let mut sends = JoinSet::new();
    let client = Client::new();
    let slots = Arc::new(tokio::sync::Semaphore::new(32));
    for number in 0..CHANGES {
        let sku = skus[number % SKUS].clone();
        let available = i64::try_from(number).unwrap() + 5_000;
        last.insert(sku.clone(), available);
        let body = change(&sku, &format!("gid://shopify/Location/{location}"), available, number);
        let request = client.post(format!("http://{}/in/warehouse", world.address)).header("x-token", "client-secret").body(body);
        let slot = Arc::clone(&slots).acquire_owned().await.unwrap();
        sends.spawn(async move {
            assert!(request.send().await.unwrap().status().is_success());
            drop(slot);
        });
    }
    while let Some(sent) = sends.join_next().await {
        sent.unwrap();
    }
    wait_for("all but a hundred superseded", Duration::from_secs(120), || {
        world.deliveries("waiting,due,running").len() == SKUS && world.deliveries("superseded").len() == CHANGES - SKUS
    })
    .await;

    world.pair.shop.faults().set(None);
    wait_for("the last value of every SKU in the shop", Duration::from_secs(90), || {
        last.iter().all(|(sku, available)| world.pair.shop.stock(sku, Some(&location)) == Some(*available))
    })
    .await;
    let writes = world.pair.shop.stock_writes().len();
    assert!(writes <= SKUS, "{writes} pushes for {SKUS} SKUs");

    wait_for("deliveries at an end", Duration::from_secs(20), || world.deliveries("waiting,due,running,in_doubt").is_empty())
        .await;
    let survivors: Vec<String> = world.deliveries("delivered").iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(survivors.len(), SKUS);
    let superseded = world.deliveries("superseded");
    let by: HashMap<&str, &str> = superseded.iter().map(|it| (it["id"].as_str().unwrap(), it["by"].as_str().unwrap())).collect();
    for start in by.keys() {
        let mut end = *start;
        while let Some(next) = by.get(end) {
            end = next;
        }
        assert!(survivors.iter().any(|survivor| survivor == end), "{start} leads to {end}, which did not arrive");
    }
}

/// A canonical change as the webhook connector takes it.
fn change(sku: &str, location: &str, available: i64, number: usize) -> String {
    let at = jiff::Timestamp::from_second(1_800_000_000 + i64::try_from(number).unwrap()).unwrap();
    json!({
        "type": "stock.changed",
        "timestamp": at,
        "data": {
            "topic": "stock.changed",
            "entity": { "kind": "stock", "id": format!("{sku}@{location}") },
            "version": at.as_microsecond(),
            "record": { "kind": "stock", "data": { "sku": sku, "location": location, "available": available.to_string(), "as_of": at } },
        },
    })
    .to_string()
}
