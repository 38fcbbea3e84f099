//! What Stripe can be asked to do: acknowledge, capture and cancel payments; refunds stand in their own module.

mod find;
mod refund;

use crate::{
    Stripe,
    amount::{from_minor, to_minor},
    wire::PaymentIntent,
};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{AcknowledgePayment, CancelPayment, CapturePayment, Money, Performed};

const ACKNOWLEDGE: &str = "acknowledge_payment";
const CAPTURE: &str = "capture_payment";
const CANCEL: &str = "cancel_payment";
/// Stripe knows a request by it for at least 24 hours.
const KEY: &str = "idempotency-key";

impl Perform<AcknowledgePayment> for Stripe {
    /// The order's id and number are set, not added.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, AcknowledgePayment>) -> Result<Performed, CallError> {
        let AcknowledgePayment { order, payment } = ask.verb;
        let fields = self.order_fields(order);
        if fields.is_empty() {
            return Err(CallError::data(ACKNOWLEDGE, "the order has neither id nor number: there is nothing to write"));
        }
        let id = self.payment_id(api, ACKNOWLEDGE, payment.as_deref(), order, &ask.around).await?;
        let saved: PaymentIntent = api.post(ACKNOWLEDGE, format!("/v1/payment_intents/{id}")).form(fields).fetch().await?;
        Ok(Performed::at(saved.id))
    }
}

impl Perform<CapturePayment> for Stripe {
    /// And a payment is captured once only: one that is captured already is recognised after the key is forgotten, too.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, CapturePayment>) -> Result<Performed, CallError> {
        let verb = ask.verb;
        let payment = self.payment(api, CAPTURE, verb.payment.as_deref(), &verb.order, &ask.around).await?;
        let wanted = verb.amount.map(|money| payment.in_its_currency(CAPTURE, money)).transpose()?;
        if payment.is_captured(wanted)? {
            return Ok(Performed { unchanged: true, ..Performed::at(payment.id) });
        }
        let amount = wanted.map(|it| ("amount_to_capture", it.to_string()));
        let path = format!("/v1/payment_intents/{}/capture", payment.id);
        let captured: PaymentIntent = api.post(CAPTURE, path).header(KEY, &ask.key.to_string()).form(amount).fetch().await?;
        Ok(Performed::at(captured.id))
    }
}

impl Perform<CancelPayment> for Stripe {
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, CancelPayment>) -> Result<Performed, CallError> {
        let verb = ask.verb;
        let payment = self.payment(api, CANCEL, verb.payment.as_deref(), &verb.order, &ask.around).await?;
        match payment.status.as_str() {
            "canceled" => return Ok(Performed { unchanged: true, ..Performed::at(payment.id) }),
            "succeeded" => {
                let taken = from_minor(payment.amount_received, payment.currency.0);
                let problem =
                    format!("{taken} of this payment are captured and nothing of it is held any more: refund it instead");
                return Err(CallError::data(CANCEL, problem));
            }
            _ => {}
        }
        let reason = verb.reason.as_deref().and_then(cancellation_reason).map(|it| ("cancellation_reason", it));
        let path = format!("/v1/payment_intents/{}/cancel", payment.id);
        let canceled: PaymentIntent = api.post(CANCEL, path).header(KEY, &ask.key.to_string()).form(reason).fetch().await?;
        Ok(Performed::at(canceled.id))
    }
}

/// Shops have their own words; Stripe takes these four or none.
fn cancellation_reason(reason: &str) -> Option<&'static str> {
    Some(match reason.to_ascii_lowercase().as_str() {
        "customer" | "requested_by_customer" => "requested_by_customer",
        "fraud" | "fraudulent" => "fraudulent",
        "duplicate" => "duplicate",
        "abandoned" => "abandoned",
        _ => return None,
    })
}

impl PaymentIntent {
    fn in_its_currency(&self, operation: &'static str, money: Money) -> Result<i64, CallError> {
        let own = self.currency.0;
        if money.currency != own {
            return Err(CallError::data(operation, format!("{money} was asked for, and the payment is in {}", own.code())));
        }
        to_minor(operation, money)
    }

    /// Whether it is done already; an error when it can no longer be done, or not yet.
    fn is_captured(&self, wanted: Option<i64>) -> Result<bool, CallError> {
        let money = |minor| from_minor(minor, self.currency.0);
        let problem = match (self.status.as_str(), wanted) {
            ("succeeded", None) => return Ok(true),
            ("succeeded", Some(wanted)) if wanted == self.amount_received => return Ok(true),
            ("succeeded", Some(wanted)) => format!(
                "{} are captured already, and {} were asked for: Stripe captures once and lets go of the rest",
                money(self.amount_received),
                money(wanted)
            ),
            ("requires_capture", Some(wanted)) if wanted > self.amount_capturable => {
                format!("{} were asked for, and {} can be captured", money(wanted), money(self.amount_capturable))
            }
            ("requires_capture", Some(wanted)) if wanted <= 0 => format!("{} cannot be captured", money(wanted)),
            ("requires_capture", _) => return Ok(false),
            ("processing", _) => {
                return Err(CallError::missing_dependency(CAPTURE, "the payment is still being processed at Stripe"));
            }
            ("canceled", _) => format!(
                "the payment was canceled ({}): there is nothing to capture",
                self.cancellation_reason.as_deref().unwrap_or("no reason given")
            ),
            (status, _) => format!("the payment is not authorised (its status is `{status}`): there is nothing to capture"),
        };
        Err(CallError::data(CAPTURE, problem))
    }
}
