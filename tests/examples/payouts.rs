//! `payouts.toml`: orders, payments and payouts are held against each other; what does not agree is listed.

use crate::{
    sink::{SECRET, Sink},
    world::{Example, World},
};
use rust_decimal::Decimal;
use serde_json::Value;
use spindel_simulators::{
    stripe::{self, StripeSim},
    woocommerce::{self, OrderSpec, WoocommerceSim},
};

fn unmatched(world: &World) -> Vec<(String, String)> {
    let list = world.node.cli(&["payments", "unmatched"]);
    let row = |it: &Value| (it["order"].as_str().unwrap_or("-").to_owned(), it["why"].as_str().unwrap().to_owned());
    list.as_array().unwrap().iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_agree_is_listed_and_all_else_is_not() {
    let shop = WoocommerceSim::start(woocommerce::Options::default()).await.unwrap();
    let stripe = StripeSim::start(stripe::Options::default()).await.unwrap();
    let books = Sink::start().await;
    let mut example = Example::of("payouts.toml");
    example.woocommerce(&shop).stripe(&stripe).set("connections.books.url", books.url.as_str()).secret("BOOKS_SECRET", SECRET);
    example.set("payments.every", "1s").set("payments.payment_after", "15s").set("payments.payout_after", "15s");
    let world = example.start().await;
    shop.set_target(&world.inbox("shop"));
    stripe.set_target(Some(&world.inbox("stripe")));
    let sku = shop.skus()[0].clone();
    let sell = |minor_more: i64| {
        let order = shop.place_order(&OrderSpec { paid: false, ..OrderSpec::of(&[(&sku, 2)]) }).unwrap().number;
        let total = i64::try_from((shop.order(&order).unwrap().total * Decimal::ONE_HUNDRED).trunc()).unwrap();
        let payment = stripe.sell(total + minor_more, "NOK", &[("order_number", &order)]);
        shop.pay_order_by(&order, &payment).unwrap();
        order
    };
    let right = sell(0);
    let wrong = sell(-100);
    let unpaid = shop.place_order(&OrderSpec::of(&[(&sku, 1)])).unwrap().number;
    let elsewhere = OrderSpec { payment_method: "cod".into(), ..OrderSpec::of(&[(&sku, 1)]) };
    shop.place_order(&elsewhere).unwrap();
    stripe.sell(99_900, "NOK", &[]);
    stripe.pay_out("NOK").unwrap();
    shop.flush().await;
    stripe.flush().await;
    world.until("the payout in the books", || !books.of("payout.updated").is_empty()).await;
    world.until_all_is_delivered().await;
    assert_eq!(unmatched(&world), [], "nothing is missed before its time");

    let expected = [("-", "no_order"), (unpaid.as_str(), "no_payment"), (wrong.as_str(), "amounts_differ")];
    let mut expected = expected.map(|(order, why)| (order.to_owned(), why.to_owned()));
    expected.sort();
    let mut found = Vec::new();
    let agrees = || {
        found = unmatched(&world);
        found.sort();
        found == expected
    };
    // Payouts are itemised a little later.
    world.until("what does not agree", agrees).await;
    assert!(!found.iter().any(|(order, _)| *order == right));
}
