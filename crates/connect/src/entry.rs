//! The type-erased side of the contract: what the catalog lists and the engine calls.

use crate::{
    Ability, Answer, Api, BoxFuture, Budget, CallError, ConfigError, Connector, Cursor, Described, Endpoint, Fixture, Incoming,
    Info, Job, Page, Parcel, ParseError, Proof, Registered, Repeat, Reply, Secret, Subscription, Verdict, Verified, distinct,
};
use spindel_model::{ActionKind, Change, EntityKind, Performed, PickupPoint, PickupQuery, Rate, RateRequest, Record, Timestamp};
use std::sync::Arc;

/// A connector in the catalog; usable without credentials.
#[derive(Clone, Copy)]
pub struct Entry {
    pub info: Info,
    pub fixtures: &'static [Fixture],
    pub abilities: fn() -> Vec<Described>,
    /// JSON schema of the connection's settings.
    pub schema: fn() -> schemars::Schema,
    pub connect: fn(serde_json::Value) -> Connected,
    pub refine: fn(&Reply) -> Option<Verdict>,
    pub budget: fn(&Reply) -> Option<Budget>,
}

/// One configured account, and where its vendor is.
pub type Connected = Result<(Arc<dyn Connection>, Endpoint), ConfigError>;

impl Entry {
    pub fn performs(&self, action: ActionKind) -> bool {
        self.actions().contains(&action)
    }

    pub fn actions(&self) -> Vec<ActionKind> {
        let kind = |it| match it {
            Described::Performs { action, .. } => Some(action),
            _ => None,
        };
        (self.abilities)().into_iter().filter_map(kind).collect()
    }

    pub fn polls(&self, kind: EntityKind) -> bool {
        (self.abilities)().contains(&Described::Polls(kind))
    }

    pub fn reads(&self, kind: EntityKind) -> bool {
        (self.abilities)().contains(&Described::Reads(kind))
    }

    pub fn receives(&self) -> bool {
        (self.abilities)().contains(&Described::Receives)
    }
}

/// The catalog's row for a connector.
pub const fn entry<C: Connector>() -> Entry {
    const { assert!(distinct::<C>(C::ABILITIES), "an ability is listed twice in ABILITIES") };
    Entry {
        info: C::INFO,
        fixtures: C::FIXTURES,
        abilities: || C::ABILITIES.iter().map(Ability::describe).collect(),
        schema: || schemars::schema_for!(C::Config),
        connect: connect::<C>,
        refine: C::refine,
        budget: C::budget,
    }
}

fn connect<C: Connector>(settings: serde_json::Value) -> Connected {
    let config = serde_path_to_error::deserialize(settings).map_err(|error| {
        let field = error.path().to_string();
        ConfigError::new(if field == "." { String::new() } else { field }, error.inner().to_string())
    })?;
    let (connector, endpoint) = C::connect(config)?;
    Ok((Arc::new(Live(connector)), endpoint))
}

/// One configured account at a vendor. What the connector cannot do answers `None`.
pub trait Connection: Send + Sync {
    fn info(&self) -> Info;
    fn abilities(&self) -> Vec<Described>;
    /// `kept`: secrets that the vendor gave at a subscription.
    fn proof(&self, kept: &[Secret]) -> Option<Proof>;
    fn topic(&self, delivery: &Verified) -> Option<Result<String, ParseError>>;
    fn delivery_key(&self, delivery: &Verified) -> Option<String>;
    fn changes(&self, delivery: &Verified) -> Option<Result<Vec<Change>, ParseError>>;
    fn challenge(&self, incoming: &Incoming) -> Option<Answer>;
    /// How the action may be repeated, and how many fit into one call.
    fn performs(&self, action: ActionKind) -> Option<(Repeat, usize)>;
    /// One outcome for each job; all jobs are of one kind, and no more than [`Connection::performs`] says.
    fn perform<'a>(&'a self, api: &'a Api, jobs: &'a [Job<'a>]) -> Option<BoxFuture<'a, Vec<Result<Performed, CallError>>>>;
    fn look_up<'a>(&'a self, api: &'a Api, job: Job<'a>) -> Option<BoxFuture<'a, Result<Option<Performed>, CallError>>>;
    fn read<'a>(
        &'a self,
        api: &'a Api,
        kind: EntityKind,
        id: &'a str,
    ) -> Option<BoxFuture<'a, Result<Option<Record>, CallError>>>;
    fn poll<'a>(
        &'a self,
        api: &'a Api,
        kind: EntityKind,
        cursor: Option<&'a Cursor>,
        now: Timestamp,
    ) -> Option<BoxFuture<'a, Result<Page, CallError>>>;
    /// Where a poll begins that is to bring all that changed since then.
    fn poll_since(&self, _kind: EntityKind, _at: Timestamp) -> Option<Cursor> {
        None
    }
    /// The vendor topics that should be subscribed to; empty when subscriptions are not managed by API.
    fn subscription_topics(&self) -> &'static [&'static str];
    fn subscriptions<'a>(&'a self, api: &'a Api) -> Option<BoxFuture<'a, Result<Vec<Subscription>, CallError>>>;
    fn subscribe<'a>(
        &'a self,
        api: &'a Api,
        topic: &'a str,
        address: &'a str,
    ) -> Option<BoxFuture<'a, Result<Registered, CallError>>>;
    fn repair<'a>(
        &'a self,
        api: &'a Api,
        subscription: &'a Subscription,
    ) -> Option<BoxFuture<'a, Result<Registered, CallError>>> {
        self.subscribe(api, &subscription.topic, &subscription.address)
    }
    /// How many parcels may be asked about at once.
    fn tracks(&self) -> Option<usize> {
        None
    }
    fn track<'a>(&'a self, _api: &'a Api, _parcels: &'a [Parcel]) -> Option<BoxFuture<'a, Result<Vec<Change>, CallError>>> {
        None
    }
    fn quote<'a>(&'a self, _api: &'a Api, _request: &'a RateRequest) -> Option<BoxFuture<'a, Result<Vec<Rate>, CallError>>> {
        None
    }
    fn pickup_points<'a>(
        &'a self,
        _api: &'a Api,
        _query: &'a PickupQuery,
    ) -> Option<BoxFuture<'a, Result<Vec<PickupPoint>, CallError>>> {
        None
    }
    fn rate_proof(&self) -> Option<Proof> {
        None
    }
    fn rate_request(&self, _asked: &Verified) -> Option<Result<RateRequest, ParseError>> {
        None
    }
    fn rate_answer(&self, _rates: &[Rate]) -> Option<Answer> {
        None
    }
    fn probe<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, Result<String, CallError>>;
}

/// A request that proved no more than that its sender knows the address cannot say what anything is like.
fn only_hints(delivery: &Verified, changes: Vec<Change>) -> Result<Vec<Change>, ParseError> {
    let hint = |change: &Change| matches!(change.record, Record::Nudge);
    if delivery.is_nudge() && !changes.iter().all(hint) {
        let problem = "nobody signed this request, so that its changes must be nudges: the record is to be read back";
        return Err(ParseError::Content(problem.to_owned()));
    }
    Ok(changes)
}

struct Live<C>(C);

impl<C: Connector> Live<C> {
    fn receives(&self) -> Option<&'static crate::Receives<C>> {
        C::ABILITIES.iter().find_map(|row| match row {
            Ability::Receives(it) => Some(it),
            _ => None,
        })
    }

    fn performs(&self, action: ActionKind) -> Option<&'static crate::Performs<C>> {
        C::ABILITIES.iter().find_map(|row| match row {
            Ability::Performs(it) if it.kind == action => Some(it),
            _ => None,
        })
    }

    fn subscribes(&self) -> Option<&'static crate::Subscribes<C>> {
        C::ABILITIES.iter().find_map(|row| match row {
            Ability::Subscribes(it) => Some(it),
            _ => None,
        })
    }

    fn tracking(&self) -> Option<&'static crate::Tracks<C>> {
        C::ABILITIES.iter().find_map(|row| match row {
            Ability::Tracks(it) => Some(it),
            _ => None,
        })
    }

    fn checks_out(&self) -> Option<&'static crate::ChecksOut<C>> {
        C::ABILITIES.iter().find_map(|row| match row {
            Ability::ChecksOut(it) => Some(it),
            _ => None,
        })
    }
}

impl<C: Connector> Connection for Live<C> {
    fn info(&self) -> Info {
        C::INFO
    }

    fn abilities(&self) -> Vec<Described> {
        C::ABILITIES.iter().map(Ability::describe).collect()
    }

    fn proof(&self, kept: &[Secret]) -> Option<Proof> {
        self.receives().map(|it| (it.proof)(&self.0, kept))
    }

    fn topic(&self, delivery: &Verified) -> Option<Result<String, ParseError>> {
        self.receives().map(|it| (it.topic)(&self.0, delivery))
    }

    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        self.receives().and_then(|it| (it.delivery_key)(&self.0, delivery))
    }

    fn changes(&self, delivery: &Verified) -> Option<Result<Vec<Change>, ParseError>> {
        let changes = |it: &crate::Receives<C>| (it.changes)(&self.0, delivery).and_then(|changes| only_hints(delivery, changes));
        self.receives().map(changes)
    }

    fn challenge(&self, incoming: &Incoming) -> Option<Answer> {
        self.receives().and_then(|it| (it.challenge)(&self.0, incoming))
    }

    fn performs(&self, action: ActionKind) -> Option<(Repeat, usize)> {
        Live::performs(self, action).map(|it| (it.repeat, it.max_batch))
    }

    fn perform<'a>(&'a self, api: &'a Api, jobs: &'a [Job<'a>]) -> Option<BoxFuture<'a, Vec<Result<Performed, CallError>>>> {
        let action = jobs.first()?.action.kind();
        Live::performs(self, action).map(|it| (it.run)(&self.0, api, jobs))
    }

    fn look_up<'a>(&'a self, api: &'a Api, job: Job<'a>) -> Option<BoxFuture<'a, Result<Option<Performed>, CallError>>> {
        Live::performs(self, job.action.kind()).map(|it| (it.look_up)(&self.0, api, job))
    }

    fn read<'a>(
        &'a self,
        api: &'a Api,
        kind: EntityKind,
        id: &'a str,
    ) -> Option<BoxFuture<'a, Result<Option<Record>, CallError>>> {
        C::ABILITIES.iter().find_map(|row| match row {
            Ability::Reads { kind: it, read } if *it == kind => Some(read(&self.0, api, id)),
            _ => None,
        })
    }

    fn poll<'a>(
        &'a self,
        api: &'a Api,
        kind: EntityKind,
        cursor: Option<&'a Cursor>,
        now: Timestamp,
    ) -> Option<BoxFuture<'a, Result<Page, CallError>>> {
        C::ABILITIES.iter().find_map(|row| match row {
            Ability::Polls(it) if it.kind == kind => Some((it.page)(&self.0, api, cursor, now)),
            _ => None,
        })
    }

    fn poll_since(&self, kind: EntityKind, at: Timestamp) -> Option<Cursor> {
        C::ABILITIES.iter().find_map(|row| match row {
            Ability::Polls(it) if it.kind == kind => (it.since)(&self.0, at),
            _ => None,
        })
    }

    fn subscription_topics(&self) -> &'static [&'static str] {
        self.subscribes().map_or(&[], |it| it.topics)
    }

    fn subscriptions<'a>(&'a self, api: &'a Api) -> Option<BoxFuture<'a, Result<Vec<Subscription>, CallError>>> {
        self.subscribes().map(|it| (it.list)(&self.0, api))
    }

    fn subscribe<'a>(
        &'a self,
        api: &'a Api,
        topic: &'a str,
        address: &'a str,
    ) -> Option<BoxFuture<'a, Result<Registered, CallError>>> {
        self.subscribes().map(|it| (it.register)(&self.0, api, topic, address))
    }

    fn repair<'a>(
        &'a self,
        api: &'a Api,
        subscription: &'a Subscription,
    ) -> Option<BoxFuture<'a, Result<Registered, CallError>>> {
        self.subscribes().map(|it| (it.repair)(&self.0, api, subscription))
    }

    fn tracks(&self) -> Option<usize> {
        self.tracking().map(|it| it.max)
    }

    fn track<'a>(&'a self, api: &'a Api, parcels: &'a [Parcel]) -> Option<BoxFuture<'a, Result<Vec<Change>, CallError>>> {
        self.tracking().map(|it| (it.track)(&self.0, api, parcels))
    }

    fn quote<'a>(&'a self, api: &'a Api, request: &'a RateRequest) -> Option<BoxFuture<'a, Result<Vec<Rate>, CallError>>> {
        C::ABILITIES.iter().find_map(|row| match row {
            Ability::Quotes(quote) => Some(quote(&self.0, api, request)),
            _ => None,
        })
    }

    fn pickup_points<'a>(
        &'a self,
        api: &'a Api,
        query: &'a PickupQuery,
    ) -> Option<BoxFuture<'a, Result<Vec<PickupPoint>, CallError>>> {
        C::ABILITIES.iter().find_map(|row| match row {
            Ability::FindsPickupPoints(find) => Some(find(&self.0, api, query)),
            _ => None,
        })
    }

    fn rate_proof(&self) -> Option<Proof> {
        self.checks_out().map(|it| (it.proof)(&self.0))
    }

    fn rate_request(&self, asked: &Verified) -> Option<Result<RateRequest, ParseError>> {
        self.checks_out().map(|it| (it.request)(&self.0, asked))
    }

    fn rate_answer(&self, rates: &[Rate]) -> Option<Answer> {
        self.checks_out().map(|it| (it.answer)(&self.0, rates))
    }

    fn probe<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, Result<String, CallError>> {
        Box::pin(self.0.probe(api))
    }
}
