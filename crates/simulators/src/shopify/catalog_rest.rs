//! Bodies of webhooks about products, stock and customers, in the REST shape.

use crate::shopify::{
    catalog::{Address, Customer, Level, Product, Variant},
    pricing::text,
    state::{State, gid},
};
use serde_json::{Value, json};

pub(crate) fn customer(state: &State, customer: &Customer) -> Value {
    let mut default_address = address(&customer.address);
    default_address["default"] = json!(true);
    json!({
        "id": customer.id,
        "admin_graphql_api_id": gid("Customer", customer.id),
        "email": customer.email,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "phone": customer.phone,
        "created_at": state.local(customer.created_at),
        "updated_at": state.local(customer.updated_at),
        "state": "disabled",
        "verified_email": true,
        "orders_count": customer.orders,
        "tags": "",
        "note": null,
        "tax_exempt": false,
        "currency": state.options.currency.code(),
        "email_marketing_consent": {
            "state": customer.marketing.to_lowercase(),
            "opt_in_level": "single_opt_in",
            "consent_updated_at": state.local(customer.created_at),
        },
        "sms_marketing_consent": null,
        "default_address": default_address,
    })
}

pub(crate) fn address(address: &Address) -> Value {
    json!({
        "first_name": address.first_name,
        "last_name": address.last_name,
        "name": format!("{} {}", address.first_name, address.last_name),
        "company": address.company,
        "address1": address.address1,
        "address2": null,
        "city": address.city,
        "zip": address.zip,
        "province": null,
        "province_code": null,
        "country": address.country,
        "country_code": address.country_code,
        "phone": address.phone,
        "latitude": null,
        "longitude": null,
    })
}

pub(crate) fn product(state: &State, product: &Product) -> Value {
    let numbered = || product.variants.iter().enumerate();
    let variants: Vec<Value> = numbered().take(100).map(|(index, it)| variant(state, product, index, it)).collect();
    let gids: Vec<Value> = product
        .variants
        .iter()
        .map(|it| json!({ "admin_graphql_api_id": gid("ProductVariant", it.id), "updated_at": state.local(it.updated_at) }))
        .collect();
    let options = product.options().into_iter().enumerate().map(
        |(index, (name, values))| json!({ "name": name, "position": index + 1, "product_id": product.id, "values": values }),
    );
    let images = product.pictures.iter().enumerate().map(|(index, it)| {
        json!({ "id": it.id, "product_id": product.id, "position": index + 1, "alt": it.alt, "src": it.url(state) })
    });
    json!({
        "id": product.id,
        "admin_graphql_api_id": gid("Product", product.id),
        "title": product.title,
        "body_html": product.body_html,
        "vendor": product.vendor,
        "product_type": product.product_type,
        "handle": product.handle,
        "status": product.status.to_lowercase(),
        "tags": product.tags.join(", "),
        "published_at": state.local(product.created_at),
        "created_at": state.local(product.created_at),
        "updated_at": state.local(product.updated_at),
        "variants": variants,
        "variant_gids": gids,
        "options": options.collect::<Vec<_>>(),
        "images": images.collect::<Vec<_>>(),
    })
}

fn variant(state: &State, product: &Product, index: usize, variant: &Variant) -> Value {
    let currency = state.options.currency;
    let available = state.catalog.available(variant.inventory_item_id);
    json!({
        "id": variant.id,
        "admin_graphql_api_id": gid("ProductVariant", variant.id),
        "product_id": product.id,
        "title": variant.title,
        "sku": variant.sku,
        "barcode": variant.barcode,
        "price": text(variant.price, currency),
        "compare_at_price": variant.compare_at_price.map(|price| text(price, currency)),
        "position": index + 1,
        "inventory_policy": "deny",
        "taxable": true,
        "option1": variant.values.first(),
        "option2": variant.values.get(1),
        "option3": variant.values.get(2),
        "inventory_item_id": variant.inventory_item_id,
        "inventory_quantity": available,
        "old_inventory_quantity": available,
        "created_at": state.local(product.created_at),
        "updated_at": state.local(variant.updated_at),
    })
}

pub(crate) fn level(state: &State, item: u64, location: u64, level: &Level) -> Value {
    let tracked = state.catalog.variant_of_item(item).is_none_or(|(_, variant)| variant.tracked);
    json!({
        "inventory_item_id": item,
        "location_id": location,
        "available": tracked.then_some(level.available),
        "updated_at": state.local(level.updated_at),
        "admin_graphql_api_id": format!("gid://shopify/InventoryLevel/{location}?inventory_item_id={item}"),
    })
}
