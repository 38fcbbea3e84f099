//! `record_payment`: what was paid elsewhere is marked as paid in the shop.

use crate::{
    Shopify,
    graphql::{ORDER_TO_PAY, RECORD_PAYMENT, UserError, refused},
    perform::{at_order, order_gone, unchanged_at},
    wire::Id,
};
use serde::Deserialize;
use serde_json::json;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Currency, Decimal, Performed, RecordPayment, Timestamp, Transaction};

const OPERATION: &str = RECORD_PAYMENT.name;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    id: Id,
    name: String,
    total_outstanding_set: Bag,
    transactions: Vec<Paid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bag {
    presentment_money: Amount,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Amount {
    amount: Decimal,
    currency_code: Currency,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paid {
    kind: String,
    status: String,
    processed_at: Option<Timestamp>,
    amount_set: Bag,
}

impl Perform<RecordPayment> for Shopify {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordPayment>) -> Result<Performed, CallError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Recorded {
            order_create_manual_payment: Outcome,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Outcome {
            user_errors: Vec<UserError>,
        }
        let payment = &ask.verb.transaction;
        if !payment.brings_money() {
            return Ok(Performed::unchanged());
        }
        let order = self.order_to_pay(api, &ask).await?;
        let outstanding = &order.total_outstanding_set.presentment_money;
        if order.has(payment) || outstanding.amount <= Decimal::ZERO {
            return Ok(unchanged_at(&order.id, &order.name));
        }
        if outstanding.currency_code != payment.amount.currency {
            let (paid, owed) = (payment.amount.currency.code(), outstanding.currency_code.code());
            return Err(CallError::data(OPERATION, format!("order {} is owed in {owed}, and was paid in {paid}", order.name)));
        }
        let variables = json!({
            "id": format!("gid://shopify/Order/{}", order.id.0),
            "amount": { "amount": payment.amount.amount.to_string(), "currencyCode": payment.amount.currency.code() },
            "method": payment.gateway,
            "at": payment.processed_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        let Recorded { order_create_manual_payment: outcome } = self.ask(api, RECORD_PAYMENT, variables).await?;
        refused(OPERATION, &outcome.user_errors)?;
        Ok(at_order(&order.id, &order.name))
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, RecordPayment>) -> Result<Option<Performed>, CallError> {
        let order = self.order_to_pay(api, &ask).await?;
        Ok(order.has(&ask.verb.transaction).then(|| at_order(&order.id, &order.name)))
    }
}

impl Shopify {
    async fn order_to_pay(&self, api: &Api, ask: &Ask<'_, RecordPayment>) -> Result<Order, CallError> {
        #[derive(Deserialize)]
        struct Found {
            order: Option<Order>,
        }
        let id = self.order_id(api, OPERATION, &ask.around, &ask.verb.order).await?;
        let found: Found = self.ask(api, ORDER_TO_PAY, json!({ "id": id })).await?;
        found.order.ok_or_else(|| order_gone(OPERATION))
    }
}

impl Order {
    /// Whether this very payment is there: of this amount, at this second.
    fn has(&self, payment: &Transaction) -> bool {
        let at = payment.processed_at.as_second();
        self.transactions.iter().any(|it| {
            let money = &it.amount_set.presentment_money;
            matches!(it.kind.as_str(), "SALE" | "CAPTURE")
                && it.status == "SUCCESS"
                && it.processed_at.is_some_and(|it| it.as_second() == at)
                && (money.amount, money.currency_code) == (payment.amount.amount, payment.amount.currency)
        })
    }
}
