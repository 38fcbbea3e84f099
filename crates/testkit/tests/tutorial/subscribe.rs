//! Webhooks, registered at Acme: each with a secret of its own, told once.

use crate::{account::Acme, wire};
use serde_json::json;
use spindel_connect::{Api, CallError, Registered, Subscribe, Subscription};

impl Subscribe for Acme {
    const TOPICS: &'static [&'static str] = &["parcel.moved", "payment.changed"];

    async fn list(&self, api: &Api) -> Result<Vec<Subscription>, CallError> {
        let found: Vec<wire::Webhook> = api.get("list_webhooks", "/webhooks").fetch().await?;
        let subscription = |it: wire::Webhook| Subscription { active: !it.paused, ..Subscription::new(it.id, it.topic, it.url) };
        Ok(found.into_iter().map(subscription).collect())
    }

    async fn register(&self, api: &Api, topic: &str, address: &str) -> Result<Registered, CallError> {
        let body = json!({ "topic": topic, "url": address });
        let made: wire::WebhookMade = api.post("register_webhook", "/webhooks").json(&body).fetch().await?;
        Ok(Registered { subscription: Subscription::new(made.id, topic, address), secret: Some(made.secret) })
    }

    /// Acme pauses a webhook after failures; without this, it would be registered a second time.
    async fn repair(&self, api: &Api, subscription: &Subscription) -> Result<Registered, CallError> {
        let path = format!("/webhooks/{}", subscription.id);
        api.patch("repair_webhook", path).json(&json!({ "paused": false })).send().await?;
        Ok(Subscription { active: true, ..subscription.clone() }.into())
    }
}
