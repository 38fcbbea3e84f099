//! Bodies of webhooks about orders, in the REST shape. Money is text, but for the subtotals of refund lines, as at the vendor.
//! Bodies about products, stock and customers are in `catalog_rest`.

use crate::shopify::{
    catalog_rest::{address, customer},
    order::{Discount, Fulfilment, Line, Order, Refund, RefundLine, Share, Shipping, TAX_TITLE, Tax, Totals, Transaction, Worth},
    pricing::{Amount, Currencies, Reduction, text},
    state::{State, gid},
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

pub(crate) fn order(state: &State, order: &Order) -> Value {
    let mut body = head(state, order);
    add_totals(&mut body, order);
    add_discounts(&mut body, order);
    let customer = state.catalog.customers.get(&order.customer).map(|it| customer(state, it));
    let lines: Vec<Value> = order.lines.iter().map(|it| line(order, it)).collect();
    let shipping: Vec<Value> = order.shipping.iter().map(|it| shipping_line(order, it)).collect();
    let refunds: Vec<Value> = order.refunds.iter().map(|it| refund(state, order, it)).collect();
    let fulfilments: Vec<Value> = order.fulfilments.iter().map(|it| fulfilment(state, order, it)).collect();
    body.insert("customer".into(), json!(customer));
    body.insert("billing_address".into(), address(&order.address));
    body.insert("shipping_address".into(), address(&order.address));
    body.insert("line_items".into(), json!(lines));
    body.insert("shipping_lines".into(), json!(shipping));
    body.insert("tax_lines".into(), order.placed_taxes().iter().map(|it| tax(order, it)).collect());
    body.insert("refunds".into(), json!(refunds));
    body.insert("fulfillments".into(), json!(fulfilments));
    Value::Object(body)
}

fn head(state: &State, order: &Order) -> Map<String, Value> {
    let gateways: Vec<&str> = order.transactions.first().map(|it| it.gateway.as_str()).into_iter().collect();
    let grams: u64 = order.lines.iter().map(|it| it.grams * u64::from(it.quantity)).sum();
    let head = json!({
        "id": order.id,
        "admin_graphql_api_id": gid("Order", order.id),
        "name": order.name(),
        "number": order.number - 1000,
        "order_number": order.number,
        "token": format!("{:032x}", order.id),
        "email": order.email,
        "contact_email": order.email,
        "phone": order.address.phone,
        "created_at": state.local(order.created_at),
        "processed_at": state.local(order.created_at),
        "updated_at": state.local(order.updated_at),
        "closed_at": null,
        "cancelled_at": order.cancelled_at.map(|time| state.local(time)),
        "cancel_reason": order.cancel_reason,
        "confirmed": true,
        "test": false,
        "currency": order.currencies.shop.code(),
        "presentment_currency": order.currencies.presentment.code(),
        "financial_status": order.financial_status(),
        "fulfillment_status": order.fulfilment_status(),
        "taxes_included": order.taxes_included,
        "tax_exempt": false,
        "estimated_taxes": false,
        "duties_included": false,
        "total_weight": grams,
        "payment_gateway_names": gateways,
        "payment_terms": null,
        "tags": order.tags.join(", "),
        "note": order.note,
        "note_attributes": [],
        "source_name": "web",
        "source_identifier": null,
        "location_id": null,
        "user_id": null,
        "app_id": 580_111,
        "browser_ip": "192.0.2.7",
        "customer_locale": "nb-NO",
        "returns": [],
        "line_item_groups": [],
    });
    match head {
        Value::Object(head) => head,
        _ => Map::new(),
    }
}

fn add_totals(body: &mut Map<String, Value>, order: &Order) {
    let (placed, current) = (order.placed, order.current());
    let each = |totals: &Totals| {
        [
            ("subtotal_price", totals.subtotal),
            ("total_discounts", totals.discounts),
            ("total_tax", totals.tax),
            ("total_price", totals.total),
        ]
    };
    let mut both = |name: String, amount: Amount| {
        body.insert(format!("{name}_set"), money_set(amount, &order.currencies));
        body.insert(name, json!(text(amount.shop, order.currencies.shop)));
    };
    for (name, amount) in each(&placed) {
        both(name.into(), amount);
    }
    for (name, amount) in each(&current) {
        both(format!("current_{name}"), amount);
    }
    both("total_line_items_price".into(), placed.items);
    both("total_outstanding".into(), order.outstanding());
    both("total_tip_received".into(), order.tip);
    let sets = [
        ("total_shipping_price_set", placed.shipping),
        ("current_shipping_price_set", current.shipping_discounted),
        ("total_cash_rounding_payment_adjustment_set", Amount::ZERO),
    ];
    for (name, amount) in sets {
        body.insert(name.into(), money_set(amount, &order.currencies));
    }
    for name in ["original_total_duties_set", "current_total_duties_set", "current_total_additional_fees_set"] {
        body.insert(name.into(), Value::Null);
    }
}

fn add_discounts(body: &mut Map<String, Value>, order: &Order) {
    let applications: Vec<Value> = order.discounts.iter().map(|it| discount_application(order, it)).collect();
    let codes: Vec<Value> = order
        .discounts
        .iter()
        .enumerate()
        .filter_map(|(index, discount)| {
            let amount = discount_total(order, index);
            let kind = match (discount.on_shipping, discount.reduction) {
                (true, _) => "shipping",
                (false, Reduction::Percentage(_)) => "percentage",
                (false, Reduction::Fixed(_)) => "fixed_amount",
            };
            let code = discount.code.as_ref()?;
            Some(json!({ "code": code, "amount": text(amount.shop, order.currencies.shop), "type": kind }))
        })
        .collect();
    body.insert("discount_applications".into(), json!(applications));
    body.insert("discount_codes".into(), json!(codes));
}

fn discount_total(order: &Order, index: usize) -> Amount {
    let lines = order.lines.iter().flat_map(|line| &line.shares);
    let shipping = order.shipping.iter().flat_map(|shipping| &shipping.shares);
    lines.chain(shipping).filter(|share| share.discount == index).map(|share| share.amount).sum()
}

fn discount_application(order: &Order, discount: &Discount) -> Value {
    let (value, value_type) = match discount.reduction {
        Reduction::Percentage(percent) => (format!("{percent:.1}"), "percentage"),
        Reduction::Fixed(sum) => (text(sum, order.currencies.shop), "fixed_amount"),
    };
    let mut application = json!({
        "title": discount.title,
        "description": discount.title,
        "value": value,
        "value_type": value_type,
        "allocation_method": "across",
        "target_selection": "all",
        "target_type": if discount.on_shipping { "shipping_line" } else { "line_item" },
        "type": if discount.code.is_some() { "discount_code" } else { "automatic" },
    });
    if let Some(code) = &discount.code {
        application["code"] = json!(code);
    }
    application
}

fn tax(order: &Order, tax: &Tax) -> Value {
    json!({
        "title": TAX_TITLE,
        "price": text(tax.amount.shop, order.currencies.shop),
        "rate": number(tax.rate),
        "price_set": money_set(tax.amount, &order.currencies),
        "channel_liable": false,
    })
}

fn shares(order: &Order, shares: &[Share]) -> Value {
    let share = |share: &Share| {
        json!({
            "amount": text(share.amount.shop, order.currencies.shop),
            "amount_set": money_set(share.amount, &order.currencies),
            "discount_application_index": share.discount,
        })
    };
    shares.iter().map(share).collect()
}

fn line(order: &Order, line: &Line) -> Value {
    let status = match line.fulfilled {
        0 => None,
        _ if line.fulfillable() == 0 => Some("fulfilled"),
        _ => Some("partial"),
    };
    json!({
        "id": line.id,
        "admin_graphql_api_id": gid("LineItem", line.id),
        "product_id": line.product_id,
        "variant_id": line.variant_id,
        "product_exists": true,
        "sku": line.sku,
        "title": line.title,
        "variant_title": line.variant_title,
        "name": format!("{} - {}", line.title, line.variant_title),
        "vendor": line.vendor,
        "quantity": line.quantity,
        "current_quantity": line.current,
        "fulfillable_quantity": line.fulfillable(),
        "fulfillment_status": status,
        "fulfillment_service": "manual",
        "grams": line.grams,
        "price": text(line.unit_price.shop, order.currencies.shop),
        "price_set": money_set(line.unit_price, &order.currencies),
        "total_discount": text(Decimal::ZERO, order.currencies.shop),
        "total_discount_set": money_set(Amount::ZERO, &order.currencies),
        "taxable": true,
        "requires_shipping": true,
        "gift_card": false,
        "properties": [],
        "duties": [],
        "attributed_staffs": [],
        "sales_line_item_group_id": null,
        "tax_lines": [tax(order, &line.tax)],
        "discount_allocations": shares(order, &line.shares),
    })
}

fn shipping_line(order: &Order, shipping: &Shipping) -> Value {
    let net = shipping.worth().net;
    json!({
        "id": shipping.id,
        "code": shipping.code,
        "title": shipping.title,
        "source": "shopify",
        "carrier_identifier": null,
        "price": text(shipping.price.shop, order.currencies.shop),
        "price_set": money_set(shipping.price, &order.currencies),
        "discounted_price": text(net.shop, order.currencies.shop),
        "discounted_price_set": money_set(net, &order.currencies),
        "current_discounted_price_set": money_set(order.current().shipping_discounted, &order.currencies),
        "is_removed": false,
        "tax_lines": [tax(order, &shipping.tax)],
        "discount_allocations": shares(order, &shipping.shares),
    })
}

pub(crate) fn refund(state: &State, order: &Order, refund: &Refund) -> Value {
    let lines: Vec<Value> = refund.lines.iter().map(|it| refund_line(order, it)).collect();
    let transactions = refund.transactions.iter().filter_map(|id| order.transaction(*id));
    let transactions: Vec<Value> = transactions.map(|it| transaction(state, order, it)).collect();
    json!({
        "id": refund.id,
        "admin_graphql_api_id": gid("Refund", refund.id),
        "order_id": order.id,
        "created_at": state.local(refund.created_at),
        "processed_at": state.local(refund.created_at),
        "note": refund.note,
        "user_id": null,
        "restock": refund.lines.iter().any(|line| line.restock != "no_restock"),
        "duties": [],
        "total_duties_set": money_set(Amount::ZERO, &order.currencies),
        "return": null,
        "order_adjustments": adjustments(order, refund),
        "refund_shipping_lines": refunded_shipping(order, refund),
        "transactions": transactions,
        "refund_line_items": lines,
    })
}

/// Money paid out beyond (below zero) or short of what lines and shipping were worth.
fn adjustments(order: &Order, refund: &Refund) -> Vec<Value> {
    if refund.discrepancy.is_zero() {
        return Vec::new();
    }
    let amount = Amount::ZERO - refund.discrepancy;
    vec![json!({
        "id": refund.id + 1,
        "order_id": order.id,
        "refund_id": refund.id,
        "kind": "refund_discrepancy",
        "reason": "Refund discrepancy",
        "amount": text(amount.shop, order.currencies.shop),
        "amount_set": money_set(amount, &order.currencies),
        "tax_amount": text(Decimal::ZERO, order.currencies.shop),
        "tax_amount_set": money_set(Amount::ZERO, &order.currencies),
    })]
}

/// With tax in the amount when the order's prices include it, like the lines.
fn refunded_shipping(order: &Order, refund: &Refund) -> Vec<Value> {
    let Worth { net, tax, .. } = refund.shipping;
    let given_back = order.shipping.iter().filter(|_| !net.is_zero());
    let line = |shipping: &Shipping| {
        json!({
            "id": refund.id + 2,
            "shipping_line": shipping_line(order, shipping),
            "subtotal_amount_set": money_set(net, &order.currencies),
            "tax_amount_set": money_set(tax, &order.currencies),
        })
    };
    given_back.map(line).collect()
}

fn refund_line(order: &Order, refunded: &RefundLine) -> Value {
    json!({
        "id": refunded.id,
        "line_item_id": order.lines[refunded.line].id,
        "quantity": refunded.quantity,
        "location_id": refunded.location,
        "restock_type": refunded.restock,
        "subtotal": number(refunded.worth.net.shop),
        "total_tax": number(refunded.worth.tax.shop),
        "subtotal_set": money_set(refunded.worth.net, &order.currencies),
        "total_tax_set": money_set(refunded.worth.tax, &order.currencies),
        "line_item": line(order, &order.lines[refunded.line]),
    })
}

pub(crate) fn transaction(state: &State, order: &Order, transaction: &Transaction) -> Value {
    let currency = order.currencies.shop;
    json!({
        "id": transaction.id,
        "admin_graphql_api_id": gid("OrderTransaction", transaction.id),
        "order_id": order.id,
        "parent_id": transaction.parent_id,
        "kind": transaction.kind,
        "gateway": transaction.gateway,
        "status": transaction.status,
        "amount": text(transaction.amount.shop, currency),
        "currency": currency.code(),
        "authorization": (transaction.status == "success").then(|| format!("auth-{}", transaction.id)),
        "payment_id": transaction.payment_id,
        "error_code": null,
        "created_at": state.local(transaction.processed_at),
        "processed_at": state.local(transaction.processed_at),
        "test": false,
        "receipt": {},
        "total_unsettled_set": {
            "shop_money": { "amount": "0.0", "currency": currency.code() },
            "presentment_money": { "amount": "0.0", "currency": order.currencies.presentment.code() },
        },
    })
}

pub(crate) fn fulfilment(state: &State, order: &Order, fulfilment: &Fulfilment) -> Value {
    let lines: Vec<Value> = fulfilment
        .lines
        .iter()
        .map(|(index, quantity)| {
            let mut line = line(order, &order.lines[*index]);
            line["quantity"] = json!(quantity);
            line
        })
        .collect();
    let number = order.fulfilments.iter().position(|it| it.id == fulfilment.id).map_or(1, |index| index + 1);
    json!({
        "id": fulfilment.id,
        "admin_graphql_api_id": gid("Fulfillment", fulfilment.id),
        "order_id": order.id,
        "status": "success",
        "created_at": state.local(fulfilment.created_at),
        "updated_at": state.local(fulfilment.updated_at),
        "tracking_company": fulfilment.company,
        "tracking_number": fulfilment.numbers.first(),
        "tracking_numbers": fulfilment.numbers,
        "tracking_url": fulfilment.urls.first(),
        "tracking_urls": fulfilment.urls,
        "shipment_status": fulfilment.newest_event().map(|event| event.status.to_lowercase()),
        "location_id": fulfilment.location,
        "service": "manual",
        "name": format!("{}.{number}", order.name()),
        "line_items": lines,
        "destination": address(&order.address),
        "origin_address": {},
    })
}

pub(crate) fn order_edit(state: &mut State, order: u64, additions: &[(u64, u32)], removals: &[(u64, u32)]) -> Value {
    let deltas =
        |deltas: &[(u64, u32)]| -> Vec<Value> { deltas.iter().map(|(id, delta)| json!({ "id": id, "delta": delta })).collect() };
    let (id, now) = (state.new_id(), state.now());
    json!({ "order_edit": {
        "id": id,
        "order_id": order,
        "app_id": null,
        "created_at": state.local(now),
        "committed_at": state.local(now),
        "notify_customer": false,
        "user_id": null,
        "line_items": { "additions": deltas(additions), "removals": deltas(removals) },
        "discounts": { "line_item": { "additions": [], "removals": [] } },
        "shipping_lines": { "additions": [], "removals": [] },
    } })
}

fn money_set(amount: Amount, currencies: &Currencies) -> Value {
    let Currencies { shop, presentment, .. } = currencies;
    json!({
        "shop_money": { "amount": text(amount.shop, *shop), "currency_code": shop.code() },
        "presentment_money": { "amount": text(amount.presentment, *presentment), "currency_code": presentment.code() },
    })
}

/// A JSON number with the decimal's own digits, where the vendor writes numbers.
fn number(amount: Decimal) -> Value {
    serde_json::from_str(&amount.to_string()).unwrap_or(Value::Null)
}
