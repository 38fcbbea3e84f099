//! A simulated Stripe account: payments that a test begins, disputes and pays out, the API with its errors, expansions and
//! idempotency keys, and signed events to every endpoint that wants them.
//!
//! What is easily overlooked at Stripe, and is so here: releasing money that was held makes a *refund* which moves nothing on
//! the balance (`balance_transaction` is null), with `refund.created` and `charge.refunded`, as does the rest of a partial
//! capture; a sale's charge has no balance transaction until `charge.updated`; metadata written on a payment later does not
//! reach its charge; retries are signed anew. One simplification: the balance has the currency of the payment.

mod answer;
mod api;
mod events;
mod json;
mod money;
mod role;
mod search;
mod state;

pub use crate::{
    post::Webhook,
    shopify::{Delivery, Forged, Refused, Sent},
};
pub use state::{PaymentView, PayoutView};

use crate::{
    call,
    fault::{self, Faults},
    post::{self, Post, lock},
    server::Server,
};
use jiff::SignedDuration;
use serde_json::Value;
use spindel_model::Clock;
use state::State;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

/// How the account is made. Start from `Options::default()`.
#[derive(Clone)]
pub struct Options {
    /// Keys that the API takes.
    pub api_keys: Vec<String>,
    /// Signs the events to the address that [`StripeSim::set_target`] sets.
    pub webhook_secret: String,
    pub livemode: bool,
    /// Taken of each charge: hundredths of a percent, and smallest units.
    pub fee: (i64, i64),
    pub dispute_fee: i64,
    /// How long a payment cannot be found by a search; Stripe's own lag is up to a minute.
    pub search_lag: SignedDuration,
    /// Days until an authorisation lapses.
    pub capture_days: i64,
    /// How many times faster than Stripe a failed webhook is tried again.
    pub speed: u32,
    pub seed: u64,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_keys: vec!["sk_test_simulated".into(), "rk_test_simulated".into()],
            webhook_secret: "whsec_simulated".into(),
            livemode: false,
            fee: (240, 200),
            dispute_fee: 15_000,
            search_lag: SignedDuration::ZERO,
            capture_days: 7,
            speed: 200_000,
            seed: 1,
            clock: Clock::system(),
        }
    }
}

/// Waits between tries, in seconds: three days live, three tries in test mode.
const LIVE_WAITS: [u64; 6] = [3_600, 7_200, 14_400, 28_800, 57_600, 115_200];
const TEST_WAITS: [u64; 2] = [3_600, 7_200];

/// The account behind its lock, and the way out for its events.
pub(crate) struct Account {
    state: Mutex<State>,
    post: Post,
}

impl Account {
    /// Runs under the lock; events leave in the order in which things happened.
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        for letter in state.outbox.drain(..) {
            self.post.send(letter);
        }
        result
    }
}

/// A running account and the handle to move it. Dropping it ends the server and the sending.
pub struct StripeSim {
    account: Arc<Account>,
    faults: Faults,
    server: Server,
}

impl StripeSim {
    pub async fn start(options: Options) -> io::Result<Self> {
        let waits: &[u64] = if options.livemode { &LIVE_WAITS } else { &TEST_WAITS };
        let waits = post::shortened(waits, options.speed);
        let settings = post::Settings { seed: options.seed, waits, accepts: |status| (200..300).contains(&status) };
        let post = Post::start(settings).map_err(io::Error::other)?;
        let account = Arc::new(Account { state: Mutex::new(State::new(options)), post });
        let faults = Faults::default();
        let router = call::router(Arc::clone(&account), api::answer).layer(fault::layer(faults.clone()));
        let server = Server::start(router).await?;
        Ok(Self { account, faults, server })
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

/// What buyers do. Amounts are in smallest units.
impl StripeSim {
    /// A payment whose money is held; answers its id. `metadata` names the order: `[("order_id", "1042")]`.
    pub fn authorize(&self, amount: i64, currency: &str, metadata: &[(&str, &str)]) -> String {
        self.account.with(|state| {
            let id = state.begin(amount, currency, true, texts(metadata), None);
            state.approve(&id);
            id
        })
    }

    /// A payment that is taken at once.
    pub fn sell(&self, amount: i64, currency: &str, metadata: &[(&str, &str)]) -> String {
        self.account.with(|state| {
            let id = state.begin(amount, currency, false, texts(metadata), None);
            state.approve(&id);
            id
        })
    }

    /// A payment that is captured by hand and whose card is declined.
    pub fn decline(&self, amount: i64, currency: &str, metadata: &[(&str, &str)]) -> String {
        self.account.with(|state| {
            let id = state.begin(amount, currency, true, texts(metadata), None);
            state.refuse(&id);
            id
        })
    }

    /// The buyer pays after all, or goes on with a payment that the API began.
    pub fn approve(&self, payment: &str) {
        self.account.with(|state| state.approve(payment));
    }

    /// The buyer asks their bank for the money back; answers the dispute's id.
    pub fn dispute(&self, payment: &str, reason: &str) -> Result<String, Refused> {
        self.account.with(|state| state.dispute(payment, reason))
    }
}

/// What Stripe, the banks and people in the dashboard do.
impl StripeSim {
    pub fn capture_by_hand(&self, payment: &str, amount: Option<i64>) -> Result<(), Refused> {
        self.account.with(|state| state.capture(payment, amount).map_err(answer::Problem::refused))
    }

    pub fn cancel_by_hand(&self, payment: &str) -> Result<(), Refused> {
        self.account.with(|state| state.cancel(payment, None).map_err(answer::Problem::refused))
    }

    /// Names no order, as the dashboard does not; answers the refund's id.
    pub fn refund_by_hand(&self, payment: &str, amount: Option<i64>) -> Result<String, Refused> {
        let order = state::RefundSpec { amount, reason: Some("requested_by_customer".into()), metadata: BTreeMap::new() };
        self.account.with(|state| state.refund_payment(payment, order).map_err(answer::Problem::refused))
    }

    /// The authorisation lapses.
    pub fn expire(&self, payment: &str) -> Result<(), Refused> {
        self.account.with(|state| state.expire(payment).map_err(answer::Problem::refused))
    }

    /// Days later the buyer's bank does not take the money.
    pub fn fail_refund(&self, refund: &str) -> Result<(), Refused> {
        self.account.with(|state| state.fail_refund(refund))
    }

    pub fn close_dispute(&self, dispute: &str, won: bool) -> Result<(), Refused> {
        self.account.with(|state| state.close_dispute(dispute, won))
    }

    /// Pays out what is on the balance, in this currency: created, paid, and worked out which movements are in it.
    /// `None` when there is nothing to pay out.
    pub fn pay_out(&self, currency: &str) -> Option<String> {
        self.account.with(|state| state.pay_out(currency))
    }

    /// The bank sends a payout back.
    pub fn fail_payout(&self, payout: &str) -> Result<(), Refused> {
        self.account.with(|state| state.fail_payout(payout))
    }
}

/// How things stand.
impl StripeSim {
    pub fn payment(&self, id: &str) -> Option<PaymentView> {
        self.account.with(|state| state.view(id))
    }

    /// Oldest first.
    pub fn payments(&self) -> Vec<PaymentView> {
        self.account.with(|state| state.payments.keys().filter_map(|id| state.view(id)).collect())
    }

    pub fn payout(&self, id: &str) -> Option<PayoutView> {
        self.account.with(|state| state.payout_view(id))
    }

    /// An object as the API would answer it.
    pub fn object(&self, id: &str) -> Option<Value> {
        self.account.with(|state| state.object(id))
    }

    /// Requests that the API carried out, and how often: `POST /v1/refunds`. Replayed ones are not counted.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.account.with(|state| state.calls.clone())
    }

    /// The next `n` writes with an idempotency key are told that the key is in use.
    pub fn next_keys_are_in_use(&self, n: u32) {
        self.account.with(|state| state.keys_in_use = n);
    }
}

/// Webhooks.
impl StripeSim {
    /// An endpoint for all events as if made in the dashboard, with the secret of the options. `None` takes it away.
    pub fn set_target(&self, url: Option<&str>) {
        self.account.with(|state| state.set_target(url));
    }

    pub fn set_delivery(&self, delivery: Delivery) {
        self.account.post.set_delivery(delivery);
    }

    /// Id and address of every endpoint, and whether it is switched on.
    pub fn endpoints(&self) -> Vec<(String, String, bool)> {
        self.account.with(|state| state.hooks.iter().map(|(id, it)| (id.clone(), it.url.clone(), it.enabled)).collect())
    }

    /// Switches an endpoint off, as Stripe does after days of failures.
    pub fn switch_off(&self, endpoint: &str) {
        self.account.with(|state| state.switch_off(endpoint));
    }

    /// Rolls the secret of the target and answers the new one. For 24 hours events carry a signature for each.
    pub fn roll_secret(&self) -> String {
        self.account.with(State::roll_secret)
    }

    /// Every event as the target would get it, oldest first, whether there is one or not.
    pub fn webhook_log(&self) -> Vec<Webhook> {
        self.account.with(|state| state.log.clone())
    }

    /// Waits until every event was acknowledged or given up.
    pub async fn flush(&self) -> Sent {
        self.account.post.flush().await
    }

    /// Sends `n` events to the target that must be turned away: wrong signature, changed body, no signature, empty one.
    pub async fn forge(&self, n: usize) -> Forged {
        let (target, genuine) = self.account.with(|state| (state.target(), state.log.clone()));
        let mut forged = Forged::default();
        let Some(target) = target else { return forged };
        for (kind, event) in genuine.iter().rev().cycle().take(n).enumerate() {
            let other = self.account.with(|state| state.signature(&["whsec_another".to_owned()], &event.body));
            forged.sent += 1;
            let event = event.forged(kind, events::SIGNATURE, other);
            forged.accepted += u64::from(self.account.post.try_once(&target, &event).await);
        }
        forged
    }
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
