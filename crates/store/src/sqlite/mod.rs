//! The store in one SQLite file: one thread writes, a few connections read, several processes may share it.

mod deliver;
#[cfg(test)]
mod hot;
mod intake;
mod lanes;
mod notes;
mod people;
mod plan;
mod read;
mod readers;
mod rows;
mod schema;
mod trace;
mod upkeep;
mod writer;

use crate::{
    admission::Part,
    content::SealedEvent,
    failure::Tried,
    papers,
    recent::Recent,
    seal::{self, Sealer},
    sealed::{SealedFinish, SealedPlan},
    settings, *,
};
use readers::Readers;
use rusqlite::Connection;
use spindel_model::{ActionKind, Clock, Delivery, DeliveryId, Document, Event, EventId, Rejected, Timestamp};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;
use writer::Writer;

/// How to open a store.
#[derive(Clone, Default)]
pub struct Options {
    /// Encrypts payloads from now on; needed to read what was written with it. The setting is `store.encryption_key`.
    pub encryption_key: Option<[u8; 32]>,
}

/// A store in one SQLite file.
pub struct SqliteStore {
    // Closed before the writer: the last connection to close tidies the file up, and only the writer can.
    readers: Readers,
    writer: Writer,
    sealer: Arc<Sealer>,
    recent: Recent,
}

impl SqliteStore {
    /// Opens the file, makes it when it is not there, and brings its schema forward.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Arc<Self>, StoreError> {
        let path: PathBuf = path.as_ref().into();
        let sealer = Arc::new(Sealer::new(options.encryption_key));
        let opened = schema::open_writer(&path).and_then(|connection| {
            check_key(&connection, &sealer)?;
            Ok(connection)
        });
        let connection = opened.map_err(|failure| at(&path, failure.error))?;
        let writer = Writer::start(path.clone(), connection)?;
        Ok(Arc::new(Self { readers: Readers::new(path), writer, sealer, recent: Recent::default() }))
    }

    /// Transactions committed so far: writes that wait at the same moment share one.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    /// Runs a pragma on the writing connection, so that a test can fill the disk.
    #[doc(hidden)]
    pub async fn pragma(&self, pragma: &'static str) -> Result<(), StoreError> {
        self.write(0, move |c| Ok(c.execute_batch(&format!("PRAGMA {pragma}"))?)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnMut(&Connection) -> Tried<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.submit(Part::Progress, bytes, work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Sealer) -> Tried<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let sealer = Arc::clone(&self.sealer);
        self.readers.read(move |c| work(c, &sealer)).await
    }

    fn open_claims(&self, claims: Vec<deliver::SealedClaim>) -> Result<Vec<Claimed>, StoreError> {
        claims.into_iter().map(|claim| claim.open(&self.sealer).map_err(|failure| failure.error)).collect()
    }
}

/// Refuses a wrong key at once, and not at the first payload.
fn check_key(c: &Connection, sealer: &Sealer) -> Tried<()> {
    const KEY: &str = "store.key_check";
    match upkeep::setting(c, KEY)? {
        Some(sealed) => sealer.open(seal::Part::KeyCheck, Uuid::nil(), &sealed).map(drop),
        None if sealer.encrypts() => upkeep::set_setting(c, KEY, &sealer.seal(seal::Part::KeyCheck, Uuid::nil(), b"spindel")?),
        None => Ok(()),
    }
}

/// Names the file in what went wrong with opening it.
fn at(path: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::Unavailable(format!("{}: {why}", path.display())),
        StoreError::Corrupt(why) => StoreError::Corrupt(format!("{}: {why}", path.display())),
        other => other,
    }
}

impl Store for SqliteStore {
    fn append(&self, event: NewEvent) -> StoreResult<'_, Appended> {
        Box::pin(async move {
            let event = Arc::new(SealedEvent::new(&self.sealer, event)?);
            let writing = Arc::clone(&event);
            let appended = self.writer.submit(Part::Intake, event.bytes(), move |c| intake::append(c, &writing)).await?;
            if let (Appended::New(_), Ok(event)) = (appended, Arc::try_unwrap(event)) {
                self.recent.keep(event.into_event());
            }
            Ok(appended)
        })
    }

    fn append_page(&self, events: Vec<NewEvent>, cursor: CursorMove) -> StoreResult<'_, Vec<Appended>> {
        Box::pin(async move {
            let sealed = events.into_iter().map(|event| SealedEvent::new(&self.sealer, event));
            let events = sealed.collect::<Result<Vec<_>, _>>()?;
            let bytes = events.iter().map(SealedEvent::bytes).sum();
            self.writer.submit(Part::Intake, bytes, move |c| intake::append_page(c, &events, &cursor)).await
        })
    }

    fn cursor(&self, connection: &str, kind: &str) -> StoreResult<'_, Option<String>> {
        let (connection, kind) = (connection.to_owned(), kind.to_owned());
        Box::pin(self.read(move |c, _| read::cursor(c, &connection, &kind)))
    }

    fn reject(&self, rejected: Rejected) -> StoreResult<'_, ()> {
        Box::pin(self.writer.submit(Part::Intake, 512, move |c| intake::reject(c, &rejected)))
    }

    fn to_plan(&self, mut ids: Vec<EventId>) -> StoreResult<'_, Vec<Event>> {
        Box::pin(async move {
            let mut events = self.recent.take(&mut ids);
            if !ids.is_empty() {
                events.extend(self.read(move |c, sealer| read::to_plan(c, sealer, &ids)).await?);
            }
            Ok(events)
        })
    }

    fn plan(&self, plan: EventPlan) -> StoreResult<'_, Planned> {
        Box::pin(async move {
            self.recent.forget(plan.event);
            let plan = SealedPlan::new(&self.sealer, plan)?;
            self.write(plan.bytes(), move |c| plan::plan(c, &plan)).await
        })
    }

    fn claim(&self, claim: Claim) -> StoreResult<'_, Vec<Claimed>> {
        Box::pin(async move {
            let claims = self.write(claim.ids.len() * 16, move |c| deliver::claim(c, &claim)).await?;
            self.open_claims(claims)
        })
    }

    fn claim_more(&self, to: &str, flow: &str, action: ActionKind, limit: usize, by: Claimant) -> StoreResult<'_, Vec<Claimed>> {
        let (to, flow) = (to.to_owned(), flow.to_owned());
        Box::pin(async move {
            let claims = self.write(0, move |c| deliver::claim_more(c, &to, &flow, action, limit, &by)).await?;
            self.open_claims(claims)
        })
    }

    fn finish(&self, finishes: Vec<Finish>) -> StoreResult<'_, Vec<Finished>> {
        Box::pin(async move {
            let sealed = finishes.into_iter().map(|finish| SealedFinish::new(&self.sealer, finish));
            let finishes = sealed.collect::<Result<Vec<_>, _>>()?;
            let bytes = finishes.iter().map(SealedFinish::bytes).sum();
            self.write(bytes, move |c| finishes.iter().map(|finish| deliver::finish(c, finish)).collect()).await
        })
    }

    fn heartbeat(&self, leases: Vec<(DeliveryId, u64)>, until: Timestamp) -> StoreResult<'_, Vec<DeliveryId>> {
        Box::pin(self.write(0, move |c| deliver::heartbeat(c, &leases, until)))
    }

    fn unplanned(&self, before: Timestamp, limit: usize) -> StoreResult<'_, Vec<EventId>> {
        Box::pin(self.read(move |c, _| deliver::unplanned(c, before, limit)))
    }

    fn wake(&self, to: &str, now: Timestamp, again: Timestamp, limit: usize) -> StoreResult<'_, Woken> {
        let to = to.to_owned();
        Box::pin(self.write(0, move |c| deliver::wake(c, &to, now, now, again, limit)))
    }

    fn wake_unheard(&self, to: &str, now: Timestamp, again: Timestamp, limit: usize) -> StoreResult<'_, Woken> {
        let to = to.to_owned();
        let announced = again - std::time::Duration::from_micros(1);
        Box::pin(self.write(0, move |c| deliver::wake(c, &to, now, announced, again, limit)))
    }

    fn expired(&self, now: Timestamp, node: Option<&str>, limit: usize) -> StoreResult<'_, Vec<Delivery>> {
        let node = node.map(str::to_owned);
        Box::pin(self.read(move |c, _| deliver::expired(c, now, node.as_deref(), limit)))
    }

    fn next_wake(&self, to: &str) -> StoreResult<'_, Option<Timestamp>> {
        let to = to.to_owned();
        Box::pin(self.read(move |c, _| deliver::next_wake(c, &to)))
    }

    fn events(&self, filter: EventFilter) -> StoreResult<'_, Vec<Event>> {
        Box::pin(self.read(move |c, sealer| read::events(c, sealer, &filter)))
    }

    fn event(&self, id: EventId) -> StoreResult<'_, Option<Event>> {
        Box::pin(self.read(move |c, sealer| read::event(c, sealer, id)))
    }

    fn deliveries(&self, filter: DeliveryFilter) -> StoreResult<'_, Vec<Delivery>> {
        Box::pin(self.read(move |c, _| read::deliveries(c, &filter)))
    }

    fn delivery(&self, id: DeliveryId) -> StoreResult<'_, Option<DeliveryDetail>> {
        Box::pin(self.read(move |c, sealer| read::delivery(c, sealer, id)))
    }

    fn rejected(&self, limit: usize) -> StoreResult<'_, Vec<Rejected>> {
        Box::pin(self.read(move |c, _| read::rejected(c, limit)))
    }

    fn retry(&self, ids: Vec<DeliveryId>, now: Timestamp) -> StoreResult<'_, Vec<Ready>> {
        Box::pin(self.write(ids.len() * 16, move |c| people::retry(c, &ids, now)))
    }

    fn discard(&self, ids: Vec<DeliveryId>, by: &str, why: &str, now: Timestamp) -> StoreResult<'_, Vec<DeliveryId>> {
        let (by, why) = (by.to_owned(), why.to_owned());
        Box::pin(self.write(ids.len() * 16, move |c| people::discard(c, &ids, &by, &why, now)))
    }

    fn replan(&self, ids: Vec<EventId>) -> StoreResult<'_, Vec<EventId>> {
        Box::pin(self.write(ids.len() * 16, move |c| people::replan(c, &ids)))
    }

    fn trace_order(&self, number: &str) -> StoreResult<'_, Trace> {
        let number = number.to_owned();
        Box::pin(self.read(move |c, sealer| trace::order(c, sealer, &number)))
    }

    fn counts(&self) -> StoreResult<'_, Counts> {
        Box::pin(self.read(|c, _| read::counts(c)))
    }

    fn keep_documents(&self, of: DeliveryId, documents: Vec<Document>, now: Timestamp) -> StoreResult<'_, ()> {
        Box::pin(async move {
            let sealed = papers::seal(&self.sealer, of, &documents).map_err(|failure| failure.error)?;
            self.write(sealed.len(), move |c| upkeep::keep_documents(c, of, now, &sealed)).await
        })
    }

    fn documents(&self, of: DeliveryId) -> StoreResult<'_, Vec<Document>> {
        Box::pin(self.read(move |c, sealer| papers::open(sealer, of, upkeep::documents(c, of)?)))
    }

    fn note(&self, notes: Vec<Note>) -> StoreResult<'_, ()> {
        Box::pin(async move {
            let notes = crate::notes::seal(&self.sealer, notes)?;
            self.write(crate::notes::bytes(&notes), move |c| notes::write(c, &notes)).await
        })
    }

    fn notes(&self, filter: NoteFilter) -> StoreResult<'_, Vec<Note>> {
        Box::pin(self.read(move |c, sealer| notes::read(c, &filter)?.into_iter().map(|note| note.open(sealer)).collect()))
    }

    fn forget_notes(&self, before: Timestamp, limit: usize) -> StoreResult<'_, usize> {
        Box::pin(self.write(0, move |c| notes::forget(c, before, limit)))
    }

    fn hold_duty(&self, duty: &str, node: &str, now: Timestamp, until: Timestamp) -> StoreResult<'_, bool> {
        let (duty, node) = (duty.to_owned(), node.to_owned());
        Box::pin(self.write(0, move |c| upkeep::hold_duty(c, &duty, &node, now, until)))
    }

    fn setting(&self, key: &str) -> StoreResult<'_, Option<Vec<u8>>> {
        let key = key.to_owned();
        Box::pin(self.read(move |c, sealer| settings::open(sealer, &key, upkeep::setting(c, &key)?)))
    }

    fn set_setting(&self, key: &str, value: Vec<u8>) -> StoreResult<'_, ()> {
        let key = key.to_owned();
        Box::pin(async move {
            let sealed = settings::seal(&self.sealer, &key, &value).map_err(|failure| failure.error)?;
            self.write(sealed.len(), move |c| upkeep::set_setting(c, &key, &sealed)).await
        })
    }

    fn prune(&self, before: Timestamp, rejected_before: Timestamp, limit: usize) -> StoreResult<'_, usize> {
        Box::pin(self.write(0, move |c| upkeep::prune(c, before, rejected_before, limit)))
    }

    /// One file is used on one machine: its clock is as good as any.
    fn time(&self) -> StoreResult<'_, Timestamp> {
        Box::pin(async { Ok(Clock::system().now()) })
    }

    fn backlog(&self, to: &str, now: Timestamp, most: usize) -> StoreResult<'_, Backlog> {
        let to = to.to_owned();
        Box::pin(self.read(move |c, _| upkeep::backlog(c, &to, now, most)))
    }

    fn probe(&self) -> StoreResult<'_, ()> {
        Box::pin(self.write(0, upkeep::probe))
    }
}
