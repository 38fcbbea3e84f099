//! The rows of [`crate::Connector::ABILITIES`]: each can only be written where the matching trait is implemented.

use crate::{
    Answer, Api, Around, Ask, BoxFuture, CallError, Checkout, Cursor, FindPickupPoints, Incoming, Job, Page, Parcel, ParseError,
    Perform, PerformBatch, Poll, Proof, Quote, Read, Readable, Receive, Registered, Repeat, Secret, Subscribe, Subscription,
    Track, Verified,
};
use spindel_model::{
    ActionKind, Change, EntityKind, Performed, PickupPoint, PickupQuery, Rate, RateRequest, Record, Timestamp, Verb,
};

/// One thing a connector can do.
pub enum Ability<C> {
    Receives(Receives<C>),
    Performs(Performs<C>),
    Reads { kind: EntityKind, read: ReadFn<C> },
    Polls(Polls<C>),
    Subscribes(Subscribes<C>),
    Tracks(Tracks<C>),
    Quotes(QuoteFn<C>),
    FindsPickupPoints(PickupFn<C>),
    ChecksOut(ChecksOut<C>),
}

pub struct Receives<C> {
    pub(crate) proof: fn(&C, &[Secret]) -> Proof,
    pub(crate) topic: fn(&C, &Verified) -> Result<String, ParseError>,
    pub(crate) delivery_key: fn(&C, &Verified) -> Option<String>,
    pub(crate) changes: fn(&C, &Verified) -> Result<Vec<Change>, ParseError>,
    pub(crate) challenge: fn(&C, &Incoming) -> Option<Answer>,
}

pub struct Performs<C> {
    pub(crate) kind: ActionKind,
    pub(crate) repeat: Repeat,
    pub(crate) max_batch: usize,
    pub(crate) run: RunFn<C>,
    pub(crate) look_up: LookUpFn<C>,
}

pub struct Polls<C> {
    pub(crate) kind: EntityKind,
    pub(crate) page: PageFn<C>,
    pub(crate) since: fn(&C, Timestamp) -> Option<Cursor>,
}

pub struct Subscribes<C> {
    pub(crate) topics: &'static [&'static str],
    pub(crate) list: ListFn<C>,
    pub(crate) register: RegisterFn<C>,
    pub(crate) repair: RepairFn<C>,
}

pub struct Tracks<C> {
    pub(crate) max: usize,
    pub(crate) track: TrackFn<C>,
}

pub struct ChecksOut<C> {
    pub(crate) proof: fn(&C) -> Proof,
    pub(crate) request: fn(&C, &Verified) -> Result<RateRequest, ParseError>,
    pub(crate) answer: fn(&C, &[Rate]) -> Answer,
}

type Outcomes = Vec<Result<Performed, CallError>>;
type RunFn<C> = for<'a> fn(&'a C, &'a Api, &'a [Job<'a>]) -> BoxFuture<'a, Outcomes>;
type LookUpFn<C> = for<'a> fn(&'a C, &'a Api, Job<'a>) -> BoxFuture<'a, Result<Option<Performed>, CallError>>;
type ReadFn<C> = for<'a> fn(&'a C, &'a Api, &'a str) -> BoxFuture<'a, Result<Option<Record>, CallError>>;
type PageFn<C> = for<'a> fn(&'a C, &'a Api, Option<&'a Cursor>, Timestamp) -> BoxFuture<'a, Result<Page, CallError>>;
type ListFn<C> = for<'a> fn(&'a C, &'a Api) -> BoxFuture<'a, Result<Vec<Subscription>, CallError>>;
type RegisterFn<C> = for<'a> fn(&'a C, &'a Api, &'a str, &'a str) -> BoxFuture<'a, Result<Registered, CallError>>;
type RepairFn<C> = for<'a> fn(&'a C, &'a Api, &'a Subscription) -> BoxFuture<'a, Result<Registered, CallError>>;
type TrackFn<C> = for<'a> fn(&'a C, &'a Api, &'a [Parcel]) -> BoxFuture<'a, Result<Vec<Change>, CallError>>;
type QuoteFn<C> = for<'a> fn(&'a C, &'a Api, &'a RateRequest) -> BoxFuture<'a, Result<Vec<Rate>, CallError>>;
type PickupFn<C> = for<'a> fn(&'a C, &'a Api, &'a PickupQuery) -> BoxFuture<'a, Result<Vec<PickupPoint>, CallError>>;

pub const fn receives<C: Receive>() -> Ability<C> {
    Ability::Receives(Receives {
        proof: C::proof,
        topic: C::topic,
        delivery_key: C::delivery_key,
        changes: C::changes,
        challenge: C::challenge,
    })
}

pub const fn performs<V: Verb, C: Perform<V>>() -> Ability<C> {
    Ability::Performs(Performs {
        kind: V::KIND,
        repeat: C::REPEAT,
        max_batch: 1,
        run: run_each::<V, C>,
        look_up: look_up::<V, C>,
    })
}

pub const fn performs_batch<V: Verb, C: PerformBatch<V>>() -> Ability<C> {
    const { assert!(C::MAX > 0, "a batch holds at least one action") };
    Ability::Performs(Performs {
        kind: V::KIND,
        repeat: C::REPEAT,
        max_batch: C::MAX,
        run: run_batch::<V, C>,
        look_up: no_look_up::<C>,
    })
}

pub const fn reads<R: Readable, C: Read<R>>() -> Ability<C> {
    Ability::Reads { kind: R::KIND, read: read::<R, C> }
}

pub const fn polls<R: Readable, C: Poll<R>>() -> Ability<C> {
    Ability::Polls(Polls { kind: R::KIND, page: page::<R, C>, since: <C as Poll<R>>::since })
}

pub const fn subscribes<C: Subscribe>() -> Ability<C> {
    Ability::Subscribes(Subscribes { topics: C::TOPICS, list: list::<C>, register: register::<C>, repair: repair::<C> })
}

pub const fn tracks<C: Track>() -> Ability<C> {
    const { assert!(C::MAX > 0, "at least one parcel is asked about") };
    Ability::Tracks(Tracks { max: C::MAX, track: track::<C> })
}

pub const fn quotes<C: Quote>() -> Ability<C> {
    Ability::Quotes(quote::<C>)
}

pub const fn finds_pickup_points<C: FindPickupPoints>() -> Ability<C> {
    Ability::FindsPickupPoints(pickup_points::<C>)
}

pub const fn checks_out<C: Checkout>() -> Ability<C> {
    Ability::ChecksOut(ChecksOut { proof: C::rate_proof, request: C::rate_request, answer: C::rate_answer })
}

fn wrong_kind(kind: ActionKind) -> CallError {
    CallError::new(kind.as_str(), spindel_model::ErrorClass::Bug, "handed an action of another kind")
}

fn run_each<'a, V: Verb, C: Perform<V>>(connector: &'a C, api: &'a Api, jobs: &'a [Job<'a>]) -> BoxFuture<'a, Outcomes> {
    Box::pin(async move {
        let mut outcomes = Vec::with_capacity(jobs.len());
        for job in jobs {
            outcomes.push(match job.of::<V>() {
                Some(ask) => connector.perform(api, ask).await,
                None => Err(wrong_kind(V::KIND)),
            });
        }
        outcomes
    })
}

fn run_batch<'a, V: Verb, C: PerformBatch<V>>(connector: &'a C, api: &'a Api, jobs: &'a [Job<'a>]) -> BoxFuture<'a, Outcomes> {
    Box::pin(async move {
        let asks: Vec<Ask<'a, V>> = jobs.iter().filter_map(Job::of).collect();
        if asks.len() != jobs.len() {
            return jobs.iter().map(|_| Err(wrong_kind(V::KIND))).collect();
        }
        let outcomes = connector.perform_batch(api, &asks).await;
        if outcomes.len() == jobs.len() {
            return outcomes;
        }
        let bug =
            CallError::new(V::KIND.as_str(), spindel_model::ErrorClass::Bug, "the batch has not one outcome for each action")
                .with_unknown_effect();
        jobs.iter().map(|_| Err(bug.clone())).collect()
    })
}

fn look_up<'a, V: Verb, C: Perform<V>>(
    connector: &'a C,
    api: &'a Api,
    job: Job<'a>,
) -> BoxFuture<'a, Result<Option<Performed>, CallError>> {
    Box::pin(async move {
        let ask = job.of::<V>().ok_or_else(|| wrong_kind(V::KIND))?;
        connector.look_up(api, ask).await
    })
}

fn no_look_up<'a, C>(_: &'a C, _: &'a Api, _: Job<'a>) -> BoxFuture<'a, Result<Option<Performed>, CallError>> {
    Box::pin(async { Ok(None) })
}

fn read<'a, R: Readable, C: Read<R>>(
    connector: &'a C,
    api: &'a Api,
    id: &'a str,
) -> BoxFuture<'a, Result<Option<Record>, CallError>> {
    Box::pin(async move { Ok(connector.read(api, id).await?.map(R::into_record)) })
}

fn page<'a, R: Readable, C: Poll<R>>(
    connector: &'a C,
    api: &'a Api,
    cursor: Option<&'a Cursor>,
    now: Timestamp,
) -> BoxFuture<'a, Result<Page, CallError>> {
    Box::pin(<C as Poll<R>>::page(connector, api, cursor, now))
}

fn list<'a, C: Subscribe>(connector: &'a C, api: &'a Api) -> BoxFuture<'a, Result<Vec<Subscription>, CallError>> {
    Box::pin(connector.list(api))
}

fn register<'a, C: Subscribe>(
    connector: &'a C,
    api: &'a Api,
    topic: &'a str,
    address: &'a str,
) -> BoxFuture<'a, Result<Registered, CallError>> {
    Box::pin(connector.register(api, topic, address))
}

fn repair<'a, C: Subscribe>(
    connector: &'a C,
    api: &'a Api,
    subscription: &'a Subscription,
) -> BoxFuture<'a, Result<Registered, CallError>> {
    Box::pin(connector.repair(api, subscription))
}

fn track<'a, C: Track>(connector: &'a C, api: &'a Api, parcels: &'a [Parcel]) -> BoxFuture<'a, Result<Vec<Change>, CallError>> {
    Box::pin(connector.track(api, parcels))
}

fn quote<'a, C: Quote>(connector: &'a C, api: &'a Api, request: &'a RateRequest) -> BoxFuture<'a, Result<Vec<Rate>, CallError>> {
    Box::pin(connector.quote(api, request))
}

fn pickup_points<'a, C: FindPickupPoints>(
    connector: &'a C,
    api: &'a Api,
    query: &'a PickupQuery,
) -> BoxFuture<'a, Result<Vec<PickupPoint>, CallError>> {
    Box::pin(connector.pickup_points(api, query))
}

/// Whether no ability is listed twice; asserted when the catalog is compiled.
pub const fn distinct<C>(rows: &[Ability<C>]) -> bool {
    let mut i = 0;
    while i < rows.len() {
        let mut j = i + 1;
        while j < rows.len() {
            let same = match (&rows[i], &rows[j]) {
                (Ability::Performs(a), Ability::Performs(b)) => a.kind as u8 == b.kind as u8,
                (Ability::Reads { kind: a, .. }, Ability::Reads { kind: b, .. }) => *a as u8 == *b as u8,
                (Ability::Polls(a), Ability::Polls(b)) => a.kind as u8 == b.kind as u8,
                (Ability::Receives(_), Ability::Receives(_))
                | (Ability::Subscribes(_), Ability::Subscribes(_))
                | (Ability::Tracks(_), Ability::Tracks(_))
                | (Ability::Quotes(_), Ability::Quotes(_))
                | (Ability::FindsPickupPoints(_), Ability::FindsPickupPoints(_))
                | (Ability::ChecksOut(_), Ability::ChecksOut(_)) => true,
                _ => false,
            };
            if same {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

impl<C> Ability<C> {
    /// The ability without its code: what lint, documentation and tests read.
    pub fn describe(&self) -> Described {
        match self {
            Self::Receives(_) => Described::Receives,
            Self::Performs(it) => Described::Performs { action: it.kind, repeat: it.repeat, batch: it.max_batch },
            Self::Reads { kind, .. } => Described::Reads(*kind),
            Self::Polls(it) => Described::Polls(it.kind),
            Self::Subscribes(_) => Described::Subscribes,
            Self::Tracks(_) => Described::Tracks,
            Self::Quotes(_) => Described::Quotes,
            Self::FindsPickupPoints(_) => Described::FindsPickupPoints,
            Self::ChecksOut(_) => Described::ChecksOut,
        }
    }
}

/// An ability as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Described {
    Receives,
    Performs { action: ActionKind, repeat: Repeat, batch: usize },
    Reads(EntityKind),
    Polls(EntityKind),
    Subscribes,
    Tracks,
    Quotes,
    FindsPickupPoints,
    ChecksOut,
}

/// The key that fixtures use: `receive`, `set_stock`, `read order`, `poll stock`, `subscribe`, `track`, `quote`,
/// `pickup_points`, `checkout`.
impl std::fmt::Display for Described {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Receives => f.write_str("receive"),
            Self::Performs { action, .. } => write!(f, "{action}"),
            Self::Reads(kind) => write!(f, "read {kind}"),
            Self::Polls(kind) => write!(f, "poll {kind}"),
            Self::Subscribes => f.write_str("subscribe"),
            Self::Tracks => f.write_str("track"),
            Self::Quotes => f.write_str("quote"),
            Self::FindsPickupPoints => f.write_str("pickup_points"),
            Self::ChecksOut => f.write_str("checkout"),
        }
    }
}

impl std::fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "from {} attempt {}", self.from, self.attempt)
    }
}
