//! What Shopify can be asked to do: one file for each action.

mod cancel;
mod fulfilment;
mod metafields;
mod payment;
mod price;
mod product;
mod refund;
mod stock;
mod tracking;
mod translate;

use crate::{
    Shopify,
    graphql::{FIND_ORDER, Nodes, quoted},
    wire::{Id, gid},
};
use serde::Deserialize;
use serde_json::json;
use spindel_connect::{Api, Around, CallError};
use spindel_model::{OrderRef, Performed, normalised_number};

impl Shopify {
    /// The shop's own id of an order: the known link, else the one order of that number.
    ///
    /// The id within `order` is the source's and means nothing here.
    async fn order_id(
        &self,
        api: &Api,
        operation: &'static str,
        around: &Around<'_>,
        order: &OrderRef,
    ) -> Result<String, CallError> {
        #[derive(Deserialize)]
        struct Found {
            orders: Nodes<Named>,
        }
        #[derive(Deserialize)]
        struct Named {
            id: Id,
            name: String,
        }
        if let Some(known) = around.known {
            return Ok(gid("Order", known));
        }
        let Some(number) = &order.number else {
            return Err(CallError::data(operation, "the order has neither a link to this shop nor a number"));
        };
        let query = format!("name:{}", quoted(number));
        let found: Found = self.ask(api, FIND_ORDER, json!({ "query": query })).await?;
        // The search is lenient about prefixes and case.
        let mut same = found.orders.nodes.into_iter().filter(|it| normalised_number(&it.name) == normalised_number(number));
        match (same.next(), same.next()) {
            (Some(one), None) => Ok(gid("Order", &one.id.0)),
            (None, _) => Err(CallError::data(operation, format!("the shop has no order {number}"))),
            (Some(_), Some(_)) => Err(CallError::data(operation, format!("the shop has several orders {number}"))),
        }
    }
}

/// Of a fulfilment.
#[derive(Deserialize)]
struct TrackingInfo {
    number: Option<String>,
}

/// An order that is not there although its id was known.
fn order_gone(operation: &'static str) -> CallError {
    CallError::gone(operation, "the order is no longer in the shop")
}

/// The link that is kept of an order.
fn at_order(id: &Id, name: &str) -> Performed {
    Performed::at(id.0.clone()).numbered(name)
}

fn unchanged_at(id: &Id, name: &str) -> Performed {
    Performed { unchanged: true, ..at_order(id, name) }
}
