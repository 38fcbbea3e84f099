//! `refund`: gives money back through the payments that it came in by.

use crate::{
    Shopify,
    graphql::{Nodes, ORDER_TO_REFUND, REFUND_ORDER, UserError, refused},
    perform::{at_order, order_gone, unchanged_at},
    wire::{Id, bare_id, gid, payment::Payment},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Currency, Decimal, Money, MoneyBag, Performed, Refund, RefundLine, RefundOrder, Restock};

const OPERATION: &str = REFUND_ORDER.name;
const MOST_PAGES: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    id: Id,
    name: String,
    presentment_currency_code: Currency,
    refunds: Vec<Past>,
    transactions: Vec<Payment>,
    line_items: Nodes<Line>,
}

#[derive(Deserialize)]
struct Past {
    note: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    id: Id,
    sku: Option<String>,
}

impl Perform<RefundOrder> for Shopify {
    /// The key goes to Shopify, and into the refund's note: it is recognised after Shopify forgot the key, too.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, RefundOrder>) -> Result<Performed, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Refunded {
            refund_create: Outcome,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Outcome {
            user_errors: Vec<UserError>,
        }
        let refund = &ask.verb.refund;
        let gid = self.order_id(api, OPERATION, &ask.around, &refund.order).await?;
        let order = self.order_to_refund(api, &gid).await?;
        let mark = format!("[{}]", ask.key.simple());
        if order.refunds.iter().any(|past| past.note.as_deref().is_some_and(|note| note.contains(&mark))) {
            return Ok(unchanged_at(&order.id, &order.name));
        }
        let input = order.input(&gid, refund, &mark, &ask)?;
        let variables = json!({ "input": input, "key": ask.key });
        let refunded: Refunded = self.ask(api, REFUND_ORDER, variables).await?;
        refused(OPERATION, &refunded.refund_create.user_errors)?;
        Ok(at_order(&order.id, &order.name))
    }
}

impl Shopify {
    async fn order_to_refund(&self, api: &Api, id: &str) -> Result<Order, CallError> {
        #[derive(Deserialize)]
        struct Found {
            order: Option<Order>,
        }
        let found: Found = self.ask(api, ORDER_TO_REFUND, json!({ "id": id })).await?;
        let mut order = found.order.ok_or_else(|| order_gone(OPERATION))?;
        let mut after = std::mem::take(&mut order.line_items.page_info).next();
        for _ in 0..MOST_PAGES {
            if after.is_none() {
                break;
            }
            let more: Found = self.ask(api, ORDER_TO_REFUND, json!({ "id": id, "after": after })).await?;
            let Some(page) = more.order.map(|it| it.line_items) else { break };
            order.line_items.nodes.extend(page.nodes);
            after = page.page_info.next();
        }
        Ok(order)
    }
}

impl Order {
    fn input(&self, gid: &str, refund: &Refund, mark: &str, ask: &Ask<'_, RefundOrder>) -> Result<Value, CallError> {
        let note = refund.note.as_deref().map_or_else(|| mark.to_owned(), |note| format!("{note} {mark}"));
        let mut input = Map::new();
        input.insert("orderId".into(), json!(gid));
        input.insert("note".into(), json!(note));
        input.insert("currency".into(), json!(self.presentment_currency_code.code()));
        let lines = refund.lines.iter().map(|line| self.line(line, ask)).collect::<Result<Vec<_>, _>>()?;
        if !lines.is_empty() {
            input.insert("refundLineItems".into(), json!(lines));
        }
        if let Some(shipping) = refund.shipping {
            let amount = self.in_buyers_currency(shipping)?;
            input.insert("shipping".into(), json!({ "amount": amount.amount.to_string() }));
        }
        let total = self.in_buyers_currency(refund.total)?;
        if !total.is_zero() {
            input.insert("transactions".into(), json!(self.payouts(gid, total)?));
        }
        Ok(input.into())
    }

    fn line(&self, line: &RefundLine, ask: &Ask<'_, RefundOrder>) -> Result<Value, CallError> {
        let by_id = self.line_items.nodes.iter().find(|it| it.id.0 == bare_id(&line.line_id));
        let mut by_sku = self.line_items.nodes.iter().filter(|it| it.sku.is_some() && it.sku == line.sku);
        let found = match (by_id, by_sku.next(), by_sku.next()) {
            (Some(found), ..) | (None, Some(found), None) => found,
            _ => {
                let sku = line.sku.as_deref().unwrap_or("no SKU");
                return Err(CallError::data(
                    OPERATION,
                    format!("order {} has not one line for the refunded line ({sku})", self.name),
                ));
            }
        };
        let quantity = Some(line.quantity).filter(Decimal::is_integer).and_then(|it| i64::try_from(it.trunc()).ok());
        let quantity = quantity
            .ok_or_else(|| CallError::data(OPERATION, format!("Shopify takes whole quantities only, not {}", line.quantity)))?;
        let mut input = json!({ "lineItemId": gid("LineItem", &found.id.0), "quantity": quantity });
        input["restockType"] = json!(match line.restock {
            Restock::No => "NO_RESTOCK",
            Restock::Cancel => "CANCEL",
            Restock::Return => "RETURN",
        });
        if let Some(location) = line.location_id.as_deref().filter(|_| line.restock != Restock::No) {
            let location = ask.maps.translate(OPERATION, "location", location)?;
            input["locationId"] = json!(gid("Location", location));
        }
        Ok(input)
    }

    /// Shopify pays back in the currency that was paid in.
    fn in_buyers_currency(&self, bag: MoneyBag) -> Result<Money, CallError> {
        let buyers = self.presentment_currency_code;
        [bag.presentment, bag.shop].into_iter().find(|money| money.currency == buyers).ok_or_else(|| {
            let message = format!(
                "order {} was paid in {}, and the refund is in {}",
                self.name,
                buyers.code(),
                bag.presentment.currency.code()
            );
            CallError::data(OPERATION, message)
        })
    }

    /// The amount, spread over the payments as far as each goes.
    fn payouts(&self, gid: &str, total: Money) -> Result<Vec<Value>, CallError> {
        let amount = |payment: &Payment| MoneyBag::from(payment.amount_set).presentment.amount;
        let mut missing = total.amount;
        let mut payouts = Vec::new();
        for payment in self.transactions.iter().filter(|it| it.is_income()) {
            let spent: Decimal = self.transactions.iter().filter(|it| it.is_payout_of(&payment.id)).map(amount).sum();
            let part = (amount(payment) - spent).min(missing);
            if part <= Decimal::ZERO {
                continue;
            }
            missing -= part;
            payouts.push(json!({
                "orderId": gid,
                "parentId": gid_of_transaction(payment),
                "kind": "REFUND",
                "gateway": payment.gateway,
                "amount": part.to_string(),
            }));
        }
        if missing > Decimal::ZERO {
            let missing = Money::new(missing, total.currency);
            return Err(CallError::data(
                OPERATION,
                format!("order {}: {missing} more than was paid and not given back", self.name),
            ));
        }
        Ok(payouts)
    }
}

fn gid_of_transaction(payment: &Payment) -> String {
    gid("OrderTransaction", &payment.id.0)
}
