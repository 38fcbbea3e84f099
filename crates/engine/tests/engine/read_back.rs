//! Changes that are only a word that something changed: the record is read at the source.

use crate::{
    vendor::{Answer, What},
    world::{Setup, World, at, failure, manual, nudge, order, order_record, orders, until},
};
use spindel_model::{Change, Condition, ErrorClass, Filter, Flow, Record, State, Test, Topic, Trust};
use std::time::Duration;

fn refetching() -> Flow {
    Flow { trust: Trust::Refetch, ..orders() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_what_stands_at_the_source() {
    let world = World::start(Setup { flows: vec![refetching()], ..Setup::default() }).await;
    world.shop().record("a", Ok(Some(order_record("a", 5, "as read"))));
    world.shop().record("b", Ok(Some(order_record("b", 5, "as read"))));
    world.put([order("a", 0), nudge("b", 0)]).await;
    world.until_all_delivered(2).await;
    assert_eq!((world.shop().calls_of("a"), world.shop().calls_of("b")), (vec![What::Read], vec![What::Read]));
    assert!(world.erp().calls().iter().all(|call| call.note.as_deref() == Some("as read")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nudge_is_read_back_where_payloads_are_trusted_too() {
    let world = World::start(Setup::default()).await;
    world.shop().record("a", Ok(Some(order_record("a", 5, "as read"))));
    world.put([nudge("a", 0)]).await;
    world.until_state("a", "delivered").await;
    assert_eq!(world.erp().calls()[0].note.as_deref(), Some("as read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_looks_at_what_was_read() {
    let when = Filter(vec![Condition { path: "note".into(), test: Test::Matches("keep*".into()) }]);
    let world = World::start(Setup { flows: vec![Flow { when, ..refetching() }], ..Setup::default() }).await;
    world.shop().record("a", Ok(Some(order_record("a", 5, "drop it"))));
    world.shop().record("b", Ok(Some(order_record("b", 5, "keep it"))));
    world.put([order("a", 0), order("b", 0)]).await;
    let State::Skipped { reason } = world.until_state("a", "skipped").await.state else { unreachable!() };
    assert!(reason.starts_with("filtered"), "{reason}");
    world.until_state("b", "delivered").await;
    assert_eq!(world.erp().calls_of("a"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_source_does_not_close_the_destinations_gate() {
    let paid = Flow { name: "paid".into(), on: vec![Topic::OrderPaid], ..orders() };
    let world = World::start(Setup { flows: vec![refetching(), paid], ..Setup::default() }).await;
    for number in 0..30 {
        world.shop().record(&format!("o{number}"), Err(failure(ErrorClass::Transient)));
    }
    world.put((0..30).map(|number| order(&format!("o{number}"), 0))).await;
    until("every reading to have failed", async || {
        let all = world.deliveries().await;
        all.len() == 30 && all.iter().all(|it| it.attempts > 0)
    })
    .await;
    assert_eq!(world.gate(), None);
    world.put([Change { topic: Topic::OrderPaid, ..order("paid", 0) }]).await;
    world.until_state("paid", "delivered").await;

    for number in 0..30 {
        let id = format!("o{number}");
        world.shop().record(&id, Ok(Some(order_record(&id, 0, "as read"))));
    }
    world.until_all_delivered(31).await;
    assert_eq!(world.erp().calls().len(), 31);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_does_not_have_any_more_is_gone() {
    let world = World::start(Setup { flows: vec![refetching()], ..Setup::default() }).await;
    world.put([order("a", 0)]).await;
    let dead = world.until_state("a", "dead").await;
    assert!(matches!(dead.state, State::Dead { class: ErrorClass::Gone, .. }), "{:?}", dead.state);
    assert!(world.erp().calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_what_was_read_ends_stale() {
    let plain = Flow { name: "orders".into(), on: vec![Topic::OrderUpdated], ..orders() };
    let world = World::start(Setup { clock: manual(), flows: vec![plain], ..Setup::default() }).await;
    world.advance(Duration::from_secs(60));
    world.shop().record("a", Ok(Some(order_record("a", 20, "as read"))));
    world.put([nudge("a", 10)]).await;
    world.until_state("a", "delivered").await;

    world.put([order("a", 15)]).await;
    world.until_state("a", "stale").await;
    world.put([order("a", 25)]).await;
    world.until_state("a", "delivered").await;
    let notes: Vec<_> = world.erp().calls().into_iter().filter_map(|call| call.note).collect();
    assert_eq!(notes, ["as read", "25"]);
    assert!(world.clock.now() >= at(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_another_kind_is_never_sent() {
    let world = World::start(Setup { flows: vec![refetching()], ..Setup::default() }).await;
    world.shop().record("a", Ok(Some(Record::Deleted)));
    world.erp().usually(Answer::Panic);
    world.put([order("a", 0)]).await;
    world.until_state("a", "skipped").await;
    assert!(world.erp().calls().is_empty());
}
