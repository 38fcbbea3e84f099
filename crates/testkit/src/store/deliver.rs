//! Leases, outcomes, timers, and what is known of the destination.

use super::fixture::*;
use spindel_model::{Cause, EntityKind, EntityRef, Reference, State, Version};
use spindel_store::{Claim, Claimant, Finish, Finished, NewDelivery};
use std::sync::Arc;

pub async fn a_claim_brings_all_that_is_needed(store: Shared) {
    let new = push("1", 3);
    plan(&store, vec![new.clone()]).await;
    let it = claim_one(&store, new.id, at(2)).await;
    assert_eq!((it.in_doubt, it.known, it.applied, it.first_due_at), (false, None, None, at(0)));
    assert_eq!(it.action_json, new.action_json);
    assert_eq!((it.delivery.lane, it.delivery.version, it.delivery.action), (new.lane, new.version, new.action));
    let State::Running { lease } = it.delivery.state else { panic!("it is leased") };
    assert_eq!((lease.node.as_str(), lease.until), ("node-1", at(32)));
    assert_eq!(store.delivery(new.id).await.unwrap().unwrap().delivery.fence, it.delivery.fence);
}

pub async fn a_delivery_is_claimed_once_however_many_ask(store: Shared) {
    let deliveries: Vec<_> = (0..20).map(|n| NewDelivery { change: n, ..push(&n.to_string(), 1) }).collect();
    let ids = ids(&deliveries);
    plan(&store, deliveries).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, ids) = (Arc::clone(&store), ids.clone());
            tokio::spawn(async move { claim(&store, &ids, at(0)).await.len() })
        })
        .collect();
    let mut claimed = 0;
    for task in tasks {
        claimed += task.await.unwrap();
    }
    assert_eq!(claimed, 20);
}

pub async fn nothing_is_claimed_before_its_time_or_for_another_destination(store: Shared) {
    let new = NewDelivery { state: State::Due { at: at(10) }, ..push("1", 1) };
    let id = new.id;
    plan(&store, vec![new]).await;
    assert!(claim(&store, &[id], at(9)).await.is_empty());
    let elsewhere = Claim { to: "crm".into(), ids: vec![id], by: by(at(10)) };
    assert!(store.claim(elsewhere).await.unwrap().is_empty());
    assert_eq!(claim(&store, &[id], at(10)).await.len(), 1);
}

pub async fn an_outdated_fence_changes_nothing(store: Shared) {
    let (new, behind) = (push("1", 1), push("1", 2));
    let (id, next) = (new.id, behind.id);
    plan(&store, vec![new]).await;
    plan(&store, vec![behind]).await;
    let slow = claim_one(&store, id, at(0)).await;
    // Its lease ran out; somebody put it back and somebody else took it.
    finish(&store, outcome(&slow, State::Due { at: at(40) }, at(40))).await;
    let quick = claim_one(&store, id, at(40)).await;
    assert!(quick.delivery.fence > slow.delivery.fence);
    let late = Finish {
        applied: Some(slow.delivery.version),
        attempt: Some(attempt("late")),
        link: Some(Reference { id: "9".into(), number: None }),
        ..outcome(&slow, State::Delivered, at(41))
    };
    assert_eq!(store.finish(vec![late.clone()]).await.unwrap(), [Finished::Fenced]);
    assert_eq!(states(&store, &[id, next]).await, ["running", "waiting"]);
    let detail = store.delivery(id).await.unwrap().unwrap();
    assert_eq!((detail.attempts, detail.reference), (vec![], None));
    finish(&store, outcome(&quick, State::Delivered, at(42))).await;
    assert_eq!(store.finish(vec![late]).await.unwrap(), [Finished::Fenced], "it has ended");
}

pub async fn a_lease_that_ran_out_is_found(store: Shared) {
    let new = push("1", 1);
    let id = new.id;
    plan(&store, vec![new]).await;
    let claimed = claim_one(&store, id, at(0)).await;
    assert_eq!(store.expired(at(29), None, 10).await.unwrap(), []);
    assert_eq!(store.expired(at(30), None, 10).await.unwrap(), [claimed.delivery]);
}

pub async fn a_dead_nodes_leases_are_found_at_once(store: Shared) {
    let deliveries: Vec<_> = (0..3).map(|n| NewDelivery { change: n, ..push(&n.to_string(), 1) }).collect();
    let ids = ids(&deliveries);
    plan(&store, deliveries).await;
    claim(&store, &ids[..2], at(0)).await;
    let other = Claimant { node: "node-2".into(), ..by(at(0)) };
    store.claim(Claim { to: ERP.into(), ids: ids[2..].to_vec(), by: other }).await.unwrap();
    let mut found: Vec<_> = store.expired(at(1), Some("node-1"), 10).await.unwrap().iter().map(|it| it.id).collect();
    found.sort();
    assert_eq!(found, ids[..2]);
    assert_eq!(store.expired(at(1), Some("node-1"), 1).await.unwrap().len(), 1);
    assert_eq!(store.expired(at(1), None, 10).await.unwrap(), []);
}

pub async fn a_heartbeat_prolongs_only_what_is_held(store: Shared) {
    let (one, two) = (push("1", 1), NewDelivery { change: 1, ..push("2", 1) });
    let ids = [one.id, two.id];
    plan(&store, vec![one, two]).await;
    let claimed = claim(&store, &ids, at(0)).await;
    let held = vec![(ids[0], claimed[0].delivery.fence), (ids[1], claimed[1].delivery.fence - 1)];
    assert_eq!(store.heartbeat(held, at(60)).await.unwrap(), [ids[0]]);
    let expired: Vec<_> = store.expired(at(30), None, 10).await.unwrap().iter().map(|it| it.id).collect();
    assert_eq!(expired, [ids[1]]);
}

pub async fn in_doubt_is_claimed_again_to_be_looked_up(store: Shared) {
    let (one, two) = (push("1", 1), NewDelivery { change: 1, ..push("2", 1) });
    let ids = [one.id, two.id];
    plan(&store, vec![one, two]).await;
    let claimed = claim(&store, &ids, at(0)).await;
    finish(&store, outcome(&claimed[0], State::InDoubt { look_up_at: Some(at(10)) }, at(1))).await;
    finish(&store, outcome(&claimed[1], State::InDoubt { look_up_at: None }, at(1))).await;
    assert!(claim(&store, &ids, at(9)).await.is_empty());
    assert_eq!(ready_ids(&store.wake(ERP, at(10), at(70), 10).await.unwrap().ready), [ids[0]]);
    let again = claim(&store, &ids, at(10)).await;
    assert_eq!(again.len(), 1, "without a time only a person can tell");
    assert!(again[0].in_doubt);
    assert_eq!((again[0].delivery.id, again[0].first_due_at), (ids[0], at(0)));
}

pub async fn a_batch_is_filled_with_the_oldest_of_the_same_flow_and_action(store: Shared) {
    let due = |n: u32, seconds| NewDelivery { change: n, state: State::Due { at: at(seconds) }, ..stock(&n.to_string(), 1) };
    let others = [
        NewDelivery { flow: "stock-2".into(), ..due(5, 0) },
        NewDelivery { to: "crm".into(), ..due(6, 0) },
        NewDelivery { change: 7, flow: "stock".into(), ..push("7", 1) },
    ];
    let mut deliveries = vec![due(0, 3), due(1, 1), due(2, 2), due(3, 50)];
    let ids = ids(&deliveries);
    deliveries.extend(others);
    plan(&store, deliveries).await;
    let more = |limit| store.claim_more(ERP, "stock", spindel_model::ActionKind::SetStock, limit, by(at(10)));
    let taken = |claims: Vec<spindel_store::Claimed>| claims.iter().map(|it| it.delivery.id).collect::<Vec<_>>();
    assert_eq!(taken(more(2).await.unwrap()), [ids[1], ids[2]]);
    assert_eq!(taken(more(10).await.unwrap()), [ids[0]]);
}

pub async fn a_lost_announcement_is_repeated(store: Shared) {
    let (now, later) = (push("1", 1), NewDelivery { change: 1, state: State::Due { at: at(10) }, ..push("2", 1) });
    let ids = [now.id, later.id];
    plan(&store, vec![now, later]).await;
    assert_eq!(store.wake(ERP, at(9), at(99), 10).await.unwrap().ready, [], "it was announced just now");
    assert_eq!(store.next_wake(ERP).await.unwrap(), Some(at(10)));
    assert_eq!(ready_ids(&store.wake(ERP, at(10), at(99), 10).await.unwrap().ready), ids[1..]);
    assert_eq!(ready_ids(&store.wake(ERP, at(60), at(120), 10).await.unwrap().ready), ids[..1], "not taken for a minute");
    assert_eq!(store.next_wake(ERP).await.unwrap(), Some(at(99)));
    claim(&store, &ids, at(60)).await;
    assert_eq!(store.next_wake(ERP).await.unwrap(), None, "leases are another matter");
    assert_eq!(store.wake(ERP, at(1000), at(1060), 10).await.unwrap().ready, []);
}

pub async fn after_the_queue_was_lost_everything_due_is_announced_again(store: Shared) {
    let (now, later) = (push("1", 1), NewDelivery { change: 1, state: State::Due { at: at(10) }, ..push("2", 1) });
    let ids = [now.id, later.id];
    plan(&store, vec![now, later]).await;
    assert_eq!(ready_ids(&store.wake_unheard(ERP, at(1), at(121), 10).await.unwrap().ready), ids[..1], "and nothing sooner");
    assert_eq!(store.wake_unheard(ERP, at(1), at(121), 10).await.unwrap().ready, [], "once is enough");
    assert_eq!(store.next_wake(ERP).await.unwrap(), Some(at(10)), "what is due later keeps its time");
}

pub async fn waking_says_whether_there_is_more(store: Shared) {
    let due =
        |n: u32| NewDelivery { change: n, cause: Cause::Replay, state: State::Due { at: at(10) }, ..push(&n.to_string(), 1) };
    plan(&store, (0..5).map(due).collect()).await;
    let first = store.wake(ERP, at(10), at(70), 3).await.unwrap();
    assert_eq!((first.ready.len(), first.more), (3, true));
    assert!(first.ready.iter().all(|ready| !ready.fresh), "replays come after fresh work");
    let rest = store.wake(ERP, at(10), at(70), 3).await.unwrap();
    assert_eq!((rest.ready.len(), rest.more), (2, false));
}

pub async fn the_version_guard_only_moves_forward(store: Shared) {
    for (version, expected) in [(5, None), (3, Some(5)), (7, Some(5)), (8, Some(7))] {
        let new = push("1", version);
        let id = new.id;
        plan(&store, vec![new]).await;
        let claimed = claim_one(&store, id, at(0)).await;
        assert_eq!(claimed.applied, expected.map(Version));
        finish(&store, Finish { applied: Some(claimed.delivery.version), ..outcome(&claimed, State::Delivered, at(0)) }).await;
    }
    let other = NewDelivery { action: spindel_model::ActionKind::CancelOrder, ..push("1", 1) };
    let id = other.id;
    plan(&store, vec![other]).await;
    assert_eq!(claim_one(&store, id, at(0)).await.applied, None, "each kind of action for itself");
}

pub async fn a_link_is_known_in_both_directions(store: Shared) {
    let first = push("1001", 1);
    let id = first.id;
    plan(&store, vec![first]).await;
    deliver_as(&store, id, Reference { id: "42".into(), number: Some("S00042".into()) }).await;
    let again = push("1001", 2);
    let there = again.id;
    plan(&store, vec![again]).await;
    assert_eq!(claim_one(&store, there, at(0)).await.known.as_deref(), Some("42"));
    let order = EntityRef::new(EntityKind::Order, "42");
    let back = NewDelivery { from: ERP.into(), to: SHOP.into(), entity: order.clone(), lane: order, ..push("1001", 1) };
    let id = back.id;
    plan(&store, vec![back]).await;
    let claimed = store.claim(Claim { to: SHOP.into(), ids: vec![id], by: by(at(0)) }).await.unwrap();
    assert_eq!(claimed[0].known.as_deref(), Some("1001"));
    let kind = stock("1001", 1);
    let id = kind.id;
    plan(&store, vec![kind]).await;
    assert_eq!(claim_one(&store, id, at(0)).await.known, None, "another kind of record is another record");
}

pub async fn a_link_follows_the_newest_word(store: Shared) {
    let number = |text: &str| Some(text.to_owned());
    for (order, reference) in [
        ("1", Reference { id: "42".into(), number: number("S42") }),
        ("1", Reference { id: "42".into(), number: None }),
        ("2", Reference { id: "43".into(), number: number("S43") }),
        ("1", Reference { id: "43".into(), number: number("S43") }),
    ] {
        let new = push(order, 1);
        let id = new.id;
        plan(&store, vec![new]).await;
        deliver_as(&store, id, reference.clone()).await;
        let expected = Reference { number: reference.number.or(number("S42")), ..reference };
        assert_eq!(store.delivery(id).await.unwrap().unwrap().reference, Some(expected));
    }
    let new = push("2", 2);
    let id = new.id;
    plan(&store, vec![new]).await;
    assert_eq!(claim_one(&store, id, at(0)).await.known, None, "a record has one counterpart");
}

pub async fn attempts_are_kept_with_their_exchanges(store: Shared) {
    let new = push("1", 1);
    let id = new.id;
    plan(&store, vec![new]).await;
    let tries = [attempt("the connection was cut"), attempt("the connection was refused")];
    for (seconds, it) in tries.iter().enumerate() {
        let now = at(seconds as i64);
        let claimed = claim_one(&store, id, now).await;
        assert_eq!(claimed.delivery.attempts as usize, seconds);
        finish(&store, Finish { attempt: Some(it.clone()), ..outcome(&claimed, State::Due { at: now }, now) }).await;
    }
    assert_eq!(store.delivery(id).await.unwrap().unwrap().attempts, tries);
}

pub async fn the_time_of_the_first_try_survives_retries(store: Shared) {
    let new = push("1", 1);
    let id = new.id;
    plan(&store, vec![new]).await;
    end(&store, id, State::Due { at: at(100) }, at(1)).await;
    let claimed = claim_one(&store, id, at(100)).await;
    assert_eq!(claimed.first_due_at, at(0));
    finish(&store, outcome(&claimed, dead(), at(101))).await;
    store.retry(vec![id], at(200)).await.unwrap();
    assert_eq!(claim_one(&store, id, at(200)).await.first_due_at, at(200), "a person's retry begins anew");
}
