//! Reading records back by id.

use crate::{
    Woocommerce,
    wire::{customer, order, product, refund},
};
use spindel_connect::{Api, CallError, Read};
use spindel_model::{Customer, Order, Price, Product, Refund, StockLevel};

/// As many as the API gives at once.
pub(crate) const MOST: usize = 100;
/// Pages of one product's variations.
const MOST_PAGES: usize = 10;

/// An id that goes into a path: digits only.
pub(crate) fn checked<'a>(operation: &'static str, id: &'a str) -> Result<&'a str, CallError> {
    spindel_connect::wire::digits(operation, "WooCommerce", id)
}

impl Woocommerce {
    pub(crate) async fn find_order(
        &self,
        api: &Api,
        operation: &'static str,
        id: &str,
    ) -> Result<Option<order::Order>, CallError> {
        let path = self.path(&format!("/orders/{}", checked(operation, id)?), &[]);
        api.get(operation, path).find().await
    }

    pub(crate) async fn refunds_of(
        &self,
        api: &Api,
        operation: &'static str,
        id: &str,
    ) -> Result<Vec<refund::Refund>, CallError> {
        let size = MOST.to_string();
        let path = self.path(&format!("/orders/{}/refunds", checked(operation, id)?), &[("per_page", &size)]);
        api.get(operation, path).fetch().await
    }

    /// With its refunds, which an order names by id and amount only.
    pub(crate) async fn whole(&self, api: &Api, operation: &'static str, it: &order::Order) -> Result<Order, CallError> {
        let mut refunds = Vec::new();
        if !it.refunds.is_empty() {
            for refund in self.refunds_of(api, operation, &it.id.0).await? {
                refunds.push(refund.canonical(it).map_err(CallError::misfit(operation))?);
            }
        }
        it.canonical(&self.shop, Some(refunds)).map_err(CallError::misfit(operation))
    }

    pub(crate) async fn variations(
        &self,
        api: &Api,
        operation: &'static str,
        id: &str,
    ) -> Result<Vec<product::Product>, CallError> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let (size, page) = (MOST.to_string(), page.to_string());
            let query = [("orderby", "id"), ("order", "asc"), ("per_page", size.as_str()), ("page", page.as_str())];
            let path = self.path(&format!("/products/{}/variations", checked(operation, id)?), &query);
            let rows: Vec<product::Product> = api.get(operation, path).fetch().await?;
            let full = rows.len() == MOST;
            all.extend(rows);
            if !full {
                break;
            }
        }
        Ok(all)
    }

    /// A product by `93`, a variation by `93/99`, with the parent's id.
    async fn item<'a>(
        &self,
        api: &Api,
        operation: &'static str,
        id: &'a str,
    ) -> Result<Option<(product::Product, Option<&'a str>)>, CallError> {
        let (resource, parent) = match id.split_once('/') {
            Some((parent, id)) => {
                (format!("/products/{}/variations/{}", checked(operation, parent)?, checked(operation, id)?), Some(parent))
            }
            None => (format!("/products/{}", checked(operation, id)?), None),
        };
        Ok(api.get(operation, self.path(&resource, &[])).find().await?.map(|it| (it, parent)))
    }
}

impl Read<Order> for Woocommerce {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Order>, CallError> {
        const OPERATION: &str = "read_order";
        let Some(it) = self.find_order(api, OPERATION, id).await? else { return Ok(None) };
        if it.is_in_trash() || it.is_draft() {
            return Ok(None);
        }
        self.whole(api, OPERATION, &it).await.map(Some)
    }
}

impl Read<Refund> for Woocommerce {
    /// `id` is order and refund, as in `727/726`: a refund alone does not even say its currency.
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Refund>, CallError> {
        const OPERATION: &str = "read_refund";
        let (order, id) =
            id.split_once('/').ok_or_else(|| CallError::data(OPERATION, "expected order and refund, as in `727/726`"))?;
        let path = self.path(&format!("/orders/{}/refunds/{}", checked(OPERATION, order)?, checked(OPERATION, id)?), &[]);
        let Some(order) = self.find_order(api, OPERATION, order).await? else { return Ok(None) };
        let it: Option<refund::Refund> = api.get(OPERATION, path).find().await?;
        it.map(|it| it.canonical(&order)).transpose().map_err(CallError::misfit(OPERATION))
    }
}

impl Read<Product> for Woocommerce {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Product>, CallError> {
        const OPERATION: &str = "read_product";
        let path = self.path(&format!("/products/{}", checked(OPERATION, id)?), &[]);
        let it: Option<product::Product> = api.get(OPERATION, path).find().await?;
        let Some(it) = it else { return Ok(None) };
        let variations = if it.has_variations() { self.variations(api, OPERATION, id).await? } else { Vec::new() };
        it.canonical(&self.shop, &variations).map(Some).map_err(CallError::misfit(OPERATION))
    }
}

impl Read<StockLevel> for Woocommerce {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<StockLevel>, CallError> {
        const OPERATION: &str = "read_stock";
        let Some((it, parent)) = self.item(api, OPERATION, id).await? else { return Ok(None) };
        it.stock(&self.shop, parent).map_err(CallError::misfit(OPERATION))
    }
}

impl Read<Price> for Woocommerce {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Price>, CallError> {
        const OPERATION: &str = "read_price";
        self.price_settings(OPERATION)?;
        let Some((it, _)) = self.item(api, OPERATION, id).await? else { return Ok(None) };
        it.price(&self.shop).map_err(CallError::misfit(OPERATION))
    }
}

impl Read<Customer> for Woocommerce {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Customer>, CallError> {
        const OPERATION: &str = "read_customer";
        let path = self.path(&format!("/customers/{}", checked(OPERATION, id)?), &[]);
        let it: Option<customer::Customer> = api.get(OPERATION, path).find().await?;
        Ok(it.map(Into::into))
    }
}
