//! `payment-events.toml`: payments are told to shop and ERP; lapsing authorisations and disputes are told to people.

use crate::{
    sink::{SECRET, Sink},
    world::{Example, World},
};
use rust_decimal::Decimal;
use spindel_simulators::{
    pair::Pair,
    shopify::{self, OrderSpec, Placed},
    stripe::{self, StripeSim},
    vipps::{self, VippsSim},
};

struct Shop {
    pair: Pair,
    vipps: VippsSim,
    stripe: StripeSim,
    people: Sink,
    world: World,
}

/// Authorisations at Stripe lapse after `capture_days`; people are told two days before.
async fn start(capture_days: i64) -> Shop {
    let pair = Pair::start(shopify::Options::default()).await.unwrap();
    let vipps = VippsSim::start(vipps::Options::default()).await.unwrap();
    let stripe = StripeSim::start(stripe::Options { capture_days, ..stripe::Options::default() }).await.unwrap();
    let people = Sink::start().await;
    let mut example = Example::of("payment-events.toml");
    example.joins(&pair).stripe(&stripe).vipps(&vipps).map("payment", "stripe", "6").map("payment", "vipps", "6");
    // Until when an authorisation holds is told by asking.
    example.set("payments.every", "1s");
    example.set("connections.people.url", people.url.as_str()).secret("ALERTS_SECRET", SECRET);
    // The orders have to be in the ERP to be paid there.
    example.flow("orders", "shop", &["order.created", "order.updated", "order.paid"], "erp", "push_order");
    let world = example.start().await;
    pair.shop.set_target(Some(&world.inbox("shop")));
    vipps.set_target(Some(&world.inbox("vipps")));
    stripe.set_target(Some(&world.inbox("stripe")));
    Shop { pair, vipps, stripe, people, world }
}

impl Shop {
    /// An order that waits for its payment, and what it costs, in øre.
    async fn order(&self) -> (Placed, i64) {
        let sku = self.pair.shop.skus()[0].clone();
        let placed = self.pair.shop.place_order(&OrderSpec { paid: false, pending: true, ..OrderSpec::of([(sku, 1)]) }).unwrap();
        self.world
            .until("the order in the ERP", || self.pair.erp.orders().iter().any(|it| it.client_order_ref == placed.number))
            .await;
        let total = self.pair.shop.order(&placed.id).unwrap().current_total;
        (placed, i64::try_from((total * Decimal::ONE_HUNDRED).trunc()).unwrap())
    }

    fn is_paid(&self, order: &Placed) -> bool {
        self.pair.shop.order(&order.id).unwrap().financial_status == "paid"
    }

    fn booked(&self) -> Decimal {
        self.pair.erp.payments().iter().filter(|it| it.inbound).map(|it| it.amount).sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_makes_the_order_paid_in_the_shop_and_in_the_erp() {
    let it = start(7).await;
    let (first, total) = it.order().await;
    let reference = format!("acme-{}", first.number.trim_start_matches('#'));
    it.vipps.authorize(&reference, total, "NOK").unwrap();
    it.vipps.capture_by_hand(&reference, total).unwrap();
    it.world.until("the shop to know of Vipps", || it.is_paid(&first)).await;
    it.world.until("the ERP to know of Vipps", || it.booked() == Decimal::new(total, 2)).await;

    let (second, more) = it.order().await;
    let payment = it.stripe.authorize(more, "NOK", &[("order_number", &second.number)]);
    it.world.until("nothing left to do", || true).await;
    assert!(!it.is_paid(&second), "an authorisation is no payment");
    it.stripe.capture_by_hand(&payment, None).unwrap();
    it.world.until("the shop to know of Stripe", || it.is_paid(&second)).await;
    it.world.until("the ERP to know of Stripe", || it.booked() == Decimal::new(total + more, 2)).await;
    it.vipps.flush().await;
    it.stripe.flush().await;
    it.world.until_all_is_delivered().await;
    assert_eq!(it.booked(), Decimal::new(total + more, 2), "once, however often it was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_of_what_lapses_and_of_disputes() {
    let it = start(1).await;
    let ((first, total), (second, more)) = (it.order().await, it.order().await);
    let lapsing = it.stripe.authorize(total, "NOK", &[("order_number", &first.number)]);
    let captured = it.stripe.authorize(more, "NOK", &[("order_number", &second.number)]);
    it.stripe.capture_by_hand(&captured, None).unwrap();
    it.stripe.dispute(&captured, "fraudulent").unwrap();
    it.world.until("the dispute", || it.people.of("dispute.created").len() == 1).await;
    assert_eq!(it.people.of("dispute.created")[0]["reason"], "fraudulent");
    it.world.until("the warning", || !it.people.of("transaction.expiring").is_empty()).await;
    it.world.until_all_is_delivered().await;
    let warned = it.people.of("transaction.expiring");
    let payments: Vec<&str> = warned.iter().filter_map(|it| it["transaction"]["reference"].as_str()).collect();
    assert_eq!(payments, [lapsing.as_str()], "{warned:?}");
}
