//! Books money that came in: on the order's open invoice, or as a payment that waits for one.

use super::{
    find::{performed, unchanged},
    invoice::{currency_id, posted_invoices},
};
use crate::{
    Odoo,
    wire::{self, Move, Number, Payment, SaleOrder},
};
use serde::Serialize;
use serde_json::{Value, json};
use spindel_connect::{Api, Around, CallError};
use spindel_model::{ErrorClass, OrderRef, Performed, Transaction};

const OPERATION: &str = "record_payment";

impl Odoo {
    pub(super) async fn record_payment(
        &self,
        api: &Api,
        order: &OrderRef,
        transaction: &Transaction,
        around: &Around<'_>,
    ) -> Result<Performed, CallError> {
        if !transaction.brings_money() {
            return Ok(Performed::unchanged());
        }
        let journal = around.maps.require(OPERATION, "payment", &transaction.gateway)?;
        let journal = wire::mapped_id(OPERATION, "payment", &transaction.gateway, journal)?;
        let order = self.find_order(api, order, around).await?;
        match find(api, transaction).await? {
            Some(found) if is_booked(&found) => return Ok(unchanged(&order)),
            Some(draft) => post(api, draft.id).await?,
            None => {
                let invoices = posted_invoices(api, &order).await?;
                match invoices.iter().find(|it| !it.amount_residual.0.is_zero()) {
                    Some(invoice) => register(api, &order, invoice, transaction, journal).await?,
                    None => self.pay_in_advance(api, &order, transaction, journal, around).await?,
                }
            }
        }
        Ok(performed(&order))
    }

    pub(super) async fn recorded_payment(&self, api: &Api, transaction: &Transaction) -> Result<Option<Performed>, CallError> {
        if !transaction.brings_money() {
            return Ok(Some(Performed::unchanged()));
        }
        let found = find(api, transaction).await?;
        Ok(found.filter(is_booked).map(|_| Performed::done()))
    }

    /// A payment without an invoice: it stands open on the customer's account until an invoice is reconciled with it.
    async fn pay_in_advance(
        &self,
        api: &Api,
        order: &SaleOrder,
        transaction: &Transaction,
        journal: i64,
        around: &Around<'_>,
    ) -> Result<(), CallError> {
        const FIELDS: [&str; 9] = [
            "id",
            "payment_type",
            "partner_type",
            "partner_id/.id",
            "amount",
            "currency_id/.id",
            "date",
            "journal_id/.id",
            "memo",
        ];
        let names = self.names(around.from);
        let currency = self.currency_of(api, order, transaction).await?;
        let row = vec![
            names.full(&names.payment(&transaction.id)),
            "inbound".into(),
            "customer".into(),
            order.partner_id.0.to_string(),
            transaction.amount.amount.to_string(),
            currency.to_string(),
            wire::day(transaction.processed_at),
            journal.to_string(),
            memo(transaction),
        ];
        let ids = wire::load(api, OPERATION, "account.payment", &FIELDS, &[row]).await?;
        post(api, ids.first().copied().unwrap_or_default()).await
    }

    async fn currency_of(&self, api: &Api, order: &SaleOrder, transaction: &Transaction) -> Result<i64, CallError> {
        let code = transaction.amount.currency.code();
        if order.currency_id.name() == code { Ok(order.currency_id.0) } else { currency_id(api, code).await }
    }
}

/// What a payment is found by again: `vipps:4711`.
fn memo(transaction: &Transaction) -> String {
    format!("{}:{}", transaction.gateway, transaction.id)
}

/// The payment of this transaction. Of another amount it is another shop's with the same number.
async fn find(api: &Api, transaction: &Transaction) -> Result<Option<Payment>, CallError> {
    let domain = json!([["memo", "=", memo(transaction)], ["state", "not in", ["canceled", "rejected"]]]);
    let found: Vec<Payment> =
        wire::search(api, "find_payment", "account.payment", domain, &["state", "amount"], "id asc", 20).await?;
    let same = |it: &Payment| {
        spindel_model::Money::new(it.amount.0, transaction.amount.currency).rounded() == transaction.amount.rounded()
    };
    Ok(found.into_iter().find(same))
}

fn is_booked(payment: &Payment) -> bool {
    payment.state != "draft"
}

async fn post(api: &Api, id: i64) -> Result<(), CallError> {
    wire::act(api, OPERATION, "account.payment", "action_post", &[id]).await
}

/// Odoo's own wizard: creates, posts and reconciles in one transaction. More than is due stays as the customer's credit.
async fn register(
    api: &Api,
    order: &SaleOrder,
    invoice: &Move,
    transaction: &Transaction,
    journal: i64,
) -> Result<(), CallError> {
    const MODEL: &str = "account.payment.register";
    #[derive(Serialize)]
    struct Values {
        journal_id: i64,
        amount: Number,
        #[serde(skip_serializing_if = "Option::is_none")]
        currency_id: Option<i64>,
        payment_date: String,
        communication: String,
    }
    #[derive(Serialize)]
    struct Create {
        vals_list: [Values; 1],
        context: Value,
    }
    let code = transaction.amount.currency.code();
    let other_currency = if order.currency_id.name() == code { None } else { Some(currency_id(api, code).await?) };
    let context = json!({ "active_model": "account.move", "active_ids": [invoice.id] });
    let values = Values {
        journal_id: journal,
        amount: Number(transaction.amount.amount),
        currency_id: other_currency,
        payment_date: wire::day(transaction.processed_at),
        communication: memo(transaction),
    };
    let create = Create { vals_list: [values], context: context.clone() };
    let wizard: Vec<i64> =
        wire::call(api, OPERATION, MODEL, "create", &create).await.map_err(|error| without_journal(error, transaction))?;
    let run = json!({ "ids": wizard, "context": context });
    wire::call::<Value>(api, OPERATION, MODEL, "action_create_payments", &run).await?;
    Ok(())
}

/// Odoo says only that a record does not exist.
fn without_journal(error: CallError, transaction: &Transaction) -> CallError {
    if error.class != ErrorClass::Gone {
        return error;
    }
    CallError::config(OPERATION, format!("[maps.payment] \"{}\": Odoo has no journal with this id", transaction.gateway))
}
