//! A new config without a dropped request, and a stop that finishes what runs.

use crate::world::{FLOWS, World, wait_for};
use spindel_simulators::shopify::Options;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_drops_no_request_and_takes_the_new_flows() {
    let world = World::start("", Options { retry_base: Duration::from_secs(30), ..Options::plus() }).await;
    for number in 0..100 {
        world.pair.shop.place_random_order().unwrap();
        if number == 30 {
            world.pair.write_config(world.folder.path(), world.address, FLOWS).unwrap();
            world.signal("HUP");
        }
        if number == 60 {
            std::fs::write(world.config(), "[nonsense]").unwrap();
            world.signal("HUP");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let sent = world.pair.shop.flush().await;
    assert_eq!((sent.given_up, sent.retries), (0, 0), "a request was dropped");
    world.pair.write_config(world.folder.path(), world.address, FLOWS).unwrap();
    wait_for("orders placed after the reload in the ERP", Duration::from_secs(30), || world.pair.account().right > 30).await;
    assert!(world.log().contains("not reloaded"), "{}", world.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_runs_and_a_start_goes_on() {
    let mut world = World::start(FLOWS, Options::plus()).await;
    for _ in 0..30 {
        world.pair.shop.place_random_order().unwrap();
    }
    world.pair.shop.flush().await;
    world.signal("TERM");
    assert!(world.wait_for_end(Duration::from_secs(60)).success());
    assert!(world.deliveries("running").is_empty());
    world.launch();
    world.wait_until_clean(Duration::from_secs(30)).await;
}
