//! `create_fulfilment`: marks goods as sent, with tracking.

use crate::{
    Shopify,
    graphql::{CREATE_FULFILMENT, Nodes, ORDER_TO_FULFIL, UserError, refused},
    perform::{TrackingInfo, at_order, order_gone, unchanged_at},
    wire::Id,
};
use serde::Deserialize;
use serde_json::{Value, json};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{CreateFulfilment, Decimal, Performed, Shipment, ShipmentState};
use std::collections::BTreeMap;

const OPERATION: &str = CREATE_FULFILMENT.name;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    id: Id,
    name: String,
    fulfillments: Vec<Fulfilment>,
    fulfillment_orders: Nodes<Work>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fulfilment {
    status: String,
    tracking_info: Vec<TrackingInfo>,
}

/// What one location is to send: Shopify's fulfilment order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Work {
    id: String,
    status: String,
    assigned_location: Option<Assigned>,
    line_items: Nodes<WorkLine>,
}

#[derive(Deserialize)]
struct Assigned {
    location: Option<Place>,
}

#[derive(Deserialize)]
struct Place {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkLine {
    id: String,
    sku: Option<String>,
    remaining_quantity: i64,
}

impl Perform<CreateFulfilment> for Shopify {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, CreateFulfilment>) -> Result<Performed, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            fulfillment_create: Outcome,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Outcome {
            user_errors: Vec<UserError>,
        }
        let shipment = &ask.verb.shipment;
        // What is booked has its label: the flow decides which of the carrier's words counts as sent.
        if !shipment.state.has_left() && shipment.state != ShipmentState::Booked {
            return Err(CallError::data(OPERATION, "the shipment has not left; only what was sent is marked as fulfilled"));
        }
        let order = self.order_to_fulfil(api, &ask).await?;
        if order.has(shipment) {
            return Ok(unchanged_at(&order.id, &order.name));
        }
        // Shopify wants one fulfilment for each location.
        for lines in order.lines_to_send(shipment)? {
            let fulfilment = json!({
                "lineItemsByFulfillmentOrder": lines,
                "trackingInfo": tracking(shipment),
                "notifyCustomer": ask.verb.notify_customer,
            });
            let created: Created = self.ask(api, CREATE_FULFILMENT, json!({ "fulfillment": fulfilment })).await?;
            refused(OPERATION, &created.fulfillment_create.user_errors)?;
        }
        Ok(at_order(&order.id, &order.name))
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, CreateFulfilment>) -> Result<Option<Performed>, CallError> {
        let order = self.order_to_fulfil(api, &ask).await?;
        Ok(order.has(&ask.verb.shipment).then(|| at_order(&order.id, &order.name)))
    }
}

impl Shopify {
    async fn order_to_fulfil(&self, api: &Api, ask: &Ask<'_, CreateFulfilment>) -> Result<Order, CallError> {
        #[derive(Deserialize)]
        struct Found {
            order: Option<Order>,
        }
        let id = self.order_id(api, OPERATION, &ask.around, &ask.verb.shipment.order).await?;
        let found: Found = self.ask(api, ORDER_TO_FULFIL, json!({ "id": id })).await?;
        found.order.ok_or_else(|| order_gone(OPERATION))
    }
}

impl Order {
    fn open(&self) -> impl Iterator<Item = &Work> {
        self.fulfillment_orders.nodes.iter().filter(|work| matches!(work.status.as_str(), "OPEN" | "IN_PROGRESS"))
    }

    /// Whether the shipment was marked before: by its tracking number, and without one by nothing being left to send.
    /// A shipment of all that is left is marked only once nothing is: it may take one fulfilment for each location.
    fn has(&self, shipment: &Shipment) -> bool {
        let nothing_left = self.open().next().is_none();
        if shipment.tracking.is_empty() {
            return nothing_left;
        }
        let known = |number: &str| {
            self.fulfillments
                .iter()
                .filter(|it| it.status != "CANCELLED")
                .any(|it| it.tracking_info.iter().any(|info| info.number.as_deref() == Some(number)))
        };
        shipment.tracking.iter().all(|it| known(&it.number)) && (nothing_left || !shipment.lines.is_empty())
    }

    /// `lineItemsByFulfillmentOrder` of each location that sends something.
    fn lines_to_send(&self, shipment: &Shipment) -> Result<Vec<Vec<Value>>, CallError> {
        let mut wanted = wanted(shipment)?;
        let mut by_location: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for work in self.open() {
            let location = work.assigned_location.as_ref().and_then(|it| it.location.as_ref());
            let lines = if shipment.lines.is_empty() { None } else { Some(work.take(&mut wanted)) };
            let entry = match lines {
                // Without lines Shopify takes all that is left of it.
                None => json!({ "fulfillmentOrderId": work.id }),
                Some(lines) if lines.is_empty() => continue,
                Some(lines) => json!({ "fulfillmentOrderId": work.id, "fulfillmentOrderLineItems": lines }),
            };
            by_location.entry(location.map_or("", |place| &place.id)).or_default().push(entry);
        }
        if let Some((sku, left)) = wanted.iter().find(|(_, left)| **left > 0) {
            let cut = self.fulfillment_orders.page_info.has_next_page
                || self.open().any(|work| work.line_items.page_info.has_next_page);
            let hint = if cut { "; the order has more open lines than can be read at once" } else { "" };
            return Err(CallError::data(OPERATION, format!("order {} has not {left} more of `{sku}` to send{hint}", self.name)));
        }
        if by_location.is_empty() {
            return Err(CallError::data(OPERATION, format!("order {} has nothing left to send", self.name)));
        }
        Ok(by_location.into_values().collect())
    }
}

impl Work {
    /// Takes what is wanted off the lines that are left.
    fn take(&self, wanted: &mut BTreeMap<String, i64>) -> Vec<Value> {
        let mut taken = Vec::new();
        for line in &self.line_items.nodes {
            let Some(left) = line.sku.as_ref().and_then(|sku| wanted.get_mut(sku)) else { continue };
            let quantity = line.remaining_quantity.min(*left);
            if quantity > 0 {
                *left -= quantity;
                taken.push(json!({ "id": line.id, "quantity": quantity }));
            }
        }
        taken
    }
}

/// Quantities by SKU; a shipment's line ids are the source's and mean nothing here.
fn wanted(shipment: &Shipment) -> Result<BTreeMap<String, i64>, CallError> {
    let mut wanted = BTreeMap::new();
    for line in &shipment.lines {
        let sku = line.sku.clone().ok_or_else(|| CallError::data(OPERATION, "a line of the shipment has no SKU"))?;
        let quantity = Some(line.quantity).filter(Decimal::is_integer).and_then(|it| i64::try_from(it.trunc()).ok());
        let quantity = quantity.filter(|it| *it > 0).ok_or_else(|| {
            CallError::data(OPERATION, format!("`{sku}`: {} is not a quantity that can be sent", line.quantity))
        })?;
        *wanted.entry(sku).or_default() += quantity;
    }
    Ok(wanted)
}

fn tracking(shipment: &Shipment) -> Value {
    if shipment.tracking.is_empty() && shipment.carrier.is_none() {
        return Value::Null;
    }
    let numbers: Vec<&str> = shipment.tracking.iter().map(|it| it.number.as_str()).collect();
    let urls: Vec<&str> = shipment.tracking.iter().filter_map(|it| it.url.as_deref()).collect();
    let mut info = json!({ "company": shipment.carrier });
    match numbers.as_slice() {
        [] => {}
        [number] => info["number"] = json!(number),
        _ => info["numbers"] = json!(numbers),
    }
    match urls.as_slice() {
        [url] if numbers.len() == 1 => info["url"] = json!(url),
        // Shopify pairs the two lists by place.
        _ if urls.len() == numbers.len() && !urls.is_empty() => info["urls"] = json!(urls),
        _ => {}
    }
    info
}
