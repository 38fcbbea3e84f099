//! A new config without a dropped request, and a stop that finishes what runs.

use crate::world::{FLOWS, World, wait_for};
use spindel_simulators::{fault::Fault, shopify::Options};
use std::{process::Command, time::Duration};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_says_what_it_cannot_change() {
    let world = World::start(FLOWS, Options::plus()).await;
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(world.config(), config.replace("[store]", "[store]\nretention = \"2d\"")).unwrap();
    world.signal("HUP");
    wait_for("the warning", Duration::from_secs(10), || world.log().contains("[queue] takes effect with the next start")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_slow_poll() {
    let stock = r#"[flows.stock]
from = "erp"
on = ["stock.changed"]
to = "shop"
do = "set_stock"
every = "1s"
"#;
    let mut world = World::prepare(stock, Options::plus()).await;
    world.pair.erp.faults().set(Some(Fault::Slow(Duration::from_secs(25))));
    world.launch();
    wait_for("a poll under way", Duration::from_secs(10), || world.pair.erp.faults().counts().contains_key("slow")).await;
    world.signal("TERM");
    assert!(world.wait_for_end(Duration::from_secs(10)).success());
}

#[tokio::test(flavor = "multi_thread")]
async fn mappings_still_run_after_an_upgrade_has_replaced_the_program_on_disk() {
    let flows = FLOWS.replacen("do = \"push_order\"", "do = \"push_order\"\nmap = \".\"", 1);
    let mut world = World::prepare(&flows, Options::plus()).await;
    let program = world.folder.path().join("spindel");
    std::fs::copy(env!("CARGO_BIN_EXE_spindel"), &program).unwrap();
    world.launch_with(Command::new(&program));
    std::fs::remove_file(&program).unwrap();
    world.signal("HUP");
    wait_for("the reload", Duration::from_secs(10), || world.log().contains("config reloaded")).await;
    world.pair.shop.place_random_order().unwrap();
    world.wait_until_clean(Duration::from_secs(20)).await;
}
