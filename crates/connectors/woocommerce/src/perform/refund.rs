//! `refund` gives money back through the payment gateway; `record_refund` books what was given back elsewhere.
//!
//! The reason carries a mark made of the refund's own id: it is saved before the gateway is called, unlike meta data.

use super::{at, unchanged_at};
use crate::{
    Woocommerce,
    wire::{order, refund as wire, split},
};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use spindel_connect::{Api, Around, Ask, CallError, Perform, Repeat};
use spindel_model::{Decimal, Money, MoneyBag, MoneyError, Performed, RecordRefund, Refund, RefundLine, RefundOrder, Restock};
use uuid::Uuid;

#[derive(Serialize)]
struct Body {
    amount: String,
    reason: String,
    api_refund: bool,
    api_restock: bool,
    line_items: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    id: u64,
    quantity: Box<RawValue>,
    refund_total: Box<RawValue>,
    refund_tax: Vec<Tax>,
}

#[derive(Serialize)]
struct Tax {
    id: u64,
    refund_total: Box<RawValue>,
}

/// What is asked, the same for both verbs.
struct Wanted<'a> {
    operation: &'static str,
    refund: &'a Refund,
    amount: Money,
    /// The gateway pays it out.
    pays: bool,
}

impl<'a> Wanted<'a> {
    fn paying(ask: &Ask<'a, RefundOrder>) -> Result<Self, CallError> {
        let amount = ask.verb.refund.outstanding().map_err(unaddable("refund"))?;
        Ok(Self { operation: "refund", refund: &ask.verb.refund, amount, pays: true })
    }

    fn booking(ask: &Ask<'a, RecordRefund>) -> Self {
        let refund = &ask.verb.refund;
        Self { operation: "record_refund", refund, amount: refund.total.presentment, pays: false }
    }

    fn is_nothing(&self) -> bool {
        self.amount.amount <= Decimal::ZERO
    }
}

fn unaddable(operation: &'static str) -> impl Fn(MoneyError) -> CallError {
    move |error| CallError::data(operation, format!("the refund's amounts cannot be added: {error}"))
}

impl Perform<RefundOrder> for Woocommerce {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, RefundOrder>) -> Result<Performed, CallError> {
        self.give_back(api, &ask.around, &Wanted::paying(&ask)?).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, RefundOrder>) -> Result<Option<Performed>, CallError> {
        self.given_back(api, &ask.around, &Wanted::paying(&ask)?).await
    }
}

impl Perform<RecordRefund> for Woocommerce {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordRefund>) -> Result<Performed, CallError> {
        self.give_back(api, &ask.around, &Wanted::booking(&ask)).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, RecordRefund>) -> Result<Option<Performed>, CallError> {
        self.given_back(api, &ask.around, &Wanted::booking(&ask)).await
    }
}

impl Woocommerce {
    async fn give_back(&self, api: &Api, around: &Around<'_>, wanted: &Wanted<'_>) -> Result<Performed, CallError> {
        #[derive(Deserialize)]
        struct Made {
            #[serde(rename = "id")]
            _id: crate::wire::Id,
        }
        let operation = wanted.operation;
        if wanted.is_nothing() {
            return Ok(Performed::unchanged());
        }
        let order = self.order_of(api, operation, around, &wanted.refund.order).await?;
        let mark = mark(around, wanted.refund);
        if !order.refunds.is_empty() && self.refunds_of(api, operation, &order.id.0).await?.iter().any(|it| has(it, &mark)) {
            return Ok(unchanged_at(&order));
        }
        let amount = amount(&order, wanted)?;
        let left = order.total.or_zero() - order.refunded();
        if amount.amount > left {
            let left = Money::new(left, order.currency).scaled();
            return Err(CallError::data(
                operation,
                format!("{amount} is to be given back, and only {left} is left of the order"),
            ));
        }
        let body = body(&order, wanted, amount, &mark)?;
        let path = self.path(&format!("/orders/{}/refunds", crate::read::checked(operation, &order.id.0)?), &[]);
        api.post(operation, path).json(&body).fetch::<Made>().await?;
        Ok(at(&order))
    }

    async fn given_back(&self, api: &Api, around: &Around<'_>, wanted: &Wanted<'_>) -> Result<Option<Performed>, CallError> {
        if wanted.is_nothing() {
            return Ok(Some(Performed::unchanged()));
        }
        let order = self.order_of(api, wanted.operation, around, &wanted.refund.order).await?;
        let refunds = self.refunds_of(api, wanted.operation, &order.id.0).await?;
        let mark = mark(around, wanted.refund);
        Ok(refunds.iter().any(|it| has(it, &mark)).then(|| at(&order)))
    }
}

/// The same for this refund whichever delivery carries it.
fn mark(around: &Around<'_>, refund: &Refund) -> String {
    let name = json!([around.from, refund.id]).to_string();
    let digest = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string();
    format!("(ref {})", &digest[..16])
}

fn has(refund: &wire::Refund, mark: &str) -> bool {
    refund.reason().contains(mark)
}

/// In the order's currency.
fn amount(order: &order::Order, wanted: &Wanted<'_>) -> Result<Money, CallError> {
    let total = wanted.refund.total;
    let whole = wanted.amount == total.presentment;
    let choices = [Some(wanted.amount), whole.then_some(total.shop)];
    choices.into_iter().flatten().find(|it| it.currency == order.currency).map(Money::rounded).ok_or_else(|| {
        let (theirs, ours) = (wanted.amount.currency.code(), order.currency.code());
        CallError::data(wanted.operation, format!("the refund is in {theirs} and the order in {ours}"))
    })
}

fn body(order: &order::Order, wanted: &Wanted<'_>, amount: Money, mark: &str) -> Result<Body, CallError> {
    let refund = wanted.refund;
    let reason = refund.note.as_deref().unwrap_or_default().chars().take(200).collect::<String>();
    // Of a part nobody says which lines it is for; and lines that are not the order's would take from the wrong ones.
    let whole = in_currency(refund.total, order).is_some_and(|it| it.rounded() == amount);
    let lines: Option<Vec<Line>> = whole.then(|| refund.lines.iter().map(|it| line(order, it)).collect()).flatten();
    Ok(Body {
        amount: amount.amount.to_string(),
        reason: format!("{reason} {mark}").trim().to_owned(),
        api_refund: wanted.pays,
        api_restock: !refund.lines.is_empty() && refund.lines.iter().all(|it| it.restock != Restock::No),
        line_items: lines.unwrap_or_default(),
    })
}

fn in_currency(bag: MoneyBag, order: &order::Order) -> Option<Money> {
    [bag.shop, bag.presentment].into_iter().find(|it| it.currency == order.currency)
}

/// The order's line of a refund's: by id, else by a SKU that stands on one line only. Amounts go without tax.
fn line(order: &order::Order, refund: &RefundLine) -> Option<Line> {
    let by_sku = || {
        let mut same = order.line_items.iter().filter(|it| it.sku.is_some() && it.sku == refund.sku);
        same.next().filter(|_| same.next().is_none())
    };
    let line = order.line_items.iter().find(|it| it.id.0 == refund.line_id && same_sku(it, refund)).or_else(by_sku)?;
    let (subtotal, tax) = (in_currency(refund.subtotal, order)?.amount, in_currency(refund.tax, order)?.amount);
    let net = if order.prices_include_tax { subtotal - tax } else { subtotal };
    let weights: Vec<Decimal> = line.taxes.iter().map(|it| it.total.or_zero()).collect();
    let shares = split(tax, &weights, order.currency);
    let taxes =
        line.taxes.iter().zip(shares).map(|(rate, share)| Some(Tax { id: rate.id.0.parse().ok()?, refund_total: exact(share)? }));
    Some(Line {
        id: line.id.0.parse().ok()?,
        quantity: exact(refund.quantity.normalize())?,
        refund_total: exact(net)?,
        refund_tax: taxes.collect::<Option<_>>()?,
    })
}

/// Ids of two systems may be the same by chance.
fn same_sku(line: &crate::wire::lines::Line, refund: &RefundLine) -> bool {
    refund.sku.is_none() || line.sku == refund.sku
}

/// A JSON number as the decimal writes it, without a float between.
fn exact(number: Decimal) -> Option<Box<RawValue>> {
    RawValue::from_string(number.to_string()).ok()
}
