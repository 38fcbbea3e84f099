//! A simulated company in Business Central: API v2.0 over OData with etags, batches and subscriptions, and the people in it
//! who release, ship, invoice and post.
//!
//! One call is one transaction. Only what is listed in `schema` is there; of `$filter` there are comparisons, `and` and `or`.

mod api;
mod documents;
mod hooks;
mod odata;
mod people;
mod posting;
mod schema;
mod state;
mod web;

pub use hooks::SentNotifications;
pub use people::{CustomerView, DocumentView, LineView, PaymentView, Refused, SubscriptionView};

use crate::{
    fault::{self, Faults},
    server::Server,
};
use reqwest::Client;
use rust_decimal::Decimal;
use spindel_model::{Clock, Currency};
use state::State;
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::AbortHandle};
use uuid::Uuid;

/// How the company is set up. Start from `Setup::default()`.
#[derive(Clone)]
pub struct Setup {
    pub tenant: String,
    pub environment: String,
    pub client_id: String,
    pub client_secret: String,
    pub company: Uuid,
    pub company_name: String,
    /// The company's own.
    pub currency: Currency,
    /// Others that orders may be in.
    pub currencies: Vec<Currency>,
    /// VAT product posting groups and their percent; the first is taken where nothing is said.
    pub vat: Vec<(String, Decimal)>,
    pub accounts: Vec<String>,
    /// Codes of customer payment journals.
    pub journals: Vec<String>,
    /// Number, price and stock.
    pub items: Vec<(String, Decimal, Decimal)>,
    /// Items without stock.
    pub services: Vec<String>,
    /// Of customers that are made from now on.
    pub prices_include_tax: bool,
    /// Before notifications are sent; the vendor's own is 30 seconds.
    pub delay: Duration,
    /// More changes than that of one collection are told as one.
    pub collection_above: usize,
    /// Before each try after the first; the vendor's own go over 36 hours.
    pub retry_waits: Vec<Duration>,
    pub token_seconds: i64,
    /// Most records in one answer.
    pub page: usize,
    pub clock: Clock,
}

impl Default for Setup {
    fn default() -> Self {
        let price = |minor| Decimal::new(minor, 2);
        let items = [("ULL-M-BLK", 63936), ("TE-03", 4261), ("LUE-01", 23920)];
        Self {
            tenant: "fjord.onmicrosoft.com".into(),
            environment: "production".into(),
            client_id: "0a0b0c0d-0000-4000-8000-00000000000e".into(),
            client_secret: "fake-client-secret-for-tests".into(),
            company: Uuid::from_u128(0x5d11_5c9c_44e3_ea11_bb43_000d_3a2f_eca1),
            company_name: "Fjord Ull AS".into(),
            currency: Currency::NOK,
            currencies: vec![Currency::SEK, Currency::DKK, Currency::EUR, Currency::JPY, Currency::KWD],
            vat: vec![("MVA25".into(), 25.into()), ("MVA15".into(), 15.into()), ("MVA0".into(), Decimal::ZERO)],
            accounts: ["3090", "3410", "7740"].map(str::to_owned).into(),
            journals: ["KLARNA", "STRIPE", "VIPPS"].map(str::to_owned).into(),
            items: items.into_iter().map(|(number, minor)| (number.to_owned(), price(minor), 100.into())).collect(),
            services: vec!["GEBYR".into()],
            prices_include_tax: false,
            delay: Duration::from_millis(20),
            collection_above: 1000,
            retry_waits: [20, 40, 80, 160].map(Duration::from_millis).into(),
            token_seconds: 3599,
            page: 20_000,
            clock: Clock::system(),
        }
    }
}

/// The company behind its lock, and the way out for notifications.
pub(crate) struct Shared {
    state: Mutex<State>,
    client: Client,
    wake: Notify,
    sending: tokio::sync::Mutex<()>,
    sent: Mutex<Vec<SentNotifications>>,
}

impl Shared {
    /// Runs under the lock; what changed is told after a while.
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        if !state.notices.is_empty() {
            self.wake.notify_one();
        }
        result
    }

    fn log(&self, sent: SentNotifications) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    }

    fn sent(&self) -> Vec<SentNotifications> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running company and the handle to move it. Dropping it ends the server and the sending.
pub struct BusinessCentralSim {
    shared: Arc<Shared>,
    faults: Faults,
    server: Server,
    task: AbortHandle,
}

impl BusinessCentralSim {
    pub async fn start(setup: Setup) -> io::Result<Self> {
        // Fails when a provider is installed already, which serves as well.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(Duration::from_secs(10)).redirect(reqwest::redirect::Policy::none()).no_proxy();
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(setup)),
            client: client.build().map_err(io::Error::other)?,
            wake: Notify::new(),
            sending: tokio::sync::Mutex::default(),
            sent: Mutex::default(),
        });
        let faults = Faults::default();
        let server = Server::start(web::router(Arc::clone(&shared)).layer(fault::layer(faults.clone()))).await?;
        let telling = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                telling.wake.notified().await;
                let delay = telling.with(|it| it.setup.delay);
                tokio::time::sleep(delay).await;
                telling.deliver().await;
            }
        });
        Ok(Self { shared, faults, server, task: task.abort_handle() })
    }

    /// `http://127.0.0.1:port`.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// The service root: a connector's `url`.
    pub fn api_url(&self) -> String {
        let (tenant, environment) = self.shared.with(|it| (it.setup.tenant.clone(), it.setup.environment.clone()));
        format!("{}/v2.0/{tenant}/{environment}/api/v2.0", self.base_url())
    }

    /// Where tokens are had: a connector's `token_url`.
    pub fn token_url(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.base_url(), self.shared.with(|it| it.setup.tenant.clone()))
    }

    /// Makes the API fail.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Drop for BusinessCentralSim {
    fn drop(&mut self) {
        self.task.abort();
    }
}
