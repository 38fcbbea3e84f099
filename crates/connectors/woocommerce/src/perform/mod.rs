//! What WooCommerce can be asked to do: one file for each action, and how an order is found.

mod cancel;
mod catalogue;
mod customer;
mod fulfilment;
mod payment;
mod price;
mod product;
mod refund;
mod stock;

use crate::{Woocommerce, wire::order};
use serde::Serialize;
use serde_json::{Value, json};
use spindel_connect::{Api, Around, CallError};
use spindel_model::{OrderRef, Performed, normalised_number};

impl Woocommerce {
    /// The order that is meant: the known link, else the one order of that number.
    ///
    /// The id within `wanted` is the source's and means nothing here.
    async fn order_of(
        &self,
        api: &Api,
        operation: &'static str,
        around: &Around<'_>,
        wanted: &OrderRef,
    ) -> Result<order::Order, CallError> {
        if let Some(known) = around.known {
            let found = self.find_order(api, operation, known).await?;
            return found.ok_or_else(|| CallError::gone(operation, "the order is no longer in the shop"));
        }
        let Some(number) = &wanted.number else {
            return Err(CallError::data(operation, "the order has neither a link to this shop nor a number"));
        };
        let wanted = normalised_number(number);
        // Numbers are ids unless a plug-in makes others.
        if crate::read::checked(operation, &wanted).is_ok()
            && let Some(it) = self.find_order(api, operation, &wanted).await?
            && normalised_number(&it.number()) == wanted
        {
            return Ok(it);
        }
        let query = [("search", wanted.as_str()), ("status", "any"), ("per_page", "20")];
        let found: Vec<order::Order> = api.get(operation, self.path("/orders", &query)).fetch().await?;
        // The search looks into names and addresses as well.
        let mut same = found.into_iter().filter(|it| normalised_number(&it.number()) == wanted);
        match (same.next(), same.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(CallError::data(operation, format!("the shop has no order {number}"))),
            (Some(_), Some(_)) => Err(CallError::data(operation, format!("the shop has several orders {number}"))),
        }
    }

    async fn write_order(
        &self,
        api: &Api,
        operation: &'static str,
        it: &order::Order,
        body: &Value,
    ) -> Result<Performed, CallError> {
        let path = self.path(&format!("/orders/{}", crate::read::checked(operation, &it.id.0)?), &[]);
        let saved: order::Order = api.put(operation, path).json(body).fetch().await?;
        Ok(at(&saved))
    }
}

/// The link that is kept of an order.
fn at(it: &order::Order) -> Performed {
    Performed::at(it.id.0.clone()).numbered(it.number())
}

fn unchanged_at(it: &order::Order) -> Performed {
    Performed { unchanged: true, ..at(it) }
}

/// One entry of `meta_data`. It replaces what stood under the same key, so writing it twice is the same as once.
fn meta(key: &str, value: impl Serialize) -> Value {
    json!({ "key": key, "value": value })
}
