//! Outcomes that nobody knows: looked up before anything is sent again, or left to a person.

use crate::{
    vendor::{Answer, What},
    world::{ERP, Repeat, Setup, World, cut, failure, order, until},
};
use spindel_model::{ErrorClass, Performed, State};
use spindel_store::Store;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_look_up_finds_is_delivered_and_not_sent_again() {
    let world = World::start(Setup { repeat: Repeat::LookUpFirst, ..Setup::default() }).await;
    world.erp().next("a", [Answer::Fail(cut())]);
    world.erp().find("a", Ok(Some(Performed::at("erp-77").numbered("S00077"))));
    world.put([order("a", 0)]).await;
    world.until_state("a", "delivered").await;
    assert_eq!(world.erp().calls_of("a"), [What::Perform, What::LookUp]);
    assert_eq!(world.detail("a").await.reference.unwrap().id, "erp-77");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_look_up_does_not_find_is_sent_again_with_the_same_key() {
    let world = World::start(Setup { repeat: Repeat::LookUpFirst, ..Setup::default() }).await;
    world.erp().next("a", [Answer::Fail(cut()), Answer::Fail(cut())]);
    world.put([order("a", 0)]).await;
    world.until_state("a", "delivered").await;
    let sequence = [What::Perform, What::LookUp, What::Perform, What::LookUp, What::Perform];
    assert_eq!(world.erp().calls_of("a"), sequence);
    let calls = world.erp().calls();
    assert!(calls.iter().all(|call| call.key == calls[0].key));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_that_fails_leaves_the_doubt_and_is_made_again() {
    let world = World::start(Setup { repeat: Repeat::LookUpFirst, ..Setup::default() }).await;
    world.erp().next("a", [Answer::Fail(cut())]);
    for class in [ErrorClass::Transient, ErrorClass::Data, ErrorClass::Gone] {
        world.erp().find("a", Err(failure(class)));
    }
    world.erp().find("a", Ok(Some(Performed::at("erp-1"))));
    world.put([order("a", 0)]).await;
    world.until_state("a", "delivered").await;
    assert_eq!(world.erp().calls_of("a"), [What::Perform, What::LookUp, What::LookUp, What::LookUp, What::LookUp]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_repeated_waits_for_a_person() {
    let world = World::start(Setup { repeat: Repeat::Unsafe, ..Setup::default() }).await;
    world.erp().next("a", [Answer::Fail(cut())]);
    world.put([order("a", 0)]).await;
    let delivery = world.until_state("a", "in_doubt").await;
    assert_eq!(delivery.state, State::InDoubt { look_up_at: None });
    // Nothing will ever wake it, while others go on.
    assert_eq!(world.store.next_wake(ERP).await.unwrap(), None);
    world.put([order("b", 0)]).await;
    world.until_state("b", "delivered").await;
    assert_eq!(world.erp().calls_of("a"), [What::Perform]);

    world.store.retry(vec![delivery.id], world.clock.now()).await.unwrap();
    world.until_state("a", "delivered").await;
    assert_eq!(world.erp().calls_of("a"), [What::Perform, What::Perform]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_an_attempt_and_twice_is_dead_while_others_go_on() {
    let world = World::start(Setup::default()).await;
    world.erp().next("a", [Answer::Panic, Answer::Panic]);
    world.erp().next("b", [Answer::Panic]);
    world.put(["a", "b", "c"].map(|id| order(id, 0))).await;
    let dead = world.until_state("a", "dead").await;
    let State::Dead { class: ErrorClass::Bug, reason } = &dead.state else { panic!("{:?}", dead.state) };
    assert!(reason.contains("panic"), "{reason}");
    assert_eq!(dead.attempts, 2);
    assert_eq!(world.until_state("b", "delivered").await.attempts, 2);
    assert_eq!(world.until_state("c", "delivered").await.attempts, 1);

    // Its slot is free again: more go through than there are slots.
    world.put((0..20).map(|number| order(&format!("o{number}"), 0))).await;
    for number in 0..20 {
        world.until_state(&format!("o{number}"), "delivered").await;
    }
    until("no action to run", async || world.erp().running().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_leaves_a_doubt_where_a_repeat_could_do_harm() {
    let world = World::start(Setup { repeat: Repeat::LookUpFirst, ..Setup::default() }).await;
    world.erp().next("a", [Answer::Panic]);
    world.erp().find("a", Ok(Some(Performed::at("erp-1"))));
    world.put([order("a", 0)]).await;
    world.until_state("a", "delivered").await;
    assert_eq!(world.erp().calls_of("a"), [What::Perform, What::LookUp]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_over_a_look_up_leaves_the_doubt() {
    let world = World::start(Setup { repeat: Repeat::LookUpFirst, ..Setup::default() }).await;
    world.erp().next("a", [Answer::Fail(cut())]);
    world.erp().panic_over_look_up("a");
    world.erp().find("a", Ok(Some(Performed::at("erp-1"))));
    world.put([order("a", 0)]).await;
    world.until_state("a", "delivered").await;
    assert_eq!(world.erp().calls_of("a"), [What::Perform, What::LookUp, What::LookUp]);
}
