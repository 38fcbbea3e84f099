//! `refund` gives money back through the payment method; `record_refund` books what was given back elsewhere. Both make a
//! credit memo, whose remark carries a mark by which it is found again.
//!
//! Magento reckons the goods itself from their quantities. What that makes more or less than the refund is an adjustment,
//! so that the credit memo is the refund to the penny. All amounts go in base currency.

use super::{at, fulfilment::Remark, mark, marked, path, unchanged_at};
use crate::{
    Magento,
    read::checked,
    search::Search,
    wire::{Id, Number, item::Item, order::Order, refund::CreditMemo, says},
};
use serde::Serialize;
use spindel_connect::{Api, Around, Ask, CallError, Perform, Repeat};
use spindel_model::{Decimal, Money, MoneyError, Performed, RecordRefund, Refund, RefundLine, RefundOrder, Restock};

/// Credit memos of one order that are looked at.
const MOST: usize = 100;

#[derive(Serialize)]
struct Body {
    items: Vec<Row>,
    #[serde(rename = "isOnline", skip_serializing_if = "Option::is_none")]
    is_online: Option<bool>,
    notify: bool,
    #[serde(rename = "appendComment")]
    append_comment: bool,
    comment: Remark,
    arguments: Arguments,
}

#[derive(Serialize)]
struct Row {
    order_item_id: u64,
    qty: Number,
}

#[derive(Serialize)]
struct Arguments {
    /// Left out, all of the freight that is left is given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_amount: Option<Number>,
    adjustment_positive: Number,
    adjustment_negative: Number,
    extension_attributes: Restocked,
}

#[derive(Serialize)]
struct Restocked {
    return_to_stock_items: Vec<u64>,
}

/// What is asked, the same for both verbs.
struct Wanted<'a> {
    operation: &'static str,
    refund: &'a Refund,
    /// In base currency.
    amount: Decimal,
    /// The payment method pays it out.
    pays: bool,
}

impl<'a> Wanted<'a> {
    fn paying(ask: &Ask<'a, RefundOrder>) -> Result<Self, CallError> {
        const OPERATION: &str = "refund";
        let refund = &*ask.verb.refund;
        let unaddable = |error: MoneyError| CallError::data(OPERATION, format!("the refund's amounts cannot be added: {error}"));
        let left = refund.outstanding().map_err(unaddable)?;
        let total = refund.total;
        // What is left is told in the buyer's currency; a part of it in another one nobody can name.
        let amount = match left {
            left if left.currency == total.shop.currency => left.amount,
            left if left == total.presentment => total.shop.amount,
            left if left.is_zero() => Decimal::ZERO,
            left => {
                let base = total.shop.currency.code();
                let message = format!("{left} is left to be given back, and Magento takes parts in {base} only");
                return Err(CallError::data(OPERATION, message));
            }
        };
        Ok(Self { operation: OPERATION, refund, amount, pays: true })
    }

    fn booking(ask: &Ask<'a, RecordRefund>) -> Self {
        let refund = &*ask.verb.refund;
        Self { operation: "record_refund", refund, amount: refund.total.shop.amount, pays: false }
    }

    fn is_nothing(&self) -> bool {
        self.amount <= Decimal::ZERO
    }

    /// Of a part nobody says which goods it is for.
    fn is_whole(&self) -> bool {
        self.amount == self.refund.total.shop.amount
    }
}

impl Perform<RefundOrder> for Magento {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, RefundOrder>) -> Result<Performed, CallError> {
        self.give_back(api, &ask.around, &Wanted::paying(&ask)?).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, RefundOrder>) -> Result<Option<Performed>, CallError> {
        self.given_back(api, &ask.around, &Wanted::paying(&ask)?).await
    }
}

impl Perform<RecordRefund> for Magento {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordRefund>) -> Result<Performed, CallError> {
        self.give_back(api, &ask.around, &Wanted::booking(&ask)).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, RecordRefund>) -> Result<Option<Performed>, CallError> {
        self.given_back(api, &ask.around, &Wanted::booking(&ask)).await
    }
}

impl Magento {
    async fn give_back(&self, api: &Api, around: &Around<'_>, wanted: &Wanted<'_>) -> Result<Performed, CallError> {
        let operation = wanted.operation;
        if wanted.is_nothing() {
            return Ok(Performed::unchanged());
        }
        let order = self.order_of(api, operation, around, &wanted.refund.order).await?;
        let mark = mark(around, &wanted.refund.id);
        let memos = self.memos(api, operation, &order).await?;
        if memos.iter().any(|it| says(it.comments.as_ref(), &mark)) {
            return Ok(unchanged_at(&order));
        }
        if wanted.refund.total.shop.currency != order.base_currency_code {
            let (theirs, ours) = (wanted.refund.total.shop.currency.code(), order.base_currency_code.code());
            return Err(CallError::data(operation, format!("the refund is booked in {theirs} and the shop keeps {ours}")));
        }
        let body = body(&order, wanted, &mark)?;
        let path = match wanted.pays {
            true => format!("/all/V1/invoice/{}/refund", self.invoice_for(api, &order, wanted).await?),
            false => path(operation, "order", &order, "refund")?,
        };
        // It answers the number of the credit memo.
        api.post(operation, path).json(&body).fetch::<Id>().await?;
        Ok(at(&order))
    }

    async fn given_back(&self, api: &Api, around: &Around<'_>, wanted: &Wanted<'_>) -> Result<Option<Performed>, CallError> {
        if wanted.is_nothing() {
            return Ok(Some(Performed::unchanged()));
        }
        let order = self.order_of(api, wanted.operation, around, &wanted.refund.order).await?;
        let mark = mark(around, &wanted.refund.id);
        let memos = self.memos(api, wanted.operation, &order).await?;
        Ok(memos.iter().any(|it| says(it.comments.as_ref(), &mark)).then(|| at(&order)))
    }

    async fn memos(&self, api: &Api, operation: &'static str, order: &Order) -> Result<Vec<CreditMemo>, CallError> {
        let search = Search::new().with("order_id", "eq", order.entity_id.0.as_str()).sorted("entity_id").page(MOST, 1);
        search.list(api, operation, "creditmemos").await
    }

    /// The paid invoice that has as much left: the payment method gives back by invoice.
    async fn invoice_for(&self, api: &Api, order: &Order, wanted: &Wanted<'_>) -> Result<String, CallError> {
        let operation = wanted.operation;
        let invoices = self.invoices(api, operation, order).await?;
        if !invoices.iter().any(|it| it.is_online()) {
            let message = format!(
                "order {} was not paid through a payment method of the shop: give the money back elsewhere, and record it",
                order.number()
            );
            return Err(CallError::data(operation, message));
        }
        let left = |it: &super::payment::Invoice| it.base_grand_total.or_zero() - it.base_total_refunded.or_zero();
        let fits = invoices.iter().find(|it| it.is_online() && left(it) >= wanted.amount);
        let Some(invoice) = fits else {
            let amount = Money::new(wanted.amount, order.base_currency_code).scaled();
            return Err(CallError::data(operation, format!("no invoice of order {} has {amount} left", order.number())));
        };
        checked(operation, &invoice.entity_id.0).map(str::to_owned)
    }
}

/// Goods that are given back, with what Magento will reckon for them.
struct Goods {
    item: u64,
    quantity: Decimal,
    worth: Decimal,
    restock: bool,
}

fn body(order: &Order, wanted: &Wanted<'_>, mark: &str) -> Result<Body, CallError> {
    let refund = wanted.refund;
    // Lines that are not the order's would take from the wrong ones.
    let goods: Option<Vec<Goods>> = wanted.is_whole().then(|| refund.lines.iter().map(|it| goods(order, it)).collect()).flatten();
    let goods = goods.unwrap_or_default();
    let freight = refund.shipping.map(|it| it.shop.amount).filter(|it| wanted.is_whole() && Some(*it) == order.shipping_left());
    let worth: Decimal = goods.iter().map(|it| it.worth).sum::<Decimal>() + freight.unwrap_or_default();
    let rest = wanted.amount - worth;
    let mut items: Vec<Row> = goods.iter().map(|it| Row { order_item_id: it.item, qty: Number(it.quantity) }).collect();
    if items.is_empty() {
        // No list would be all that is left.
        items.push(Row { order_item_id: any_item(order, wanted.operation)?, qty: Number(Decimal::ZERO) });
    }
    Ok(Body {
        items,
        is_online: wanted.pays.then_some(true),
        notify: false,
        append_comment: false,
        comment: Remark { comment: marked(refund.note.as_deref(), mark), is_visible_on_front: 0 },
        arguments: Arguments {
            shipping_amount: freight.is_none().then_some(Number(Decimal::ZERO)),
            adjustment_positive: Number(rest.max(Decimal::ZERO)),
            adjustment_negative: Number((-rest).max(Decimal::ZERO)),
            extension_attributes: Restocked {
                return_to_stock_items: goods.iter().filter(|it| it.restock).map(|it| it.item).collect(),
            },
        },
    })
}

fn any_item(order: &Order, operation: &'static str) -> Result<u64, CallError> {
    let item = order.rows().counted().next().and_then(|it| it.item_id.number());
    item.ok_or_else(|| CallError::data(operation, format!("order {} has no lines", order.number())))
}

/// The order's line of a refund's: by id and SKU, else by a SKU that stands on one line only. `None` when it has not as many left.
fn goods(order: &Order, refund: &RefundLine) -> Option<Goods> {
    let by_sku = || {
        let mut same = order.rows().counted().filter(|it| it.sku.is_some() && it.sku == refund.sku);
        same.next().filter(|_| same.next().is_none())
    };
    let same_sku = |it: &&Item| refund.sku.is_none() || it.sku == refund.sku;
    let by_id = order.rows().counted().find(|it| it.item_id.0 == refund.line_id).filter(same_sku);
    let item = by_id.or_else(by_sku)?;
    let quantity = refund.quantity.normalize();
    if quantity <= Decimal::ZERO || quantity > item.to_refund() {
        return None;
    }
    let share = quantity.checked_div(item.qty_ordered.or_zero())?;
    Some(Goods {
        item: item.item_id.number()?,
        quantity,
        worth: item.payable().part(share, order.currencies()).shop,
        restock: refund.restock != Restock::No,
    })
}
