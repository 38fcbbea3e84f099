//! SIGKILL at random moments: what was acknowledged is in the ERP exactly once, with equal amounts.

use crate::world::{FLOWS, World, seed};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use spindel_simulators::{
    fault::Fault,
    shopify::{Delivery, Options},
};
use std::time::Duration;

const ORDERS: usize = 2_000;
const KILLS: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_lose_and_double_nothing() {
    let seed = seed();
    let mut rng = StdRng::seed_from_u64(seed);
    // The shop tries again for as long as a kill and a restart may take, many times over.
    let options =
        Options { seed, concurrency: 32, retry_base: Duration::from_millis(200), topics: Some(topics()), ..Options::plus() };
    let mut world = World::start(FLOWS, options).await;
    world.pair.shop.set_delivery(Delivery { duplicates: 0.05, reorder_window: 4, drop: 0.0 });
    let trouble = vec![Fault::CutAfter, Fault::Error(500), Fault::Malformed, Fault::TooMany { retry_after: None }, Fault::Down];
    world.pair.erp.faults().at_random(seed, 0.02, trouble);

    let mut placed = 0;
    for kill in 1..=KILLS {
        let share = ORDERS * kill as usize / KILLS as usize;
        while placed < share {
            world.pair.shop.place_random_order().unwrap();
            placed += 1;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(50..1_200))).await;
        world.kill();
        world.launch();
    }
    world.pair.erp.faults().at_random(seed, 0.0, vec![]);
    let sent = world.pair.shop.flush().await;
    assert_eq!(sent.given_up, 0, "the shop gave up on webhooks, so this run proves nothing about them");

    world.wait_until_clean(Duration::from_secs(300)).await;
    assert_eq!(world.pair.account().in_shop, ORDERS);
}

/// One webhook an order keeps the run short.
fn topics() -> Vec<String> {
    vec!["orders/create".into()]
}
