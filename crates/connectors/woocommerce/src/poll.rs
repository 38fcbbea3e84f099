//! Finding what changed: there are no retries at the vendor, so a webhook that failed is found here or not at all.
//!
//! Refunds and payments come from here alone: an order's webhook comes several times for one change and has no times of
//! theirs, and each of them must be told once.

use crate::{
    Woocommerce,
    receive::{price_change, stock_change},
    walk::{OVERLAP, Place, modified_after, page},
    wire::{Id, Utc, customer, order, product},
};
use jiff::SignedDuration;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use spindel_connect::{Api, CallError, Cursor, Page, Poll};
use spindel_model::{
    Change, Customer, ErrorClass, Order, OrderRef, Price, Product, Record, Refund, StockLevel, Timestamp, Topic, Transaction,
};

/// Orders of one page; some of them are asked about once more.
const ORDERS: usize = 50;
/// Products of one page; each with variations is asked about once more.
const PRODUCTS: usize = 20;
const CUSTOMERS: usize = 100;
/// Without a cursor older orders are history: they were dealt with before Spindel came.
const FIRST: SignedDuration = SignedDuration::from_hours(48);

/// An order of a page, or what can be said of one that cannot be read.
struct Row {
    id: Id,
    modified: Timestamp,
    order: Option<order::Order>,
}

impl Woocommerce {
    async fn list<T: DeserializeOwned>(
        &self,
        api: &Api,
        operation: &'static str,
        resource: &str,
        place: &Place,
        size: usize,
        more: &[(&str, &str)],
    ) -> Result<Vec<T>, CallError> {
        let (size, offset) = (size.to_string(), place.place().copied().unwrap_or_default().to_string());
        let mut query = more.to_vec();
        query.extend([("orderby", "id"), ("order", "asc"), ("per_page", size.as_str()), ("offset", offset.as_str())]);
        api.get(operation, self.path(resource, &query)).fetch().await
    }

    /// One bad order must not hold back the others, so each is read for itself.
    async fn orders(&self, api: &Api, operation: &'static str, place: &Place) -> Result<Vec<Row>, CallError> {
        #[derive(Deserialize)]
        struct Bare {
            id: Id,
            #[serde(default)]
            date_modified_gmt: Utc,
            #[serde(default)]
            date_created_gmt: Utc,
        }
        let after = modified_after(place).unwrap_or_default();
        let query = [("modified_after", after.as_str()), ("dates_are_gmt", "true"), ("status", "any")];
        let rows: Vec<Box<RawValue>> = self.list(api, operation, "/orders", place, ORDERS, &query).await?;
        let row = |raw: Box<RawValue>| {
            let bare: Bare = spindel_connect::parse(raw.get().as_bytes())?;
            let order = spindel_connect::parse::<order::Order>(raw.get().as_bytes()).ok();
            let modified = bare.date_modified_gmt.0.or(bare.date_created_gmt.0).unwrap_or_default();
            Ok(Row { id: bare.id, modified, order })
        };
        rows.into_iter().map(row).collect::<Result<_, _>>().map_err(CallError::misfit(operation))
    }

    /// Products of a page with their variations, which carry times of their own.
    async fn catalogue(
        &self,
        api: &Api,
        operation: &'static str,
        place: &Place,
    ) -> Result<Vec<(product::Product, Vec<product::Product>)>, CallError> {
        let rows: Vec<product::Product> = self.list(api, operation, "/products", place, PRODUCTS, &[]).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            let variations = match row.has_variations() {
                true => self.variations(api, operation, &row.id.0).await?,
                false => Vec::new(),
            };
            all.push((row, variations));
        }
        Ok(all)
    }

    /// One change for each item of the catalogue that `make` finds something to say about, if it is new.
    async fn items(
        &self,
        api: &Api,
        operation: &'static str,
        place: Place,
        make: impl Fn(&product::Product, Option<&str>) -> Result<Option<Change>, CallError> + Send,
    ) -> Result<Page, CallError> {
        let rows = self.catalogue(api, operation, &place).await?;
        let (mut changes, mut seen) = (Vec::new(), None);
        for (row, variations) in &rows {
            let own = std::iter::once((row, None));
            for (item, parent) in own.chain(variations.iter().map(|it| (it, Some(row.id.0.as_str())))) {
                let modified = item.modified().map_err(CallError::misfit(operation))?;
                seen = seen.max(Some(modified));
                if place.is_new(modified, OVERLAP) {
                    changes.extend(make(item, parent)?);
                }
            }
        }
        Ok(page(place, changes, rows.len(), PRODUCTS, seen))
    }

    pub(crate) fn price_settings(&self, operation: &'static str) -> Result<(), CallError> {
        let missing = match (self.shop.currency, self.shop.prices_include_tax) {
            (Some(_), Some(_)) => return Ok(()),
            (None, _) => "currency",
            (Some(_), None) => "prices_include_tax",
        };
        Err(CallError::config(
            operation,
            format!("prices need `{missing}` in the connection's settings: the API does not say it"),
        ))
    }
}

fn seen(rows: &[Row]) -> Option<Timestamp> {
    rows.iter().map(|row| row.modified).max()
}

impl Poll<Order> for Woocommerce {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_orders";
        let place = Place::read(cursor, now, Some(FIRST))?;
        let rows = self.orders(api, OPERATION, &place).await?;
        let mut changes = Vec::with_capacity(rows.len());
        for row in &rows {
            let nudge = || Change::new(Topic::OrderUpdated, row.id.0.clone(), row.modified, Record::Nudge);
            // It is read again, and fails where it is seen.
            let Some(order) = &row.order else {
                changes.push(nudge());
                continue;
            };
            if order.is_draft() || order.is_in_trash() {
                continue;
            }
            changes.push(match self.whole(api, OPERATION, order).await {
                Ok(whole) => Change::new(order.topic(), whole.id.clone(), whole.updated_at, Record::Order(Box::new(whole))),
                Err(error) if matches!(error.class, ErrorClass::Data | ErrorClass::Gone) => nudge(),
                Err(error) => return Err(error),
            });
        }
        Ok(page(place, changes, rows.len(), ORDERS, seen(&rows)))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place::since(at))
    }
}

impl Poll<Refund> for Woocommerce {
    /// A refund changes its order, so it is found there.
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_refunds";
        let place = Place::read(cursor, now, Some(FIRST))?;
        let rows = self.orders(api, OPERATION, &place).await?;
        let mut changes = Vec::new();
        for order in rows.iter().filter_map(|row| row.order.as_ref()).filter(|it| !it.refunds.is_empty()) {
            for refund in self.refunds_of(api, OPERATION, &order.id.0).await? {
                let Ok(created) = refund.created() else {
                    // It is read again, and fails where it is seen.
                    let id = format!("{}/{}", order.id.0, refund.id.0);
                    changes.push(Change::new(Topic::RefundCreated, id, Timestamp::UNIX_EPOCH, Record::Nudge));
                    continue;
                };
                if place.is_new(created, OVERLAP) {
                    let refund = refund.canonical(order).map_err(CallError::misfit(OPERATION))?;
                    let (id, version) = (refund.id.clone(), created);
                    changes.push(Change::new(Topic::RefundCreated, id, version, Record::Refund(Box::new(refund))));
                }
            }
        }
        Ok(page(place, changes, rows.len(), ORDERS, seen(&rows)))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place::since(at))
    }
}

impl Poll<(OrderRef, Transaction)> for Woocommerce {
    /// The payment of an order, once it is paid.
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let place = Place::read(cursor, now, Some(FIRST))?;
        let rows = self.orders(api, "poll_payments", &place).await?;
        let paid = rows.iter().filter_map(|row| row.order.as_ref()).filter(|it| !it.is_draft());
        let paid = paid.filter_map(|it| Some((it.reference(), it.transaction(&self.shop)?)));
        let fresh = paid.filter(|(_, it)| place.is_new(it.processed_at, OVERLAP));
        let changes = fresh.map(|(order, transaction)| {
            let (id, version) = (transaction.id.clone(), transaction.processed_at);
            Change::new(Topic::TransactionCreated, id, version, Record::Transaction { order, transaction })
        });
        let changes = changes.collect();
        Ok(page(place, changes, rows.len(), ORDERS, seen(&rows)))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place::since(at))
    }
}

impl Poll<Product> for Woocommerce {
    /// A variation does not touch its product's own time, so the whole catalogue is walked.
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_products";
        let place = Place::read(cursor, now, None)?;
        let rows = self.catalogue(api, OPERATION, &place).await?;
        let (mut changes, mut seen) = (Vec::new(), None);
        for (row, variations) in &rows {
            let product = row.canonical(&self.shop, variations).map_err(CallError::misfit(OPERATION))?;
            seen = seen.max(Some(product.updated_at));
            if place.is_new(product.updated_at, OVERLAP) && !row.is_draft() {
                let (id, version) = (product.id.clone(), product.updated_at);
                changes.push(Change::new(Topic::ProductUpdated, id, version, Record::Product(Box::new(product))));
            }
        }
        Ok(page(place, changes, rows.len(), PRODUCTS, seen))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place::since(at))
    }
}

impl Poll<StockLevel> for Woocommerce {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_stock";
        let place = Place::read(cursor, now, None)?;
        let make = |item: &product::Product, parent: Option<&str>| {
            let level = item.stock(&self.shop, parent).map_err(CallError::misfit(OPERATION))?;
            Ok(level.map(|level| stock_change(&item.item_id(parent), level)))
        };
        self.items(api, OPERATION, place, make).await
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place::since(at))
    }
}

impl Poll<Price> for Woocommerce {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_prices";
        self.price_settings(OPERATION)?;
        let place = Place::read(cursor, now, None)?;
        let make = |item: &product::Product, parent: Option<&str>| {
            let price = item.price(&self.shop).map_err(CallError::misfit(OPERATION))?;
            Ok(price.map(|price| price_change(&item.item_id(parent), price)))
        };
        self.items(api, OPERATION, place, make).await
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place::since(at))
    }
}

impl Poll<Customer> for Woocommerce {
    /// Customers cannot be listed by when they changed, so all are walked.
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let place = Place::read(cursor, now, None)?;
        let rows: Vec<customer::Customer> = self.list(api, "poll_customers", "/customers", &place, CUSTOMERS, &[]).await?;
        let (size, seen) = (rows.len(), rows.iter().filter_map(customer::Customer::modified).max());
        let fresh = rows.into_iter().filter(|it| it.modified().is_none_or(|at| place.is_new(at, OVERLAP)));
        let changes = fresh.map(|it| {
            let (id, version) = (it.id.0.clone(), it.modified().unwrap_or_default());
            Change::new(Topic::CustomerUpdated, id, version, Record::Customer(Box::new(it.into())))
        });
        let changes = changes.collect();
        Ok(page(place, changes, size, CUSTOMERS, seen))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Place::since(at))
    }
}
