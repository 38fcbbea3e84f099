//! What changed in Odoo since the last time: stock, prices, and transfers that left the warehouse.
//!
//! A round lists everything changed since `since`, by id. Rows carry the time at which their transaction began, and may
//! appear minutes after it: a round looks back a little further than the last one did.

use crate::{
    Odoo, identity,
    wire::{self, Picking, PricedProduct, Product, Quant, StockMove, Tax, Template},
};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use spindel_connect::{Api, CallError, Cursor, Page, Poll, Round};
use spindel_model::{
    Change, Decimal, EntityKind, EntityRef, Money, OrderRef, Price, Record, Shipment, ShipmentLine, ShipmentState, StockLevel,
    Timestamp, Topic, Tracking, Version,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

const OVERLAP: SignedDuration = SignedDuration::from_mins(5);
const PAGE: usize = 100;
/// Rows that belong to the records of a page, fetched this many at a time.
const PARTS: usize = 1000;

/// `since`, with overlap, as Odoo writes it.
fn from(round: &Round<i64>) -> String {
    wire::time(round.looks_back(OVERLAP).unwrap_or_default())
}

impl Poll<StockLevel> for Odoo {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_stock";
        let round = Round::read(cursor, now, None)?;
        let changed = quants(api, json!([["write_date", ">=", from(&round)], ["id", ">", round.id()]]), PAGE).await?;
        // Lots, packages and owners have rows of their own: the place's stock is the sum of them all.
        let all = all_quants(api, changed.iter().map(|it| it.product_id.0).collect()).await?;
        let skus = skus(api, OPERATION, changed.iter().map(|it| it.product_id.0)).await?;
        let mut places: BTreeMap<(i64, i64), (String, Timestamp)> = BTreeMap::new();
        for quant in &changed {
            let key = (quant.product_id.0, quant.location_id.0);
            let place = places.entry(key).or_insert_with(|| (quant.location_id.name().to_owned(), quant.write_date));
            place.1 = place.1.max(quant.write_date);
        }
        let changes = places.into_iter().map(|((product, location), (name, as_of))| {
            let here = all.iter().filter(|it| it.product_id.0 == product && it.location_id.0 == location);
            let (on_hand, reserved) = here.fold((Decimal::ZERO, Decimal::ZERO), |(hand, reserved), it| {
                (hand + it.quantity.0, reserved + it.reserved_quantity.0)
            });
            Change {
                topic: Topic::StockChanged,
                entity: EntityRef::new(EntityKind::Stock, format!("{product}@{location}")),
                version: Version::from(as_of),
                record: Record::Stock(StockLevel {
                    sku: skus.get(&product).cloned(),
                    item_id: Some(product.to_string()),
                    location: name,
                    available: Some((on_hand - reserved).normalize()),
                    on_hand: Some(on_hand.normalize()),
                    as_of,
                }),
            }
        });
        let changes = changes.collect();
        let rows: Vec<_> = changed.iter().map(|it| (it.id, it.write_date)).collect();
        Ok(round.rows(changes, &rows, PAGE))
    }
}

async fn quants(api: &Api, domain: Value, limit: usize) -> Result<Vec<Quant>, CallError> {
    let fields = ["product_id", "location_id", "quantity", "reserved_quantity", "write_date"];
    let mut terms = vec![json!(["location_id.usage", "=", "internal"])];
    terms.extend(domain.as_array().cloned().unwrap_or_default());
    wire::search(api, "poll_stock", "stock.quant", terms.into(), &fields, "id asc", limit).await
}

async fn all_quants(api: &Api, products: BTreeSet<i64>) -> Result<Vec<Quant>, CallError> {
    let mut all: Vec<Quant> = Vec::new();
    if products.is_empty() {
        return Ok(all);
    }
    loop {
        let last = all.last().map_or(0, |it| it.id);
        let part = quants(api, json!([["product_id", "in", products], ["id", ">", last]]), PARTS).await?;
        let full = part.len() == PARTS;
        all.extend(part);
        if !full {
            return Ok(all);
        }
    }
}

impl Poll<Price> for Odoo {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_prices";
        let round = Round::read(cursor, now, None)?;
        // A new price is written to the template and leaves the date of its variants as it was.
        let since = from(&round);
        let domain =
            json!([["id", ">", round.id()], "|", ["write_date", ">=", since], ["product_tmpl_id.write_date", ">=", since]]);
        let fields = ["default_code", "lst_price", "currency_id", "product_tmpl_id", "taxes_id", "write_date"];
        let products: Vec<PricedProduct> =
            wire::search(api, OPERATION, "product.product", domain, &fields, "id asc", PAGE).await?;
        let templates = products.iter().filter_map(|it| it.product_tmpl_id.as_ref()).map(|it| it.0);
        let templates = ids(templates);
        let templates: Vec<Template> = wire::read(api, OPERATION, "product.template", &templates, &["write_date"]).await?;
        let templates: HashMap<i64, Timestamp> = templates.into_iter().map(|it| (it.id, it.write_date)).collect();
        let taxes = ids(products.iter().flat_map(|it| it.taxes_id.iter().copied()));
        let taxes: Vec<Tax> = wire::read(api, OPERATION, "account.tax", &taxes, &["price_include"]).await?;
        let included: HashMap<i64, bool> = taxes.into_iter().map(|it| (it.id, it.price_include)).collect();

        let changed_at = |it: &PricedProduct| {
            let template = it.product_tmpl_id.as_ref().and_then(|template| templates.get(&template.0));
            template.map_or(it.write_date, |at| it.write_date.max(*at))
        };
        let mut changes = Vec::new();
        for product in &products {
            let as_of = changed_at(product);
            let Some(sku) = product.default_code.clone() else { continue };
            let currency = product.currency_id.as_ref().and_then(|it| it.name().parse().ok());
            let Some(currency) = currency else { continue };
            // Without taxes the price is all there is to pay.
            let includes_tax = product.taxes_id.iter().all(|it| included.get(it).copied().unwrap_or_default());
            changes.push(Change {
                topic: Topic::PriceChanged,
                entity: EntityRef::new(EntityKind::Price, product.id.to_string()),
                version: Version::from(as_of),
                record: Record::Price(Price {
                    sku,
                    amount: Money::new(product.lst_price.0, currency).rounded(),
                    compare_at: None,
                    includes_tax,
                    sale_from: None,
                    sale_until: None,
                    as_of,
                }),
            });
        }
        let rows: Vec<_> = products.iter().map(|it| (it.id, changed_at(it))).collect();
        Ok(round.rows(changes, &rows, PAGE))
    }
}

impl Poll<Shipment> for Odoo {
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        const OPERATION: &str = "poll_shipments";
        let round = Round::read(cursor, now, None)?;
        let domain = json!([
            ["state", "=", "done"],
            ["picking_type_code", "=", "outgoing"],
            ["sale_id", "!=", false],
            ["write_date", ">=", from(&round)],
            ["id", ">", round.id()]
        ]);
        let fields =
            ["sale_id", "carrier_id", "carrier_tracking_ref", "carrier_tracking_url", "location_id", "date_done", "write_date"];
        let pickings: Vec<Picking> = wire::search(api, OPERATION, "stock.picking", domain, &fields, "id asc", PAGE).await?;
        let context = self.shipped(api, OPERATION, &pickings).await?;
        let changes = pickings.iter().filter_map(|it| context.change(it)).collect();
        let rows: Vec<_> = pickings.iter().map(|it| (it.id, it.write_date)).collect();
        Ok(round.rows(changes, &rows, PAGE))
    }
}

/// What belongs to a page of transfers.
struct Shipped {
    orders: HashMap<i64, OrderRef>,
    /// Those of which all was sent.
    complete: HashSet<i64>,
    /// By transfer.
    lines: HashMap<i64, Vec<ShipmentLine>>,
}

impl Odoo {
    async fn shipped(&self, api: &Api, operation: &'static str, pickings: &[Picking]) -> Result<Shipped, CallError> {
        #[derive(Deserialize)]
        struct Numbered {
            id: i64,
            #[serde(deserialize_with = "wire::or_false")]
            client_order_ref: Option<String>,
            #[serde(default, deserialize_with = "wire::or_false")]
            delivery_status: Option<String>,
        }
        let orders = ids(pickings.iter().filter_map(|it| it.sale_id.as_ref()).map(|it| it.0));
        let numbered: Vec<Numbered> =
            wire::read(api, operation, "sale.order", &orders, &["client_order_ref", "delivery_status"]).await?;
        let sent = numbered.iter().filter(|it| it.delivery_status.as_deref() == Some("full"));
        let complete = sent.map(|it| it.id).collect();
        let names = self.externals(api, operation, "sale.order", orders.iter().copied()).await?;
        let reference = |it: Numbered| {
            let id = names.get(&it.id).and_then(|name| identity::order_of(name));
            (it.id, OrderRef { id, number: it.client_order_ref })
        };
        let orders = numbered.into_iter().map(reference).collect();

        let moves = moves(api, operation, pickings).await?;
        let sold = moves.iter().filter_map(|it| it.sale_line_id.as_ref()).map(|it| it.0);
        let line_names = self.externals(api, operation, "sale.order.line", ids(sold).into_iter()).await?;
        let skus = skus(api, operation, moves.iter().map(|it| it.product_id.0)).await?;
        let mut lines: HashMap<i64, Vec<ShipmentLine>> = HashMap::new();
        for moved in moves.into_iter().filter(|it| !it.quantity.0.is_zero()) {
            let Some(picking) = moved.picking_id else { continue };
            let line_id = moved.sale_line_id.and_then(|it| line_names.get(&it.0)).and_then(|name| identity::line_of(name));
            let sku = skus.get(&moved.product_id.0).cloned();
            let quantity = moved.quantity.0.normalize();
            let lines = lines.entry(picking.0).or_default();
            // An order that grew has several moves for one line.
            match lines.iter_mut().find(|it| it.line_id == line_id && it.sku == sku) {
                Some(line) => line.quantity += quantity,
                None => lines.push(ShipmentLine { line_id, sku, quantity }),
            }
        }
        Ok(Shipped { orders, complete, lines })
    }
}

impl Shipped {
    /// `None` for a transfer whose order is of no known source.
    fn change(&self, picking: &Picking) -> Option<Change> {
        let order = self.orders.get(&picking.sale_id.as_ref()?.0)?.clone();
        if order.id.is_none() && order.number.is_none() {
            return None;
        }
        let tracking = picking.carrier_tracking_ref.clone().map(|number| Tracking {
            number,
            // Several parcels have a list here, which is no address.
            url: picking.carrier_tracking_url.clone().filter(|it| it.starts_with("http")),
        });
        Some(Change {
            topic: Topic::ShipmentUpdated,
            entity: EntityRef::new(EntityKind::Shipment, picking.id.to_string()),
            version: Version::from(picking.write_date),
            record: Record::Shipment(Box::new(Shipment {
                id: picking.id.to_string(),
                order,
                state: ShipmentState::Shipped,
                raw_state: None,
                carrier: picking.carrier_id.as_ref().map(|it| it.name().to_owned()),
                tracking: tracking.into_iter().collect(),
                lines: self.lines.get(&picking.id).cloned().unwrap_or_default(),
                completes_order: self.complete.contains(&picking.sale_id.as_ref()?.0),
                location: picking.location_id.as_ref().map(|it| it.name().to_owned()),
                shipped_at: picking.date_done.as_deref().and_then(wire::read_time),
                updated_at: picking.write_date,
            })),
        })
    }
}

async fn moves(api: &Api, operation: &'static str, pickings: &[Picking]) -> Result<Vec<StockMove>, CallError> {
    let pickings = ids(pickings.iter().map(|it| it.id));
    if pickings.is_empty() {
        return Ok(Vec::new());
    }
    let fields = ["picking_id", "product_id", "sale_line_id", "quantity"];
    let mut all: Vec<StockMove> = Vec::new();
    loop {
        let last = all.last().map_or(0, |it| it.id);
        let domain = json!([["picking_id", "in", pickings], ["state", "=", "done"], ["id", ">", last]]);
        let part: Vec<StockMove> = wire::search(api, operation, "stock.move", domain, &fields, "id asc", PARTS).await?;
        let full = part.len() == PARTS;
        all.extend(part);
        if !full {
            return Ok(all);
        }
    }
}

/// Internal references by product; a product without one is left out.
async fn skus(
    api: &Api,
    operation: &'static str,
    products: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, String>, CallError> {
    let found: Vec<Product> = wire::read(api, operation, "product.product", &ids(products), &["default_code"]).await?;
    Ok(found.into_iter().filter_map(|it| Some((it.id, it.default_code?))).collect())
}

/// In order, and each once.
fn ids(ids: impl Iterator<Item = i64>) -> Vec<i64> {
    ids.collect::<BTreeSet<_>>().into_iter().collect()
}
