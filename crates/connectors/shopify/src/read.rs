//! Reading records back, and finding what changed since.
//!
//! Orders and products are listed by id and then read whole, one by one: a list of whole orders would cost more than a
//! query may.

use crate::{
    Shopify,
    graphql::{
        Document, Nodes, ORDER, ORDER_LINES, ORDERS_SINCE, PRODUCT, PRODUCTS_SINCE, REFUND, STOCK_LEVEL, STOCK_LEVELS,
        STOCK_PAGE, Shop, quoted,
    },
    wire::{
        Id,
        catalog::{GraphItem, GraphLevels, GraphProduct, level_id},
        gid, graph,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use spindel_connect::{Api, CallError, Cursor, Page, Poll, Read};
use spindel_model::{Change, EntityRef, ErrorClass, Order, Product, Record, StockLevel, Timestamp, Topic, Version};
use std::time::Duration;

/// Records of one page of a poll.
const PAGE: usize = 10;
/// Shopify's index of `updated_at` trails a little behind.
const OVERLAP: Duration = Duration::from_secs(300);
/// Without a cursor older orders are history: they were dealt with before Spindel came.
const FIRST_ORDERS: Duration = Duration::from_secs(48 * 3600);
/// Pages of one record's lines, variants or levels.
const MOST_PAGES: usize = 100;

impl Read<Order> for Shopify {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Order>, CallError> {
        #[derive(Deserialize)]
        struct Found {
            order: Option<graph::Order>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Lines {
            line_items: Nodes<graph::Line>,
        }
        #[derive(Deserialize)]
        struct More {
            order: Option<Lines>,
        }
        let id = gid("Order", id);
        let found: Found = self.ask(api, ORDER, json!({ "id": id })).await?;
        let Some(mut order) = found.order else { return Ok(None) };
        let mut after = std::mem::take(&mut order.line_items.page_info).next();
        for _ in 0..MOST_PAGES {
            if after.is_none() {
                break;
            }
            let more: More = self.ask(api, ORDER_LINES, json!({ "id": id, "after": after })).await?;
            let Some(lines) = more.order.map(|it| it.line_items) else { return Ok(None) };
            order.line_items.nodes.extend(lines.nodes);
            after = lines.page_info.next();
        }
        let mut refunds = Vec::with_capacity(order.refunds.len());
        for refund in &order.refunds {
            refunds.extend(self.refund(api, &refund.id).await?);
        }
        let order = order.draft(refunds).and_then(|draft| draft.finish());
        order.map(Some).map_err(|error| CallError::data(ORDER.name, error.to_string()))
    }
}

impl Shopify {
    async fn refund(&self, api: &Api, id: &Id) -> Result<Option<graph::Refund>, CallError> {
        #[derive(Deserialize)]
        struct Found {
            refund: Option<graph::Refund>,
        }
        let id = gid("Refund", &id.0);
        let found: Found = self.ask(api, REFUND, json!({ "id": id })).await?;
        let Some(mut refund) = found.refund else { return Ok(None) };
        let mut after = std::mem::take(&mut refund.refund_line_items.page_info).next();
        for _ in 0..MOST_PAGES {
            if after.is_none() {
                break;
            }
            let more: Found = self.ask(api, REFUND, json!({ "id": id, "after": after })).await?;
            let Some(page) = more.refund.map(|it| it.refund_line_items) else { break };
            refund.refund_line_items.nodes.extend(page.nodes);
            after = page.page_info.next();
        }
        Ok(Some(refund))
    }
}

impl Read<Product> for Shopify {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Product>, CallError> {
        #[derive(Deserialize)]
        struct Found {
            shop: Shop,
            product: Option<GraphProduct>,
        }
        let id = gid("Product", id);
        let first: Found = self.ask(api, PRODUCT, json!({ "id": id })).await?;
        let Some(mut product) = first.product else { return Ok(None) };
        let mut after = std::mem::take(&mut product.variants.page_info).next();
        for _ in 0..MOST_PAGES {
            if after.is_none() {
                break;
            }
            let more: Found = self.ask(api, PRODUCT, json!({ "id": id, "after": after })).await?;
            let Some(page) = more.product.map(|it| it.variants) else { return Ok(None) };
            product.variants.nodes.extend(page.nodes);
            after = page.page_info.next();
        }
        Ok(Some(product.canonical(first.shop.currency_code)))
    }
}

impl Read<StockLevel> for Shopify {
    /// `id` is item and location, as in `43729076@24826418`.
    async fn read(&self, api: &Api, id: &str) -> Result<Option<StockLevel>, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Found {
            inventory_item: Option<GraphItem>,
        }
        let (item, location) = id
            .split_once('@')
            .ok_or_else(|| CallError::data(STOCK_LEVEL.name, "expected item and location, as in `43729076@24826418`"))?;
        let variables = json!({ "item": gid("InventoryItem", item), "location": gid("Location", location) });
        let found: Found = self.ask(api, STOCK_LEVEL, variables).await?;
        Ok(found.inventory_item.and_then(|item| item.inventory_level.as_ref().map(|level| item.canonical(level))))
    }
}

/// Where a poll stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Place {
    /// What changed from here on is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// Shopify's own cursor within that list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// Where the list that follows begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Timestamp>,
}

impl Place {
    fn of(cursor: Option<&Cursor>) -> Result<Self, CallError> {
        let Some(cursor) = cursor else { return Ok(Self::default()) };
        serde_json::from_str(&cursor.0)
            .map_err(|_| CallError::new("poll", ErrorClass::Bug, "the cursor is not one that this connector made"))
    }

    fn since(at: Timestamp) -> Cursor {
        Cursor(json!(Self { since: Some(at), ..Self::default() }).to_string())
    }

    /// The page after this one, or the list after this list.
    fn page(self, changes: Vec<Change>, after: Option<String>) -> Page {
        let more = after.is_some();
        let place = match after {
            Some(after) => Self { after: Some(after), ..self },
            None => Self { since: self.next.or(self.since), after: None, next: None },
        };
        Page { changes, cursor: Cursor(json!(place).to_string()), more }
    }
}

/// One row of a list of changed records.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: Id,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct Rows {
    #[serde(alias = "orders", alias = "products")]
    rows: Nodes<Row>,
}

impl Shopify {
    /// The next rows, and the place with the newest of them noted.
    async fn changed(&self, api: &Api, list: Document, mut place: Place) -> Result<(Vec<Row>, Option<String>, Place), CallError> {
        let query = place.since.map(|since| format!("updated_at:>={}", quoted(&before(since).to_string())));
        let page: Rows = self.ask(api, list, json!({ "first": PAGE, "after": place.after, "query": query })).await?;
        place.next = page.rows.nodes.iter().map(|row| row.updated_at).max().max(place.next);
        Ok((page.rows.nodes, page.rows.page_info.next(), place))
    }
}

fn before(since: Timestamp) -> Timestamp {
    since.saturating_sub(OVERLAP).unwrap_or(since)
}

impl Poll<Order> for Shopify {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let mut place = Place::of(cursor)?;
        if place.since.is_none() {
            place.since = Some(now.saturating_sub(FIRST_ORDERS).unwrap_or(now));
        }
        let (rows, after, place) = self.changed(api, ORDERS_SINCE, place).await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in rows {
            let change = match <Self as Read<Order>>::read(self, api, &row.id.0).await {
                Ok(Some(order)) => order_change(order),
                Ok(None) => continue,
                // One order that does not add up must not hold back the rest: it is read again, and fails where it is seen.
                Err(error) if error.class == ErrorClass::Data => nudge(row),
                Err(error) => return Err(error),
            };
            changes.push(change);
        }
        Ok(place.page(changes, after))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place::since(at))
    }
}

fn order_change(order: Order) -> Change {
    let topic = if order.cancelled_at.is_some() { Topic::OrderCancelled } else { Topic::OrderUpdated };
    Change {
        topic,
        entity: EntityRef::new(topic.entity(), &order.id),
        version: order.updated_at.into(),
        record: Record::Order(Box::new(order)),
    }
}

fn nudge(row: Row) -> Change {
    let topic = Topic::OrderUpdated;
    Change { topic, entity: EntityRef::new(topic.entity(), row.id.0), version: row.updated_at.into(), record: Record::Nudge }
}

impl Poll<Product> for Shopify {
    /// Without a cursor all products are listed.
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, _: Timestamp) -> Result<Page, CallError> {
        let (rows, after, place) = self.changed(api, PRODUCTS_SINCE, Place::of(cursor)?).await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(product) = <Self as Read<Product>>::read(self, api, &row.id.0).await? else { continue };
            let topic = Topic::ProductUpdated;
            changes.push(Change {
                topic,
                entity: EntityRef::new(topic.entity(), &product.id),
                version: product.updated_at.into(),
                record: Record::Product(Box::new(product)),
            });
        }
        Ok(place.page(changes, after))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place::since(at))
    }
}

impl Poll<StockLevel> for Shopify {
    /// Shopify cannot list levels by when they changed, so all items are walked, and what is old is left out.
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Items {
            inventory_items: Nodes<GraphItem>,
        }
        let mut place = Place::of(cursor)?;
        // What changes while the list is walked belongs to the next walk too.
        place.next = place.next.or(Some(now));
        let page: Items = self.ask(api, STOCK_PAGE, json!({ "first": PAGE, "after": place.after })).await?;
        let oldest = place.since.map(before);
        let mut changes = Vec::new();
        for mut item in page.inventory_items.nodes {
            self.rest_of_levels(api, &mut item).await?;
            let levels = item.inventory_levels.nodes.iter().map(|level| item.canonical(level));
            let fresh = levels.filter(|level| oldest.is_none_or(|oldest| level.as_of >= oldest));
            changes.extend(fresh.map(stock_change));
        }
        Ok(place.page(changes, page.inventory_items.page_info.next()))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place::since(at))
    }
}

fn stock_change(level: StockLevel) -> Change {
    let topic = Topic::StockChanged;
    Change {
        topic,
        entity: EntityRef::new(topic.entity(), level_id(&level)),
        version: Version::from(level.as_of),
        record: Record::Stock(level),
    }
}

impl Shopify {
    async fn rest_of_levels(&self, api: &Api, item: &mut GraphItem) -> Result<(), CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Levels {
            inventory_levels: GraphLevels,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Found {
            inventory_item: Option<Levels>,
        }
        let id = gid("InventoryItem", &item.id.0);
        let mut after = std::mem::take(&mut item.inventory_levels.page_info).next();
        for _ in 0..MOST_PAGES {
            if after.is_none() {
                break;
            }
            let more: Found = self.ask(api, STOCK_LEVELS, json!({ "id": id, "after": after })).await?;
            let Some(levels) = more.inventory_item.map(|it| it.inventory_levels) else { break };
            item.inventory_levels.nodes.extend(levels.nodes);
            after = levels.page_info.next();
        }
        Ok(())
    }
}
