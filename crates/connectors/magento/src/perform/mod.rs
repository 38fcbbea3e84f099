//! What Magento can be asked to do: one file for each action, and how an order is found.

mod bulk;
mod cancel;
mod catalogue;
mod fulfilment;
mod payment;
mod price;
mod product;
mod refund;
mod stock;
mod tracking;
mod variants;

use crate::{Magento, read::checked, search::Search, wire::order::Order};
use serde_json::json;
use spindel_connect::{Api, Around, CallError};
use spindel_model::{OrderRef, Performed};
use uuid::Uuid;

impl Magento {
    /// The order that is meant: the known link, else the one order of that number.
    ///
    /// The id within `wanted` is the source's and means nothing here.
    async fn order_of(
        &self,
        api: &Api,
        operation: &'static str,
        around: &Around<'_>,
        wanted: &OrderRef,
    ) -> Result<Order, CallError> {
        if let Some(known) = around.known {
            let found = self.find_order(api, operation, known).await?;
            return found.ok_or_else(|| CallError::gone(operation, "the order is no longer in the shop"));
        }
        let number = wanted.number.as_deref().map(|it| it.trim().trim_start_matches('#')).filter(|it| !it.is_empty());
        let Some(number) = number else {
            return Err(CallError::data(operation, "the order has neither a link to this shop nor a number"));
        };
        let search = Search::new().with("increment_id", "eq", number).page(2, 1);
        let found: Vec<Order> = search.list(api, operation, "orders").await?;
        let mut same = found.into_iter().filter(|it| it.number() == number);
        match (same.next(), same.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(CallError::data(operation, format!("the shop has no order {number}"))),
            (Some(_), Some(_)) => Err(CallError::data(operation, format!("the shop has several orders {number}"))),
        }
    }
}

/// Path of an order, or of what belongs to it. Magento has both `orders/42/cancel` and `order/42/ship`.
fn path(operation: &'static str, before: &str, order: &Order, after: &str) -> Result<String, CallError> {
    Ok(format!("/all/V1/{before}/{}/{after}", checked(operation, &order.entity_id.0)?))
}

/// The link that is kept of an order.
fn at(order: &Order) -> Performed {
    Performed::at(order.entity_id.0.clone()).numbered(order.number())
}

fn unchanged_at(order: &Order) -> Performed {
    Performed { unchanged: true, ..at(order) }
}

/// By which it is found again: the same for this record whichever delivery carries it.
fn mark(around: &Around<'_>, id: &str) -> String {
    let name = json!([around.from, id]).to_string();
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string();
    format!("(ref {})", &digest[..16])
}

/// Somebody's words with the mark behind them.
fn marked(words: Option<&str>, mark: &str) -> String {
    let words: String = words.unwrap_or_default().chars().take(200).collect();
    format!("{words} {mark}").trim().to_owned()
}
