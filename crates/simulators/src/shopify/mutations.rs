//! The root fields that write. Stock is in `inventory`; here are products, orders and webhook subscriptions.

use crate::shopify::{
    catalog_nodes,
    document::Field,
    graphql::{Failure, fail},
    idempotency::{self, Verdict, user_error},
    inventory, metafields, nodes,
    order::Order,
    payments, product_writes,
    refunds::{Payout, RefundOrder},
    sender::{Sender, Subscription},
    spec::{Restock, Tracking},
    state::{Refused, State, gid, parse_gid},
    tracking, translations,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};

/// Mutations that need `@idempotent(key:)`, and the field of their payload that is null when they are refused.
const KEYED: [(&str, &str); 4] = [
    ("inventoryActivate", "inventoryLevel"),
    ("inventoryAdjustQuantities", "inventoryAdjustmentGroup"),
    ("inventorySetQuantities", "inventoryAdjustmentGroup"),
    ("refundCreate", "refund"),
];

pub(crate) fn run(state: &mut State, sender: &Sender, field: &Field) -> Result<Value, Failure> {
    let Some((_, payload)) = KEYED.iter().find(|(name, _)| *name == field.name) else {
        return carry_out(state, sender, field);
    };
    let Some(key) = idempotency::key(field) else {
        let message = format!("The @idempotent directive is required for {} but was not provided", field.name);
        return fail("BAD_REQUEST", message);
    };
    match state.api.idempotency.judge(key, field, payload) {
        Verdict::Answer(answer) => Ok(answer),
        Verdict::CarryOut { key } => {
            let answer = carry_out(state, sender, field)?;
            state.api.idempotency.remember(key, field, &answer);
            Ok(answer)
        }
    }
}

fn carry_out(state: &mut State, sender: &Sender, field: &Field) -> Result<Value, Failure> {
    match field.name.as_str() {
        "inventorySetQuantities" => inventory::set_quantities(state, field),
        "inventoryAdjustQuantities" => inventory::adjust_quantities(state, field),
        "inventoryActivate" => inventory::activate(state, field),
        "productVariantsBulkUpdate" => product_writes::update_variants(state, field),
        "productUpdate" => product_writes::update(state, field),
        "productSet" => product_writes::set(state, field),
        "metafieldsSet" => metafields::set(state, field),
        "translationsRegister" => translations::register(state, field),
        "fulfillmentCreate" => fulfil(state, field),
        "fulfillmentTrackingInfoUpdate" => update_tracking(state, field),
        "fulfillmentEventCreate" => tracking::tell(state, field),
        "orderCancel" => cancel(state, field),
        "orderCapture" => capture(state, field),
        "orderCreateManualPayment" => payments::record(state, field),
        "refundCreate" => refund(state, field),
        "webhookSubscriptionCreate" => subscribe(state, sender, field),
        "webhookSubscriptionDelete" => unsubscribe(sender, field),
        other => fail("undefinedField", format!("Field '{other}' doesn't exist on type 'Mutation' of the simulated shop")),
    }
}

/// An argument that must be there.
pub(crate) fn argument<'a>(field: &'a Field, name: &str) -> Result<&'a Value, Failure> {
    match field.arguments.get(name) {
        Some(value) if !value.is_null() => Ok(value),
        _ => fail("BAD_REQUEST", format!("Field '{}' is missing required arguments: {name}", field.name)),
    }
}

pub(crate) fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect()
}

pub(crate) fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    }
}

fn count(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|count| u32::try_from(count).ok())
}

pub(crate) fn order_id(value: &Value) -> Option<u64> {
    parse_gid("Order", value.as_str()?)
}

fn fulfil(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let input = argument(field, "fulfillment")?;
    let made = parse_fulfilment(state, input).and_then(|(order, lines)| {
        let tracking = parse_tracking(&input["trackingInfo"]);
        Ok((order, state.fulfil(order, lines, tracking)?))
    });
    Ok(match made {
        Ok((order, id)) => {
            let order = &state.orders[&order];
            let made = order.fulfilments.iter().find(|made| made.id == id);
            json!({ "fulfillment": made.map(|made| nodes::fulfilment(order, made)), "userErrors": [] })
        }
        Err(Refused(reason)) => json!({ "fulfillment": null, "userErrors": [user_error(&["fulfillment"], &reason, "INVALID")] }),
    })
}

/// Index of the line and quantity; `None` is all that is left.
type FulfilLines = Option<Vec<(usize, u32)>>;

fn parse_fulfilment(state: &State, input: &Value) -> Result<(u64, FulfilLines), Refused> {
    let parts = input["lineItemsByFulfillmentOrder"].as_array().filter(|parts| parts.len() == 1);
    let Some(part) = parts.and_then(|parts| parts.first()) else {
        return Err(Refused("lineItemsByFulfillmentOrder must name one fulfillment order".into()));
    };
    let id = part["fulfillmentOrderId"].as_str().and_then(|id| parse_gid("FulfillmentOrder", id));
    let order = state.orders.values().find(|order| Some(order.fulfilment_order) == id);
    let Some(order) = order else { return Err(Refused("Fulfillment order does not exist.".into())) };
    let Some(asked) = part["fulfillmentOrderLineItems"].as_array() else { return Ok((order.id, None)) };
    let mut lines = Vec::new();
    for line in asked {
        let id = line["id"].as_str().and_then(|id| parse_gid("FulfillmentOrderLineItem", id));
        let index = order.lines.iter().position(|line| Some(line.fulfilment_order_line) == id);
        match (index, count(&line["quantity"])) {
            (Some(index), Some(quantity)) if quantity > 0 => lines.push((index, quantity)),
            _ => return Err(Refused("Invalid fulfillment order line item quantity requested.".into())),
        }
    }
    Ok((order.id, Some(lines)))
}

fn parse_tracking(input: &Value) -> Tracking {
    let several = |one: &str, many: &str| {
        let one = input[one].as_str().map(str::to_owned);
        one.into_iter().chain(strings(&input[many])).collect()
    };
    Tracking {
        company: input["company"].as_str().map(str::to_owned),
        numbers: several("number", "numbers"),
        urls: several("url", "urls"),
    }
}

fn update_tracking(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let id = argument(field, "fulfillmentId")?.as_str().and_then(|id| parse_gid("Fulfillment", id));
    let tracking = parse_tracking(argument(field, "trackingInfoInput")?);
    let now = state.now();
    let fulfilment = state.orders.values_mut().find_map(|order| {
        let order_id = order.id;
        let found = order.fulfilments.iter_mut().find(|fulfilment| Some(fulfilment.id) == id)?;
        Some((order_id, found))
    });
    let Some((order, fulfilment)) = fulfilment else {
        let error = user_error(&["fulfillmentId"], "Fulfillment does not exist.", "NOT_FOUND");
        return Ok(json!({ "fulfillment": null, "userErrors": [error] }));
    };
    (fulfilment.company, fulfilment.numbers, fulfilment.urls) = (tracking.company, tracking.numbers, tracking.urls);
    fulfilment.updated_at = now;
    let find = |order: &Order| order.fulfilments.iter().position(|fulfilment| Some(fulfilment.id) == id);
    let announced = state.changed(order, |state, order| {
        let index = find(order).unwrap_or_default();
        vec![("fulfillments/update", crate::shopify::rest::fulfilment(state, order, &order.fulfilments[index]))]
    });
    let order = &state.orders[&order];
    let shown = find(order).map(|index| nodes::fulfilment(order, &order.fulfilments[index]));
    Ok(json!({ "fulfillment": announced.ok().and(shown), "userErrors": [] }))
}

fn cancel(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let id = order_id(argument(field, "orderId")?);
    let reason = argument(field, "reason")?.as_str().unwrap_or("OTHER").to_owned();
    let restock = argument(field, "restock")?.as_bool().unwrap_or(false);
    let asked = |name: &str| field.arguments.get(name).and_then(Value::as_bool).unwrap_or(false);
    let method = field.arguments.get("refundMethod").map(|method| &method["originalPaymentMethodsRefund"]);
    let money_back = asked("refund") || method.and_then(Value::as_bool).unwrap_or(false);
    let note = field.arguments.get("staffNote").and_then(Value::as_str).map(str::to_owned);
    let errors = match id.filter(|id| state.orders.contains_key(id)) {
        None => vec![user_error(&["orderId"], "Order does not exist", "NOT_FOUND")],
        Some(id) => match state.cancel(id, &reason, restock, money_back, note) {
            Ok(()) => Vec::new(),
            Err(Refused(reason)) => vec![user_error(&["orderId"], &reason, "INVALID")],
        },
    };
    let job = errors.is_empty().then(|| json!({ "id": format!("gid://shopify/Job/{}", state.new_uuid()), "done": false }));
    Ok(json!({ "job": job, "orderCancelUserErrors": errors, "userErrors": errors }))
}

fn capture(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let input = argument(field, "input")?;
    let captured = match order_id(&input["id"]) {
        Some(id) => state.capture(id).map(|transaction| (id, transaction)),
        None => Err(Refused("Order does not exist".into())),
    };
    Ok(match captured {
        Ok((order, id)) => {
            let whole = nodes::order(state, &state.orders[&order]);
            let mine = whole["transactions"].as_array().into_iter().flatten();
            let mine = mine.into_iter().find(|shown| shown["id"] == gid("OrderTransaction", id));
            json!({ "transaction": mine, "userErrors": [] })
        }
        Err(Refused(reason)) => json!({ "transaction": null, "userErrors": [user_error(&["input"], &reason, "INVALID")] }),
    })
}

fn refund(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let input = argument(field, "input")?;
    let made = parse_refund(state, input).and_then(|(order, refund)| Ok((order, state.refund(order, refund)?)));
    Ok(match made {
        Ok((order, id)) => {
            let order = &state.orders[&order];
            let made = order.refunds.iter().find(|made| made.id == id);
            json!({
                "refund": made.map(|made| nodes::refund(order, made)),
                "order": nodes::order(state, order),
                "userErrors": [],
            })
        }
        Err(Refused(reason)) => {
            json!({ "refund": null, "order": null, "userErrors": [user_error(&["input"], &reason, "INVALID")] })
        }
    })
}

fn parse_refund(state: &State, input: &Value) -> Result<(u64, RefundOrder), Refused> {
    let order = order_id(&input["orderId"]).and_then(|id| state.orders.get(&id));
    let Some(order) = order else { return Err(Refused("Order does not exist".into())) };
    let mut lines = Vec::new();
    for line in input["refundLineItems"].as_array().into_iter().flatten() {
        let id = line["lineItemId"].as_str().and_then(|id| parse_gid("LineItem", id));
        let index = order.lines.iter().position(|line| Some(line.id) == id);
        let location = line["locationId"].as_str().and_then(|id| parse_gid("Location", id));
        let restock = match line["restockType"].as_str() {
            Some("RETURN") => Restock::Return,
            Some("CANCEL") => Restock::Cancel,
            _ => Restock::No,
        };
        if restock != Restock::No && location.is_none() {
            return Err(Refused("Location is required to restock".into()));
        }
        match (index, count(&line["quantity"])) {
            (Some(index), Some(quantity)) if quantity > 0 => lines.push((index, quantity, restock, location)),
            _ => return Err(Refused("Refund line items: line item or quantity is invalid".into())),
        }
    }
    let left = order.shipping_left().net;
    let asked = &input["shipping"];
    let shipping = if asked["fullRefund"] == true {
        Some(left)
    } else {
        decimal(&asked["amount"]).map(|amount| match amount == left.presentment {
            true => left,
            false => order.currencies.convert_back(amount),
        })
    };
    if shipping.is_some_and(|asked| asked.presentment > left.presentment) {
        return Err(Refused("Shipping amount is greater than what is left of the shipping".into()));
    }
    let note = input["note"].as_str().map(str::to_owned);
    let refund = RefundOrder { lines, shipping, note, payouts: Some(parse_payouts(order, input)?) };
    Ok((order.id, refund))
}

/// Amounts are in the buyer's currency, which must be named when it is not the shop's.
fn parse_payouts(order: &Order, input: &Value) -> Result<Vec<Payout>, Refused> {
    let mut payouts = Vec::new();
    let presentment = order.currencies.presentment;
    if presentment != order.currencies.shop && input["currency"] != presentment.code() {
        return Err(Refused(format!("Currency must be the presentment currency {}", presentment.code())));
    }
    let mut left = order.received().presentment - order.refunded().presentment;
    for payout in input["transactions"].as_array().into_iter().flatten() {
        let parent = payout["parentId"].as_str().and_then(|id| parse_gid("OrderTransaction", id));
        let Some(amount) = decimal(&payout["amount"]) else {
            return Err(Refused("Transaction amount is not a number".into()));
        };
        if parent.is_none_or(|id| order.transaction(id).is_none()) {
            return Err(Refused("Transaction parent does not exist".into()));
        }
        left -= amount;
        if left.is_sign_negative() && !left.is_zero() {
            return Err(Refused("Refund amount is greater than what was received".into()));
        }
        let gateway = payout["gateway"].as_str().unwrap_or("bogus").to_owned();
        payouts.push(Payout { parent, gateway, amount: order.currencies.convert_back(amount) });
    }
    Ok(payouts)
}

fn subscribe(state: &mut State, sender: &Sender, field: &Field) -> Result<Value, Failure> {
    let topic = argument(field, "topic")?.as_str().unwrap_or_default().to_owned();
    let input = argument(field, "webhookSubscription")?;
    let uri = input["uri"].as_str().or(input["callbackUrl"].as_str()).unwrap_or_default().to_owned();
    let refusal = |field: &str, message: &str| {
        let error = user_error(&["webhookSubscription", field], message, "INVALID");
        json!({ "webhookSubscription": null, "userErrors": [error] })
    };
    // The vendor takes https only; on loopback there is no certificate.
    if !uri.starts_with("https://") && !uri.starts_with("http://127.0.0.1") && !uri.starts_with("http://localhost") {
        return Ok(refusal("uri", "Address must be a valid https URL"));
    }
    let (id, created_at) = (state.new_id(), state.now());
    let mut known = sender.subscriptions();
    if known.iter().any(|it| it.topic == topic && it.uri == uri) {
        return Ok(refusal("uri", "Address for this topic has already been taken"));
    }
    let made = Subscription {
        id,
        topic,
        uri,
        name: input["name"].as_str().map(str::to_owned),
        filter: input["filter"].as_str().map(str::to_owned),
        include_fields: strings(&input["includeFields"]),
        created_at,
        failures: 0,
    };
    let shown = catalog_nodes::subscription(state, &made);
    known.push(made);
    Ok(json!({ "webhookSubscription": shown, "userErrors": [] }))
}

fn unsubscribe(sender: &Sender, field: &Field) -> Result<Value, Failure> {
    let asked = argument(field, "id")?;
    let id = asked.as_str().and_then(|id| parse_gid("WebhookSubscription", id));
    let mut known = sender.subscriptions();
    let before = known.len();
    known.retain(|it| Some(it.id) != id);
    Ok(if known.len() < before {
        json!({ "deletedWebhookSubscriptionId": asked, "userErrors": [] })
    } else {
        let error = user_error(&["id"], "Webhook subscription does not exist", "NOT_FOUND");
        json!({ "deletedWebhookSubscriptionId": null, "userErrors": [error] })
    })
}
