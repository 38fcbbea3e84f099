//! A simulated Bring: rates of the Shipping Guide, pick-up points, bookings with labels in a store elsewhere, tracking, and the
//! webhooks of the customer number. A test scans parcels as Bring's people do.
//!
//! Not published, and so made up here: the codes of refusals in the Shipping Guide, and the bodies of 400, 401 and 429.
//! Left out: webhooks of single parcels, texts in other languages than English, distances from a street.

mod api;
mod booking;
mod guide;
mod label;
mod places;
mod role;
mod sender;
mod state;
mod tracking;

pub use sender::{Sent, Webhook};
pub use state::{Consignment, Event, Package, Refused};

use crate::{
    fault::{self, Faults},
    server::Server,
};
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;
use sender::Sender;
use spindel_model::Clock;
use state::State;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How it is made. Start from `Options::default()`.
#[derive(Clone)]
pub struct Options {
    pub api_uid: String,
    pub api_key: String,
    /// The only one that the user may book for.
    pub customer_number: String,
    /// Header and value with which the customer number's webhooks were registered.
    pub webhook_header: String,
    pub webhook_secret: String,
    /// Postal codes that no service covers.
    pub uncovered: Vec<String>,
    /// For how long tracking does not show a new booking.
    pub shown_after: SignedDuration,
    /// Status of a booking's refusal. Only 200 is published; the body is the same with any.
    pub refusal_status: u16,
    /// Bring's half an hour: two retries after one of it each, and the last after two.
    pub retry_unit: Duration,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_uid: "api@fjell.example".into(),
            api_key: "api-key".into(),
            customer_number: "5".into(),
            webhook_header: "x-spindel-secret".into(),
            webhook_secret: "webhook-secret".into(),
            uncovered: vec!["9999".into()],
            shown_after: SignedDuration::ZERO,
            refusal_status: 200,
            retry_unit: Duration::from_millis(20),
            clock: Clock::system(),
        }
    }
}

/// What came of webhooks that must not be accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forged {
    pub sent: u64,
    /// Answered with a 2xx: forgeries that got through.
    pub accepted: u64,
}

/// Bring behind its lock, and the way out for its webhooks.
pub(crate) struct Shared {
    state: Mutex<State>,
    sender: Sender,
}

impl Shared {
    /// Runs under the lock; webhooks leave in the order in which things happened.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        for webhook in state.outbox.drain(..) {
            self.sender.send(webhook);
        }
        result
    }
}

/// A running Bring and the handle to move it. Dropping it ends the servers and the sending.
pub struct BringSim {
    shared: Arc<Shared>,
    faults: Faults,
    server: Server,
    /// Where labels are kept: another host, as far as a client can tell.
    _store: Server,
}

impl BringSim {
    pub async fn start(options: Options) -> io::Result<Self> {
        let sender = Sender::start(options.retry_unit).map_err(io::Error::other)?;
        let shared = Arc::new(Shared { state: Mutex::new(State::new(options)), sender });
        let faults = Faults::default();
        let store = Server::start(label::store(Arc::clone(&shared))).await?;
        let router = api::router(Arc::clone(&shared)).layer(fault::layer(faults.clone()));
        let server = Server::start(router).await?;
        shared.with(|state| (state.base, state.store) = (server.base_url(), store.base_url()));
        Ok(Self { shared, faults, server, _store: store })
    }

    /// `http://127.0.0.1:port`: where all APIs answer, below `/booking`, `/tracking` and so on.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Makes the APIs fail; the store of labels fails by [`BringSim::set_labels_down`].
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Calls that were let in, by API: `booking`, `tracking` …; what failed on demand is not counted.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.shared.with(|state| state.calls.clone())
    }
}

/// Parcels.
impl BringSim {
    /// Something happens to a parcel now. `parcel` is the number of a package, or of a consignment for all its packages;
    /// `code` is any text, such as `IN_TRANSIT` or one that Bring invents tomorrow.
    pub fn scan(&self, parcel: &str, code: &str) -> Result<(), Refused> {
        self.shared.with(|state| state.scan(parcel, code, state.options.clock.now()))
    }

    /// The same, told late: a scanner that was offline.
    pub fn scan_at(&self, parcel: &str, code: &str, at: Timestamp) -> Result<(), Refused> {
        self.shared.with(|state| state.scan(parcel, code, at))
    }

    /// Everything booked, tests included, oldest first.
    pub fn consignments(&self) -> Vec<Consignment> {
        self.shared.with(|state| state.consignments.clone())
    }

    /// By its number, or that of one of its packages.
    pub fn consignment(&self, number: &str) -> Option<Consignment> {
        self.shared.with(|state| state.consignments.iter().find(|it| it.has(number)).cloned())
    }
}

/// The APIs' moods.
impl BringSim {
    /// List price of a service without tax, for a parcel of up to five kilograms.
    pub fn set_price(&self, service: &str, price: Decimal) {
        self.shared.with(|state| state.prices.insert(service.to_owned(), price));
    }

    /// The Shipping Guide answers this code and description for the service, in place of a price.
    pub fn refuse_service(&self, service: &str, code: &str, description: &str) {
        let error = (code.to_owned(), description.to_owned());
        self.shared.with(|state| state.service_errors.insert(service.to_owned(), error));
    }

    /// The system behind the prices is away: services come with a warning and without a price.
    pub fn set_prices_down(&self, down: bool) {
        self.shared.with(|state| state.prices_down = down);
    }

    /// Tracking answers this error inside a 200: 503 as one that is too busy, any other as it is; `None` ends it.
    pub fn set_tracking_error(&self, code: Option<u16>) {
        self.shared.with(|state| state.tracking_error = code);
    }

    /// The store of labels answers 503.
    pub fn set_labels_down(&self, down: bool) {
        self.shared.with(|state| state.labels_down = down);
    }
}

/// Webhooks.
impl BringSim {
    /// Where the events of all parcels of the customer number go; `None` stops it.
    pub fn set_target(&self, url: Option<&str>) {
        self.shared.with(|state| state.target = url.map(str::to_owned));
    }

    /// The next `n` webhooks are sent twice.
    pub fn duplicate_next(&self, n: u32) {
        self.shared.sender.duplicate_next(n);
    }

    /// Webhooks that Bring wanted to send, whether they arrived or not, oldest first.
    pub fn webhook_log(&self) -> Vec<Webhook> {
        self.shared.with(|state| state.log.iter().cloned().collect())
    }

    /// Waits until everything was acknowledged or given up.
    pub async fn flush(&self) -> Sent {
        self.shared.sender.flush().await
    }

    /// Sends the newest webhook `n` times so that it must be turned away: another secret, none, an empty one, a shortened one.
    pub async fn forge(&self, n: usize) -> Forged {
        let mut forged = Forged::default();
        let (newest, header) = self.shared.with(|state| (state.log.back().cloned(), state.options.webhook_header.clone()));
        let Some(webhook) = newest else { return forged };
        for kind in 0..n {
            forged.sent += 1;
            forged.accepted += u64::from(self.shared.sender.try_once(&webhook.forged(&header, kind)).await);
        }
        forged
    }
}
