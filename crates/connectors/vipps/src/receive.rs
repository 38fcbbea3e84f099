//! Webhooks: how they prove themselves, and which movement of money they tell.

use crate::{
    Vipps,
    wire::{Event, EventName, Named},
};
use spindel_connect::{ParseError, Part, Proof, Receive, Secret, Verified};
use spindel_model::{Change, EntityKind, EntityRef, Record, Topic, Version};
use std::time::Duration;

/// Vipps names no limit; its own plugins take five minutes in both directions.
const FRESH: Duration = Duration::from_secs(300);
const EPAYMENT: &str = "epayments.payment.";

impl Receive for Vipps {
    /// HMAC-SHA256 over method, path, time, host and the hash of the body, which the body must have. The key is the
    /// secret's text as it stands, although it looks like base64. Every registration has a secret of its own.
    fn proof(&self, kept: &[Secret]) -> Proof {
        let mut secrets = self.secrets.clone();
        secrets.extend_from_slice(kept);
        Proof::hmac("authorization")
            // Some servers on the way take `Authorization` off.
            .or_header("x-vipps-authorization")
            .base64()
            .prefix("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=")
            .fresh_by_http_date("x-ms-date", FRESH)
            .body_hash_in("x-ms-content-sha256")
            .over(vec![
                Part::Method,
                Part::Text("\n"),
                Part::Uri,
                Part::Text("\n"),
                Part::Timestamp,
                Part::Text(";"),
                Part::Host,
                Part::Text(";"),
                Part::Header("x-ms-content-sha256".into()),
            ])
            .secrets(&secrets)
    }

    /// No header says it. Those of other products name themselves.
    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        let it: Named = delivery.json()?;
        match (it.name, it.event_type) {
            (_, Some(event_type)) => Ok(short(&event_type)),
            (Some(name), None) => Ok(format!("{EPAYMENT}{}.v1", short(&name).to_ascii_lowercase())),
            (None, None) => Err(ParseError::Content("the body has neither `name` nor `eventType`".to_owned())),
        }
    }

    /// The same for every registration that tells the same movement.
    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        let it: Event = delivery.json().ok()?;
        let msn = it.msn.as_deref().unwrap_or_default();
        Some(format!("{msn}/{}/{}/{}", it.reference, it.psp_reference, it.name.as_str()))
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        if !self.topic(delivery)?.starts_with(EPAYMENT) {
            return Ok(Vec::new());
        }
        let event: Event = delivery.json()?;
        self.check_sales_unit(&event)?;
        // Before the buyer did anything, there is nothing to tell.
        if event.name == EventName::Created {
            return Ok(Vec::new());
        }
        let Some(transaction) = self.transaction(&event) else { return Ok(Vec::new()) };
        let record = if self.naming.is_by_reference() {
            Record::Transaction { order: self.naming.order(&event.reference), transaction }
        } else {
            // The order stands in the payment's metadata, which webhooks do not carry.
            Record::Nudge
        };
        let entity = EntityRef::new(EntityKind::Transaction, movement_id(&event));
        Ok(vec![Change { topic: Topic::TransactionCreated, entity, version: Version::from(event.timestamp), record }])
    }
}

/// Reference, name and Vipps' number of the movement: enough to read it back.
pub(crate) fn movement_id(event: &Event) -> String {
    format!("{}/{}/{}", event.reference, event.name.as_str(), event.psp_reference)
}

/// Names are the vendor's, and still not worth more than this.
fn short(name: &str) -> String {
    name.chars().filter(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_')).take(60).collect()
}

impl Vipps {
    /// A partner's registration tells of every sales unit, and the same reference may be in two of them.
    fn check_sales_unit(&self, event: &Event) -> Result<(), ParseError> {
        match event.msn.as_deref() {
            Some(msn) if msn != self.msn => Err(ParseError::Content(format!(
                "this webhook is of sales unit {}, and this connection is {}: send it to that unit's connection",
                short(msn),
                self.msn
            ))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tests::connect;
    use serde_json::{Value, json};
    use spindel_model::{Money, Transaction, TransactionStatus};

    fn changes(settings: Value, body: Value) -> Result<Vec<Change>, ParseError> {
        let delivery = Verified::from_store(http::HeaderMap::new(), body.to_string().into_bytes().into());
        connect(settings).unwrap().0.changes(&delivery)
    }

    fn event(extra: Value) -> Value {
        let mut body = json!({
            "msn": "123456", "reference": "acme-order-1042", "pspReference": "3343121302", "name": "CAPTURED",
            "amount": { "currency": "NOK", "value": 44700 }, "timestamp": "2026-11-20T09:15:03.260Z",
            "idempotencyKey": null, "success": true,
        });
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        body
    }

    fn transaction(extra: Value) -> Transaction {
        match changes(json!({}), event(extra)).unwrap().remove(0).record {
            Record::Transaction { transaction, .. } => transaction,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn money_is_exact_in_every_currency() {
        for (currency, value, text) in [
            ("NOK", 44_700, "447.00 NOK"),
            ("SEK", 1, "0.01 SEK"),
            ("DKK", 44_705, "447.05 DKK"),
            ("EUR", 65_000_000, "650000.00 EUR"),
            ("JPY", 447, "447 JPY"),
            ("KWD", 1_234, "1.234 KWD"),
        ] {
            let amount: Money = transaction(json!({ "amount": { "currency": currency, "value": value } })).amount;
            assert_eq!(amount.to_string(), text);
            assert_eq!(amount.to_minor(), Some(value));
        }
    }

    #[test]
    fn an_amount_that_is_no_whole_number_is_refused() {
        assert!(changes(json!({}), event(json!({ "amount": { "currency": "NOK", "value": 447.5 } }))).is_err());
    }

    #[test]
    fn an_authorisation_lapses_when_it_can_no_longer_be_captured() {
        let lapses = |settings| {
            let told = changes(settings, event(json!({ "name": "AUTHORIZED" }))).unwrap().remove(0);
            let Record::Transaction { transaction, .. } = told.record else { panic!("no transaction") };
            transaction.expires_at.unwrap().to_string()
        };
        assert_eq!(lapses(json!({})), "2027-05-19T09:15:03.26Z");
        assert_eq!(lapses(json!({ "capture_within_days": 7 })), "2026-11-27T09:15:03.26Z");
        assert_eq!(transaction(json!({})).expires_at, None);
    }

    #[test]
    fn what_did_not_succeed_is_never_told_as_a_success() {
        for name in ["AUTHORIZED", "CAPTURED", "REFUNDED", "CANCELLED"] {
            let status = transaction(json!({ "name": name, "success": false })).status;
            assert_eq!(status, TransactionStatus::Failure, "{name}");
        }
        for name in ["ABORTED", "EXPIRED", "TERMINATED"] {
            assert_eq!(transaction(json!({ "name": name })).status, TransactionStatus::Failure, "{name}");
        }
    }

    #[test]
    fn movements_of_one_payment_are_entities_of_their_own() {
        let entity = |name| changes(json!({}), event(json!({ "name": name }))).unwrap().remove(0).entity.id;
        assert_eq!(entity("CAPTURED"), "acme-order-1042/captured/3343121302");
        assert_ne!(entity("CAPTURED"), entity("REFUNDED"));
    }

    #[test]
    fn without_the_order_in_the_reference_the_payment_is_read_back() {
        let told = changes(json!({ "order_metadata": "orderid" }), event(json!({}))).unwrap().remove(0);
        assert_eq!(told.record, Record::Nudge);
        assert_eq!(told.entity.id, "acme-order-1042/captured/3343121302");
    }

    #[test]
    fn a_webhook_of_another_sales_unit_is_refused() {
        let error = changes(json!({}), event(json!({ "msn": "654321" }))).unwrap_err().to_string();
        assert!(error.contains("654321") && error.contains("123456"), "{error}");
    }

    #[test]
    fn an_event_that_is_new_to_us_means_nothing_and_one_without_a_name_is_refused() {
        assert_eq!(changes(json!({}), event(json!({ "name": "SOMETHING_NEW" }))).unwrap(), []);
        assert!(changes(json!({}), json!({ "msn": "123456" })).is_err());
    }
}
