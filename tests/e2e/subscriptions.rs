//! `spindel subscriptions`: every topic is registered at the vendor by one command, and what it tells then is believed, also
//! where it is proved with a secret that only the vendor knew.

use crate::hub::{Hub, Plain, told};
use serde_json::Value;
use spindel_simulators::{
    business_central::{BusinessCentralSim, Setup},
    roles::Vendor,
    shipmondo::{self, Scan, ShipmondoSim},
    shopify::{self, ShopifySim},
    stripe::{self, StripeSim},
    vipps::{self, VippsSim},
    woocommerce::{self, WoocommerceSim},
};

/// A running hub, at which the vendor registered all of its topics when it was told to.
async fn registered(connection: &str, vendor: &dyn Vendor, topics: usize, flows: &str) -> Hub {
    let mut hub = Hub::start(&[(connection, vendor)], flows).await;
    hub.says_its_address();
    for (command, state) in [("list", "missing"), ("repair", "registered"), ("list", "active"), ("repair", "active")] {
        let all = hub.standings(command, connection);
        assert_eq!(all.len(), topics, "{all:?}");
        assert!(all.iter().all(|(_, it)| it == state), "{command}: {all:?}\n{}", hub.node.log());
    }
    let rows = hub.node.cli(&["subscriptions", "list", connection]);
    let addresses = |row: &Value| row["addresses"] == serde_json::json!([hub.inbox(connection)]);
    assert!(rows.as_array().unwrap().iter().all(addresses), "{rows:#}");
    hub
}

#[tokio::test(flavor = "multi_thread")]
async fn shopify_tells_of_orders_once_it_is_subscribed_to() {
    let shop = ShopifySim::start(shopify::Options::plus()).await.unwrap();
    let hub = registered("shop", &shop, 21, &told("shop", &["order.created"])).await;
    let placed = shop.place_order(&shopify::OrderSpec::of([(shop.skus()[0].clone(), 1)])).unwrap();
    hub.until("the order", || hub.sink.of("order.created").iter().any(|it| it["number"] == *placed.number)).await;
    assert_eq!(hub.heard("shop", "orders/create"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn woocommerce_is_answered_when_it_asks_whether_somebody_is_there_and_tells_of_orders() {
    let shop = WoocommerceSim::start(woocommerce::Options::default()).await.unwrap();
    let hub = registered("shop", &shop, 11, &told("shop", &["order.created"])).await;
    let placed = shop.place_order(&woocommerce::OrderSpec::of(&[(&shop.skus()[0], 1)])).unwrap();
    hub.until("the order", || hub.sink.of("order.created").iter().any(|it| it["number"] == *placed.number)).await;
    assert!(hub.heard("shop", "order.created") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn stripe_has_one_endpoint_and_its_secret_is_kept() {
    let stripe = StripeSim::start(stripe::Options::default()).await.unwrap();
    let hub = registered("stripe", &stripe, 22, &told("stripe", &["transaction.created"])).await;
    assert_eq!(stripe.endpoints().len(), 1, "{:?}", stripe.endpoints());
    let payment = stripe.authorize(10_000, "NOK", &[("order_number", "1042")]);
    stripe.capture_by_hand(&payment, Some(6_000)).unwrap();
    hub.until("the capture", || hub.heard("stripe", "charge.captured") == 1).await;
    hub.until("the money", || hub.sink.of("transaction.created").iter().any(|it| captured(it) == "60.00")).await;
}

fn captured(record: &Value) -> &str {
    let transaction = &record["transaction"];
    let amount = transaction["amount"]["amount"].as_str().unwrap_or_default();
    if transaction["kind"] == "capture" { amount } else { "" }
}

/// Vipps gives each registration a secret of its own, and there is one for each topic.
#[tokio::test(flavor = "multi_thread")]
async fn vipps_is_believed_on_every_topic() {
    let vipps = VippsSim::start(vipps::Options::default()).await.unwrap();
    let hub = registered("vipps", &vipps, 7, &told("vipps", &["transaction.created"])).await;
    assert_eq!(vipps.registrations().len(), 7);
    vipps.authorize("order-1001", 10_000, "NOK").unwrap();
    vipps.capture_by_hand("order-1001", 6_000).unwrap();
    vipps.refund_by_hand("order-1001", 1_000).unwrap();
    vipps.authorize("order-1002", 10_000, "NOK").unwrap();
    vipps.cancel_by_hand("order-1002").unwrap();
    for (reference, end) in [("order-1003", VippsSim::abort as fn(&_, &_) -> _), ("order-1004", VippsSim::expire)] {
        vipps.begin(reference, 10_000, "NOK").unwrap();
        end(&vipps, reference).unwrap();
    }
    for event in ["authorized", "captured", "refunded", "cancelled", "aborted", "expired"] {
        let topic = format!("epayments.payment.{event}.v1");
        hub.until(&topic, || hub.heard("vipps", &topic) > 0).await;
    }
    hub.until("the money", || hub.sink.of("transaction.created").iter().any(|it| captured(it) == "60.00")).await;
    let sent = vipps.flush().await;
    assert_eq!(sent.given_up, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn shipmondo_finds_somebody_there_and_tells_of_parcels() {
    let carrier = ShipmondoSim::start(shipmondo::Options::default()).await.unwrap();
    let hub = registered("carrier", &carrier, 4, &told("carrier", &["shipment.created", "shipment.updated"])).await;
    let parcel = carrier.book_by_hand(Some("#1042@shop"), Some("7"));
    carrier.scan(&parcel, Scan::en_route()).unwrap();
    carrier.scan(&parcel, Scan::delivered()).unwrap();
    for topic in ["Shipments/create", "Shipment Monitor/latest", "Shipment Monitor/delivered"] {
        hub.until(topic, || hub.heard("carrier", topic) > 0).await;
    }
    assert_eq!(carrier.flush().await.lost, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn business_central_gets_its_token_back_and_tells_of_customers_and_prices() {
    let company = BusinessCentralSim::start(Setup::default()).await.unwrap();
    let erp = Plain::business_central(&company);
    let hub = registered("erp", &erp, 2, &told("erp", &["customer.created", "price.changed"])).await;
    company.add_customer("Kari Nordmann", "kari@example.no", true);
    company.set_price("TE-03", rust_decimal::Decimal::new(49_90, 2)).unwrap();
    hub.until("the customer", || hub.sink.of("customer.created").iter().any(|it| it["email"] == "kari@example.no")).await;
    hub.until("the price", || !hub.sink.of("price.changed").is_empty()).await;
    let rows = hub.node.cli(&["subscriptions", "list", "erp"]);
    assert!(rows[0]["expires_at"].as_str().is_some(), "{rows:#}");
}
