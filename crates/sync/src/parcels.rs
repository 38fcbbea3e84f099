//! Parcels under way: the carrier is asked where they are until each has arrived.

use crate::{PollError, Poller};
use jiff::SignedDuration;
use spindel_connect::{Journal, Parcel};
use spindel_engine::{Account, PARCELS};
use spindel_model::{EntityKind, Timestamp};
use spindel_store::{Note, NoteFilter, StoreError};

/// Nobody asks for longer than this about a parcel of which nothing was heard.
const GIVEN_UP: SignedDuration = SignedDuration::from_hours(60 * 24);

impl Poller {
    /// Asks once about every parcel that is under way; answers how much is new.
    pub(crate) async fn follow_parcels(&self, account: &Account) -> Result<usize, PollError> {
        let most = account.connection.tracks();
        let most = most.ok_or_else(|| PollError::Unable(account.name.clone(), EntityKind::Shipment))?.max(1);
        let mut new = 0;
        for parcels in self.under_way(&account.name).await?.chunks(most) {
            let api = account.api.with_journal(Journal::default());
            let Some(tracking) = account.connection.track(&api, parcels) else { break };
            for change in tracking.await? {
                let appended = self.store.append(self.event(&account.name, &change)).await?;
                new += usize::from(self.announced(&account.name, appended));
            }
        }
        Ok(new)
    }

    async fn under_way(&self, carrier: &str) -> Result<Vec<Parcel>, StoreError> {
        let forgotten = self.clock.now().checked_sub(GIVEN_UP).unwrap_or(Timestamp::MIN);
        let mut parcels = Vec::new();
        let mut after = None;
        loop {
            let filter = NoteFilter { after: after.take(), since: forgotten, ..NoteFilter::all(PARCELS, carrier) };
            let limit = filter.limit;
            let notes = self.store.notes(filter).await?;
            let open = |note: &&Note| note.look_at.is_some();
            parcels.extend(notes.iter().filter(open).filter_map(|note| serde_json::from_slice(&note.body).ok()));
            match notes.last() {
                Some(last) if notes.len() == limit => after = Some(last.key.key.clone()),
                _ => return Ok(parcels),
            }
        }
    }
}
