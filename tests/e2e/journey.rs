//! The main job: a signed webhook becomes an order in the ERP.

use crate::world::{FLOWS, World};
use spindel_simulators::shopify::{Delivery, Options, OrderSpec};
use std::{process::Command, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_webhook_becomes_an_order_and_can_be_traced() {
    let world = World::start(FLOWS, Options::plus()).await;
    let sku = world.pair.shop.skus()[0].clone();
    let placed = world.pair.shop.place_order(&OrderSpec::of([(sku, 2)])).unwrap();

    world.wait_until_clean(Duration::from_secs(20)).await;

    let trace = world.cli(&["trace", "order", placed.number.trim_start_matches('#')]);
    assert!(trace["events"].as_array().unwrap().iter().any(|event| event["topic"] == "orders/create"), "{trace:#}");
    let links = trace["links"].as_array().unwrap();
    assert!(links.iter().any(|link| link["connection"] == "erp" && link["number"].as_str().is_some()), "{trace:#}");
    let delivered = trace["deliveries"].as_array().unwrap().iter().find(|it| it["delivery"]["state"] == "delivered").unwrap();
    assert!(!delivered["attempts"][0]["exchanges"].as_array().unwrap().is_empty(), "{trace:#}");
    // The ERP's own number finds the same journey.
    let erp_number = links.iter().find(|link| link["connection"] == "erp").unwrap()["number"].as_str().unwrap();
    assert_eq!(world.cli(&["trace", "order", erp_number])["events"], trace["events"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_cancellations_refunds_doubles_and_disorder_leave_both_ends_equal() {
    let world = World::start(FLOWS, Options { seed: 7, ..Options::plus() }).await;
    let shop = &world.pair.shop;
    shop.set_delivery(Delivery { duplicates: 0.3, reorder_window: 12, drop: 0.0 });
    for number in 0..60 {
        let order = shop.place_random_order().unwrap();
        if number % 3 == 0 {
            let _ = shop.edit_order_at_random(&order.id);
        }
        if number % 5 == 0 {
            let _ = shop.refund_order_at_random(&order.id);
        }
        if number % 7 == 0 {
            shop.cancel_order(&order.id, "customer").unwrap();
        }
    }
    let forged = shop.forge(30).await;
    let sent = shop.flush().await;

    world.wait_until_clean(Duration::from_secs(60)).await;
    assert_eq!((forged.sent, forged.accepted), (30, 0));
    assert_eq!(sent.given_up, 0);
    assert!(sent.duplicates_sent > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_passes_its_own_account() {
    let output = Command::new(env!("CARGO_BIN_EXE_spindel"))
        .args(["--json", "demo", "--once", "--orders", "40", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["clean"], report["right"].as_u64() >= Some(40)), (&true.into(), true), "{report:#}");
}
