//! What happens when the way to the server fails: by a proxy that cuts and freezes it.

use super::*;
use spindel_store::Finish;
use spindel_testkit::proxy::{Cut, Mode, Proxy, Trap};
use std::time::{Duration, Instant};

async fn through_proxy() -> (Shared, Proxy, World) {
    let world = World::new().await;
    let proxy = Proxy::start(world.server().await);
    let store = PostgresStore::open(world.by(proxy.address)).await.unwrap_or_else(|error| panic!("{error}"));
    (store, proxy, world)
}

/// Tries until it works again; a person waits no longer than this.
async fn recovered(store: &Shared) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = store.probe().await {
        assert!(Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_replaced_without_a_person() {
    let (store, proxy, _world) = through_proxy().await;
    store.append(event("before")).await.unwrap();
    proxy.cut(Cut::Reset);
    recovered(&store).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = store.append(event("after")).await {
        assert!(matches!(error, StoreError::Unavailable(_)) && Instant::now() < deadline, "{error}");
    }
    assert_eq!(store.counts().await.unwrap().events["accepted"], 2);
}

#[tokio::test]
async fn a_server_that_is_gone_refuses_at_once() {
    let (store, proxy, _world) = through_proxy().await;
    store.append(event("before")).await.unwrap();
    proxy.set(Mode::Refuse);
    proxy.cut(Cut::Reset);
    while store.append(event("lost")).await.is_ok() {}
    let began = Instant::now();
    for n in 0..100 {
        let refused = store.append(event(&n.to_string())).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "nobody waits for a server that is known to be gone");
    proxy.set(Mode::Pass);
    recovered(&store).await;
}

#[tokio::test]
async fn packets_that_vanish_are_noticed_within_two_seconds() {
    let (store, proxy, _world) = through_proxy().await;
    store.append(event("before")).await.unwrap();
    proxy.set(Mode::Freeze);
    for n in 0..3 {
        let began = Instant::now();
        let refused = store.append(event(&n.to_string())).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    let refused = tokio::time::timeout(Duration::from_secs(2), store.probe()).await;
    assert!(matches!(refused, Ok(Err(StoreError::Unavailable(_)))), "{refused:?}");
    proxy.set(Mode::Pass);
    recovered(&store).await;
    let after = store.append(event("after")).await;
    assert!(after.is_ok() || matches!(after, Err(StoreError::Unavailable(_))), "{after:?}");
}

#[tokio::test]
async fn an_event_sent_again_after_an_answer_was_lost_is_there_once() {
    let (store, proxy, world) = through_proxy().await;
    store.append(event("before")).await.unwrap();
    // The statement itself carries the key; what is after it is the answer.
    proxy.trap(Trap::After(b"a key that stands out".to_vec()), 1);
    let mut new = event("1");
    new.topic = "a key that stands out".into();
    let refused = store.append(new.clone()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    recovered(&store).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let again = loop {
        match store.append(NewEvent { id: spindel_model::EventId::new(), ..new.clone() }).await {
            Ok(appended) => break appended,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    assert_eq!(again, Appended::Duplicate(new.id));
    assert_eq!(world.count("events").await, 2);
}

#[tokio::test]
async fn an_outcome_whose_commit_was_not_answered_is_written_once_and_counts_as_written() {
    for trap in [Trap::Before(b"COMMIT".to_vec()), Trap::After(b"COMMIT".to_vec())] {
        let (store, proxy, world) = through_proxy().await;
        let (new, behind) = (push("1", 1), push("1", 2));
        let (id, next) = (new.id, behind.id);
        plan(&store, vec![new]).await;
        plan(&store, vec![behind]).await;
        let claimed = claim_one(&store, id, at(0)).await;
        proxy.trap(trap.clone(), 1);
        let done = Finish { attempt: Some(attempt("done")), ..outcome(&claimed, State::Delivered, at(1)) };
        let finished = store.finish(vec![done]).await.unwrap();
        assert!(matches!(&finished[..], [Finished::Written { .. }]), "{trap:?}: {finished:?}");
        assert_eq!(proxy.counts().trapped, 1);
        assert_eq!(states(&store, &[id, next]).await, ["delivered", "due"]);
        assert_eq!(world.count("attempts").await, 1);
    }
}

#[tokio::test]
async fn a_plan_whose_commit_was_not_answered_is_written_once() {
    for trap in [Trap::Before(b"COMMIT".to_vec()), Trap::After(b"COMMIT".to_vec())] {
        let (store, proxy, world) = through_proxy().await;
        plan(&store, vec![push("0", 1)]).await;
        let id = accepted(&store).await;
        proxy.trap(trap, 1);
        store.plan(plan_of(id, vec![push("1", 1)], at(0))).await.unwrap();
        assert_eq!(proxy.counts().trapped, 1);
        assert_eq!(world.count("deliveries").await, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_it_holds_is_refused_at_once() {
    let world = World::new().await;
    let store = world.open().await;
    store.append(event("before")).await.unwrap();
    let holder = world.connect().await;
    holder.batch_execute("BEGIN; LOCK TABLE events IN EXCLUSIVE MODE").await.unwrap();
    let tasks: Vec<_> = (0..6000)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.append(event(&n.to_string())).await })
        })
        .collect();
    let (mut kept, mut overloaded, mut unavailable) = (0, 0, 0);
    let deadline = Instant::now() + Duration::from_secs(4);
    while tasks.iter().filter(|task| task.is_finished()).count() < 500 {
        assert!(Instant::now() < deadline, "nobody was refused");
        tokio::task::yield_now().await;
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => kept += 1,
            Err(StoreError::Overloaded) => overloaded += 1,
            Err(StoreError::Unavailable(_)) => unavailable += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(overloaded >= 500, "{kept} kept, {overloaded} refused, {unavailable} given up");
    assert!(store.counts().await.unwrap().events["accepted"] > kept, "nothing that was acknowledged is lost");
}
