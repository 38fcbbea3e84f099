//! Events made ready to be written, and their content read back: headers and body in one sealed column.

use crate::{
    NewEvent, StoreError,
    failure::{Failure, Tried},
    seal::{Part, Sealer},
};
use sha2::{Digest, Sha256};
use spindel_model::{Event, EventState};

/// Rejected requests that are kept; the oldest go first.
pub(crate) const REJECTED_KEPT: i64 = 10_000;

/// An event made ready before a transaction begins.
pub(crate) struct SealedEvent {
    pub event: NewEvent,
    pub dedupe: [u8; 16],
    pub sealed: Vec<u8>,
}

impl SealedEvent {
    pub fn new(sealer: &Sealer, event: NewEvent) -> Result<Self, StoreError> {
        let content = frame(&event.headers, &event.body)?;
        let sealed = sealer.seal(Part::Content, event.id.0, &content)?;
        Ok(Self { dedupe: dedupe(&event.connection, &event.dedupe_key), event, sealed })
    }

    /// What it keeps in memory until it is written.
    pub fn bytes(&self) -> usize {
        self.sealed.len() + self.event.body.len() + 512
    }

    /// As it is read back once it is written.
    pub fn into_event(self) -> Event {
        let NewEvent { id, connection, topic, cause, received_at, headers, body, .. } = self.event;
        Event { id, connection, topic, cause, received_at, headers, body, state: EventState::Accepted, duplicates: 0 }
    }
}

/// Reads headers and body back into the event that they were sealed with.
pub(crate) fn open(sealer: &Sealer, mut event: Event, sealed: &[u8]) -> Tried<Event> {
    let content = sealer.open(Part::Content, event.id.0, sealed)?;
    (event.headers, event.body) = unframe(&content).ok_or_else(|| Failure::corrupt(format!("the content of {}", event.id)))?;
    Ok(event)
}

/// The length of the headers as JSON, the headers, the body.
fn frame(headers: &[(String, String)], body: &[u8]) -> Result<Vec<u8>, StoreError> {
    let headers = serde_json::to_vec(headers).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let length = u32::try_from(headers.len()).map_err(|_| StoreError::Corrupt("headers of 4 GiB".into()))?;
    Ok([&length.to_le_bytes(), &headers[..], body].concat())
}

type Content = (Vec<(String, String)>, Vec<u8>);

fn unframe(content: &[u8]) -> Option<Content> {
    let (length, rest) = content.split_first_chunk::<4>()?;
    let (headers, body) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((serde_json::from_slice(headers).ok()?, body.to_vec()))
}

/// A short unique key: a connection's name cannot hold the byte between the two.
fn dedupe(connection: &str, key: &str) -> [u8; 16] {
    let digest = Sha256::new().chain_update(connection).chain_update([0]).chain_update(key).finalize();
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    short
}
