//! All that the simulated account remembers, behind one lock.

use crate::{
    call::Replays,
    post::{Letter, Webhook},
    stripe::{Options, events::Hook},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) type Metadata = BTreeMap<String, String>;

pub(crate) struct Payment {
    pub amount: i64,
    pub currency: String,
    pub status: &'static str,
    pub manual: bool,
    pub received: i64,
    pub charge: Option<String>,
    pub metadata: Metadata,
    pub description: Option<String>,
    pub created: i64,
    pub canceled_at: Option<i64>,
    pub cancellation_reason: Option<String>,
    /// The charge that was declined.
    pub declined: Option<String>,
}

pub(crate) struct Charge {
    pub payment: String,
    pub amount: i64,
    pub currency: String,
    pub taken: i64,
    /// Released money included.
    pub given_back: i64,
    pub captured: bool,
    pub disputed: bool,
    pub failed: bool,
    pub booking: Option<String>,
    pub capture_before: Option<i64>,
    /// As the payment's was when the charge was made.
    pub metadata: Metadata,
    pub created: i64,
}

pub(crate) struct Refund {
    pub charge: String,
    pub payment: String,
    pub amount: i64,
    pub currency: String,
    pub status: &'static str,
    pub reason: Option<String>,
    pub failure: Option<&'static str>,
    /// `None` of what only released held money.
    pub booking: Option<String>,
    pub metadata: Metadata,
    pub created: i64,
}

pub(crate) struct Dispute {
    pub charge: String,
    pub payment: String,
    pub amount: i64,
    pub currency: String,
    pub reason: String,
    pub status: &'static str,
    pub bookings: Vec<String>,
    pub created: i64,
    pub due_by: i64,
}

/// A movement of the balance (`txn_…`).
pub(crate) struct Booking {
    pub kind: &'static str,
    pub category: &'static str,
    pub amount: i64,
    pub fee: i64,
    pub currency: String,
    pub source: String,
    pub payout: Option<String>,
    pub created: i64,
}

impl Booking {
    pub(crate) fn net(&self) -> i64 {
        self.amount - self.fee
    }
}

pub(crate) struct Payout {
    pub amount: i64,
    pub currency: String,
    pub status: &'static str,
    pub reconciled: bool,
    pub arrival: i64,
    pub booking: String,
    pub failure: Option<&'static str>,
    pub created: i64,
}

pub(crate) struct Event {
    pub kind: String,
    pub body: Value,
}

/// What is asked of a refund.
#[derive(Default)]
pub(crate) struct RefundSpec {
    pub amount: Option<i64>,
    pub reason: Option<String>,
    pub metadata: Metadata,
}

/// A payment as it stands. Amounts are in smallest units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentView {
    pub id: String,
    pub amount: i64,
    /// `NOK`.
    pub currency: String,
    /// `requires_capture`, `succeeded`, `canceled` …
    pub state: String,
    /// What can still be captured.
    pub capturable: i64,
    pub captured: i64,
    /// Money that was captured and went back; what was only held and released is not in it.
    pub refunded: i64,
    pub charge: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

/// A payout and the sums of what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayoutView {
    pub id: String,
    pub amount: i64,
    pub currency: String,
    pub state: String,
    pub movements: usize,
    pub gross: i64,
    pub fees: i64,
}

pub(crate) struct State {
    pub options: Options,
    rng: StdRng,
    next: u64,
    // Ids rise, so that these are in the order in which things were made.
    pub payments: BTreeMap<String, Payment>,
    pub charges: BTreeMap<String, Charge>,
    pub refunds: BTreeMap<String, Refund>,
    pub disputes: BTreeMap<String, Dispute>,
    pub bookings: BTreeMap<String, Booking>,
    pub payouts: BTreeMap<String, Payout>,
    pub events: BTreeMap<String, Event>,
    pub hooks: BTreeMap<String, Hook>,
    pub replays: Replays,
    pub keys_in_use: u32,
    pub calls: BTreeMap<String, u64>,
    /// Id and idempotency key of the request that is being carried out.
    pub request: Option<(String, Option<String>)>,
    pub outbox: Vec<Letter>,
    pub log: Vec<Webhook>,
}

impl State {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            rng: StdRng::seed_from_u64(options.seed),
            next: 0,
            payments: BTreeMap::new(),
            charges: BTreeMap::new(),
            refunds: BTreeMap::new(),
            disputes: BTreeMap::new(),
            bookings: BTreeMap::new(),
            payouts: BTreeMap::new(),
            events: BTreeMap::new(),
            hooks: BTreeMap::new(),
            replays: Replays::for_hours(24),
            keys_in_use: 0,
            calls: BTreeMap::new(),
            request: None,
            outbox: Vec::new(),
            log: Vec::new(),
            options,
        }
    }

    /// `pi_3S000007aB3dE5gH`: rising, and not to be guessed.
    pub(crate) fn new_id(&mut self, prefix: &str) -> String {
        self.next += 1;
        let (number, rest) = (self.next, self.random(10));
        format!("{prefix}_3S{number:07}{rest}")
    }

    pub(crate) fn random(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        (0..length).map(|_| char::from(LETTERS[self.rng.random_range(0..LETTERS.len())])).collect()
    }

    /// Seconds, as all times at Stripe.
    pub(crate) fn now(&self) -> i64 {
        self.options.clock.now().as_second()
    }

    pub(crate) fn view(&self, id: &str) -> Option<PaymentView> {
        let payment = self.payments.get(id)?;
        let moved = |it: &&Refund| it.payment == id && it.booking.is_some() && it.status == "succeeded";
        Some(PaymentView {
            id: id.to_owned(),
            amount: payment.amount,
            currency: payment.currency.to_uppercase(),
            state: payment.status.to_owned(),
            capturable: payment.capturable(),
            captured: payment.received,
            refunded: self.refunds.values().filter(moved).map(|it| it.amount).sum(),
            charge: payment.charge.clone(),
            metadata: payment.metadata.clone(),
        })
    }

    pub(crate) fn payout_view(&self, id: &str) -> Option<PayoutView> {
        let payout = self.payouts.get(id)?;
        let inside = || self.bookings.values().filter(|it| it.payout.as_deref() == Some(id) && it.source != id);
        Some(PayoutView {
            id: id.to_owned(),
            amount: payout.amount,
            currency: payout.currency.to_uppercase(),
            state: payout.status.to_owned(),
            movements: inside().count(),
            gross: inside().map(|it| it.amount).sum(),
            fees: inside().map(|it| it.fee).sum(),
        })
    }
}

impl Payment {
    pub(crate) fn capturable(&self) -> i64 {
        if self.status == "requires_capture" { self.amount } else { 0 }
    }
}
