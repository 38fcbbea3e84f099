//! `set_stock`: absolute quantities, a hundred at a time. WooCommerce has one stock, and cannot compare and set.

use super::catalogue::{MAX, Outcome};
use crate::{Woocommerce, wire::product::Product};
use serde::Serialize;
use spindel_connect::{Api, Ask, CallError, PerformBatch, Repeat};
use spindel_model::{Decimal, SetStock};

const OPERATION: &str = "set_stock";

#[derive(Serialize)]
struct Fields {
    manage_stock: bool,
    stock_quantity: i64,
}

impl PerformBatch<SetStock> for Woocommerce {
    /// The quantity is set, not added.
    const REPEAT: Repeat = Repeat::Harmless;
    const MAX: usize = MAX;

    async fn perform_batch(&self, api: &Api, asks: &[Ask<'_, SetStock>]) -> Vec<Outcome> {
        self.write_items(api, OPERATION, asks, |verb| verb.stock.sku.as_deref(), |ask, item| self.stock_of(ask, item)).await
    }
}

impl Woocommerce {
    fn stock_of(&self, ask: &Ask<'_, SetStock>, item: &Product) -> Result<Option<Fields>, CallError> {
        let stock = &ask.verb.stock;
        self.check_location(ask)?;
        let available = stock.available.ok_or_else(|| CallError::data(OPERATION, "the stock level has no quantity"))?;
        let quantity = whole(available)
            .ok_or_else(|| CallError::data(OPERATION, format!("WooCommerce takes whole quantities only, not {available}")))?;
        let now = item.stock_quantity.0.filter(|_| item.tracks_stock());
        if now == Some(Decimal::from(quantity)) {
            return Ok(None);
        }
        if let (Some(expected), Some(now)) = (ask.verb.expected, now)
            && now != Decimal::from(expected)
        {
            let message = format!("the shop has {} and not {expected} as expected: it was left as it is", now.normalize());
            return Err(CallError::data(OPERATION, message));
        }
        Ok(Some(Fields { manage_stock: true, stock_quantity: quantity }))
    }

    /// The quantities of two places would overwrite each other.
    fn check_location(&self, ask: &Ask<'_, SetStock>) -> Result<(), CallError> {
        let theirs = &ask.verb.stock.location;
        let ours = ask.maps.translate(OPERATION, "location", theirs)?;
        if ours == self.shop.location {
            return Ok(());
        }
        let own = &self.shop.location;
        Err(CallError::config(
            OPERATION,
            format!(
                "WooCommerce has one stock, here called `{own}`; add `\"{theirs}\" = \"{own}\"` to [maps.location] for the one place that it mirrors"
            ),
        ))
    }
}

fn whole(quantity: Decimal) -> Option<i64> {
    quantity.is_integer().then(|| i64::try_from(quantity.trunc()).ok()).flatten()
}
