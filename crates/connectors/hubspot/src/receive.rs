//! Webhooks: batches that say which contacts changed, and not how.

use crate::{Hubspot, wire::Event};
use spindel_connect::{ParseError, Part, Proof, Receive, Secret, Verified};
use spindel_model::{Change, EntityKind, EntityRef, PrivacyRequest, Record, Timestamp, Topic, Version};
use std::{collections::BTreeMap, fmt::Write as _, time::Duration};
use uuid::Uuid;

const FRESH: Duration = Duration::from_secs(300);
/// The object type of contacts.
const CONTACT: &str = "0-1";

impl Receive for Hubspot {
    /// Signature v3: HMAC-SHA256 over method, address, body and time, base64. The older ones sign no time and are not
    /// accepted.
    fn proof(&self, _kept: &[Secret]) -> Proof {
        Proof::hmac("x-hubspot-signature-v3")
            .base64()
            .fresh_by_millis("x-hubspot-request-timestamp", FRESH)
            .over(vec![Part::Method, Part::Url, Part::Body, Part::Timestamp])
            .secrets(&self.secrets)
    }

    /// Of all events, where they are of one kind.
    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        let events: Vec<Event> = delivery.json()?;
        let first = events.first().ok_or_else(|| ParseError::Content("the batch holds no event".to_owned()))?;
        let one_kind = events.iter().all(|it| it.subscription_type == first.subscription_type);
        Ok(if one_kind { short(&first.subscription_type) } else { "mixed".to_owned() })
    }

    /// HubSpot has no id for a delivery, and ids of events repeat.
    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        let events: Vec<Event> = delivery.json().ok()?;
        let mut all = String::new();
        for it in &events {
            let _ =
                write!(all, "{}/{}/{}/{};", it.event_id, it.subscription_id, it.object_id.unwrap_or_default(), it.occurred_at);
        }
        Some(Uuid::new_v5(&Uuid::NAMESPACE_OID, all.as_bytes()).to_string())
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        let events: Vec<Event> = delivery.json()?;
        // One change for each contact and topic: the latest says it all.
        let mut changes: BTreeMap<(Topic, u64), Change> = BTreeMap::new();
        for event in self.own(&events)? {
            let (Some(topic), Some(id)) = (meaning(event), event.object_id) else { continue };
            let change = change(topic, id, event)?;
            let known = changes.entry((topic, id)).or_insert_with(|| change.clone());
            if known.version < change.version {
                *known = change;
            }
        }
        Ok(changes.into_values().collect())
    }
}

impl Hubspot {
    /// One app signs for every account that it is installed in.
    fn own<'a>(&self, events: &'a [Event]) -> Result<Vec<&'a Event>, ParseError> {
        let Some(portal) = &self.portal_id else { return Ok(events.iter().collect()) };
        let own: Vec<&Event> = events.iter().filter(|it| it.portal_id.to_string() == *portal).collect();
        match events.first() {
            Some(other) if own.is_empty() => Err(ParseError::Content(format!(
                "this webhook is of account {}, and this connection is {portal}: send it to that account's connection",
                other.portal_id
            ))),
            _ => Ok(own),
        }
    }
}

/// What is of interest. The older kinds name the object, the newer ones its type.
fn meaning(event: &Event) -> Option<Topic> {
    let (object, what) = event.subscription_type.split_once('.')?;
    let contact = object == "contact" || (object == "object" && event.object_type_id.as_deref() == Some(CONTACT));
    match what {
        _ if !contact => None,
        "creation" => Some(Topic::CustomerCreated),
        "propertyChange" | "restore" | "merge" => Some(Topic::CustomerUpdated),
        "deletion" => Some(Topic::CustomerDeleted),
        "privacyDeletion" => Some(Topic::PrivacyCustomerRedacted),
        _ => None,
    }
}

fn change(topic: Topic, id: u64, event: &Event) -> Result<Change, ParseError> {
    let at = Timestamp::from_millisecond(event.occurred_at)
        .map_err(|_| ParseError::Content("`occurredAt` is not a time in milliseconds".to_owned()))?;
    let (kind, record) = match topic {
        Topic::CustomerDeleted => (EntityKind::Customer, Record::Deleted),
        Topic::PrivacyCustomerRedacted => (EntityKind::Privacy, Record::Privacy(erasure(id, event))),
        _ => (EntityKind::Customer, Record::Nudge),
    };
    Ok(Change { topic, entity: EntityRef::new(kind, id.to_string()), version: Version::from(at), record })
}

fn erasure(id: u64, event: &Event) -> PrivacyRequest {
    PrivacyRequest {
        shop: event.portal_id.to_string(),
        customer_id: Some(id.to_string()),
        email: None,
        phone: None,
        orders: Vec::new(),
        request_id: None,
    }
}

fn short(name: &str) -> String {
    name.chars().filter(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_')).take(60).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tests::connect;
    use serde_json::{Value, json};

    fn hubspot() -> Hubspot {
        connect(json!({ "access_token": "t", "portal_id": "24681357" })).unwrap().0
    }

    fn delivery(body: &Value) -> Verified {
        Verified::from_store(http::HeaderMap::new(), body.to_string().into_bytes().into())
    }

    fn event(portal: u64, id: u64, at: i64) -> Value {
        json!({
            "eventId": 1, "subscriptionId": 2, "portalId": portal, "appId": 3, "occurredAt": at, "objectId": id,
            "subscriptionType": "contact.propertyChange", "attemptNumber": 0, "propertyName": "city", "propertyValue": "Oslo",
        })
    }

    #[test]
    fn many_changes_of_one_contact_are_one_nudge_with_the_latest_time() {
        let changes =
            hubspot().changes(&delivery(&json!([event(24681357, 7, 10), event(24681357, 7, 30), event(24681357, 7, 20)])));
        let changes = changes.unwrap();
        assert_eq!(changes.len(), 1);
        assert_eq!((&changes[0].record, changes[0].version), (&Record::Nudge, Version(30_000)));
    }

    #[test]
    fn events_of_another_account_are_left_out_and_a_batch_of_nothing_else_is_refused() {
        let mixed = hubspot().changes(&delivery(&json!([event(24681357, 7, 10), event(1, 8, 10)]))).unwrap();
        assert_eq!(mixed.len(), 1);
        let error = hubspot().changes(&delivery(&json!([event(1, 8, 10)]))).unwrap_err().to_string();
        assert!(error.contains("24681357"), "{error}");
    }

    #[test]
    fn a_repeated_delivery_has_the_same_key_and_another_event_has_another() {
        let key = |body: &Value| hubspot().delivery_key(&delivery(body)).unwrap();
        let mut again = event(1, 7, 10);
        again["attemptNumber"] = json!(3);
        assert_eq!(key(&json!([event(1, 7, 10)])), key(&json!([again])));
        assert_ne!(key(&json!([event(1, 7, 10)])), key(&json!([event(1, 7, 11)])));
    }

    #[test]
    fn a_batch_of_different_kinds_has_no_topic_of_one_and_an_empty_one_is_refused() {
        let mut other = event(1, 7, 10);
        other["subscriptionType"] = json!("contact.deletion");
        assert_eq!(hubspot().topic(&delivery(&json!([event(1, 7, 10)]))).unwrap(), "contact.propertyChange");
        assert_eq!(hubspot().topic(&delivery(&json!([event(1, 7, 10), other]))).unwrap(), "mixed");
        assert!(hubspot().topic(&delivery(&json!([]))).is_err());
    }

    #[test]
    fn a_time_out_of_range_is_refused() {
        assert!(hubspot().changes(&delivery(&json!([event(24681357, 7, i64::MAX)]))).is_err());
    }
}
