//! Webhook endpoints: Stripe has one for each address, which takes many topics.

use crate::{
    API_VERSION, Stripe,
    request::{is_id, list},
};
use serde::Deserialize;
use spindel_connect::{Api, CallError, Registered, Secret, Subscribe, Subscription};

const LIST: &str = "list_subscriptions";
const REGISTER: &str = "register_subscription";
const REPAIR: &str = "repair_subscription";
const ENDPOINTS: &str = "/v1/webhook_endpoints";
/// Stripe takes far fewer endpoints than one page holds.
const MOST_PAGES: usize = 3;
const ALL: &str = "*";

#[derive(Deserialize)]
struct HookEndpoint {
    id: String,
    url: String,
    status: String,
    enabled_events: Vec<String>,
    /// Only in the answer to its creation.
    secret: Option<Secret>,
}

impl HookEndpoint {
    fn has(&self, topic: &str) -> bool {
        self.enabled_events.iter().any(|it| it == topic || it == ALL)
    }

    fn is_active(&self) -> bool {
        self.status == "enabled"
    }

    fn subscription(&self, topic: &str) -> Subscription {
        Subscription { active: self.is_active(), ..Subscription::new(&self.id, topic, &self.url) }
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        if self.has(ALL) {
            return Stripe::TOPICS.iter().map(|topic| self.subscription(topic)).collect();
        }
        self.enabled_events.iter().map(|topic| self.subscription(topic)).collect()
    }

    /// Those that it has, and those that it lacks.
    fn wanted(&self) -> Vec<&str> {
        let missing = Stripe::TOPICS.iter().copied().filter(|topic| !self.has(topic));
        self.enabled_events.iter().map(String::as_str).chain(missing).collect()
    }
}

impl Subscribe for Stripe {
    const TOPICS: &'static [&'static str] = &[
        "charge.captured",
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.failed",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.succeeded",
        "payout.canceled",
        "payout.created",
        "payout.failed",
        "payout.paid",
        "payout.reconciliation_completed",
        "payout.updated",
        "refund.created",
        "refund.failed",
        "refund.updated",
    ];

    async fn list(&self, api: &Api) -> Result<Vec<Subscription>, CallError> {
        Ok(endpoints(api, LIST).await?.iter().flat_map(HookEndpoint::subscriptions).collect())
    }

    /// The first topic makes the endpoint with all of them, and the others find it.
    async fn register(&self, api: &Api, topic: &str, address: &str) -> Result<Registered, CallError> {
        let there = endpoints(api, REGISTER).await?.into_iter().find(|it| it.url == address);
        let endpoint = match there {
            Some(it) if it.has(topic) && it.is_active() => it,
            Some(it) => {
                let mut fields = events(&it.wanted());
                fields.push(("disabled", "false"));
                api.post(REGISTER, format!("{ENDPOINTS}/{}", it.id)).form(fields).fetch().await?
            }
            None => {
                let mut fields = events(Self::TOPICS);
                fields.extend([("url", address), ("api_version", API_VERSION), ("description", "Spindel")]);
                api.post(REGISTER, ENDPOINTS).form(fields).fetch().await?
            }
        };
        Ok(Registered { subscription: endpoint.subscription(topic), secret: endpoint.secret })
    }

    /// Stripe switches an endpoint off that failed for days.
    async fn repair(&self, api: &Api, subscription: &Subscription) -> Result<Registered, CallError> {
        if !is_id(&subscription.id) {
            return self.register(api, &subscription.topic, &subscription.address).await;
        }
        let path = format!("{ENDPOINTS}/{}", subscription.id);
        let endpoint: HookEndpoint = api.post(REPAIR, path).form([("disabled", "false")]).fetch().await?;
        Ok(endpoint.subscription(&subscription.topic).into())
    }
}

fn events<'a>(topics: &[&'a str]) -> Vec<(&'static str, &'a str)> {
    topics.iter().map(|topic| ("enabled_events[]", *topic)).collect()
}

async fn endpoints(api: &Api, operation: &'static str) -> Result<Vec<HookEndpoint>, CallError> {
    list(api, operation, ENDPOINTS, &[], MOST_PAGES, |it: &HookEndpoint| &it.id).await
}
