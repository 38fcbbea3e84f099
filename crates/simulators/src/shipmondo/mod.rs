//! A simulated Shipmondo account: rates, pick-up points, paid shipments with labels, cancelling, the Shipment Monitor, and
//! webhooks as tokens signed by HS256. Parcels move when a test scans them.
//!
//! What the vendor does not describe is simple here: prices grow by the started kilogram, every postal code has 25 pick-up
//! points, and a parcel that was scanned cannot be cancelled any more.

mod api;
mod book;
mod list;
mod products;
mod role;
mod sender;
mod state;
mod webhooks;

pub use sender::Sent;
pub use state::{Scan, ShipmentView, Unknown, WebhookView};
pub use webhooks::sign;

use crate::{
    fault::{self, Faults},
    server::Server,
};
use jiff::SignedDuration;
use rust_decimal::Decimal;
use sender::Sender;
use spindel_model::Clock;
use state::State;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

/// How the account is made. Start from `Options::default()`.
#[derive(Clone)]
pub struct Options {
    pub api_user: String,
    pub api_key: String,
    /// Signs the webhooks of [`ShipmondoSim::set_target`]; those made through the API have their own.
    pub webhook_key: String,
    /// The account's name.
    pub account: String,
    /// What a token carries is a text that holds JSON, as in the vendor's example, instead of JSON.
    pub double_encoded: bool,
    /// Whether the Shipment Monitor answers questions. The vendor's library asks it, the newest description does not name it.
    pub monitor_answers: bool,
    /// More requests in one second are answered 429.
    pub per_second: Option<u32>,
    /// How long a new shipment is not in lists, though it is found by its id.
    pub list_lag: SignedDuration,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_user: "api-user".into(),
            api_key: "api-key".into(),
            webhook_key: "a-webhook-key-of-32-characters-or-more".into(),
            account: "Fjord Handel ApS".into(),
            double_encoded: true,
            monitor_answers: true,
            per_second: None,
            list_lag: SignedDuration::ZERO,
            clock: Clock::system(),
        }
    }
}

/// The running account. Dropping it stops its server and its webhooks.
pub struct ShipmondoSim {
    account: Arc<Account>,
    faults: Faults,
    server: Server,
}

/// What the server and the handle share.
pub(crate) struct Account {
    state: Mutex<State>,
    pub sender: Sender,
}

impl Account {
    /// Does one thing to the account, and sends the webhooks that come of it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        let messages = state.take_messages();
        // Still under the lock, so that webhooks leave in the order of what happened.
        messages.into_iter().for_each(|it| self.sender.send(it));
        result
    }
}

/// The account as its API and its owner see it.
impl ShipmondoSim {
    pub async fn start(options: Options) -> io::Result<Self> {
        let sender = Sender::start().map_err(io::Error::other)?;
        let account = Arc::new(Account { state: Mutex::new(State::new(options)), sender });
        let faults = Faults::default();
        let router = api::router(Arc::clone(&account)).layer(fault::layer(faults.clone()));
        Ok(Self { account, faults, server: Server::start(router).await? })
    }

    /// `http://127.0.0.1:port/api/public/v3`: what a connection's `base_url` is.
    pub fn base_url(&self) -> String {
        format!("{}{}", self.server.base_url(), api::BELOW)
    }

    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Every shipment, cancelled ones included, oldest first.
    pub fn shipments(&self) -> Vec<ShipmentView> {
        self.account.with(|state| state.shipments.values().map(ShipmentView::of).collect())
    }

    /// What the account owes, VAT included: every booking that is no test, cancelled or not.
    pub fn charged(&self) -> Decimal {
        let prices = |state: &mut State| state.shipments.values().filter(|it| !it.test).map(|it| it.price).sum();
        self.account.with(prices)
    }

    /// Requests that were read, as `POST /shipments`, and how often. Ids are `{id}`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.account.with(|state| state.calls.clone())
    }
}

/// What people and carriers do.
impl ShipmondoSim {
    /// A carrier registers something about a shipment, named by its id or the number of a parcel.
    pub fn scan(&self, shipment: &str, scan: Scan) -> Result<(), Unknown> {
        self.account.with(|state| state.scan(shipment, scan))
    }

    /// Somebody books in the web pages. Answers the id.
    pub fn book_by_hand(&self, reference: Option<&str>, order_id: Option<&str>) -> String {
        self.account.with(|state| book::by_hand(state, reference, order_id)).to_string()
    }

    /// Somebody cancels in the web pages.
    pub fn cancel_by_hand(&self, shipment: &str) -> Result<(), Unknown> {
        self.account.with(|state| {
            let id = state.id_of(shipment)?;
            state.cancel(id);
            Ok(())
        })
    }

    /// Somebody makes a new key; the old one is answered 401.
    pub fn change_api_key(&self, key: &str) {
        self.account.with(|state| state.options.api_key = key.to_owned());
    }

    /// Somebody switches off every webhook that was made through the API.
    pub fn switch_off_webhooks(&self) {
        self.account.with(|state| state.webhooks.values_mut().for_each(|it| it.active = false));
    }
}

/// Webhooks.
impl ShipmondoSim {
    /// Where webhooks go that somebody made by hand, one for each action that is about shipments. `None` removes them.
    pub fn set_target(&self, url: Option<&str>) {
        self.account.with(|state| webhooks::set_target(state, url));
    }

    /// Those made through the API.
    pub fn webhooks(&self) -> Vec<WebhookView> {
        self.account.with(|state| state.webhooks.values().map(WebhookView::of).collect())
    }

    /// Sends the newest `n` messages once more, as they were.
    pub fn send_again(&self, n: usize) {
        let newest = self.account.with(|state| state.newest(n));
        newest.into_iter().for_each(|it| self.account.sender.send_again(it));
    }

    /// Sends `n` messages that must be turned away to where the newest genuine one went: another key, a changed token, no
    /// signature, no token. Answers how many were accepted.
    pub async fn forge(&self, n: usize) -> usize {
        let Some(genuine) = self.account.with(|state| state.newest(1)).pop() else { return 0 };
        let mut accepted = 0;
        for kind in 0..n {
            accepted += usize::from(self.account.sender.try_once(&webhooks::forged(&genuine, kind)).await);
        }
        accepted
    }

    /// Waits until everything was answered or lost.
    pub async fn flush(&self) -> Sent {
        self.account.sender.flush().await
    }

    pub fn sent(&self) -> Sent {
        self.account.sender.sent()
    }
}
