//! Events of the Event Platform and of the older Events API: which product changed, and mostly not how.

use crate::{Akeneo, product::MODEL};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;
use spindel_connect::{ParseError, Part, Proof, Receive, Secret, Verified};
use spindel_model::{Change, EntityKind, EntityRef, Record, Timestamp, Topic, Version};
use std::{collections::BTreeMap, fmt::Write as _, time::Duration};
use uuid::Uuid;

/// Of the Events API alone: the Event Platform signs no time.
const FRESH: Duration = Duration::from_secs(300);
/// What all types of the Event Platform begin with.
const TYPES: &str = "com.akeneo.pim.v1.";

/// A CloudEvent.
#[derive(Deserialize)]
struct Event {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    time: Timestamp,
    #[serde(default)]
    data: Data,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    product: Option<Named>,
    product_model: Option<Coded>,
    app: Option<Client>,
    connection: Option<Client>,
}

#[derive(Deserialize)]
struct Named {
    uuid: String,
    #[serde(default)]
    changes: Differences,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Differences {
    parent: Option<Moved>,
}

#[derive(Deserialize)]
struct Moved {
    previous: Option<String>,
}

#[derive(Deserialize)]
struct Coded {
    code: String,
}

#[derive(Deserialize)]
struct Client {
    client_id: String,
}

/// A request of the Events API: up to ten events.
#[derive(Deserialize)]
struct Batch {
    events: Vec<Older>,
}

#[derive(Deserialize)]
struct Older {
    action: String,
    event_id: String,
    event_datetime: Timestamp,
    data: OlderData,
}

#[derive(Deserialize)]
struct OlderData {
    resource: Resource,
}

/// A product or a product model; the rest of it has no labels, and none of its sisters, and is read back.
#[derive(Deserialize)]
struct Resource {
    uuid: Option<String>,
    code: Option<String>,
    parent: Option<String>,
}

enum Delivery {
    Event(Event),
    Batch(Batch),
}

impl Delivery {
    fn of(delivery: &Verified) -> Result<Self, ParseError> {
        #[derive(Deserialize)]
        struct Head {
            events: Option<IgnoredAny>,
        }
        Ok(match delivery.json::<Head>()?.events {
            Some(_) => Self::Batch(delivery.json()?),
            None => Self::Event(delivery.json()?),
        })
    }
}

impl Receive for Akeneo {
    /// Each secret under a header of its own on the Event Platform, so that one can be changed; time and body in the Events API.
    fn proof(&self, _kept: &[Secret]) -> Proof {
        let platform = |header: &str| Proof::hmac(header).secrets(&self.webhook_secrets);
        let older = Proof::hmac("x-akeneo-request-signature")
            .fresh_by("x-akeneo-request-timestamp", FRESH)
            .over(vec![Part::Timestamp, Part::Text("."), Part::Body])
            .secrets(&self.events_api_secrets);
        Proof::any(vec![platform("x-akeneo-signature-primary"), platform("x-akeneo-signature-secondary"), older])
    }

    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        Ok(match Delivery::of(delivery)? {
            Delivery::Event(event) => short(event.kind.strip_prefix(TYPES).unwrap_or(&event.kind)),
            Delivery::Batch(Batch { events }) => match events.first() {
                Some(first) if events.iter().all(|it| it.action == first.action) => short(&first.action),
                Some(_) => "mixed".to_owned(),
                None => return Err(ParseError::Content("the request holds no event".to_owned())),
            },
        })
    }

    fn delivery_key(&self, delivery: &Verified) -> Option<String> {
        match Delivery::of(delivery).ok()? {
            Delivery::Event(event) => Some(event.id),
            Delivery::Batch(Batch { events }) => {
                let mut all = String::new();
                for it in &events {
                    let _ = write!(all, "{};", it.event_id);
                }
                Some(Uuid::new_v5(&Uuid::NAMESPACE_OID, all.as_bytes()).to_string())
            }
        }
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        match Delivery::of(delivery)? {
            Delivery::Event(event) => self.changes_of(event),
            Delivery::Batch(batch) => older_changes(batch),
        }
    }
}

impl Akeneo {
    fn changes_of(&self, event: Event) -> Result<Vec<Change>, ParseError> {
        let Some((subject, what)) = event.kind.strip_prefix(TYPES).and_then(|it| it.split_once('.')) else {
            return Err(ParseError::Topic(short(&event.kind)));
        };
        let version = Version::from(event.time);
        let missing = |what: &str| ParseError::Content(format!("the event names no {what}"));
        Ok(match subject {
            "product" => {
                let product = event.data.product.ok_or_else(|| missing("`data.product`"))?;
                let mut changes = vec![about(what, product.uuid, version)];
                // The model that it left has one variant less, and is told of in no event of its own.
                let left = product.changes.parent.and_then(|it| it.previous);
                changes.extend(left.map(|it| about("updated", model_id(&it), version)));
                changes
            }
            "product-model" => {
                let model = event.data.product_model.ok_or_else(|| missing("`data.product_model`"))?;
                vec![about(what, model_id(&model.code), version)]
            }
            "app" | "connection" if what == "deleted" => {
                let client = event.data.app.or(event.data.connection).ok_or_else(|| missing("client"))?;
                let own = self.client_id.as_ref() == Some(&client.client_id);
                let gone = Record::Shop(json!({ "client_id": client.client_id }));
                let entity = EntityRef::new(EntityKind::Shop, client.client_id);
                own.then_some(Change { topic: Topic::AppUninstalled, entity, version, record: gone }).into_iter().collect()
            }
            _ => Vec::new(),
        })
    }
}

/// One change for each product: the latest says it all.
fn older_changes(batch: Batch) -> Result<Vec<Change>, ParseError> {
    let mut changes: BTreeMap<String, Change> = BTreeMap::new();
    for event in batch.events {
        let resource = event.data.resource;
        let Some((subject, what)) = event.action.split_once('.') else {
            return Err(ParseError::Topic(short(&event.action)));
        };
        let what = if what == "removed" { "deleted" } else { what };
        let (what, id) = match (subject, resource.code, resource.uuid, resource.parent) {
            ("product_model", Some(code), ..) => (what, model_id(&code)),
            // It is a variant, and whatever became of it changed the product that it belongs to.
            ("product", _, _, Some(parent)) if !parent.is_empty() => ("updated", model_id(&parent)),
            ("product", _, Some(uuid), _) => (what, uuid),
            ("product" | "product_model", ..) => {
                return Err(ParseError::Content("the event has neither `uuid` nor `code`; Akeneo 7 and newer send them".into()));
            }
            _ => continue,
        };
        let change = about(what, id, Version::from(event.event_datetime));
        let known = changes.entry(change.entity.id.clone()).or_insert_with(|| change.clone());
        if known.version <= change.version {
            *known = change;
        }
    }
    Ok(changes.into_values().collect())
}

/// Completeness and the like decide whether a product is shown, so everything but its end is a change of it.
fn about(what: &str, id: String, version: Version) -> Change {
    match what {
        "created" => Change::new(Topic::ProductCreated, id, version, Record::Nudge),
        "deleted" => Change::new(Topic::ProductDeleted, id, version, Record::Deleted),
        _ => Change::new(Topic::ProductUpdated, id, version, Record::Nudge),
    }
}

fn model_id(code: &str) -> String {
    format!("{MODEL}{code}")
}

fn short(name: &str) -> String {
    name.chars().filter(|it| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_')).take(60).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tests::connect;
    use serde_json::Value;

    fn akeneo() -> Akeneo {
        connect(json!({})).unwrap().0
    }

    fn delivery(body: &Value) -> Verified {
        Verified::from_store(Default::default(), body.to_string().into_bytes().into())
    }

    fn older(action: &str, id: &str, at: &str, resource: Value) -> Value {
        json!({ "action": action, "event_id": id, "event_datetime": at, "data": { "resource": resource } })
    }

    fn batch(events: &[Value]) -> Verified {
        delivery(&json!({ "events": events }))
    }

    #[test]
    fn of_several_events_of_one_product_the_latest_counts_in_whatever_order_they_stand() {
        let late = older("product.removed", "b", "2026-11-20T09:02:00+00:00", json!({ "uuid": "u" }));
        let early = older("product.updated", "a", "2026-11-20T09:01:00+00:00", json!({ "uuid": "u" }));
        for events in [[late.clone(), early.clone()], [early, late]] {
            let changes = akeneo().changes(&batch(&events)).unwrap();
            assert_eq!(changes.len(), 1);
            assert_eq!((changes[0].topic, &changes[0].record), (Topic::ProductDeleted, &Record::Deleted));
        }
    }

    #[test]
    fn whatever_becomes_of_a_variant_is_a_change_of_its_product() {
        for action in ["product.created", "product.updated", "product.removed"] {
            let event = older(action, "a", "2026-11-20T09:01:00+00:00", json!({ "uuid": "u", "parent": "ull" }));
            let changes = akeneo().changes(&batch(&[event])).unwrap();
            assert_eq!((changes[0].topic, changes[0].entity.id.as_str()), (Topic::ProductUpdated, "model/ull"), "{action}");
        }
    }

    #[test]
    fn an_older_pim_that_names_products_by_their_number_alone_is_not_guessed_at() {
        let event = older("product.updated", "a", "2026-11-20T09:01:00+00:00", json!({ "identifier": "ULL" }));
        assert!(akeneo().changes(&batch(&[event])).unwrap_err().to_string().contains("Akeneo 7"));
    }

    #[test]
    fn a_request_of_different_kinds_has_no_topic_of_one_and_an_empty_one_is_refused() {
        let one = older("product.updated", "a", "2026-11-20T09:01:00+00:00", json!({ "uuid": "u" }));
        let other = older("product_model.updated", "b", "2026-11-20T09:01:00+00:00", json!({ "code": "m" }));
        assert_eq!(akeneo().topic(&batch(std::slice::from_ref(&one))).unwrap(), "product.updated");
        assert_eq!(akeneo().topic(&batch(&[one.clone(), other.clone()])).unwrap(), "mixed");
        assert!(akeneo().topic(&batch(&[])).is_err());
        assert_ne!(akeneo().delivery_key(&batch(std::slice::from_ref(&one))), akeneo().delivery_key(&batch(&[one, other])));
    }

    #[test]
    fn an_event_of_something_else_than_the_pim_is_refused() {
        let event = json!({ "id": "1", "type": "com.example.made", "time": "2026-11-20T09:01:00Z", "data": {} });
        assert!(matches!(akeneo().changes(&delivery(&event)), Err(ParseError::Topic(_))));
    }
}
