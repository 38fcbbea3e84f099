//! Shopify as the shop of a day. Where a provider takes the money, the shop only knows what the payment is called there.

use crate::{
    fault::Faults,
    roles::{Forged, Goods, Joint, Later, Manners, Placed, Sent, Shop, Sold, Till, Vendor, secret},
    shopify::{
        Delivery, Edit, Restock, ShopifySim,
        order::Order,
        pricing::Amount,
        refunds::RefundOrder,
        spec,
        state::{Refused, State, refuse},
    },
};
use rand::rngs::StdRng;
use std::{io, path::Path};

/// The shop's own gateway.
const OWN: &str = "bogus";

impl Vendor for ShopifySim {
    fn connector(&self) -> &'static str {
        "shopify"
    }

    fn join(&self, folder: &Path) -> io::Result<Joint> {
        let options = self.shop.with(|state| state.options.clone());
        let client_secret = secret(folder, "client_secret", &options.client_secret)?;
        let (shop, client_id, base_url) = (options.shop, options.client_id, self.base_url());
        let settings = format!(
            "shop = \"{shop}\"\nclient_id = \"{client_id}\"\nclient_secret = {client_secret}\nbase_url = \"{base_url}\"\n"
        );
        Ok(Joint { settings, ..Joint::default() })
    }

    fn faults(&self) -> Faults {
        self.faults()
    }

    fn tell(&self, addresses: &[String]) {
        self.set_targets(addresses.to_vec());
    }
}

impl Shop for ShopifySim {
    fn manners(&self) -> Manners {
        Manners { payment_is_read_back: true, came_back: Some("{ \"lines.restock\" = \"return\" }"), ..Manners::default() }
    }

    fn goods(&self) -> Vec<Goods> {
        let goods = self.variants().into_iter();
        goods.map(|it| Goods { sku: it.sku, title: it.title, price: it.price }).collect()
    }

    fn place(&self, _: &mut StdRng, till: Till<'_>) -> Result<Placed, String> {
        let placed = match till {
            Till::Shop => self.place_random_order().map(|it| Placed { id: it.id, number: it.number }),
            Till::Provider(provider) => self.shop.with(|state| {
                let mut spec = spec::random_order(state);
                (spec.paid, spec.presentment, spec.gateway) = (false, false, Some(provider.connector().to_owned()));
                let id = state.place(&spec)?;
                let order = state.order(id)?;
                let (placed, total) = (Placed { id: id.to_string(), number: order.name() }, order.placed.total.shop);
                if !total.is_zero() {
                    let reference = provider.hold(&placed, total, order.currencies.shop.code()).map_err(Refused)?;
                    state.name_payment(id, &reference);
                }
                Ok(placed)
            }),
        };
        placed.map_err(|Refused(why)| why)
    }

    fn edit(&self, order: &str) -> bool {
        self.edit_order_at_random(order).is_ok()
    }

    fn trim(&self, order: &str) -> bool {
        let lines = self.order(order).map(|it| it.lines).unwrap_or_default();
        let Some((line, it)) = lines.iter().enumerate().find(|(_, it)| it.current_quantity > 1) else { return false };
        self.edit_order(order, &[Edit::SetQuantity { line, quantity: it.current_quantity - 1 }]).is_ok()
    }

    fn cancel(&self, order: &str) -> bool {
        self.cancel_order(order, "customer").is_ok()
    }

    fn take_back(&self, _: &mut StdRng, order: &str, till: Till<'_>) -> bool {
        match till {
            Till::Shop => self.refund_order_at_random(order).is_ok(),
            Till::Provider(_) => self.shop.with(|state| state.take_back(super::number(order)?)).is_ok(),
        }
    }

    fn fulfil(&self, order: &str) -> bool {
        self.fulfil_order(order).is_ok()
    }

    fn order(&self, order: &str) -> Option<Sold> {
        self.shop.with(|state| state.orders.get(&super::number(order).ok()?).map(sold))
    }

    fn orders(&self) -> Vec<Sold> {
        self.shop.with(|state| state.orders.values().map(sold).collect())
    }

    fn trouble(&self) {
        self.set_delivery(Delivery { duplicates: 0.1, reorder_window: 8, drop: 0.0 });
    }

    fn flush(&self) -> Later<'_, Sent> {
        Box::pin(async {
            let sent = ShopifySim::flush(self).await;
            Sent { sent: sent.sent, acknowledged: sent.acknowledged, doubled: sent.duplicates_sent }
        })
    }

    fn forge(&self, n: usize) -> Later<'_, Forged> {
        Box::pin(async move {
            let forged = ShopifySim::forge(self, n).await;
            Forged { sent: forged.sent, accepted: forged.accepted }
        })
    }
}

impl State {
    /// The checkout learns it from the provider.
    fn name_payment(&mut self, order: u64, reference: &str) {
        let order = self.orders.get_mut(&order);
        if let Some(held) = order.and_then(|it| it.transactions.first_mut()) {
            reference.clone_into(&mut held.payment_id);
        }
    }

    /// Goods come back, and somebody else gives the money back.
    fn take_back(&mut self, id: u64) -> Result<(), Refused> {
        let location = self.main_location();
        if self.order(id)?.fulfilments.is_empty() {
            return refuse("nothing was sent that could come back");
        }
        let asked = spec::random_refund(self, id);
        if asked.lines.is_empty() {
            return refuse("all came back already");
        }
        let lines = asked.lines.into_iter().map(|(line, quantity)| (line, quantity, Restock::Return, Some(location)));
        let refund = RefundOrder { lines: lines.collect(), shipping: None, note: asked.note, payouts: Some(Vec::new()) };
        self.refund(id, refund).map(drop)
    }
}

fn sold(order: &Order) -> Sold {
    let back = |it: &crate::shopify::order::Refund| -> Amount {
        let lines: Amount = it.lines.iter().map(|line| line.worth.due(order.taxes_included)).sum();
        lines + it.shipping.due(order.taxes_included)
    };
    let given_back: Amount = order.refunds.iter().map(back).sum();
    let owed = order.current().total.shop;
    let held = order.transactions.first().filter(|it| it.gateway != OWN);
    let mut events = order.fulfilments.iter().flat_map(|it| &it.events);
    Sold {
        id: order.id.to_string(),
        number: order.name(),
        cancelled: order.cancelled_at.is_some(),
        worth: owed + given_back.shop,
        given_back: given_back.shop,
        owed,
        currency: order.currencies.shop.code().to_owned(),
        paid: !order.received().is_zero(),
        payment: held.map(|it| it.payment_id.clone()),
        sent: order.fulfilment_status() == Some("fulfilled"),
        delivered: events.any(|it| it.status == "DELIVERED"),
    }
}
