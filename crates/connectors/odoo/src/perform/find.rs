//! Finds what an order refers to in Odoo: the order itself, products by SKU, the price list of a currency.

use crate::{
    Odoo,
    wire::{self, Company, Id, Product, SaleOrder},
};
use serde_json::{Value, json};
use spindel_connect::{Api, Around, CallError, ProductKey};
use spindel_model::{Currency, OrderRef, Performed};
use std::collections::{BTreeMap, BTreeSet};

/// More products than an order can name; a reply with more is no longer looked through.
const MOST_PRODUCTS: usize = 1000;

impl Odoo {
    /// By external id, else by the order number in `client_order_ref`.
    pub(super) async fn find_order(&self, api: &Api, order: &OrderRef, around: &Around<'_>) -> Result<SaleOrder, CallError> {
        const OPERATION: &str = "find_order";
        if let Some(id) = &order.id {
            let names = self.names(around.from);
            let name = names.order(id);
            if let Some(found) = names.find(api, OPERATION, &[&name]).await?.get(&name)
                && let Some(order) = read_order(api, OPERATION, *found).await?
            {
                return Ok(order);
            }
        }
        let Some(number) = &order.number else { return Err(missing(order)) };
        // Providers and carriers may know it without the sign that shops put before it, or with it.
        let otherwise = number.strip_prefix('#').map_or_else(|| format!("#{number}"), str::to_owned);
        let domain = json!([["client_order_ref", "in", [number, otherwise]]]);
        let found: Vec<SaleOrder> = wire::search(api, OPERATION, "sale.order", domain, SaleOrder::FIELDS, "id asc", 20).await?;
        // Another shop may have the same number: what it pushed is not meant by one that knows its own ids. Who knows no more
        // than the number, as a payment provider does, means whoever has it.
        let names = self.externals(api, OPERATION, "sale.order", found.iter().map(|it| it.id)).await?;
        let ours = self.names(around.from).order("");
        let pushed_by_us = |it: &SaleOrder| names.get(&it.id).is_none_or(|name| order.id.is_none() && name.starts_with(&ours));
        let (mut meant, others): (Vec<_>, Vec<_>) = found.into_iter().partition(pushed_by_us);
        if meant.is_empty() && order.id.is_none() {
            meant = others;
        }
        match (meant.pop(), meant.len()) {
            (Some(order), 0) => Ok(order),
            (Some(_), _) => {
                Err(CallError::data(OPERATION, format!("ambiguous: several orders in Odoo have the reference {number}")))
            }
            (None, _) => Err(missing(order)),
        }
    }

    /// The id of each product; every SKU must be there exactly once.
    pub(super) async fn find_products(
        &self,
        api: &Api,
        keys: impl Iterator<Item = &ProductKey>,
    ) -> Result<BTreeMap<ProductKey, i64>, CallError> {
        const OPERATION: &str = "find_products";
        let keys: BTreeSet<&ProductKey> = keys.collect();
        let skus: Vec<&str> = keys.iter().filter_map(|it| it.sku()).collect();
        let mut ids: BTreeMap<ProductKey, i64> = keys.iter().filter_map(|it| it.id().map(|id| ((*it).clone(), id))).collect();
        if skus.is_empty() {
            return Ok(ids);
        }
        let domain = json!([["default_code", "in", skus]]);
        let found: Vec<Product> =
            wire::search(api, OPERATION, "product.product", domain, &["default_code"], "id asc", MOST_PRODUCTS).await?;
        for product in found {
            let sku = product.default_code.unwrap_or_default();
            if ids.insert(ProductKey::Sku(sku.clone()), product.id).is_some() {
                let problem = format!("ambiguous: several products in Odoo have the internal reference {sku}");
                return Err(CallError::data(OPERATION, problem));
            }
        }
        match skus.into_iter().find(|sku| !ids.contains_key(&ProductKey::Sku((*sku).to_owned()))) {
            Some(sku) => Err(CallError::data(OPERATION, format!("no active product in Odoo has the internal reference {sku}"))),
            None => Ok(ids),
        }
    }

    /// The price list that gives an order its currency; `None` where the company's own currency needs none.
    pub(super) async fn find_pricelist(&self, api: &Api, currency: Currency) -> Result<Option<i64>, CallError> {
        const OPERATION: &str = "find_pricelist";
        let code = currency.code();
        if let Some(id) = self.config.pricelists.get(code) {
            return Ok(Some(*id));
        }
        let domain = json!([["currency_id.name", "=", code]]);
        let found: Vec<Id> = wire::search(api, OPERATION, "product.pricelist", domain, &["id"], "id asc", 2).await?;
        match found[..] {
            [Id { id }] => return Ok(Some(id)),
            [] => {}
            _ => {
                return Err(CallError::config(
                    OPERATION,
                    format!("Odoo has several price lists in {code}: set `pricelists.{code}`"),
                ));
            }
        }
        let all: Value = json!([]);
        let companies: Vec<Company> = wire::search(api, OPERATION, "res.company", all, &["currency_id"], "id asc", 100).await?;
        if companies.iter().any(|it| it.currency_id.name() == code) {
            return Ok(None);
        }
        Err(no_currency(OPERATION, code))
    }
}

pub(super) fn no_currency(operation: &'static str, code: &str) -> CallError {
    CallError::config(operation, format!("Odoo has no price list in {code}: make one, or set `pricelists.{code}`"))
}

fn missing(order: &OrderRef) -> CallError {
    let name = order.number.as_ref().or(order.id.as_ref()).map_or("", String::as_str);
    CallError::missing_dependency("find_order", format!("order {name} is not in Odoo yet"))
}

pub(super) async fn read_order(api: &Api, operation: &'static str, id: i64) -> Result<Option<SaleOrder>, CallError> {
    Ok(wire::read(api, operation, "sale.order", &[id], SaleOrder::FIELDS).await?.pop())
}

/// What was done, with the order as the record that is linked.
pub(super) fn performed(order: &SaleOrder) -> Performed {
    Performed::at(order.id.to_string()).numbered(&order.name)
}

pub(super) fn unchanged(order: &SaleOrder) -> Performed {
    Performed { unchanged: true, ..performed(order) }
}
