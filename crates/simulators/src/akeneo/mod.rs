//! A simulated Akeneo PIM: families, attributes with options, products and product models that people change, the REST API with
//! tokens and HAL pages, and events of the Event Platform and of the older Events API.
//!
//! What is easily overlooked at Akeneo, and is so here: a list names a next page whenever a page is full, though it may be empty;
//! a variant is found by the change of its models and keeps its own time; the time of a search is the server's own; events name
//! a product and not what it belongs to. Not published, and so made up here: the percentages of half-filled products (rounded
//! down). Left out: writing through the API, assets, reference entities, permissions, the rate of failures that suspends.

mod api;
mod courier;
mod events;
mod search;
mod seed;
mod state;

pub use courier::Sent;
pub use events::{Message, sign};
pub use state::{ProductSpec, ProductView, Refused, Val};

use crate::{
    fault::{self, Faults},
    server::Server,
};
use courier::Courier;
use jiff::{SignedDuration, tz::TimeZone};
use serde_json::Value;
use spindel_model::Clock;
use state::State;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// How the PIM is made. Start from `Options::default()`.
#[derive(Clone)]
pub struct Options {
    pub client_id: String,
    pub client_secret: String,
    pub username: String,
    pub password: String,
    /// A token that never ends, as of an app, when given.
    pub app_token: Option<String>,
    pub token_lifetime: SignedDuration,
    /// Signs the events of the Event Platform.
    pub primary_secret: String,
    pub secondary_secret: Option<String>,
    /// Signs the requests of the Events API.
    pub events_api_secret: String,
    /// Whether changes of products are told as `product.updated.delta`, with what changed.
    pub delta: bool,
    /// In which times of searches are read.
    pub time_zone: TimeZone,
    /// What it takes itself for in links, where that is not its own address: it is behind a proxy.
    pub own_url: Option<String>,
    /// How many times faster than Akeneo a failed event is tried again.
    pub speed: u32,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_id: "1_client".into(),
            client_secret: "client-secret".into(),
            username: "spindel_1234".into(),
            password: "password".into(),
            app_token: None,
            token_lifetime: SignedDuration::from_hours(1),
            primary_secret: "primary-secret".into(),
            secondary_secret: Some("secondary-secret".into()),
            events_api_secret: "events-api-secret".into(),
            delta: false,
            time_zone: TimeZone::UTC,
            own_url: None,
            speed: 100_000,
            clock: Clock::system(),
        }
    }
}

/// The PIM behind its lock, and the way out for its events.
pub(crate) struct Pim {
    state: Mutex<State>,
    courier: Courier,
}

impl Pim {
    /// Runs under the lock; what happened in it leaves together.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        for letter in state.letters() {
            self.courier.send(letter);
        }
        result
    }
}

/// A running PIM and the handle to move it. Dropping it ends the server and the sending.
pub struct AkeneoSim {
    pim: Arc<Pim>,
    faults: Faults,
    server: Server,
}

impl AkeneoSim {
    /// With channels, families and attributes (see `seed`), and without products.
    pub async fn start(options: Options) -> io::Result<Self> {
        let courier = Courier::start(options.speed).map_err(io::Error::other)?;
        let pim = Arc::new(Pim { state: Mutex::new(seed::pim(options)), courier });
        let faults = Faults::default();
        let router = api::router(Arc::clone(&pim)).layer(fault::layer(faults.clone()));
        let server = Server::start(router).await?;
        pim.with(|state| state.base = state.options.own_url.clone().unwrap_or_else(|| server.base_url()));
        Ok(Self { pim, faults, server })
    }

    /// `http://127.0.0.1:port`: the PIM's address.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Calls that were let in, as `GET /products-uuid`, and how often. Ids are `{id}`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.pim.with(|state| state.calls.clone())
    }
}

/// What people do with products. What does not exist, or does not fit, is refused.
impl AkeneoSim {
    /// Answers the uuid.
    pub fn create_product(&self, spec: ProductSpec) -> Result<String, Refused> {
        self.pim.with(|state| state.create_product(spec))
    }

    /// `parent` makes it one of the second level.
    pub fn create_model(&self, code: &str, family_variant: &str, parent: Option<&str>, values: Vec<Val>) -> Result<(), Refused> {
        self.pim.with(|state| state.create_model(code, family_variant, parent, values))
    }

    pub fn change_product(&self, uuid: &str, values: Vec<Val>) -> Result<(), Refused> {
        self.pim.with(|state| state.change_product(uuid, values))
    }

    pub fn change_model(&self, code: &str, values: Vec<Val>) -> Result<(), Refused> {
        self.pim.with(|state| state.change_model(code, values))
    }

    /// Switches a product on: it may be shown.
    pub fn publish(&self, uuid: &str) -> Result<(), Refused> {
        self.publish_all(&[uuid], true)
    }

    pub fn unpublish(&self, uuid: &str) -> Result<(), Refused> {
        self.publish_all(&[uuid], false)
    }

    /// A mass edit: the Events API tells up to ten of it in one request.
    pub fn publish_all(&self, uuids: &[&str], enabled: bool) -> Result<(), Refused> {
        self.pim.with(|state| uuids.iter().try_for_each(|uuid| state.set_enabled(uuid, enabled)))
    }

    /// To another model of the same family.
    pub fn move_product(&self, uuid: &str, parent: &str) -> Result<(), Refused> {
        self.pim.with(|state| state.move_product(uuid, parent))
    }

    pub fn delete_product(&self, uuid: &str) -> Result<(), Refused> {
        self.pim.with(|state| state.delete_product(uuid))
    }

    /// With everything below it.
    pub fn delete_model(&self, code: &str) -> Result<(), Refused> {
        self.pim.with(|state| state.delete_model(code))
    }

    /// Changes nothing of any product, and no event of a product tells of it.
    pub fn add_option(&self, attribute: &str, code: &str, labels: &[(&str, &str)]) -> Result<(), Refused> {
        self.pim.with(|state| state.add_option(attribute, code, labels))
    }

    /// Answers the code of the file, for the value of an image.
    pub fn upload(&self, filename: &str, mime: &str, bytes: &[u8]) -> String {
        self.pim.with(|state| state.upload(filename, mime, bytes))
    }

    /// Oldest first.
    pub fn products(&self) -> Vec<ProductView> {
        self.pim.with(|state| state.products.values().map(|it| state.view(it)).collect())
    }
}

/// Events.
impl AkeneoSim {
    /// The subscription of the Event Platform, to all there is; `None` ends it.
    pub fn set_target(&self, url: Option<&str>) {
        self.pim.with(|state| state.target = url.map(str::to_owned));
        self.pim.courier.resume();
    }

    /// The event subscription of the connection (the older Events API).
    pub fn set_events_api_target(&self, url: Option<&str>) {
        self.pim.with(|state| state.older_target = url.map(str::to_owned));
    }

    /// The new secret is the primary one, and the old one stays as the secondary.
    pub fn rotate_secret(&self, new: &str) {
        self.pim.with(|state| {
            let old = std::mem::replace(&mut state.options.primary_secret, new.to_owned());
            state.options.secondary_secret = Some(old);
        });
    }

    /// After an answer of 404 or a redirect: events are lost until somebody resumes the subscription.
    pub fn is_suspended(&self) -> bool {
        self.pim.courier.is_suspended()
    }

    pub fn resume(&self) {
        self.pim.courier.resume();
    }

    /// The next `n` events of the Event Platform are sent twice.
    pub fn duplicate_next(&self, n: u32) {
        self.pim.courier.duplicate_next(n);
    }

    /// Something of the PIM that is no product changed: `asset.updated`, with what the event says of it.
    pub fn tell(&self, kind: &str, data: Value) {
        self.pim.with(|state| state.tell(kind, data));
    }

    /// The connection is deleted: the Event Platform tells it, and the API is closed.
    pub fn remove_connection(&self) {
        self.pim.with(State::remove_connection);
    }

    /// What the PIM wanted to send, whether a target was set or not, oldest first.
    pub fn event_log(&self) -> Vec<Message> {
        self.pim.with(|state| state.log.iter().cloned().collect())
    }

    /// Waits until everything was acknowledged, dropped or lost.
    pub async fn flush(&self) -> Sent {
        self.pim.courier.flush().await
    }

    /// Sends the newest event `n` times so that it must be turned away: another signature, a changed body, none, an empty one.
    /// Answers how many were accepted.
    pub async fn forge(&self, n: usize) -> usize {
        let newest = self.pim.with(|state| state.log.back().cloned().zip(state.target.clone()));
        let Some((message, url)) = newest else { return 0 };
        let mut accepted = 0;
        for kind in 0..n {
            accepted += usize::from(self.pim.courier.try_once(&url, &message.forged(kind)).await);
        }
        accepted
    }
}

/// The API's moods.
impl AkeneoSim {
    /// Ends every token, the one that never ends included, so that the next call is answered 401.
    pub fn expire_tokens(&self) {
        self.pim.with(|state| state.tokens.clear());
    }

    pub fn tokens_issued(&self) -> u64 {
        self.pim.with(|state| state.tokens_issued)
    }
}
