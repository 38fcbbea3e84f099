//! The account of money: what was only hinted at is read back, authorisations that will lapse are told of.

use crate::{PollError, Poller};
use jiff::SignedDuration;
use spindel_connect::Journal;
use spindel_engine::{LEDGER, TO_READ, ledger_notes};
use spindel_model::{
    Change, Decimal, EntityKind, EntityRef, LedgerEntry, LedgerKind, OrderRef, Payments, Record, Timestamp, Topic, Transaction,
    TransactionKind, TransactionStatus,
};
use spindel_store::{NewEvent, Note, NoteFilter, Store, StoreError};
use std::{collections::HashMap, time::Duration};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(15);
const DUTY: &str = "payments";
/// Held a little longer than a round takes to come again.
const HELD_FOR: SignedDuration = SignedDuration::from_mins(1);
/// Looked at in one round.
const AT_ONCE: usize = 200;
/// After which what could not be read back is tried again.
const REST: SignedDuration = SignedDuration::from_mins(5);

/// Keeps the account of `[payments]` on one node at a time: reads back what webhooks only hinted at, and tells of
/// authorisations that lapse soon with money still to be captured, as `transaction.expiring`.
pub struct Bookkeeper(pub Poller);

impl Bookkeeper {
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "the account of payments could not be kept; it is tried again");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Answers how many authorisations were told of.
    pub async fn round(&self) -> Result<usize, PollError> {
        let Poller { engine, store, clock, node } = &self.0;
        let wiring = engine.wiring();
        let Some(payments) = &wiring.payments else { return Ok(0) };
        let now = clock.now();
        if !store.hold_duty(DUTY, node, now, now + HELD_FOR).await? {
            return Ok(0);
        }
        for connection in payments.orders.iter().chain(&payments.providers) {
            self.read_back(payments, connection).await?;
        }
        let mut told = 0;
        for provider in &payments.providers {
            let due = NoteFilter { due: Some(now), limit: AT_ONCE, ..NoteFilter::all(LEDGER, provider) };
            let due = store.notes(due).await?;
            let Some(oldest) = due.iter().map(|note| note.at).min() else { continue };
            let taken = taken_since(&**store, provider, oldest).await?;
            for note in due {
                told += usize::from(self.look_at(provider, note, &taken).await?);
            }
        }
        Ok(told)
    }

    /// Vendors that say only that something changed are asked how it is now.
    async fn read_back(&self, payments: &Payments, connection: &str) -> Result<(), PollError> {
        let Poller { engine, store, clock, .. } = &self.0;
        let wiring = engine.wiring();
        let Some(account) = wiring.account(connection) else { return Ok(()) };
        let due = NoteFilter { due: Some(clock.now()), limit: AT_ONCE, ..NoteFilter::all(TO_READ, connection) };
        for note in store.notes(due).await? {
            let Ok(hint) = serde_json::from_slice::<Change>(&note.body) else { continue };
            let api = account.api.with_journal(Journal::default());
            let Some(reading) = account.connection.read(&api, hint.entity.kind, &hint.entity.id) else {
                store.note(vec![Note { look_at: None, ..note }]).await?;
                continue;
            };
            let look_at = match reading.await {
                Ok(Some(record)) => {
                    store.note(ledger_notes(payments, connection, &Change { record, ..hint })).await?;
                    None
                }
                Ok(None) => None,
                Err(error) => {
                    tracing::warn!(connection, entity = %hint.entity, %error, "could not be read back for the account of payments");
                    clock.now().checked_add(REST).ok()
                }
            };
            store.note(vec![Note { look_at, ..note }]).await?;
        }
        Ok(())
    }

    /// Tells of one, where something is left of it; and that is all there is to do about it.
    async fn look_at(&self, provider: &str, note: Note, taken: &HashMap<String, Decimal>) -> Result<bool, PollError> {
        let entry: Option<LedgerEntry> = serde_json::from_slice(&note.body).ok();
        let gone = |entry: &LedgerEntry| entry.payment.as_ref().and_then(|it| taken.get(it)).copied().unwrap_or_default();
        let mut told = false;
        if let Some(entry) = entry.filter(|it| it.amount.amount > gone(it)) {
            let appended = self.0.store.append(self.event(provider, &note, &entry)).await?;
            told = self.0.announced(provider, appended);
            if told {
                metrics::counter!("spindel_authorizations_expiring_total", "connection" => provider.to_owned()).increment(1);
                tracing::warn!(
                    connection = provider,
                    payment = entry.payment,
                    order = entry.order,
                    "an authorisation lapses soon"
                );
            }
        }
        self.0.store.note(vec![Note { look_at: None, ..note }]).await?;
        Ok(told)
    }

    fn event(&self, provider: &str, note: &Note, entry: &LedgerEntry) -> NewEvent {
        let transaction = Transaction {
            id: entry.id.clone(),
            parent_id: None,
            gateway: entry.gateway.clone().unwrap_or_default(),
            kind: TransactionKind::Authorization,
            status: TransactionStatus::Success,
            amount: entry.amount,
            processed_at: entry.at,
            reference: entry.payment.clone(),
            expires_at: entry.expires_at,
            test: false,
        };
        let order = OrderRef { id: None, number: entry.order.clone() };
        let change = Change {
            topic: Topic::TransactionExpiring,
            entity: EntityRef::new(EntityKind::Transaction, &entry.id),
            version: note.version,
            record: Record::Transaction { order, transaction },
        };
        // Told of again when its time has changed.
        let dedupe_key = format!("expiring {} {}", entry.id, entry.expires_at.map_or(0, Timestamp::as_second));
        NewEvent { dedupe_key, ..self.0.event(provider, &change) }
    }
}

/// What was captured or let go of each payment since then.
async fn taken_since(store: &dyn Store, provider: &str, since: Timestamp) -> Result<HashMap<String, Decimal>, StoreError> {
    let mut taken: HashMap<String, Decimal> = HashMap::new();
    for entry in ledger(store, provider, since).await? {
        if let (LedgerKind::Capture | LedgerKind::Void, Some(payment)) = (entry.kind, entry.payment) {
            *taken.entry(payment).or_default() += entry.amount.amount;
        }
    }
    Ok(taken)
}

/// What is noted of one connection's money since then.
pub async fn ledger(store: &dyn Store, connection: &str, since: Timestamp) -> Result<Vec<LedgerEntry>, StoreError> {
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let filter = NoteFilter { since, after: after.take(), ..NoteFilter::all(LEDGER, connection) };
        let limit = filter.limit;
        let notes = store.notes(filter).await?;
        entries.extend(notes.iter().filter_map(|note| serde_json::from_slice(&note.body).ok()));
        match notes.last() {
            Some(last) if notes.len() == limit => after = Some(last.key.key.clone()),
            _ => return Ok(entries),
        }
    }
}
