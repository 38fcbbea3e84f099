//! Lists what changed: payments, refunds and disputes by Stripe's own list of events, payouts by when they were made.

use crate::{
    Stripe,
    event::Head,
    request::{PAGE, path},
    wire,
    wire::{List, PaymentIntent},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use spindel_connect::{Api, CallError, Cursor, Page, Poll, parse};
use spindel_model::{
    Change, Dispute, EntityRef, ErrorClass, OrderRef, Payout, PayoutState, Record, Refund, Timestamp, Topic, Transaction, Version,
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

const TRANSACTIONS: Feed = Feed {
    operation: "poll_transactions",
    topic: Topic::TransactionCreated,
    types: &[
        "charge.captured",
        "charge.failed",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.succeeded",
        "refund.failed",
        "refund.updated",
    ],
};
const REFUNDS: Feed = Feed { operation: "poll_refunds", topic: Topic::RefundCreated, types: &["refund.created"] };
const DISPUTES: Feed = Feed {
    operation: "poll_disputes",
    topic: Topic::DisputeUpdated,
    types: &[
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
    ],
};
/// Stripe keeps events for 30 days.
const EVENTS: Span = Span { first: 2 * DAY, overlap: HOUR };
/// A payout is told by when it was made, and may still fail five bank days after it arrived.
const PAYOUTS: Span = Span { first: 35 * DAY, overlap: 14 * DAY };
const LIST_PAYOUTS: &str = "poll_payouts";
const LIST_HELD: &str = "poll_authorizations";
const MOST_SEARCHED: usize = 20;
/// How long before it lapses an authorisation is called expiring.
const NOTICE: i64 = 2 * DAY;

/// The events that tell of one kind of record.
struct Feed {
    operation: &'static str,
    topic: Topic,
    types: &'static [&'static str],
}

struct Span {
    /// How far back the first poll looks.
    first: i64,
    overlap: i64,
}

/// Where a poll stands, in seconds: all up to `since` was seen; while pages are left, up to where and after which object.
#[derive(Serialize, Deserialize)]
struct Mark {
    since: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    walk: Option<Walk>,
}

#[derive(Serialize, Deserialize)]
struct Walk {
    until: i64,
    after: String,
}

impl Mark {
    fn of(cursor: Option<&Cursor>, now: Timestamp, span: &Span) -> Result<Self, CallError> {
        let Some(cursor) = cursor else { return Ok(Self { since: now.as_second() - span.first, walk: None }) };
        serde_json::from_str(&cursor.0)
            .map_err(|_| CallError::new("poll", ErrorClass::Bug, "the cursor is not one that this connector made"))
    }

    fn since(at: Timestamp) -> Cursor {
        Cursor(serde_json::to_string(&Self { since: at.as_second(), walk: None }).unwrap_or_default())
    }

    fn until(&self, now: Timestamp) -> i64 {
        self.walk.as_ref().map_or(now.as_second(), |it| it.until)
    }

    /// The upper end stays where it was while the pages are walked, so that none shifts.
    async fn list<T: DeserializeOwned>(
        &self,
        api: &Api,
        operation: &'static str,
        base: &str,
        types: &[&str],
        (span, now): (&Span, Timestamp),
    ) -> Result<List<T>, CallError> {
        let (from, until) = ((self.since - span.overlap).to_string(), self.until(now).to_string());
        let mut query: Vec<(&str, &str)> = types.iter().map(|it| ("types[]", *it)).collect();
        query.extend([("created[gte]", from.as_str()), ("created[lte]", until.as_str()), ("limit", PAGE)]);
        if let Some(walk) = &self.walk {
            query.push(("starting_after", &walk.after));
        }
        api.get(operation, path(base, query)).fetch().await
    }

    /// `last` is the id of the last object, where the list goes on.
    fn page(self, mut changes: Vec<Change>, last: Option<String>, now: Timestamp) -> Page {
        // Stripe lists the newest first.
        changes.reverse();
        let until = self.until(now);
        let more = last.is_some();
        let next = match last {
            Some(after) => Self { since: self.since, walk: Some(Walk { until, after }) },
            None => Self { since: until, walk: None },
        };
        Page { changes, cursor: Cursor(serde_json::to_string(&next).unwrap_or_default()), more }
    }
}

impl Stripe {
    async fn feed(&self, feed: &Feed, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let mark = Mark::of(cursor, now, &EVENTS)?;
        let events: List<Box<RawValue>> = mark.list(api, feed.operation, "/v1/events", feed.types, (&EVENTS, now)).await?;
        let unreadable = |error: spindel_connect::ParseError| CallError::unexpected(feed.operation, error.to_string());
        let last = match events.data.last().filter(|_| events.has_more) {
            Some(event) => Some(parse::<Head>(event.get().as_bytes()).map_err(unreadable)?.id),
            None => None,
        };
        let mut changes = Vec::new();
        for event in &events.data {
            let body = event.get().as_bytes();
            match self.changes_of(body) {
                Ok(told) => changes.extend(told),
                // Read back by itself, so that one event that cannot be understood does not stop all others.
                Err(_) => changes.push(nudge(feed.topic, body).map_err(unreadable)?),
            }
        }
        Ok(mark.page(changes, last, now))
    }

    /// Authorisations that lapse soon. Found by how they stand, as nothing happens to them that an event could tell.
    async fn expiring(&self, api: &Api, now: Timestamp) -> Result<Vec<Change>, CallError> {
        let mut changes = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..MOST_SEARCHED {
            let mut query = vec![("query", "status:'requires_capture'"), ("limit", PAGE), ("expand[]", "data.latest_charge")];
            if let Some(page) = &next {
                query.push(("page", page));
            }
            let held: List<PaymentIntent> = api.get(LIST_HELD, path("/v1/payment_intents/search", query)).fetch().await?;
            changes.extend(held.data.iter().filter_map(|it| self.expires(it, now)));
            next = held.next_page.filter(|_| held.has_more);
            if next.is_none() {
                break;
            }
        }
        Ok(changes)
    }

    fn expires(&self, payment: &PaymentIntent, now: Timestamp) -> Option<Change> {
        let transaction = payment.authorization_now()?;
        let lapses = transaction.expires_at?.as_second();
        let left = lapses - now.as_second();
        if !(0..=NOTICE).contains(&left) {
            return None;
        }
        // The same each time it is found, and after the authorisation itself.
        let noticed = Timestamp::from_second(lapses - NOTICE).ok()?.max(transaction.processed_at);
        let order = self.keys.order(payment.metadata.as_ref());
        Some(Change {
            topic: Topic::TransactionExpiring,
            entity: EntityRef::new(Topic::TransactionExpiring.entity(), &payment.id),
            version: Version(Version::from(noticed).0 + 1),
            record: Record::Transaction { order, transaction },
        })
    }
}

fn nudge(topic: Topic, event: &[u8]) -> Result<Change, spindel_connect::ParseError> {
    #[derive(Deserialize)]
    struct Event {
        created: wire::At,
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        object: Named,
    }
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let event: Event = parse(event)?;
    let entity = EntityRef::new(topic.entity(), event.data.object.id);
    Ok(Change { topic, entity, version: event.created.0.into(), record: Record::Nudge })
}

impl Poll<(OrderRef, Transaction)> for Stripe {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let mut page = self.feed(&TRANSACTIONS, api, cursor, now).await?;
        if !page.more {
            page.changes.extend(self.expiring(api, now).await?);
        }
        Ok(page)
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Mark::since(at))
    }
}

impl Poll<Refund> for Stripe {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        self.feed(&REFUNDS, api, cursor, now).await
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Mark::since(at))
    }
}

impl Poll<Dispute> for Stripe {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        self.feed(&DISPUTES, api, cursor, now).await
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Mark::since(at))
    }
}

impl Poll<Payout> for Stripe {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let mark = Mark::of(cursor, now, &PAYOUTS)?;
        let found: List<wire::Payout> = mark.list(api, LIST_PAYOUTS, "/v1/payouts", &[], (&PAYOUTS, now)).await?;
        let last = found.data.last().filter(|_| found.has_more).map(|it| it.id.clone());
        Ok(mark.page(found.data.iter().map(payout).collect(), last, now))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Mark::since(at))
    }
}

/// The lines are read back for each payout that is new or stands otherwise than before, and not at every poll.
fn payout(it: &wire::Payout) -> Change {
    let since = it.stands_since();
    let rank = match it.state() {
        PayoutState::Pending => 0,
        PayoutState::InTransit => 1,
        PayoutState::Paid => 2,
        PayoutState::Cancelled => 3,
        PayoutState::Failed => 4,
    };
    let record = match it.is_itemised() {
        true => Record::Nudge,
        false => Record::Payout(Box::new(it.canonical(since, Vec::new()))),
    };
    Change {
        topic: Topic::PayoutUpdated,
        entity: EntityRef::new(Topic::PayoutUpdated.entity(), &it.id),
        version: Version(Version::from(since).0 + 2 * rank + i64::from(it.is_itemised())),
        record,
    }
}
