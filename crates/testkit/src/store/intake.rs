//! What comes in is kept once, whole, and found again.

use super::fixture::*;
use spindel_model::{Cause, EventId, EventState, Rejected};
use spindel_store::{Appended, CursorMove, EventFilter, NewEvent};
use std::sync::Arc;

fn all() -> EventFilter {
    EventFilter { limit: 100, ..EventFilter::default() }
}

pub async fn an_event_comes_back_as_it_came(store: Shared) {
    let mut new = event("1");
    new.body = (0..=255).cycle().take(5000).collect();
    store.append(new.clone()).await.unwrap();
    let read = store.event(new.id).await.unwrap().unwrap();
    assert_eq!((read.id, &read.connection, &read.topic), (new.id, &new.connection, &new.topic));
    assert_eq!((read.cause, read.received_at, read.state), (new.cause, new.received_at, EventState::Accepted));
    assert_eq!((read.headers, read.body, read.duplicates), (new.headers, new.body, 0));
    assert_eq!(store.event(EventId::new()).await.unwrap(), None);
}

pub async fn a_repeated_event_is_counted_and_has_no_second_effect(store: Shared) {
    let first = event("1");
    assert_eq!(store.append(first.clone()).await.unwrap(), Appended::New(first.id));
    for _ in 0..2 {
        assert_eq!(store.append(event("1")).await.unwrap(), Appended::Duplicate(first.id));
    }
    let events = store.events(all()).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].duplicates, 2);
    assert_eq!(store.counts().await.unwrap().duplicates, 2);
}

pub async fn the_same_key_at_another_connection_is_another_event(store: Shared) {
    let other = NewEvent { connection: "market".into(), ..event("1") };
    store.append(event("1")).await.unwrap();
    assert_eq!(store.append(other.clone()).await.unwrap(), Appended::New(other.id));
}

pub async fn a_page_is_committed_with_its_cursor(store: Shared) {
    let cursor = |to: &str| CursorMove { connection: SHOP.into(), kind: "order".into(), cursor: to.into() };
    assert_eq!(store.cursor(SHOP, "order").await.unwrap(), None);
    let (one, two) = (event("1"), event("2"));
    let (first, second) = (one.id, two.id);
    let appended = store.append_page(vec![one, two, event("1")], cursor("page 1")).await.unwrap();
    assert_eq!(appended, [Appended::New(first), Appended::New(second), Appended::Duplicate(first)]);
    store.append_page(vec![], cursor("page 2")).await.unwrap();
    assert_eq!(store.cursor(SHOP, "order").await.unwrap().as_deref(), Some("page 2"));
    assert_eq!(store.cursor(SHOP, "product").await.unwrap(), None);
}

pub async fn refused_requests_are_listed_newest_first(store: Shared) {
    let rejected = |seconds| Rejected {
        connection: SHOP.into(),
        at: at(seconds),
        reason: "the signature does not match".into(),
        status: 401,
        size: 20,
    };
    for seconds in 0..3 {
        store.reject(rejected(seconds)).await.unwrap();
    }
    assert_eq!(store.rejected(2).await.unwrap(), [rejected(2), rejected(1)]);
    assert_eq!(store.counts().await.unwrap().rejected, 3);
}

pub async fn events_are_filtered_and_paged(store: Shared) {
    let mut seen = Vec::new();
    for n in 0..5 {
        let mut new = event(&n.to_string());
        if n == 2 {
            (new.connection, new.topic) = ("market".into(), "order".into());
        }
        if n == 3 {
            new.cause = Cause::Poll;
        }
        seen.insert(0, new.id);
        store.append(new).await.unwrap();
    }
    let listed = |filter: EventFilter| {
        let store = Arc::clone(&store);
        async move { store.events(filter).await.unwrap().iter().map(|event| event.id).collect::<Vec<_>>() }
    };
    assert_eq!(listed(all()).await, seen);
    assert_eq!(listed(EventFilter { limit: 2, ..all() }).await, seen[..2]);
    assert_eq!(listed(EventFilter { before: Some(seen[1]), limit: 2, ..all() }).await, seen[2..4]);
    assert_eq!(listed(EventFilter { connection: Some("market".into()), ..all() }).await, [seen[2]]);
    assert_eq!(listed(EventFilter { topic: Some("order".into()), ..all() }).await, [seen[2]]);
    assert_eq!(listed(EventFilter { cause: Some(Cause::Poll), ..all() }).await, [seen[1]]);
    let told_by_shop = EventFilter { connection: Some(SHOP.into()), cause: Some(Cause::Webhook), ..all() };
    assert_eq!(listed(told_by_shop).await, [seen[0], seen[3], seen[4]]);
    let mut plan = plan_of(seen[0], vec![], at(0));
    plan.state = EventState::Unrouted;
    store.plan(plan).await.unwrap();
    assert_eq!(listed(EventFilter { state: Some("unrouted".into()), ..all() }).await, [seen[0]]);
    assert_eq!(listed(EventFilter { state: Some("accepted".into()), ..all() }).await, seen[1..]);
    assert_eq!(listed(EventFilter { state: Some("planned".into()), ..all() }).await, []);
}

pub async fn following_along_sees_what_came_after(store: Shared) {
    let mut came = Vec::new();
    for n in 0..4 {
        let new = event(&n.to_string());
        came.push(new.id);
        store.append(new).await.unwrap();
    }
    let after = EventFilter { after: Some(came[1]), ..all() };
    let seen: Vec<_> = store.events(after).await.unwrap().iter().map(|event| event.id).collect();
    assert_eq!(seen, came[2..]);
}

pub async fn an_event_is_found_until_it_is_planned(store: Shared) {
    let (first, second) = (event("1"), NewEvent { received_at: at(5), ..event("2") });
    let ids = vec![first.id, second.id];
    store.append(second).await.unwrap();
    store.append(first.clone()).await.unwrap();
    assert_eq!(store.unplanned(at(10), 10).await.unwrap(), ids, "oldest first");
    assert_eq!(store.unplanned(at(10), 1).await.unwrap(), ids[..1]);
    assert_eq!(store.unplanned(at(5), 10).await.unwrap(), ids[..1], "only what was accepted before");
    let to_plan = store.to_plan(ids.clone()).await.unwrap();
    assert_eq!(to_plan.iter().find(|event| event.id == ids[0]).unwrap().body, first.body);
    store.plan(plan_of(ids[0], vec![], at(6))).await.unwrap();
    assert_eq!(store.unplanned(at(10), 10).await.unwrap(), ids[1..]);
    let left: Vec<_> = store.to_plan(ids.clone()).await.unwrap().iter().map(|event| event.id).collect();
    assert_eq!(left, ids[1..]);
}

pub async fn many_at_once_are_all_kept(store: Shared) {
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let store = Arc::clone(&store);
            // Every key comes twice.
            tokio::spawn(async move { store.append(event(&(n / 2).to_string())).await.unwrap() })
        })
        .collect();
    let (mut new, mut repeated) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Appended::New(_) => new += 1,
            Appended::Duplicate(_) => repeated += 1,
        }
    }
    assert_eq!((new, repeated), (100, 100));
}
