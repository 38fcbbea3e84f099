//! Webhook subscriptions of the app, listed and registered through the Admin API.

use crate::{
    Shopify,
    graphql::{Nodes, SUBSCRIBE, SUBSCRIPTIONS, UserError, refused},
};
use serde::Deserialize;
use serde_json::json;
use spindel_connect::{Api, CallError, Registered, Subscribe, Subscription};

/// Topics as webhooks carry them, and as GraphQL names them. There is no rule: the slash stands after the resource.
const NAMES: &[(&str, &str)] = &[
    ("app/scopes_update", "APP_SCOPES_UPDATE"),
    ("app/uninstalled", "APP_UNINSTALLED"),
    ("customers/create", "CUSTOMERS_CREATE"),
    ("customers/delete", "CUSTOMERS_DELETE"),
    ("customers/disable", "CUSTOMERS_DISABLE"),
    ("customers/enable", "CUSTOMERS_ENABLE"),
    ("customers/update", "CUSTOMERS_UPDATE"),
    ("fulfillments/create", "FULFILLMENTS_CREATE"),
    ("fulfillments/update", "FULFILLMENTS_UPDATE"),
    ("inventory_levels/connect", "INVENTORY_LEVELS_CONNECT"),
    ("inventory_levels/update", "INVENTORY_LEVELS_UPDATE"),
    ("order_transactions/create", "ORDER_TRANSACTIONS_CREATE"),
    ("orders/cancelled", "ORDERS_CANCELLED"),
    ("orders/create", "ORDERS_CREATE"),
    ("orders/delete", "ORDERS_DELETE"),
    ("orders/edited", "ORDERS_EDITED"),
    ("orders/fulfilled", "ORDERS_FULFILLED"),
    ("orders/paid", "ORDERS_PAID"),
    ("orders/partially_fulfilled", "ORDERS_PARTIALLY_FULFILLED"),
    ("orders/updated", "ORDERS_UPDATED"),
    ("products/create", "PRODUCTS_CREATE"),
    ("products/delete", "PRODUCTS_DELETE"),
    ("products/update", "PRODUCTS_UPDATE"),
    ("refunds/create", "REFUNDS_CREATE"),
    ("shop/update", "SHOP_UPDATE"),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    webhook_subscriptions: Nodes<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    topic: String,
    uri: String,
}

impl From<Node> for Subscription {
    fn from(it: Node) -> Self {
        let known = NAMES.iter().find(|(_, name)| *name == it.topic);
        let topic = known.map_or_else(|| it.topic.to_ascii_lowercase(), |(topic, _)| (*topic).to_owned());
        Self::new(it.id, topic, it.uri)
    }
}

impl Subscribe for Shopify {
    const TOPICS: &'static [&'static str] = &[
        "app/scopes_update",
        "app/uninstalled",
        "customers/create",
        "customers/delete",
        "customers/update",
        "fulfillments/create",
        "fulfillments/update",
        "inventory_levels/update",
        "order_transactions/create",
        "orders/cancelled",
        "orders/create",
        "orders/delete",
        "orders/edited",
        "orders/fulfilled",
        "orders/paid",
        "orders/updated",
        "products/create",
        "products/delete",
        "products/update",
        "refunds/create",
        "shop/update",
    ];

    async fn list(&self, api: &Api) -> Result<Vec<Subscription>, CallError> {
        const MOST_PAGES: usize = 20;
        let mut found = Vec::new();
        let mut after = None;
        for _ in 0..MOST_PAGES {
            let page: Listed = self.ask(api, SUBSCRIPTIONS, json!({ "after": after })).await?;
            found.extend(page.webhook_subscriptions.nodes.into_iter().map(Subscription::from));
            after = page.webhook_subscriptions.page_info.next();
            if after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn register(&self, api: &Api, topic: &str, address: &str) -> Result<Registered, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Made {
            webhook_subscription_create: Outcome,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Outcome {
            webhook_subscription: Option<Node>,
            user_errors: Vec<UserError>,
        }
        let operation = SUBSCRIBE.name;
        let name = NAMES.iter().find(|(it, _)| *it == topic).map(|(_, name)| *name).ok_or_else(|| {
            CallError::config(operation, format!("`{topic}` is not a topic that can be subscribed to through the API"))
        })?;
        let variables = json!({ "topic": name, "subscription": { "uri": address, "format": "JSON" } });
        let Made { webhook_subscription_create: outcome } = self.ask(api, SUBSCRIBE, variables).await?;
        refused(operation, &outcome.user_errors)?;
        let made = outcome.webhook_subscription;
        made.map(|it| Subscription::from(it).into())
            .ok_or_else(|| CallError::unexpected(operation, "neither a subscription nor an error came back"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_that_is_subscribed_to_has_a_name_in_graphql() {
        for topic in Shopify::TOPICS {
            assert!(NAMES.iter().any(|(it, _)| it == topic), "{topic}");
        }
        assert!(NAMES.is_sorted());
    }
}
