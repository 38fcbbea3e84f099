//! What an event means is written once.

use super::fixture::*;
use spindel_model::{EventState, State};
use spindel_store::{EventFilter, NewDelivery, Planned};

pub async fn a_plan_names_what_is_due_now(store: Shared) {
    let (now, later) = (push("1", 1), NewDelivery { change: 1, state: State::Due { at: at(60) }, ..push("2", 1) });
    let ids = [now.id, later.id];
    let planned = plan(&store, vec![now, later]).await;
    assert_eq!(ready_ids(&planned.ready), ids[..1]);
    assert!(planned.ready[0].fresh);
    assert_eq!(planned.ready[0].to, ERP);
    assert_eq!(state(&store, ids[1]).await, State::Due { at: at(60) });
    assert_eq!(store.next_wake(ERP).await.unwrap(), Some(at(60)));
}

pub async fn an_event_is_planned_once(store: Shared) {
    let id = accepted(&store).await;
    let first = push("1", 1);
    store.plan(plan_of(id, vec![first.clone()], at(0))).await.unwrap();
    let again = store.plan(plan_of(id, vec![push("1", 1)], at(1))).await.unwrap();
    assert_eq!(again, Planned::default());
    let all = store.deliveries(everything()).await.unwrap();
    assert_eq!(all.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [first.id]);
    assert_eq!((all[0].entity.clone(), all[0].label.clone()), (first.entity, first.label));
    assert_eq!((all[0].event, all[0].created_at, all[0].attempts), (id, at(0), 0));
}

pub async fn an_end_in_the_plan_takes_no_place(store: Shared) {
    let skipped = NewDelivery { state: State::Skipped { reason: "the filter says no".into() }, ..push("1", 1) };
    let dead = NewDelivery { change: 1, state: dead(), action_json: None, ..push("1", 1) };
    let due = NewDelivery { change: 2, ..push("1", 2) };
    let ids = [skipped.id, dead.id, due.id];
    let planned = plan(&store, vec![skipped.clone(), dead.clone(), due]).await;
    assert_eq!(ready_ids(&planned.ready), [ids[2]]);
    assert_eq!(state(&store, ids[0]).await, skipped.state);
    assert_eq!(state(&store, ids[1]).await, dead.state);
}

pub async fn a_quarantined_event_says_why_and_can_be_planned_again(store: Shared) {
    let id = accepted(&store).await;
    let quarantined = EventState::Quarantined { reason: "line 1: no JSON".into() };
    let mut plan = plan_of(id, vec![], at(0));
    plan.state = quarantined.clone();
    store.plan(plan).await.unwrap();
    let filter = EventFilter { state: Some("quarantined".into()), limit: 10, ..EventFilter::default() };
    assert_eq!(store.events(filter).await.unwrap()[0].state, quarantined);
    assert_eq!(store.replan(vec![id]).await.unwrap(), [id]);
    assert_eq!(store.replan(vec![id]).await.unwrap(), [], "it is accepted already");
    assert_eq!(store.unplanned(at(1), 10).await.unwrap(), [id]);
    let planned = store.plan(plan_of(id, vec![push("1", 1)], at(1))).await.unwrap();
    assert_eq!(planned.ready.len(), 1);
    assert_eq!(store.event(id).await.unwrap().unwrap().state, EventState::Planned);
}

pub async fn planning_again_revives_only_what_had_not_arrived(store: Shared) {
    let id = accepted(&store).await;
    let arrived = push("1", 1);
    let failed = NewDelivery { change: 1, ..push("2", 1) };
    let skipped = NewDelivery { change: 2, state: State::Skipped { reason: "no SKU".into() }, action_json: None, ..push("3", 1) };
    let discarded = NewDelivery { change: 3, ..push("4", 1) };
    let old = vec![arrived, failed, skipped, discarded];
    let ids = ids(&old);
    store.plan(plan_of(id, old.clone(), at(0))).await.unwrap();
    end(&store, ids[0], State::Delivered, at(1)).await;
    end(&store, ids[1], dead(), at(1)).await;
    store.discard(vec![ids[3]], "kari", "placed by mistake", at(1)).await.unwrap();
    store.replan(vec![id]).await.unwrap();

    let new = |it: &NewDelivery| NewDelivery {
        id: spindel_model::DeliveryId::new(),
        state: State::Due { at: at(2) },
        action_json: Some(b"{\"do\":\"mended\"}".to_vec()),
        ..it.clone()
    };
    let mut deliveries: Vec<_> = old.iter().map(new).collect();
    let added = NewDelivery { change: 4, ..push("5", 1) };
    deliveries.push(added.clone());
    let planned = store.plan(plan_of(id, deliveries, at(2))).await.unwrap();

    assert_eq!(ready_ids(&planned.ready), [ids[1], ids[2], added.id], "under their old ids");
    assert_eq!(states(&store, &ids).await, ["delivered", "due", "due", "discarded"]);
    let claimed = claim(&store, &ids, at(2)).await;
    assert_eq!(claimed.len(), 2);
    for it in claimed {
        assert_eq!(it.action_json.as_deref(), Some(&b"{\"do\":\"mended\"}"[..]));
        assert_eq!((it.delivery.attempts, it.first_due_at), (0, at(2)));
    }
}
