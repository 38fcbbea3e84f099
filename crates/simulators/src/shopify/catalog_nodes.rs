//! Products, stock, customers, the shop and its subscriptions in the shape of the GraphQL API: whole objects, which `graphql`
//! cuts to what was selected.

use crate::shopify::{
    catalog::{Address, Customer, Level, Location, Metafield, Picture, Product, Variant},
    graphql::BY_ARGUMENT,
    pricing::text,
    sender::Subscription,
    state::{State, gid, utc},
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use spindel_model::Currency;

pub(crate) fn customer(customer: &Customer) -> Value {
    json!({
        "__typename": "Customer",
        "id": gid("Customer", customer.id),
        "legacyResourceId": customer.id.to_string(),
        "email": customer.email,
        "phone": customer.phone,
        "firstName": customer.first_name,
        "lastName": customer.last_name,
        "displayName": format!("{} {}", customer.first_name, customer.last_name),
        "createdAt": utc(customer.created_at),
        "updatedAt": utc(customer.updated_at),
        "state": "DISABLED",
        "locale": "nb",
        "note": null,
        "tags": [],
        "taxExempt": false,
        "verifiedEmail": true,
        "numberOfOrders": customer.orders.to_string(),
        "defaultEmailAddress": {
            "emailAddress": customer.email,
            "marketingState": customer.marketing,
            "marketingOptInLevel": "SINGLE_OPT_IN",
            "marketingUpdatedAt": utc(customer.created_at),
        },
        "emailMarketingConsent": {
            "marketingState": customer.marketing,
            "marketingOptInLevel": "SINGLE_OPT_IN",
            "consentUpdatedAt": utc(customer.created_at),
        },
        "smsMarketingConsent": null,
        "defaultPhoneNumber": customer.phone.as_ref().map(|phone| json!({ "phoneNumber": phone })),
        "defaultAddress": address(&customer.address),
        "addresses": [address(&customer.address)],
        "addressesV2": { "nodes": [address(&customer.address)] },
    })
}

pub(crate) fn address(address: &Address) -> Value {
    let name = format!("{} {}", address.first_name, address.last_name);
    json!({
        "firstName": address.first_name,
        "lastName": address.last_name,
        "name": name,
        "company": address.company,
        "address1": address.address1,
        "address2": null,
        "city": address.city,
        "zip": address.zip,
        "province": null,
        "provinceCode": null,
        "country": address.country,
        "countryCode": address.country_code,
        "countryCodeV2": address.country_code,
        "phone": address.phone,
        "latitude": null,
        "longitude": null,
        "formatted": [name, address.address1, format!("{} {}", address.zip, address.city)],
    })
}

pub(crate) fn product(state: &State, product: &Product) -> Value {
    let variants: Vec<Value> = product.variants.iter().map(|it| variant(state, product, it)).collect();
    let stock: i64 = product.variants.iter().map(|it| state.catalog.available(it.inventory_item_id)).sum();
    let mut node = product_head(product);
    node["variants"] = json!({ "nodes": variants });
    node["variantsCount"] = json!({ "count": variants.len(), "precision": "EXACT" });
    node["totalInventory"] = json!(stock);
    let media: Vec<Value> = product.pictures.iter().map(|it| medium(state, it)).collect();
    node["images"] = json!({ "nodes": product.pictures.iter().map(|it| image(state, it)).collect::<Vec<_>>() });
    node["featuredMedia"] = media.first().cloned().unwrap_or_default();
    node["media"] = json!({ "nodes": media });
    node["metafields"] = json!({ "nodes": product.metafields.iter().map(metafield).collect::<Vec<_>>() });
    let options = product.options().into_iter().enumerate().map(|(index, (name, values))| {
        json!({
            "id": gid("ProductOption", product.id + index as u64),
            "name": name,
            "position": index + 1,
            "values": values,
            "optionValues": values.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
        })
    });
    node["options"] = options.collect();
    node
}

pub(crate) fn metafield(it: &Metafield) -> Value {
    json!({
        "__typename": "Metafield",
        "id": gid("Metafield", it.id),
        "legacyResourceId": it.id.to_string(),
        "namespace": it.namespace,
        "key": it.key,
        "type": it.kind,
        "value": it.value,
    })
}

fn image(state: &State, it: &Picture) -> Value {
    json!({ "__typename": "Image", "id": gid("ImageSource", it.id), "url": it.url(state), "altText": it.alt })
}

fn medium(state: &State, it: &Picture) -> Value {
    json!({
        "__typename": "MediaImage",
        "id": gid("MediaImage", it.id),
        "alt": it.alt,
        "mediaContentType": "IMAGE",
        "status": "READY",
        "image": image(state, it),
        "preview": { "image": image(state, it) },
    })
}

fn product_head(product: &Product) -> Value {
    json!({
        "__typename": "Product",
        "id": gid("Product", product.id),
        "legacyResourceId": product.id.to_string(),
        "title": product.title,
        "descriptionHtml": product.body_html,
        "vendor": product.vendor,
        "productType": product.product_type,
        "handle": product.handle,
        "status": product.status,
        "tags": product.tags,
        "createdAt": utc(product.created_at),
        "updatedAt": utc(product.updated_at),
        "publishedAt": utc(product.created_at),
        "tracksInventory": true,
        "isGiftCard": false,
    })
}

pub(crate) fn variant(state: &State, product: &Product, variant: &Variant) -> Value {
    let currency = state.options.currency;
    let position = product.variants.iter().position(|it| it.id == variant.id).map_or(1, |index| index + 1);
    json!({
        "__typename": "ProductVariant",
        "id": gid("ProductVariant", variant.id),
        "legacyResourceId": variant.id.to_string(),
        "sku": variant.sku,
        "title": variant.title,
        "displayName": format!("{} - {}", product.title, variant.title),
        "barcode": variant.barcode,
        "price": text(variant.price, currency),
        "compareAtPrice": variant.compare_at_price.map(|price| text(price, currency)),
        "position": position,
        "taxable": true,
        "availableForSale": true,
        "inventoryPolicy": "DENY",
        "inventoryQuantity": state.catalog.available(variant.inventory_item_id),
        "createdAt": utc(product.created_at),
        "updatedAt": utc(variant.updated_at),
        "selectedOptions": product.option_names.iter().zip(&variant.values)
            .map(|(name, value)| json!({ "name": name, "value": value })).collect::<Vec<_>>(),
        "product": product_head(product),
        "inventoryItem": item_head(state, product, variant, true),
    })
}

pub(crate) fn item(state: &State, product: &Product, variant: &Variant) -> Value {
    item_head(state, product, variant, true)
}

fn item_head(state: &State, product: &Product, variant: &Variant, with_levels: bool) -> Value {
    let currency = state.options.currency;
    let id = variant.inventory_item_id;
    let mut node = json!({
        "__typename": "InventoryItem",
        "id": gid("InventoryItem", id),
        "legacyResourceId": id.to_string(),
        "sku": variant.sku,
        "tracked": variant.tracked,
        "requiresShipping": true,
        "unitCost": variant.cost.map(|cost| money(cost, currency)),
        "countryCodeOfOrigin": null,
        "harmonizedSystemCode": null,
        "createdAt": utc(product.created_at),
        "updatedAt": utc(variant.updated_at),
        "measurement": { "weight": { "unit": "GRAMS", "value": variant.grams } },
        "variant": {
            "id": gid("ProductVariant", variant.id),
            "legacyResourceId": variant.id.to_string(),
            "sku": variant.sku,
            "title": variant.title,
            "price": text(variant.price, currency),
            "barcode": variant.barcode,
            "product": product_head(product),
        },
    });
    if with_levels {
        let levels = state.catalog.levels.range((id, 0)..=(id, u64::MAX));
        let levels: Vec<(u64, Value)> = levels.map(|((_, at), it)| (*at, level(state, id, *at, it))).collect();
        let mut table = Map::from_iter([(BY_ARGUMENT.to_owned(), json!("locationId"))]);
        table.extend(levels.iter().map(|(at, it)| (gid("Location", *at), it.clone())));
        node["inventoryLevel"] = Value::Object(table);
        node["inventoryLevels"] = json!({ "nodes": levels.into_iter().map(|(_, it)| it).collect::<Vec<_>>() });
    }
    node
}

pub(crate) fn level(state: &State, item: u64, at: u64, level: &Level) -> Value {
    let quantity = |name: &str, quantity: i64| {
        json!({
            "id": format!("gid://shopify/InventoryQuantity/{item}?location_id={at}&name={name}"),
            "name": name,
            "quantity": quantity,
            "updatedAt": utc(level.updated_at),
        })
    };
    let owner = state.catalog.variant_of_item(item);
    json!({
        "__typename": "InventoryLevel",
        "id": format!("gid://shopify/InventoryLevel/{at}?inventory_item_id={item}"),
        "isActive": true,
        "createdAt": utc(level.updated_at),
        "updatedAt": utc(level.updated_at),
        "location": state.catalog.location(at).map(location),
        "item": owner.map(|(product, variant)| item_head(state, product, variant, false)),
        "quantities": [
            quantity("available", level.available),
            quantity("committed", level.committed),
            quantity("on_hand", level.available + level.committed),
            quantity("incoming", 0),
            quantity("reserved", 0),
            quantity("damaged", 0),
            quantity("safety_stock", 0),
            quantity("quality_control", 0),
        ],
    })
}

pub(crate) fn location(location: &Location) -> Value {
    json!({
        "__typename": "Location",
        "id": gid("Location", location.id),
        "legacyResourceId": location.id.to_string(),
        "name": location.name,
        "isActive": true,
        "isPrimary": false,
        "fulfillsOnlineOrders": true,
        "shipsInventory": true,
        "address": { "countryCode": location.country, "country": "Norway", "city": "Oslo", "zip": "0155", "address1": "Lagerveien 1" },
    })
}

pub(crate) fn shop(state: &State) -> Value {
    let options = &state.options;
    let mut currencies = vec![options.currency.code()];
    currencies.extend(options.presentment.map(|(currency, _)| currency.code()));
    json!({
        "__typename": "Shop",
        "id": "gid://shopify/Shop/548380009",
        "name": "Eksempelbutikken",
        "myshopifyDomain": options.shop,
        "email": "post@example.no",
        "contactEmail": "post@example.no",
        "currencyCode": options.currency.code(),
        "enabledPresentmentCurrencies": currencies,
        "taxesIncluded": options.taxes_included.unwrap_or(true),
        "taxShipping": true,
        "ianaTimezone": "Europe/Oslo",
        "timezoneOffsetMinutes": i64::from(options.utc_offset_hours) * 60,
        "weightUnit": "KILOGRAMS",
        "plan": { "displayName": "Development", "publicDisplayName": "Development", "partnerDevelopment": true, "shopifyPlus": false },
        "primaryDomain": { "host": options.shop, "url": format!("https://{}", options.shop) },
        "url": format!("https://{}", options.shop),
    })
}

pub(crate) fn subscription(state: &State, subscription: &Subscription) -> Value {
    json!({
        "__typename": "WebhookSubscription",
        "id": gid("WebhookSubscription", subscription.id),
        "legacyResourceId": subscription.id.to_string(),
        "topic": subscription.topic,
        "uri": subscription.uri,
        "callbackUrl": subscription.uri,
        "name": subscription.name,
        "filter": subscription.filter,
        "format": "JSON",
        "includeFields": subscription.include_fields,
        "createdAt": utc(subscription.created_at),
        "updatedAt": utc(subscription.created_at),
        "apiVersion": { "handle": state.options.api_version, "displayName": state.options.api_version, "supported": true },
        "endpoint": { "__typename": "WebhookHttpEndpoint", "callbackUrl": subscription.uri },
    })
}

pub(crate) fn money(amount: Decimal, currency: Currency) -> Value {
    json!({ "amount": text(amount, currency), "currencyCode": currency.code() })
}

pub(crate) fn number(value: Decimal) -> Value {
    serde_json::from_str(&value.normalize().to_string()).unwrap_or(Value::Null)
}
