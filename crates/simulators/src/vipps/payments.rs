//! Payments: made, approved, captured, given back and let go, with the log of all that was tried.

use crate::vipps::{State, api::Problem};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CAPTURE_DAYS: i64 = 180;
const REFUND_DAYS: i64 = 365;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

pub(crate) struct Payment {
    pub reference: String,
    amount: i64,
    pub currency: String,
    state: &'static str,
    authorized: i64,
    pub captured: i64,
    cancelled: i64,
    refunded: i64,
    pub metadata: BTreeMap<String, String>,
    psp_reference: String,
    authorized_at: Timestamp,
    captured_at: Timestamp,
    log: Vec<Event>,
    /// When it was asked to be changed.
    pub changes: Vec<Timestamp>,
}

/// One thing that was tried.
#[derive(Clone)]
pub(crate) struct Event {
    pub psp_reference: String,
    pub name: &'static str,
    amount: i64,
    at: Timestamp,
    key: Option<String>,
    success: bool,
}

/// A payment as it stands. Amounts are in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentView {
    pub reference: String,
    pub amount: i64,
    pub currency: String,
    /// `CREATED`, `AUTHORIZED`, `ABORTED`, `EXPIRED` or `TERMINATED`.
    pub state: String,
    pub authorized: i64,
    pub captured: i64,
    pub refunded: i64,
    pub cancelled: i64,
}

impl Payment {
    pub(crate) fn view(&self) -> PaymentView {
        PaymentView {
            reference: self.reference.clone(),
            amount: self.amount,
            currency: self.currency.clone(),
            state: self.state.to_owned(),
            authorized: self.authorized,
            captured: self.captured,
            refunded: self.refunded,
            cancelled: self.cancelled,
        }
    }

    fn held(&self) -> i64 {
        self.authorized - self.captured - self.cancelled
    }

    fn money(&self, value: i64) -> Value {
        json!({ "currency": self.currency, "value": value })
    }

    fn aggregate(&self) -> Value {
        json!({
            "authorizedAmount": self.money(self.authorized), "cancelledAmount": self.money(self.cancelled),
            "capturedAmount": self.money(self.captured), "refundedAmount": self.money(self.refunded),
        })
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "aggregate": self.aggregate(), "amount": self.money(self.amount), "state": self.state,
            "paymentMethod": { "type": "WALLET", "cardBin": "540185" }, "profile": {}, "pspReference": self.psp_reference,
            "redirectUrl": format!("https://landing.example.com/?token={}", self.reference), "reference": self.reference,
            "metadata": self.metadata,
        })
    }

    /// The answer to a change.
    pub(crate) fn modified(&self, psp_reference: &str) -> Value {
        json!({
            "amount": self.money(self.amount), "state": self.state, "aggregate": self.aggregate(),
            "pspReference": psp_reference, "reference": self.reference,
        })
    }

    pub(crate) fn log_json(&self) -> Value {
        self.log.iter().map(|it| self.event_json(it)).collect()
    }

    pub(crate) fn event_json(&self, it: &Event) -> Value {
        json!({
            "reference": self.reference, "pspReference": it.psp_reference, "name": it.name, "amount": self.money(it.amount),
            "timestamp": it.at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(), "idempotencyKey": it.key,
            "success": it.success,
        })
    }
}

pub(crate) fn is_reference(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

type Key = Option<String>;

impl State {
    pub(crate) fn find(&mut self, reference: &str) -> Result<&mut Payment, Problem> {
        let missing = || Problem::new(404, "Payment not found").saying(format!("No payment has reference {reference}."));
        self.payments.get_mut(reference).ok_or_else(missing)
    }

    pub(crate) fn create(
        &mut self,
        reference: &str,
        amount: i64,
        currency: &str,
        metadata: BTreeMap<String, String>,
        key: Key,
    ) -> Result<(), Problem> {
        let invalid = |field: &str| Problem::new(400, "Bad Request").about(field, "The value is not valid.");
        if !is_reference(reference) {
            return Err(invalid("reference"));
        }
        let least = match currency {
            "NOK" => 100,
            "DKK" | "EUR" => 1,
            _ => return Err(invalid("amount.currency")),
        };
        if !(least..=65_000_000).contains(&amount) {
            return Err(invalid("amount.value"));
        }
        let long = |(key, value): (&String, &String)| key.chars().count() > 100 || value.chars().count() > 500;
        if metadata.len() > 5 || metadata.iter().any(long) {
            return Err(invalid("metadata"));
        }
        if self.payments.contains_key(reference) {
            return Err(Problem::new(409, "Duplicate reference").about("reference", "It is in use already."));
        }
        let (psp_reference, now) = (self.new_psp_reference(), self.now());
        let payment = Payment {
            reference: reference.to_owned(),
            amount,
            currency: currency.to_owned(),
            state: "CREATED",
            authorized: 0,
            captured: 0,
            cancelled: 0,
            refunded: 0,
            metadata,
            psp_reference: psp_reference.clone(),
            authorized_at: now,
            captured_at: now,
            log: Vec::new(),
            changes: Vec::new(),
        };
        self.payments.insert(reference.to_owned(), payment);
        self.happened(reference, "CREATED", amount, key, true).map(drop)
    }

    /// Writes it into the log and tells it; answers its number.
    fn happened(&mut self, reference: &str, name: &'static str, amount: i64, key: Key, success: bool) -> Result<String, Problem> {
        let (psp_reference, at) = (self.new_psp_reference(), self.now());
        let event = Event { psp_reference: psp_reference.clone(), name, amount, at, key, success };
        self.find(reference)?.log.push(event.clone());
        self.tell(reference, &event);
        Ok(psp_reference)
    }

    pub(crate) fn approve(&mut self, reference: &str) -> Result<(), Problem> {
        let now = self.now();
        let payment = self.find(reference)?;
        if payment.state != "CREATED" {
            return Err(Problem::new(400, "Payment is already reserved"));
        }
        (payment.state, payment.authorized, payment.authorized_at) = ("AUTHORIZED", payment.amount, now);
        let amount = payment.amount;
        self.happened(reference, "AUTHORIZED", amount, None, true).map(drop)
    }

    pub(crate) fn end_unapproved(&mut self, reference: &str, how: &'static str, key: Key) -> Result<(), Problem> {
        let payment = self.find(reference)?;
        if payment.state != "CREATED" {
            return Err(Problem::new(400, "Payment is already reserved"));
        }
        payment.state = how;
        let amount = payment.amount;
        self.happened(reference, how, amount, key, true).map(drop)
    }

    /// Five a minute for each payment.
    pub(crate) fn is_too_often(&mut self, reference: &str) -> bool {
        let (now, most) = (self.now(), self.options.changes_per_minute);
        let Some(payment) = self.payments.get_mut(reference) else { return false };
        payment.changes.retain(|at| now.duration_since(*at) < MINUTE);
        payment.changes.push(now);
        payment.changes.len() > most
    }

    /// The bank does not answer: it was tried, and stands in the log.
    fn fails(&mut self, reference: &str, name: &'static str, amount: i64, key: &Key) -> Result<(), Problem> {
        if self.failing == 0 {
            return Ok(());
        }
        self.failing -= 1;
        self.happened(reference, name, amount, key.clone(), false)?;
        Err(Problem::new(500, "Internal Server Error"))
    }

    /// Answers the number of the movement, as the other changes do.
    pub(crate) fn capture(&mut self, reference: &str, amount: i64, key: Key) -> Result<String, Problem> {
        let now = self.now();
        let payment = self.find(reference)?;
        if payment.authorized == 0 {
            return Err(Problem::new(400, "Cannot capture before reservation").coded("6080"));
        }
        if now.duration_since(payment.authorized_at) > SignedDuration::from_hours(24 * CAPTURE_DAYS) {
            return Err(Problem::new(400, "Capture period expired"));
        }
        if amount > payment.held() {
            return Err(Problem::new(400, "Capture amount too high").coded("6061"));
        }
        self.fails(reference, "CAPTURED", amount, &key)?;
        let payment = self.find(reference)?;
        (payment.captured, payment.captured_at) = (payment.captured + amount, now);
        let currency = payment.currency.clone();
        let psp_reference = self.happened(reference, "CAPTURED", amount, key, true)?;
        self.enter_capture(&currency, reference, &psp_reference, amount);
        Ok(psp_reference)
    }

    pub(crate) fn refund(&mut self, reference: &str, amount: i64, key: Key) -> Result<String, Problem> {
        let now = self.now();
        let payment = self.find(reference)?;
        if payment.captured == 0 {
            return Err(Problem::new(400, "Attempted refund before reservation"));
        }
        if now.duration_since(payment.captured_at) > SignedDuration::from_hours(24 * REFUND_DAYS) {
            return Err(Problem::new(400, "Refund period expired"));
        }
        if amount > payment.captured - payment.refunded {
            return Err(Problem::new(400, "Refund amount too high"));
        }
        self.fails(reference, "REFUNDED", amount, &key)?;
        let payment = self.find(reference)?;
        payment.refunded += amount;
        let currency = payment.currency.clone();
        let psp_reference = self.happened(reference, "REFUNDED", amount, key, true)?;
        self.enter(&currency, "refund", Some(reference), &psp_reference, -amount);
        Ok(psp_reference)
    }

    /// Ends what is not approved yet, else lets go of what is left.
    pub(crate) fn cancel(&mut self, reference: &str, only_unapproved: bool, key: Key) -> Result<String, Problem> {
        let now = self.now();
        let payment = self.find(reference)?;
        if payment.state == "CREATED" {
            let psp_reference = payment.psp_reference.clone();
            return self.end_unapproved(reference, "TERMINATED", key).map(|()| psp_reference);
        }
        let left = payment.held();
        if only_unapproved || left <= 0 {
            let title = if only_unapproved { "Payment is already reserved" } else { "Cannot cancel a non-reserved payment" };
            return Err(Problem::new(400, title));
        }
        if now.duration_since(payment.authorized_at) > SignedDuration::from_hours(24 * CAPTURE_DAYS) {
            return Err(Problem::new(400, "Cancel period expired"));
        }
        self.fails(reference, "CANCELLED", left, &key)?;
        self.find(reference)?.cancelled += left;
        self.happened(reference, "CANCELLED", left, key, true)
    }
}
