//! Failures with a consequence of their own: what waits for something else, and what a person must mend.

use crate::{
    vendor::Answer,
    world::{Setup, World, failure, manual, order, orders, until},
};
use spindel_connect::Maps;
use spindel_model::{ErrorClass, Flow, State};
use spindel_queue::{Channel, Queue};
use spindel_store::Store;
use std::{collections::BTreeMap, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn what_misses_something_else_arrives_once_that_is_there() {
    let world = World::start(Setup::default()).await;
    world.erp().usually(Answer::Fail(failure(ErrorClass::MissingDependency)));
    // More than would open a breaker: the destination is not to blame.
    world.put((0..15).map(|number| order(&format!("o{number}"), 0))).await;
    until("all to have been put off", async || {
        let all = world.deliveries().await;
        all.len() == 15 && all.iter().all(|it| it.attempts > 0)
    })
    .await;
    assert_eq!(world.gate(), None);
    world.erp().usually(Answer::Done);
    world.until_all_delivered(15).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_misses_something_else_for_a_day_is_dead() {
    let world = World::start(Setup { clock: manual(), ..Setup::default() }).await;
    world.erp().usually(Answer::Fail(failure(ErrorClass::MissingDependency)));
    world.put([order("a", 0)]).await;
    until("it to be put off", async || world.delivery("a").await.is_some_and(|it| it.attempts == 1)).await;

    world.advance(Duration::from_secs(23 * 3600));
    until("it to be put off again", async || world.delivery("a").await.is_some_and(|it| it.attempts == 2)).await;
    assert_eq!(world.delivery("a").await.unwrap().state.name(), "due");

    world.advance(Duration::from_secs(3600));
    let dead = world.until_state("a", "dead").await;
    assert!(matches!(dead.state, State::Dead { class: ErrorClass::MissingDependency, .. }), "{:?}", dead.state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_mapping_is_named_and_what_died_of_it_arrives_once_it_is_mended() {
    let world = World::start(Setup::default()).await;
    world.erp().usually(Answer::Needs { map: "tax", key: "NO/25" });
    world.put([order("a", 0), order("b", 0)]).await;
    let dead = [world.until_state("a", "dead").await, world.until_state("b", "dead").await];
    for delivery in &dead {
        let State::Dead { class: ErrorClass::Config, reason } = &delivery.state else { panic!("{:?}", delivery.state) };
        assert!(reason.contains("[maps.tax]") && reason.contains("NO/25"), "{reason}");
    }

    let tax = BTreeMap::from([("NO/25".to_owned(), "31".to_owned())]);
    world.rewire(Maps(BTreeMap::from([("tax".to_owned(), tax)])));
    world.store.retry(dead.iter().map(|it| it.id).collect(), world.clock.now()).await.unwrap();
    world.until_all_delivered(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_end_when_the_time_to_give_up_has_come() {
    let world = World::start(Setup { clock: manual(), ..Setup::default() }).await;
    world.erp().usually(Answer::Fail(failure(ErrorClass::Transient)));
    world.put([order("a", 0)]).await;
    until("the first failure", async || world.delivery("a").await.is_some_and(|it| it.attempts == 1)).await;
    world.advance(Duration::from_secs(72 * 3600));
    let dead = world.until_state("a", "dead").await;
    let State::Dead { class: ErrorClass::Transient, reason } = &dead.state else { panic!("{:?}", dead.state) };
    assert!(reason.contains("2 attempts"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_a_reload_overtook_is_made_anew() {
    let mapped = Flow { map: Some(".".into()), ..orders() };
    let world = World::start(Setup { flows: vec![mapped.clone()], ..Setup::default() }).await;
    world.put([order("a", 0)]).await;
    let dead = world.until_state("a", "dead").await;
    let State::Dead { class: ErrorClass::Config, reason } = &dead.state else { panic!("{:?}", dead.state) };
    assert!(reason.contains("mapping"), "{reason}");

    world.put([order("b", 0)]).await;
    until("the plan to be begun", async || world.queue.depth(&Channel::Plan).await.unwrap() == 0).await;
    world.rewire_flows(vec![orders()]);
    world.until_state("b", "delivered").await;
}
