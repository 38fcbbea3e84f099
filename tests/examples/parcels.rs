//! `parcels.toml`: order → ERP → booking → label → fulfilment with tracking → states until delivered.

use crate::world::{Example, World};
use spindel_simulators::{
    bring::{self, BringSim, Consignment},
    pair::Pair,
    shopify::{self, OrderSpec},
};

struct Shop {
    pair: Pair,
    bring: BringSim,
    world: World,
}

async fn start() -> Shop {
    let pair = Pair::start(shopify::Options::default()).await.unwrap();
    let bring = BringSim::start(bring::Options::default()).await.unwrap();
    let carrier = bring::Options::default();
    let mut example = Example::of("parcels.toml");
    example.joins(&pair);
    example.set("connections.bring.base_url", bring.base_url()).set("connections.bring.api_uid", carrier.api_uid);
    example.secret("BRING_API_KEY", carrier.api_key).secret("BRING_WEBHOOK_SECRET", carrier.webhook_secret);
    let world = example.start().await;
    pair.shop.set_target(Some(&world.inbox("shop")));
    Shop { pair, bring, world }
}

impl Shop {
    fn booked(&self) -> Vec<Consignment> {
        self.bring.consignments()
    }
}

/// What the buyer was told, oldest first.
fn told(it: &Shop, order: &str) -> Vec<String> {
    it.pair.shop.order(order).unwrap().events.into_iter().map(|event| event.status).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_booked_labelled_sent_and_followed_to_the_door() {
    let it = start().await;
    let sku = it.pair.shop.skus()[0].clone();
    let order = it.pair.shop.place_order(&OrderSpec::of([(sku, 2)])).unwrap().id;
    it.world.until("the booking", || it.booked().len() == 1).await;
    let consignment = it.booked().remove(0);
    it.world.until("the tracking number in the shop", || !it.pair.shop.order(&order).unwrap().tracking.is_empty()).await;
    let shown = it.pair.shop.order(&order).unwrap();
    assert_eq!(shown.fulfilment_status.as_deref(), Some("fulfilled"));
    assert!(shown.tracking.iter().all(|(_, number)| consignment.has(number)), "{:?}", shown.tracking);
    it.world.until("the ERP to have it", || it.pair.account().is_clean()).await;

    // The label is there for whoever packs.
    let booking = it.world.delivered("booking").remove(0);
    let folder = tempfile::tempdir().unwrap();
    let saved = it.world.node.cli(&[
        "deliveries",
        "documents",
        booking["id"].as_str().unwrap(),
        "--save",
        folder.path().to_str().unwrap(),
    ]);
    assert!(!saved.as_array().unwrap().is_empty(), "{saved}");
    let label = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    assert!(std::fs::read(label).unwrap().starts_with(b"%PDF"));

    // By asking, with no webhook at all.
    it.bring.scan(&consignment.number, "IN_TRANSIT").unwrap();
    it.world.until("the shop to know that it is on its way", || told(&it, &order).iter().any(|it| it == "IN_TRANSIT")).await;
    // By webhook.
    it.bring.set_target(Some(&it.world.inbox("bring")));
    it.bring.scan(&consignment.number, "DELIVERED").unwrap();
    it.world.until("the shop to know that it arrived", || told(&it, &order).iter().any(|it| it == "DELIVERED")).await;
    it.world.until_all_is_delivered().await;
    let events = told(&it, &order);
    assert_eq!(events.iter().filter(|it| *it == "DELIVERED").count(), 1, "told once, however it was heard: {events:?}");
    assert_eq!(it.booked().len(), 1);
    assert_eq!(it.pair.shop.order(&order).unwrap().tracking.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bookings_whose_answers_are_lost_are_not_made_twice() {
    let it = start().await;
    it.bring.faults().next(spindel_simulators::fault::Fault::CutAfter, 3);
    let skus = it.pair.shop.skus();
    for sku in skus.iter().take(4) {
        it.pair.shop.place_order(&OrderSpec::of([(sku.clone(), 1)])).unwrap();
    }
    it.world.until("four bookings", || it.booked().len() >= 4).await;
    it.world.until("all four in the shop", || it.pair.shop.orders().iter().all(|order| !order.tracking.is_empty())).await;
    it.world.until_all_is_delivered().await;
    let mut references: Vec<String> = it.booked().into_iter().map(|it| it.reference).collect();
    references.sort();
    references.dedup();
    assert_eq!((references.len(), it.booked().len()), (4, 4));
}
