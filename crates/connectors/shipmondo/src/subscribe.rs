//! Webhooks of the account, listed, registered and switched on again. One webhook is for one action of one resource.

use crate::{Shipmondo, wire};
use serde_json::json;
use spindel_connect::{Api, CallError, Registered, Subscribe, Subscription};

const LIST: &str = "list_webhooks";
const REGISTER: &str = "register_webhook";
const REPAIR: &str = "repair_webhook";

/// The webhook's name is signed with every message, so it carries the topic: `Spindel Shipments/create`.
const NAME: &str = "Spindel ";

/// What the name of a webhook says that it is about.
pub(crate) fn topic_of(name: &str) -> Option<&'static str> {
    Shipmondo::TOPICS.iter().copied().find(|topic| name.trim_end().ends_with(topic))
}

impl From<wire::Webhook> for Subscription {
    fn from(it: wire::Webhook) -> Self {
        let topic = format!("{}/{}", it.resource_name, it.action);
        Self { active: it.active.unwrap_or(true), ..Self::new(it.id, topic, it.endpoint) }
    }
}

impl Subscribe for Shipmondo {
    const TOPICS: &'static [&'static str] =
        &["Shipments/create", "Shipments/cancel", "Shipment Monitor/latest", "Shipment Monitor/delivered"];

    async fn list(&self, api: &Api) -> Result<Vec<Subscription>, CallError> {
        const PER_PAGE: usize = 50;
        const MOST_PAGES: usize = 20;
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let path = format!("/webhooks?per_page={PER_PAGE}&page={page}");
            let found: Vec<wire::Webhook> = api.get(LIST, path).fetch().await?;
            let full = found.len() >= PER_PAGE;
            all.extend(found.into_iter().map(Subscription::from));
            if !full {
                break;
            }
        }
        Ok(all)
    }

    async fn register(&self, api: &Api, topic: &str, address: &str) -> Result<Registered, CallError> {
        let known = Self::TOPICS.contains(&topic).then(|| topic.split_once('/')).flatten();
        let Some((resource, action)) = known else {
            let problem =
                format!("`{topic}` is not a topic of Shipmondo that means anything here; there are {}", Self::TOPICS.join(", "));
            return Err(CallError::config(REGISTER, problem));
        };
        let key = self.webhook_keys.first();
        let key =
            key.ok_or_else(|| CallError::config(REGISTER, "set `webhook_key`, with which Shipmondo shall sign its webhooks"))?;
        let request = json!({
            "name": format!("{NAME}{topic}"),
            "endpoint": address,
            "key": key.expose(),
            "resource_name": resource,
            "action": action,
        });
        let reply = api.post(REGISTER, "/webhooks").json(&request).send().await?;
        let made: Option<wire::Webhook> =
            wire::one_or_first(&reply.body).map_err(|error| CallError::unexpected(REGISTER, error.to_string()))?;
        let made = made.ok_or_else(|| CallError::unexpected(REGISTER, "the answer holds no webhook"))?;
        Ok(Subscription::from(made).into())
    }

    /// Only name and activity can be changed, which is all that is needed.
    async fn repair(&self, api: &Api, subscription: &Subscription) -> Result<Registered, CallError> {
        let path = format!("/webhooks/{}", subscription.id);
        let request = json!({ "name": format!("{NAME}{}", subscription.topic), "active": true });
        let made: wire::Webhook = api.put(REPAIR, path).json(&request).fetch().await?;
        Ok(Subscription::from(made).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_its_topic_and_only_a_known_one() {
        for topic in Shipmondo::TOPICS {
            assert_eq!(topic_of(&format!("{NAME}{topic}")), Some(*topic));
        }
        assert_eq!(topic_of("Lager: Shipments/cancel"), Some("Shipments/cancel"));
        assert_eq!(topic_of("Spindel Orders/create"), None);
        assert_eq!(topic_of(""), None);
    }
}
