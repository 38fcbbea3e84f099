//! `cancel_order`: sets the status. WooCommerce itself puts the goods back on stock; it never moves money.

use super::{at, meta, unchanged_at};
use crate::Woocommerce;
use serde_json::json;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{CancelOrder, Performed};

const OPERATION: &str = "cancel_order";

impl Perform<CancelOrder> for Woocommerce {
    /// The status is set; an order that has it already is left alone.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, CancelOrder>) -> Result<Performed, CallError> {
        let order = self.order_of(api, OPERATION, &ask.around, &ask.verb.order).await?;
        match order.status.as_str() {
            "cancelled" => return Ok(unchanged_at(&order)),
            // What left the shop, or was given back, is past cancelling.
            "completed" | "refunded" | "trash" => {
                let number = at(&order).reference.and_then(|it| it.number).unwrap_or_default();
                return Err(CallError::data(OPERATION, format!("order {number} is `{}` and cannot be cancelled", order.status)));
            }
            _ => {}
        }
        let mut body = json!({ "status": "cancelled" });
        if let Some(reason) = &ask.verb.reason {
            body["meta_data"] = json!([meta("_spindel_cancel_reason", reason)]);
        }
        self.write_order(api, OPERATION, &order, &body).await
    }
}
