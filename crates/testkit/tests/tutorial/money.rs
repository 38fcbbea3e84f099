//! Payments: captured, given back, and read back.

use crate::{account::Acme, wire};
use serde_json::json;
use spindel_connect::{Api, Ask, CallError, Perform, Read, Repeat};
use spindel_model::{CapturePayment, Money, OrderRef, Performed, RefundOrder, Transaction};

const CAPTURE: &str = "capture_payment";
const REFUND: &str = "refund";

impl Perform<CapturePayment> for Acme {
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, CapturePayment>) -> Result<Performed, CallError> {
        let payment = payment_of(CAPTURE, ask.verb.payment.as_deref(), ask.known)?;
        let found: wire::Payment = api.get("find_payment", format!("/payments/{payment}")).fetch().await?;
        if found.held == 0 {
            return Ok(Performed { unchanged: true, ..Performed::at(payment) });
        }
        // No amount: all that is held.
        let amount = ask.verb.amount.unwrap_or_else(|| Money::from_minor(found.held, found.currency));
        let captures = api.post(CAPTURE, format!("/payments/{payment}/captures"));
        let _: wire::Saved =
            captures.header("idempotency-key", &ask.key.to_string()).json(&minor(CAPTURE, amount)?).fetch().await?;
        Ok(Performed::at(payment))
    }
}

/// What the order says, or the link that was noted when something of it reached Acme before.
fn payment_of<'a>(operation: &'static str, named: Option<&'a str>, known: Option<&'a str>) -> Result<&'a str, CallError> {
    let is_id = |it: &&str| it.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    named.or(known).filter(is_id).ok_or_else(|| CallError::data(operation, "the order names no payment of Acme"))
}

fn minor(operation: &'static str, money: Money) -> Result<serde_json::Value, CallError> {
    let cents = money.to_minor();
    let cents = cents.ok_or_else(|| CallError::data(operation, format!("{money} is finer than the currency's smallest unit")))?;
    Ok(json!({ "cents": cents, "currency": money.currency.code() }))
}

impl Perform<RefundOrder> for Acme {
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, RefundOrder>) -> Result<Performed, CallError> {
        let refund = &ask.verb.refund;
        let left = refund.outstanding().map_err(|error| CallError::data(REFUND, error.to_string()))?;
        if left.is_zero() {
            return Ok(Performed::unchanged());
        }
        let payment = payment_of(REFUND, refund.payment.as_deref(), ask.known)?;
        let refunds = api.post(REFUND, format!("/payments/{payment}/refunds"));
        let _: wire::Saved = refunds.header("idempotency-key", &ask.key.to_string()).json(&minor(REFUND, left)?).fetch().await?;
        Ok(Performed::at(payment))
    }
}

impl Read<(OrderRef, Transaction)> for Acme {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<(OrderRef, Transaction)>, CallError> {
        let payment = payment_of("read_payment", Some(id), None)?;
        let found: Option<wire::Payment> = api.get("read_payment", format!("/payments/{payment}")).find().await?;
        Ok(found.map(wire::Payment::transaction))
    }
}
