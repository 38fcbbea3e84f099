//! Books money that came in, on the sale's open invoice: with Tryton's own wizard, which books and reconciles at once.

use super::{
    find::{performed, unchanged},
    mark,
};
use crate::{
    Tryton,
    records::{Id, Invoice, Sale},
    rpc::Rpc,
    wire,
};
use serde_json::{Value, json};
use spindel_connect::{Around, CallError};
use spindel_model::{OrderRef, Performed, Transaction};

const OPERATION: &str = "record_payment";

impl Tryton {
    pub(super) async fn record_payment(
        &self,
        rpc: &Rpc<'_>,
        order: &OrderRef,
        transaction: &Transaction,
        around: &Around<'_>,
    ) -> Result<Performed, CallError> {
        if !transaction.brings_money() {
            return Ok(Performed::unchanged());
        }
        let method = around.maps.require(OPERATION, "payment", &transaction.gateway)?;
        let method = wire::mapped_id(OPERATION, "payment", &transaction.gateway, method)?;
        let sale = self.find_sale(rpc, order, around).await?;
        let memo = mark::payment(around.from, &transaction.gateway, &transaction.id);
        if is_booked(rpc, &memo).await? {
            return Ok(unchanged(&sale));
        }
        let invoices = self.booked_invoices(rpc, OPERATION, &sale).await?;
        let Some(invoice) = invoices.iter().find(|it| !it.amount_to_pay.0.is_zero()) else {
            return Err(nothing_to_pay(&sale, &invoices));
        };
        pay(rpc, invoice, transaction, method, &memo).await?;
        Ok(performed(&sale))
    }

    pub(super) async fn recorded_payment(
        &self,
        rpc: &Rpc<'_>,
        transaction: &Transaction,
        around: &Around<'_>,
    ) -> Result<Option<Performed>, CallError> {
        if !transaction.brings_money() {
            return Ok(Some(Performed::unchanged()));
        }
        let memo = mark::payment(around.from, &transaction.gateway, &transaction.id);
        Ok(is_booked(rpc, &memo).await?.then(Performed::done))
    }
}

async fn is_booked(rpc: &Rpc<'_>, memo: &str) -> Result<bool, CallError> {
    let domain = json!([["description", "=", memo]]);
    let found: Vec<Id> = rpc.search("find_payment", "account.move", domain, &["id"], 1).await?;
    Ok(!found.is_empty())
}

fn nothing_to_pay(sale: &Sale, invoices: &[Invoice]) -> CallError {
    if let Some(invoice) = invoices.first() {
        let problem = format!("{} of {} is paid already: book what came in by hand", invoice.name(), sale.name());
        return CallError::data(OPERATION, problem);
    }
    match sale.state.as_str() {
        "cancelled" => CallError::data(OPERATION, format!("{} is cancelled in Tryton: book what came in by hand", sale.name())),
        state => CallError::missing_dependency(
            OPERATION,
            format!("{} has no invoice yet to pay (it is in the state `{state}`)", sale.name()),
        ),
    }
}

async fn pay(rpc: &Rpc<'_>, invoice: &Invoice, transaction: &Transaction, method: i64, memo: &str) -> Result<(), CallError> {
    let amount = transaction.amount;
    if invoice.currency.code != amount.currency.code() {
        let problem = format!("{amount} was paid, {} is in {}: check `book_in`", invoice.name(), invoice.currency.code);
        return Err(CallError::config(OPERATION, problem));
    }
    let wizard = rpc.wizard(OPERATION, "account.invoice.pay", "account.invoice", invoice.id).await?;
    let start = json!({
        "payee": invoice.party, "amount": wire::decimal(amount.amount), "currency": invoice.currency.id,
        "invoice_account": invoice.account, "payment_method": method,
        "date": wire::day(transaction.processed_at), "description": memo,
    });
    // Less or more than is due: Tryton asks what the difference is, and proposes a part, or credit of the customer.
    if let Some(form) = wizard.step(json!({ "start": start }), "choice").await?.form() {
        wizard.step(json!({ "ask": Value::Object(form) }), "pay").await?;
    }
    wizard.close().await;
    Ok(())
}
