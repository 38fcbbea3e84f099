//! The shop's records in the shape of the GraphQL API: whole objects, which `graphql` cuts to what was selected.

use crate::shopify::{
    catalog::{Address, Customer, Level, Location, Product, Variant},
    graphql::BY_ARGUMENT,
    order::{Discount, Fulfilment, Line, Order, Refund, Share, Shipping, TAX_TITLE, Tax, Transaction},
    pricing::{Amount, Reduction, text},
    sender::Subscription,
    state::{State, gid, utc},
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use spindel_model::Currency;

pub(crate) fn order(state: &State, order: &Order) -> Value {
    let mut node = order_head(state, order);
    let bag = |amount| bag(order, amount);
    let (placed, current) = (order.placed, order.current());
    let shipping_refunded: Amount = order.refunds.iter().map(|it| it.shipping.net).sum();
    for (name, amount) in [
        ("subtotalPriceSet", placed.subtotal),
        ("totalDiscountsSet", placed.discounts),
        ("totalTaxSet", placed.tax),
        ("totalPriceSet", placed.total),
        ("originalTotalPriceSet", placed.total),
        ("totalShippingPriceSet", placed.shipping),
        ("currentSubtotalPriceSet", current.subtotal),
        ("currentTotalDiscountsSet", current.discounts),
        ("currentTotalTaxSet", current.tax),
        ("currentTotalPriceSet", current.total),
        ("currentShippingPriceSet", current.shipping_discounted),
        ("totalOutstandingSet", order.outstanding()),
        ("totalReceivedSet", order.received()),
        ("totalRefundedSet", order.refunded()),
        ("totalRefundedShippingSet", shipping_refunded),
        ("netPaymentSet", order.received() - order.refunded()),
        ("totalTipReceivedSet", order.tip),
    ] {
        node.insert(name.into(), bag(amount));
    }
    let lines: Vec<Value> = order.lines.iter().map(|it| line(order, it)).collect();
    let shipping: Vec<Value> = order.shipping.iter().map(|it| shipping_line(order, it)).collect();
    let discounts = order.discounts.iter().enumerate();
    let discounts: Vec<Value> = discounts.map(|(index, it)| discount(order, index, it)).collect();
    let transactions: Vec<Value> = order.transactions.iter().map(|it| transaction(order, it)).collect();
    let refunds: Vec<Value> = order.refunds.iter().map(|it| refund(order, it)).collect();
    let fulfilments: Vec<Value> = order.fulfilments.iter().map(|it| fulfilment(order, it)).collect();
    node.insert("lineItems".into(), json!({ "nodes": lines }));
    node.insert("shippingLine".into(), json!(shipping.first()));
    node.insert("shippingLines".into(), json!({ "nodes": shipping }));
    node.insert("discountApplications".into(), json!({ "nodes": discounts }));
    node.insert("taxLines".into(), taxes(order));
    node.insert("transactions".into(), json!(transactions));
    node.insert("refunds".into(), json!(refunds));
    node.insert("fulfillments".into(), json!(fulfilments));
    node.insert("fulfillmentOrders".into(), json!({ "nodes": [fulfilment_order(state, order)] }));
    Value::Object(node)
}

fn order_head(state: &State, order: &Order) -> Map<String, Value> {
    let buyer = state.catalog.customers.get(&order.customer).map(customer);
    let fulfilment = match order.fulfilment_status() {
        None => "UNFULFILLED",
        Some("partial") => "PARTIALLY_FULFILLED",
        Some(_) => "FULFILLED",
    };
    let codes: Vec<&String> = order.discounts.iter().filter_map(|it| it.code.as_ref()).collect();
    let gateways: Vec<&str> = order.transactions.first().map(|it| it.gateway.as_str()).into_iter().collect();
    let head = json!({
        "__typename": "Order",
        "id": gid("Order", order.id),
        "legacyResourceId": order.id.to_string(),
        "name": order.name(),
        "number": order.number,
        "email": order.email,
        "phone": order.address.phone,
        "createdAt": utc(order.created_at),
        "processedAt": utc(order.created_at),
        "updatedAt": utc(order.updated_at),
        "closedAt": null,
        "closed": false,
        "cancelledAt": order.cancelled_at.map(utc),
        "cancelReason": order.cancel_reason.as_ref().map(|reason| reason.to_uppercase()),
        "confirmed": true,
        "test": false,
        "currencyCode": order.currencies.shop.code(),
        "presentmentCurrencyCode": order.currencies.presentment.code(),
        "displayFinancialStatus": order.financial_status().to_uppercase(),
        "displayFulfillmentStatus": fulfilment,
        "taxesIncluded": order.taxes_included,
        "taxExempt": false,
        "estimatedTaxes": false,
        "dutiesIncluded": false,
    });
    let rest = json!({
        "edited": order.lines.iter().any(|line| line.added_by_edit),
        "fullyPaid": order.outstanding().is_zero() && !order.received().is_zero(),
        "unpaid": order.received().is_zero(),
        "capturable": order.payment().is_none() && order.cancelled_at.is_none(),
        "paymentGatewayNames": gateways,
        "tags": order.tags,
        "note": order.note,
        "customAttributes": [],
        "sourceName": "web",
        "sourceIdentifier": null,
        "customerLocale": "nb-NO",
        "discountCode": codes.first(),
        "discountCodes": codes,
        "customer": buyer,
        "billingAddress": address(&order.address),
        "shippingAddress": address(&order.address),
        "originalTotalDutiesSet": null,
        "originalTotalAdditionalFeesSet": null,
        "currentTotalDutiesSet": null,
        "currentTotalAdditionalFeesSet": null,
        "totalCashRoundingAdjustment": {
            "paymentSet": bag(order, Amount::ZERO),
            "refundSet": bag(order, Amount::ZERO),
        },
    });
    [head, rest].into_iter().filter_map(|part| part.as_object().cloned()).flatten().collect()
}

fn line(order: &Order, line: &Line) -> Value {
    let worth = line.worth(line.quantity, &order.currencies);
    json!({
        "__typename": "LineItem",
        "id": gid("LineItem", line.id),
        "sku": line.sku,
        "title": line.title,
        "variantTitle": line.variant_title,
        "name": format!("{} - {}", line.title, line.variant_title),
        "vendor": line.vendor,
        "quantity": line.quantity,
        "currentQuantity": line.current,
        "refundableQuantity": line.current,
        "unfulfilledQuantity": line.fulfillable(),
        "fulfillableQuantity": line.fulfillable(),
        "requiresShipping": true,
        "taxable": true,
        "isGiftCard": false,
        "customAttributes": [],
        "product": { "id": gid("Product", line.product_id), "legacyResourceId": line.product_id.to_string(), "title": line.title },
        "variant": {
            "id": gid("ProductVariant", line.variant_id),
            "legacyResourceId": line.variant_id.to_string(),
            "sku": line.sku,
            "inventoryItem": { "id": gid("InventoryItem", line.inventory_item_id), "sku": line.sku },
        },
        "originalUnitPriceSet": bag(order, line.unit_price),
        "originalTotalSet": bag(order, worth.gross),
        "totalDiscountSet": bag(order, worth.discount),
        "discountedTotalSet": bag(order, worth.net),
        "discountAllocations": shares(order, &line.shares),
        "taxLines": [tax(order, &line.tax)],
        "duties": [],
    })
}

fn shipping_line(order: &Order, shipping: &Shipping) -> Value {
    json!({
        "id": gid("ShippingLine", shipping.id),
        "code": shipping.code,
        "title": shipping.title,
        "source": "shopify",
        "carrierIdentifier": null,
        "custom": false,
        "isRemoved": false,
        "originalPriceSet": bag(order, shipping.price),
        "discountedPriceSet": bag(order, shipping.worth().net),
        "currentDiscountedPriceSet": bag(order, order.current().shipping_discounted),
        "discountAllocations": shares(order, &shipping.shares),
        "taxLines": [tax(order, &shipping.tax)],
    })
}

fn shares(order: &Order, shares: &[Share]) -> Value {
    let share = |share: &Share| {
        json!({
            "allocatedAmountSet": bag(order, share.amount),
            "discountApplication": discount(order, share.discount, &order.discounts[share.discount]),
        })
    };
    shares.iter().map(share).collect()
}

fn discount(order: &Order, index: usize, discount: &Discount) -> Value {
    let value = match discount.reduction {
        Reduction::Percentage(percent) => json!({ "__typename": "PricingPercentageValue", "percentage": number(percent) }),
        Reduction::Fixed(sum) => {
            let mut value = money(sum, order.currencies.shop);
            value["__typename"] = json!("MoneyV2");
            value
        }
    };
    let kind = if discount.code.is_some() { "DiscountCodeApplication" } else { "AutomaticDiscountApplication" };
    json!({
        "__typename": kind,
        "index": index,
        "code": discount.code,
        "title": discount.title,
        "allocationMethod": "ACROSS",
        "targetSelection": "ALL",
        "targetType": if discount.on_shipping { "SHIPPING_LINE" } else { "LINE_ITEM" },
        "value": value,
    })
}

fn taxes(order: &Order) -> Value {
    let mut taxes: Vec<Tax> = Vec::new();
    let placed = order.lines.iter().filter(|line| !line.added_by_edit).map(|line| line.tax);
    for tax in placed.chain(order.shipping.iter().map(|shipping| shipping.tax)) {
        match taxes.iter_mut().find(|sum| sum.rate == tax.rate) {
            Some(sum) => sum.amount += tax.amount,
            None => taxes.push(tax),
        }
    }
    taxes.iter().map(|it| tax(order, it)).collect()
}

fn tax(order: &Order, tax: &Tax) -> Value {
    json!({
        "title": TAX_TITLE,
        "rate": number(tax.rate),
        "ratePercentage": number(tax.rate * Decimal::ONE_HUNDRED),
        "priceSet": bag(order, tax.amount),
        "channelLiable": false,
        "source": "Shopify",
    })
}

fn transaction(order: &Order, transaction: &Transaction) -> Value {
    let parent = transaction.parent_id.map(|id| json!({ "id": gid("OrderTransaction", id) }));
    json!({
        "id": gid("OrderTransaction", transaction.id),
        "kind": transaction.kind.to_uppercase(),
        "status": "SUCCESS",
        "gateway": transaction.gateway,
        "formattedGateway": transaction.gateway,
        "amountSet": bag(order, transaction.amount),
        "createdAt": utc(transaction.processed_at),
        "processedAt": utc(transaction.processed_at),
        "parentTransaction": parent,
        "paymentId": format!("{}.1", order.name()),
        "authorizationCode": format!("auth-{}", transaction.id),
        "errorCode": null,
        "test": false,
    })
}

pub(crate) fn refund(order: &Order, refund: &Refund) -> Value {
    let lines: Vec<Value> = refund
        .lines
        .iter()
        .map(|it| {
            json!({
                "id": gid("RefundLineItem", it.id),
                "lineItem": line(order, &order.lines[it.line]),
                "quantity": it.quantity,
                "restockType": it.restock.to_uppercase(),
                "restocked": it.restock != "no_restock",
                "location": it.location.map(|id| json!({ "id": gid("Location", id) })),
                "subtotalSet": bag(order, it.worth.net),
                "totalTaxSet": bag(order, it.worth.tax),
            })
        })
        .collect();
    let shipping: Vec<Value> = order
        .shipping
        .iter()
        .filter(|_| !refund.shipping.net.is_zero())
        .map(|it| {
            json!({
                "id": gid("RefundShippingLine", refund.id),
                "shippingLine": shipping_line(order, it),
                "subtotalAmountSet": bag(order, refund.shipping.net),
                "taxAmountSet": bag(order, refund.shipping.tax),
            })
        })
        .collect();
    let adjustments: Vec<Value> = (!refund.discrepancy.is_zero())
        .then(|| {
            json!({
                "id": gid("OrderAdjustment", refund.id),
                "reason": "REFUND_DISCREPANCY",
                "amountSet": bag(order, Amount::ZERO - refund.discrepancy),
                "taxAmountSet": bag(order, Amount::ZERO),
            })
        })
        .into_iter()
        .collect();
    let transactions: Vec<&Transaction> = refund.transactions.iter().filter_map(|id| order.transaction(*id)).collect();
    let total: Amount = transactions.iter().map(|it| it.amount).sum();
    let transactions: Vec<Value> = transactions.into_iter().map(|it| transaction(order, it)).collect();
    json!({
        "__typename": "Refund",
        "id": gid("Refund", refund.id),
        "legacyResourceId": refund.id.to_string(),
        "createdAt": utc(refund.created_at),
        "processedAt": utc(refund.created_at),
        "updatedAt": utc(refund.created_at),
        "note": refund.note,
        "order": { "id": gid("Order", order.id), "name": order.name() },
        "duties": [],
        "totalRefundedSet": bag(order, total),
        "refundLineItems": { "nodes": lines },
        "refundShippingLines": { "nodes": shipping },
        "orderAdjustments": { "nodes": adjustments },
        "transactions": { "nodes": transactions },
    })
}

pub(crate) fn fulfilment(order: &Order, fulfilment: &Fulfilment) -> Value {
    let count = fulfilment.numbers.len().max(fulfilment.urls.len()).max(usize::from(fulfilment.company.is_some()));
    let tracking: Vec<Value> = (0..count)
        .map(|index| json!({ "company": fulfilment.company, "number": fulfilment.numbers.get(index), "url": fulfilment.urls.get(index) }))
        .collect();
    let lines: Vec<Value> = fulfilment
        .lines
        .iter()
        .map(|(index, quantity)| {
            let sold = &order.lines[*index];
            json!({ "id": gid("FulfillmentLineItem", sold.fulfilment_order_line), "quantity": quantity, "lineItem": line(order, sold) })
        })
        .collect();
    let number = order.fulfilments.iter().position(|it| it.id == fulfilment.id).map_or(1, |index| index + 1);
    json!({
        "__typename": "Fulfillment",
        "id": gid("Fulfillment", fulfilment.id),
        "legacyResourceId": fulfilment.id.to_string(),
        "name": format!("{}.{number}", order.name()),
        "status": "SUCCESS",
        "displayStatus": "FULFILLED",
        "createdAt": utc(fulfilment.created_at),
        "updatedAt": utc(fulfilment.updated_at),
        "totalQuantity": fulfilment.lines.iter().map(|(_, quantity)| quantity).sum::<u32>(),
        "requiresShipping": true,
        "location": { "id": gid("Location", fulfilment.location) },
        "order": { "id": gid("Order", order.id), "name": order.name() },
        "trackingInfo": tracking,
        "fulfillmentLineItems": { "nodes": lines },
    })
}

pub(crate) fn fulfilment_order(state: &State, order: &Order) -> Value {
    let lines: Vec<Value> = order
        .lines
        .iter()
        .map(|it| {
            json!({
                "id": gid("FulfillmentOrderLineItem", it.fulfilment_order_line),
                "totalQuantity": it.current,
                "remainingQuantity": if order.cancelled_at.is_some() { 0 } else { it.fulfillable() },
                "sku": it.sku,
                "productTitle": it.title,
                "variantTitle": it.variant_title,
                "inventoryItemId": gid("InventoryItem", it.inventory_item_id),
                "requiresShipping": true,
                "lineItem": line(order, it),
                "variant": { "id": gid("ProductVariant", it.variant_id), "sku": it.sku },
            })
        })
        .collect();
    let location = state.catalog.location(state.main_location());
    let status = match (order.cancelled_at, order.fulfilment_status()) {
        (Some(_), _) => "CANCELLED",
        (None, Some("fulfilled")) => "CLOSED",
        (None, Some(_)) => "IN_PROGRESS",
        (None, None) => "OPEN",
    };
    json!({
        "__typename": "FulfillmentOrder",
        "id": gid("FulfillmentOrder", order.fulfilment_order),
        "status": status,
        "requestStatus": "UNSUBMITTED",
        "orderId": gid("Order", order.id),
        "orderName": order.name(),
        "order": { "id": gid("Order", order.id), "name": order.name() },
        "createdAt": utc(order.created_at),
        "updatedAt": utc(order.updated_at),
        "assignedLocation": {
            "name": location.map(|it| &it.name),
            "countryCode": location.map(|it| &it.country),
            "location": { "id": gid("Location", state.main_location()) },
        },
        "lineItems": { "nodes": lines },
    })
}

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

fn address(address: &Address) -> Value {
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
    let values: Vec<&str> = product.variants.iter().map(|it| it.title.as_str()).collect();
    let stock: i64 = product.variants.iter().map(|it| state.catalog.available(it.inventory_item_id)).sum();
    let mut node = product_head(product);
    node["variants"] = json!({ "nodes": variants });
    node["variantsCount"] = json!({ "count": variants.len(), "precision": "EXACT" });
    node["totalInventory"] = json!(stock);
    node["images"] = json!({ "nodes": [] });
    node["media"] = json!({ "nodes": [] });
    node["featuredMedia"] = Value::Null;
    node["options"] = json!([{
        "id": gid("ProductOption", product.id),
        "name": product.option_name,
        "position": 1,
        "values": values,
        "optionValues": values.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>(),
    }]);
    node
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
        "selectedOptions": [{ "name": product.option_name, "value": variant.title }],
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

fn bag(order: &Order, amount: Amount) -> Value {
    json!({
        "shopMoney": money(amount.shop, order.currencies.shop),
        "presentmentMoney": money(amount.presentment, order.currencies.presentment),
    })
}

fn money(amount: Decimal, currency: Currency) -> Value {
    json!({ "amount": text(amount, currency), "currencyCode": currency.code() })
}

fn number(value: Decimal) -> Value {
    serde_json::from_str(&value.normalize().to_string()).unwrap_or(Value::Null)
}
