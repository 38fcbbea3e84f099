//! Order per entity, never per destination.

use crate::world::{FLOWS, World, wait_for};
use spindel_simulators::shopify::{Delivery, Options};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn shuffled_changes_end_in_the_shops_last_state_and_a_stuck_order_delays_no_other() {
    let world = World::start(FLOWS, Options { seed: 11, concurrency: 16, ..Options::plus() }).await;
    let shop = &world.pair.shop;
    let stuck = shop.place_random_order().unwrap();
    world.pair.erp.hang(&stuck.number);
    // Everything that follows leaves in random order.
    shop.set_delivery(Delivery { duplicates: 0.0, reorder_window: 600, drop: 0.0 });
    for _ in 0..200 {
        let order = shop.place_random_order().unwrap();
        let _ = shop.edit_order_at_random(&order.id);
        shop.cancel_order(&order.id, "customer").unwrap();
    }
    shop.flush().await;

    wait_for("200 orders while one is stuck", Duration::from_secs(120), || {
        let account = world.pair.account();
        account.right == 200 && account.doubled.is_empty()
    })
    .await;

    world.pair.erp.unhang(&stuck.number);
    world.wait_until_clean(Duration::from_secs(60)).await;
}
