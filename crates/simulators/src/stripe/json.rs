//! The account's objects in Stripe's JSON, with other objects in place of their ids where that is asked for.

use crate::stripe::{
    answer::Problem,
    events::Hook,
    state::{Booking, Charge, Dispute, Payment, Payout, Refund, State},
};
use serde_json::{Value, json};

/// Stripe expands four levels and no more.
const DEEPEST: usize = 4;

impl State {
    /// Any object by its id.
    pub(crate) fn object(&self, id: &str) -> Option<Value> {
        let live = self.options.livemode;
        Some(match id.split('_').next()? {
            "pi" => payment(id, self.payments.get(id)?, live),
            "ch" => charge(id, self.charges.get(id)?, live),
            "re" => refund(id, self.refunds.get(id)?),
            "dp" => self.dispute_json(id, self.disputes.get(id)?),
            "txn" => booking(id, self.bookings.get(id)?),
            "po" => payout(id, self.payouts.get(id)?, live),
            "we" => hook(id, self.hooks.get(id)?, live),
            "evt" => self.events.get(id)?.body.clone(),
            _ => return None,
        })
    }

    fn dispute_json(&self, id: &str, it: &Dispute) -> Value {
        let moved: Vec<Value> = it.bookings.iter().filter_map(|booking| self.object(booking)).collect();
        json!({
            "id": id, "object": "dispute", "amount": it.amount, "balance_transactions": moved, "charge": it.charge,
            "created": it.created, "currency": it.currency,
            "evidence_details": { "due_by": it.due_by, "has_evidence": false, "past_due": false, "submission_count": 0 },
            "is_charge_refundable": false, "livemode": self.options.livemode, "metadata": {}, "payment_intent": it.payment,
            "reason": it.reason, "status": it.status,
        })
    }

    /// Puts objects in place of their ids along each path: `latest_charge.balance_transaction`.
    pub(crate) fn expand(&self, value: &mut Value, paths: &[String]) -> Result<(), Problem> {
        for path in paths {
            let parts: Vec<&str> = path.split('.').collect();
            let refused = || {
                let message = format!("This property cannot be expanded ({path}).");
                Problem::parameter("parameter_invalid", "expand", message)
            };
            if parts.len() > DEEPEST + usize::from(parts.first() == Some(&"data")) || !self.put_in_place(value, &parts) {
                return Err(refused());
            }
        }
        Ok(())
    }

    fn put_in_place(&self, value: &mut Value, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else { return true };
        if let Some(list) = value.as_array_mut() {
            return list.iter_mut().all(|it| self.put_in_place(it, path));
        }
        let Some(field) = value.get_mut(first) else { return false };
        if let Some(found) = field.as_str().and_then(|id| self.object(id)) {
            *field = found;
        }
        // Nothing is behind a null, and that is no mistake of the caller's.
        field.is_null() || ((field.is_object() || field.is_array()) && self.put_in_place(field, rest))
    }
}

fn payment(id: &str, it: &Payment, livemode: bool) -> Value {
    let declined = it.declined.as_ref().map(|charge| {
        json!({
            "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "charge": charge,
            "message": "Your card has insufficient funds.",
        })
    });
    json!({
        "id": id, "object": "payment_intent", "amount": it.amount, "amount_capturable": it.capturable(),
        "amount_details": { "tip": {} }, "amount_received": it.received, "application": null,
        "automatic_payment_methods": { "enabled": true, "allow_redirects": "always" }, "canceled_at": it.canceled_at,
        "cancellation_reason": it.cancellation_reason, "capture_method": if it.manual { "manual" } else { "automatic_async" },
        "client_secret": format!("{id}_secret_simulated"), "confirmation_method": "automatic", "created": it.created,
        "currency": it.currency, "customer": null, "description": it.description, "last_payment_error": declined,
        "latest_charge": it.charge, "livemode": livemode, "metadata": it.metadata, "next_action": null, "payment_method": null,
        "payment_method_types": ["card"], "receipt_email": null, "shipping": null, "status": it.status,
    })
}

fn charge(id: &str, it: &Charge, livemode: bool) -> Value {
    let mut card = json!({ "brand": "visa", "country": "NO", "exp_month": 4, "exp_year": 2030, "last4": "4242" });
    if let Some(until) = it.capture_before {
        card["capture_before"] = until.into();
    }
    json!({
        "id": id, "object": "charge", "amount": it.amount, "amount_captured": it.taken, "amount_refunded": it.given_back,
        "balance_transaction": it.booking, "billing_details": { "address": null, "email": null, "name": null, "phone": null },
        "captured": it.captured, "created": it.created, "currency": it.currency, "customer": null, "disputed": it.disputed,
        "failure_code": it.failed.then_some("card_declined"),
        "failure_message": it.failed.then_some("Your card has insufficient funds."), "livemode": livemode,
        "metadata": it.metadata, "paid": !it.failed, "payment_intent": it.payment, "payment_method": null,
        "payment_method_details": { "type": "card", "card": card }, "receipt_url": null,
        "refunded": it.given_back == it.amount, "status": if it.failed { "failed" } else { "succeeded" },
        "transfer_group": null,
    })
}

fn refund(id: &str, it: &Refund) -> Value {
    let mut refund = json!({
        "id": id, "object": "refund", "amount": it.amount, "balance_transaction": it.booking, "charge": it.charge,
        "created": it.created, "currency": it.currency,
        "destination_details": { "type": "card", "card": { "reference_status": "pending", "type": "refund" } },
        "metadata": it.metadata, "payment_intent": it.payment, "reason": it.reason, "receipt_number": null,
        "status": it.status,
    });
    if let Some(reason) = it.failure {
        refund["failure_reason"] = reason.into();
    }
    refund
}

fn booking(id: &str, it: &Booking) -> Value {
    let details = json!({ "amount": it.fee, "application": null, "currency": it.currency, "description": "Stripe processing fees",
        "type": "stripe_fee" });
    json!({
        "id": id, "object": "balance_transaction", "amount": it.amount, "available_on": it.created, "created": it.created,
        "currency": it.currency, "description": null, "exchange_rate": null, "fee": it.fee,
        "fee_details": if it.fee == 0 { json!([]) } else { json!([details]) }, "net": it.net(),
        "reporting_category": it.category, "source": it.source, "status": "available", "type": it.kind,
    })
}

fn payout(id: &str, it: &Payout, livemode: bool) -> Value {
    json!({
        "id": id, "object": "payout", "amount": it.amount, "arrival_date": it.arrival, "automatic": true,
        "balance_transaction": it.booking, "created": it.created, "currency": it.currency, "destination": "ba_simulated",
        "failure_code": it.failure, "failure_message": null, "livemode": livemode, "metadata": {}, "method": "standard",
        "reconciliation_status": if it.reconciled { "completed" } else { "in_progress" }, "source_type": "card",
        "status": it.status, "type": "bank_account",
    })
}

/// Without its secret, which is said once.
fn hook(id: &str, it: &Hook, livemode: bool) -> Value {
    json!({
        "id": id, "object": "webhook_endpoint", "api_version": it.api_version, "application": null, "created": it.created,
        "description": it.description, "enabled_events": it.events, "livemode": livemode, "metadata": {},
        "status": if it.enabled { "enabled" } else { "disabled" }, "url": it.url,
    })
}
