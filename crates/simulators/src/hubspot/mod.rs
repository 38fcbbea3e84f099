//! A simulated HubSpot account: contacts, deals, consent and webhooks, with the CRM's API in front of them.
//!
//! As the vendor does, it counts calls in a rolling window and by the day, refuses a whole batch for one bad property, finds
//! by search only what its index has seen, and tells changes in batches that say which property changed.

mod api;
mod batches;
mod consent;
mod limits;
mod objects;
mod state;
mod webhooks;

pub use consent::ConsentView;
pub use state::{ContactView, DealView, Refused};
pub use webhooks::{Forged, Sent, sign};

use crate::{
    fault::{self, Faults},
    server::Server,
};
use jiff::SignedDuration;
use objects::Kind;
use spindel_model::Clock;
use state::{Account, State};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use tokio::task::AbortHandle;

/// How the account is made. Start from `Options::default()`.
#[derive(Clone)]
pub struct Options {
    /// Of an app of this account alone.
    pub access_token: String,
    pub client_id: String,
    /// Signs the webhooks too.
    pub client_secret: String,
    pub refresh_token: String,
    pub portal_id: u64,
    /// What the app may do; a call that needs more is refused.
    pub scopes: Vec<String>,
    /// ISO 4217, the account's own first.
    pub currencies: Vec<String>,
    /// Contact properties that were made beside the vendor's own.
    pub contact_properties: Vec<String>,
    /// Deal properties with unique values.
    pub deal_keys: Vec<String>,
    /// Internal name of a pipeline and of its stages, beside the first one.
    pub pipelines: Vec<(String, Vec<String>)>,
    /// Id and name of what can be subscribed to.
    pub subscriptions: Vec<(u64, String)>,
    /// Whether a subscription needs a legal basis.
    pub legal_basis_required: bool,
    /// Calls in ten seconds, and in a day.
    pub burst: usize,
    pub daily: u64,
    /// After this long a change is found by search.
    pub search_lag: SignedDuration,
    /// Wait before the first retry of a webhook; doubled with each. The vendor's own is about a minute.
    pub retry_base: Duration,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        let scopes = [
            "crm.objects.contacts.read",
            "crm.objects.contacts.write",
            "crm.objects.deals.read",
            "crm.objects.deals.write",
            "communication_preferences.read_write",
        ];
        Self {
            access_token: "pat-eu1-simulated".into(),
            client_id: "client-id".into(),
            client_secret: "client-secret".into(),
            refresh_token: "refresh-token".into(),
            portal_id: 24_681_357,
            scopes: scopes.map(Into::into).into(),
            currencies: ["NOK", "SEK", "DKK", "EUR"].map(Into::into).into(),
            contact_properties: vec!["shop_customer_id".into()],
            deal_keys: vec!["spindel_order".into()],
            pipelines: Vec::new(),
            subscriptions: vec![(1, "One to one".into()), (4711, "Newsletter".into())],
            legal_basis_required: true,
            burst: 100,
            daily: 250_000,
            search_lag: SignedDuration::from_secs(5),
            retry_base: Duration::from_millis(20),
            clock: Clock::system(),
        }
    }
}

/// A running account and the handle to move it. Dropping it ends the server and the sending.
pub struct HubspotSim {
    account: Arc<Account>,
    faults: Faults,
    server: Server,
    sending: AbortHandle,
}

impl Drop for HubspotSim {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

impl HubspotSim {
    pub async fn start(options: Options) -> io::Result<Self> {
        let (account, events) = Account::new(State::new(options)).map_err(io::Error::other)?;
        let account = Arc::new(account);
        let sending = tokio::spawn(webhooks::run(Arc::clone(&account), events)).abort_handle();
        let faults = Faults::default();
        let router = api::router(Arc::clone(&account)).layer(fault::layer(faults.clone()));
        let server = Server::start(router).await?;
        Ok(Self { account, faults, server, sending })
    }

    /// `http://127.0.0.1:port`: where the API answers.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Makes the API fail.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

/// Contacts and deals, as somebody would change them in the CRM's own pages.
impl HubspotSim {
    pub fn add_contact(&self, properties: &[(&str, &str)]) -> Result<String, Refused> {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.account.with(|state| state.make(Kind::Contact, properties, "CRM_UI").map(|id| id.to_string()).map_err(Into::into))
    }

    pub fn change_contact(&self, id: &str, property: &str, value: &str) -> Result<(), Refused> {
        let properties = BTreeMap::from([(property.to_owned(), value.to_owned())]);
        self.account.with(|state| state.write(Kind::Contact, number(id)?, properties, "CRM_UI").map_err(Into::into))
    }

    pub fn delete_contact(&self, id: &str) -> Result<(), Refused> {
        self.account.with(|state| state.archive(Kind::Contact, number(id)?).map_err(Into::into))
    }

    /// Deletes for good, as the law on privacy asks.
    pub fn forget_contact(&self, id: &str) -> Result<(), Refused> {
        self.account.with(|state| state.forget(number(id)?).map_err(Into::into))
    }

    /// Two that are one person: the first stays.
    pub fn merge_contacts(&self, stays: &str, goes: &str) -> Result<(), Refused> {
        self.account.with(|state| state.merge(number(stays)?, number(goes)?).map_err(Into::into))
    }

    pub fn contacts(&self) -> Vec<ContactView> {
        self.account.with(|state| state.contacts())
    }

    pub fn contact(&self, email: &str) -> Option<ContactView> {
        self.contacts().into_iter().find(|it| it.email.as_deref() == Some(email))
    }

    pub fn deals(&self) -> Vec<DealView> {
        self.account.with(|state| state.deals())
    }
}

/// Consent.
impl HubspotSim {
    /// As the person would by the link in a mail.
    pub fn unsubscribe(&self, email: &str, subscription: u64) {
        self.account.with(|state| state.person_says(email, subscription, "UNSUBSCRIBED"));
    }

    pub fn subscribe(&self, email: &str, subscription: u64) {
        self.account.with(|state| state.person_says(email, subscription, "SUBSCRIBED"));
    }

    pub fn consent(&self, email: &str, subscription: u64) -> Option<ConsentView> {
        self.account.with(|state| state.consent.get(&(email.to_lowercase(), subscription)).cloned())
    }
}

/// Webhooks.
impl HubspotSim {
    /// Where the app's webhooks go; `None` stops them. What happens without one is told nobody.
    pub fn set_target(&self, url: Option<&str>) {
        self.account.with(|state| state.target = url.map(str::to_owned));
    }

    /// Waits until every batch was acknowledged or given up.
    pub async fn flush(&self) -> Sent {
        self.account.settled().await;
        self.account.with(|state| state.sent)
    }

    /// Sends the last batch once more, as a vendor does that missed the answer; whether it was taken.
    pub async fn repeat_last(&self) -> Option<bool> {
        webhooks::repeat_last(&self.account).await
    }

    /// Sends `n` batches that must be turned away: another secret, a changed body, an old time, an older kind of signature.
    pub async fn forge(&self, n: usize) -> Forged {
        webhooks::forge(&self.account, n).await
    }
}

/// The API's moods.
impl HubspotSim {
    /// All calls of this day are used up.
    pub fn use_up_the_day(&self) {
        self.account.with(|state| state.limits.used_today = state.options.daily);
    }

    /// A new day has begun.
    pub fn next_day(&self) {
        self.account.with(|state| state.limits.used_today = 0);
    }

    /// What was called, and how often: `POST /crm/v3/objects/contacts/batch/upsert`, with ids and addresses as `{}`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.account.with(|state| state.calls.clone())
    }

    pub fn tokens_issued(&self) -> u64 {
        self.account.with(|state| state.tokens_issued)
    }
}

fn number(id: &str) -> Result<u64, Refused> {
    id.parse().map_err(|_| Refused(format!("{id:?} is no id")))
}
