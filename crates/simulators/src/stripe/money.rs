//! What happens to money: held, taken, released, given back, disputed, paid out; with the events and bookings of each.

use crate::{
    shopify::Refused,
    stripe::{
        answer::Problem,
        state::{Booking, Charge, Dispute, Metadata, Payment, Payout, Refund, RefundSpec, State},
    },
};
use serde_json::json;

const DAY: i64 = 24 * 3_600;
const BEGUN: [&str; 4] = ["requires_payment_method", "requires_confirmation", "requires_action", "processing"];

impl State {
    pub(crate) fn begin(
        &mut self,
        amount: i64,
        currency: &str,
        manual: bool,
        metadata: Metadata,
        description: Option<String>,
    ) -> String {
        let id = self.new_id("pi");
        let payment = Payment {
            amount,
            currency: currency.to_lowercase(),
            status: "requires_payment_method",
            manual,
            received: 0,
            charge: None,
            metadata,
            description,
            created: self.now(),
            canceled_at: None,
            cancellation_reason: None,
            declined: None,
        };
        self.payments.insert(id.clone(), payment);
        self.tell("payment_intent.created", &id);
        id
    }

    /// A charge of a payment, as far as the bank goes along.
    fn charge(&mut self, payment_id: &str, failed: bool) -> Option<String> {
        let (id, now) = (self.new_id("ch"), self.now());
        let lapses = now + self.options.capture_days * DAY;
        let payment = self.payments.get_mut(payment_id)?;
        let charge = Charge {
            payment: payment_id.to_owned(),
            amount: payment.amount,
            currency: payment.currency.clone(),
            taken: if payment.manual || failed { 0 } else { payment.amount },
            given_back: 0,
            captured: !payment.manual && !failed,
            disputed: false,
            failed,
            booking: None,
            capture_before: (payment.manual && !failed).then_some(lapses),
            metadata: payment.metadata.clone(),
            created: now,
        };
        payment.charge = Some(id.clone());
        payment.declined = failed.then(|| id.clone());
        self.charges.insert(id.clone(), charge);
        Some(id)
    }

    /// The buyer's bank says yes; nothing for a payment that is over.
    pub(crate) fn approve(&mut self, id: &str) {
        if !self.payments.get(id).is_some_and(|it| BEGUN.contains(&it.status)) {
            return;
        }
        let Some(charge) = self.charge(id, false) else { return };
        let Some(payment) = self.payments.get_mut(id) else { return };
        let manual = payment.manual;
        payment.status = if manual { "requires_capture" } else { "succeeded" };
        payment.received = if manual { 0 } else { payment.amount };
        let amount = payment.received;
        self.tell("charge.succeeded", &charge);
        if manual {
            self.tell("payment_intent.amount_capturable_updated", id);
            return;
        }
        self.tell("payment_intent.succeeded", id);
        self.book_charge(&charge, amount);
        self.tell_changed("charge.updated", &charge, Some(json!({ "balance_transaction": null })));
    }

    pub(crate) fn refuse(&mut self, id: &str) {
        if let Some(charge) = self.charge(id, true) {
            self.tell("charge.failed", &charge);
            self.tell("payment_intent.payment_failed", id);
        }
    }

    pub(crate) fn capture(&mut self, id: &str, amount: Option<i64>) -> Result<(), Problem> {
        let shown = self.object(id).map(Box::new);
        let payment = self.payments.get_mut(id).ok_or_else(|| Problem::missing("payment_intent", id, "intent"))?;
        if payment.status != "requires_capture" {
            let message = format!(
                "This PaymentIntent could not be captured because it has a status of {}. Only a PaymentIntent with one of the \
                 following statuses may be captured: requires_capture.",
                payment.status
            );
            return Err(Problem { payment: shown, ..Problem::state("payment_intent_unexpected_state", message) });
        }
        let amount = amount.unwrap_or(payment.amount);
        if amount > payment.amount {
            let message =
                format!("The amount to capture ({amount}) is more than the amount that can be captured ({}).", payment.amount);
            let problem = Problem::state("amount_too_large", message);
            return Err(Problem { param: Some("amount_to_capture".into()), ..problem });
        }
        (payment.status, payment.received) = ("succeeded", amount);
        let (rest, charge) = (payment.amount - amount, payment.charge.clone().unwrap_or_default());
        if let Some(charge) = self.charges.get_mut(&charge) {
            (charge.captured, charge.taken, charge.capture_before) = (true, amount, None);
        }
        self.book_charge(&charge, amount);
        self.tell("charge.captured", &charge);
        if rest > 0 {
            self.release(&charge, rest, None);
        }
        self.tell("payment_intent.succeeded", id);
        Ok(())
    }

    pub(crate) fn cancel(&mut self, id: &str, reason: Option<String>) -> Result<(), Problem> {
        let shown = self.object(id).map(Box::new);
        let payment = self.payments.get(id).ok_or_else(|| Problem::missing("payment_intent", id, "intent"))?;
        if matches!(payment.status, "succeeded" | "canceled") {
            let message = format!(
                "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the \
                 following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, \
                 requires_action, processing.",
                payment.status
            );
            return Err(Problem { payment: shown, ..Problem::state("payment_intent_unexpected_state", message) });
        }
        self.end(id, reason, None);
        Ok(())
    }

    pub(crate) fn expire(&mut self, id: &str) -> Result<(), Problem> {
        let payment = self.payments.get(id).ok_or_else(|| Problem::missing("payment_intent", id, "intent"))?;
        let held = payment.charge.clone().filter(|_| payment.status == "requires_capture");
        let charge = held.ok_or_else(|| Problem::state("payment_intent_unexpected_state", "nothing is held that could lapse"))?;
        self.tell("charge.expired", &charge);
        self.end(id, Some("automatic".into()), Some("expired_uncaptured_charge"));
        Ok(())
    }

    /// Lets go of what is held, if anything, and ends the payment.
    fn end(&mut self, id: &str, reason: Option<String>, refund_reason: Option<&str>) {
        let now = self.now();
        let Some(payment) = self.payments.get_mut(id) else { return };
        let held = payment.charge.clone().filter(|_| payment.status == "requires_capture");
        let amount = payment.amount;
        (payment.status, payment.canceled_at, payment.cancellation_reason) = ("canceled", Some(now), reason);
        if let Some(charge) = held {
            self.release(&charge, amount, refund_reason);
        }
        self.tell("payment_intent.canceled", id);
    }

    /// Stripe calls it a refund, although no money ever came.
    fn release(&mut self, charge: &str, amount: i64, reason: Option<&str>) {
        let spec = RefundSpec { amount: Some(amount), reason: reason.map(str::to_owned), metadata: Metadata::new() };
        self.give_back(charge, amount, spec, false);
    }

    /// Of a payment or, by its own id, of a charge.
    pub(crate) fn refund_payment(&mut self, id: &str, spec: RefundSpec) -> Result<String, Problem> {
        let charge = match self.payments.get(id) {
            Some(payment) => payment.charge.clone().ok_or_else(|| {
                let message = format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
                Problem::new(400, "invalid_request_error", message)
            })?,
            None if id.starts_with("pi_") => return Err(Problem::missing("payment_intent", id, "payment_intent")),
            None => id.to_owned(),
        };
        let found = self.charges.get(&charge).ok_or_else(|| Problem::missing("charge", &charge, "charge"))?;
        if !found.captured {
            let message = format!(
                "This uncaptured Charge was created by a PaymentIntent ({}). You must cancel the PaymentIntent to reverse the \
                 authorization instead of refunding the Charge directly.",
                found.payment
            );
            return Err(Problem::new(400, "invalid_request_error", message));
        }
        if found.disputed {
            let message = format!("Charge {charge} has been charged back; cannot issue a refund.");
            return Err(Problem::state("charge_disputed", message));
        }
        let left = found.amount - found.given_back;
        if left == 0 {
            return Err(Problem::state("charge_already_refunded", format!("Charge {charge} has already been refunded.")));
        }
        let amount = spec.amount.unwrap_or(left);
        if amount > left {
            let message = format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
            let problem = Problem::new(400, "invalid_request_error", message);
            return Err(Problem { param: Some("amount".into()), ..problem });
        }
        Ok(self.give_back(&charge, amount, spec, true))
    }

    fn give_back(&mut self, charge_id: &str, amount: i64, spec: RefundSpec, moves: bool) -> String {
        let id = self.new_id("re");
        let Some(charge) = self.charges.get_mut(charge_id) else { return id };
        charge.given_back += amount;
        let (payment, currency) = (charge.payment.clone(), charge.currency.clone());
        let booking = moves.then(|| self.book("refund", "refund", -amount, 0, &currency, &id));
        let refund = Refund {
            charge: charge_id.to_owned(),
            payment,
            amount,
            currency,
            status: "succeeded",
            reason: spec.reason,
            failure: None,
            booking,
            metadata: spec.metadata,
            created: self.now(),
        };
        self.refunds.insert(id.clone(), refund);
        self.tell("refund.created", &id);
        self.tell("charge.refunded", charge_id);
        id
    }

    pub(crate) fn fail_refund(&mut self, id: &str) -> Result<(), Refused> {
        let refund = self.refunds.get_mut(id).filter(|it| it.status == "succeeded" && it.booking.is_some());
        let refund = refund.ok_or_else(|| Refused(format!("{id} is no refund that could fail")))?;
        (refund.status, refund.failure) = ("failed", Some("lost_or_stolen_card"));
        let (amount, currency, charge) = (refund.amount, refund.currency.clone(), refund.charge.clone());
        if let Some(charge) = self.charges.get_mut(&charge) {
            charge.given_back -= amount;
        }
        self.book("refund_failure", "refund_failure", amount, 0, &currency, id);
        self.tell_changed("refund.updated", id, Some(json!({ "status": "succeeded" })));
        self.tell("refund.failed", id);
        Ok(())
    }

    pub(crate) fn dispute(&mut self, payment: &str, reason: &str) -> Result<String, Refused> {
        let charge = self.payments.get(payment).and_then(|it| it.charge.clone()).unwrap_or_default();
        let id = self.new_id("dp");
        let (now, fee) = (self.now(), self.options.dispute_fee);
        let found = self.charges.get_mut(&charge).filter(|it| it.captured && !it.disputed);
        let found = found.ok_or_else(|| Refused(format!("{payment} has no money that could be disputed")))?;
        found.disputed = true;
        let (amount, currency) = (found.taken, found.currency.clone());
        let dispute = Dispute {
            charge,
            payment: payment.to_owned(),
            amount,
            currency: currency.clone(),
            reason: reason.to_owned(),
            status: "needs_response",
            bookings: Vec::new(),
            created: now,
            due_by: now + 9 * DAY,
        };
        self.disputes.insert(id.clone(), dispute);
        self.tell("charge.dispute.created", &id);
        let booking = self.book("adjustment", "dispute", -amount, fee, &currency, &id);
        self.note_booking(&id, booking);
        self.tell("charge.dispute.funds_withdrawn", &id);
        Ok(id)
    }

    fn note_booking(&mut self, dispute: &str, booking: String) {
        if let Some(dispute) = self.disputes.get_mut(dispute) {
            dispute.bookings.push(booking);
        }
    }

    pub(crate) fn close_dispute(&mut self, id: &str, won: bool) -> Result<(), Refused> {
        let open = self.disputes.get_mut(id).filter(|it| !matches!(it.status, "won" | "lost"));
        let dispute = open.ok_or_else(|| Refused(format!("{id} is no open dispute")))?;
        dispute.status = if won { "won" } else { "lost" };
        let (amount, currency) = (dispute.amount, dispute.currency.clone());
        self.tell("charge.dispute.closed", id);
        if won {
            let booking = self.book("adjustment", "dispute_reversal", amount, 0, &currency, id);
            self.note_booking(id, booking);
            self.tell("charge.dispute.funds_reinstated", id);
        }
        Ok(())
    }

    pub(crate) fn pay_out(&mut self, currency: &str) -> Option<String> {
        let currency = currency.to_lowercase();
        let (id, now) = (self.new_id("po"), self.now());
        let waiting = self.bookings.values_mut().filter(|it| it.currency == currency && it.payout.is_none());
        let amount: i64 = waiting.map(|it| it.net()).sum();
        if amount <= 0 {
            return None;
        }
        for booking in self.bookings.values_mut().filter(|it| it.currency == currency && it.payout.is_none()) {
            booking.payout = Some(id.clone());
        }
        let booking = self.book("payout", "payout", -amount, 0, &currency, &id);
        if let Some(own) = self.bookings.get_mut(&booking) {
            own.payout = Some(id.clone());
        }
        let (status, arrival) = ("pending", now);
        let payout = Payout { amount, currency, status, reconciled: false, arrival, booking, failure: None, created: now };
        self.payouts.insert(id.clone(), payout);
        self.tell("payout.created", &id);
        self.set_payout(&id, |it| it.status = "paid");
        self.tell("payout.paid", &id);
        self.set_payout(&id, |it| it.reconciled = true);
        self.tell("payout.reconciliation_completed", &id);
        Some(id)
    }

    pub(crate) fn fail_payout(&mut self, id: &str) -> Result<(), Refused> {
        let payout = self.payouts.get(id).filter(|it| it.status == "paid");
        let payout = payout.ok_or_else(|| Refused(format!("{id} is no payout that could fail")))?;
        let (amount, currency) = (payout.amount, payout.currency.clone());
        self.set_payout(id, |it| (it.status, it.failure) = ("failed", Some("account_closed")));
        // The money is on the balance again, and goes out with the next one.
        self.book("payout_failure", "payout_reversal", amount, 0, &currency, id);
        self.tell("payout.failed", id);
        Ok(())
    }

    fn set_payout(&mut self, id: &str, change: impl FnOnce(&mut Payout)) {
        if let Some(payout) = self.payouts.get_mut(id) {
            change(payout);
        }
    }

    fn book_charge(&mut self, charge_id: &str, amount: i64) {
        let (share, fixed) = self.options.fee;
        // Half up, in whole units.
        let fee = (amount * share + 5_000) / 10_000 + fixed;
        let Some(currency) = self.charges.get(charge_id).map(|it| it.currency.clone()) else { return };
        let booking = self.book("charge", "charge", amount, fee, &currency, charge_id);
        if let Some(charge) = self.charges.get_mut(charge_id) {
            charge.booking = Some(booking);
        }
    }

    fn book(
        &mut self,
        kind: &'static str,
        category: &'static str,
        amount: i64,
        fee: i64,
        currency: &str,
        source: &str,
    ) -> String {
        let id = self.new_id("txn");
        let booking = Booking {
            kind,
            category,
            amount,
            fee,
            currency: currency.to_owned(),
            source: source.to_owned(),
            payout: None,
            created: self.now(),
        };
        self.bookings.insert(id.clone(), booking);
        id
    }
}
