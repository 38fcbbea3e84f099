//! Webhooks, listed, registered and switched on again: WooCommerce gives one up after a few failures in a row, for good.

use crate::{Woocommerce, wire::Id};
use serde::Deserialize;
use serde_json::json;
use spindel_connect::{Api, CallError, Registered, Subscribe, Subscription};

const PAGE: usize = 100;
const MOST_PAGES: usize = 10;

#[derive(Deserialize)]
struct Webhook {
    id: Id,
    topic: String,
    delivery_url: String,
    status: String,
}

impl From<Webhook> for Subscription {
    fn from(it: Webhook) -> Self {
        Self { active: it.status == "active", ..Self::new(it.id.0, it.topic, it.delivery_url) }
    }
}

impl Subscribe for Woocommerce {
    const TOPICS: &'static [&'static str] = &[
        "customer.created",
        "customer.deleted",
        "customer.updated",
        "order.created",
        "order.deleted",
        "order.restored",
        "order.updated",
        "product.created",
        "product.deleted",
        "product.restored",
        "product.updated",
    ];

    async fn list(&self, api: &Api) -> Result<Vec<Subscription>, CallError> {
        let mut found = Vec::new();
        for page in 1..=MOST_PAGES {
            let (size, page) = (PAGE.to_string(), page.to_string());
            let query = [("status", "all"), ("orderby", "id"), ("order", "asc"), ("per_page", &size), ("page", &page)];
            let rows: Vec<Webhook> = api.get("list_webhooks", self.path("/webhooks", &query)).fetch().await?;
            let full = rows.len() == PAGE;
            found.extend(rows.into_iter().map(Subscription::from));
            if !full {
                break;
            }
        }
        Ok(found)
    }

    async fn register(&self, api: &Api, topic: &str, address: &str) -> Result<Registered, CallError> {
        let body = json!({
            "name": format!("Spindel {topic}"),
            "topic": topic,
            "delivery_url": address,
            "secret": self.signing_secret(),
            "status": "active",
        });
        let made: Webhook = api.post("register_webhook", self.path("/webhooks", &[])).json(&body).fetch().await?;
        Ok(Subscription::from(made).into())
    }

    /// The secret goes along: whoever switched it off may have changed it, and it cannot be read.
    async fn repair(&self, api: &Api, subscription: &Subscription) -> Result<Registered, CallError> {
        let body = json!({
            "topic": subscription.topic,
            "delivery_url": subscription.address,
            "secret": self.signing_secret(),
            "status": "active",
        });
        let id = crate::read::checked("repair_webhook", &subscription.id)?;
        let path = self.path(&format!("/webhooks/{id}"), &[]);
        let webhook: Webhook = api.put("repair_webhook", path).json(&body).fetch().await?;
        Ok(Subscription::from(webhook).into())
    }
}

impl Woocommerce {
    fn signing_secret(&self) -> &str {
        self.secrets.first().map(spindel_connect::Secret::expose).unwrap_or_default()
    }
}
