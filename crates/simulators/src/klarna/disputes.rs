//! Disputes: the buyer complains, Klarna asks the shop, and somebody wins.

use crate::{
    klarna::{State, api::Problem, krn, orders::millis},
    shopify::Refused,
};
use jiff::Timestamp;
use rand::RngExt as _;
use serde_json::{Value, json};

pub(crate) struct Dispute {
    id: String,
    order: String,
    number: Option<String>,
    capture: String,
    pub amount: i64,
    pub currency: String,
    reason: String,
    /// `None` while it is open.
    won: Option<bool>,
    created: Timestamp,
    updated: Timestamp,
    answer_by: Timestamp,
}

/// Neither seconds nor a zone, as Klarna has it at times.
fn minutes(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M").to_string()
}

impl Dispute {
    fn details(&self) -> Value {
        json!({ "dispute_amount": self.amount, "currency": self.currency, "created_by": "CUSTOMER" })
    }

    fn request(&self) -> Value {
        json!({
            "state": "EVIDENCE_REQUESTED", "expires_at": millis(self.answer_by),
            "request": { "requested_at": minutes(self.created), "additional_information": "" },
        })
    }

    fn outcome(&self) -> &'static str {
        if self.won == Some(true) { "WON" } else { "LOST" }
    }

    /// As it is read.
    pub(crate) fn json(&self) -> Value {
        let mut body = json!({
            "payment_dispute_id": self.id, "dispute_reason": self.reason, "order_id": self.order,
            "payment_transaction_id": krn("authorization", &self.order), "purchase_reference": self.number,
            "capture_id": self.capture, "payment_account_id": "krn:partner:global:payment-account:test:1",
            "dispute_details": self.details(), "created_at": millis(self.created), "updated_at": millis(self.updated),
            "process_exceptions": [], "customer_evidences": [],
        });
        if self.won.is_some() {
            body["state"] = "CLOSED".into();
            body["previous_state"] = "REPRESENTMENT".into();
            body["state_context"] = json!({ "dispute_outcome": self.outcome(), "closed_at": millis(self.updated) });
        } else {
            body["state"] = "INITIATED".into();
            body["state_context"] = json!({ "representment": self.request() });
        }
        body
    }

    /// What all its webhooks say, which is not how much it is about.
    fn told(&self, state: &str) -> Value {
        json!({
            "payment_dispute_id": self.id, "order_id": self.order,
            "payment_transaction_id": krn("authorization", &self.order), "purchase_reference": self.number,
            "capture_id": self.capture, "state": state, "configuration": { "base_framework": "FRAMEWORK_2026" },
            "updated_at": millis(self.updated),
        })
    }
}

impl State {
    pub(crate) fn dispute(&mut self, order_id: &str, reason: &str) -> Result<String, Refused> {
        let (now, answer_by) = (self.now(), self.in_days(14));
        let number = self.rng.random_range(100_000..999_999_u32);
        let order = self.find(order_id).map_err(Problem::refused)?;
        let view = order.view();
        let capture = order.captures.last().map(|it| it.id.clone());
        let capture = capture.ok_or_else(|| Refused(format!("nothing of {order_id} was captured")))?;
        let id = krn("dispute", &format!("{}:{number}", reason.to_lowercase().replace('_', "-")));
        let dispute = Dispute {
            id: id.clone(),
            order: order_id.to_owned(),
            number: view.number,
            capture,
            amount: view.captured - view.refunded,
            currency: view.currency,
            reason: reason.to_uppercase(),
            won: None,
            created: now,
            updated: now,
            answer_by,
        };
        let mut told = dispute.told("INITIATED");
        told["dispute_reason"] = dispute.reason.as_str().into();
        told["dispute_details"] = dispute.details();
        told["representment"] = dispute.request();
        told["created_at"] = minutes(now).into();
        self.disputes.insert(id.clone(), dispute);
        self.tell("payment.dispute.state-change.initiated", told);
        Ok(id)
    }

    pub(crate) fn close_dispute(&mut self, id: &str, won: bool) -> Result<(), Refused> {
        let now = self.now();
        let open = self.disputes.get_mut(id).filter(|it| it.won.is_none());
        let dispute = open.ok_or_else(|| Refused(format!("{id} is no open dispute")))?;
        (dispute.won, dispute.updated) = (Some(won), now);
        let mut told = dispute.told("CLOSED");
        told["previous_state"] = "REPRESENTMENT".into();
        told["dispute_outcome"] = dispute.outcome().into();
        told["dispute_outcome_detailed"] = "simulated".into();
        told["closed_at"] = millis(now).into();
        let (order, capture, amount) = (dispute.order.clone(), dispute.capture.clone(), dispute.amount);
        self.tell("payment.dispute.state-change.closed", told);
        if !won {
            self.settle_reversal(&order, &capture, amount, id);
        }
        Ok(())
    }
}
