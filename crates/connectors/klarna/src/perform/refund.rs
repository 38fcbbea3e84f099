//! Giving money back that was captured.

use super::{IDEMPOTENCY_KEY, at, made, minor, order, payment, reference, whole};
use crate::{
    Klarna,
    wire::{
        self,
        order::{Line, Order, lines_of},
    },
};
use serde::Serialize;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Decimal, Performed, Refund, RefundOrder, Timestamp, TransactionKind};

const REFUND: &str = "refund";

#[derive(Serialize)]
struct NewRefund {
    refunded_amount: i64,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_lines: Option<Vec<Line>>,
}

impl Perform<RefundOrder> for Klarna {
    /// Klarna knows the key for a day. Later the refund itself is recognised by its reference.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, RefundOrder>) -> Result<Performed, CallError> {
        let refund = &*ask.verb.refund;
        let money = refund.outstanding().map_err(|error| CallError::data(REFUND, format!("what is outstanding: {error}")))?;
        if money.amount <= Decimal::ZERO {
            return Ok(Performed::unchanged());
        }
        let payment = payment(REFUND, refund.payment.as_deref(), &ask)?;
        let order = order(api, REFUND, payment).await?;
        let reference = reference(&refund.order, &ask);
        if let Some(it) = order.refunds.iter().find(|it| it.reference.as_deref() == Some(reference.as_str())) {
            let id = it.refund_id.as_deref().unwrap_or(&reference);
            return Ok(self.refunded(&order, id, it.refunded_amount, it.refunded_at.0));
        }
        let amount = minor(REFUND, &order, money)?;
        let left = order.captured_amount - order.refunded_amount;
        if amount > left {
            let problem = format!("{money} is to be given back and {} of what was captured is left", order.money(left));
            return Err(CallError::data(REFUND, problem));
        }
        let body = NewRefund { refunded_amount: amount, reference, order_lines: lines(&order, refund, amount) };
        let key = ask.key_for(REFUND).to_string();
        let call = api.post(REFUND, format!("{}/refunds", wire::order_path(payment))).header(IDEMPOTENCY_KEY, &key);
        let reply = call.json(&body).send().await?;
        Ok(self.refunded(&order, made(REFUND, &reply, "refund-id")?, amount, ask.now))
    }
}

impl Klarna {
    fn refunded(&self, order: &Order, id: &str, amount: i64, when: Timestamp) -> Performed {
        at(order).telling(order.told(order.taken(TransactionKind::Refund, id, amount, when, self.playground)))
    }
}

/// The lines that the buyer is shown, where it is certain which they are. Goodwill has none.
fn lines(order: &Order, refund: &Refund, amount: i64) -> Option<Vec<Line>> {
    if !refund.adjustments.is_empty() || (refund.lines.is_empty() && refund.shipping.is_none()) {
        return None;
    }
    let goods: Vec<(Option<&str>, i64)> =
        refund.lines.iter().map(|it| Some((it.sku.as_deref(), whole(it.quantity)?))).collect::<Option<_>>()?;
    lines_of(&order.order_lines, &goods, refund.shipping.is_some(), amount)
}
