//! An order as a deal: found by its key, with the amount and the stage that the order is in.

use crate::{
    CRM, FIRST_PIPELINE, Hubspot,
    contact::only,
    wire::{Batch, Inputs, Properties, Upsert},
};
use serde_json::json;
use spindel_connect::{Api, Around, CallError};
use spindel_model::{FulfilmentState, Order, PaymentState};

const UPSERT: &str = "upsert_deal";
const STAGES: &str = "deal_stage";

impl Hubspot {
    pub(crate) async fn upsert_deal(&self, api: &Api, order: &Order, around: &Around<'_>) -> Result<String, CallError> {
        let key = format!("{}:{}", around.from, order.id);
        let properties = self.deal(order, around)?;
        let inputs = vec![Upsert { id: &key, id_property: &self.deal_key, properties: &properties }];
        let batch: Batch = api.post(UPSERT, format!("{CRM}/deals/batch/upsert")).json(&Inputs { inputs }).fetch().await?;
        only(UPSERT, batch)
    }

    fn deal(&self, order: &Order, around: &Around<'_>) -> Result<Properties, CallError> {
        let total = order.totals.grand.get(self.book_in);
        let mut properties = Properties::new();
        let mut set = |name: &str, value: String| properties.insert(name.to_owned(), json!(value));
        set("dealname", format!("Order {}", order.number));
        set("amount", total.amount.to_string());
        set("deal_currency_code", total.currency.code().to_owned());
        set("closedate", order.placed_at.as_millisecond().to_string());
        set("pipeline", self.pipeline.clone());
        set("dealstage", self.stage(order, around)?);
        Ok(properties)
    }

    /// Stages have ids of their own in every pipeline but the first.
    fn stage(&self, order: &Order, around: &Around<'_>) -> Result<String, CallError> {
        let state = state(order);
        let mapped = around.maps.find(STAGES, state);
        // Who has no stage for what is sent has one for what is paid.
        let mapped = mapped.or_else(|| around.maps.find(STAGES, "paid").filter(|_| state == "fulfilled"));
        match (mapped, self.pipeline.as_str()) {
            (Some(stage), _) => Ok(stage.to_owned()),
            (None, FIRST_PIPELINE) => Ok(first_pipelines(state).to_owned()),
            (None, _) => around.maps.require(UPSERT, STAGES, state).map(str::to_owned),
        }
    }
}

/// The key of `[maps.deal_stage]`.
fn state(order: &Order) -> &'static str {
    if order.cancelled_at.is_some() {
        return "cancelled";
    }
    match order.payment_state {
        PaymentState::Paid if order.fulfilment_state == FulfilmentState::Fulfilled => "fulfilled",
        PaymentState::Pending => "pending",
        PaymentState::Authorized => "authorized",
        PaymentState::PartiallyPaid => "partially_paid",
        PaymentState::Paid => "paid",
        PaymentState::PartiallyRefunded => "partially_refunded",
        PaymentState::Refunded => "refunded",
        PaymentState::Voided => "voided",
        PaymentState::Expired => "expired",
    }
}

/// The stages that an account begins with.
fn first_pipelines(state: &str) -> &'static str {
    match state {
        "pending" | "partially_paid" => "contractsent",
        "cancelled" | "refunded" | "voided" | "expired" => "closedlost",
        _ => "closedwon",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tests::connect;
    use serde_json::Value;
    use spindel_connect::Maps;
    use spindel_model::Timestamp;

    fn order(extra: Value) -> Order {
        let money = |amount: &str, currency: &str| json!({ "amount": amount, "currency": currency });
        let bag = |amount: &str| json!({ "shop": money(amount, "NOK"), "presentment": money("41.20", "EUR") });
        let mut order = json!({
            "id": "411", "number": "#411", "placed_at": "2026-11-20T09:00:00Z", "updated_at": "2026-11-20T09:00:00Z",
            "payment_state": "paid", "fulfilment_state": "unfulfilled", "currency": "NOK", "presentment_currency": "EUR",
            "prices_include_tax": true, "lines": [],
            "totals": {
                "subtotal": bag("447.00"), "discount": bag("0"), "shipping": bag("0"), "tax": bag("0"), "rounding": bag("447.00"),
                "grand": bag("447.00"), "refunded": bag("0"),
            },
        });
        for (key, value) in extra.as_object().unwrap() {
            order[key] = value.clone();
        }
        serde_json::from_value(order).unwrap()
    }

    fn deal(settings: Value, order: &Order, maps: &Maps) -> Result<Properties, CallError> {
        let mut all = json!({ "access_token": "t" });
        for (key, value) in settings.as_object().unwrap() {
            all[key] = value.clone();
        }
        let around = Around { from: "shop", key: Default::default(), known: None, maps, attempt: 1, now: Timestamp::UNIX_EPOCH };
        connect(all).unwrap().0.deal(order, &around)
    }

    #[test]
    fn the_amount_is_exact_text_in_the_currency_that_the_settings_say() {
        for (book_in, amount, currency) in [("shop", "447.00", "NOK"), ("presentment", "41.20", "EUR")] {
            let deal = deal(json!({ "book_in": book_in }), &order(json!({})), &Maps::default()).unwrap();
            assert_eq!((&deal["amount"], &deal["deal_currency_code"]), (&json!(amount), &json!(currency)));
        }
    }

    #[test]
    fn every_currency_keeps_its_digits() {
        for (currency, amount) in
            [("NOK", "447.00"), ("SEK", "0.01"), ("DKK", "447.05"), ("EUR", "1234567.89"), ("JPY", "447"), ("KWD", "1.234")]
        {
            let mut it = order(json!({}));
            it.totals.grand.shop = serde_json::from_value(json!({ "amount": amount, "currency": currency })).unwrap();
            let deal = deal(json!({}), &it, &Maps::default()).unwrap();
            assert_eq!((&deal["amount"], &deal["deal_currency_code"]), (&json!(amount), &json!(currency)));
        }
    }

    #[test]
    fn the_stage_follows_the_order() {
        let none = Maps::default();
        let stage = |extra: Value, maps: &Maps| deal(json!({}), &order(extra), maps).unwrap()["dealstage"].clone();
        assert_eq!(stage(json!({}), &none), "closedwon");
        assert_eq!(stage(json!({ "payment_state": "pending" }), &none), "contractsent");
        assert_eq!(stage(json!({ "cancelled_at": "2026-11-20T09:00:00Z" }), &none), "closedlost");
        let maps: Maps = serde_json::from_value(json!({ "deal_stage": { "paid": "77" } })).unwrap();
        assert_eq!(stage(json!({ "fulfilment_state": "fulfilled" }), &maps), "77");
    }

    #[test]
    fn a_pipeline_of_ones_own_needs_its_stages() {
        let error = deal(json!({ "pipeline": "8812" }), &order(json!({})), &Maps::default()).unwrap_err();
        assert!(error.message.contains("`paid` is not in [maps.deal_stage]"), "{error}");
    }
}
