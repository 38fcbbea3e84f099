//! Payments that the shop does not see itself: recorded through the API, or by hand.

use crate::shopify::{
    document::Field,
    graphql::{Failure, fail},
    idempotency::user_error,
    mutations::{argument, decimal, order_id},
    nodes,
    order::Transaction,
    rest,
    state::State,
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Which argument is wrong, why, and the code of that.
pub(crate) struct Misfit(&'static str, &'static str, &'static str);

/// `orderCreateManualPayment`
pub(crate) fn record(state: &mut State, field: &Field) -> Result<Value, Failure> {
    let id = order_id(argument(field, "id")?);
    let given = |name: &str| field.arguments.get(name).filter(|value| !value.is_null());
    let at = match given("processedAt").map(|at| at.as_str().map(str::parse::<Timestamp>)) {
        None => None,
        Some(Some(Ok(at))) => Some(at),
        Some(_) => return fail("INVALID_VARIABLE", "Variable of type DateTime was provided invalid value"),
    };
    let method = given("paymentMethodName").and_then(Value::as_str).unwrap_or("Other").to_owned();
    Ok(match state.pay(id, given("amount"), method, at) {
        Ok(order) => json!({ "order": nodes::order(state, &state.orders[&order]), "userErrors": [] }),
        Err(Misfit(argument, message, code)) => json!({ "order": null, "userErrors": [user_error(&[argument], message, code)] }),
    })
}

impl State {
    /// Books a payment of `amount` (`MoneyInput`), or of all that is outstanding.
    pub(crate) fn pay(
        &mut self,
        id: Option<u64>,
        amount: Option<&Value>,
        method: String,
        at: Option<Timestamp>,
    ) -> Result<u64, Misfit> {
        let (transaction, now) = (self.new_id(), self.now());
        if at.is_some_and(|at| at > self.options.clock.now()) {
            return Err(Misfit("processedAt", "Processed at cannot be in the future", "PROCESSED_AT_INVALID"));
        }
        let Some(order) = id.and_then(|id| self.orders.get_mut(&id)) else {
            return Err(Misfit("id", "Order does not exist", "ORDER_NOT_FOUND"));
        };
        let outstanding = order.outstanding();
        let wanted = match amount {
            None => outstanding.presentment,
            Some(amount) if amount["currencyCode"] != order.currencies.presentment.code() => {
                let message = "Currency must match the presentment currency of the order";
                return Err(Misfit("amount", message, "CURRENCY_MISMATCH"));
            }
            Some(amount) => decimal(&amount["amount"]).unwrap_or_default(),
        };
        if wanted > outstanding.presentment {
            return Err(Misfit("amount", "Amount exceeds the remaining balance", "AMOUNT_EXCEEDS_BALANCE"));
        }
        if wanted.is_zero() || wanted.is_sign_negative() {
            return Err(Misfit("amount", "Amount must be positive", "AMOUNT_NOT_POSITIVE"));
        }
        let payments = order.transactions.iter().filter(|it| it.parent_id.is_none()).count();
        let promised = order.transactions.iter().find(|it| it.status == "pending");
        let paid = Transaction {
            id: transaction,
            parent_id: promised.map(|it| it.id),
            kind: "sale",
            status: "success",
            gateway: method,
            payment_id: promised.map_or_else(|| format!("{}.{}", order.name(), payments + 1), |it| it.payment_id.clone()),
            amount: if wanted == outstanding.presentment { outstanding } else { order.currencies.convert_back(wanted) },
            processed_at: at.unwrap_or(now),
        };
        order.transactions.push(paid);
        let id = order.id;
        let done = self.changed(id, |state, order| {
            let paid =
                order.transaction(transaction).map(|it| ("order_transactions/create", rest::transaction(state, order, it)));
            let all = order.outstanding().is_zero().then(|| ("orders/paid", rest::order(state, order)));
            paid.into_iter().chain(all).collect()
        });
        done.map(|()| id).map_err(|_| Misfit("id", "Order does not exist", "ORDER_NOT_FOUND"))
    }
}

impl From<Misfit> for crate::shopify::state::Refused {
    fn from(it: Misfit) -> Self {
        Self(format!("{} ({})", it.1, it.2))
    }
}
