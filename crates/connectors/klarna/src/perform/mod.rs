//! What Klarna can be asked to do. Every order is asked for by Klarna's own id: it cannot be searched for.

mod capture;
mod refund;

use crate::{
    Klarna,
    wire::{self, order::Order},
};
use serde::Serialize;
use spindel_connect::{Api, Around, Ask, CallError, Perform, Repeat, Reply};
use spindel_model::{AcknowledgePayment, CancelPayment, Decimal, ExtendAuthorization, Money, OrderRef, Performed};

const ACKNOWLEDGE: &str = "acknowledge_payment";
const CANCEL: &str = "cancel_payment";
const EXTEND: &str = "extend_authorization";

/// What Klarna takes of a text.
const MOST_TEXT: usize = 255;
const IDEMPOTENCY_KEY: &str = "klarna-idempotency-key";

#[derive(Serialize)]
struct MerchantReferences<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_reference1: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merchant_reference2: Option<&'a str>,
}

impl Perform<AcknowledgePayment> for Klarna {
    /// The references are set, and an order that is acknowledged stays so.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, AcknowledgePayment>) -> Result<Performed, CallError> {
        let payment = payment(ACKNOWLEDGE, ask.verb.payment.as_deref(), &ask)?;
        let path = wire::order_path(payment);
        let order = &ask.verb.order;
        let short = |text: &Option<String>| text.clone().filter(|it| !it.is_empty() && it.chars().count() <= MOST_TEXT);
        // Of a change that came from Klarna itself the order has no other id than the payment.
        let (number, id) = (short(&order.number), short(&order.id).filter(|it| it != payment));
        if number.is_some() || id.is_some() {
            let body = MerchantReferences { merchant_reference1: number.as_deref(), merchant_reference2: id.as_deref() };
            let key = ask.key_for("references").to_string();
            let call = api.patch(ACKNOWLEDGE, format!("{path}/merchant-references")).header(IDEMPOTENCY_KEY, &key);
            done(ACKNOWLEDGE, &call.json(&body).send().await?)?;
        }
        command(api, ACKNOWLEDGE, format!("{path}/acknowledge"), ACKNOWLEDGE, &ask).await?;
        Ok(Performed::at(payment))
    }
}

impl Perform<CancelPayment> for Klarna {
    /// What is let go of stays so.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, CancelPayment>) -> Result<Performed, CallError> {
        let payment = payment(CANCEL, ask.verb.payment.as_deref(), &ask)?;
        let order = order(api, CANCEL, payment).await?;
        let captured = order.captured_amount > 0 || !order.captures.is_empty();
        if order.is_over() || (captured && order.remaining_authorized_amount <= 0) {
            return Ok(Performed { unchanged: true, ..at(&order) });
        }
        let (how, step) = if captured { ("release-remaining-authorization", "release") } else { ("cancel", CANCEL) };
        command(api, CANCEL, format!("{}/{how}", wire::order_path(payment)), step, &ask).await?;
        Ok(at(&order))
    }
}

impl Perform<ExtendAuthorization> for Klarna {
    /// Klarna knows the key for a day; and asking twice gives time and takes no money.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, ExtendAuthorization>) -> Result<Performed, CallError> {
        let payment = payment(EXTEND, ask.verb.payment.as_deref(), &ask)?;
        command(api, EXTEND, format!("{}/extend-authorization-time", wire::order_path(payment)), EXTEND, &ask).await?;
        Ok(Performed::at(payment))
    }
}

/// Klarna's id of the order: the reference of the payment, or the link.
fn payment<'a>(operation: &'static str, named: Option<&'a str>, around: &Around<'a>) -> Result<&'a str, CallError> {
    let Some(id) = named.filter(|it| !it.is_empty()).or(around.known) else {
        return Err(CallError::data(
            operation,
            "no payment is named: the `reference` of the order's transaction must be Klarna's order id, as Klarna cannot be \
             searched by the order's number",
        ));
    };
    wire::checked(operation, "the payment's reference", id)
}

async fn order(api: &Api, operation: &'static str, id: &str) -> Result<Order, CallError> {
    api.get(operation, wire::order_path(id)).fetch().await
}

/// A call that takes no body and answers none. Klarna looks at the key alone and not at what is asked with it, so that each
/// `step` has a key of its own.
async fn command(api: &Api, operation: &'static str, path: String, step: &str, around: &Around<'_>) -> Result<(), CallError> {
    let key = around.key_for(step).to_string();
    done(operation, &api.post(operation, path).header(IDEMPOTENCY_KEY, &key).send().await?)
}

/// Klarna answers with nothing; a page is from somebody on the way.
fn done(operation: &'static str, reply: &Reply) -> Result<(), CallError> {
    let problem = || format!("expected an empty answer, got one of {} bytes with HTTP {}", reply.body.len(), reply.status);
    if reply.body.is_empty() { Ok(()) } else { Err(CallError::unexpected(operation, problem())) }
}

fn at(order: &Order) -> Performed {
    let performed = Performed::at(&order.order_id);
    match order.number() {
        Some(number) => performed.numbered(number),
        None => performed,
    }
}

/// What is written on a capture or refund, so that people know the order and a later try knows its own work.
fn reference(order: &OrderRef, around: &Around<'_>) -> String {
    let key = around.key.simple().to_string();
    let number = order.number.as_deref().or(order.id.as_deref()).unwrap_or_default();
    let number: String = number.chars().take(MOST_TEXT - key.len() - 1).collect();
    if number.is_empty() { key } else { format!("{number}/{key}") }
}

/// The id of what was made: Klarna says it in the headers only.
fn made<'a>(operation: &'static str, reply: &'a Reply, header: &str) -> Result<&'a str, CallError> {
    let last = |location: &'a str| location.trim_end_matches('/').rsplit('/').next();
    let id = reply.header(header).or_else(|| reply.header("location").and_then(last)).filter(|it| wire::is_id(it));
    id.ok_or_else(|| CallError::unexpected(operation, format!("the answer has neither `{header}` nor `location`")))
}

/// In the smallest unit of the order's currency.
fn minor(operation: &'static str, order: &Order, money: Money) -> Result<i64, CallError> {
    let currency = order.purchase_currency.0;
    if money.currency != currency {
        let problem = format!("the amount is in {} and the order at Klarna in {}", money.currency.code(), currency.code());
        return Err(CallError::data(operation, problem));
    }
    let finer = || CallError::data(operation, format!("{money} is finer than the smallest unit of its currency"));
    money.to_minor().ok_or_else(finer)
}

/// A number of pieces; Klarna knows no halves.
fn whole(quantity: Decimal) -> Option<i64> {
    let quantity = quantity.normalize();
    if quantity.scale() == 0 && quantity > Decimal::ZERO { i64::try_from(quantity.mantissa()).ok() } else { None }
}
