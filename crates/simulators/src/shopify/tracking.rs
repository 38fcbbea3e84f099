//! Where parcels are: events of fulfilments, told through the API or by hand.

use crate::shopify::{
    document::Field,
    graphql::{Failure, fail},
    mutations::argument,
    nodes,
    order::{Event, Order},
    rest,
    state::{State, parse_gid},
};
use jiff::Timestamp;
use serde_json::{Value, json};

const STATUSES: [&str; 11] = [
    "ATTEMPTED_DELIVERY",
    "CARRIER_PICKED_UP",
    "CONFIRMED",
    "DELAYED",
    "DELIVERED",
    "FAILURE",
    "IN_TRANSIT",
    "LABEL_PRINTED",
    "LABEL_PURCHASED",
    "OUT_FOR_DELIVERY",
    "READY_FOR_PICKUP",
];

/// `fulfillmentEventCreate`; its errors have no code.
pub(crate) fn tell(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let input = argument(field, "fulfillmentEvent")?;
    let Some(status) = STATUSES.into_iter().find(|status| input["status"] == *status) else {
        return fail("INVALID_VARIABLE", "Variable of type FulfillmentEventInput! was provided invalid value for status");
    };
    let now = state.now();
    let happened_at = match &input["happenedAt"] {
        Value::Null => now,
        Value::String(at) => match at.parse::<Timestamp>().ok().and_then(|at| Timestamp::from_second(at.as_second()).ok()) {
            Some(at) => at,
            None => {
                return fail(
                    "INVALID_VARIABLE",
                    "Variable of type FulfillmentEventInput! was provided invalid value for happenedAt",
                );
            }
        },
        _ => {
            return fail("INVALID_VARIABLE", "Variable of type FulfillmentEventInput! was provided invalid value for happenedAt");
        }
    };
    let refused = |part: &str, message: &str| {
        Ok(json!({ "fulfillmentEvent": null, "userErrors": [{ "field": ["fulfillmentEvent", part], "message": message }] }))
    };
    let id = input["fulfillmentId"].as_str().and_then(|id| parse_gid("Fulfillment", id));
    let Some((order, fulfilment)) = id.and_then(|id| state.fulfilment(id)) else {
        return refused("fulfillmentId", "Fulfillment does not exist.");
    };
    let message = input["message"].as_str().map(str::to_owned);
    let event = Event { id: state.new_id(), status: status.to_owned(), message, happened_at, created_at: now };
    let shown = nodes::event(&event);
    if state.add_event(order, fulfilment, event).is_err() {
        return refused("fulfillmentId", "Fulfillment does not exist.");
    }
    Ok(json!({ "fulfillmentEvent": shown, "userErrors": [] }))
}

impl State {
    /// The order of a fulfilment, and its place there.
    fn fulfilment(&self, id: u64) -> Option<(u64, usize)> {
        let place = |order: &Order| order.fulfilments.iter().position(|it| it.id == id);
        self.orders.values().find_map(|order| Some((order.id, place(order)?)))
    }

    fn add_event(&mut self, order: u64, fulfilment: usize, event: Event) -> Result<(), crate::shopify::state::Refused> {
        let now = self.now();
        if let Some(it) = self.orders.get_mut(&order).and_then(|order| order.fulfilments.get_mut(fulfilment)) {
            it.events.push(event);
            it.updated_at = now;
        }
        self.changed(order, |state, order| {
            let told = order.fulfilments.get(fulfilment);
            told.map(|it| ("fulfillments/update", rest::fulfilment(state, order, it))).into_iter().collect()
        })
    }
}
