//! Reading records back by id.

use crate::{
    Magento,
    search::Search,
    wire::{
        Amount, Flag, customer,
        order::Order as WireOrder,
        product::{Labels, Product as WireProduct},
        refund::CreditMemo,
        shipment::Shipment as WireShipment,
    },
};
use serde::Deserialize;
use spindel_connect::{Api, CallError, Read};
use spindel_model::{Customer, Order, Product, Refund, Shipment, StockLevel};
use std::collections::BTreeMap;

/// Variants of one product, and rows of a list that is asked for by its ids.
pub(crate) const MOST: usize = 300;

/// An id that goes into a path: digits only.
pub(crate) fn checked<'a>(operation: &'static str, id: &'a str) -> Result<&'a str, CallError> {
    spindel_connect::wire::digits(operation, "Magento", id)
}

/// A row of Multi Source Inventory.
#[derive(Clone, Deserialize)]
pub(crate) struct SourceItem {
    pub sku: String,
    pub source_code: String,
    #[serde(default)]
    pub quantity: Amount,
    #[serde(default)]
    pub status: Flag,
}

impl Magento {
    pub(crate) async fn find_order(&self, api: &Api, operation: &'static str, id: &str) -> Result<Option<WireOrder>, CallError> {
        api.get(operation, format!("/all/V1/orders/{}", checked(operation, id)?)).find().await
    }

    /// The orders of these ids, by id.
    pub(crate) async fn orders_of<'a>(
        &self,
        api: &Api,
        operation: &'static str,
        ids: impl Iterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, WireOrder>, CallError> {
        let mut ids: Vec<&str> = ids.filter(|id| checked(operation, id).is_ok()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let search = Search::new().with("entity_id", "in", ids.join(",")).page(ids.len(), 1);
        let orders: Vec<WireOrder> = search.list(api, operation, "orders").await?;
        Ok(orders.into_iter().map(|it| (it.entity_id.0.clone(), it)).collect())
    }

    /// The product of this id. Its SKU would go into the path, where a slash does not get through.
    pub(crate) async fn product_of(
        &self,
        api: &Api,
        operation: &'static str,
        id: &str,
    ) -> Result<Option<WireProduct>, CallError> {
        let search = Search::new().with("entity_id", "eq", checked(operation, id)?).page(1, 1);
        Ok(search.list(api, operation, "products").await?.into_iter().next())
    }

    pub(crate) async fn labels(&self, api: &Api, operation: &'static str, attribute: &str) -> Result<Option<Labels>, CallError> {
        let plain = |it: u8| it.is_ascii_alphanumeric() || it == b'_';
        if attribute.is_empty() || attribute.len() > 60 || !attribute.bytes().all(plain) {
            return Err(CallError::config(operation, "an attribute's code is made of letters, digits and `_` alone"));
        }
        api.get(operation, format!("/all/V1/products/attributes/{attribute}")).find().await
    }
}

impl Read<Order> for Magento {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Order>, CallError> {
        const OPERATION: &str = "read_order";
        let Some(it) = self.find_order(api, OPERATION, id).await? else { return Ok(None) };
        it.canonical(&self.shop).map(Some).map_err(CallError::misfit(OPERATION))
    }
}

impl Read<Refund> for Magento {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Refund>, CallError> {
        const OPERATION: &str = "read_refund";
        let path = format!("/all/V1/creditmemo/{}", checked(OPERATION, id)?);
        let Some(memo): Option<CreditMemo> = api.get(OPERATION, path).find().await? else { return Ok(None) };
        let Some(order) = self.find_order(api, OPERATION, &memo.order_id.0).await? else { return Ok(None) };
        if memo.is_cancelled() {
            return Ok(None);
        }
        memo.canonical(&self.shop, &order).map(Some).map_err(CallError::misfit(OPERATION))
    }
}

impl Read<Shipment> for Magento {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Shipment>, CallError> {
        const OPERATION: &str = "read_shipment";
        let path = format!("/all/V1/shipment/{}", checked(OPERATION, id)?);
        let Some(shipment): Option<WireShipment> = api.get(OPERATION, path).find().await? else { return Ok(None) };
        let Some(order) = self.find_order(api, OPERATION, &shipment.order_id.0).await? else { return Ok(None) };
        shipment.canonical(&order).map(Some).map_err(CallError::misfit(OPERATION))
    }
}

impl Read<Product> for Magento {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Product>, CallError> {
        const OPERATION: &str = "read_product";
        let Some(it) = self.product_of(api, OPERATION, id).await? else { return Ok(None) };
        let (mut variants, mut labels) = (Vec::new(), Vec::new());
        let ids = it.variants();
        if ids.len() > MOST {
            return Err(CallError::data(OPERATION, format!("the product has more than {MOST} variants")));
        }
        if !ids.is_empty() {
            let search = Search::new().with("entity_id", "in", ids.join(",")).sorted("entity_id").page(ids.len(), 1);
            variants = search.list::<WireProduct>(api, OPERATION, "products").await?;
            for option in it.options() {
                labels.extend(self.labels(api, OPERATION, &option).await?);
            }
        }
        it.canonical(&self.shop, &variants, &labels).map(Some).map_err(CallError::misfit(OPERATION))
    }
}

impl Read<Customer> for Magento {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Customer>, CallError> {
        const OPERATION: &str = "read_customer";
        let path = format!("/all/V1/customers/{}", checked(OPERATION, id)?);
        let it: Option<customer::Customer> = api.get(OPERATION, path).find().await?;
        Ok(it.map(Into::into))
    }
}

impl Read<StockLevel> for Magento {
    /// `id` is SKU and source, as in `ULL-9@default`. The quantity is what lies there, reserved or not.
    async fn read(&self, api: &Api, id: &str) -> Result<Option<StockLevel>, CallError> {
        const OPERATION: &str = "read_stock";
        let (sku, source) =
            id.rsplit_once('@').ok_or_else(|| CallError::data(OPERATION, "expected SKU and source, as in `ULL-9@default`"))?;
        let search = Search::new().with("sku", "eq", sku).with("source_code", "eq", source).page(1, 1);
        let found: Option<SourceItem> = search.list(api, OPERATION, "inventory/source-items").await?.into_iter().next();
        Ok(found.map(|it| StockLevel {
            sku: Some(it.sku),
            item_id: Some(id.to_owned()),
            location: it.source_code,
            available: None,
            on_hand: it.quantity.0,
            // The row has no time of its own.
            as_of: api.now(),
        }))
    }
}
