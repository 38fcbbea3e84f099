//! Cancels an order. Odoo cancels its open transfers and draft invoices with it; posted invoices stay.

use super::find::{performed, unchanged};
use crate::{Odoo, wire};
use spindel_connect::{Api, Around, CallError};
use spindel_model::{OrderRef, Performed};

impl Odoo {
    pub(super) async fn cancel_order(&self, api: &Api, order: &OrderRef, around: &Around<'_>) -> Result<Performed, CallError> {
        let order = self.find_order(api, order, around).await?;
        if order.is_cancelled() {
            return Ok(unchanged(&order));
        }
        wire::act(api, "cancel_order", "sale.order", "action_cancel", &[order.id]).await?;
        Ok(performed(&order))
    }
}
