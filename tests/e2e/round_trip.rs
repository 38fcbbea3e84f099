//! Money from end to end: random orders in currencies with and without cents, taxes included and on top, discounted, tipped and
//! partly given back. What the shop says an order costs is what the ERP has, to the smallest unit.

use crate::world::{FLOWS, World, seed, wait_for};
use rust_decimal::Decimal;
use spindel_model::{Currency, exponent};
use spindel_simulators::{odoo::Order, shopify::Options};
use std::{collections::BTreeMap, time::Duration};

const ORDERS: usize = 60;
const WITHIN: Duration = Duration::from_secs(120);

fn options(currency: Currency, taxes_included: Option<bool>) -> Options {
    let in_sek = match currency {
        Currency::EUR => Decimal::new(11_37, 2),
        Currency::JPY => Decimal::new(668, 4),
        _ => Decimal::new(987, 3),
    };
    Options { currency, taxes_included, presentment: Some((Currency::SEK, in_sek)), seed: seed(), ..Options::plus() }
}

/// Places the orders; some of what is bought is given back.
fn trade(world: &World) {
    let shop = &world.pair.shop;
    for number in 0..ORDERS {
        let order = shop.place_random_order().unwrap();
        for _ in 0..number % 3 {
            // Nothing may be left to give back.
            let _ = shop.refund_order_at_random(&order.id);
        }
    }
    let given_back = shop.orders().iter().filter(|it| !it.refunded.is_zero()).count();
    assert!(given_back > ORDERS / 4, "{given_back}");
}

/// In the smallest unit of its currency, what the lines of an order come to beside its total, and what of it is booked as
/// rounding. An ERP rounds each tax once for all lines, so that they need not add up; but by no more than that.
fn check_lines(order: &Order) {
    let currency: Currency = order.currency.parse().unwrap();
    let unit = Decimal::new(1, exponent(currency));
    let most = unit * Decimal::from(2 * order.lines.len() + 1);
    let lines: Decimal = order.lines.iter().map(|it| it.total).sum();
    assert!((order.amount_total - lines).abs() <= most, "{order:#?}");
    let rounding: Decimal = order.lines.iter().filter(|it| it.sku == "ROUNDING").map(|it| it.total).sum();
    assert!(rounding.abs() <= most, "a difference this large is no rounding: {order:#?}");
    for amount in [order.amount_total, order.amount_tax, order.amount_untaxed] {
        assert_eq!(amount, amount.round_dp(exponent(currency)), "{order:#?}");
    }
}

async fn goes_there_and_back(currency: Currency, taxes_included: bool) {
    let world = World::start(FLOWS, options(currency, Some(taxes_included))).await;
    trade(&world);
    world.wait_until_clean(WITHIN).await;
    let account = world.pair.account();
    assert_eq!((account.in_shop, account.right), (ORDERS, ORDERS));
    let booked = world.pair.erp.orders();
    assert!(booked.iter().all(|it| it.currency == currency.code()));
    booked.iter().for_each(check_lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn kroner_with_taxes_included_are_the_same_at_both_ends() {
    goes_there_and_back(Currency::NOK, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kroner_with_taxes_on_top_are_the_same_at_both_ends() {
    goes_there_and_back(Currency::NOK, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn euros_with_taxes_included_are_the_same_at_both_ends() {
    goes_there_and_back(Currency::EUR, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn euros_with_taxes_on_top_are_the_same_at_both_ends() {
    goes_there_and_back(Currency::EUR, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn yen_with_taxes_included_are_the_same_at_both_ends() {
    goes_there_and_back(Currency::JPY, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn yen_with_taxes_on_top_are_the_same_at_both_ends() {
    goes_there_and_back(Currency::JPY, false).await;
}

/// Books what the buyers saw, in whichever currency each of them bought.
#[tokio::test(flavor = "multi_thread")]
async fn what_buyers_saw_is_booked_where_the_books_are_kept_so() {
    let mut world = World::prepare(FLOWS, options(Currency::NOK, None)).await;
    let config = std::fs::read_to_string(world.config()).unwrap();
    let config = config.replace("connector = \"odoo\"\n", "connector = \"odoo\"\nbook_in = \"presentment\"\n");
    std::fs::write(world.config(), config).unwrap();
    world.launch();
    trade(&world);

    let wanted = || {
        let orders = world.pair.shop.orders().into_iter();
        orders.map(|it| (it.name, (it.current_total_presentment, it.presentment_currency))).collect::<BTreeMap<_, _>>()
    };
    let booked = || {
        let orders = spindel_simulators::roles::Erp::orders(&world.pair.erp).into_iter();
        orders.map(|it| (it.number, (it.total - it.credited, it.currency))).collect::<BTreeMap<_, _>>()
    };
    wait_for("the buyers' totals in the ERP", WITHIN, || booked() == wanted()).await;
    let in_sek = wanted().values().filter(|(_, currency)| currency == "SEK").count();
    assert!(in_sek > ORDERS / 10 && in_sek < ORDERS, "{in_sek}");
    world.pair.erp.orders().iter().for_each(check_lines);
}
