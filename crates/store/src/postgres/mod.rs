//! The store in PostgreSQL, for any number of nodes: few connections, few round trips, nothing waits for a dead server.

mod address;
mod claim;
mod clean;
mod finish;
mod groups;
#[cfg(test)]
mod hot;
mod intake;
mod lanes;
mod leased;
mod notes;
mod people;
mod plan;
mod read;
mod rows;
mod schema;
mod session;
mod trace;
mod upkeep;
mod work;
mod write;

use crate::{
    admission::{Part, Waiting},
    content::SealedEvent,
    failure::{Failure, Tried},
    papers,
    recent::Recent,
    seal::Sealer,
    sealed::{SealedFinish, SealedPlan},
    settings, *,
};
use address::Address;
use finish::Finishing;
use groups::{Before, Group, Work};
use leased::Leased;
use session::{Joins, Line, Session};
use spindel_model::{ActionKind, Delivery, DeliveryId, Document, Event, EventId, Rejected, Timestamp};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Commits of what comes in; whoever waits for a 200 is told within two seconds.
const SHORT: Duration = Duration::from_millis(1500);
const SHORT_WITH_QUEUE: Duration = Duration::from_millis(1900);
/// Work under way.
const LONG: Duration = Duration::from_secs(5);
/// What people read, and what runs beside the work. A little more than the server's own limit, which says why.
const LONGEST: Duration = Duration::from_secs(11);

/// How to open a store.
#[derive(Clone, Default)]
pub struct PostgresOptions {
    /// `postgres://user@host:5432/database`, with `?sslmode=disable|require|verify-full` and `&sslrootcert=file` where
    /// they are needed.
    pub url: String,
    /// Instead of one in the URL.
    pub password: Option<String>,
    /// Certificates (PEM) that the server's must come from, instead of those that the system trusts.
    pub ca: Option<PathBuf>,
    /// Where the tables stand, made when it is missing; the user's own schema when it is not named.
    pub schema: Option<String>,
    /// Encrypts payloads from now on; needed to read what was written with it. The setting is `store.encryption_key`.
    pub encryption_key: Option<[u8; 32]>,
}

/// A store in a PostgreSQL database. Eight connections at most.
pub struct PostgresStore {
    appends: Group<Arc<SealedEvent>, Appended>,
    rejects: Group<Rejected, ()>,
    plans: Group<SealedPlan, Planned>,
    claims: Group<Claim, Vec<claim::SealedClaim>>,
    finishes: Group<Vec<Finishing>, Vec<Finished>>,
    /// Short statements of the work itself.
    shared: Arc<Line>,
    /// What people read may take longer, and must not hold up the work.
    people: Arc<Line>,
    /// Transactions of several statements, one at a time.
    hands: tokio::sync::Mutex<Arc<Line>>,
    waiting: Waiting,
    sealer: Arc<Sealer>,
    recent: Recent,
    leased: Leased,
}

impl PostgresStore {
    /// Connects, brings the schema forward, and refuses what it cannot work with.
    pub async fn open(options: PostgresOptions) -> Result<Arc<Self>, StoreError> {
        let address = Arc::new(Address::of(&options)?);
        let sealer = Arc::new(Sealer::new(options.encryption_key));
        prepare(&address, &sealer).await?;
        let line = || Line::new(Arc::clone(&address), Joins::Lookups);
        let hashing = || Line::new(Arc::clone(&address), Joins::Hashed);
        let (waiting, shared) = (Waiting::default(), line());
        let appends =
            Work { run: intake::append, limit: SHORT, repeats: false, patience: Some(SHORT_WITH_QUEUE), part: Part::Intake };
        let rejects =
            Work { run: intake::reject, limit: SHORT, repeats: false, patience: Some(SHORT_WITH_QUEUE), part: Part::Intake };
        let plans = Work { run: plan_all, limit: LONG, repeats: true, patience: None, part: Part::Progress };
        let claims = Work { run: claim::claim, limit: LONG, repeats: false, patience: None, part: Part::Progress };
        let finishes = Work { run: finish_all, limit: LONG, repeats: true, patience: None, part: Part::Progress };
        Ok(Arc::new(Self {
            appends: Group::start([hashing(), hashing()], &waiting, appends),
            rejects: Group::start([Arc::clone(&shared)], &waiting, rejects),
            plans: Group::start([line()], &waiting, plans),
            claims: Group::start([line()], &waiting, claims),
            finishes: Group::start([line()], &waiting, finishes),
            shared,
            people: line(),
            hands: tokio::sync::Mutex::new(line()),
            waiting,
            sealer,
            recent: Recent::default(),
            leased: Leased::default(),
        }))
    }

    /// Deletes the schema that `options` names, with all that is in it: what a demo or a test made for itself.
    pub async fn drop_schema(options: &PostgresOptions) -> Result<(), StoreError> {
        let address = Address::of(options)?;
        let Some(schema) = &options.schema else { return Ok(()) };
        let (session, _) = Session::open(&address, Joins::Lookups).await?;
        Ok(session.batch(&format!("DROP SCHEMA IF EXISTS {} CASCADE", schema::quoted(schema))).await?)
    }

    fn open_claims(&self, claims: Vec<claim::SealedClaim>) -> Result<Vec<Claimed>, StoreError> {
        let claims = claims.into_iter().map(|claim| claim.open(&self.sealer)).collect::<Tried<Vec<_>>>()?;
        self.leased.note(&claims);
        Ok(claims)
    }

    async fn transaction<T, F>(&self, bytes: usize, work: impl Fn(Arc<Session>) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Tried<T>>,
    {
        let _ticket = self.waiting.admit(Part::Progress, bytes)?;
        let line = self.hands.lock().await;
        for pause in 1..=groups::TRIES_IN_THE_WAY {
            let work = |s: Arc<Session>| {
                let work = work(Arc::clone(&s));
                async move { s.transaction(work).await }
            };
            match line.run(LONGEST, work).await {
                Err(failure) if failure.again => tokio::time::sleep(Duration::from_millis(u64::from(10 * pause))).await,
                done => return Ok(done?),
            }
        }
        Err(StoreError::Unavailable("other transactions were in the way each time: try again".into()))
    }
}

/// Nothing is written before all that can be wrong with the database was looked for.
async fn prepare(address: &Address, sealer: &Sealer) -> Result<(), StoreError> {
    let (session, _) = Session::open(address, Joins::Lookups).await?;
    let ready = async {
        schema::create(&session, address.schema()).await?;
        schema::check_server(&session, &address.name()).await?;
        schema::migrate(&session).await?;
        upkeep::check_key(&session, sealer).await
    };
    ready.await.map_err(|failure: Failure| address.at(failure).error)
}

fn plan_all<'a>(s: &'a Session, jobs: &'a [SealedPlan], before: Before) -> BoxFuture<'a, Tried<Vec<Planned>>> {
    Box::pin(s.transaction(plan::plan_group(s, jobs, before == Before::PerhapsDone)))
}

fn finish_all<'a>(s: &'a Session, jobs: &'a [Vec<Finishing>], before: Before) -> BoxFuture<'a, Tried<Vec<Vec<Finished>>>> {
    Box::pin(async move {
        let all: Vec<&Finishing> = jobs.iter().flatten().collect();
        let finished = s.transaction(finish::finish_group(s, &all, before == Before::PerhapsDone)).await?;
        let mut finished = finished.into_iter();
        Ok(jobs.iter().map(|job| finished.by_ref().take(job.len()).collect()).collect())
    })
}

impl Store for PostgresStore {
    fn append(&self, event: NewEvent) -> StoreResult<'_, Appended> {
        Box::pin(async move {
            let event = Arc::new(SealedEvent::new(&self.sealer, event)?);
            let appended = self.appends.submit(event.bytes(), Arc::clone(&event)).await?;
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
            let _ticket = self.waiting.admit(Part::Intake, events.iter().map(SealedEvent::bytes).sum())?;
            Ok(self.shared.run(LONG, |s| async move { intake::append_page(&s, &events, &cursor).await }).await?)
        })
    }

    fn cursor(&self, connection: &str, kind: &str) -> StoreResult<'_, Option<String>> {
        let (connection, kind) = (connection.to_owned(), kind.to_owned());
        Box::pin(async move { Ok(self.shared.run(LONG, |s| async move { read::cursor(&s, &connection, &kind).await }).await?) })
    }

    fn reject(&self, rejected: Rejected) -> StoreResult<'_, ()> {
        Box::pin(self.rejects.submit(512, rejected))
    }

    fn to_plan(&self, mut ids: Vec<EventId>) -> StoreResult<'_, Vec<Event>> {
        Box::pin(async move {
            let mut events = self.recent.take(&mut ids);
            if !ids.is_empty() {
                events.extend(self.shared.run(LONG, |s| async move { read::to_plan(&s, &self.sealer, &ids).await }).await?);
            }
            Ok(events)
        })
    }

    fn plan(&self, plan: EventPlan) -> StoreResult<'_, Planned> {
        Box::pin(async move {
            self.recent.forget(plan.event);
            let plan = SealedPlan::new(&self.sealer, clean::plan(plan))?;
            self.plans.submit(plan.bytes(), plan).await
        })
    }

    fn claim(&self, claim: Claim) -> StoreResult<'_, Vec<Claimed>> {
        Box::pin(async move {
            let claims = self.claims.submit(claim.ids.len() * 16, claim).await?;
            self.open_claims(claims)
        })
    }

    fn claim_more(&self, to: &str, flow: &str, action: ActionKind, limit: usize, by: Claimant) -> StoreResult<'_, Vec<Claimed>> {
        let (to, flow) = (to.to_owned(), flow.to_owned());
        Box::pin(async move {
            let claims =
                self.shared.run(LONG, |s| async move { claim::claim_more(&s, &to, &flow, action, limit, &by).await }).await?;
            self.open_claims(claims)
        })
    }

    fn finish(&self, finishes: Vec<Finish>) -> StoreResult<'_, Vec<Finished>> {
        Box::pin(async move {
            let ready = |finish: Finish| {
                let lane = self.leased.take(finish.id);
                Ok::<_, StoreError>(Finishing { sealed: SealedFinish::new(&self.sealer, clean::finish(finish))?, lane })
            };
            let finishes = finishes.into_iter().map(ready).collect::<Result<Vec<_>, _>>()?;
            let bytes = finishes.iter().map(|it| it.sealed.bytes()).sum();
            self.finishes.submit(bytes, finishes).await
        })
    }

    fn heartbeat(&self, leases: Vec<(DeliveryId, u64)>, until: Timestamp) -> StoreResult<'_, Vec<DeliveryId>> {
        Box::pin(async move { Ok(self.shared.run(LONG, |s| async move { claim::heartbeat(&s, &leases, until).await }).await?) })
    }

    fn unplanned(&self, before: Timestamp, limit: usize) -> StoreResult<'_, Vec<EventId>> {
        Box::pin(async move { Ok(self.shared.run(LONG, |s| async move { claim::unplanned(&s, before, limit).await }).await?) })
    }

    fn wake(&self, to: &str, now: Timestamp, again: Timestamp, limit: usize) -> StoreResult<'_, Woken> {
        let to = to.to_owned();
        Box::pin(async move {
            Ok(self.shared.run(LONG, |s| async move { claim::wake(&s, &to, now, now, again, limit).await }).await?)
        })
    }

    fn wake_unheard(&self, to: &str, now: Timestamp, again: Timestamp, limit: usize) -> StoreResult<'_, Woken> {
        let to = to.to_owned();
        let announced = again - Duration::from_micros(1);
        Box::pin(async move {
            Ok(self.shared.run(LONG, |s| async move { claim::wake(&s, &to, now, announced, again, limit).await }).await?)
        })
    }

    fn expired(&self, now: Timestamp, node: Option<&str>, limit: usize) -> StoreResult<'_, Vec<Delivery>> {
        let node = node.map(str::to_owned);
        Box::pin(async move {
            Ok(self.shared.run(LONG, |s| async move { claim::expired(&s, now, node.as_deref(), limit).await }).await?)
        })
    }

    fn next_wake(&self, to: &str) -> StoreResult<'_, Option<Timestamp>> {
        let to = to.to_owned();
        Box::pin(async move { Ok(self.shared.run(LONG, |s| async move { claim::next_wake(&s, &to).await }).await?) })
    }

    fn events(&self, filter: EventFilter) -> StoreResult<'_, Vec<Event>> {
        Box::pin(
            async move { Ok(self.people.run(LONGEST, |s| async move { read::events(&s, &self.sealer, &filter).await }).await?) },
        )
    }

    fn event(&self, id: EventId) -> StoreResult<'_, Option<Event>> {
        Box::pin(async move { Ok(self.people.run(LONGEST, |s| async move { read::event(&s, &self.sealer, id).await }).await?) })
    }

    fn deliveries(&self, filter: DeliveryFilter) -> StoreResult<'_, Vec<Delivery>> {
        Box::pin(async move { Ok(self.people.run(LONGEST, |s| async move { read::deliveries(&s, &filter).await }).await?) })
    }

    fn delivery(&self, id: DeliveryId) -> StoreResult<'_, Option<DeliveryDetail>> {
        Box::pin(
            async move { Ok(self.people.run(LONGEST, |s| async move { read::delivery(&s, &self.sealer, id).await }).await?) },
        )
    }

    fn rejected(&self, limit: usize) -> StoreResult<'_, Vec<Rejected>> {
        Box::pin(async move { Ok(self.people.run(LONGEST, |s| async move { read::rejected(&s, limit).await }).await?) })
    }

    fn retry(&self, ids: Vec<DeliveryId>, now: Timestamp) -> StoreResult<'_, Vec<Ready>> {
        Box::pin(async move {
            let ids = &ids;
            self.transaction(ids.len() * 16, |s| async move { people::retry(&s, ids, now).await }).await
        })
    }

    fn discard(&self, ids: Vec<DeliveryId>, by: &str, why: &str, now: Timestamp) -> StoreResult<'_, Vec<DeliveryId>> {
        let (by, why) = (by.to_owned(), why.to_owned());
        Box::pin(async move {
            let (ids, by, why) = (&ids, &by, &why);
            self.transaction(ids.len() * 16, |s| async move { people::discard(&s, ids, by, why, now).await }).await
        })
    }

    fn replan(&self, ids: Vec<EventId>) -> StoreResult<'_, Vec<EventId>> {
        Box::pin(async move {
            let ids = &ids;
            self.transaction(ids.len() * 16, |s| async move { people::replan(&s, ids).await }).await
        })
    }

    fn trace_order(&self, number: &str) -> StoreResult<'_, Trace> {
        let number = number.to_owned();
        Box::pin(
            async move { Ok(self.people.run(LONGEST, |s| async move { trace::order(&s, &self.sealer, &number).await }).await?) },
        )
    }

    fn counts(&self) -> StoreResult<'_, Counts> {
        Box::pin(async move { Ok(self.people.run(LONGEST, |s| async move { read::counts(&s).await }).await?) })
    }

    fn keep_documents(&self, of: DeliveryId, documents: Vec<Document>, now: Timestamp) -> StoreResult<'_, ()> {
        Box::pin(async move {
            let sealed = papers::seal(&self.sealer, of, &documents).map_err(|failure| failure.error)?;
            Ok(self.shared.run(LONG, |s| async move { upkeep::keep_documents(&s, of, now, &sealed).await }).await?)
        })
    }

    fn documents(&self, of: DeliveryId) -> StoreResult<'_, Vec<Document>> {
        Box::pin(async move {
            let sealed = self.people.run(LONGEST, |s| async move { upkeep::documents(&s, of).await }).await?;
            papers::open(&self.sealer, of, sealed).map_err(|failure| failure.error)
        })
    }

    fn note(&self, notes: Vec<Note>) -> StoreResult<'_, ()> {
        Box::pin(async move {
            let notes = crate::notes::seal(&self.sealer, clean::notes(notes))?;
            let notes = &notes;
            self.transaction(crate::notes::bytes(notes), |s| async move { notes::write(&s, notes).await }).await
        })
    }

    fn notes(&self, filter: NoteFilter) -> StoreResult<'_, Vec<Note>> {
        Box::pin(async move {
            let sealed = self.people.run(LONGEST, |s| async move { notes::read(&s, &filter).await }).await?;
            sealed.into_iter().map(|note| note.open(&self.sealer).map_err(|failure| failure.error)).collect()
        })
    }

    fn forget_notes(&self, before: Timestamp, limit: usize) -> StoreResult<'_, usize> {
        Box::pin(self.transaction(0, move |s| async move { notes::forget(&s, before, limit).await }))
    }

    fn hold_duty(&self, duty: &str, node: &str, now: Timestamp, until: Timestamp) -> StoreResult<'_, bool> {
        let (duty, node) = (duty.to_owned(), node.to_owned());
        Box::pin(async move {
            Ok(self.shared.run(LONG, |s| async move { upkeep::hold_duty(&s, &duty, &node, now, until).await }).await?)
        })
    }

    fn setting(&self, key: &str) -> StoreResult<'_, Option<Vec<u8>>> {
        let key = key.to_owned();
        Box::pin(async move {
            let asked = key.clone();
            let sealed = self.shared.run(LONG, |s| async move { upkeep::setting(&s, &asked).await }).await?;
            settings::open(&self.sealer, &key, sealed).map_err(|failure| failure.error)
        })
    }

    fn set_setting(&self, key: &str, value: Vec<u8>) -> StoreResult<'_, ()> {
        let key = key.to_owned();
        Box::pin(async move {
            let sealed = settings::seal(&self.sealer, &key, &value).map_err(|failure| failure.error)?;
            Ok(self.shared.run(LONG, |s| async move { upkeep::set_setting(&s, &key, &sealed).await }).await?)
        })
    }

    fn prune(&self, before: Timestamp, rejected_before: Timestamp, limit: usize) -> StoreResult<'_, usize> {
        Box::pin(self.transaction(0, move |s| async move { upkeep::prune(&s, before, rejected_before, limit).await }))
    }

    fn time(&self) -> StoreResult<'_, Timestamp> {
        Box::pin(async move { Ok(self.shared.run(SHORT, |s| async move { upkeep::time(&s).await }).await?) })
    }

    fn backlog(&self, to: &str, now: Timestamp, most: usize) -> StoreResult<'_, Backlog> {
        let to = to.to_owned();
        Box::pin(async move { Ok(self.shared.run(LONG, |s| async move { upkeep::backlog(&s, &to, now, most).await }).await?) })
    }

    fn probe(&self) -> StoreResult<'_, ()> {
        Box::pin(async move { Ok(self.shared.run(SHORT, |s| async move { upkeep::probe(&s).await }).await?) })
    }
}
