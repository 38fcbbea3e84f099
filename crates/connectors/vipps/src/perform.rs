//! Captures, refunds and cancellations. What the payment's `aggregate` and its log say comes before every one of them, so
//! that nothing is done a second time.

use crate::{
    Vipps,
    payment::{Tried, path, tried},
    wire::{Aggregate, Amount, Modification, Modified, Payment, State},
};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{CancelPayment, CapturePayment, Currency, Money, Performed, RefundOrder};
use uuid::Uuid;

const CAPTURE: &str = "capture_payment";
const CANCEL: &str = "cancel_payment";
const REFUND: &str = "refund";

impl Perform<CapturePayment> for Vipps {
    /// The key goes to Vipps, and stands in the payment's log.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, CapturePayment>) -> Result<Performed, CallError> {
        let verb = ask.verb;
        let payment = self.find(api, CAPTURE, verb.payment.as_deref(), &verb.order, &ask.around).await?;
        let wanted = verb.amount.map(|it| minor(CAPTURE, &payment, it)).transpose()?;
        let step = wanted.map_or_else(|| "capture all".to_owned(), |it| format!("capture {it}"));
        let log = self.log(api, &payment.reference).await?;
        let Tried::Next(key) = tried(CAPTURE, &ask.around, &step, &log)? else { return Ok(at(&payment)) };
        let Some(value) = capturable(&payment, wanted)? else { return Ok(unchanged_at(&payment)) };
        let after = modify(api, CAPTURE, &payment, "capture", Some(value), key).await?;
        confirmed(CAPTURE, &payment, after.captured() >= value)
    }
}

impl Perform<RefundOrder> for Vipps {
    /// The key goes to Vipps, and stands in the payment's log.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, RefundOrder>) -> Result<Performed, CallError> {
        let refund = &ask.verb.refund;
        let outstanding = refund.outstanding().map_err(|error| CallError::data(REFUND, error.to_string()))?;
        if outstanding.is_zero() {
            return Ok(Performed::unchanged());
        }
        let payment = self.find(api, REFUND, refund.payment.as_deref(), &refund.order, &ask.around).await?;
        let wanted = minor(REFUND, &payment, outstanding)?;
        let log = self.log(api, &payment.reference).await?;
        let Tried::Next(key) = tried(REFUND, &ask.around, &format!("refund {wanted}"), &log)? else { return Ok(at(&payment)) };
        if !refundable(&payment, wanted)? {
            return Ok(unchanged_at(&payment));
        }
        let after = modify(api, REFUND, &payment, "refund", Some(wanted), key).await?;
        confirmed(REFUND, &payment, after.refunded() >= wanted)
    }
}

impl Perform<CancelPayment> for Vipps {
    /// The key goes to Vipps; and what is let go cannot be let go again.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, CancelPayment>) -> Result<Performed, CallError> {
        let verb = ask.verb;
        let payment = self.find(api, CANCEL, verb.payment.as_deref(), &verb.order, &ask.around).await?;
        let aggregate = &payment.aggregate;
        let ended = matches!(payment.state, State::Aborted | State::Expired | State::Terminated);
        if aggregate.held() <= 0 && (ended || aggregate.authorized() > 0) {
            // The money is with the shop: to let go of it is to give it back.
            if aggregate.refundable() > 0 && aggregate.cancelled() == 0 {
                let message = format!("payment {}: all of it is captured; refund it instead", payment.reference);
                return Err(CallError::data(CANCEL, message));
            }
            return Ok(unchanged_at(&payment));
        }
        let log = self.log(api, &payment.reference).await?;
        let Tried::Next(key) = tried(CANCEL, &ask.around, "cancel", &log)? else { return Ok(at(&payment)) };
        let after = modify(api, CANCEL, &payment, "cancel", None, key).await?;
        confirmed(CANCEL, &payment, after.held() <= 0)
    }
}

/// What is to be captured now; `None` when it is already.
fn capturable(payment: &Payment, wanted: Option<i64>) -> Result<Option<i64>, CallError> {
    let aggregate = &payment.aggregate;
    if aggregate.authorized() <= 0 {
        return Err(match payment.state {
            State::Created | State::Authorized => CallError::missing_dependency(
                CAPTURE,
                format!("payment {}: the buyer has not approved it yet", payment.reference),
            ),
            _ => CallError::data(CAPTURE, format!("payment {}: it was ended before the buyer approved it", payment.reference)),
        });
    }
    let held = aggregate.held();
    match wanted {
        Some(value) if (1..=held).contains(&value) => Ok(Some(value)),
        None if held > 0 => Ok(Some(held)),
        // Captured by hand, or by another system: not a second time.
        _ if held <= 0 && wanted.is_none_or(|it| it > 0 && aggregate.captured() >= it) && aggregate.captured() > 0 => Ok(None),
        _ => Err(CallError::data(CAPTURE, sums(payment, "captured", wanted.unwrap_or(held)))),
    }
}

/// Whether it is to be given back now; `false` when it is already.
fn refundable(payment: &Payment, wanted: i64) -> Result<bool, CallError> {
    let aggregate = &payment.aggregate;
    if wanted > 0 && wanted <= aggregate.refundable() {
        return Ok(true);
    }
    if wanted > 0 && aggregate.refundable() == 0 && aggregate.refunded() >= wanted {
        return Ok(false);
    }
    if aggregate.captured() == 0 && aggregate.held() > 0 {
        let message = format!("payment {}: nothing is captured yet, so nothing can be given back", payment.reference);
        return Err(CallError::missing_dependency(REFUND, message));
    }
    Err(CallError::data(REFUND, sums(payment, "given back", wanted)))
}

/// How the payment stands, for people.
fn sums(payment: &Payment, what: &str, wanted: i64) -> String {
    let aggregate = &payment.aggregate;
    let currency = payment.amount.currency;
    let money = |value| Money::from_minor(value, currency);
    format!(
        "payment {}: {} cannot be {what}: {} authorised, {} captured, {} let go, {} given back",
        payment.reference,
        money(wanted),
        money(aggregate.authorized()),
        money(aggregate.captured()),
        money(aggregate.cancelled()),
        money(aggregate.refunded()),
    )
}

/// In minor units of the payment's currency.
fn minor(operation: &'static str, payment: &Payment, amount: Money) -> Result<i64, CallError> {
    let paid_in: Currency = payment.amount.currency;
    if amount.currency != paid_in {
        let message =
            format!("payment {} is in {}, and the amount in {}", payment.reference, paid_in.code(), amount.currency.code());
        return Err(CallError::data(operation, message));
    }
    amount.to_minor().ok_or_else(|| CallError::data(operation, format!("{amount} is finer than Vipps takes")))
}

async fn modify(
    api: &Api,
    operation: &'static str,
    payment: &Payment,
    what: &str,
    value: Option<i64>,
    key: Uuid,
) -> Result<Aggregate, CallError> {
    let call = api.post(operation, format!("{}/{what}", path(&payment.reference))).header("idempotency-key", &key.to_string());
    let call = match value {
        Some(value) => call.json(&Modification { modification_amount: Amount { currency: payment.amount.currency, value } }),
        None => call,
    };
    let after: Modified = call.fetch().await?;
    Ok(after.aggregate)
}

/// A success that the sums do not show is not taken for one.
fn confirmed(operation: &'static str, payment: &Payment, shown: bool) -> Result<Performed, CallError> {
    if shown {
        return Ok(at(payment));
    }
    let message = format!("payment {}: Vipps answers with a success that its amounts do not show", payment.reference);
    Err(CallError::unexpected(operation, message))
}

fn at(payment: &Payment) -> Performed {
    Performed::at(&payment.reference)
}

fn unchanged_at(payment: &Payment) -> Performed {
    Performed { unchanged: true, ..at(payment) }
}
