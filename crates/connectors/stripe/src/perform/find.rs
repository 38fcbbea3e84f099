//! Which payment at Stripe belongs to an order: by its reference, by the link, or by the order's id and number.

use crate::{
    Stripe,
    request::{is_id, path, read},
    wire::{Charge, Expandable, List, PaymentIntent},
};
use spindel_connect::{Api, Around, CallError};
use spindel_model::OrderRef;

impl Stripe {
    /// The payment as it stands now: what a search finds may be older.
    pub(super) async fn payment(
        &self,
        api: &Api,
        operation: &'static str,
        payment: Option<&str>,
        order: &OrderRef,
        around: &Around<'_>,
    ) -> Result<PaymentIntent, CallError> {
        let id = self.payment_id(api, operation, payment, order, around).await?;
        let found = read(api, operation, "/v1/payment_intents", &id, &[]).await?;
        found.ok_or_else(|| CallError::gone(operation, format!("Stripe has no payment `{id}`")))
    }

    pub(super) async fn payment_id(
        &self,
        api: &Api,
        operation: &'static str,
        payment: Option<&str>,
        order: &OrderRef,
        around: &Around<'_>,
    ) -> Result<String, CallError> {
        for id in [payment, around.known].into_iter().flatten().filter(|id| is_id(id)) {
            if id.starts_with("pi_") {
                return Ok(id.to_owned());
            }
            // Some shops keep the charge.
            if id.starts_with("ch_") || id.starts_with("py_") {
                return payment_of_charge(api, operation, id).await;
            }
        }
        self.search(api, operation, order).await
    }

    async fn search(&self, api: &Api, operation: &'static str, order: &OrderRef) -> Result<String, CallError> {
        let Some(query) = self.query(order) else {
            let problem = "the order names no payment of Stripe, and has neither id nor number by which one could be found";
            return Err(CallError::data(operation, problem));
        };
        let address = path("/v1/payment_intents/search", [("query", query.as_str()), ("limit", "100")]);
        let found: List<PaymentIntent> = api.get(operation, address).fetch().await?;
        let (live, rest): (Vec<_>, Vec<_>) = found.data.into_iter().partition(|it| has_money(&it.status));
        let mut candidates = if live.is_empty() { rest } else { live };
        match (candidates.pop(), candidates.len()) {
            (Some(it), 0) => Ok(it.id),
            // A payment can be found some time after it was made only, so it may yet appear.
            (None, _) => Err(CallError::missing_dependency(
                operation,
                format!(
                    "no payment at Stripe has this order in its metadata (`{}` or `{}`): write it there, or give the payment's id",
                    self.keys.id, self.keys.number
                ),
            )),
            (Some(_), more) => Err(CallError::data(
                operation,
                format!("{} payments at Stripe name this order in their metadata: say which is meant", more + 1),
            )),
        }
    }

    /// As the shop wrote the number, and without the sign that people know it by.
    fn query(&self, order: &OrderRef) -> Option<String> {
        let number = order.number.as_deref().map(str::trim);
        let bare = number.map(|it| it.trim_start_matches('#')).filter(|it| Some(*it) != number);
        let keyed = [(&self.keys.id, order.id.as_deref()), (&self.keys.number, number), (&self.keys.number, bare)];
        let clauses: Vec<String> = keyed
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.filter(|it| !it.is_empty())?)))
            .map(|(key, value)| format!("metadata['{key}']:'{}'", quoted(value)))
            .collect();
        (!clauses.is_empty()).then(|| clauses.join(" OR "))
    }

    /// The order as fields of a payment's or refund's metadata.
    pub(super) fn order_fields(&self, order: &OrderRef) -> Vec<(String, String)> {
        let named = [(&self.keys.id, &order.id), (&self.keys.number, &order.number)];
        let given = named.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        given.map(|(key, value)| (format!("metadata[{key}]"), value.clone())).collect()
    }
}

/// A buyer may have begun several; one of them counts.
fn has_money(status: &str) -> bool {
    matches!(status, "requires_capture" | "succeeded" | "processing")
}

fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\'', "\\'")
}

async fn payment_of_charge(api: &Api, operation: &'static str, id: &str) -> Result<String, CallError> {
    let charge: Option<Charge> = read(api, operation, "/v1/charges", id, &[]).await?;
    let charge = charge.ok_or_else(|| CallError::gone(operation, format!("Stripe has no charge `{id}`")))?;
    let payment = charge.payment_intent.as_ref().map(Expandable::id).map(str::to_owned);
    payment.ok_or_else(|| {
        CallError::data(operation, format!("charge `{id}` was made without a payment intent: do it in Stripe's dashboard"))
    })
}
