//! Finds what an order refers to in Tryton: the sale itself, products by SKU, currencies.

use super::mark;
use crate::{
    Tryton,
    records::{Id, Product, Sale},
    rpc::Rpc,
};
use serde_json::json;
use spindel_connect::{Around, CallError, ProductKey};
use spindel_model::{OrderRef, Performed};
use std::collections::{BTreeMap, BTreeSet};

impl Tryton {
    /// By the source's id of the order: `web_id`, which the database holds once for each web shop.
    pub(super) async fn sale_of(&self, rpc: &Rpc<'_>, operation: &'static str, web_id: &str) -> Result<Option<Sale>, CallError> {
        let domain = json!([["web_shop", "=", self.config.web_shop], ["web_id", "=", web_id]]);
        Ok(rpc.search(operation, "sale.sale", domain, Sale::FIELDS, 1).await?.pop())
    }

    /// By id, else by the order's number among the orders of the same source.
    pub(super) async fn find_sale(&self, rpc: &Rpc<'_>, order: &OrderRef, around: &Around<'_>) -> Result<Sale, CallError> {
        const OPERATION: &str = "find_order";
        if let Some(id) = &order.id
            && let Some(sale) = self.sale_of(rpc, OPERATION, &mark::web_id(around.from, id)).await?
        {
            return Ok(sale);
        }
        let number = match (&order.id, &order.number) {
            (None, Some(number)) => number,
            _ => return Err(missing(order)),
        };
        let domain = json!([
            ["web_shop", "=", self.config.web_shop],
            ["web_id", "like", format!("{}%", like(&mark::web_id(around.from, "")))],
            ["reference", "=", number]
        ]);
        let mut found: Vec<Sale> = rpc.search(OPERATION, "sale.sale", domain, Sale::FIELDS, 2).await?;
        match (found.pop(), found.is_empty()) {
            (Some(sale), true) => Ok(sale),
            (Some(_), false) => {
                Err(CallError::data(OPERATION, format!("ambiguous: several sales in Tryton have the reference {number}")))
            }
            (None, _) => Err(missing(order)),
        }
    }

    pub(super) async fn sale(&self, rpc: &Rpc<'_>, operation: &'static str, id: i64) -> Result<Sale, CallError> {
        let found = rpc.read(operation, "sale.sale", &[id], Sale::FIELDS).await?.pop();
        found.ok_or_else(|| CallError::unexpected(operation, "the sale that was just written is not there"))
    }

    /// Each product; every SKU must be there.
    pub(super) async fn find_products(
        &self,
        rpc: &Rpc<'_>,
        keys: impl Iterator<Item = &ProductKey>,
    ) -> Result<BTreeMap<ProductKey, Product>, CallError> {
        const OPERATION: &str = "find_products";
        let keys: BTreeSet<&ProductKey> = keys.collect();
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (mut skus, mut ids) = (Vec::new(), Vec::new());
        for key in &keys {
            match key {
                ProductKey::Sku(sku) => skus.push(sku),
                ProductKey::Id(id) => ids.push(id),
            }
        }
        let domain = json!(["OR", ["code", "in", skus], ["id", "in", ids]]);
        // A code that only an archived product has is not found.
        let found: Vec<Product> = rpc.search(OPERATION, "product.product", domain, Product::FIELDS, keys.len()).await?;
        let mut products = BTreeMap::new();
        for product in found {
            // Asked for by either, or by both.
            products.insert(ProductKey::Sku(product.code.clone().unwrap_or_default()), product.clone());
            products.insert(ProductKey::Id(product.id), product);
        }
        let Some(lost) = keys.into_iter().find(|key| !products.contains_key(key)) else { return Ok(products) };
        Err(match lost {
            ProductKey::Sku(sku) => CallError::data(OPERATION, format!("no active product in Tryton has the code {sku}")),
            ProductKey::Id(id) => CallError::config(OPERATION, format!("no active product in Tryton has the id {id}")),
        })
    }

    pub(super) async fn currency(&self, rpc: &Rpc<'_>, code: &str) -> Result<i64, CallError> {
        const OPERATION: &str = "find_currency";
        let domain = json!([["code", "=", code]]);
        let found: Vec<Id> = rpc.search(OPERATION, "currency.currency", domain, &["id"], 1).await?;
        let none = || CallError::config(OPERATION, format!("Tryton has no active currency {code}: add it, with its rates"));
        found.first().map(|it| it.id).ok_or_else(none)
    }
}

/// `%` and `_` mean themselves.
fn like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn missing(order: &OrderRef) -> CallError {
    let name = order.number.as_ref().or(order.id.as_ref()).map_or("", String::as_str);
    CallError::missing_dependency("find_order", format!("order {name} is not in Tryton yet"))
}

/// What was done, with the sale as the record that is linked.
pub(super) fn performed(sale: &Sale) -> Performed {
    let performed = Performed::at(sale.id.to_string());
    match &sale.number {
        Some(number) => performed.numbered(number),
        None => performed,
    }
}

pub(super) fn unchanged(sale: &Sale) -> Performed {
    Performed { unchanged: true, ..performed(sale) }
}
