//! Short ways to say what a case is given: events, deliveries, claims, outcomes.

use jiff::{SignedDuration, Timestamp};
use spindel_model::{
    ActionKind, Attempt, AttemptStep, Cause, DeliveryId, EntityKind, EntityRef, ErrorClass, EventId, EventState, Exchange,
    Reference, State, Version,
};
use spindel_store::{
    Appended, Claim, Claimant, Claimed, DeliveryFilter, EventPlan, Finish, Finished, NewDelivery, NewEvent, Planned, Ready, Store,
};
use std::{sync::Arc, time::Duration};

/// The store under test.
pub type Shared = Arc<dyn Store>;

pub const SHOP: &str = "shop";
pub const ERP: &str = "erp";
/// How long leases of [`claim`] hold.
pub const LEASE: Duration = Duration::from_secs(30);

/// So many seconds after the case began.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_800_000_000 + seconds)
}

pub fn event(key: &str) -> NewEvent {
    NewEvent {
        id: EventId::new(),
        connection: SHOP.into(),
        topic: "orders/updated".into(),
        cause: Cause::Webhook,
        dedupe_key: key.into(),
        received_at: at(0),
        headers: vec![("x-topic".into(), "orders/updated".into())],
        body: format!(r#"{{"key":"{key}"}}"#).into_bytes(),
    }
}

/// `push_order` for this order, due at `at(0)`.
pub fn push(order: &str, version: i64) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::new(),
        change: 0,
        flow: "orders".into(),
        from: SHOP.into(),
        to: ERP.into(),
        action: ActionKind::PushOrder,
        entity: EntityRef::new(EntityKind::Order, order),
        lane: EntityRef::new(EntityKind::Order, order),
        version: Version(version),
        cause: Cause::Webhook,
        label: Some(format!("#{order}")),
        state: State::Due { at: at(0) },
        action_json: Some(format!(r#"{{"do":"push_order","order":"{order}","version":{version}}}"#).into_bytes()),
    }
}

/// `set_stock` for this item, due at `at(0)`.
pub fn stock(sku: &str, version: i64) -> NewDelivery {
    NewDelivery {
        flow: "stock".into(),
        action: ActionKind::SetStock,
        entity: EntityRef::new(EntityKind::Stock, sku),
        lane: EntityRef::new(EntityKind::Stock, sku),
        ..push(sku, version)
    }
}

/// Takes in an event of its own and plans it as these deliveries, at `now`.
pub async fn plan_at(store: &Shared, deliveries: Vec<NewDelivery>, now: Timestamp) -> Planned {
    let id = accepted(store).await;
    store.plan(plan_of(id, deliveries, now)).await.unwrap()
}

pub async fn plan(store: &Shared, deliveries: Vec<NewDelivery>) -> Planned {
    plan_at(store, deliveries, at(0)).await
}

/// An event that is still to be planned.
pub async fn accepted(store: &Shared) -> EventId {
    let new = event(&uuid::Uuid::now_v7().to_string());
    let id = new.id;
    assert_eq!(store.append(new).await.unwrap(), Appended::New(id));
    id
}

pub fn plan_of(event: EventId, deliveries: Vec<NewDelivery>, now: Timestamp) -> EventPlan {
    EventPlan { event, state: EventState::Planned, indexed: Vec::new(), deliveries, notes: Vec::new(), now }
}

pub fn by(now: Timestamp) -> Claimant {
    Claimant { node: "node-1".into(), now, lease: LEASE }
}

pub async fn claim(store: &Shared, ids: &[DeliveryId], now: Timestamp) -> Vec<Claimed> {
    store.claim(Claim { to: ERP.into(), ids: ids.to_vec(), by: by(now) }).await.unwrap()
}

/// Claims one that must be claimable.
pub async fn claim_one(store: &Shared, id: DeliveryId, now: Timestamp) -> Claimed {
    claim(store, &[id], now).await.pop().unwrap_or_else(|| panic!("{id} was to be claimed"))
}

/// The outcome of a claim, without attempt and link.
pub fn outcome(claimed: &Claimed, state: State, now: Timestamp) -> Finish {
    Finish {
        id: claimed.delivery.id,
        fence: claimed.delivery.fence,
        state,
        attempts: claimed.delivery.attempts + 1,
        attempt: None,
        applied: None,
        link: None,
        now,
    }
}

/// Writes one outcome that must be taken, and answers what moved up.
pub async fn finish(store: &Shared, outcome: Finish) -> Option<Ready> {
    match store.finish(vec![outcome]).await.unwrap().pop() {
        Some(Finished::Written { next }) => next,
        other => panic!("the outcome was to be written: {other:?}"),
    }
}

/// Claims and finishes at `now`; answers what moved up.
pub async fn end(store: &Shared, id: DeliveryId, state: State, now: Timestamp) -> Option<Ready> {
    let claimed = claim_one(store, id, now).await;
    finish(store, outcome(&claimed, state, now)).await
}

/// Claims and delivers, leaving this reference at the destination.
pub async fn deliver_as(store: &Shared, id: DeliveryId, reference: Reference) {
    let claimed = claim_one(store, id, at(0)).await;
    let outcome =
        Finish { link: Some(reference), applied: Some(claimed.delivery.version), ..outcome(&claimed, State::Delivered, at(0)) };
    finish(store, outcome).await;
}

pub fn dead() -> State {
    State::Dead { class: ErrorClass::Data, reason: "the country is missing".into() }
}

pub async fn state(store: &Shared, id: DeliveryId) -> State {
    store.delivery(id).await.unwrap().unwrap_or_else(|| panic!("{id} is gone")).delivery.state
}

pub async fn states(store: &Shared, ids: &[DeliveryId]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for id in ids {
        names.push(state(store, *id).await.name());
    }
    names
}

pub fn ids(deliveries: &[NewDelivery]) -> Vec<DeliveryId> {
    deliveries.iter().map(|delivery| delivery.id).collect()
}

pub fn ready_ids(ready: &[Ready]) -> Vec<DeliveryId> {
    ready.iter().map(|ready| ready.id).collect()
}

/// All deliveries of the store, newest first.
pub fn everything() -> DeliveryFilter {
    DeliveryFilter { limit: 100_000, ..DeliveryFilter::default() }
}

pub fn attempt(message: &str) -> Attempt {
    Attempt {
        step: AttemptStep::Perform,
        started_at: at(0),
        ended_at: at(1),
        class: Some(ErrorClass::Transient),
        message: message.into(),
        exchanges: vec![Exchange {
            operation: "create order".into(),
            method: "POST".into(),
            path: "/orders".into(),
            status: Some(503),
            millis: 12,
            request: Some("{}".repeat(200)),
            response: None,
            error: None,
        }],
    }
}
