//! Stock of each product in each warehouse: what is there, less what customers are still to be sent.

use super::{OVERLAP, PAGE, PARTS, from};
use crate::{
    Tryton,
    records::{Id, Moved, OpenMove, Stocked, Warehouse},
    rpc::Rpc,
};
use serde_json::{Value, json};
use spindel_connect::{Api, CallError, Cursor, Page, Poll, Read, Round};
use spindel_model::{Change, Decimal, Record, StockLevel, Timestamp, Topic};
use std::collections::BTreeMap;

const OPERATION: &str = "poll_stock";

impl Poll<StockLevel> for Tryton {
    /// The first round goes through all goods, later ones through what moved or is about to.
    async fn page(&self, api: &Api, cursor: Option<&Cursor>, now: Timestamp) -> Result<Page, CallError> {
        let rpc = self.rpc(api);
        let round = Round::read(cursor, now, None)?;
        let (products, rows) = match round.looks_back(OVERLAP) {
            None => all_goods(&rpc, &round, now).await?,
            Some(_) => self.moved(&rpc, &round).await?,
        };
        let mut changes = Vec::new();
        if !products.is_empty() {
            for warehouse in self.warehouses(&rpc).await? {
                let levels = levels(&rpc, &warehouse, &products).await?;
                changes.extend(levels.into_iter().map(|it| change(it, warehouse.id)));
            }
        }
        Ok(round.rows(changes, &rows, PAGE))
    }

    fn since(&self, at: Timestamp) -> Option<Cursor> {
        Some(Round::<i64>::since(at))
    }
}

impl Read<StockLevel> for Tryton {
    /// `product@warehouse`, as polled.
    async fn read(&self, api: &Api, id: &str) -> Result<Option<StockLevel>, CallError> {
        let rpc = self.rpc(api);
        let ids = id.split_once('@').and_then(|(product, place)| Some((product.parse().ok()?, place.parse().ok()?)));
        let Some((product, place)) = ids else { return Ok(None) };
        let found: Vec<Warehouse> = rpc.read("read_stock", "stock.location", &[place], Warehouse::FIELDS).await?;
        let Some(warehouse) = found.into_iter().next() else { return Ok(None) };
        let products = BTreeMap::from([(product, api.now())]);
        Ok(levels(&rpc, &warehouse, &products).await?.pop())
    }
}

/// Products with the version of their stock.
type Products = BTreeMap<i64, Timestamp>;
type Rows = Vec<(i64, Timestamp)>;

async fn all_goods(rpc: &Rpc<'_>, round: &Round<i64>, now: Timestamp) -> Result<(Products, Rows), CallError> {
    let domain = json!([["type", "=", "goods"], ["id", ">", round.id()]]);
    let found: Vec<Id> = rpc.search(OPERATION, "product.product", domain, &["id"], PAGE).await?;
    // Read without times of their own: older than what the next round finds changed, by either clock.
    let began = round.began().unwrap_or(now);
    let as_of = began.checked_sub(OVERLAP).unwrap_or(began);
    let rows = found.iter().map(|it| (it.id, began)).collect();
    Ok((found.into_iter().map(|it| (it.id, as_of)).collect(), rows))
}

impl Tryton {
    async fn moved(&self, rpc: &Rpc<'_>, round: &Round<i64>) -> Result<(Products, Rows), CallError> {
        let company = ["company", "="].map(Value::from).into_iter().chain([json!(self.config.company)]).collect::<Vec<_>>();
        let domain = json!([["last_modified_at", ">=", from(round)], ["id", ">", round.id()], company]);
        let found: Vec<Moved> = rpc.search(OPERATION, "stock.move", domain, &["product", "last_modified_at"], PAGE).await?;
        let mut products = Products::new();
        for moved in &found {
            let at = products.entry(moved.product).or_insert(moved.last_modified_at.0);
            *at = (*at).max(moved.last_modified_at.0);
        }
        Ok((products, found.into_iter().map(|it| (it.id, it.last_modified_at.0)).collect()))
    }

    async fn warehouses(&self, rpc: &Rpc<'_>) -> Result<Vec<Warehouse>, CallError> {
        let mut domain = vec![json!(["type", "=", "warehouse"])];
        if !self.config.stock_warehouses.is_empty() {
            domain.push(json!(["id", "in", self.config.stock_warehouses]));
        }
        rpc.search(OPERATION, "stock.location", domain.into(), Warehouse::FIELDS, PAGE).await
    }
}

/// The stock of these products in one warehouse; goods that are archived are left out.
async fn levels(rpc: &Rpc<'_>, warehouse: &Warehouse, products: &Products) -> Result<Vec<StockLevel>, CallError> {
    let ids: Vec<i64> = products.keys().copied().collect();
    let domain = json!([["id", "in", ids], ["type", "=", "goods"]]);
    let parameters = vec![domain, json!(0), json!(ids.len()), json!([["id", "ASC"]]), json!(["code", "quantity"])];
    let here = json!({ "locations": [warehouse.id] });
    let stocked: Vec<Stocked> = rpc.within(OPERATION, "model.product.product.search_read", parameters, here).await?;
    let promised = promised(rpc, warehouse, &ids).await?;
    let level = |it: Stocked| {
        let on_hand = it.quantity.map_or(Decimal::ZERO, |it| it.0);
        let available = on_hand - promised.get(&it.id).copied().unwrap_or_default();
        StockLevel {
            sku: it.code.filter(|it| !it.is_empty()),
            item_id: Some(it.id.to_string()),
            location: warehouse.label().to_owned(),
            available: Some(available.normalize()),
            on_hand: Some(on_hand.normalize()),
            as_of: products.get(&it.id).copied().unwrap_or(Timestamp::UNIX_EPOCH),
        }
    };
    Ok(stocked.into_iter().map(level).collect())
}

/// What is to leave the warehouse for customers, in the product's own unit. Tryton's own forecast counts what is to arrive, too.
async fn promised(rpc: &Rpc<'_>, warehouse: &Warehouse, products: &[i64]) -> Result<BTreeMap<i64, Decimal>, CallError> {
    let mut promised = BTreeMap::new();
    let mut last = 0;
    loop {
        let domain = json!([
            ["product", "in", products],
            ["state", "in", ["draft", "assigned"]],
            ["to_location.type", "=", "customer"],
            ["from_location", "child_of", [warehouse.id], "parent"],
            ["id", ">", last]
        ]);
        let fields = ["product", "internal_quantity"];
        let part: Vec<OpenMove> = rpc.search(OPERATION, "stock.move", domain, &fields, PARTS).await?;
        let full = part.len() == PARTS;
        last = part.last().map_or(last, |it| it.id);
        for it in part {
            *promised.entry(it.product).or_insert(Decimal::ZERO) += it.internal_quantity.0;
        }
        if !full {
            return Ok(promised);
        }
    }
}

fn change(level: StockLevel, warehouse: i64) -> Change {
    let product = level.item_id.as_deref().unwrap_or_default();
    Change::new(Topic::StockChanged, format!("{product}@{warehouse}"), level.as_of, Record::Stock(level))
}
