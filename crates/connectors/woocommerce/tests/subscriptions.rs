//! A webhook that the shop gave up is switched on again, with the secret of the settings.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use spindel_connect::{Api, Subscription, entry};
use spindel_connector_woocommerce::Woocommerce;
use spindel_model::Clock;
use spindel_testkit::script::Script;
use std::sync::Arc;

#[tokio::test]
async fn a_disabled_webhook_is_made_active_in_its_place() {
    let settings = json!({
        "url": "https://shop.example.no", "consumer_key": "ck_x", "consumer_secret": "cs_y",
        "webhook_secret": ["newSecret02", "oldSecret01"],
    });
    let (shop, _) = (entry::<Woocommerce>().connect)(settings).unwrap();
    let exchanges = json!([{
        "method": "PUT", "path": "/wp-json/wc/v3/webhooks/5",
        "body": { "status": "active", "secret": "newSecret02", "topic": "order.updated" },
        "reply": { "body": {
            "id": 5, "status": "active", "topic": "order.updated", "delivery_url": "https://hooks.example.no/in/shop",
        } },
    }]);
    let script = Arc::new(Script::new(serde_json::from_value(exchanges).unwrap()));
    let api = Api::new(script.clone(), entry::<Woocommerce>().refine, Clock::manual("2026-11-20T10:00:00Z".parse().unwrap()));
    let disabled = Subscription { active: false, ..Subscription::new("5", "order.updated", "https://hooks.example.no/in/shop") };
    let repaired = shop.repair(&api, &disabled).unwrap().await.unwrap();
    assert!(repaired.subscription.active);
    assert!(repaired.secret.is_none());
    assert_eq!(script.problems(), Vec::<String>::new());
}
