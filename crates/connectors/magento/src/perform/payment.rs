//! `record_payment` and `capture_payment`. Both make an invoice: Magento keeps a payment as what it pays for.

use super::{at, path, unchanged_at};
use crate::{
    Magento,
    read::checked,
    search::Search,
    wire::{Amount, Id, Number, filled, order::Order},
};
use serde::{Deserialize, Serialize};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{CapturePayment, Decimal, Money, Performed, RecordPayment, Shipment};

const RECORD: &str = "record_payment";
const CAPTURE: &str = "capture_payment";
/// Invoices of one order that are looked at.
const MOST: usize = 100;

/// As Magento numbers the states of an invoice.
const OPEN: u64 = 1;
const PAID: u64 = 2;

#[derive(Deserialize)]
pub(super) struct Invoice {
    pub entity_id: Id,
    #[serde(default)]
    state: u64,
    #[serde(default)]
    pub base_grand_total: Amount,
    #[serde(default)]
    pub base_total_refunded: Amount,
    transaction_id: Option<String>,
}

impl Invoice {
    /// Taken through a payment method that can give back.
    pub fn is_online(&self) -> bool {
        self.state == PAID && filled(self.transaction_id.clone()).is_some()
    }
}

#[derive(Serialize)]
struct Body {
    capture: bool,
    items: Vec<Row>,
    notify: bool,
}

#[derive(Serialize)]
struct Row {
    order_item_id: u64,
    qty: Number,
}

impl Magento {
    pub(super) async fn invoices(&self, api: &Api, operation: &'static str, order: &Order) -> Result<Vec<Invoice>, CallError> {
        let search = Search::new().with("order_id", "eq", order.entity_id.0.as_str()).sorted("entity_id").page(MOST, 1);
        search.list(api, operation, "invoices").await
    }
}

async fn invoice(api: &Api, operation: &'static str, order: &Order, body: &Body) -> Result<Performed, CallError> {
    // It answers the number of the invoice.
    api.post(operation, path(operation, "order", order, "invoice")?).json(body).fetch::<Id>().await?;
    Ok(at(order))
}

impl Perform<RecordPayment> for Magento {
    /// An order that is paid already is left alone.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordPayment>) -> Result<Performed, CallError> {
        let payment = &ask.verb.transaction;
        if !payment.brings_money() {
            return Ok(Performed::unchanged());
        }
        let order = self.order_of(api, RECORD, &ask.around, &ask.verb.order).await?;
        if order.is_paid() {
            return Ok(unchanged_at(&order));
        }
        let due = due_in(RECORD, &order, payment.amount)?;
        if payment.amount.amount < due {
            let message = format!(
                "{} came in and {due} is due: Magento keeps payments by the goods that they pay for, so this one is for a person",
                payment.amount
            );
            return Err(CallError::data(RECORD, message));
        }
        invoice(api, RECORD, &order, &Body { capture: false, items: Vec::new(), notify: false }).await
    }
}

/// What is due, in the currency of the payment.
fn due_in(operation: &'static str, order: &Order, amount: Money) -> Result<Decimal, CallError> {
    if amount.currency == order.order_currency_code {
        return Ok(order.total_due.or_zero());
    }
    if amount.currency == order.base_currency_code {
        return Ok(order.base_total_due.or_zero());
    }
    let (theirs, ours) = (amount.currency.code(), order.order_currency_code.code());
    Err(CallError::data(operation, format!("the payment is in {theirs} and the order in {ours}")))
}

impl Perform<CapturePayment> for Magento {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, CapturePayment>) -> Result<Performed, CallError> {
        let order = self.order_of(api, CAPTURE, &ask.around, &ask.verb.order).await?;
        if order.is_paid() {
            return Ok(unchanged_at(&order));
        }
        let open = self.invoices(api, CAPTURE, &order).await?.into_iter().find(|it| it.state == OPEN);
        if let Some(open) = open {
            let path = format!("/all/V1/invoices/{}/capture", checked(CAPTURE, &open.entity_id.0)?);
            api.post(CAPTURE, path).fetch::<serde::de::IgnoredAny>().await?;
            return Ok(at(&order));
        }
        let items = self.captured(&order, ask.verb.amount, ask.verb.shipment.as_deref())?;
        invoice(api, CAPTURE, &order, &Body { capture: true, items, notify: false }).await
    }

    /// A part that was captured is not told from another one.
    async fn look_up(&self, api: &Api, ask: Ask<'_, CapturePayment>) -> Result<Option<Performed>, CallError> {
        let order = self.order_of(api, CAPTURE, &ask.around, &ask.verb.order).await?;
        if order.is_paid() {
            return Ok(Some(at(&order)));
        }
        let taken: Decimal = self.invoices(api, CAPTURE, &order).await?.iter().map(|it| it.base_grand_total.or_zero()).sum();
        if taken.is_zero() {
            return Ok(None);
        }
        let message = format!(
            "a part of order {} was captured, and whether it is this part cannot be told: compare it with the shop",
            order.number()
        );
        Err(CallError::data(CAPTURE, message))
    }
}

impl Magento {
    /// The rows that are paid by it; empty for all that is left.
    fn captured(&self, order: &Order, amount: Option<Money>, sent: Option<&Shipment>) -> Result<Vec<Row>, CallError> {
        let due = amount.map(|amount| Ok::<_, CallError>((amount, due_in(CAPTURE, order, amount)?))).transpose()?;
        let Some((amount, due)) = due.filter(|(amount, due)| amount.amount < *due) else { return Ok(Vec::new()) };
        let lines = sent.map(|it| it.lines.as_slice()).unwrap_or_default();
        if lines.is_empty() {
            let message = format!(
                "{amount} of {due} is to be captured, and Magento captures by the goods that are paid for: \
                 capture with the shipment, or all of it"
            );
            return Err(CallError::data(CAPTURE, message));
        }
        let row = |line: &spindel_model::ShipmentLine| {
            let item = super::fulfilment::line_of(order, line).ok_or_else(|| {
                CallError::data(CAPTURE, format!("order {} has no line for an item that was sent", order.number()))
            })?;
            let order_item_id =
                item.item_id.number().ok_or_else(|| CallError::unexpected(CAPTURE, "an item's id is no number"))?;
            Ok(Row { order_item_id, qty: Number(line.quantity) })
        };
        lines.iter().map(row).collect()
    }
}
