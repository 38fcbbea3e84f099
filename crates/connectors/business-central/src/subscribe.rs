//! Webhook subscriptions. Each lasts three days, unless it is renewed.

use crate::{
    BusinessCentral, problem,
    wire::{List, quoted},
};
use serde::Deserialize;
use serde_json::{Value, json};
use spindel_connect::{Api, CallError, Registered, Subscribe, Subscription};
use spindel_model::{ErrorClass, Timestamp};
use uuid::Uuid;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    #[serde(rename = "@odata.etag", default)]
    etag: String,
    subscription_id: String,
    notification_url: String,
    resource: String,
    expiration_date_time: Option<Timestamp>,
}

impl Found {
    /// `None` for a subscription of another company, or of something else.
    fn known(self, company: Uuid) -> Option<Subscription> {
        let (path, topic) = self.resource.rsplit_once('/')?;
        let of = path.rsplit('/').next()?.strip_prefix("companies(")?.strip_suffix(')')?;
        if of.parse::<Uuid>().ok()? != company {
            return None;
        }
        let mut subscription = Subscription::new(self.subscription_id, topic, self.notification_url);
        subscription.expires_at = self.expiration_date_time;
        Some(subscription)
    }
}

impl Subscribe for BusinessCentral {
    const TOPICS: &'static [&'static str] = &["customers", "items"];

    /// No more than 200 can be in an environment, and a page holds 20,000.
    async fn list(&self, api: &Api) -> Result<Vec<Subscription>, CallError> {
        let found: List<Found> = api.get("list_subscriptions", "/subscriptions").fetch().await?;
        Ok(found.value.into_iter().filter_map(|it| it.known(self.company)).collect())
    }

    async fn register(&self, api: &Api, topic: &str, address: &str) -> Result<Registered, CallError> {
        const OPERATION: &str = "subscribe";
        let made = api.post(OPERATION, "/subscriptions").json(&self.wanted(OPERATION, topic, address)?).fetch::<Found>().await;
        match made {
            Ok(made) => self.registered(OPERATION, made),
            // The same address has it already: it is renewed, with the secret of now.
            Err(error) if error.message.starts_with(problem::SAME_KEY) => {
                let all = self.list(api).await?;
                let same = all.iter().find(|it| it.topic == topic && it.address == address);
                self.renew(api, same.ok_or(error)?).await
            }
            Err(error) => Err(error),
        }
    }

    async fn repair(&self, api: &Api, subscription: &Subscription) -> Result<Registered, CallError> {
        match self.renew(api, subscription).await {
            Err(error) if error.class == ErrorClass::Gone => self.register(api, &subscription.topic, &subscription.address).await,
            outcome => outcome,
        }
    }
}

impl BusinessCentral {
    /// Three days more, and another handshake.
    async fn renew(&self, api: &Api, subscription: &Subscription) -> Result<Registered, CallError> {
        const OPERATION: &str = "renew_subscription";
        let path = format!("/subscriptions({})", quoted(&subscription.id));
        let found: Found = api.get(OPERATION, &path).fetch().await?;
        let wanted = self.wanted(OPERATION, &subscription.topic, &subscription.address)?;
        let renewed: Found = api.patch(OPERATION, &path).header("if-match", &found.etag).json(&wanted).fetch().await?;
        self.registered(OPERATION, renewed)
    }

    fn wanted(&self, operation: &'static str, topic: &str, address: &str) -> Result<Value, CallError> {
        let Some(secret) = self.secrets.first() else {
            let problem = "set `webhook_secret` of this connection: it is all that proves a notification";
            return Err(CallError::config(operation, problem));
        };
        let resource = format!("/api/v2.0{}", self.path(topic));
        Ok(json!({ "notificationUrl": address, "resource": resource, "clientState": secret.expose() }))
    }

    fn registered(&self, operation: &'static str, made: Found) -> Result<Registered, CallError> {
        let known = made.known(self.company).map(Registered::from);
        known.ok_or_else(|| CallError::unexpected(operation, "a subscription of something else came back"))
    }
}
