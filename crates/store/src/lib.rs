//! The durable store: what Spindel knows, in SQLite or PostgreSQL, behind one trait.
//!
//! The store is the truth and the queue only carries work. Every method is one transaction; writes that wait at the
//! same moment share one commit (one fsync). No transaction is open while a vendor is called.

mod admission;
mod content;
mod failure;
mod notes;
mod papers;
mod postgres;
mod recent;
mod rules;
mod seal;
mod sealed;
mod settings;
mod sqlite;
mod types;

pub use postgres::{PostgresOptions, PostgresStore};
pub use sqlite::{Options, SqliteStore};
pub use types::*;

use spindel_model::{Delivery, DeliveryId, Document, Event, EventId, Rejected, Timestamp};
use std::{future::Future, pin::Pin};

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
pub type StoreResult<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// What Spindel needs of a database. One behaviour suite (`spindel_testkit::store_suite!`) holds for every implementation.
pub trait Store: Send + Sync + 'static {
    // --- ingest and polling

    /// Commits an event before it answers; a repeated one is counted and named.
    fn append(&self, event: NewEvent) -> StoreResult<'_, Appended>;
    /// Commits a page of polled events together with the cursor that comes after it.
    fn append_page(&self, events: Vec<NewEvent>, cursor: CursorMove) -> StoreResult<'_, Vec<Appended>>;
    fn cursor(&self, connection: &str, kind: &str) -> StoreResult<'_, Option<String>>;
    /// Keeps a refused request for a short time. Never fails a request: errors are for the log.
    fn reject(&self, rejected: Rejected) -> StoreResult<'_, ()>;

    // --- plan

    /// Those of the named events that are still to be planned, with their bodies.
    fn to_plan(&self, ids: Vec<EventId>) -> StoreResult<'_, Vec<Event>>;
    /// Writes what an event means: its state, its search keys, its notes, and its deliveries, placed in their lanes.
    /// Answers what may be announced now. Planning the same event again adds nothing and revives what had not arrived.
    fn plan(&self, plan: EventPlan) -> StoreResult<'_, Planned>;

    // --- deliver

    /// Leases those of the named deliveries that are due (or in doubt with a look-up due) at `now`. The rest is left out:
    /// already done, not yet due, or not at the head of its lane.
    fn claim(&self, claim: Claim) -> StoreResult<'_, Vec<Claimed>>;
    /// Leases more due deliveries of the same flow and action, to fill a batch.
    fn claim_more(
        &self,
        to: &str,
        flow: &str,
        action: spindel_model::ActionKind,
        limit: usize,
        by: Claimant,
    ) -> StoreResult<'_, Vec<Claimed>>;
    /// Writes outcomes. One whose fence is outdated is refused and changes nothing.
    /// An end lets the next of the lane move up; what became due now is named.
    fn finish(&self, finishes: Vec<Finish>) -> StoreResult<'_, Vec<Finished>>;
    /// Prolongs leases that are still held; answers which.
    fn heartbeat(&self, leases: Vec<(DeliveryId, u64)>, until: Timestamp) -> StoreResult<'_, Vec<DeliveryId>>;

    // --- sweep

    /// Events that were accepted before `before` and are not planned yet, oldest first.
    fn unplanned(&self, before: Timestamp, limit: usize) -> StoreResult<'_, Vec<EventId>>;
    /// What is due for one destination and was not announced lately, oldest first; it counts as announced until `again`.
    fn wake(&self, to: &str, now: Timestamp, again: Timestamp, limit: usize) -> StoreResult<'_, Woken>;
    /// The same when the queue forgot what it was told, as an embedded one does at a restart: announcements that count
    /// until before `again` count for nothing.
    fn wake_unheard(&self, to: &str, now: Timestamp, again: Timestamp, limit: usize) -> StoreResult<'_, Woken>;
    /// Deliveries whose lease ran out by `now`, or that `node` left behind when it died: all of `node`'s when given.
    fn expired(&self, now: Timestamp, node: Option<&str>, limit: usize) -> StoreResult<'_, Vec<Delivery>>;
    /// When something next becomes due for this destination.
    fn next_wake(&self, to: &str) -> StoreResult<'_, Option<Timestamp>>;

    // --- people

    fn events(&self, filter: EventFilter) -> StoreResult<'_, Vec<Event>>;
    fn event(&self, id: EventId) -> StoreResult<'_, Option<Event>>;
    fn deliveries(&self, filter: DeliveryFilter) -> StoreResult<'_, Vec<Delivery>>;
    fn delivery(&self, id: DeliveryId) -> StoreResult<'_, Option<DeliveryDetail>>;
    fn rejected(&self, limit: usize) -> StoreResult<'_, Vec<Rejected>>;
    /// Puts deliveries that ended or are put off back to work at once, attempts counted anew. Those that arrived, run or
    /// wait for their turn are left alone; one in doubt that can be looked up is looked up now.
    fn retry(&self, ids: Vec<DeliveryId>, now: Timestamp) -> StoreResult<'_, Vec<Ready>>;
    /// Ends deliveries that have not arrived, by a person's decision. Those that run are left alone: their effect is on the way.
    fn discard(&self, ids: Vec<DeliveryId>, by: &str, why: &str, now: Timestamp) -> StoreResult<'_, Vec<DeliveryId>>;
    /// Sets events back to `accepted`, to be planned again with today's configuration.
    fn replan(&self, ids: Vec<EventId>) -> StoreResult<'_, Vec<EventId>>;
    /// All that is known of an order, by its number at the source or its number or id at a destination.
    fn trace_order(&self, number: &str) -> StoreResult<'_, Trace>;
    /// How many events and deliveries stand in each state. For people: reads whole indexes.
    fn counts(&self) -> StoreResult<'_, Counts>;

    /// Keeps the papers that came of a delivery, in place of those it had.
    fn keep_documents(&self, of: DeliveryId, documents: Vec<Document>, now: Timestamp) -> StoreResult<'_, ()>;
    fn documents(&self, of: DeliveryId) -> StoreResult<'_, Vec<Document>>;

    /// Writes notes apart from any plan; of one thing the word with the higher version stays, of equals the later one.
    fn note(&self, notes: Vec<Note>) -> StoreResult<'_, ()>;
    fn notes(&self, filter: NoteFilter) -> StoreResult<'_, Vec<Note>>;
    /// Deletes notes of what happened before `before`, a bounded number at a time; answers how many.
    fn forget_notes(&self, before: Timestamp, limit: usize) -> StoreResult<'_, usize>;

    // --- duties and housekeeping

    /// Takes or keeps a duty that one node at a time has, until `until`; false when another has it.
    fn hold_duty(&self, duty: &str, node: &str, now: Timestamp, until: Timestamp) -> StoreResult<'_, bool>;
    fn setting(&self, key: &str) -> StoreResult<'_, Option<Vec<u8>>>;
    fn set_setting(&self, key: &str, value: Vec<u8>) -> StoreResult<'_, ()>;
    /// Deletes events that ended before `before` with all their deliveries, and rejected requests before `rejected_before`;
    /// a bounded number at a time. Answers how many events went.
    fn prune(&self, before: Timestamp, rejected_before: Timestamp, limit: usize) -> StoreResult<'_, usize>;
    /// The store's own time. Nodes that share a store keep time by it, so that their clocks need not agree.
    fn time(&self) -> StoreResult<'_, Timestamp>;
    /// What waits for one destination, counting no further than `most`: cheap however much there is.
    fn backlog(&self, to: &str, now: Timestamp, most: usize) -> StoreResult<'_, Backlog>;
    /// A cheap write, to see whether the store takes any.
    fn probe(&self) -> StoreResult<'_, ()>;
}
