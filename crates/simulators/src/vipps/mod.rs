//! A simulated sales unit of Vipps MobilePay: payments that buyers approve, the ePayment API with its log and idempotency keys,
//! registrations of webhooks, each with its secret and its own order, and the ledgers of the Report API.
//!
//! What is easily overlooked at Vipps, and is so here: the state of a payment stays `AUTHORIZED` whatever is captured; an
//! answer is repeated for its key, refusals too; a webhook that is not taken holds up all later ones of its registration; the
//! key of a signature is the secret's text although it looks like base64; five changes a minute for each payment; a day of a
//! ledger is complete only when it is over, and has no report before the ledger was opened.

mod api;
mod notify;
mod payments;
mod report;
mod role;

pub use crate::{
    post::Webhook,
    shopify::{Delivery, Forged, Refused, Sent},
};
pub use payments::PaymentView;
pub use report::PayoutView;

use crate::{
    call::{self, Replays},
    fault::{self, Faults},
    post::{self, Letter, Post, lock},
    server::Server,
};
use api::Problem;
use jiff::{SignedDuration, Timestamp, civil::Date};
use notify::Registration;
use payments::Payment;
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use report::Ledger;
use spindel_model::Clock;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

/// How the sales unit is made. Start from `Options::default()`.
#[derive(Clone)]
pub struct Options {
    pub merchant_serial_number: String,
    pub client_id: String,
    pub client_secret: String,
    pub subscription_key: String,
    /// Signs the webhooks to the address that [`VippsSim::set_target`] sets.
    pub webhook_secret: String,
    pub token_lifetime: SignedDuration,
    /// Taken of each capture: hundredths of a percent, and minor units.
    pub fee: (i64, i64),
    /// Captures, refunds and cancellations of one payment in a minute.
    pub changes_per_minute: usize,
    /// Entries in one answer of the Report API.
    pub report_page: usize,
    /// Days before its first entry that a ledger was opened.
    pub opened_days: i64,
    /// How many times faster than Vipps a failed webhook is tried again.
    pub speed: u32,
    pub seed: u64,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            merchant_serial_number: "123456".into(),
            client_id: "simulated-client".into(),
            client_secret: "simulated-secret".into(),
            subscription_key: "simulated-subscription-key".into(),
            webhook_secret: "c2ltdWxhdGVkIHNlY3JldCB0aGF0IGlzIHVzZWQgYXMgdGV4dA==".into(),
            token_lifetime: SignedDuration::from_secs(3_599),
            fee: (275, 100),
            changes_per_minute: 5,
            report_page: 100,
            opened_days: 3,
            speed: 200_000,
            seed: 1,
            clock: Clock::system(),
        }
    }
}

/// The sales unit behind its lock, and the way out for its webhooks.
pub(crate) struct Unit {
    state: Mutex<State>,
    post: Post,
}

pub(crate) struct State {
    options: Options,
    rng: StdRng,
    payments: BTreeMap<String, Payment>,
    /// By currency.
    ledgers: BTreeMap<String, Ledger>,
    /// With the moment at which it ends.
    tokens: BTreeMap<String, Timestamp>,
    tokens_issued: u64,
    registrations: BTreeMap<String, Registration>,
    replays: Replays,
    calls: BTreeMap<String, u64>,
    /// So many of the next changes of payments are tried and fail.
    failing: u32,
    next_psp_reference: u64,
    outbox: Vec<Letter>,
    log: Vec<Webhook>,
}

impl State {
    fn new_uuid(&mut self) -> String {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    fn new_psp_reference(&mut self) -> String {
        self.next_psp_reference += self.rng.random_range(1..100_u64);
        self.next_psp_reference.to_string()
    }

    fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    fn today(&self) -> Date {
        report::date(self.now())
    }
}

impl Unit {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        for letter in state.outbox.drain(..) {
            self.post.send(letter);
        }
        result
    }
}

/// A running sales unit and the handle to move it. Dropping it ends the server and the sending.
pub struct VippsSim {
    unit: Arc<Unit>,
    faults: Faults,
    server: Server,
}

impl VippsSim {
    pub async fn start(options: Options) -> io::Result<Self> {
        // Twice as long each time, for up to seven days.
        let waits: Vec<u64> = (0..13).map(|retry| 60 << retry).collect();
        let waits = post::shortened(&waits, options.speed);
        let settings = post::Settings { seed: options.seed, waits, accepts: |status| (200..300).contains(&status) };
        let post = Post::start(settings).map_err(io::Error::other)?;
        let state = State {
            rng: StdRng::seed_from_u64(options.seed),
            payments: BTreeMap::new(),
            ledgers: BTreeMap::new(),
            tokens: BTreeMap::new(),
            tokens_issued: 0,
            registrations: BTreeMap::new(),
            // Vipps names no end.
            replays: Replays::for_hours(24 * 365),
            calls: BTreeMap::new(),
            failing: 0,
            next_psp_reference: 3_343_121_302,
            outbox: Vec::new(),
            log: Vec::new(),
            options,
        };
        let unit = Arc::new(Unit { state: Mutex::new(state), post });
        let faults = Faults::default();
        let router = call::router(Arc::clone(&unit), api::answer).layer(fault::layer(faults.clone()));
        let server = Server::start(router).await?;
        Ok(Self { unit, faults, server })
    }

    /// `http://127.0.0.1:port`: where the APIs answer.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Makes the APIs fail.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

/// What buyers do. Amounts are in minor units; a reference has 8 to 64 letters, digits and `-`.
impl VippsSim {
    /// A payment that the buyer has approved. `reference` names the order, as in `acme-order-1042`.
    pub fn authorize(&self, reference: &str, amount: i64, currency: &str) -> Result<(), Refused> {
        self.begin(reference, amount, currency)?;
        self.approve(reference)
    }

    /// A payment that the buyer has not looked at yet.
    pub fn begin(&self, reference: &str, amount: i64, currency: &str) -> Result<(), Refused> {
        self.changed(|state| state.create(reference, amount, currency, BTreeMap::new(), None))
    }

    /// Metadata, as the shop gave it when the payment was made.
    pub fn annotate(&self, reference: &str, key: &str, value: &str) -> Result<(), Refused> {
        self.changed(|state| {
            state.find(reference)?.metadata.insert(key.to_owned(), value.to_owned());
            Ok(())
        })
    }

    pub fn approve(&self, reference: &str) -> Result<(), Refused> {
        self.changed(|state| state.approve(reference))
    }

    /// The buyer says no.
    pub fn abort(&self, reference: &str) -> Result<(), Refused> {
        self.changed(|state| state.end_unapproved(reference, "ABORTED", None))
    }

    /// The buyer does nothing until it is too late.
    pub fn expire(&self, reference: &str) -> Result<(), Refused> {
        self.changed(|state| state.end_unapproved(reference, "EXPIRED", None))
    }

    fn changed(&self, change: impl FnOnce(&mut State) -> Result<(), Problem>) -> Result<(), Refused> {
        self.unit.with(change).map_err(Problem::refused)
    }
}

/// What people do in the portal, and Vipps at the end of a day.
impl VippsSim {
    pub fn capture_by_hand(&self, reference: &str, amount: i64) -> Result<(), Refused> {
        self.changed(|state| state.capture(reference, amount, None).map(drop))
    }

    pub fn refund_by_hand(&self, reference: &str, amount: i64) -> Result<(), Refused> {
        self.changed(|state| state.refund(reference, amount, None).map(drop))
    }

    pub fn cancel_by_hand(&self, reference: &str) -> Result<(), Refused> {
        self.changed(|state| state.cancel(reference, false, None).map(drop))
    }

    /// The next `n` changes of payments are tried, written into the log as failed, and answered with a 500.
    pub fn fail_next(&self, n: u32) {
        self.unit.with(|state| state.failing = n);
    }

    /// The buyer disputes a capture and Vipps keeps the money back.
    pub fn retain_disputed(&self, reference: &str) -> Result<(), Refused> {
        self.changed(|state| state.retain_disputed(reference))
    }

    /// Takes the fees and pays out what is on the ledger of this currency; answers the payout's reference. `None` when there
    /// is nothing.
    pub fn pay_out(&self, currency: &str) -> Option<String> {
        self.unit.with(|state| state.pay_out(currency))
    }

    /// The bank sends a payout back: it is on the ledger again.
    pub fn abort_payout(&self, payout: &str) -> Result<(), Refused> {
        self.unit.with(|state| state.abort_payout(payout))
    }
}

/// How things stand.
impl VippsSim {
    pub fn payment(&self, reference: &str) -> Option<PaymentView> {
        self.unit.with(|state| state.payments.get(reference).map(Payment::view))
    }

    pub fn payments(&self) -> Vec<PaymentView> {
        self.unit.with(|state| state.payments.values().map(Payment::view).collect())
    }

    pub fn payout(&self, reference: &str) -> Option<PayoutView> {
        self.unit.with(|state| state.payout_view(reference))
    }

    pub fn tokens_issued(&self) -> u64 {
        self.unit.with(|state| state.tokens_issued)
    }

    /// Ends every token, so that the next call is answered 401.
    pub fn expire_tokens(&self) {
        self.unit.with(|state| state.tokens.clear());
    }

    /// Requests that were carried out, and how often: `POST /epayment/v1/payments/acme-order-1042/capture`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.unit.with(|state| state.calls.clone())
    }
}

/// Webhooks.
impl VippsSim {
    /// A registration for all events as if made by hand, with the secret of the options. `None` takes it away.
    pub fn set_target(&self, url: Option<&str>) {
        self.unit.with(|state| state.set_target(url));
    }

    /// Address and events of every registration.
    pub fn registrations(&self) -> Vec<(String, Vec<String>)> {
        self.unit.with(|state| state.registrations.values().map(|it| (it.url.clone(), it.events.clone())).collect())
    }

    /// Somebody deletes every registration.
    pub fn delete_registrations(&self) {
        self.unit.with(|state| state.registrations.clear());
    }

    pub fn set_delivery(&self, delivery: Delivery) {
        self.unit.post.set_delivery(delivery);
    }

    /// Every webhook as the target would get it, oldest first, whether there is one or not.
    pub fn webhook_log(&self) -> Vec<Webhook> {
        self.unit.with(|state| state.log.clone())
    }

    /// Waits until everything was acknowledged or given up.
    pub async fn flush(&self) -> Sent {
        self.unit.post.flush().await
    }

    /// Sends `n` webhooks to the target that must be turned away: wrong signature, changed body, no signature, empty one.
    pub async fn forge(&self, n: usize) -> Forged {
        let (target, genuine) = self.unit.with(|state| (state.target(), state.log.clone()));
        let mut forged = Forged::default();
        let Some(target) = target else { return forged };
        for (kind, webhook) in genuine.iter().rev().cycle().take(n).enumerate() {
            let now = self.unit.with(|state| state.now());
            let signed = notify::signed(&target, "another secret", now, &webhook.body);
            let other = signed.into_iter().find(|(name, _)| name == notify::SIGNATURE).map(|(_, value)| value);
            forged.sent += 1;
            let webhook = webhook.forged(kind, notify::SIGNATURE, other.unwrap_or_default());
            forged.accepted += u64::from(self.unit.post.try_once(&target, &webhook).await);
        }
        forged
    }
}
