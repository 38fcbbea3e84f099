//! How Klarna tells: unsigned calls to the addresses that came with an order, and signed webhooks of the Klarna Network.

use crate::{
    klarna::{State, krn, orders::millis},
    post::{Headers, Letter, Webhook, hex, hmac_sha256},
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::Arc;

pub(crate) const SIGNATURE: &str = "Klarna-Signature";

/// Lower-case hex of HMAC-SHA256 over the raw body.
pub(crate) fn sign(key: &str, body: &[u8]) -> String {
    hex(&hmac_sha256(key.as_bytes(), &[body]))
}

impl State {
    /// An empty call with the order's id in its query.
    pub(crate) fn push(&mut self, order: &str) {
        if let Some(url) = &self.options.push_url {
            let url = url.replace("{checkout.order.id}", order).replace("{order.id}", order);
            self.call(url, Bytes::new());
        }
    }

    pub(crate) fn push_again(&mut self) -> usize {
        let waiting: Vec<String> = self.orders.values().filter(|it| !it.acknowledged).map(|it| it.id.clone()).collect();
        waiting.iter().for_each(|order| self.push(order));
        waiting.len()
    }

    pub(crate) fn notify_review(&mut self, order: &str, accepted: bool) {
        let Some(url) = self.options.notification_url.clone() else { return };
        let event = if accepted { "FRAUD_RISK_ACCEPTED" } else { "FRAUD_RISK_REJECTED" };
        self.call(url, Bytes::from(json!({ "order_id": order, "event_type": event }).to_string()));
    }

    fn call(&mut self, url: String, body: Bytes) {
        let headers: Headers = Arc::new(|| vec![("Content-Type".into(), "application/json".into())]);
        self.outbox.push(Letter { url, body, headers, again: false, lane: None });
    }

    /// What became of an order, without saying how much.
    pub(crate) fn tell_transaction(&mut self, state: &str, order: &str) {
        let number = self.orders.get(order).and_then(|it| it.number.clone());
        let payload = json!({
            "payment_transaction_id": krn("transaction", order), "order_id": order, "payment_transaction_reference": number,
            "state": state.to_uppercase(),
        });
        self.tell(&format!("payment.transaction.state-change.{state}"), payload);
    }

    /// Sends a webhook of the Klarna Network.
    pub(crate) fn tell(&mut self, event_type: &str, payload: Value) {
        let (event_id, correlation_id) = (self.new_uuid(), self.new_uuid());
        let account = "krn:partner:global:account:test:SIMULATE";
        let body = json!({
            "metadata": {
                "event_type": event_type, "event_id": event_id, "event_version": "v2", "occurred_at": millis(self.now()),
                "correlation_id": correlation_id, "subject_account_id": account, "recipient_account_id": account,
                "webhook_id": "krn:partner:global:notification:webhook:00000000-0000-4000-8000-000000000001", "live": false,
                "merchant_id": self.options.merchant_id,
            },
            "payload": payload,
        });
        let body = Bytes::from(body.to_string());
        let headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            (SIGNATURE.to_owned(), sign(&self.options.signing_key, &body)),
            ("Klarna-Signing-Key-Id".to_owned(), self.options.signing_key_id.clone()),
        ];
        self.log.push(Webhook { topic: event_type.to_owned(), headers: headers.clone(), body: body.clone() });
        if let Some(url) = self.target.clone() {
            let headers: Headers = Arc::new(move || headers.clone());
            self.outbox.push(Letter { url, body, headers, again: true, lane: None });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_lower_case_hex_over_the_body_as_it_stands() {
        // RFC 4231, test case 2.
        let signed = sign("Jefe", b"what do ya want for nothing?");
        assert_eq!(signed, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
