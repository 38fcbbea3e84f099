//! `set_price`: regular price, sale price and the days of the sale, a hundred at a time.

use super::catalogue::{MAX, Outcome};
use crate::{
    Woocommerce,
    wire::{self, product::Product},
};
use serde::Serialize;
use spindel_connect::{Api, Ask, CallError, PerformBatch, Repeat};
use spindel_model::{Money, Price, SetPrice, Timestamp};

const OPERATION: &str = "set_price";

/// "" takes away what stood there; null would leave it.
#[derive(Serialize)]
pub(super) struct Fields {
    regular_price: String,
    sale_price: String,
    date_on_sale_from_gmt: String,
    date_on_sale_to_gmt: String,
}

impl Fields {
    pub(super) fn of(amount: Money, compare_at: Option<Money>, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        let text = |money: Money| money.rounded().amount.to_string();
        let day = |at: Option<Timestamp>| at.filter(|_| compare_at.is_some()).map(wire::gmt).unwrap_or_default();
        Self {
            regular_price: text(compare_at.unwrap_or(amount)),
            sale_price: compare_at.map(|_| text(amount)).unwrap_or_default(),
            date_on_sale_from_gmt: day(from),
            date_on_sale_to_gmt: day(until),
        }
    }
}

impl PerformBatch<SetPrice> for Woocommerce {
    /// Prices are set.
    const REPEAT: Repeat = Repeat::Harmless;
    const MAX: usize = MAX;

    async fn perform_batch(&self, api: &Api, asks: &[Ask<'_, SetPrice>]) -> Vec<Outcome> {
        self.write_items(api, OPERATION, asks, |verb| Some(verb.price.sku.as_str()), |ask, item| self.price_of(ask, item)).await
    }
}

impl Woocommerce {
    fn price_of(&self, ask: &Ask<'_, SetPrice>, item: &Product) -> Result<Option<Fields>, CallError> {
        let price = &ask.verb.price;
        self.check_currency(OPERATION, price.amount)?;
        self.check_tax(price)?;
        if item.has_variations() {
            return Err(CallError::data(OPERATION, "the SKU is that of a product with variations: prices stand on these"));
        }
        // A price before that is no higher is no sale.
        let compare_at = price.compare_at.filter(|it| it.currency == price.amount.currency && it.amount > price.amount.amount);
        Ok((!is_so(price, compare_at, item)).then(|| Fields::of(price.amount, compare_at, price.sale_from, price.sale_until)))
    }

    pub(super) fn check_currency(&self, operation: &'static str, amount: Money) -> Result<(), CallError> {
        match self.shop.currency {
            Some(own) if own == amount.currency => Ok(()),
            Some(own) => Err(CallError::data(
                operation,
                format!("the price is in {} and the shop sells in {}", amount.currency.code(), own.code()),
            )),
            None => {
                Err(CallError::config(operation, "prices need `currency` in the connection's settings: the API does not say it"))
            }
        }
    }

    fn check_tax(&self, price: &Price) -> Result<(), CallError> {
        let with = |included: bool| if included { "include tax" } else { "exclude tax" };
        match self.shop.prices_include_tax {
            Some(own) if own == price.includes_tax => Ok(()),
            Some(own) => Err(CallError::data(
                OPERATION,
                format!(
                    "the source's prices {} and the shop's {}: choose a price list that fits",
                    with(price.includes_tax),
                    with(own)
                ),
            )),
            None => Err(CallError::config(OPERATION, "prices need `prices_include_tax` in the connection's settings")),
        }
    }
}

fn is_so(price: &Price, compare_at: Option<Money>, item: &Product) -> bool {
    let amount = |money: Money| Some(money.rounded().amount);
    let seconds = |at: Option<Timestamp>| at.map(Timestamp::as_second);
    let day = |at: Option<Timestamp>| seconds(at.filter(|_| compare_at.is_some()));
    item.regular_price.0 == amount(compare_at.unwrap_or(price.amount))
        && item.sale_price.0 == compare_at.and_then(|_| amount(price.amount))
        && seconds(item.date_on_sale_from_gmt.0) == day(price.sale_from)
        && seconds(item.date_on_sale_to_gmt.0) == day(price.sale_until)
}
