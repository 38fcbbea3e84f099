//! Notes as they lie in the database.

use crate::{
    Note, NoteKey, StoreError,
    failure::Tried,
    seal::{Part, Sealer, id_of},
};
use spindel_model::{Timestamp, Version};
use std::collections::HashMap;
use uuid::Uuid;

/// A note whose body is sealed.
#[derive(Clone, Debug)]
pub(crate) struct SealedNote {
    pub key: NoteKey,
    pub version: Version,
    pub at: Timestamp,
    pub look_at: Option<Timestamp>,
    pub sealed: Vec<u8>,
}

impl SealedNote {
    pub fn open(self, sealer: &Sealer) -> Tried<Note> {
        let Self { key, version, at, look_at, sealed } = self;
        let body = sealer.open(Part::Note, place(&key), &sealed)?;
        Ok(Note { key, version, at, look_at, body })
    }
}

/// Of several words about one thing only the latest is written.
pub(crate) fn seal(sealer: &Sealer, notes: Vec<Note>) -> Result<Vec<SealedNote>, StoreError> {
    let sealed = notes.into_iter().map(|note| {
        let Note { key, version, at, look_at, body } = note;
        let sealed = sealer.seal(Part::Note, place(&key), &body).map_err(|failure| failure.error)?;
        Ok(SealedNote { key, version, at, look_at, sealed })
    });
    let sealed = sealed.collect::<Result<Vec<_>, StoreError>>()?;
    Ok(latest(sealed))
}

pub(crate) fn latest(notes: impl IntoIterator<Item = SealedNote>) -> Vec<SealedNote> {
    let mut latest: HashMap<NoteKey, SealedNote> = HashMap::new();
    for note in notes {
        match latest.get(&note.key) {
            Some(newer) if newer.version > note.version => {}
            _ => drop(latest.insert(note.key.clone(), note)),
        }
    }
    // Always in the same order: two groups that write the same notes do not wait for each other in a circle.
    let mut latest: Vec<_> = latest.into_values().collect();
    latest.sort_by(|a, b| a.key.cmp(&b.key));
    latest
}

pub(crate) fn bytes(notes: &[SealedNote]) -> usize {
    notes.iter().map(|note| 128 + note.sealed.len()).sum()
}

fn place(key: &NoteKey) -> Uuid {
    id_of(Part::Note, &format!("{}\n{}\n{}", key.book, key.connection, key.key))
}
