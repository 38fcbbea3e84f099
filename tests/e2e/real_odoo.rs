//! The same flows into a real Odoo, where one is named by `SPINDEL_ODOO_URL` and `SPINDEL_ODOO_KEY`.

mod peer;

use crate::world::{FLOWS, World, seed, wait_for};
use peer::{Booked, DATABASE, Peer};
use spindel_model::{Clock, Decimal};
use spindel_simulators::shopify::{Options, OrderSpec, OrderView, Reduction, RefundSpec, Restock, ShopifySim};
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

const ORDERS: usize = 26;
const SERVICES: [&str; 4] = ["SHIPPING", "DISCOUNT", "ROUNDING", "CHARGE"];

/// The two ways in which the same orders are booked: connection and `book_in`.
const BOOKS: [(&str, &str); 2] = [("erp", "shop"), ("erp_buyer", "presentment")];

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stderr)]
async fn real_odoo_has_every_order_once_and_equal_to_the_minor_unit_in_the_shops_and_in_the_buyers_currency() {
    let Some(peer) = Peer::from_environment() else {
        eprintln!("skipped: SPINDEL_ODOO_URL and SPINDEL_ODOO_KEY name no Odoo (`scripts/test --peers` installs one)");
        return;
    };
    let mut world = World::prepare("", Options { seed: seed(), ..Options::default() }).await;
    // Odoo keeps what earlier runs wrote, and the shop counts from #1001 again.
    let run = format!("e2e_{}", Clock::system().now().as_second());
    write_config(&world, &peer, &run).await;
    let newest = peer.newest_order().await;
    world.launch();

    let edited_late = trade(&world.pair.shop);
    let sent = world.pair.shop.flush().await;
    assert_eq!(sent.given_up, 0, "{}", world.log());
    wait_until_delivered(&world).await;

    let orders = world.pair.shop.orders();
    let mut account = Account::default();
    for (connection, book_in) in BOOKS {
        let booked = peer.orders(&format!("{run}_{connection}")).await;
        account.compare(&orders, book_in, booked, &edited_late);
    }
    let numbers: Vec<String> = orders.iter().map(|it| it.name.clone()).collect();
    assert_eq!(peer.strays(newest, &numbers).await, 0, "orders of this run stand in Odoo under no external id");
    eprintln!("{account}");
    assert!(account.differences.is_empty(), "the shop and Odoo differ:\n{}", account.differences.join("\n"));
    // Both currencies, cancellations and credit notes were really among them.
    assert!(account.in_shop_currency > ORDERS && account.in_other_currency >= 4, "{account}");
    assert!(account.cancelled == 12 && account.credited >= 16 && account.books_compared >= 12, "{account}");
}

/// A shop, and Odoo twice: in the shop's currency, and in the buyer's. Each has external ids of its own.
async fn write_config(world: &World, peer: &Peer, run: &str) {
    peer.products(&world.pair.shop.variants(), &SERVICES).await;
    let pricelists = format!("NOK = {}, SEK = {}", peer.pricelist("NOK").await, peer.pricelist("SEK").await);
    let folder = world.folder.path();
    std::fs::write(folder.join("odoo_key"), &peer.key).unwrap();
    let (folder, listen, shop, url) = (folder.display(), world.address, world.pair.shop.base_url(), &peer.url);
    let mut config = format!(
        r#"[server]
listen = "{listen}"

[store]
url = "sqlite://{folder}/spindel.db"

[outbound]
allow = ["127.0.0.0/8"]

[connections.shop]
connector = "shopify"
shop = "example.myshopify.com"
client_id = "client-id"
client_secret = {{ file = "{folder}/client_secret" }}
base_url = "{shop}"

[maps.tax]
"NO/25/included" = "{}"
"NO/15/included" = "{}"
"NO/25/excluded" = "{}"
"NO/15/excluded" = "{}"
"#,
        peer.tax(25, true).await,
        peer.tax(15, true).await,
        peer.tax(25, false).await,
        peer.tax(15, false).await,
    );
    for (connection, book_in) in BOOKS {
        config += &format!(
            r#"
[connections.{connection}]
connector = "odoo"
url = "{url}"
database = "{DATABASE}"
api_key = {{ file = "{folder}/odoo_key" }}
book_in = "{book_in}"
namespace = "{run}_{connection}"
pricelists = {{ {pricelists} }}
shipping_product = "SHIPPING"
discount_product = "DISCOUNT"
rounding_product = "ROUNDING"
charge_product = "CHARGE"
timeout = "30s"

"#
        );
        config += &FLOWS.replace("\"erp\"", &format!("\"{connection}\"")).replace("[flows.", &format!("[flows.{connection}_"));
    }
    std::fs::write(world.config(), config).unwrap();
}

/// A day in the shop. Answers the orders that were edited after a refund, when they were already invoiced.
fn trade(shop: &ShopifySim) -> HashSet<String> {
    let mut edited_late = HashSet::new();
    for number in 0..ORDERS {
        let placed = if number < 8 { shop.place_order(&everything(shop, number)) } else { shop.place_random_order() };
        let id = placed.unwrap().id;
        match number % 8 {
            0 | 6 => shop.edit_order_at_random(&id).unwrap(),
            1 => refund(shop, &id),
            2 => shop.cancel_order(&id, "customer").unwrap(),
            3 => {
                shop.edit_order_at_random(&id).unwrap();
                refund_with_shipping(shop, &id);
            }
            4 => {
                refund(shop, &id);
                shop.edit_order_at_random(&id).unwrap();
                edited_late.insert(id);
            }
            5 => {
                refund(shop, &id);
                shop.cancel_order(&id, "customer").unwrap();
            }
            _ => {}
        }
    }
    edited_late
}

/// Everything an order can have: discounts of both kinds, shipping with its own, a tip; every pair of taxes and currency.
fn everything(shop: &ShopifySim, number: usize) -> OrderSpec {
    let skus = shop.skus();
    let lines = [(number, 3), (number + 9, 1), (number + 21, 7)].map(|(at, quantity)| (skus[at % skus.len()].clone(), quantity));
    OrderSpec {
        taxes_included: number.is_multiple_of(2),
        discounts: vec![Reduction::Percentage(Decimal::from(13)), Reduction::Fixed(Decimal::new(9_999, 2))],
        shipping: Some(Decimal::new(14_935, 2)),
        shipping_discount: Some(Reduction::Percentage(Decimal::from(33))),
        tip: Decimal::new(2_550, 2),
        presentment: number % 4 > 1,
        ..OrderSpec::of(lines)
    }
}

/// Refused where discounts left nothing to pay; how many succeeded is seen in Odoo.
fn refund(shop: &ShopifySim, id: &str) {
    let _ = shop.refund_order_at_random(id);
}

/// One piece, if any is left, and all of the shipping.
fn refund_with_shipping(shop: &ShopifySim, id: &str) {
    // Refused where it is paid already.
    let _ = shop.capture_order(id);
    let open = shop.order(id).unwrap().lines.iter().position(|line| line.current_quantity > 0);
    let lines = open.map(|line| (line, 1)).into_iter().collect();
    let _ = shop.refund_order(id, &RefundSpec { lines, shipping: true, restock: Restock::Return, note: None });
}

async fn wait_until_delivered(world: &World) {
    wait_for("every event planned", Duration::from_secs(60), || {
        world.cli(&["events", "list", "--state", "accepted", "--limit", "1"]).as_array().unwrap().is_empty()
    })
    .await;
    let quarantined = world.cli(&["events", "list", "--state", "quarantined"]);
    assert!(quarantined.as_array().unwrap().is_empty(), "{quarantined:#}");
    let until = Instant::now() + Duration::from_secs(420);
    loop {
        let open = world.cli(&["deliveries", "list", "--undelivered", "--limit", "20"]);
        let open = open.as_array().unwrap();
        if open.is_empty() {
            return;
        }
        let stuck = world.deliveries("dead,paused,held,conflict");
        assert!(stuck.is_empty(), "not delivered: {stuck:#?}\n{}", world.log());
        assert!(Instant::now() < until, "still not delivered: {open:#?}\n{}", world.log());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The account of both ends.
#[derive(Default)]
struct Account {
    in_shop_currency: usize,
    in_other_currency: usize,
    cancelled: usize,
    /// With at least one credit note.
    credited: usize,
    /// Whose invoices less credit notes were held against the shop, too.
    books_compared: usize,
    differences: Vec<String>,
}

impl Account {
    fn compare(
        &mut self,
        orders: &[OrderView],
        book_in: &str,
        mut booked: HashMap<String, Vec<Booked>>,
        edited_late: &HashSet<String>,
    ) {
        for order in orders {
            let found = booked.remove(&format!("shop_order_{}", order.id)).unwrap_or_default();
            match &found[..] {
                [only] => {
                    let differences = self.judge(order, book_in, only, !edited_late.contains(&order.id));
                    self.differences.extend(
                        differences
                            .iter()
                            .map(|it| format!("{} ({}), booked in {book_in}: {it}\n  {only:?}", order.name, order.id)),
                    );
                }
                many => self.differences.push(format!("{}, booked in {book_in}: {} times in Odoo", order.name, many.len())),
            }
        }
        self.differences.extend(booked.into_keys().map(|name| format!("{name}, booked in {book_in}: unknown to the shop")));
    }

    fn judge(&mut self, order: &OrderView, book_in: &str, odoo: &Booked, invoiced_last: bool) -> Vec<String> {
        let (owed, currency) = match book_in {
            "shop" => (order.current_total, &order.currency),
            _ => (order.current_total_presentment, &order.presentment_currency),
        };
        if *currency == order.currency {
            self.in_shop_currency += 1
        } else {
            self.in_other_currency += 1
        }
        self.cancelled += usize::from(order.cancelled);
        self.credited += usize::from(!odoo.credited_in.is_empty());

        let mut differences = Vec::new();
        let mut expect = |what: &str, shop: String, odoo: String| {
            if shop != odoo {
                differences.push(format!("{what}: the shop says {shop}, Odoo {odoo}"));
            }
        };
        let money = |amount: Decimal| format!("{} {currency}", amount.normalize());
        expect("state", if order.cancelled { "cancel" } else { "sale" }.into(), odoo.state.clone());
        expect("currency", currency.clone(), odoo.currency.clone());
        for credited_in in &odoo.credited_in {
            expect("currency of a credit note", currency.clone(), credited_in.clone());
        }
        // What the lines of a cancelled order say is history.
        if !order.cancelled {
            expect("total less credit notes", money(owed), money(odoo.total - odoo.credited));
        }
        // The books, where nothing was sold or taken back after the invoice, and money was really paid.
        if let Some(invoiced) = odoo.invoiced.filter(|_| invoiced_last && order.financial_status != "voided") {
            self.books_compared += 1;
            expect("invoices less credit notes", money(owed), money(invoiced - odoo.credited));
        }
        differences
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { in_shop_currency, in_other_currency, cancelled, credited, books_compared, differences } = self;
        write!(
            f,
            "compared: {in_shop_currency} bookings in the shop's currency, {in_other_currency} in another; \
             {cancelled} cancelled, {credited} with credit notes, {books_compared} by their invoices too; {} differences",
            differences.len()
        )
    }
}
