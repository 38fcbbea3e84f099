//! WooCommerce as the shop of a day. Nothing of an order can be edited; refunds are told only when they are asked for.

use super::{OrderSpec, OrderView, Refused, WoocommerceSim};
use crate::{
    fault::Faults,
    roles::{Forged, Goods, Joint, Later, Manners, Placed, Sent, Shop, Sold, Till, Vendor, secret},
};
use rand::{RngExt as _, rngs::StdRng, seq::IndexedRandom as _};
use rust_decimal::Decimal;
use serde_json::Value;
use std::{collections::HashSet, io, path::Path};

/// The shop's own way to be paid.
const OWN: &str = "bacs";
/// Where the hub keeps what it knows of a parcel.
const TRACKED: &str = "_spindel_tracking_";

impl Vendor for WoocommerceSim {
    fn connector(&self) -> &'static str {
        "woocommerce"
    }

    fn join(&self, folder: &Path) -> io::Result<Joint> {
        let options = self.shop.with(|state| state.options.clone());
        let consumer_key = secret(folder, "consumer_key", &options.consumer_key)?;
        let consumer_secret = secret(folder, "consumer_secret", &options.consumer_secret)?;
        let webhook_secret = secret(folder, "webhook_secret", &options.webhook_secret)?;
        let (url, currency, included) = (self.base_url(), options.currency, options.prices_include_tax);
        let settings = format!(
            r#"url = "{url}"
consumer_key = {consumer_key}
consumer_secret = {consumer_secret}
webhook_secret = {webhook_secret}
currency = "{currency}"
prices_include_tax = {included}
reserving_methods = ["stripe", "klarna", "vipps"]
"#
        );
        Ok(Joint { settings, ..Joint::default() })
    }

    fn faults(&self) -> Faults {
        self.faults()
    }

    fn tell(&self, addresses: &[String]) {
        if let Some(address) = addresses.first() {
            self.set_target(address);
        }
    }
}

impl Shop for WoocommerceSim {
    fn manners(&self) -> Manners {
        Manners { refunds_are_polled: true, one_word_for_all: true, ..Manners::default() }
    }

    fn goods(&self) -> Vec<Goods> {
        let price = |sku: &str| self.price(sku).and_then(|it| it.parse().ok()).unwrap_or_default();
        self.skus().into_iter().map(|sku| Goods { title: sku.clone(), price: price(&sku), sku }).collect()
    }

    fn place(&self, rng: &mut StdRng, till: Till<'_>) -> Result<Placed, String> {
        let mut spec = random_order(rng, &self.skus());
        if let Till::Provider(provider) = till {
            spec.paid = false;
            provider.connector().clone_into(&mut spec.payment_method);
        }
        let words = |Refused(why)| why;
        let placed = self.place_order(&spec).map_err(words)?;
        let placed = Placed { id: placed.id, number: placed.number };
        if let Till::Provider(provider) = till {
            let total = WoocommerceSim::order(self, &placed.id).map(|it| it.total).unwrap_or_default();
            let currency = self.shop.with(|state| state.options.currency.clone());
            let payment = provider.hold(&placed, total, &currency)?;
            self.pay_order_by(&placed.id, &payment).map_err(words)?;
        }
        Ok(placed)
    }

    fn edit(&self, _: &str) -> bool {
        false
    }

    fn trim(&self, _: &str) -> bool {
        false
    }

    fn cancel(&self, order: &str) -> bool {
        self.cancel_order(order).is_ok()
    }

    fn take_back(&self, rng: &mut StdRng, order: &str, _: Till<'_>) -> bool {
        let Some(view) = WoocommerceSim::order(self, order) else { return false };
        // One of a kind, and only once: what was given back of a line is not told.
        let skus: Vec<&str> = lines(&view).iter().filter_map(|it| it["sku"].as_str()).collect();
        let Some(sku) = skus.choose(rng).filter(|_| view.refunded.is_zero() && view.paid) else { return false };
        self.refund_item(order, sku, 1).is_ok()
    }

    fn fulfil(&self, order: &str) -> bool {
        self.complete_order(order).is_ok()
    }

    fn order(&self, order: &str) -> Option<Sold> {
        let currency = self.shop.with(|state| state.options.currency.clone());
        WoocommerceSim::order(self, order).map(|it| sold(it, &currency))
    }

    fn orders(&self) -> Vec<Sold> {
        let currency = self.shop.with(|state| state.options.currency.clone());
        WoocommerceSim::orders(self).into_iter().map(|it| sold(it, &currency)).collect()
    }

    /// It doubles nearly everything as it is.
    fn trouble(&self) {}

    fn flush(&self) -> Later<'_, Sent> {
        Box::pin(async {
            WoocommerceSim::flush(self).await;
            let all = WoocommerceSim::sent(self);
            let acknowledged = all.iter().filter(|it| it.status.is_some_and(|status| (200..300).contains(&status))).count();
            let different: HashSet<(&str, &[u8])> = all.iter().map(|it| (it.topic.as_str(), &it.body[..])).collect();
            let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            Sent { sent: count(all.len()), acknowledged: count(acknowledged), doubled: count(all.len() - different.len()) }
        })
    }

    fn forge(&self, n: usize) -> Later<'_, Forged> {
        Box::pin(async move {
            let forged = WoocommerceSim::forge(self, n).await;
            Forged { sent: forged.sent, accepted: forged.accepted }
        })
    }
}

/// One to three kinds, now and then with a coupon, freight or none.
fn random_order(rng: &mut StdRng, skus: &[String]) -> OrderSpec {
    let kinds = rng.random_range(1..=3);
    let lines: Vec<(&str, u32)> = skus.sample(rng, kinds).map(|sku| (sku.as_str(), 0)).collect();
    let lines: Vec<(&str, u32)> = lines.into_iter().map(|(sku, _)| (sku, rng.random_range(1..=4))).collect();
    OrderSpec {
        coupon: rng.random_bool(0.35).then(|| ("SOMMER".to_owned(), rng.random_range(1..=40))),
        shipping: if rng.random_bool(0.8) { Decimal::new(3_920, 2) } else { Decimal::ZERO },
        payment_method: OWN.to_owned(),
        ..OrderSpec::of(&lines)
    }
}

fn lines(order: &OrderView) -> &[Value] {
    order.json["line_items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn sold(order: OrderView, currency: &str) -> Sold {
    let meta = order.json["meta_data"].as_array().into_iter().flatten();
    let mut tracked = meta.filter(|it| it["key"].as_str().is_some_and(|key| key.starts_with(TRACKED)));
    let delivered = tracked.any(|it| it["value"]["state"] == "delivered");
    let held = order.json["payment_method"] != OWN;
    Sold {
        cancelled: order.status == "cancelled",
        worth: order.total,
        given_back: order.refunded,
        owed: order.total - order.refunded,
        currency: currency.to_owned(),
        paid: order.paid,
        payment: order.transaction_id.filter(|_| held),
        sent: !order.json["date_completed_gmt"].is_null(),
        delivered,
        id: order.id,
        number: order.number,
    }
}
