//! `cancel_order`. Magento itself lets go of what is authorised and gives the goods free; it moves no money that was taken.

use super::{at, path, unchanged_at};
use crate::Magento;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{CancelOrder, Performed};

const OPERATION: &str = "cancel_order";

impl Perform<CancelOrder> for Magento {
    /// An order that is cancelled already is left alone.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, CancelOrder>) -> Result<Performed, CallError> {
        let order = self.order_of(api, OPERATION, &ask.around, &ask.verb.order).await?;
        if order.is_cancelled() {
            return Ok(unchanged_at(&order));
        }
        if api.post(OPERATION, path(OPERATION, "orders", &order, "cancel")?).fetch::<bool>().await? {
            return Ok(at(&order));
        }
        let state = order.state.as_deref().unwrap_or("-");
        Err(CallError::data(
            OPERATION,
            format!("order {} is `{state}` and cannot be cancelled: refund what was paid for it", order.number()),
        ))
    }
}
