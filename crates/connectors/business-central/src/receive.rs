//! Notifications: how they prove themselves, the handshake before them, and what they mean. They say only that something
//! changed, so everything is read back.

use crate::BusinessCentral;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use spindel_connect::{Answer, Incoming, ParseError, Proof, Receive, Secret, Unproven, Verified};
use spindel_model::{Change, EntityKind, EntityRef, Record, Timestamp, Topic, Version};
use std::collections::BTreeSet;
use uuid::Uuid;

#[derive(Deserialize)]
struct Notifications {
    value: Vec<Notification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    /// `api/v2.0/companies(GUID)/items(GUID)`
    resource: String,
    change_type: String,
    last_modified_date_time: Timestamp,
}

/// A resource, taken apart.
struct Place<'a> {
    company: &'a str,
    set: &'a str,
    id: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn of(resource: &'a str) -> Option<Self> {
        // A collection brings its filter along.
        let path = resource.split('?').next()?;
        let mut steps = path.trim_matches('/').rsplit('/');
        let (last, company) = (steps.next()?, steps.next()?);
        let company = company.strip_prefix("companies(")?.strip_suffix(')')?;
        let (set, id) = match last.split_once('(') {
            Some((set, rest)) => (set, Some(rest.strip_suffix(')')?)),
            None => (last, None),
        };
        (!set.is_empty()).then_some(Self { company, set, id })
    }
}

impl Receive for BusinessCentral {
    /// Nothing is signed: each notification repeats the `clientState` of its subscription.
    fn proof(&self, _kept: &[Secret]) -> Proof {
        Proof::in_body(&["/value/*/clientState"], &self.secrets)
    }

    /// The collections that the notifications are about: `items`, `customers,items`.
    fn topic(&self, delivery: &Verified) -> Result<String, ParseError> {
        let sent: Notifications = delivery.json()?;
        let sets: BTreeSet<&str> = sent.value.iter().filter_map(|it| Place::of(&it.resource)).map(|it| it.set).collect();
        if sets.is_empty() {
            return Err(ParseError::Content("there is no notification of a company's resource in this request".into()));
        }
        Ok(sets.into_iter().collect::<Vec<_>>().join(","))
    }

    /// There is no id of a delivery: what a notification is about stands in its body, which decides alone.
    fn delivery_key(&self, _delivery: &Verified) -> Option<String> {
        None
    }

    fn changes(&self, delivery: &Verified) -> Result<Vec<Change>, ParseError> {
        let sent: Notifications = delivery.json()?;
        let mut changes = Vec::new();
        for notification in &sent.value {
            changes.extend(self.change(notification)?);
        }
        Ok(changes)
    }

    /// Before a subscription is made or renewed, its address must give the token back.
    ///
    /// And Business Central deletes a subscription when it is refused with anything but 408, 429 or 5xx: a notification with
    /// another secret (one that was changed too early) is put off instead, and comes again for 36 hours.
    fn challenge(&self, incoming: &Incoming) -> Option<Answer> {
        if let Some(token) = validation_token(&incoming.uri) {
            return Some(Answer { status: StatusCode::OK, content_type: "text/plain", body: token });
        }
        let refused = self.proof(&[]).check(incoming.clone(), Timestamp::UNIX_EPOCH).err()?;
        (refused == Unproven::NoMatch).then_some(Answer {
            status: StatusCode::SERVICE_UNAVAILABLE,
            content_type: "text/plain",
            body: Bytes::from_static(b"clientState is none of the webhook secrets\n"),
        })
    }
}

fn validation_token(uri: &str) -> Option<Bytes> {
    const LONGEST: usize = 4096;
    let (_, query) = uri.split_once('?')?;
    let (_, token) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "validationToken")?;
    let fits = !token.is_empty() && token.len() <= LONGEST && !token.chars().any(char::is_control);
    fits.then(|| Bytes::from(token.into_owned()))
}

impl BusinessCentral {
    fn change(&self, notification: &Notification) -> Result<Option<Change>, ParseError> {
        let place = Place::of(&notification.resource)
            .ok_or_else(|| ParseError::Content("the resource of a notification is not one of a company".into()))?;
        if place.company.parse::<Uuid>().ok() != Some(self.company) {
            // One app and one secret may serve several companies: a wrong address must not mix them.
            return Err(ParseError::Content("this notification is of another company: send it to that one's connection".into()));
        }
        // More than a thousand at once are named by a filter only: the polls find them.
        let Some(id) = place.id.filter(|_| notification.change_type != "collection") else { return Ok(None) };
        let id: Uuid = id
            .trim_matches('\'')
            .parse()
            .map_err(|_| ParseError::Content("the id in a notification's resource is no GUID".into()))?;
        let deleted = notification.change_type == "deleted";
        let (topic, kind) = match (place.set, notification.change_type.as_str()) {
            ("items", "deleted") => (Topic::ProductDeleted, EntityKind::Product),
            ("items", _) => (Topic::PriceChanged, EntityKind::Price),
            ("customers", "created") => (Topic::CustomerCreated, EntityKind::Customer),
            ("customers", "deleted") => (Topic::CustomerDeleted, EntityKind::Customer),
            ("customers", _) => (Topic::CustomerUpdated, EntityKind::Customer),
            // Genuine, and nothing that the canonical model has a word for.
            _ => return Ok(None),
        };
        Ok(Some(Change {
            topic,
            entity: EntityRef::new(kind, id.to_string()),
            version: Version::from(notification.last_modified_date_time),
            record: if deleted { Record::Deleted } else { Record::Nudge },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_names_its_company_its_collection_and_its_record() {
        for (resource, want) in [
            ("api/v2.0/companies(c)/items(i)", Some(("c", "items", Some("i")))),
            ("/api/v2.0/companies(c)/items(i)", Some(("c", "items", Some("i")))),
            ("api/v2.0/companies(c)/items?$filter=lastModifiedDateTime%20gt%202026-11-20T10:00:00Z", Some(("c", "items", None))),
            ("api/v2.0/subscriptions", None),
            ("items(i)", None),
            ("companies(c)/items(i", None),
            ("", None),
        ] {
            assert_eq!(Place::of(resource).map(|it| (it.company, it.set, it.id)), want, "{resource}");
        }
    }

    #[test]
    fn a_token_is_given_back_as_it_came() {
        assert_eq!(validation_token("/in/erp?validationToken=a%2Bb%3D%3D&x=1").as_deref(), Some(&b"a+b=="[..]));
        assert_eq!(validation_token("/in/erp?k=1&validationToken=t").as_deref(), Some(&b"t"[..]));
        for uri in ["/in/erp", "/in/erp?validationtoken=t", "/in/erp?validationToken=", "/in/erp?validationToken=a%0d%0ab"] {
            assert_eq!(validation_token(uri), None, "{uri}");
        }
        assert_eq!(validation_token(&format!("/in/erp?validationToken={}", "a".repeat(5000))), None);
    }
}
