//! `record_payment`: WooCommerce knows paid and not paid, so parts are noted on the order until they make up its total.

use super::{at, meta, unchanged_at};
use crate::{Woocommerce, wire::order::Order};
use serde_json::json;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Decimal, Money, Performed, RecordPayment};

const OPERATION: &str = "record_payment";
const NOTED: &str = "_spindel_payment_";

impl Perform<RecordPayment> for Woocommerce {
    /// Every payment has a key of its own on the order, and paid twice is paid.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordPayment>) -> Result<Performed, CallError> {
        let payment = &ask.verb.transaction;
        if !payment.brings_money() {
            return Ok(Performed::unchanged());
        }
        let order = self.order_of(api, OPERATION, &ask.around, &ask.verb.order).await?;
        if payment.amount.currency != order.currency {
            let (theirs, ours) = (payment.amount.currency.code(), order.currency.code());
            return Err(CallError::data(OPERATION, format!("the payment is in {theirs} and the order in {ours}")));
        }
        if order.date_paid_gmt.0.is_some() {
            return Ok(unchanged_at(&order));
        }
        if matches!(order.status.as_str(), "cancelled" | "refunded" | "trash") {
            // Marking it paid would bring it back to life.
            let reference = at(&order).reference.map(|it| it.id).unwrap_or_default();
            let message = format!("order {reference} is `{}`: give the money back, or reopen the order", order.status);
            return Err(CallError::data(OPERATION, message));
        }
        let key = format!("{NOTED}{}", payment.id);
        let amount = payment.amount.rounded();
        let mut body = json!({ "meta_data": [meta(&key, amount.to_string())] });
        if noted_before(&order, &key) + amount.amount >= order.total.or_zero() {
            body["set_paid"] = true.into();
            body["transaction_id"] = payment.reference.as_ref().unwrap_or(&payment.id).as_str().into();
        }
        self.write_order(api, OPERATION, &order, &body).await
    }
}

fn noted_before(order: &Order, but: &str) -> Decimal {
    let others = order.meta_data.iter().filter(|it| it.key.starts_with(NOTED) && it.key != but);
    let currency = order.currency.code();
    let amounts = others.filter_map(|it| it.value.as_str()?.strip_suffix(currency)?.trim().parse::<Decimal>().ok());
    amounts.filter(|it| it.is_sign_positive()).map(|it| Money::new(it, order.currency).scaled().amount).sum()
}
