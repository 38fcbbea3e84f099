//! The ERP takes the order and cuts the connection: never two orders.

use crate::world::{FLOWS, World};
use spindel_simulators::{fault::Fault, shopify::Options};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_never_makes_two_orders() {
    let world = World::start(FLOWS, Options { seed: 5, ..Options::plus() }).await;
    world.pair.erp.faults().at_random(5, 0.15, vec![Fault::CutAfter, Fault::Malformed]);
    for _ in 0..40 {
        let order = world.pair.shop.place_random_order().unwrap();
        let _ = world.pair.shop.refund_order_at_random(&order.id);
    }
    world.pair.shop.flush().await;
    world.wait_until_clean(Duration::from_secs(120)).await;

    assert!(world.pair.erp.faults().counts().values().sum::<u64>() > 10, "too few faults to prove anything");
    for order in world.pair.erp.orders() {
        assert_eq!(order.create_count, 1, "{}", order.client_order_ref);
    }
    // Some outcomes were unknown, and each of those was looked up before anything was sent again.
    let delivered = world.deliveries("delivered,unchanged");
    let looked_up = delivered.iter().any(|delivery| {
        let detail = world.cli(&["deliveries", "show", delivery["id"].as_str().unwrap()]);
        detail["attempts"].as_array().unwrap().iter().any(|attempt| attempt["step"] == "look_up")
    });
    assert!(looked_up, "no outcome was looked up");
}
