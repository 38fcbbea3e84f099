//! Finding what changed since the last time, by `updated_at`.

use crate::{
    Magento,
    search::{OVERLAP, Row, page, rows},
    wire::{customer, order, product, refund::CreditMemo, shipment::Shipment as WireShipment},
};
use jiff::SignedDuration;
use spindel_connect::{Api, CallError, Cursor, Page, ParseError, Poll, Round};
use spindel_model::{Change, Customer, Order, Product, Record, Refund, Shipment, Timestamp, Topic};

/// Without a cursor older ones are history: they were dealt with before Spindel came.
const FIRST: SignedDuration = SignedDuration::from_hours(48);

/// It is read again, and fails where that is seen.
fn nudge(topic: Topic, row: &Row) -> Change {
    Change::new(topic, &row.id, row.updated_at, Record::Nudge)
}

impl Poll<Order> for Magento {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let round = Round::read(cursor, now, Some(FIRST))?;
        let rows = rows(&round, api, "poll_orders", "orders").await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            let read = || {
                let wire: order::Order = row.read()?;
                Ok::<_, ParseError>((wire.topic(), wire.created_at.0, wire.canonical(&self.shop)?))
            };
            let Ok((topic, made, order)) = read() else {
                changes.push(nudge(Topic::OrderUpdated, row));
                continue;
            };
            let is_new = made.is_some_and(|it| round.is_new(it, OVERLAP));
            // A new order that was paid meanwhile is both: whoever waits for one of the two must hear of it.
            let topics = [is_new.then_some(Topic::OrderCreated), (!is_new || topic != Topic::OrderUpdated).then_some(topic)];
            let record = || Record::Order(Box::new(order.clone()));
            changes.extend(topics.into_iter().flatten().map(|topic| Change::new(topic, &row.id, order.updated_at, record())));
        }
        Ok(page(round, &rows, changes))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Round::<i64>::since(at))
    }
}

impl Poll<Refund> for Magento {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_refunds";
        let round = Round::read(cursor, now, Some(FIRST))?;
        let rows = rows(&round, api, OPERATION, "creditmemos").await?;
        let memos: Vec<(&Row, Result<CreditMemo, ParseError>)> = rows.iter().map(|row| (row, row.read())).collect();
        let ids = memos.iter().filter_map(|(_, memo)| memo.as_ref().ok()).map(|it| it.order_id.0.as_str());
        let orders = self.orders_of(api, OPERATION, ids).await?;
        let mut changes = Vec::with_capacity(memos.len());
        for (row, memo) in &memos {
            let Ok(memo) = memo else {
                changes.push(nudge(Topic::RefundCreated, row));
                continue;
            };
            let order = orders.get(&memo.order_id.0);
            if memo.is_cancelled() {
                continue;
            }
            changes.push(match order.map(|order| memo.canonical(&self.shop, order)) {
                // A remark that is added later does not make it another refund.
                Some(Ok(refund)) => {
                    Change::new(Topic::RefundCreated, &row.id, refund.created_at, Record::Refund(Box::new(refund)))
                }
                _ => nudge(Topic::RefundCreated, row),
            });
        }
        Ok(page(round, &rows, changes))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Round::<i64>::since(at))
    }
}

impl Poll<Shipment> for Magento {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_shipments";
        let round = Round::read(cursor, now, Some(FIRST))?;
        let rows = rows(&round, api, OPERATION, "shipments").await?;
        let shipments: Vec<(&Row, Result<WireShipment, ParseError>)> = rows.iter().map(|row| (row, row.read())).collect();
        let ids = shipments.iter().filter_map(|(_, it)| it.as_ref().ok()).map(|it| it.order_id.0.as_str());
        let orders = self.orders_of(api, OPERATION, ids).await?;
        let told = shipments.iter().map(|(row, shipment)| {
            let read = || {
                let wire = shipment.as_ref().ok()?;
                Some((wire.created_at.0, wire.canonical(orders.get(&wire.order_id.0)?).ok()?))
            };
            let Some((made, shipment)) = read() else { return nudge(Topic::ShipmentUpdated, row) };
            let topic =
                if made.is_some_and(|it| round.is_new(it, OVERLAP)) { Topic::ShipmentCreated } else { Topic::ShipmentUpdated };
            Change::new(topic, &row.id, shipment.updated_at, Record::Shipment(Box::new(shipment)))
        });
        let changes = told.collect();
        Ok(page(round, &rows, changes))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Round::<i64>::since(at))
    }
}

impl Poll<Product> for Magento {
    /// A product with variants is read back: they stand in the list for themselves.
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let round = Round::read(cursor, now, None)?;
        let rows = rows(&round, api, "poll_products", "products").await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            let Ok(product) = row.read::<product::Product>() else {
                changes.push(nudge(Topic::ProductUpdated, row));
                continue;
            };
            let topic = if product.created_at.0.is_some_and(|it| round.is_new(it, OVERLAP)) {
                Topic::ProductCreated
            } else {
                Topic::ProductUpdated
            };
            changes.push(match product.canonical(&self.shop, &[], &[]) {
                Ok(whole) if product.is_whole() => {
                    Change::new(topic, &row.id, whole.updated_at, Record::Product(Box::new(whole)))
                }
                _ => nudge(topic, row),
            });
        }
        Ok(page(round, &rows, changes))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Round::<i64>::since(at))
    }
}

impl Poll<Customer> for Magento {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let round = Round::read(cursor, now, None)?;
        let rows = rows(&round, api, "poll_customers", "customers/search").await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            let Ok(customer) = row.read::<customer::Customer>() else {
                changes.push(nudge(Topic::CustomerUpdated, row));
                continue;
            };
            let topic = if customer.created_at.0.is_some_and(|it| round.is_new(it, OVERLAP)) {
                Topic::CustomerCreated
            } else {
                Topic::CustomerUpdated
            };
            changes.push(Change::new(topic, &row.id, row.updated_at, Record::Customer(Box::new(customer.into()))));
        }
        Ok(page(round, &rows, changes))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Round::<i64>::since(at))
    }
}
