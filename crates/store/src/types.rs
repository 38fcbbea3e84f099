//! What goes into the store and comes out of it.

use spindel_model::{
    ActionKind, Attempt, Cause, Delivery, DeliveryId, EntityRef, Event, EventId, EventState, Indexed, Reference, State,
    Timestamp, Version,
};
use std::{collections::BTreeMap, time::Duration};

/// Why the store did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No space, read-only, locked, gone: try again later. Nothing was acknowledged.
    #[error("the store takes no writes: {0}")]
    Unavailable(String),
    /// More is waiting to be written than the store will hold in memory.
    #[error("the store is overloaded")]
    Overloaded,
    /// The database was written by a newer Spindel.
    #[error("the database has schema version {found}, this Spindel knows up to {known}: use a newer Spindel")]
    NewerSchema { found: u32, known: u32 },
    #[error("the store holds something it should not: {0}")]
    Corrupt(String),
}

/// An event about to be committed.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub id: EventId,
    pub connection: String,
    /// The vendor's own word.
    pub topic: String,
    pub cause: Cause,
    /// Unique per connection: the vendor's key with the topic, and a hash of the body.
    pub dedupe_key: String,
    pub received_at: Timestamp,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    New(EventId),
    /// The same event came before, under this id.
    Duplicate(EventId),
}

/// A poll's position after a page.
#[derive(Clone, Debug)]
pub struct CursorMove {
    pub connection: String,
    pub kind: String,
    pub cursor: String,
}

/// What an event turned out to mean.
#[derive(Clone, Debug)]
pub struct EventPlan {
    pub event: EventId,
    /// `Planned`, `Unrouted` or `Quarantined`.
    pub state: EventState,
    pub indexed: Vec<Indexed>,
    pub deliveries: Vec<NewDelivery>,
    pub notes: Vec<Note>,
    pub now: Timestamp,
}

/// What events said of something, by the latest word: kept longer than they are, and found without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub key: NoteKey,
    /// An older word changes nothing.
    pub version: Version,
    /// When it happened.
    pub at: Timestamp,
    /// When it is to be looked at again; `None` when there is nothing left to do.
    pub look_at: Option<Timestamp>,
    pub body: Vec<u8>,
}

/// What a note is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteKey {
    /// Who keeps it: `ledger`, `parcels`.
    pub book: String,
    pub connection: String,
    pub key: String,
}

/// Which notes of one book and connection, by their keys.
#[derive(Clone, Debug)]
pub struct NoteFilter {
    pub book: String,
    pub connection: String,
    /// What happened from then on.
    pub since: Timestamp,
    /// Pages: those with a higher key.
    pub after: Option<String>,
    /// Only those that are to be looked at by then, the longest due first; `since` and `after` do not count.
    pub due: Option<Timestamp>,
    pub limit: usize,
}

impl NoteFilter {
    /// All of a book, a page at a time.
    pub fn all(book: &str, connection: &str) -> Self {
        Self { book: book.into(), connection: connection.into(), since: Timestamp::MIN, after: None, due: None, limit: 1000 }
    }
}

/// A delivery to be placed in its lane.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    pub id: DeliveryId,
    /// Which of the event's changes; with event and flow it is unique.
    pub change: u32,
    pub flow: String,
    pub from: String,
    pub to: String,
    pub action: ActionKind,
    pub entity: EntityRef,
    pub lane: EntityRef,
    pub version: Version,
    pub cause: Cause,
    pub label: Option<String>,
    /// `Due { at }` to be placed in its lane, or an end (`Skipped`, `Dead` …).
    pub state: State,
    /// The action as JSON, after mapping; `None` when it is made from the record as read back.
    pub action_json: Option<Vec<u8>>,
}

/// Something that may be announced to the queue of its destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    pub to: String,
    pub id: DeliveryId,
    /// Retries and replays come after fresh work.
    pub fresh: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    /// Due now.
    pub ready: Vec<Ready>,
    /// Ended as superseded by a delivery of this plan, or the other way round.
    pub superseded: usize,
}

/// Who asks for a lease.
#[derive(Clone, Debug)]
pub struct Claimant {
    pub node: String,
    pub now: Timestamp,
    pub lease: Duration,
}

#[derive(Clone, Debug)]
pub struct Claim {
    pub to: String,
    pub ids: Vec<DeliveryId>,
    pub by: Claimant,
}

/// A leased delivery with all that is needed to carry it out.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its state is `Running`; its fence is the one to finish with.
    pub delivery: Delivery,
    /// It was in doubt: look up before anything is sent.
    pub in_doubt: bool,
    pub action_json: Option<Vec<u8>>,
    /// The destination's id of the lane's entity.
    pub known: Option<String>,
    /// Version of the last action of this kind that was applied to this lane.
    pub applied: Option<Version>,
    /// When it first became due.
    pub first_due_at: Timestamp,
}

/// The outcome of a claimed delivery.
#[derive(Clone, Debug)]
pub struct Finish {
    pub id: DeliveryId,
    pub fence: u64,
    pub state: State,
    pub attempts: u32,
    pub attempt: Option<Attempt>,
    /// The version that the destination has now, when the action was applied: moves the version guard.
    pub applied: Option<Version>,
    /// The destination's own id of the lane's entity.
    pub link: Option<Reference>,
    pub now: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Written; `next` moved up in the lane and is due now.
    Written { next: Option<Ready> },
    /// Somebody else holds a newer lease, or it ended otherwise: nothing was written.
    Fenced,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Woken {
    pub ready: Vec<Ready>,
    /// There is more of it than the limit.
    pub more: bool,
}

/// Which events, newest first. Pages by `before`.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    pub connection: Option<String>,
    pub topic: Option<String>,
    pub cause: Option<Cause>,
    /// One of [`EventState::NAMES`].
    pub state: Option<String>,
    pub before: Option<EventId>,
    /// Oldest first and after this one, for following along.
    pub after: Option<EventId>,
    pub limit: usize,
}

/// Which deliveries, newest first. Pages by `before`.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub flow: Option<String>,
    pub to: Option<String>,
    /// Names of [`State::NAMES`]; empty for all.
    pub states: Vec<String>,
    pub event: Option<EventId>,
    /// Only what has not arrived and was not meant not to: waiting, due, running, in doubt, held, paused, dead, conflict.
    pub undelivered: bool,
    pub before: Option<DeliveryId>,
    pub limit: usize,
}

/// One delivery with its whole history.
#[derive(Clone, Debug)]
pub struct DeliveryDetail {
    pub delivery: Delivery,
    pub action_json: Option<Vec<u8>>,
    pub attempts: Vec<Attempt>,
    pub reference: Option<Reference>,
}

/// The journey of one order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Oldest first, with attempts.
    pub deliveries: Vec<DeliveryDetail>,
    /// `(connection, id there, number there)` of the order in every system that has it.
    pub links: Vec<(String, Reference)>,
}

/// What waits for one destination. A count that has reached the limit asked for means "at least".
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Backlog {
    /// At the heads of their lanes and due, or in doubt with a look-up due.
    pub ready: u64,
    /// At the heads of their lanes, for later.
    pub delayed: u64,
    /// When the oldest of those that were counted was planned.
    pub oldest: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Counts {
    pub events: BTreeMap<String, u64>,
    pub deliveries: BTreeMap<String, u64>,
    /// Requests that came again and had no second effect.
    pub duplicates: u64,
    pub rejected: u64,
}
