//! A payment at Vipps: finding the one of an order, and what its log says about an order and about a key.

use crate::{
    Naming, OrderKey, Vipps,
    wire::{Event, EventName, Payment},
};
use spindel_connect::{Api, Around, CallError};
use spindel_model::{Money, OrderRef, Transaction, TransactionKind, TransactionStatus};
use std::collections::BTreeMap;
use uuid::Uuid;

const GATEWAY: &str = "vipps";

/// A character of a reference.
pub(crate) fn is_in_reference(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Anything else is no reference, and would lead a call elsewhere.
pub(crate) fn is_reference(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(is_in_reference)
}

pub(crate) fn path(reference: &str) -> String {
    format!("/epayment/v1/payments/{reference}")
}

impl Naming {
    /// Whether the reference alone names the order.
    pub fn is_by_reference(&self) -> bool {
        self.metadata.is_none()
    }

    /// The order that a reference names. One without the prefix is kept whole, so that it is seen.
    pub fn order(&self, reference: &str) -> OrderRef {
        self.named(reference.strip_prefix(self.prefix.as_str()).filter(|it| !it.is_empty()).unwrap_or(reference))
    }

    /// The order of a payment that was read.
    pub fn order_of(&self, payment: &Payment) -> OrderRef {
        match &self.metadata {
            None => self.order(&payment.reference),
            Some(key) => {
                let named = payment.metadata.as_ref().and_then(|it: &BTreeMap<_, _>| it.get(key)).filter(|it| !it.is_empty());
                named.map_or_else(|| self.named(&payment.reference), |it| self.named(it))
            }
        }
    }

    fn named(&self, text: &str) -> OrderRef {
        match self.by {
            OrderKey::Number => OrderRef { id: None, number: Some(text.to_owned()) },
            OrderKey::Id => OrderRef { id: Some(text.to_owned()), number: None },
        }
    }

    /// The reference that an order's payment has.
    fn reference(&self, order: &OrderRef) -> Option<String> {
        let text = match self.by {
            OrderKey::Number => order.number.as_deref()?.trim().trim_start_matches('#'),
            OrderKey::Id => order.id.as_deref()?,
        };
        self.is_by_reference().then(|| format!("{}{text}", self.prefix))
    }
}

impl Vipps {
    /// The payment with this reference, if the sales unit has it.
    pub(crate) async fn payment(&self, api: &Api, reference: &str) -> Result<Option<Payment>, CallError> {
        api.get("read_payment", path(reference)).find().await
    }

    pub(crate) async fn log(&self, api: &Api, reference: &str) -> Result<Vec<Event>, CallError> {
        api.get("read_events", format!("{}/events", path(reference))).fetch().await
    }

    /// The payment of an order: the one that the source names, else the one that is linked, else by the order's number.
    pub(crate) async fn find(
        &self,
        api: &Api,
        operation: &'static str,
        named: Option<&str>,
        order: &OrderRef,
        around: &Around<'_>,
    ) -> Result<Payment, CallError> {
        let by_order = self.naming.reference(order);
        let mut tried: Vec<&str> = Vec::new();
        for reference in [named, around.known, by_order.as_deref()].into_iter().flatten() {
            if !is_reference(reference) || tried.contains(&reference) {
                continue;
            }
            if let Some(payment) = self.payment(api, reference).await? {
                return Ok(payment);
            }
            tried.push(reference);
        }
        Err(self.not_found(operation, order, &tried))
    }

    fn not_found(&self, operation: &'static str, order: &OrderRef, tried: &[&str]) -> CallError {
        let order = order.number.as_deref().or(order.id.as_deref()).unwrap_or("without number");
        if !tried.is_empty() {
            let tried = tried.join("`, `");
            return CallError::data(
                operation,
                format!("order {order}: sales unit {} has no payment `{tried}`; check `reference_prefix`", self.msn),
            );
        }
        let why = if self.naming.is_by_reference() {
            "no reference of 8 to 64 letters, digits and `-` comes of it; set `reference_prefix`"
        } else {
            "Vipps cannot be searched by metadata, so the order itself must name its payment"
        };
        CallError::data(operation, format!("order {order}: {why}"))
    }

    /// A movement as the log or a webhook tells it.
    pub(crate) fn transaction(&self, event: &Event) -> Option<Transaction> {
        let kind = event.name.kind()?;
        let status = match event.name {
            EventName::Created => TransactionStatus::Pending,
            EventName::Aborted | EventName::Expired | EventName::Terminated => TransactionStatus::Failure,
            _ if event.success => TransactionStatus::Success,
            _ => TransactionStatus::Failure,
        };
        let held = kind == TransactionKind::Authorization && status == TransactionStatus::Success;
        Some(Transaction {
            id: event.psp_reference.clone(),
            parent_id: None,
            gateway: GATEWAY.to_owned(),
            kind,
            status,
            amount: Money::from(event.amount),
            processed_at: event.timestamp,
            reference: Some(event.reference.clone()),
            expires_at: held.then(|| event.timestamp.checked_add(self.capture_within).ok()).flatten(),
            test: self.test,
        })
    }
}

/// What the log says about a step of an action.
pub(crate) enum Tried {
    /// It has had its effect.
    Done,
    /// Not yet: it goes under this key.
    Next(Uuid),
}

/// Vipps repeats its answer to a key, refusals included. So a try that the log shows as failed is followed by one under
/// another key, and one of which the log knows nothing yet by the same.
pub(crate) fn tried(operation: &'static str, around: &Around<'_>, step: &str, log: &[Event]) -> Result<Tried, CallError> {
    const MOST_TRIES: u32 = 10;
    for number in 1..=MOST_TRIES {
        let key = around.key_for(&format!("{step} {number}"));
        let text = key.to_string();
        let mut keyed = log.iter().filter(|it| it.idempotency_key.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(&text)));
        let Some(first) = keyed.next() else { return Ok(Tried::Next(key)) };
        if first.success || keyed.any(|it| it.success) {
            return Ok(Tried::Done);
        }
    }
    Err(CallError::data(operation, format!("Vipps tried it {MOST_TRIES} times and failed: see the payment in its portal")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tests::connect;
    use serde_json::{Value, json};
    use spindel_connect::Maps;
    use spindel_model::Timestamp;

    fn naming(extra: Value) -> Naming {
        connect(extra).unwrap().0.naming
    }

    fn numbered(number: &str) -> OrderRef {
        OrderRef { id: None, number: Some(number.into()) }
    }

    #[test]
    fn a_reference_and_an_order_lead_to_each_other() {
        let naming = naming(json!({ "reference_prefix": "acme-order-" }));
        assert_eq!(naming.order("acme-order-1042"), numbered("1042"));
        assert_eq!(naming.reference(&numbered("#1042")).as_deref(), Some("acme-order-1042"));
        assert_eq!(naming.order("another-1042"), numbered("another-1042"));
        assert_eq!(naming.order("acme-order-"), numbered("acme-order-"));
    }

    #[test]
    fn a_shop_may_name_its_payments_by_id() {
        let naming = naming(json!({ "reference_prefix": "woo-", "order_key": "id" }));
        let order = OrderRef { id: Some("100042".into()), number: Some("#7".into()) };
        assert_eq!(naming.reference(&order).as_deref(), Some("woo-100042"));
        assert_eq!(naming.order("woo-100042"), OrderRef { id: Some("100042".into()), number: None });
    }

    #[test]
    fn metadata_names_the_order_where_the_settings_say_so() {
        let naming = naming(json!({ "order_metadata": "orderid" }));
        let zero = json!({ "currency": "NOK", "value": 0 });
        let payment: Payment = serde_json::from_value(json!({
            "reference": "7b1e9f0c-2d", "state": "AUTHORIZED", "amount": zero, "metadata": { "orderid": "1042" },
            "aggregate": { "authorizedAmount": zero, "cancelledAmount": zero, "capturedAmount": zero, "refundedAmount": zero },
        }))
        .unwrap();
        assert_eq!(naming.order_of(&payment), numbered("1042"));
        assert_eq!(naming.reference(&numbered("1042")), None);
    }

    #[test]
    fn nothing_but_a_reference_gets_into_an_address() {
        for text in ["short", "../webhooks/v1", "with blank", "a/b/c/d/e", "acme-order-1042?x", "ordreæøå1", &"a".repeat(65)] {
            assert!(!is_reference(text), "{text}");
        }
        assert!(is_reference("acme-order-1042"));
    }

    fn logged(key: Uuid, success: bool) -> Event {
        serde_json::from_value(json!({
            "reference": "acme-order-1042", "pspReference": "1", "name": "CAPTURED", "success": success,
            "amount": { "currency": "NOK", "value": 100 }, "timestamp": "2026-11-20T09:00:00Z",
            "idempotencyKey": key.to_string().to_uppercase(),
        }))
        .unwrap()
    }

    #[test]
    fn a_key_is_kept_until_the_log_shows_that_it_failed() {
        let maps = Maps::default();
        let around =
            Around { from: "shop", key: Uuid::from_u128(7), known: None, maps: &maps, attempt: 1, now: Timestamp::UNIX_EPOCH };
        let next = |log: &[Event]| match tried("capture_payment", &around, "capture 100", log).unwrap() {
            Tried::Done => None,
            Tried::Next(key) => Some(key),
        };
        let first = next(&[]).unwrap();
        assert_eq!(next(&[logged(Uuid::from_u128(8), true)]), Some(first));
        let second = next(&[logged(first, false)]).unwrap();
        assert_ne!(first, second);
        assert_eq!(next(&[logged(first, false), logged(second, true)]), None);
        assert_eq!(next(&[logged(first, false), logged(first, true)]), None);
    }
}
