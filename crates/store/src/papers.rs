//! Documents of a delivery as they lie in the database.

use crate::{
    failure::{Failure, Tried},
    seal::{Part, Sealer},
};
use spindel_model::{DeliveryId, Document};

pub(crate) fn seal(sealer: &Sealer, of: DeliveryId, documents: &[Document]) -> Tried<Vec<u8>> {
    let json =
        serde_json::to_vec(documents).map_err(|error| Failure::corrupt(format!("documents cannot be written: {error}")))?;
    sealer.seal(Part::Documents, of.0, &json)
}

/// Nothing kept is no document.
pub(crate) fn open(sealer: &Sealer, of: DeliveryId, sealed: Option<Vec<u8>>) -> Tried<Vec<Document>> {
    let Some(sealed) = sealed else { return Ok(Vec::new()) };
    let json = sealer.open(Part::Documents, of.0, &sealed)?;
    serde_json::from_slice(&json).map_err(|error| Failure::corrupt(format!("documents cannot be read: {error}")))
}
