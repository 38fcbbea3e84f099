//! What people do by hand and what they look up.

use super::fixture::*;
use spindel_model::{ActionKind, DeliveryId, EntityKind, EntityRef, Indexed, Mention, MentionKind, Reference, State};
use spindel_store::{DeliveryFilter, EventPlan, NewDelivery};
use std::sync::Arc;

/// One delivery in a lane of its own, brought to this state.
async fn brought_to(store: &Shared, order: &str, state: State) -> DeliveryId {
    let new = push(order, 1);
    let id = new.id;
    plan(store, vec![new]).await;
    end(store, id, state, at(0)).await;
    id
}

pub async fn a_retry_puts_what_ended_back_to_work(store: Shared) {
    let mut ids = Vec::new();
    for (n, state) in [
        dead(),
        State::Conflict { reason: "changed by hand".into() },
        State::Paused { reason: "wrong password".into() },
        State::Held { guard: "zeroed".into() },
        State::InDoubt { look_up_at: None },
        State::Due { at: at(9000) },
        State::Skipped { reason: "not yet".into() },
    ]
    .into_iter()
    .enumerate()
    {
        ids.push(brought_to(&store, &n.to_string(), state).await);
    }
    store.discard(vec![ids[0]], "kari", "a test", at(1)).await.unwrap();
    let ready = store.retry(ids.clone(), at(5)).await.unwrap();
    assert_eq!(ready_ids(&ready), ids);
    assert!(ready.iter().all(|ready| !ready.fresh));
    let claimed = claim(&store, &ids, at(5)).await;
    assert_eq!(claimed.len(), ids.len());
    assert!(claimed.iter().all(|it| it.delivery.attempts == 0 && !it.in_doubt && it.first_due_at == at(5)));
}

pub async fn a_retry_leaves_what_arrived_or_runs_alone(store: Shared) {
    let delivered = brought_to(&store, "1", State::Delivered).await;
    let stale = brought_to(&store, "2", State::Stale).await;
    let new = push("3", 1);
    let running = new.id;
    plan(&store, vec![new]).await;
    claim_one(&store, running, at(0)).await;
    let ids = vec![delivered, stale, running, DeliveryId::new()];
    assert_eq!(store.retry(ids.clone(), at(5)).await.unwrap(), []);
    assert_eq!(states(&store, &ids[..3]).await, ["delivered", "stale", "running"]);
}

pub async fn a_retry_of_what_is_in_doubt_is_looked_up_first(store: Shared) {
    let id = brought_to(&store, "1", State::InDoubt { look_up_at: Some(at(9000)) }).await;
    assert_eq!(ready_ids(&store.retry(vec![id], at(5)).await.unwrap()), [id]);
    assert!(claim_one(&store, id, at(5)).await.in_doubt);
}

pub async fn a_retry_waits_for_its_turn(store: Shared) {
    let id = brought_to(&store, "1", dead()).await;
    let other = push("1", 2);
    let running = other.id;
    plan(&store, vec![other]).await;
    let claimed = claim_one(&store, running, at(0)).await;
    assert_eq!(store.retry(vec![id], at(5)).await.unwrap(), []);
    assert_eq!(state(&store, id).await, State::Waiting { at: at(5) });
    assert_eq!(finish(&store, outcome(&claimed, State::Delivered, at(6))).await.unwrap().id, id);
    let newer = push("1", 3);
    let due = newer.id;
    plan(&store, vec![newer]).await;
    assert_eq!(store.retry(vec![due], at(7)).await.unwrap(), [], "the one behind is left where it is");
    assert_eq!(states(&store, &[id, due]).await, ["due", "waiting"]);
}

pub async fn what_was_skipped_without_an_action_stays_skipped(store: Shared) {
    let skipped = State::Skipped { reason: "no SKU".into() };
    let new = NewDelivery { state: skipped.clone(), action_json: None, ..push("1", 1) };
    let id = new.id;
    plan(&store, vec![new]).await;
    assert_eq!(store.retry(vec![id], at(5)).await.unwrap(), []);
    assert_eq!(state(&store, id).await, skipped);
}

pub async fn a_discarded_delivery_lets_the_next_go(store: Shared) {
    let head = brought_to(&store, "1", State::Paused { reason: "wrong password".into() }).await;
    let (second, third) = (push("1", 2), push("1", 3));
    let behind = [second.id, third.id];
    plan(&store, vec![second]).await;
    plan(&store, vec![third]).await;
    let discarded = store.discard(vec![head, behind[0]], "kari", "cancelled by phone", at(5)).await.unwrap();
    assert_eq!(discarded, [head, behind[0]]);
    assert_eq!(state(&store, head).await, State::Discarded { by: "kari".into(), why: "cancelled by phone".into() });
    assert_eq!(state(&store, behind[1]).await, State::Due { at: at(5) });
    assert_eq!(ready_ids(&store.wake(ERP, at(5), at(65), 10).await.unwrap().ready), behind[1..]);
}

pub async fn what_arrived_or_runs_is_not_discarded(store: Shared) {
    let delivered = brought_to(&store, "1", State::Delivered).await;
    let gone = brought_to(&store, "2", dead()).await;
    let new = push("3", 1);
    let running = new.id;
    plan(&store, vec![new]).await;
    claim_one(&store, running, at(0)).await;
    assert_eq!(store.discard(vec![delivered, gone, running], "kari", "old", at(5)).await.unwrap(), [gone]);
}

/// Takes in an event about this order and plans it with its search keys.
async fn mentioned(store: &Shared, id: &str, number: &str, deliveries: Vec<NewDelivery>) -> spindel_model::EventId {
    let event = accepted(store).await;
    let mention = |kind, value: &str| Mention { kind, value: value.into() };
    let indexed = Indexed {
        entity: EntityRef::new(EntityKind::Order, id),
        mentions: vec![mention(MentionKind::OrderId, id), mention(MentionKind::OrderNumber, number)],
    };
    store.plan(EventPlan { indexed: vec![indexed], ..plan_of(event, deliveries, at(0)) }).await.unwrap();
    event
}

pub async fn an_order_is_traced_by_any_of_its_numbers(store: Shared) {
    let (created, updated) = (push("5001", 1), push("5001", 2));
    let ids = [created.id, updated.id];
    let first = mentioned(&store, "5001", "1001", vec![created]).await;
    deliver_as(&store, ids[0], Reference { id: "42".into(), number: Some("S00042".into()) }).await;
    // Only an id, as in a deletion.
    let second = accepted(&store).await;
    let by_id = Mention { kind: MentionKind::OrderId, value: "5001".into() };
    let indexed = vec![Indexed { entity: EntityRef::new(EntityKind::Order, "5001"), mentions: vec![by_id] }];
    store.plan(EventPlan { indexed, ..plan_of(second, vec![updated], at(0)) }).await.unwrap();
    mentioned(&store, "5002", "1002", vec![push("5002", 1)]).await;

    for number in ["1001", "#1001", "S00042", "s00042", "42", "5001"] {
        let trace = store.trace_order(number).await.unwrap();
        let events: Vec<_> = trace.events.iter().map(|event| event.id).collect();
        assert_eq!(events, [first, second], "by {number}");
        let deliveries: Vec<_> = trace.deliveries.iter().map(|it| it.delivery.id).collect();
        assert_eq!(deliveries, ids, "by {number}");
        assert!(trace.links.contains(&(ERP.into(), Reference { id: "42".into(), number: Some("S00042".into()) })), "by {number}");
        assert!(trace.links.iter().any(|(connection, there)| connection == SHOP && there.id == "5001"), "by {number}");
    }
    let nothing = store.trace_order("9999").await.unwrap();
    assert!(nothing.events.is_empty() && nothing.deliveries.is_empty() && nothing.links.is_empty());
}

pub async fn deliveries_are_filtered_and_paged(store: Shared) {
    let mut newest_first = Vec::new();
    for (n, state) in [State::Delivered, dead(), State::Due { at: at(50) }, State::Stale].into_iter().enumerate() {
        newest_first.insert(0, brought_to(&store, &n.to_string(), state).await);
    }
    let elsewhere = NewDelivery { to: "crm".into(), flow: "contacts".into(), action: ActionKind::UpsertCustomer, ..push("8", 1) };
    let new = push("9", 1);
    newest_first.splice(..0, [new.id, elsewhere.id]);
    plan(&store, vec![elsewhere]).await;
    let event = accepted(&store).await;
    store.plan(plan_of(event, vec![new], at(0))).await.unwrap();
    claim_one(&store, newest_first[0], at(0)).await;

    let listed = |filter: DeliveryFilter| {
        let store = Arc::clone(&store);
        async move { store.deliveries(filter).await.unwrap().iter().map(|it| it.id).collect::<Vec<_>>() }
    };
    let n = newest_first;
    assert_eq!(listed(everything()).await, n);
    assert_eq!(listed(DeliveryFilter { limit: 2, before: Some(n[1]), ..everything() }).await, n[2..4]);
    assert_eq!(listed(DeliveryFilter { to: Some("crm".into()), ..everything() }).await, [n[1]]);
    assert_eq!(listed(DeliveryFilter { flow: Some("contacts".into()), ..everything() }).await, [n[1]]);
    assert_eq!(listed(DeliveryFilter { event: Some(event), ..everything() }).await, [n[0]]);
    assert_eq!(listed(DeliveryFilter { event: Some(event), states: vec!["dead".into()], ..everything() }).await, []);
    assert_eq!(listed(DeliveryFilter { states: vec!["dead".into(), "due".into()], ..everything() }).await, [n[1], n[3], n[4]]);
    assert_eq!(listed(DeliveryFilter { undelivered: true, ..everything() }).await, [n[0], n[1], n[3], n[4]]);
    assert_eq!(listed(DeliveryFilter { undelivered: true, limit: 2, before: Some(n[0]), ..everything() }).await, [n[1], n[3]]);
}

pub async fn counts_say_how_many_stand_where(store: Shared) {
    brought_to(&store, "1", State::Delivered).await;
    brought_to(&store, "2", State::Delivered).await;
    brought_to(&store, "3", dead()).await;
    plan(&store, vec![push("4", 1)]).await;
    plan(&store, vec![push("4", 2)]).await;
    let running = push("5", 1);
    let id = running.id;
    plan(&store, vec![running]).await;
    claim_one(&store, id, at(0)).await;
    accepted(&store).await;
    let counts = store.counts().await.unwrap();
    let of = |name: &str| counts.deliveries.get(name).copied().unwrap_or(0);
    assert_eq!([of("delivered"), of("dead"), of("due"), of("waiting"), of("running"), of("stale")], [2, 1, 1, 1, 1, 0]);
    assert_eq!((counts.events["planned"], counts.events["accepted"]), (6, 1));
}
