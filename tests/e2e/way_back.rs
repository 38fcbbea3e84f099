//! What changes in the ERP reaches the shop: stock, prices and parcels, found by polling; and payments on the way there.

use crate::world::{FLOWS, World, wait_for};
use rust_decimal::Decimal;
use spindel_simulators::shopify::{Options, OrderSpec};
use std::time::Duration;

const BACK: &str = r#"
[flows.payments]
from = "shop"
on = ["transaction.created"]
to = "erp"
do = "record_payment"
when = { "transaction.kind" = { in = ["sale", "capture"] }, "transaction.status" = "success" }
retry = { first = "200ms", factor = 2, max = "2s" }

[flows.stock]
from = "erp"
on = ["stock.changed"]
to = "shop"
do = "set_stock"
every = "1s"
when = { location = "WH/Stock" }

[flows.prices]
from = "erp"
on = ["price.changed"]
to = "shop"
do = "set_price"
every = "1s"
when = { "amount.amount" = { gt = "0.00" } }

[flows.shipments]
from = "erp"
on = ["shipment.updated"]
to = "shop"
do = "create_fulfilment"
every = "1s"
when = { state = "shipped" }
retry = { first = "200ms", factor = 2, max = "2s" }

[maps.payment]
"GATEWAY" = "6"

[maps.location]
"WH/Stock" = "gid://shopify/Location/LOCATION"
"#;

async fn world() -> World {
    let mut world = World::prepare("", Options::plus()).await;
    let location = world.pair.shop.locations()[0].clone();
    let back = BACK.replace("LOCATION", &location).replace("GATEWAY", "bogus");
    world.pair.write_config(world.folder.path(), world.address, "").unwrap();
    let config = std::fs::read_to_string(world.config()).unwrap();
    std::fs::write(world.config(), format!("{config}{FLOWS}{back}")).unwrap();
    world.launch();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_and_prices_of_the_erp_reach_the_shop() {
    let world = world().await;
    let (sku, location) = (world.pair.shop.skus()[0].clone(), world.pair.shop.locations()[0].clone());
    world.pair.erp.set_stock(&sku, "WH/Stock", 77);
    world.pair.erp.set_price(&sku, Decimal::new(12_345, 2));

    wait_for("the ERP's stock in the shop", Duration::from_secs(30), || world.pair.shop.stock(&sku, Some(&location)) == Some(77))
        .await;
    wait_for("the ERP's price in the shop", Duration::from_secs(30), || {
        world.pair.shop.variants().iter().any(|variant| variant.sku == sku && variant.price == Decimal::new(12_345, 2))
    })
    .await;
    // Written once, and not again at every poll.
    world.pair.erp.set_stock(&sku, "WH/Stock", 78);
    wait_for("the next stock in the shop", Duration::from_secs(30), || world.pair.shop.stock(&sku, Some(&location)) == Some(78))
        .await;
    let writes = world.pair.shop.stock_writes();
    assert_eq!(writes.iter().filter(|write| write.sku == sku).count(), 2, "{writes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parcel_of_the_erp_becomes_a_fulfilment_with_its_tracking_number() {
    let world = world().await;
    let sku = world.pair.shop.skus()[0].clone();
    let placed = world.pair.shop.place_order(&OrderSpec::of([(sku, 2)])).unwrap();
    world.wait_until_clean(Duration::from_secs(20)).await;

    assert!(world.pair.erp.ship(&placed.number, "Bring", "370000000000001234"));
    wait_for("the tracking number in the shop", Duration::from_secs(30), || {
        let order = world.pair.shop.order(&placed.id).unwrap();
        order.tracking.iter().any(|(_, number)| number == "370000000000001234")
    })
    .await;
    assert_eq!(world.pair.shop.order(&placed.id).unwrap().fulfilment_status.as_deref(), Some("fulfilled"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_the_shop_is_booked_once_in_the_erp() {
    let world = world().await;
    let sku = world.pair.shop.skus()[0].clone();
    let placed = world.pair.shop.place_order(&OrderSpec::of([(sku, 3)])).unwrap();
    let total = world.pair.shop.order(&placed.id).unwrap().current_total;
    wait_for("the payment in the ERP", Duration::from_secs(30), || {
        world.pair.erp.payments().iter().any(|payment| payment.amount == total)
    })
    .await;
    world.pair.shop.flush().await;
    wait_for("nothing undelivered", Duration::from_secs(20), || {
        world.cli(&["deliveries", "list", "--undelivered"]).as_array().unwrap().is_empty()
    })
    .await;
    assert_eq!(world.pair.erp.payments().len(), 1);
}
