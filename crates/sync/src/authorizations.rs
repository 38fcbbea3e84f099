//! Authorisations that will lapse: told of while there is still time to capture them.

use crate::{PollError, Poller};
use jiff::SignedDuration;
use spindel_engine::LEDGER;
use spindel_model::{
    Change, Decimal, EntityKind, EntityRef, LedgerEntry, LedgerKind, OrderRef, Record, Timestamp, Topic, Transaction,
    TransactionKind, TransactionStatus,
};
use spindel_store::{NewEvent, Note, NoteFilter, Store, StoreError};
use std::{collections::HashMap, time::Duration};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60);
const DUTY: &str = "authorizations";
/// Held a little longer than a round takes to come again.
const HELD_FOR: SignedDuration = SignedDuration::from_mins(3);
/// Told of in one round.
const AT_ONCE: usize = 200;

/// Tells of authorisations that lapse soon with money still to be captured, as `transaction.expiring`; on one node at a time.
pub struct Expiries(pub Poller);

impl Expiries {
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "authorisations could not be looked through; it is tried again in a minute");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// Answers how many were told of.
    pub async fn round(&self) -> Result<usize, PollError> {
        let Poller { engine, store, clock, node } = &self.0;
        let wiring = engine.wiring();
        let Some(payments) = &wiring.payments else { return Ok(0) };
        let now = clock.now();
        if !store.hold_duty(DUTY, node, now, now + HELD_FOR).await? {
            return Ok(0);
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
