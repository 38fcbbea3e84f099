//! Slots of one destination, and destinations beside each other.

use crate::{
    vendor::Answer,
    world::{ERP, Setup, World, failure, order, orders, until},
};
use spindel_model::{Cause, ErrorClass, Flow};

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_replays_never_holds_back_fresh_work() {
    let world = World::start(Setup { concurrency: 4, ..Setup::default() }).await;
    world.erp().usually(Answer::Hang);
    world.put_as(Cause::Replay, (0..1000).map(|number| order(&format!("old-{number}"), 0))).await;
    until("all slots that replays may take to be taken", async || world.erp().running().len() == 3).await;

    for number in 0..20 {
        let id = format!("new-{number}");
        world.erp().next(&id, [Answer::Done]);
        world.put([order(&id, 0)]).await;
    }
    for number in 0..20 {
        world.until_state(&format!("new-{number}"), "delivered").await;
    }
    let replays = world.erp().calls().iter().filter(|call| call.id.starts_with("old-")).count();
    assert_eq!(replays, 3, "replays took the slot that is reserved");

    world.erp().release_all();
    world.until_all_delivered(1020).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_before_comes_after_fresh_work() {
    let world = World::start(Setup { concurrency: 4, ..Setup::default() }).await;
    // Fewer failures than open a breaker.
    for number in 0..8 {
        let id = format!("old-{number}");
        world.erp().next(&id, [Answer::Fail(failure(ErrorClass::Transient)), Answer::Hang]);
        world.put([order(&id, 0)]).await;
    }
    until("the second tries to hang", async || {
        world.erp().running().len() == 3 && world.erp().calls().iter().filter(|call| call.attempt == 1).count() == 8
    })
    .await;

    world.put([order("new", 0)]).await;
    world.until_state("new", "delivered").await;
    assert_eq!(world.erp().calls().iter().filter(|call| call.attempt == 2).count(), 3);
    world.erp().release_all();
    world.until_all_delivered(9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_destination_does_not_slow_another() {
    let to_crm = Flow { name: "orders_to_crm".into(), to: "crm".into(), ..orders() };
    let world = World::start(Setup { flows: vec![orders(), to_crm], beside: vec!["crm"], ..Setup::default() }).await;
    world.erp().usually(Answer::Hang);
    for number in 0..50 {
        world.put([order(&format!("o{number}"), 0)]).await;
    }
    let arrived = async |to: &str| {
        let all = world.deliveries().await;
        all.iter().filter(|delivery| delivery.to == to && delivery.state.name() == "delivered").count()
    };
    until("everything at the other destination", async || arrived("crm").await == 50).await;
    assert_eq!((arrived(ERP).await, world.erp().running().len()), (0, 4));

    world.erp().release_all();
    world.until_all_delivered(100).await;
}
