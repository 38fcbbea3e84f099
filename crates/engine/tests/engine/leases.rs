//! A worker that is gone for too long loses its right to write.

use crate::{
    vendor::{Answer, Vendor, What},
    world::{ERP, Repeat, Setup, TIMEOUT, World, manual, order, until},
};
use spindel_model::{Performed, State};
use std::{sync::Arc, time::Duration};

const LEASE: Duration = TIMEOUT.saturating_add(Duration::from_secs(31));

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_comes_after_its_lease_went_to_another_changes_nothing() {
    let world = World::start(Setup { clock: manual(), concurrency: 1, ..Setup::default() }).await;
    world.erp().next("a", [Answer::Hang]);
    world.put([order("a", 0)]).await;
    until("the first node to hang", async || world.erp().running() == ["a"]).await;

    let theirs = Arc::new(Vendor::new(world.clock.clone(), Repeat::Harmless, 1));
    theirs.next("a", [Answer::Known("theirs")]);
    world.another("b", &world.queue, &theirs).await;
    world.advance(LEASE);
    world.until_state("a", "delivered").await;
    assert_eq!(theirs.calls_of("a"), [What::Perform]);
    let before = world.detail("a").await;

    world.erp().release("a");
    until("the first node to end", async || world.erp().running().is_empty()).await;
    world.engine.drain(Duration::from_secs(10)).await;
    let after = world.detail("a").await;
    assert_eq!(after.reference.unwrap().id, "theirs");
    assert_eq!((after.delivery, after.attempts), (before.delivery, before.attempts));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_worker_may_have_done_is_looked_up() {
    let world = World::start(Setup { clock: manual(), concurrency: 1, repeat: Repeat::LookUpFirst, ..Setup::default() }).await;
    world.erp().next("a", [Answer::Hang]);
    world.put([order("a", 0)]).await;
    until("the first node to hang", async || world.erp().running() == ["a"]).await;

    let theirs = Arc::new(Vendor::new(world.clock.clone(), Repeat::LookUpFirst, 1));
    theirs.find("a", Ok(Some(Performed::at("found"))));
    world.another("b", &world.queue, &theirs).await;
    world.advance(LEASE);
    let delivered = world.until_state("a", "delivered").await;
    assert_eq!(delivered.state, State::Delivered);
    assert_eq!(theirs.calls_of("a"), [What::LookUp]);
    assert_eq!(world.vendors[ERP].calls_of("a"), [What::Perform]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_still_runs_when_the_time_to_stop_is_over_is_released_at_once() {
    let world = World::start(Setup { clock: manual(), concurrency: 1, repeat: Repeat::LookUpFirst, ..Setup::default() }).await;
    world.erp().next("a", [Answer::Hang]);
    world.put([order("a", 0)]).await;
    until("the node to hang", async || world.erp().running() == ["a"]).await;
    world.engine.drain(Duration::from_millis(50)).await;
    world.until_state("a", "in_doubt").await;

    // Not a moment later: no lease has to run out first.
    let theirs = Arc::new(Vendor::new(world.clock.clone(), Repeat::LookUpFirst, 1));
    theirs.find("a", Ok(Some(Performed::at("found"))));
    world.another("b", &world.queue, &theirs).await;
    world.until_state("a", "delivered").await;
    assert_eq!(theirs.calls_of("a"), [What::LookUp]);
}
