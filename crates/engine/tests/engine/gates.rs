//! What a connection's gate does to the deliveries that wait at it: they are neither dropped nor charged.

use crate::{
    vendor::{Answer, What},
    world::{Setup, World, at, failure, manual, order, until},
};
use spindel_connect::Maps;
use spindel_model::ErrorClass;
use std::{collections::BTreeMap, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn an_open_breaker_spends_no_attempts() {
    let world = World::start(Setup { concurrency: 4, ..Setup::default() }).await;
    world.erp().usually(Answer::Fail(failure(ErrorClass::Transient)));
    world.put((0..60).map(|number| order(&format!("o{number}"), 0))).await;
    until("the breaker to open", async || world.gate().is_some_and(|why| why.contains("breaker"))).await;
    let opened_at = world.clock.now();
    // Half of its rest: whoever does not wait is heard of by then.
    until("a second to go by", async || world.clock.now().duration_since(opened_at).as_secs() >= 1).await;
    let failed = world.erp().calls().len();
    assert!((10..10 + 4).contains(&failed), "{failed} calls before the breaker opened");
    world.erp().usually(Answer::Done);
    world.until_all_delivered(60).await;

    let calls = world.erp().calls();
    let tries: u32 = world.deliveries().await.iter().map(|delivery| delivery.attempts).sum();
    assert_eq!((tries as usize, calls.len()), (60 + failed, 60 + failed), "an attempt was spent without a call");
    // The breaker rests for two seconds, and then one call decides.
    let rested = calls[failed].at.duration_since(opened_at);
    assert!(rested.as_millis() > 1500, "called again after {rested:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_spends_no_attempt_and_nobody_calls_before_it_is_over() {
    const ASKED: Duration = Duration::from_millis(700);
    let world = World::start(Setup { concurrency: 1, ..Setup::default() }).await;
    world.erp().next("first", [Answer::Fail(failure(ErrorClass::RateLimited).after(ASKED))]);
    world.put([order("first", 0)]).await;
    until("the vendor to throttle", async || world.gate().is_some_and(|why| why.contains("throttled"))).await;
    world.put((0..10).map(|number| order(&format!("o{number}"), 0))).await;
    world.until_all_delivered(11).await;

    let calls = world.erp().calls();
    let waited = calls[1].at.duration_since(calls[0].at);
    assert!(waited >= ASKED.try_into().unwrap(), "called again after {waited:?}");
    assert_eq!(calls.len(), 12);
    assert!(world.deliveries().await.iter().all(|delivery| delivery.attempts == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_pause_the_connection_until_they_are_mended() {
    let world = World::start(Setup { clock: manual(), concurrency: 1, ..Setup::default() }).await;
    world.erp().usually(Answer::Fail(failure(ErrorClass::Auth)));
    world.put((0..20).map(|number| order(&format!("o{number}"), 0))).await;
    until("the connection to pause", async || world.gate().is_some_and(|why| why.contains("paused"))).await;
    // One call per rest, however much is due.
    for rest in 1..=4 {
        world.advance(Duration::from_secs(60));
        until("the try after a rest", async || world.erp().calls().iter().any(|call| call.at == at(60 * rest))).await;
        until("the next rest", async || world.gate().is_some() && world.count("running").await == 0).await;
    }
    let mut per_moment = BTreeMap::new();
    for call in world.erp().calls() {
        *per_moment.entry(call.at).or_insert(0) += 1;
    }
    assert_eq!(per_moment, (0..=4).map(|rest| (at(60 * rest), 1)).collect());
    assert!(world.deliveries().await.iter().all(|delivery| delivery.attempts == 0), "an attempt was spent");

    world.erp().usually(Answer::Done);
    world.rewire(Maps::default());
    assert_eq!(world.gate(), None);
    // Those that were refused have a time of their own.
    world.advance(Duration::from_secs(60));
    world.until_all_delivered(20).await;
    assert!(world.deliveries().await.iter().all(|delivery| delivery.attempts == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_ends_without_a_call_leaves_the_one_call_to_the_next() {
    let world = World::start(Setup { clock: manual(), concurrency: 1, ..Setup::default() }).await;
    world.put([order("known", 9)]).await;
    world.until_state("known", "delivered").await;
    world.erp().usually(Answer::Fail(failure(ErrorClass::Transient)));
    let mut round = 0;
    while world.gate().is_none() {
        round += 1;
        let id = format!("o{round}");
        world.put([order(&id, 0)]).await;
        until("one more failure", async || world.delivery(&id).await.is_some_and(|it| it.attempts == 1)).await;
    }
    // Older than what arrived: nothing will be sent for it.
    world.put([order("known", 5)]).await;
    world.until_state("known", "due").await;
    world.erp().usually(Answer::Done);

    world.advance(Duration::from_secs(2));
    world.until_state("known", "stale").await;
    for number in 1..=round {
        world.until_state(&format!("o{number}"), "delivered").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_probe_does_not_keep_the_breaker_half_open() {
    let world = World::start(Setup { clock: manual(), concurrency: 1, ..Setup::default() }).await;
    world.erp().usually(Answer::Fail(failure(ErrorClass::Transient)));
    world.put((0..12).map(|number| order(&format!("o{number}"), 0))).await;
    until("the breaker to open", async || world.gate().is_some()).await;
    until("what still ran to end", async || world.erp().running().is_empty()).await;
    let before = world.erp().calls().len();

    world.erp().usually(Answer::Fail(failure(ErrorClass::RateLimited).after(Duration::from_secs(3))));
    world.advance(Duration::from_secs(2));
    until("the probe to be throttled", async || world.gate().is_some_and(|why| why.contains("throttled"))).await;
    world.erp().usually(Answer::Done);
    world.advance(Duration::from_secs(3));
    world.until_all_delivered(12).await;
    let performed = world.erp().calls().iter().filter(|call| call.what == What::Perform).count();
    assert_eq!(performed, before + 1 + 12);
}
