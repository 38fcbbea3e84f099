//! Taking what was authorised, for all or for what was sent.

use super::{IDEMPOTENCY_KEY, at, made, minor, order, payment, reference, whole};
use crate::{
    Klarna,
    wire::{
        self,
        order::{Line, Order, lines_of},
    },
};
use serde::Serialize;
use spindel_connect::{Api, Ask, CallError, Maps, Perform, Repeat};
use spindel_model::{CapturePayment, Performed, Shipment, Timestamp, TransactionKind};

const CAPTURE: &str = "capture_payment";

#[derive(Serialize)]
struct NewCapture {
    captured_amount: i64,
    reference: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_lines: Option<Vec<Line>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shipping_info: Vec<ShippingInfo>,
}

#[derive(Serialize)]
struct ShippingInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_company: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_uri: Option<String>,
}

impl Perform<CapturePayment> for Klarna {
    /// Klarna knows the key for a day. Later the capture itself is recognised by its reference.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, CapturePayment>) -> Result<Performed, CallError> {
        let payment = payment(CAPTURE, ask.verb.payment.as_deref(), &ask)?;
        let order = order(api, CAPTURE, payment).await?;
        let reference = reference(&ask.verb.order, &ask);
        if let Some(it) = order.captures.iter().find(|it| it.reference.as_deref() == Some(reference.as_str())) {
            return Ok(self.captured(&order, &it.capture_id, it.captured_amount, it.captured_at.0));
        }
        let wanted = ask.verb.amount.map(|it| minor(CAPTURE, &order, it)).transpose()?;
        let Some(amount) = to_take(&order, wanted)? else {
            return Ok(Performed { unchanged: true, ..at(&order) });
        };
        let shipment = ask.verb.shipment.as_deref();
        let body = NewCapture {
            captured_amount: amount,
            reference,
            order_lines: lines(&order, shipment, amount),
            shipping_info: shipment.map(|it| shipping_info(it, ask.maps)).unwrap_or_default(),
        };
        let key = ask.key_for(CAPTURE).to_string();
        let call = api.post(CAPTURE, format!("{}/captures", wire::order_path(payment))).header(IDEMPOTENCY_KEY, &key);
        let reply = call.json(&body).send().await?;
        Ok(self.captured(&order, made(CAPTURE, &reply, "capture-id")?, amount, ask.now))
    }
}

impl Klarna {
    fn captured(&self, order: &Order, id: &str, amount: i64, when: Timestamp) -> Performed {
        at(order).telling(order.told(order.taken(TransactionKind::Capture, id, amount, when, self.playground)))
    }
}

/// How much; `None` when it was taken before.
fn to_take(order: &Order, wanted: Option<i64>) -> Result<Option<i64>, CallError> {
    let left = order.remaining_authorized_amount;
    if left <= 0 && order.captured_amount > 0 && wanted.is_none_or(|it| it <= order.captured_amount) {
        return Ok(None);
    }
    if order.is_over() {
        return Err(CallError::data(
            CAPTURE,
            "the authorisation is over (expired, cancelled or closed): the buyer must pay anew",
        ));
    }
    if order.is_under_review() {
        return Err(CallError::missing_dependency(
            CAPTURE,
            "Klarna still reviews the order: nothing may be captured or sent yet",
        ));
    }
    let amount = wanted.unwrap_or(left);
    if amount <= 0 {
        return Err(CallError::data(CAPTURE, "there is nothing to capture"));
    }
    if amount > left {
        let problem = format!("{} is to be captured and {} is left", order.money(amount), order.money(left));
        return Err(CallError::data(CAPTURE, problem));
    }
    Ok(Some(amount))
}

/// The lines that the buyer is shown, where it is certain which they are.
fn lines(order: &Order, shipment: Option<&Shipment>, amount: i64) -> Option<Vec<Line>> {
    let sent = shipment.map(|it| it.lines.as_slice()).unwrap_or_default();
    if sent.is_empty() {
        return lines_of(&order.order_lines, &[], false, amount);
    }
    let goods: Vec<(Option<&str>, i64)> =
        sent.iter().map(|it| Some((it.sku.as_deref(), whole(it.quantity)?))).collect::<Option<_>>()?;
    let with = |shipping| lines_of(&order.order_lines, &goods, shipping, amount);
    // The freight goes with one of the parcels; the amount says with which.
    with(false).or_else(|| with(true))
}

/// For the buyer's view at Klarna. Nothing of it is worth a capture, so that what Klarna would refuse is left out.
fn shipping_info(shipment: &Shipment, maps: &Maps) -> Vec<ShippingInfo> {
    const MOST_PARCELS: usize = 500;
    let fits = |text: &str, most: usize| (1..=most).contains(&text.chars().count()).then(|| text.to_owned());
    let carrier = shipment.carrier.as_deref().map(|it| maps.find("carrier", it).unwrap_or(it));
    let company = carrier.and_then(|it| fits(it, 100));
    let parcel = |number: Option<&str>, url: Option<&str>| ShippingInfo {
        shipping_company: company.clone(),
        tracking_number: number.and_then(|it| fits(it, 100)),
        tracking_uri: url.and_then(|it| fits(it, 1024)),
    };
    if shipment.tracking.is_empty() {
        return company.as_ref().map(|_| parcel(None, None)).into_iter().collect();
    }
    shipment.tracking.iter().take(MOST_PARCELS).map(|it| parcel(Some(&it.number), it.url.as_deref())).collect()
}
