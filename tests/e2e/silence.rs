//! Webhooks that fall silent: deleted, switched off or run out at the vendor. A running Spindel mends them by itself, and asks for
//! what it was not told meanwhile.

use crate::hub::{Hub, Plain, told};
use jiff::SignedDuration;
use serde_json::{Value, json};
use spindel_simulators::{
    business_central::{BusinessCentralSim, Setup},
    shipmondo::{self, Scan, ShipmondoSim},
    shopify::{self, ShopifySim},
    stripe::{self, StripeSim},
    vipps::{self, VippsSim},
    woocommerce::{self, WoocommerceSim},
};
use std::time::Duration;

const ORDERS: [&str; 2] = ["order.created", "order.updated"];

impl Hub {
    /// Whether people were told of an order, whichever way it came in.
    fn knows(&self, number: &str) -> bool {
        ORDERS.iter().any(|topic| self.sink.of(topic).iter().any(|it| it["number"] == number))
    }

    fn polled(&self, connection: &str) -> usize {
        self.events(connection).iter().filter(|it| it["cause"] == "poll").count()
    }

    /// Whether people were told that so much was captured.
    fn knows_of_money(&self, amount: &str) -> bool {
        let told = |it: &Value| it["transaction"]["kind"] == "capture" && it["transaction"]["amount"]["amount"] == amount;
        self.sink.of("transaction.created").iter().any(told)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_asked_for_that_came_while_shopify_had_deleted_its_subscriptions() {
    let options = shopify::Options { retry_base: Duration::from_millis(1), ..shopify::Options::plus() };
    let shop = ShopifySim::start(options).await.unwrap();
    // A poll tells of no creation by itself.
    let mut hub = Hub::start_public(&[("shop", &shop)], &told("shop", &["order.created"])).await;
    hub.until("all subscriptions", || shop.subscriptions().len() == 21).await;
    let place = || shop.place_order(&shopify::OrderSpec::of([(shop.skus()[0].clone(), 1)])).unwrap().number;
    let first = place();
    hub.until("the first order", || hub.knows(&first)).await;

    hub.node.kill();
    let missed = [place(), place(), place()];
    shop.flush().await;
    let deleted = |topic: &str| !shop.subscriptions().iter().any(|(it, _)| it == topic);
    assert!(deleted("ORDERS_CREATE") && deleted("ORDERS_PAID"), "{:?}", shop.subscriptions());

    hub.launch().await;
    hub.until("the missed orders", || missed.iter().all(|number| hub.knows(number))).await;
    assert!(hub.polled("shop") >= missed.len());
    assert!(hub.all_are_active("shop"));
    let heard = hub.heard("shop", "orders/create");
    let last = place();
    hub.until("the next order", || hub.knows(&last) && hub.heard("shop", "orders/create") == heard + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_woocommerce_gave_up_are_switched_on_again() {
    let shop = WoocommerceSim::start(woocommerce::Options::default()).await.unwrap();
    let mut hub = Hub::start_public(&[("shop", &shop)], &told("shop", &ORDERS)).await;
    hub.until("all webhooks", || shop.webhooks().len() == 11).await;
    let place = || shop.place_order(&woocommerce::OrderSpec::of(&[(&shop.skus()[0], 1)])).unwrap().number;
    let first = place();
    hub.until("the first order", || hub.knows(&first)).await;
    shop.flush().await;

    hub.node.kill();
    let missed: Vec<String> = (0..8).map(|_| place()).collect();
    shop.flush().await;
    let given_up = |topic: &str| shop.webhooks().iter().any(|it| it.topic == topic && it.status == "disabled");
    assert!(ORDERS.into_iter().all(given_up), "{:?}", shop.webhooks());

    hub.launch().await;
    hub.until("the missed orders", || missed.iter().all(|number| hub.knows(number))).await;
    assert!(hub.all_are_active("shop"));
    assert_eq!(shop.webhooks().len(), 11, "none was made anew");
    let last = place();
    hub.until("the next order", || hub.knows(&last)).await;
}

/// Mended by hand: what was missed is asked for by the process that runs.
#[tokio::test(flavor = "multi_thread")]
async fn payments_are_asked_for_that_were_captured_while_stripe_had_switched_the_endpoint_off() {
    let stripe = StripeSim::start(stripe::Options::default()).await.unwrap();
    let hub = Hub::start_public(&[("stripe", &stripe)], &told("stripe", &["transaction.created"])).await;
    // One by one, although the first makes the endpoint with all of them.
    hub.until("all topics", || hub.node.log().matches("was mended").count() == 22).await;
    let capture = |amount: i64| {
        let payment = stripe.authorize(amount, "NOK", &[("order_number", "1042")]);
        stripe.capture_by_hand(&payment, None).unwrap();
    };
    capture(10_000);
    hub.until("the first capture", || hub.knows_of_money("100.00")).await;

    stripe.switch_off(&stripe.endpoints()[0].0);
    capture(20_000);
    stripe.flush().await;
    assert!(hub.standings("list", "stripe").iter().all(|(_, state)| state == "inactive"));
    assert!(!hub.knows_of_money("200.00"));

    assert!(hub.standings("repair", "stripe").iter().all(|(_, state)| state == "repaired"));
    hub.until("the missed capture", || hub.knows_of_money("200.00")).await;
    assert!(hub.polled("stripe") > 0);
    let endpoints = stripe.endpoints();
    assert!(endpoints.len() == 1 && endpoints[0].2, "{endpoints:?}");
    capture(30_000);
    hub.until("the next capture", || hub.heard("stripe", "charge.captured") == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_somebody_deleted_at_vipps_are_made_anew_with_new_secrets() {
    let vipps = VippsSim::start(vipps::Options::default()).await.unwrap();
    let mut hub = Hub::start_public(&[("vipps", &vipps)], &told("vipps", &["transaction.created"])).await;
    hub.until("all registrations", || vipps.registrations().len() == 7).await;
    vipps.authorize("order-1001", 10_000, "NOK").unwrap();
    hub.until("the payment", || hub.heard("vipps", "epayments.payment.authorized.v1") == 1).await;

    vipps.delete_registrations();
    hub.restart().await;
    hub.until("new registrations", || vipps.registrations().len() == 7).await;
    vipps.capture_by_hand("order-1001", 10_000).unwrap();
    hub.until("the capture", || hub.knows_of_money("100.00")).await;
    // Of payments there is no list at Vipps: people are told to look.
    hub.until("the warning", || hub.node.log().contains("compare both ends")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parcels_are_asked_for_that_moved_while_webhooks_were_switched_off_at_shipmondo() {
    let shop = ShopifySim::start(shopify::Options::plus()).await.unwrap();
    let carrier = ShipmondoSim::start(shipmondo::Options::default()).await.unwrap();
    let booking = "[flows.booking]\nfrom = \"shop\"\non = [\"order.paid\"]\nto = \"carrier\"\ndo = \"book_shipment\"\n\n";
    let flows = format!("{booking}{}", told("carrier", &["shipment.updated"]));
    let mut hub = Hub::start_public(&[("shop", &shop), ("carrier", &carrier)], &flows).await;
    hub.until("all webhooks", || shop.subscriptions().len() == 21 && carrier.webhooks().len() == 4).await;
    shop.place_order(&shopify::OrderSpec::of([(shop.skus()[0].clone(), 1)])).unwrap();
    let booked = || hub.node.cli(&["deliveries", "list", "--flow", "booking", "--state", "delivered"]);
    hub.until("the booking", || booked().as_array().unwrap().len() == 1).await;

    carrier.switch_off_webhooks();
    carrier.scan(&carrier.shipments()[0].id, Scan::delivered()).unwrap();
    hub.restart().await;
    let delivered = |hub: &Hub| hub.sink.of("shipment.updated").iter().any(|it| it["state"] == "delivered");
    hub.until("the parcel's arrival", || delivered(&hub)).await;
    assert!(hub.all_are_active("carrier"));
    // The one webhook asked whether somebody is there.
    assert_eq!((carrier.webhooks().len(), hub.heard("carrier", "Shipment Monitor/delivered")), (4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_of_business_central_are_renewed_before_they_end_and_made_anew_after() {
    let company = BusinessCentralSim::start(Setup::default()).await.unwrap();
    let erp = Plain::business_central(&company);
    let topics = ["customer.created", "customer.updated"];
    let mut hub = Hub::start_public(&[("erp", &erp)], &told("erp", &topics)).await;
    hub.until("both subscriptions", || company.subscriptions().len() == 2).await;
    let customer = company.add_customer("Kari Nordmann", "kari@example.no", true);
    hub.until("the customer", || hub.sink.of("customer.created").len() == 1).await;

    let ids = || company.subscriptions().into_iter().map(|it| it.id).collect::<Vec<_>>();
    let before = ids();
    company.end_subscriptions_in(SignedDuration::from_hours(20));
    hub.restart().await;
    let far = |hours| {
        let ends = company.subscriptions().into_iter().map(|it| it.expires_at);
        let least = spindel_model::Clock::system().now() + SignedDuration::from_hours(hours);
        ends.min().is_some_and(|it| it > least)
    };
    hub.until("the renewal", || far(70)).await;
    assert_eq!(ids(), before, "renewed, and not made anew");

    company.end_subscriptions_in(SignedDuration::ZERO);
    assert_eq!(company.subscriptions().len(), 0);
    company.change_customer(&customer, "displayName", json!("Kari Fjell")).unwrap();
    company.flush().await;
    hub.restart().await;
    let renamed = || hub.sink.of("customer.updated").iter().any(|it| it.to_string().contains("Fjell"));
    hub.until("the missed change", renamed).await;
    hub.until("new subscriptions", || company.subscriptions().len() == 2 && far(70)).await;
    assert!(hub.polled("erp") > 0);
}
