//! Settings as they lie in the database: among them are refresh tokens and secrets that vendors gave.

use crate::{
    failure::Tried,
    seal::{Part, Sealer, id_of},
};

pub(crate) fn seal(sealer: &Sealer, key: &str, value: &[u8]) -> Tried<Vec<u8>> {
    sealer.seal(Part::Setting, id_of(Part::Setting, key), value)
}

pub(crate) fn open(sealer: &Sealer, key: &str, sealed: Option<Vec<u8>>) -> Tried<Option<Vec<u8>>> {
    sealed.map(|sealed| sealer.open(Part::Setting, id_of(Part::Setting, key), &sealed)).transpose()
}
