//! Registrations of webhooks. Each is answered with a secret of its own, once.

use crate::{Vipps, WEBHOOKS, wire};
use serde::Deserialize;
use serde_json::json;
use spindel_connect::{Api, CallError, Registered, Secret, Subscribe, Subscription};

const LIST: &str = "list_webhooks";
const REGISTER: &str = "register_webhook";
const DELETE: &str = "delete_webhook";

impl Subscribe for Vipps {
    /// `created` is left out: nothing has happened by then.
    const TOPICS: &'static [&'static str] = &[
        "epayments.payment.aborted.v1",
        "epayments.payment.authorized.v1",
        "epayments.payment.cancelled.v1",
        "epayments.payment.captured.v1",
        "epayments.payment.expired.v1",
        "epayments.payment.refunded.v1",
        "epayments.payment.terminated.v1",
    ];

    /// One registration may be for several events.
    async fn list(&self, api: &Api) -> Result<Vec<Subscription>, CallError> {
        let listed = listed(api).await?;
        let each =
            |it: &wire::Webhook| it.events.iter().map(|event| Subscription::new(&it.id, event, &it.url)).collect::<Vec<_>>();
        Ok(listed.iter().flat_map(each).collect())
    }

    async fn register(&self, api: &Api, topic: &str, address: &str) -> Result<Registered, CallError> {
        #[derive(Deserialize)]
        struct Made {
            id: String,
            secret: Secret,
        }
        let body = json!({ "url": address, "events": [topic] });
        let made: Made = api.post(REGISTER, WEBHOOKS).json(&body).fetch().await?;
        Ok(Registered { subscription: Subscription::new(made.id, topic, address), secret: Some(made.secret) })
    }

    /// Registered anew, and only then the old one is deleted, so that nothing is missed in between.
    async fn repair(&self, api: &Api, subscription: &Subscription) -> Result<Registered, CallError> {
        let registered = self.register(api, &subscription.topic, &subscription.address).await?;
        // From here on the new secret must not be lost, and an old registration that stays does no harm: what it sends is
        // recognised as the same delivery.
        if let Ok(listed) = listed(api).await {
            let only_this = |it: &&wire::Webhook| it.id == subscription.id && it.events == [subscription.topic.as_str()];
            if let Some(old) = listed.iter().find(only_this).filter(|it| is_id(&it.id)) {
                let _ = api.delete(DELETE, format!("{WEBHOOKS}/{}", old.id)).send().await;
            }
        }
        Ok(registered)
    }
}

async fn listed(api: &Api) -> Result<Vec<wire::Webhook>, CallError> {
    let listed: wire::Webhooks = api.get(LIST, WEBHOOKS).fetch().await?;
    Ok(listed.webhooks)
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}
