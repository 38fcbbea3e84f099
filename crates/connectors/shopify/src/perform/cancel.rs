//! `cancel_order`: cancels without paying back; money is given back by `refund` alone.

use crate::{
    Shopify,
    graphql::{CANCEL_ORDER, ORDER_TO_CANCEL, UserError},
    perform::{at_order, order_gone, unchanged_at},
    wire::Id,
};
use serde::Deserialize;
use serde_json::json;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{CancelOrder, Performed, Timestamp};

const OPERATION: &str = CANCEL_ORDER.name;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    id: Id,
    name: String,
    cancelled_at: Option<Timestamp>,
}

impl Perform<CancelOrder> for Shopify {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, CancelOrder>) -> Result<Performed, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Cancelled {
            order_cancel: Outcome,
        }
        /// The job goes on after the answer; the shop tells its end by `orders/cancelled`.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Outcome {
            order_cancel_user_errors: Vec<UserError>,
        }
        let (gid, order) = self.order_to_cancel(api, &ask).await?;
        if order.cancelled_at.is_some() {
            return Ok(unchanged_at(&order.id, &order.name));
        }
        let variables = json!({
            "order": gid,
            "reason": reason(ask.verb.reason.as_deref()),
            "restock": ask.verb.restock,
            "note": ask.verb.reason,
        });
        let Cancelled { order_cancel: outcome } = self.ask(api, CANCEL_ORDER, variables).await?;
        match outcome.order_cancel_user_errors.first() {
            None => Ok(at_order(&order.id, &order.name)),
            Some(error) if error.code() == "NOT_FOUND" => Err(order_gone(OPERATION)),
            Some(error) => Err(error.to_error(OPERATION)),
        }
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, CancelOrder>) -> Result<Option<Performed>, CallError> {
        let (_, order) = self.order_to_cancel(api, &ask).await?;
        Ok(order.cancelled_at.map(|_| at_order(&order.id, &order.name)))
    }
}

impl Shopify {
    async fn order_to_cancel(&self, api: &Api, ask: &Ask<'_, CancelOrder>) -> Result<(String, Order), CallError> {
        #[derive(Deserialize)]
        struct Found {
            order: Option<Order>,
        }
        let gid = self.order_id(api, OPERATION, &ask.around, &ask.verb.order).await?;
        let found: Found = self.ask(api, ORDER_TO_CANCEL, json!({ "id": gid })).await?;
        Ok((gid, found.order.ok_or_else(|| order_gone(OPERATION))?))
    }
}

fn reason(word: Option<&str>) -> &'static str {
    match word.unwrap_or_default().to_ascii_lowercase().as_str() {
        "customer" => "CUSTOMER",
        "declined" => "DECLINED",
        "fraud" => "FRAUD",
        "inventory" => "INVENTORY",
        "staff" => "STAFF",
        _ => "OTHER",
    }
}
