//! Many actions in one call, with an outcome for each.

use crate::{
    vendor::Answer,
    world::{Setup, World, failure, orders, stock, until},
};
use spindel_model::{ActionKind, ErrorClass, Flow, State, Topic};

#[tokio::test(flavor = "multi_thread")]
async fn the_outcomes_of_a_batch_are_kept_apart() {
    let flow = Flow { name: "stock".into(), on: vec![Topic::StockChanged], action: ActionKind::SetStock, ..orders() };
    let world = World::start(Setup { batch: 10, concurrency: 1, flows: vec![flow], ..Setup::default() }).await;
    // While one is out, the others gather.
    world.erp().next("first", [Answer::Hang]);
    world.put([stock("first")]).await;
    until("the first to hang", async || world.erp().running() == ["first"]).await;
    world.erp().next("refused", [Answer::Fail(failure(ErrorClass::Data))]);
    world.erp().next("late", [Answer::Fail(failure(ErrorClass::Transient))]);
    world.put(["a", "b", "refused", "late", "c"].map(stock)).await;
    until("all to be planned", async || world.deliveries().await.len() == 6).await;
    world.erp().release("first");

    let dead = world.until_state("refused", "dead").await;
    assert!(matches!(dead.state, State::Dead { class: ErrorClass::Data, .. }), "{:?}", dead.state);
    for sku in ["first", "a", "b", "c"] {
        assert_eq!(world.until_state(sku, "delivered").await.attempts, 1);
    }
    assert_eq!(world.until_state("late", "delivered").await.attempts, 2);

    let calls = world.erp().calls();
    let of = |number: usize| {
        let mut skus: Vec<&str> = calls.iter().filter(|it| it.number == number).map(|it| it.id.as_str()).collect();
        skus.sort_unstable();
        skus
    };
    assert_eq!(of(2), ["a", "b", "c", "late", "refused"], "one call for all that waited");
    assert_eq!(of(3), ["late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_never_larger_than_the_vendor_takes() {
    let flow = Flow { name: "stock".into(), on: vec![Topic::StockChanged], action: ActionKind::SetStock, ..orders() };
    let world = World::start(Setup { batch: 7, flows: vec![flow], ..Setup::default() }).await;
    world.put((0..100).map(|number| stock(&format!("s{number}")))).await;
    world.until_all_delivered(100).await;
    let calls = world.erp().calls();
    assert_eq!(calls.len(), 100);
    let numbers: std::collections::BTreeSet<usize> = calls.iter().map(|call| call.number).collect();
    assert!(numbers.iter().all(|number| calls.iter().filter(|call| call.number == *number).count() <= 7));
    assert!(numbers.len() < 30, "{} calls for 100 items", numbers.len());
}
