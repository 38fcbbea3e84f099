//! What silent webhooks left out: noted before they are mended, so that it is asked for even if that is the last thing done, and
//! forgotten only when it was asked for.

use crate::{PollError, Poller, poll::polls};
use jiff::SignedDuration;
use spindel_connect::Cursor;
use spindel_engine::Account;
use spindel_model::{Cause, Change, EntityKind, Flow, FulfilmentState, PaymentState, Record, Timestamp, Topic};
use spindel_store::{EventFilter, Store, StoreError};

/// How much is asked for again from before the last event: clocks differ, and vendors are late.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// What was sound at one check may have been silent since.
pub(crate) const BETWEEN_CHECKS: SignedDuration = SignedDuration::from_hours(1);
/// Events in which a silent topic is looked for: where it was not told of, all else was.
const PAGE: usize = 50;
const MOST_PAGES: usize = 20;
/// Filling one takes at most about so long; after that another node may do it.
const HELD_FOR: SignedDuration = SignedDuration::from_mins(10);

fn key(connection: &str) -> String {
    format!("webhook_gap {connection}")
}

/// Notes that these topics were silent, since whenever the last of them was heard of. A vendor that never told anything yet
/// left nothing out.
pub(crate) async fn owe(store: &dyn Store, connection: &str, silent: &[&str], now: Timestamp) -> Result<(), StoreError> {
    let heard = if silent.is_empty() { None } else { last_heard(store, connection, silent).await? };
    let Some(heard) = heard else { return Ok(()) };
    let check = now.checked_sub(BETWEEN_CHECKS).unwrap_or(heard);
    let since = [Some(heard), Some(check), owed(store, connection).await?].into_iter().flatten().min().unwrap_or(heard);
    store.set_setting(&key(connection), since.to_string().into_bytes()).await
}

/// Since when something is to be asked for, if it is.
pub async fn owed(store: &dyn Store, connection: &str) -> Result<Option<Timestamp>, StoreError> {
    let noted = store.setting(&key(connection)).await?;
    Ok(noted.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok()))
}

/// The newest webhook of these topics; where there was none lately, the newest of any.
async fn last_heard(store: &dyn Store, connection: &str, silent: &[&str]) -> Result<Option<Timestamp>, StoreError> {
    let connection = Some(connection.to_owned());
    let mut filter = EventFilter { connection, cause: Some(Cause::Webhook), limit: PAGE, ..EventFilter::default() };
    let mut newest = None;
    for _ in 0..MOST_PAGES {
        let page = store.events(filter.clone()).await?;
        newest = newest.or(page.first().map(|event| event.received_at));
        if let Some(event) = page.iter().find(|event| silent.contains(&event.topic.as_str())) {
            return Ok(Some(event.received_at));
        }
        filter.before = page.last().map(|event| event.id);
        if page.len() < PAGE {
            break;
        }
    }
    Ok(newest)
}

impl Poller {
    /// Asks for all that changed since shortly before the webhooks fell silent, where flows want it and the vendor can be asked.
    /// Answers how many changes were new.
    pub(crate) async fn fill_gap(&self, account: &Account) -> Result<usize, PollError> {
        let Some(noted) = owed(&*self.store, &account.name).await? else { return Ok(0) };
        let now = self.clock.now();
        if !self.store.hold_duty(&key(&account.name), &self.node, now, now + HELD_FOR).await? {
            return Ok(0);
        }
        let since = noted.saturating_sub(OVERLAP).unwrap_or(noted);
        let mut all = 0;
        for kind in self.told_of(&account.name) {
            let cursor = account.connection.poll_since(kind, since).filter(|_| polls(account, kind));
            let new = match cursor {
                Some(cursor) => self.gap(account, kind, cursor, since).await?,
                // A carrier is asked about each parcel that is under way.
                None if kind == EntityKind::Shipment && account.connection.tracks().is_some() => {
                    self.follow_parcels(account).await?
                }
                None => {
                    tracing::warn!(
                        connection = account.name, record = %kind, %since,
                        "webhooks were silent, and this vendor cannot be asked what changed since: compare both ends"
                    );
                    continue;
                }
            };
            tracing::info!(connection = account.name, record = %kind, %since, new, "filled the gap that silent webhooks left");
            all += new;
        }
        // Unless they fell silent once more.
        if owed(&*self.store, &account.name).await? == Some(noted) {
            self.store.set_setting(&key(&account.name), Vec::new()).await?;
        }
        Ok(all)
    }

    /// From a cursor on that is no part of any regular poll.
    async fn gap(&self, account: &Account, kind: EntityKind, cursor: Cursor, since: Timestamp) -> Result<usize, PollError> {
        let wiring = self.engine.wiring();
        let flows: Vec<&Flow> = wiring.flows.iter().map(|it| &**it).filter(|flow| flow.from == account.name).collect();
        let tell = |change: Change| told_to_all(&flows, change, since);
        let (mut all, mut from) = (0, Some(cursor));
        while from.is_some() {
            let round = self.pages(account, kind, from, &format!("gap {kind}"), tell).await?;
            all += round.new;
            from = round.left;
        }
        Ok(all)
    }

    /// The kinds of record that flows carry from there.
    fn told_of(&self, connection: &str) -> Vec<EntityKind> {
        let mut kinds = Vec::new();
        for flow in self.engine.wiring().flows.iter().filter(|flow| flow.from == connection) {
            for kind in flow.on.iter().map(|topic| topic.entity()) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        kinds
    }
}

/// A poll tells how things stand, where webhooks tell each thing that happens. So that no flow is left out that waits for one of
/// these, a change is told by further topics that are true of it.
fn told_to_all(flows: &[&Flow], change: Change, since: Timestamp) -> Vec<Change> {
    let mut topics = vec![change.topic];
    for flow in flows {
        if !flow.on.iter().any(|topic| topics.contains(topic)) {
            topics.extend(flow.on.iter().find(|topic| holds(**topic, &change, since)));
        }
    }
    topics.into_iter().map(|topic| Change { topic, ..change.clone() }).collect()
}

fn holds(topic: Topic, change: &Change, since: Timestamp) -> bool {
    match (topic, &change.record) {
        (_, Record::Deleted) => false,
        (Topic::OrderUpdated, _) => change.entity.kind == EntityKind::Order,
        (Topic::OrderCreated, Record::Order(order)) => order.placed_at >= since,
        (Topic::OrderPaid, Record::Order(order)) => order.payment_state == PaymentState::Paid,
        (Topic::OrderFulfilled, Record::Order(order)) => order.fulfilment_state == FulfilmentState::Fulfilled,
        (Topic::OrderCancelled, Record::Order(order)) => order.cancelled_at.is_some(),
        // When these came into being is not told.
        (
            Topic::ProductCreated
            | Topic::ProductUpdated
            | Topic::CustomerCreated
            | Topic::CustomerUpdated
            | Topic::ShipmentCreated
            | Topic::ShipmentUpdated
            | Topic::DisputeCreated
            | Topic::DisputeUpdated
            | Topic::PayoutCreated
            | Topic::PayoutUpdated,
            _,
        ) => topic.entity() == change.entity.kind,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spindel_model::{ActionKind, EntityRef, Filter, RetryPolicy, Trust, Version, specimen};
    use std::time::Duration;

    fn flow(on: &[Topic]) -> Flow {
        Flow {
            name: "orders".into(),
            from: "shop".into(),
            on: on.to_vec(),
            to: "erp".into(),
            action: ActionKind::PushOrder,
            when: Filter::default(),
            lag: Duration::ZERO,
            trust: Trust::Payload,
            every: None,
            attributes: Default::default(),
            map: None,
            retry: RetryPolicy::default(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Placed at ten o'clock, and listed as updated.
    fn order(payment_state: PaymentState) -> Change {
        let Record::Order(mut order) = specimen(EntityKind::Order) else { panic!("a specimen of an order is an order") };
        (order.placed_at, order.payment_state, order.cancelled_at) = (at("2026-11-20T10:00:00Z"), payment_state, None);
        order.fulfilment_state = FulfilmentState::Unfulfilled;
        let entity = EntityRef::new(EntityKind::Order, "1");
        Change { topic: Topic::OrderUpdated, entity, version: Version(1), record: Record::Order(order) }
    }

    fn told(on: &[&[Topic]], change: Change, since: &str) -> Vec<Topic> {
        let flows: Vec<Flow> = on.iter().map(|on| flow(on)).collect();
        told_to_all(&flows.iter().collect::<Vec<_>>(), change, at(since)).into_iter().map(|it| it.topic).collect()
    }

    #[test]
    fn every_flow_is_told_once_of_what_is_true_and_none_of_what_is_not() {
        use Topic::{OrderCancelled, OrderCreated, OrderPaid, OrderUpdated};
        const BEFORE: &str = "2026-11-20T09:00:00Z";
        for (on, since, payment, expected) in [
            (vec![&[OrderUpdated][..]], BEFORE, PaymentState::Paid, vec![OrderUpdated]),
            (vec![&[OrderCreated, OrderUpdated]], BEFORE, PaymentState::Paid, vec![OrderUpdated]),
            (vec![&[OrderCreated]], BEFORE, PaymentState::Paid, vec![OrderUpdated, OrderCreated]),
            (vec![&[OrderCreated], &[OrderCreated, OrderPaid]], BEFORE, PaymentState::Paid, vec![OrderUpdated, OrderCreated]),
            (vec![&[OrderPaid], &[OrderCancelled]], BEFORE, PaymentState::Paid, vec![OrderUpdated, OrderPaid]),
            (vec![&[OrderPaid]], BEFORE, PaymentState::Pending, vec![OrderUpdated]),
            (vec![&[OrderCreated]], "2026-11-20T11:00:00Z", PaymentState::Paid, vec![OrderUpdated]),
        ] {
            assert_eq!(told(&on, order(payment), since), expected, "{on:?} since {since}");
        }
    }

    #[test]
    fn of_what_is_only_hinted_at_nothing_is_made_up() {
        let nudge = Change { record: Record::Nudge, ..order(PaymentState::Paid) };
        let on: [&[Topic]; 2] = [&[Topic::OrderCancelled], &[Topic::OrderPaid]];
        assert_eq!(told(&on, nudge, "2026-11-20T09:00:00Z"), [Topic::OrderUpdated]);
    }
}
