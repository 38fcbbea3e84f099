//! Inside a lane one goes at a time and in order; of states only the newest goes at all.

use super::fixture::*;
use spindel_model::{DeliveryId, State};
use spindel_store::{DeliveryFilter, NewDelivery};

/// Plans each as an event of its own; answers their ids.
async fn placed(store: &Shared, deliveries: Vec<NewDelivery>) -> Vec<DeliveryId> {
    let ids = ids(&deliveries);
    for delivery in deliveries {
        plan(store, vec![delivery]).await;
    }
    ids
}

pub async fn the_second_of_a_lane_waits_and_moves_up(store: Shared) {
    let ids = placed(&store, vec![push("1", 1), push("1", 3), push("1", 2)]).await;
    assert_eq!(states(&store, &ids).await, ["due", "waiting", "waiting"]);
    assert_eq!(claim(&store, &ids, at(0)).await.len(), 1);
    let running = store.deliveries(DeliveryFilter { states: vec!["running".into()], ..everything() }).await.unwrap();
    assert_eq!(running.len(), 1);
    store.finish(vec![]).await.unwrap();

    let again = push("1", 1);
    let late = again.id;
    plan(&store, vec![again]).await;
    let claimed = store.delivery(ids[0]).await.unwrap().unwrap().delivery;
    let finish = spindel_store::Finish {
        id: ids[0],
        fence: claimed.fence,
        state: State::Delivered,
        attempts: 1,
        attempt: None,
        applied: Some(claimed.version),
        link: None,
        now: at(5),
    };
    let next = self::finish(&store, finish).await.unwrap();
    assert_eq!((next.id, next.fresh), (late, true), "the oldest version goes first");
    assert_eq!(state(&store, late).await, State::Due { at: at(5) });
    assert_eq!(end(&store, late, State::Stale, at(5)).await.unwrap().id, ids[2]);
    assert_eq!(end(&store, ids[2], dead(), at(5)).await.unwrap().id, ids[1], "a dead one holds nobody up");
    assert_eq!(end(&store, ids[1], State::Delivered, at(5)).await, None);
}

pub async fn lanes_do_not_hold_each_other_back(store: Shared) {
    let elsewhere = NewDelivery { to: "crm".into(), ..push("1", 1) };
    let other_source = NewDelivery { from: "market".into(), ..push("1", 1) };
    let other_kind = stock("1", 1);
    let ids = placed(&store, vec![push("1", 1), push("2", 1), elsewhere, other_source, other_kind]).await;
    assert_eq!(states(&store, &ids).await, ["due"; 5]);
}

pub async fn an_older_version_goes_before_one_that_is_only_due(store: Shared) {
    let (newer, older) = (push("1", 2), push("1", 1));
    let ids = [newer.id, older.id];
    assert_eq!(ready_ids(&plan(&store, vec![newer]).await.ready), ids[..1]);
    assert_eq!(ready_ids(&plan(&store, vec![older]).await.ready), ids[1..]);
    assert_eq!(states(&store, &ids).await, ["waiting", "due"]);
    let one_event = vec![push("2", 2), NewDelivery { change: 1, ..push("2", 1) }];
    let pair = self::ids(&one_event);
    let planned = plan(&store, one_event).await;
    assert_eq!(ready_ids(&planned.ready), pair[1..], "what stepped back is not announced");
}

pub async fn nobody_overtakes_what_was_sent(store: Shared) {
    let ids = placed(&store, vec![push("1", 5), push("2", 5)]).await;
    let claimed = claim(&store, &ids, at(0)).await;
    let in_doubt = State::InDoubt { look_up_at: Some(at(9)) };
    finish(&store, outcome(&claimed[1], in_doubt.clone(), at(0))).await;
    let late = placed(&store, vec![push("1", 1), push("2", 1)]).await;
    assert_eq!(states(&store, &ids).await, ["running", "in_doubt"]);
    assert_eq!(states(&store, &late).await, ["waiting", "waiting"]);
    assert_eq!(finish(&store, outcome(&claimed[0], in_doubt, at(0))).await, None, "in doubt keeps its place");
}

pub async fn equal_versions_go_by_arrival(store: Shared) {
    let (first, second) = (accepted(&store).await, accepted(&store).await);
    let (one, two) = (push("1", 7), push("1", 7));
    let ids = [one.id, two.id];
    store.plan(plan_of(second, vec![two], at(0))).await.unwrap();
    store.plan(plan_of(first, vec![one], at(0))).await.unwrap();
    assert_eq!(states(&store, &ids).await, ["due", "waiting"], "arrival of the event, not of its plan");
}

pub async fn a_retry_keeps_its_place(store: Shared) {
    let ids = placed(&store, vec![push("1", 1), push("1", 2)]).await;
    assert_eq!(end(&store, ids[0], State::Due { at: at(20) }, at(0)).await, None);
    assert_eq!(states(&store, &ids).await, ["due", "waiting"]);
    assert!(claim(&store, &ids, at(19)).await.is_empty());
    assert_eq!(claim_one(&store, ids[0], at(20)).await.delivery.attempts, 1);
}

pub async fn a_retry_lets_an_older_version_go_first(store: Shared) {
    let head = placed(&store, vec![push("1", 5)]).await[0];
    let claimed = claim_one(&store, head, at(0)).await;
    let older = placed(&store, vec![push("1", 1)]).await[0];
    let next = finish(&store, outcome(&claimed, State::Due { at: at(20) }, at(1))).await.unwrap();
    assert_eq!(next.id, older);
    assert_eq!(state(&store, head).await, State::Waiting { at: at(20) });
    assert_eq!(end(&store, older, State::Delivered, at(2)).await, None, "the retry is not due yet");
    assert_eq!(state(&store, head).await, State::Due { at: at(20) });
}

pub async fn a_paused_head_holds_its_lane(store: Shared) {
    let ids = placed(&store, vec![push("1", 1), push("1", 2), push("2", 1)]).await;
    assert_eq!(end(&store, ids[0], State::Paused { reason: "wrong password".into() }, at(0)).await, None);
    assert_eq!(end(&store, ids[2], State::Held { guard: "zeroed".into() }, at(0)).await, None);
    assert_eq!(states(&store, &ids).await, ["paused", "waiting", "held"]);
    assert_eq!(store.wake(ERP, at(100_000), at(100_060), 10).await.unwrap().ready, []);
}

pub async fn a_state_to_be_sent_again_yields_to_a_newer_one(store: Shared) {
    let old = placed(&store, vec![stock("A-1", 1)]).await[0];
    let claimed = claim_one(&store, old, at(0)).await;
    let new = placed(&store, vec![stock("A-1", 2)]).await[0];
    assert_eq!(state(&store, new).await, State::Waiting { at: at(0) });
    let next = finish(&store, outcome(&claimed, State::Due { at: at(20) }, at(1))).await.unwrap();
    assert_eq!(next.id, new);
    assert_eq!(state(&store, old).await, State::Superseded { by: new });
}

pub async fn of_state_only_the_newest_is_left(store: Shared) {
    let (first, second, third) = (stock("A-1", 1), stock("A-1", 2), stock("A-1", 2));
    let ids = [first.id, second.id, third.id];
    plan(&store, vec![first]).await;
    let planned = plan(&store, vec![second]).await;
    assert_eq!((ready_ids(&planned.ready), planned.superseded), (vec![ids[1]], 1));
    plan(&store, vec![third]).await;
    assert_eq!(state(&store, ids[0]).await, State::Superseded { by: ids[1] });
    assert_eq!(state(&store, ids[1]).await, State::Superseded { by: ids[2] }, "of equal versions the later");
    assert_eq!(state(&store, ids[2]).await, State::Due { at: at(0) });
}

pub async fn an_older_state_is_superseded_on_arrival(store: Shared) {
    let ids = placed(&store, vec![stock("A-1", 2), stock("A-1", 1)]).await;
    assert_eq!(state(&store, ids[1]).await, State::Superseded { by: ids[0] });
    assert_eq!(states(&store, &ids[..1]).await, ["due"]);
}

pub async fn a_state_that_is_under_way_is_never_superseded(store: Shared) {
    let first = placed(&store, vec![stock("A-1", 1)]).await[0];
    let claimed = claim_one(&store, first, at(0)).await;
    let later = placed(&store, vec![stock("A-1", 2), stock("A-1", 3)]).await;
    assert_eq!(states(&store, &[first]).await, ["running"]);
    assert_eq!(state(&store, later[0]).await, State::Superseded { by: later[1] });
    finish(&store, outcome(&claimed, State::InDoubt { look_up_at: None }, at(0))).await;
    let last = placed(&store, vec![stock("A-1", 4)]).await[0];
    assert_eq!(states(&store, &[first, later[1], last]).await, ["in_doubt", "superseded", "waiting"]);
}

pub async fn orders_are_never_coalesced(store: Shared) {
    let ids = placed(&store, (0..5).map(|version| push("1", version)).collect()).await;
    assert_eq!(states(&store, &ids).await, ["due", "waiting", "waiting", "waiting", "waiting"]);
}

pub async fn ten_thousand_changes_to_a_hundred_items_leave_a_hundred(store: Shared) {
    for batch in 0..100_i64 {
        let changes = (0..100_u32).map(|sku| NewDelivery {
            change: sku,
            action_json: None,
            ..stock(&format!("SKU-{sku}"), (batch * 37 + i64::from(sku)) % 100)
        });
        plan(&store, changes.collect()).await;
    }
    let all = store.deliveries(everything()).await.unwrap();
    assert_eq!(all.len(), 10_000);
    let live: Vec<_> = all.iter().filter(|it| !it.state.is_end()).collect();
    assert_eq!(live.len(), 100);
    for survivor in &live {
        let newest = all.iter().filter(|it| it.lane == survivor.lane).map(|it| it.version).max();
        assert_eq!(newest, Some(survivor.version), "the newest of {} is left", survivor.lane);
    }
    for it in all.iter().filter(|it| it.state.is_end()) {
        let State::Superseded { by } = it.state else { panic!("{:?}", it.state) };
        let by = all.iter().find(|other| other.id == by).unwrap();
        assert!(by.lane == it.lane && by.version >= it.version);
    }
}
