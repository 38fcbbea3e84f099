//! Lanes where this store looks only as far as it must: long ones, many at once, and texts it has no room for.

use super::*;
use spindel_model::{EntityRef, EventState, Indexed, Mention, MentionKind, Reference};
use spindel_store::{EventPlan, Finish};

#[tokio::test]
async fn who_waits_further_back_than_was_looked_is_found_when_all_before_are_superseded() {
    let world = World::new().await;
    let store: Shared = world.open().await;
    let lane = |new: NewDelivery| NewDelivery { lane: EntityRef::new(spindel_model::EntityKind::Stock, "A-1"), ..new };
    let first = lane(push("1", 0));
    let head = first.id;
    plan(&store, vec![first]).await;
    let flows = (1..6).map(|n| NewDelivery { flow: format!("stock-{n}"), ..lane(stock("A-1", n)) });
    let states: Vec<_> = flows.collect();
    let older = ids(&states);
    for new in states {
        plan(&store, vec![new]).await;
    }
    let order = lane(push("1", 7));
    let next = order.id;
    plan(&store, vec![order]).await;
    // As a configuration that gives them all to one flow leaves them.
    world.run("UPDATE deliveries SET flow = 'stock' WHERE flow LIKE 'stock-%'").await;
    end(&store, head, State::Delivered, at(0)).await;

    let new = lane(stock("A-1", 9));
    let newest = new.id;
    let planned = plan(&store, vec![new]).await;
    assert_eq!((ready_ids(&planned.ready), planned.superseded), (vec![next], 5));
    assert_eq!(super::states(&store, &[next, newest]).await, ["due", "waiting"]);
    assert_eq!(super::states(&store, &older).await, ["superseded"; 5]);
}

#[tokio::test]
async fn more_lanes_than_the_server_has_room_to_lock_are_planned_in_one_go() {
    let world = World::new().await;
    let store: Shared = world.open().await;
    let many: Vec<_> = (0..24_000).map(|n| NewDelivery { change: n, action_json: None, ..push(&n.to_string(), 1) }).collect();
    assert_eq!(plan(&store, many).await.ready.len(), 24_000);
    assert_eq!(store.counts().await.unwrap().deliveries["due"], 24_000);
}

#[tokio::test]
async fn what_was_planned_and_carried_out_may_hold_characters_that_the_database_has_no_room_for() {
    let world = World::new().await;
    let store: Shared = world.open().await;
    let event = accepted(&store).await;
    let new = NewDelivery { label: Some("#1\0".into()), ..push("1\0", 1) };
    let id = new.id;
    let number = Mention { kind: MentionKind::OrderNumber, value: "10\u{0}01".into() };
    let indexed = vec![Indexed { entity: new.entity.clone(), mentions: vec![number] }];
    store.plan(EventPlan { indexed, ..plan_of(event, vec![new], at(0)) }).await.unwrap();
    let claimed = claim_one(&store, id, at(0)).await;
    let done = Finish {
        link: Some(Reference { id: "42\0".into(), number: Some("S\0".into()) }),
        attempt: Some(attempt("no\0thing")),
        ..outcome(&claimed, State::Conflict { reason: "a\0b".into() }, at(1))
    };
    finish(&store, done).await;
    let reread = store.delivery(id).await.unwrap().unwrap();
    assert_eq!(reread.delivery.state, State::Conflict { reason: "a\u{fffd}b".into() });
    assert_eq!(reread.attempts[0].message, "no\u{fffd}thing");

    let broken = accepted(&store).await;
    let state = EventState::Quarantined { reason: "line \0".into() };
    store.plan(EventPlan { state, ..plan_of(broken, vec![], at(0)) }).await.unwrap();
    // The search keys can be read back when they are pruned.
    assert_eq!(store.prune(at(100), at(100), 10).await.unwrap(), 2);
    assert_eq!(world.count("mentions").await, 0);
}

#[tokio::test]
async fn links_of_one_group_that_contradict_each_other_leave_each_record_with_one_counterpart() {
    let world = World::new().await;
    let store: Shared = world.open().await;
    let orders: Vec<_> = (0..3).map(|n| NewDelivery { change: n, ..push(&n.to_string(), 1) }).collect();
    let ids = ids(&orders);
    plan(&store, orders).await;
    let claimed = claim(&store, &ids, at(0)).await;
    let link = |n: usize, id: &str| Finish {
        link: Some(Reference { id: id.into(), number: None }),
        ..outcome(&claimed[n], State::Delivered, at(1))
    };
    let finished = store.finish(vec![link(0, "42"), link(1, "43"), link(2, "42")]).await.unwrap();
    assert!(finished.iter().all(|it| matches!(it, Finished::Written { .. })), "{finished:?}");
    let mut left = Vec::new();
    for id in ids {
        left.push(store.delivery(id).await.unwrap().unwrap().reference.map(|it| it.id));
    }
    assert_eq!(left, [None, Some("43".into()), Some("42".into())], "the newest word counts");
}
