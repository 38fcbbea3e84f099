//! The traits a connector implements: one for what it is, one for each thing it can do.

use crate::{Ability, Answer, Api, Ask, CallError, ConfigError, Incoming, ParseError, Proof, Reply, Secret, Verdict, Verified};
use serde::de::DeserializeOwned;
use spindel_model::{
    Change, Customer, Dispute, EntityKind, Order, OrderRef, Payout, Performed, PickupPoint, PickupQuery, Price, Product, Rate,
    RateRequest, Record, Refund, Shipment, StockLevel, Transaction, Verb,
};
use std::{future::Future, path::PathBuf};

/// A connector: vendor knowledge only.
pub trait Connector: Sized + Send + Sync + 'static {
    const INFO: Info;
    type Config: DeserializeOwned + schemars::JsonSchema;
    /// All that this connector can do; the compiler checks every row.
    const ABILITIES: &'static [Ability<Self>];
    /// Worked examples of every ability: the conformance suite runs them, `spindel send` posts the webhooks among them.
    const FIXTURES: &'static [crate::Fixture];

    /// Checks the settings and says where the vendor is and how to log in there. No I/O.
    fn connect(config: Self::Config) -> Result<(Self, Endpoint), ConfigError>;

    /// The vendor's reading of a reply where it deviates from the shared status table, success replies included
    /// (GraphQL reports failures with status 200).
    fn refine(_reply: &Reply) -> Option<Verdict> {
        None
    }

    /// What a reply says about how much more may be asked.
    fn budget(_reply: &Reply) -> Option<Budget> {
        None
    }

    /// A cheap authenticated call: who am I there? For `spindel check --live`. Answers one line for people.
    fn probe(&self, api: &Api) -> impl Future<Output = Result<String, CallError>> + Send;
}

/// Who the vendor is.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// The name in the config: `shopify`.
    pub id: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    /// One line for people.
    pub about: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Crm,
    Erp,
    Generic,
    Payment,
    Pim,
    Shipping,
    Shop,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crm => "crm",
            Self::Erp => "erp",
            Self::Generic => "generic",
            Self::Payment => "payment",
            Self::Pim => "pim",
            Self::Shipping => "shipping",
            Self::Shop => "shop",
        }
    }
}

/// A vendor's cost bucket after a reply.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    pub maximum: f64,
    pub available: f64,
    pub restore_per_second: f64,
    /// What the vendor reckons a call of this operation at, where it says so; the next one waits for as much.
    pub asked: Option<f64>,
}

/// How an action may be repeated when it is unknown whether it had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Twice is the same as once.
    Harmless,
    /// The vendor recognises the key (or the unique id) that goes with it.
    VendorKey,
    /// The vendor can be asked whether it happened.
    LookUpFirst,
    /// Never again without a person.
    Unsafe,
}

impl Repeat {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Harmless => "harmless",
            Self::VendorKey => "vendor key",
            Self::LookUpFirst => "look up first",
            Self::Unsafe => "unsafe",
        }
    }
}

/// Receives webhooks.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `receives()` in ABILITIES but has no `impl Receive for {Self}`",
    label = "write the impl or remove the row"
)]
pub trait Receive: Connector {
    /// How a request proves that it came from the vendor. No default on purpose.
    /// `kept` are the secrets that the vendor gave when it was subscribed to ([`Registered::secret`]), beside those of the settings.
    fn proof(&self, kept: &[Secret]) -> Proof;
    /// The vendor's word for what the request is about, as in `orders/create`. From headers where they say it.
    fn topic(&self, delivery: &Verified) -> Result<String, ParseError>;
    /// The vendor's id of this delivery, the topic included where the vendor repeats ids across topics.
    /// Spindel adds a hash of the body, so that a differing body is never dropped. `None`: the body alone decides.
    fn delivery_key(&self, delivery: &Verified) -> Option<String>;
    /// What the request means. An empty list: genuine, and of no interest (its event ends as `unrouted`).
    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError>;
    /// A set-up handshake that must be answered before any proof is possible.
    fn challenge(&self, _incoming: &Incoming) -> Option<Answer> {
        None
    }
}

/// Performs one kind of action.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `{V}` in ABILITIES but has no `impl Perform<{V}> for {Self}`",
    label = "write the impl or remove the row"
)]
pub trait Perform<V: Verb>: Connector {
    const REPEAT: Repeat;
    fn perform(&self, api: &Api, ask: Ask<'_, V>) -> impl Future<Output = Result<Performed, CallError>> + Send;
    /// Did an earlier, unanswered attempt succeed? Required where `REPEAT` is `LookUpFirst` (checked at start-up of the catalog).
    fn look_up(&self, _api: &Api, _ask: Ask<'_, V>) -> impl Future<Output = Result<Option<Performed>, CallError>> + Send {
        async { Ok(None) }
    }
}

/// Performs many actions of one kind in one call, with an outcome for each.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists a batch of `{V}` in ABILITIES but has no `impl PerformBatch<{V}> for {Self}`",
    label = "write the impl or remove the row"
)]
pub trait PerformBatch<V: Verb>: Connector {
    const REPEAT: Repeat;
    /// The vendor's limit.
    const MAX: usize;
    /// One outcome for each ask, in the same order.
    fn perform_batch(&self, api: &Api, asks: &[Ask<'_, V>]) -> impl Future<Output = Vec<Result<Performed, CallError>>> + Send;
}

/// A record that can be read by id or polled.
pub trait Readable: Send + Sized + 'static {
    const KIND: EntityKind;
    fn into_record(self) -> Record;
}

macro_rules! readable {
    ($($Type:ty, $Kind:ident, $make:expr;)*) => {$(
        impl Readable for $Type {
            const KIND: EntityKind = EntityKind::$Kind;
            fn into_record(self) -> Record { $make(self) }
        }
    )*};
}
readable! {
    Order, Order, |it| Record::Order(Box::new(it));
    Product, Product, |it| Record::Product(Box::new(it));
    StockLevel, Stock, Record::Stock;
    Price, Price, Record::Price;
    Shipment, Shipment, |it| Record::Shipment(Box::new(it));
    Customer, Customer, |it| Record::Customer(Box::new(it));
    Refund, Refund, |it| Record::Refund(Box::new(it));
    Dispute, Dispute, |it| Record::Dispute(Box::new(it));
    Payout, Payout, |it| Record::Payout(Box::new(it));
    (OrderRef, Transaction), Transaction, |(order, transaction)| Record::Transaction { order, transaction };
}

/// Reads one record back by its id at the vendor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists a read of `{R}` in ABILITIES but has no `impl Read<{R}> for {Self}`",
    label = "write the impl or remove the row"
)]
pub trait Read<R: Readable>: Connector {
    /// `None` when there is no such record.
    fn read(&self, api: &Api, id: &str) -> impl Future<Output = Result<Option<R>, CallError>> + Send;
}

/// Lists what changed, page by page: for vendors without webhooks, and for finding what webhooks missed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists a poll of `{R}` in ABILITIES but has no `impl Poll<{R}> for {Self}`",
    label = "write the impl or remove the row"
)]
pub trait Poll<R: Readable>: Connector {
    /// One page after `cursor` (`None`: from the beginning of what is of interest; `now` is the present).
    /// A connector overlaps its window as far as its vendor needs; what came before is recognised by its version.
    fn page(
        &self,
        api: &Api,
        cursor: Option<&Cursor>,
        now: spindel_model::Timestamp,
    ) -> impl Future<Output = Result<Page, CallError>> + Send;
    /// The cursor that begins with what changed at this time: to fill the gap that silent webhooks left.
    /// `None` where the vendor cannot be asked so.
    fn since(&self, _at: spindel_model::Timestamp) -> Option<Cursor> {
        None
    }
}

/// Where a poll goes on. Opaque to everybody but the connector.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// One page of a poll.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub changes: Vec<Change>,
    /// Kept once the page is committed.
    pub cursor: Cursor,
    /// There is more to fetch at once.
    pub more: bool,
}

/// Lists, registers and repairs the vendor's webhook subscriptions.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `subscribes()` in ABILITIES but has no `impl Subscribe for {Self}`",
    label = "write the impl or remove the row"
)]
pub trait Subscribe: Connector {
    /// The vendor topics that should be subscribed to.
    const TOPICS: &'static [&'static str];
    fn list(&self, api: &Api) -> impl Future<Output = Result<Vec<Subscription>, CallError>> + Send;
    fn register(&self, api: &Api, topic: &str, address: &str) -> impl Future<Output = Result<Registered, CallError>> + Send;
    /// Switches one on again that the vendor switched off, or renews one that is about to end.
    /// Without an own way: it is registered anew.
    fn repair(&self, api: &Api, subscription: &Subscription) -> impl Future<Output = Result<Registered, CallError>> + Send {
        self.register(api, &subscription.topic, &subscription.address)
    }
}

/// One topic that the vendor sends to one address.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Subscription {
    pub id: String,
    pub topic: String,
    pub address: String,
    /// The vendor sends to it; not so when it gave up after failures.
    #[serde(default = "yes")]
    pub active: bool,
    /// When the vendor forgets it, unless it is renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<spindel_model::Timestamp>,
}

fn yes() -> bool {
    true
}

impl Subscription {
    pub fn new(id: impl Into<String>, topic: impl Into<String>, address: impl Into<String>) -> Self {
        Self { id: id.into(), topic: topic.into(), address: address.into(), active: true, expires_at: None }
    }
}

/// A subscription that was just made.
pub struct Registered {
    pub subscription: Subscription,
    /// With which the vendor will sign, where it is the vendor who says so, and only now. Spindel keeps it.
    pub secret: Option<Secret>,
}

impl From<Subscription> for Registered {
    fn from(subscription: Subscription) -> Self {
        Self { subscription, secret: None }
    }
}

/// Follows parcels whose numbers are known.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `tracks()` in ABILITIES but has no `impl Track for {Self}`",
    label = "write the impl or remove the row"
)]
pub trait Track: Connector {
    /// How many parcels fit into one call of [`Track::track`].
    const MAX: usize;
    /// How the parcels stand now; one that the carrier does not know (yet) is left out.
    fn track(&self, api: &Api, parcels: &[Parcel]) -> impl Future<Output = Result<Vec<Change>, CallError>> + Send;
}

/// A parcel that is under way: what a carrier is asked about.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Parcel {
    /// The carrier's id of the shipment.
    pub shipment: String,
    /// The number under which it is tracked.
    pub number: String,
    pub order: OrderRef,
}

/// Says what it costs to send something.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `quotes()` in ABILITIES but has no `impl Quote for {Self}`",
    label = "write the impl or remove the row"
)]
pub trait Quote: Connector {
    /// The cheapest call that answers a checkout. Services that cannot carry it are left out.
    fn quote(&self, api: &Api, request: &RateRequest) -> impl Future<Output = Result<Vec<Rate>, CallError>> + Send;
}

/// Knows where a parcel can be fetched.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `finds_pickup_points()` in ABILITIES but has no `impl FindPickupPoints for {Self}`",
    label = "write the impl or remove the row"
)]
pub trait FindPickupPoints: Connector {
    fn pickup_points(&self, api: &Api, query: &PickupQuery) -> impl Future<Output = Result<Vec<PickupPoint>, CallError>> + Send;
}

/// A shop whose checkout asks for rates.
#[diagnostic::on_unimplemented(
    message = "`{Self}` lists `checks_out()` in ABILITIES but has no `impl Checkout for {Self}`",
    label = "write the impl or remove the row"
)]
pub trait Checkout: Connector {
    /// How the question proves that it came from the shop.
    fn rate_proof(&self) -> Proof;
    fn rate_request(&self, asked: &Verified) -> Result<RateRequest, ParseError>;
    /// The answer in the shop's own shape.
    fn rate_answer(&self, rates: &[Rate]) -> Answer;
}

/// Where the vendor is, how to log in, how much may be asked; the shared client does the rest.
pub struct Endpoint {
    /// `https://erp.example.com`, without a slash at the end; `amqps://user@host/vhost` of a broker. Empty for a connector that
    /// calls absolute addresses.
    pub base_url: String,
    pub auth: Auth,
    /// Sent with every call.
    pub headers: Vec<(&'static str, String)>,
    /// The same, where the value is a credential.
    pub secret_headers: Vec<(&'static str, Secret)>,
    pub limits: Limits,
    /// PEM file of the authority that signed the certificate, where it is not a public one. For brokers.
    pub ca: Option<PathBuf>,
}

/// How a call authenticates itself.
pub enum Auth {
    None,
    Bearer(Secret),
    Header(&'static str, Secret),
    /// `Authorization: Basic`, with user and password.
    Basic(String, Secret),
    /// Every request is signed by itself (RFC 5849).
    OAuth1(OAuth1),
    /// Of the user that the base URL names. For brokers.
    Password(Secret),
    /// A token that is fetched, kept and renewed by the shared client: once for all callers at the same time, and
    /// once more after a 401.
    Token(TokenGrant),
}

/// Credentials of OAuth 1.0a.
#[derive(Clone)]
pub struct OAuth1 {
    pub consumer_key: Secret,
    pub consumer_secret: Secret,
    /// `None` where the vendor knows no access token (WooCommerce).
    pub token: Option<(Secret, Secret)>,
    pub digest: crate::Digest,
    /// In the `Authorization` header, or else in the query.
    pub in_header: bool,
}

/// How to get a token.
pub struct TokenGrant {
    /// Path below the base URL, or an absolute address.
    pub url: String,
    pub encoding: BodyEncoding,
    /// Sent as they are: `grant_type`, `client_id` …
    pub fields: Vec<(&'static str, Secret)>,
    /// Sent with the request for a token, beside those of the endpoint.
    pub headers: Vec<(&'static str, Secret)>,
    /// The whole body, instead of `fields`.
    pub body: Option<Secret>,
    /// First refresh token, for grants that rotate it; the shared client keeps its successors.
    pub refresh_token: Option<Secret>,
    /// Finds the token in the answer; `None`: where OAuth 2 has it.
    pub read: Option<ReadToken>,
    /// Header that carries the token, and the text before it: `("authorization", "Bearer ")`.
    pub header: (&'static str, &'static str),
}

/// The token in an answer of its own shape, and for how many seconds it holds, where that is said.
pub type ReadToken = Box<dyn Fn(&serde_json::Value) -> Option<(Secret, Option<u64>)> + Send + Sync>;

impl TokenGrant {
    /// An OAuth 2 grant whose token goes as `Authorization: Bearer`.
    pub fn new(url: impl Into<String>, encoding: BodyEncoding, fields: Vec<(&'static str, Secret)>) -> Self {
        Self {
            url: url.into(),
            encoding,
            fields,
            headers: Vec::new(),
            body: None,
            refresh_token: None,
            read: None,
            header: ("authorization", "Bearer "),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEncoding {
    Json,
    Form,
}

/// How much may be asked of a vendor.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Calls per second; `None` when only [`Connector::budget`] knows.
    pub per_second: Option<f64>,
    /// Calls at the same time.
    pub parallel: usize,
    /// A vendor's cost bucket before the first reply is known.
    pub budget: Option<Budget>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_second: None, parallel: 8, budget: None }
    }
}

impl Endpoint {
    pub fn new(base_url: impl Into<String>, auth: Auth) -> Self {
        let (headers, secret_headers) = (Vec::new(), Vec::new());
        Self { base_url: base_url.into(), auth, headers, secret_headers, limits: Limits::default(), ca: None }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn secret_header(mut self, name: &'static str, value: Secret) -> Self {
        self.secret_headers.push((name, value));
        self
    }

    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    pub fn ca(mut self, file: PathBuf) -> Self {
        self.ca = Some(file);
        self
    }
}
