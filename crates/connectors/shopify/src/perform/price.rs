//! `set_price`: one variant's price and the struck-through price above it.

use crate::{
    Shopify,
    graphql::{FIND_VARIANT, Nodes, SET_PRICE, Shop, UserError, quoted, refused},
};
use serde::Deserialize;
use serde_json::json;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Decimal, Exact, Performed, Price, SetPrice};

const OPERATION: &str = SET_PRICE.name;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    shop: Shop,
    product_variants: Nodes<Variant>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Variant {
    id: String,
    sku: Option<String>,
    price: Exact,
    compare_at_price: Option<Exact>,
    product: Product,
}

#[derive(Deserialize)]
struct Product {
    id: String,
}

impl Perform<SetPrice> for Shopify {
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, SetPrice>) -> Result<Performed, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Set {
            product_variants_bulk_update: Errors,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Errors {
            user_errors: Vec<UserError>,
        }
        let price = &ask.verb.price;
        let compare_at = compare_at(price)?;
        let found: Found = self.ask(api, FIND_VARIANT, json!({ "query": format!("sku:{}", quoted(&price.sku)) })).await?;
        let shop = found.shop.currency_code;
        if price.amount.currency != shop {
            let (ours, theirs) = (price.amount.currency.code(), shop.code());
            return Err(CallError::data(OPERATION, format!("`{}` is priced in {ours}; the shop keeps {theirs}", price.sku)));
        }
        let variant = only(found.product_variants.nodes, &price.sku)?;
        if variant.price.0 == price.amount.amount && variant.compare_at_price.map(|it| it.0) == compare_at {
            return Ok(Performed::unchanged());
        }
        let variants = json!([{
            "id": variant.id,
            "price": price.amount.amount.to_string(),
            "compareAtPrice": compare_at.map(|amount| amount.to_string()),
        }]);
        let variables = json!({ "product": variant.product.id, "variants": variants });
        let set: Set = self.ask(api, SET_PRICE, variables).await?;
        refused(OPERATION, &set.product_variants_bulk_update.user_errors)?;
        Ok(Performed::done())
    }
}

/// Shopify's `price` is the lower of the two; an equal one above it would be no sale.
fn compare_at(price: &Price) -> Result<Option<Decimal>, CallError> {
    let Some(above) = price.compare_at else { return Ok(None) };
    if above.currency != price.amount.currency || above.amount < price.amount.amount {
        return Err(CallError::data(
            OPERATION,
            format!("`{}`: compare-at price {above} is not above {}", price.sku, price.amount),
        ));
    }
    Ok((above.amount > price.amount.amount).then_some(above.amount))
}

fn only(variants: Vec<Variant>, sku: &str) -> Result<Variant, CallError> {
    let mut same = variants.into_iter().filter(|variant| variant.sku.as_deref() == Some(sku));
    match (same.next(), same.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(CallError::data(OPERATION, format!("the shop has no variant with SKU `{sku}`"))),
        (Some(_), Some(_)) => {
            Err(CallError::data(OPERATION, format!("the shop has several variants with SKU `{sku}`; it must be unique")))
        }
    }
}
