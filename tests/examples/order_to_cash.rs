//! `order-to-cash.toml`: the order is in the ERP, what was sent is captured, a refund goes back and is credited; once, and the
//! same amount at all ends.

use crate::world::{Example, World};
use rust_decimal::Decimal;
use spindel_simulators::{
    odoo::{self, OdooSim, Product},
    stripe::{self, StripeSim},
    woocommerce::{self, OrderSpec, WoocommerceSim},
};

struct Shop {
    shop: WoocommerceSim,
    erp: OdooSim,
    stripe: StripeSim,
    world: World,
}

/// Everything the shop sells is known to the ERP.
async fn start() -> Shop {
    let shop = WoocommerceSim::start(woocommerce::Options::default()).await.unwrap();
    let goods = shop.skus().into_iter().map(|sku| Product::goods(&sku, &sku, Decimal::new(100, 0)));
    let services = ["SHIPPING", "DISCOUNT", "ROUNDING", "CHARGE"].map(|sku| Product::service(sku, sku, Decimal::ZERO));
    let erp =
        OdooSim::start(odoo::Options { products: goods.chain(services).collect(), ..odoo::Options::default() }).await.unwrap();
    let stripe = StripeSim::start(stripe::Options::default()).await.unwrap();
    let mut example = Example::of("order-to-cash.toml");
    example.woocommerce(&shop).erp(&erp).stripe(&stripe).map("payment", "stripe", "6");
    let world = example.start().await;
    shop.set_target(&world.inbox("shop"));
    stripe.set_target(Some(&world.inbox("stripe")));
    Shop { shop, erp, stripe, world }
}

impl Shop {
    /// An order, and the money for it held at the provider; answers its number and the payment.
    fn sell(&self, spec: &OrderSpec) -> (String, String) {
        let order = self.shop.place_order(&OrderSpec { paid: false, ..spec.clone() }).unwrap().number;
        let payment = self.stripe.authorize(self.total(&order), "NOK", &[("order_number", &order)]);
        self.shop.pay_order_by(&order, &payment).unwrap();
        (order, payment)
    }

    /// In øre.
    fn total(&self, order: &str) -> i64 {
        minor(self.shop.order(order).unwrap().total)
    }

    fn in_erp(&self, order: &str) -> Vec<odoo::Order> {
        self.erp.orders().into_iter().filter(|it| it.client_order_ref.trim_start_matches('#') == order).collect()
    }

    fn credited(&self) -> i64 {
        self.erp.credit_notes().into_iter().filter(|it| it.state == "posted").map(|it| minor(it.amount)).sum()
    }
}

fn minor(amount: Decimal) -> i64 {
    i64::try_from((amount * Decimal::ONE_HUNDRED).normalize().trunc()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sold_sent_and_given_back_is_the_same_amount_at_all_ends() {
    let it = start().await;
    let skus = it.shop.skus();
    let spec = OrderSpec { coupon: Some(("NI".into(), 9)), ..OrderSpec::of(&[(&skus[0], 2), (&skus[1], 3)]) };
    let (order, payment) = it.sell(&spec);
    it.world.until("the order in the ERP", || it.in_erp(&order).len() == 1).await;
    assert_eq!(minor(it.in_erp(&order)[0].amount_total), it.total(&order));
    assert_eq!(it.stripe.payment(&payment).unwrap().captured, 0, "nothing was sent yet");

    it.shop.complete_order(&order).unwrap();
    it.world.until("the capture", || it.stripe.payment(&payment).unwrap().captured == it.total(&order)).await;
    let booked = || it.erp.payments().iter().filter(|it| it.inbound).map(|it| minor(it.amount)).sum::<i64>();
    it.world.until("the payment in the ERP", || booked() == it.total(&order)).await;

    it.shop.refund_item(&order, &skus[1], 1).unwrap();
    let refunded = || minor(it.shop.order(&order).unwrap().refunded);
    it.world.until("the refund at the provider", || it.stripe.payment(&payment).unwrap().refunded == refunded()).await;
    it.world.until("the credit note", || it.credited() == refunded()).await;
    assert!(refunded() > 0);

    // Everything once more, as vendors do.
    it.stripe.flush().await;
    it.shop.flush().await;
    it.world.until_all_is_delivered().await;
    assert_eq!((it.in_erp(&order).len(), it.erp.credit_notes().len(), booked()), (1, 1, it.total(&order)));
    let paid = it.stripe.payment(&payment).unwrap();
    assert_eq!((paid.captured, paid.refunded), (it.total(&order), refunded()));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_capture_and_refund_once() {
    let it = start().await;
    let skus = it.shop.skus();
    let sold: Vec<(String, String)> = (0..6).map(|n| it.sell(&OrderSpec::of(&[(&skus[n % skus.len()], 2)]))).collect();
    it.world.until("the orders in the ERP", || sold.iter().all(|(order, _)| it.in_erp(order).len() == 1)).await;
    it.stripe.faults().next(spindel_simulators::fault::Fault::CutAfter, 4);
    for (order, _) in &sold {
        it.shop.complete_order(order).unwrap();
    }
    let all = |holds: &dyn Fn(&str, &str) -> bool| sold.iter().all(|(order, payment)| holds(order, payment));
    it.world
        .until("the captures", || all(&|order, payment| it.stripe.payment(payment).unwrap().captured == it.total(order)))
        .await;
    it.stripe.faults().next(spindel_simulators::fault::Fault::CutAfter, 4);
    for (order, _) in &sold {
        it.shop.refund_order(order, Decimal::new(1000, 2)).unwrap();
    }
    it.world.until("the refunds", || all(&|_, payment| it.stripe.payment(payment).unwrap().refunded == 1000)).await;
    it.world.until_all_is_delivered().await;
    assert!(all(&|_, payment| it.stripe.payment(payment).unwrap().refunded == 1000));
    it.world.until("the credit notes", || it.credited() == 6000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_order_lets_go_of_the_money() {
    let it = start().await;
    let (order, payment) = it.sell(&OrderSpec::of(&[(&it.shop.skus()[0], 1)]));
    it.world.until("the order in the ERP", || it.in_erp(&order).len() == 1).await;
    it.shop.cancel_order(&order).unwrap();
    it.world.until("the authorisation to be let go", || it.stripe.payment(&payment).unwrap().state == "canceled").await;
    it.world.until("the ERP to know", || it.in_erp(&order)[0].state == "cancel").await;
    it.world.until_all_is_delivered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_erp_sends_is_captured_and_not_again_when_the_shop_is_done() {
    let it = start().await;
    let (order, payment) = it.sell(&OrderSpec::of(&[(&it.shop.skus()[0], 1)]));
    it.world.until("the order in the ERP", || it.in_erp(&order).len() == 1).await;
    let reference = it.in_erp(&order)[0].client_order_ref.clone();
    assert!(it.erp.ship(&reference, "Bring", "370000000000001234"));
    it.world.until("the capture", || it.stripe.payment(&payment).unwrap().captured == it.total(&order)).await;
    it.shop.complete_order(&order).unwrap();
    it.world.until("the second capture to find nothing left", || it.world.delivered("capture").len() == 1).await;
    it.world.until_all_is_delivered().await;
    let paid = it.stripe.payment(&payment).unwrap();
    assert_eq!((paid.captured, paid.refunded), (it.total(&order), 0));
}
