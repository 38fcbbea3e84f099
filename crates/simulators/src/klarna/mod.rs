//! A simulated Klarna merchant account: orders that buyers place, Order Management, Settlements, Disputes, the unsigned calls
//! of the classic products and the signed webhooks of the Klarna Network.
//!
//! What is easily overlooked at Klarna, and is so here: ids of captures and refunds come in headers only; an order cannot be
//! searched for; of an idempotency key only the key matters, whatever comes with it (only successes are kept under it);
//! a push comes again until the order is acknowledged; rows of a settlement are positive whichever way they go; some times
//! have no seconds and no zone; only the first webhook of a dispute says what it is about.

mod api;
mod disputes;
mod notify;
mod orders;
mod role;
mod settle;

pub use crate::{
    post::Webhook,
    shopify::{Delivery, Forged, Refused, Sent},
};
pub use orders::{Line, OrderView};
pub use settle::PayoutView;

use crate::{
    call::{self, Replays},
    fault::{self, Faults},
    post::{self, Letter, Post, lock},
    server::Server,
};
use disputes::Dispute;
use jiff::{SignedDuration, Timestamp};
use orders::Order;
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use settle::{Payout, Row};
use spindel_model::Clock;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

/// How the account is made. Start from `Options::default()`.
#[derive(Clone)]
pub struct Options {
    pub merchant_id: String,
    pub username: String,
    pub password: String,
    /// Of the Klarna Network: reads disputes.
    pub api_key: String,
    /// Signs the webhooks of the Klarna Network.
    pub signing_key: String,
    pub signing_key_id: String,
    /// Where Klarna calls when an order was placed, with `{checkout.order.id}` in it.
    pub push_url: Option<String>,
    /// Where Klarna calls when a fraud review ends.
    pub notification_url: Option<String>,
    pub country: String,
    /// Taken of each capture: hundredths of a percent, and minor units.
    pub fee: (i64, i64),
    /// Fees are invoiced instead of taken off.
    pub gross: bool,
    /// Days until an authorisation lapses.
    pub capture_days: i64,
    /// How many times faster than Klarna a failed webhook is tried again.
    pub speed: u32,
    pub seed: u64,
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            merchant_id: "K100200".into(),
            username: "K100200_simulated".into(),
            password: "simulated-password".into(),
            api_key: "klarna_test_api_simulated".into(),
            signing_key: "simulated_signing_key".into(),
            signing_key_id: "krn:partner:global:notification:signing-key:1".into(),
            push_url: None,
            notification_url: None,
            country: "NO".into(),
            fee: (249, 300),
            gross: false,
            capture_days: 28,
            speed: 200_000,
            seed: 1,
            clock: Clock::system(),
        }
    }
}

/// Waits between tries of a webhook, in seconds.
const WAITS: [u64; 6] = [10, 120, 900, 10_800, 21_600, 43_200];

/// The account behind its lock, and the way out for its webhooks.
pub(crate) struct Account {
    state: Mutex<State>,
    post: Post,
}

pub(crate) struct State {
    options: Options,
    rng: StdRng,
    orders: BTreeMap<String, Order>,
    disputes: BTreeMap<String, Dispute>,
    payouts: Vec<Payout>,
    /// Rows that are in no payout yet.
    unsettled: Vec<Row>,
    /// Minor units that the shop owes by currency, as its last settlements were below zero.
    debts: BTreeMap<String, i64>,
    replays: Replays,
    calls: BTreeMap<String, u64>,
    target: Option<String>,
    outbox: Vec<Letter>,
    log: Vec<Webhook>,
}

impl State {
    fn new_uuid(&mut self) -> String {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// Capital letters and digits.
    fn new_reference(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        (0..length).map(|_| char::from(LETTERS[self.rng.random_range(0..LETTERS.len())])).collect()
    }

    fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    fn in_days(&self, days: i64) -> Timestamp {
        self.now().checked_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
    }
}

impl Account {
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
pub struct KlarnaSim {
    account: Arc<Account>,
    faults: Faults,
    server: Server,
    global: Server,
}

impl KlarnaSim {
    pub async fn start(options: Options) -> io::Result<Self> {
        let settings = post::Settings {
            seed: options.seed,
            waits: post::shortened(&WAITS, options.speed),
            accepts: |status| matches!(status, 200 | 201 | 202 | 204),
        };
        let post = Post::start(settings).map_err(io::Error::other)?;
        let state = State {
            rng: StdRng::seed_from_u64(options.seed),
            orders: BTreeMap::new(),
            disputes: BTreeMap::new(),
            payouts: Vec::new(),
            unsettled: Vec::new(),
            debts: BTreeMap::new(),
            replays: Replays::for_hours(24),
            calls: BTreeMap::new(),
            target: None,
            outbox: Vec::new(),
            log: Vec::new(),
            options,
        };
        let account = Arc::new(Account { state: Mutex::new(state), post });
        let faults = Faults::default();
        let router = call::router(Arc::clone(&account), api::classic).layer(fault::layer(faults.clone()));
        let server = Server::start(router).await?;
        let router = call::router(Arc::clone(&account), api::network).layer(fault::layer(faults.clone()));
        let global = Server::start(router).await?;
        Ok(Self { account, faults, server, global })
    }

    /// `http://127.0.0.1:port`: where Order Management and Settlements answer.
    pub fn base_url(&self) -> String {
        self.server.base_url()
    }

    /// Where the Klarna Network answers, which is another host with other credentials.
    pub fn global_url(&self) -> String {
        self.global.base_url()
    }

    /// Makes the APIs fail.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

/// What buyers, people in the portal and Klarna do. Amounts are in minor units.
impl KlarnaSim {
    /// An order of one line, placed and authorised; answers its id. `number` is the shop's, where it is known already.
    pub fn authorize(&self, amount: i64, currency: &str, number: Option<&str>) -> String {
        self.place(currency, number, &[Line::goods("GOODS", "Goods", 1, amount)])
    }

    /// The same with lines of its own.
    pub fn place(&self, currency: &str, number: Option<&str>, lines: &[Line]) -> String {
        self.account.with(|state| state.place(currency, number, lines, true))
    }

    /// One that Klarna still looks at: nothing may be captured.
    pub fn place_under_review(&self, amount: i64, currency: &str, number: Option<&str>) -> String {
        self.account.with(|state| state.place(currency, number, &[Line::goods("GOODS", "Goods", 1, amount)], false))
    }

    pub fn end_review(&self, order: &str, accepted: bool) -> Result<(), Refused> {
        self.account.with(|state| state.end_review(order, accepted))
    }

    pub fn capture_by_hand(&self, order: &str, amount: i64) -> Result<String, Refused> {
        self.account.with(|state| state.capture(order, orders::Taking::of(amount)).map_err(api::Problem::refused))
    }

    pub fn refund_by_hand(&self, order: &str, amount: i64) -> Result<String, Refused> {
        self.account.with(|state| state.refund(order, orders::Taking::of(amount)).map_err(api::Problem::refused))
    }

    /// The authorisation lapses.
    pub fn expire(&self, order: &str) -> Result<(), Refused> {
        self.account.with(|state| state.expire(order))
    }

    /// Two hours later: pushes every order again that was not acknowledged. Answers how many.
    pub fn push_again(&self) -> usize {
        self.account.with(State::push_again)
    }

    /// The buyer complains and Klarna asks the shop; answers the dispute's id.
    pub fn dispute(&self, order: &str, reason: &str) -> Result<String, Refused> {
        self.account.with(|state| state.dispute(order, reason))
    }

    /// A lost one is taken off the next payout.
    pub fn close_dispute(&self, dispute: &str, won: bool) -> Result<(), Refused> {
        self.account.with(|state| state.close_dispute(dispute, won))
    }

    /// Settles what happened since the last time, in this currency; answers the payment reference. What comes to less than
    /// nothing is a debt, which the next one repays. `None` when nothing happened.
    pub fn pay_out(&self, currency: &str) -> Option<String> {
        self.account.with(|state| state.pay_out(currency))
    }
}

/// How things stand.
impl KlarnaSim {
    pub fn order(&self, id: &str) -> Option<OrderView> {
        self.account.with(|state| state.orders.get(id).map(Order::view))
    }

    pub fn orders(&self) -> Vec<OrderView> {
        self.account.with(|state| state.orders.values().map(Order::view).collect())
    }

    pub fn payout(&self, reference: &str) -> Option<PayoutView> {
        self.account.with(|state| state.payouts.iter().find(|it| it.reference == reference).map(Payout::view))
    }

    /// Requests that were carried out, and how often: `POST /ordermanagement/v1/orders/…/captures`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.account.with(|state| state.calls.clone())
    }
}

/// Webhooks.
impl KlarnaSim {
    /// A webhook of the Klarna Network for `payment.*`, signed with the key of the options. `None` takes it away.
    pub fn set_target(&self, url: Option<&str>) {
        self.account.with(|state| state.target = url.map(str::to_owned));
    }

    pub fn set_delivery(&self, delivery: Delivery) {
        self.account.post.set_delivery(delivery);
    }

    /// Every signed webhook, oldest first, whether a target was set or not.
    pub fn webhook_log(&self) -> Vec<Webhook> {
        self.account.with(|state| state.log.clone())
    }

    /// Waits until everything was acknowledged or given up.
    pub async fn flush(&self) -> Sent {
        self.account.post.flush().await
    }

    /// Sends `n` webhooks to the target that must be turned away: wrong signature, changed body, no signature, empty one.
    pub async fn forge(&self, n: usize) -> Forged {
        let (target, genuine) = self.account.with(|state| (state.target.clone(), state.log.clone()));
        let mut forged = Forged::default();
        let Some(target) = target else { return forged };
        for (kind, webhook) in genuine.iter().rev().cycle().take(n).enumerate() {
            let other = notify::sign("another key", &webhook.body);
            forged.sent += 1;
            let webhook = webhook.forged(kind, notify::SIGNATURE, other);
            forged.accepted += u64::from(self.account.post.try_once(&target, &webhook).await);
        }
        forged
    }
}

/// Named after what it is about, so that the same order has the same name at each end.
fn krn(kind: &str, id: &str) -> String {
    format!("krn:payment:eu1:{kind}:{id}")
}

/// A name that follows from the order's id.
fn short_name(id: &str) -> String {
    let number = Uuid::parse_str(id).map(|it| it.as_u128()).unwrap_or_default();
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let letter = |place: u32| char::from(LETTERS[(number >> (5 * place)) as usize % LETTERS.len()]);
    std::iter::once('K').chain((0..6).map(letter)).collect()
}
