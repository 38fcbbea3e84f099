//! What an event means; the same whether a webhook brought it or the list of events was asked.

use crate::{
    Stripe,
    wire::{At, Charge, Dispute, PaymentIntent, Payout, Refund, is_known},
};
use serde::{Deserialize, de::DeserializeOwned, de::IgnoredAny};
use spindel_connect::{ParseError, parse};
use spindel_model::{Change, EntityRef, OrderRef, Record, Timestamp, Topic, Transaction, Version};
use std::collections::BTreeMap;

/// What every event says of itself, thin ones included.
#[derive(Deserialize)]
pub(crate) struct Head {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    object: Option<String>,
    livemode: Option<bool>,
    /// The connected account that it happened at.
    account: Option<String>,
}

#[derive(Deserialize)]
struct Event<T> {
    #[serde(rename = "type")]
    kind: String,
    created: At,
    #[serde(default)]
    livemode: bool,
    data: Data<T>,
}

#[derive(Deserialize)]
struct Data<T> {
    object: T,
    previous_attributes: Option<BTreeMap<String, IgnoredAny>>,
}

impl<T> Event<T> {
    fn at(&self) -> Timestamp {
        self.created.0
    }

    /// Events have whole seconds: what happened within one is ordered by what must come before what.
    fn version(&self) -> Version {
        let rank = match self.kind.rsplit('.').next().unwrap_or_default() {
            "created" | "processing" => 0,
            "succeeded" | "captured" | "canceled" | "paid" | "closed" => 2,
            "failed" | "funds_reinstated" | "reconciliation_completed" => 3,
            _ => 1,
        };
        Version(Version::from(self.at()).0 + rank)
    }

    fn change(&self, topic: Topic, id: &str, record: Record) -> Change {
        Change { topic, entity: EntityRef::new(topic.entity(), id), version: self.version(), record }
    }

    fn transaction(&self, order: OrderRef, transaction: Transaction) -> Change {
        let id = transaction.id.clone();
        self.change(Topic::TransactionCreated, &id, Record::Transaction { order, transaction })
    }
}

fn event<T: DeserializeOwned>(body: &[u8]) -> Result<Event<T>, ParseError> {
    parse(body)
}

impl Stripe {
    pub(crate) fn changes_of(&self, body: &[u8]) -> Result<Vec<Change>, ParseError> {
        let head: Head = parse(body)?;
        // Thin events of the second API have another shape, and nothing of interest.
        if head.object.as_deref() == Some("v2.core.event") {
            return Ok(Vec::new());
        }
        self.check_sender(&head)?;
        let change = match head.kind.as_str() {
            "payment_intent.amount_capturable_updated" => self.authorised(&event(body)?),
            "payment_intent.processing"
            | "payment_intent.succeeded"
            | "payment_intent.payment_failed"
            | "payment_intent.canceled" => self.ended(&event(body)?),
            "charge.succeeded" | "charge.captured" | "charge.failed" => self.charged(&event(body)?),
            "refund.created" => self.refunded(&event(body)?),
            "refund.updated" | "refund.failed" => self.refund_moved(&event(body)?),
            "charge.dispute.created" => Some(self.disputed(&event(body)?, Topic::DisputeCreated)),
            kind if kind.starts_with("charge.dispute.") => Some(self.disputed(&event(body)?, Topic::DisputeUpdated)),
            "payout.created" => Some(paid_out(&event(body)?, Topic::PayoutCreated)),
            kind if kind.starts_with("payout.") => Some(paid_out(&event(body)?, Topic::PayoutUpdated)),
            _ => None,
        };
        Ok(change.into_iter().collect())
    }

    /// Test events must not become bookings, nor those of another account.
    fn check_sender(&self, head: &Head) -> Result<(), ParseError> {
        let mode = |live: bool| if live { "live" } else { "test" };
        if let (Some(key), Some(event)) = (self.live, head.livemode)
            && key != event
        {
            return Err(ParseError::Content(format!(
                "this is an event of {} mode, and the API key of this connection is of {} mode: make one connection for each",
                mode(event),
                mode(key)
            )));
        }
        if head.account != self.account {
            return Err(ParseError::Content(
                "this event is of another connected account than the setting `account` says: make one connection for each"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn authorised(&self, it: &Event<PaymentIntent>) -> Option<Change> {
        let payment = &it.data.object;
        let held = payment.authorization(it.at()).filter(|_| payment.status == "requires_capture")?;
        Some(it.transaction(self.keys.order(payment.metadata.as_ref()), held))
    }

    fn ended(&self, it: &Event<PaymentIntent>) -> Option<Change> {
        let payment = &it.data.object;
        Some(it.transaction(self.keys.order(payment.metadata.as_ref()), payment.outcome(it.at())?))
    }

    /// Of a charge with a payment intent the events of that tell everything.
    fn charged(&self, it: &Event<Charge>) -> Option<Change> {
        let charge = &it.data.object;
        let alone = charge.payment_intent.is_none();
        alone
            .then(|| charge.movement(it.at()))
            .flatten()
            .map(|moved| it.transaction(self.keys.order(charge.metadata.as_ref()), moved))
    }

    /// One made by hand names no order; its payment does, so it is read back.
    fn refunded(&self, it: &Event<Refund>) -> Option<Change> {
        let refund = &it.data.object;
        // The void, or the capture of a part, tells it already.
        if refund.is_release() {
            return None;
        }
        let record = match is_known(&refund.order(&self.keys)) {
            true => Record::Refund(Box::new(refund.canonical(&self.keys, it.livemode))),
            false => Record::Nudge,
        };
        Some(it.change(Topic::RefundCreated, &refund.id, record))
    }

    /// Most updates say nothing about the money; a failed refund is back on the shop's balance.
    fn refund_moved(&self, it: &Event<Refund>) -> Option<Change> {
        let refund = &it.data.object;
        let status_changed = it.data.previous_attributes.as_ref().is_some_and(|it| it.contains_key("status"));
        if refund.is_release() || (it.kind != "refund.failed" && !status_changed) {
            return None;
        }
        let order = refund.order(&self.keys);
        let record = match is_known(&order) {
            true => Record::Transaction { order, transaction: refund.transaction(it.at(), it.livemode) },
            false => Record::Nudge,
        };
        Some(it.change(Topic::TransactionCreated, &refund.id, record))
    }

    fn disputed(&self, it: &Event<Dispute>, topic: Topic) -> Change {
        let dispute = &it.data.object;
        let record = match is_known(&dispute.order(&self.keys)) {
            true => Record::Dispute(Box::new(dispute.canonical(&self.keys, it.at()))),
            false => Record::Nudge,
        };
        it.change(topic, &dispute.id, record)
    }
}

/// The event never has the lines: they are read back once Stripe has them.
fn paid_out(it: &Event<Payout>, topic: Topic) -> Change {
    let payout = &it.data.object;
    let record = match payout.is_itemised() {
        true => Record::Nudge,
        false => Record::Payout(Box::new(payout.canonical(it.at(), Vec::new()))),
    };
    it.change(topic, &payout.id, record)
}
