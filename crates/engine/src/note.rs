//! What is noted of a change beside its deliveries: money to be matched, parcels to be followed.

use crate::Wiring;
use spindel_connect::Parcel;
use spindel_model::{Change, EntityKind, LedgerEntry, LedgerKind, Payments, Record, Shipment, Timestamp, Topic};
use spindel_store::{Note, NoteKey};

/// Bodies are [`LedgerEntry`]s; to be looked at are authorisations that will lapse.
pub const LEDGER: &str = "ledger";
/// Bodies are [`Change`]s that say only that something about money changed; to be looked at until it was read back.
pub const TO_READ: &str = "to_read";
/// Bodies are [`Parcel`]s; to be looked at are those that are under way.
pub const PARCELS: &str = "parcels";

pub(crate) fn notes(wiring: &Wiring, connection: &str, change: &Change, now: Timestamp) -> Vec<Note> {
    let mut notes = Vec::new();
    if let Some(payments) = &wiring.payments {
        match &change.record {
            Record::Nudge => notes.extend(to_read(payments, connection, change, now)),
            _ => notes.extend(ledger_notes(payments, connection, change)),
        }
    }
    if change.topic == Topic::DisputeCreated {
        metrics::counter!("spindel_disputes_total", "connection" => connection.to_owned()).increment(1);
        tracing::warn!(connection, dispute = change.entity.id, "a payment is disputed");
    }
    if let Record::Shipment(shipment) = &change.record
        && wiring.account(connection).is_some_and(|account| account.connection.tracks().is_some())
    {
        notes.extend(parcels(connection, change, shipment, now));
    }
    notes
}

/// What a change says about money, where `[payments]` names its connection.
pub fn ledger_notes(payments: &Payments, connection: &str, change: &Change) -> Vec<Note> {
    let entries = change.ledger().into_iter().filter(|entry| is_wanted(payments, connection, entry));
    entries.filter_map(|entry| ledger(payments, connection, change, &entry)).collect()
}

fn to_read(payments: &Payments, connection: &str, change: &Change, now: Timestamp) -> Option<Note> {
    let named = match change.entity.kind {
        EntityKind::Order => &payments.orders,
        EntityKind::Transaction | EntityKind::Payout => &payments.providers,
        _ => return None,
    };
    named.iter().find(|name| *name == connection)?;
    Some(Note {
        key: key(TO_READ, connection, change.entity.to_string()),
        version: change.version,
        at: now,
        look_at: Some(now),
        body: serde_json::to_vec(change).ok()?,
    })
}

fn is_wanted(payments: &Payments, connection: &str, entry: &LedgerEntry) -> bool {
    let of = match entry.kind {
        LedgerKind::Order => &payments.orders,
        _ => &payments.providers,
    };
    of.iter().any(|name| name == connection)
}

fn ledger(payments: &Payments, connection: &str, change: &Change, entry: &LedgerEntry) -> Option<Note> {
    let warn_at = entry.expires_at.map(|at| at.checked_sub(payments.warn_before).unwrap_or(at));
    Some(Note {
        key: key(LEDGER, connection, format!("{} {}", entry.kind, entry.id)),
        version: change.version,
        at: entry.at,
        look_at: warn_at,
        body: serde_json::to_vec(entry).ok()?,
    })
}

fn parcels(connection: &str, change: &Change, shipment: &Shipment, now: Timestamp) -> impl Iterator<Item = Note> {
    let look_at = (!shipment.state.is_final()).then_some(now);
    // A carrier that names only the parcel must not make us forget whose it is.
    let of_an_order = shipment.order.id.is_some() || shipment.order.number.is_some();
    shipment.tracking.iter().filter(move |_| of_an_order).filter_map(move |tracking| {
        let parcel = Parcel { shipment: shipment.id.clone(), number: tracking.number.clone(), order: shipment.order.clone() };
        Some(Note {
            key: key(PARCELS, connection, tracking.number.clone()),
            version: change.version,
            at: shipment.updated_at,
            look_at,
            body: serde_json::to_vec(&parcel).ok()?,
        })
    })
}

fn key(book: &str, connection: &str, key: String) -> NoteKey {
    NoteKey { book: book.to_owned(), connection: connection.to_owned(), key }
}
