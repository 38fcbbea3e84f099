//! Money to the last digit: what the shop says in its webhooks adds up after parsing, in six currencies, with tax included
//! and on top, after edits, partial refunds and cancellations; whatever rounding is left stands in the rounding line.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use spindel_connect::{Connection, Incoming, entry};
use spindel_connector_shopify::Shopify;
use spindel_model::{Currency, Decimal, LineKind, Money, MoneyBag, Order, Record, Refund, Timestamp, exponent};
use spindel_simulators::shopify::{Options, OrderSpec, OrderView, Reduction, RefundSpec, Restock, ShopifySim, Webhook};
use std::sync::Arc;

const CURRENCIES: [Currency; 6] = [Currency::NOK, Currency::SEK, Currency::DKK, Currency::EUR, Currency::JPY, Currency::KWD];

fn connection() -> Arc<dyn Connection> {
    let settings =
        serde_json::json!({ "shop": "example.myshopify.com", "client_id": "client-id", "client_secret": "client-secret" });
    (entry::<Shopify>().connect)(settings).unwrap().0
}

/// As a Spindel would read it: proved first.
fn record(connection: &Arc<dyn Connection>, webhook: &Webhook) -> Record {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &webhook.headers {
        headers.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let (uri, origin) = ("/in/shop".to_owned(), "https://hub.example.no".to_owned());
    let incoming = Incoming { method: http::Method::POST, uri, origin, headers, body: webhook.body.clone() };
    let verified = connection.proof(&[]).unwrap().check(incoming, Timestamp::now()).ok().unwrap();
    let changes = connection.changes(&verified).unwrap();
    changes.unwrap_or_else(|error| panic!("{}: {error}", webhook.topic)).pop().unwrap().record
}

fn each(bag: MoneyBag, mut check: impl FnMut(Money)) {
    check(bag.shop);
    check(bag.presentment);
}

/// No amount is finer than its currency, and none is in a third one.
fn check_digits(order: &Order) {
    let lines =
        order.lines.iter().flat_map(|it| [it.unit_price, it.total].into_iter().chain(it.taxes.iter().map(|tax| tax.amount)));
    let refunds =
        order.refunds.iter().flat_map(|it| it.lines.iter().flat_map(|line| [line.subtotal, line.tax]).chain([it.total]));
    let totals = &order.totals;
    let sums = [totals.grand, totals.tax, totals.subtotal, totals.discount, totals.shipping, totals.rounding, totals.refunded];
    for bag in lines.chain(refunds).chain(sums) {
        assert_eq!((bag.shop.currency, bag.presentment.currency), (order.currency, order.presentment_currency));
        each(bag, |money| {
            assert!(money.amount.normalize().scale() <= exponent(money.currency), "{}: {money}", order.number);
        });
    }
}

fn check_sum(order: &Order) {
    let residue = order.residue().unwrap();
    assert!(residue.shop.is_zero() && residue.presentment.is_zero(), "order {}: {residue:?}", order.number);
    check_digits(order);
    // What rounding may amount to: half a unit for every figure that was rounded.
    let figures = Decimal::from(order.lines.len() + order.lines.iter().map(|it| it.taxes.len()).sum::<usize>() + 3);
    each(order.totals.rounding, |money| {
        let most = figures * Decimal::new(5, exponent(money.currency) + 1);
        assert!(money.amount.abs() <= most, "order {}: {money} is no rounding", order.number);
    });
}

fn check_refund(refund: &Refund) {
    let paid_out = refund.transactions.iter().fold(Decimal::ZERO, |sum, it| sum + it.amount.amount);
    let same = refund.transactions.first().map(|it| it.amount.currency);
    let total = if same == Some(refund.total.shop.currency) { refund.total.shop } else { refund.total.presentment };
    if same.is_some() {
        assert_eq!(total.amount, paid_out, "refund {}", refund.id);
        assert!(refund.outstanding().unwrap().is_zero(), "refund {}", refund.id);
    }
}

/// The canonical order stands before refunds: the shop's total of now, and what went back.
fn check_against(order: &Order, shop: &OrderView) {
    if shop.cancelled {
        return;
    }
    let refunded: Decimal = order.refunds.iter().map(|it| it.total.shop.amount).sum();
    assert_eq!(refunded, shop.refunded, "order {}", order.number);
    assert_eq!(order.totals.grand.shop.amount - refunded, shop.current_total, "order {}", order.number);
}

async fn shop(options: Options) -> ShopifySim {
    ShopifySim::start(options).await.unwrap()
}

/// Every webhook that the shop wanted to send is read and checked; answers how many orders and refunds there were.
fn check_log(connection: &Arc<dyn Connection>, sim: &ShopifySim) -> (usize, usize) {
    let (mut orders, mut refunds) = (0, 0);
    for webhook in sim.webhook_log() {
        match record(connection, &webhook) {
            Record::Order(order) => {
                check_sum(&order);
                order.refunds.iter().for_each(check_refund);
                orders += 1;
            }
            Record::Refund(refund) => {
                check_refund(&refund);
                refunds += 1;
            }
            _ => {}
        }
    }
    (orders, refunds)
}

fn quiet(currency: Currency, seed: u64) -> Options {
    let topics =
        ["orders/create", "orders/updated", "orders/cancelled", "orders/paid", "refunds/create"].map(str::to_owned).into();
    let rate = match exponent(currency) {
        0 => Decimal::new(68, 3),
        3 => Decimal::new(33_512, 3),
        _ => Decimal::new(987, 3),
    };
    let other = if currency == Currency::SEK { Currency::EUR } else { Currency::SEK };
    Options { currency, seed, presentment: Some((other, rate)), topics: Some(topics), ..Options::default() }
}

#[tokio::test]
async fn hundreds_of_random_orders_with_edits_refunds_and_cancellations_add_up_in_every_currency() {
    let connection = connection();
    for (seed, currency) in (7..).zip(CURRENCIES) {
        // One of each number of decimals in depth.
        let many = if matches!(currency, Currency::NOK | Currency::JPY | Currency::KWD) { 200 } else { 30 };
        let sim = shop(quiet(currency, seed)).await;
        for number in 0..many {
            let id = sim.place_random_order().unwrap().id;
            // Refused where the order has nothing left to change.
            let _ = match number % 5 {
                0 => sim.edit_order_at_random(&id),
                1 | 2 => sim.refund_order_at_random(&id).and_then(|_| sim.refund_order_at_random(&id)).map(drop),
                3 => sim.edit_order_at_random(&id).and_then(|()| sim.refund_order_at_random(&id)).map(drop),
                _ => sim.cancel_order(&id, "customer"),
            };
        }
        let (orders, refunds) = check_log(&connection, &sim);
        assert!(orders > many && 2 * refunds > many, "{orders} orders and {refunds} refunds in {}", currency.code());
    }
}

/// Everything at once: both discounts, shipping with its own, a tip.
fn everything(taxes_included: bool, presentment: bool) -> OrderSpec {
    OrderSpec {
        taxes_included,
        presentment,
        discounts: vec![Reduction::Percentage(Decimal::from(13)), Reduction::Fixed(Decimal::new(9_999, 2))],
        shipping: Some(Decimal::new(14_935, 2)),
        shipping_discount: Some(Reduction::Percentage(Decimal::from(33))),
        tip: Decimal::new(2_550, 2),
        ..OrderSpec::of([("SKU-0003", 3), ("SKU-0010", 1), ("SKU-0021", 7)])
    }
}

#[tokio::test]
async fn an_order_refunded_piece_by_piece_is_worth_what_it_was_until_the_last() {
    let connection = connection();
    for currency in CURRENCIES {
        for (taxes_included, presentment) in [(true, false), (false, false), (true, true), (false, true)] {
            let sim = shop(quiet(currency, 3)).await;
            let id = sim.place_order(&everything(taxes_included, presentment)).unwrap().id;
            let newest = |topic: &str| sim.webhook_log().into_iter().rev().find(|it| it.topic == topic).unwrap();
            let Record::Order(placed) = record(&connection, &newest("orders/create")) else { panic!("no order") };
            check_sum(&placed);
            for (line, quantity) in [(0, 1), (2, 2), (0, 1), (1, 1), (2, 5), (0, 1)] {
                let spec =
                    RefundSpec { lines: vec![(line, quantity)], shipping: line == 1, restock: Restock::Return, note: None };
                sim.refund_order(&id, &spec).unwrap();
                let Record::Order(order) = record(&connection, &newest("orders/updated")) else { panic!("no order") };
                check_sum(&order);
                order.refunds.iter().for_each(check_refund);
                check_against(&order, &sim.order(&id).unwrap());
                assert_eq!(order.totals.grand, placed.totals.grand, "{} {taxes_included} {presentment}", currency.code());
                assert!(order.lines.iter().all(|it| it.kind == LineKind::Physical));
            }
        }
    }
}
