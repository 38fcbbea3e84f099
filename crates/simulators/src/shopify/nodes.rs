//! Orders in the shape of the GraphQL API: whole objects, which `graphql` cuts to what was selected. The rest of the
//! shop's records is in `catalog_nodes`.

use crate::shopify::{
    catalog_nodes::{address, customer, money, number},
    order::{Discount, Event, Fulfilment, Line, Order, Refund, Share, Shipping, TAX_TITLE, Tax, Transaction},
    pricing::{Amount, Reduction},
    state::{State, gid, utc},
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

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
    node.insert("taxLines".into(), order.placed_taxes().iter().map(|it| tax(order, it)).collect::<Value>());
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
        "capturable": order.financial_status() == "authorized" && order.cancelled_at.is_none(),
        "canMarkAsPaid": order.cancelled_at.is_none() && !order.outstanding().is_zero(),
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
    let parent = transaction.parent_id.and_then(|id| order.transaction(id));
    let mut node = transaction_head(order, transaction);
    node["parentTransaction"] = parent.map_or(Value::Null, |parent| transaction_head(order, parent));
    node
}

fn transaction_head(order: &Order, transaction: &Transaction) -> Value {
    json!({
        "id": gid("OrderTransaction", transaction.id),
        "kind": transaction.kind.to_uppercase(),
        "status": transaction.status.to_uppercase(),
        "gateway": transaction.gateway,
        "formattedGateway": transaction.gateway,
        "amountSet": bag(order, transaction.amount),
        "createdAt": utc(transaction.processed_at),
        "processedAt": utc(transaction.processed_at),
        "paymentId": transaction.payment_id,
        "authorizationCode": (transaction.status == "success").then(|| format!("auth-{}", transaction.id)),
        "manualPaymentGateway": transaction.status == "pending",
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
    let mut events: Vec<&Event> = fulfilment.events.iter().collect();
    events.sort_by_key(|event| event.happened_at);
    let events: Vec<Value> = events.into_iter().map(event).collect();
    json!({
        "__typename": "Fulfillment",
        "id": gid("Fulfillment", fulfilment.id),
        "legacyResourceId": fulfilment.id.to_string(),
        "name": format!("{}.{number}", order.name()),
        "status": "SUCCESS",
        "displayStatus": fulfilment.newest_event().map_or("FULFILLED", |event| &event.status),
        "createdAt": utc(fulfilment.created_at),
        "updatedAt": utc(fulfilment.updated_at),
        "totalQuantity": fulfilment.lines.iter().map(|(_, quantity)| quantity).sum::<u32>(),
        "requiresShipping": true,
        "location": { "id": gid("Location", fulfilment.location) },
        "order": { "id": gid("Order", order.id), "name": order.name() },
        "trackingInfo": tracking,
        "events": { "nodes": events },
        "fulfillmentLineItems": { "nodes": lines },
    })
}

pub(crate) fn event(event: &Event) -> Value {
    json!({
        "__typename": "FulfillmentEvent",
        "id": gid("FulfillmentEvent", event.id),
        "status": event.status,
        "message": event.message,
        "happenedAt": utc(event.happened_at),
        "createdAt": utc(event.created_at),
        "estimatedDeliveryAt": null,
        "city": null,
        "country": null,
        "zip": null,
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

fn bag(order: &Order, amount: Amount) -> Value {
    json!({
        "shopMoney": money(amount.shop, order.currencies.shop),
        "presentmentMoney": money(amount.presentment, order.currencies.presentment),
    })
}
