//! Books money that came in: as a line of a customer payment journal, which people post.

use super::find::{Sale, missing, performed, performed_invoice};
use crate::{
    BusinessCentral, mark,
    wire::{Id, List, Number, quoted, with_query},
};
use serde::Serialize;
use spindel_connect::{Api, Around, CallError};
use spindel_model::{Decimal, OrderRef, Performed, Transaction};

const OPERATION: &str = "record_payment";

impl BusinessCentral {
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
        if transaction.amount.currency != self.currency {
            let problem = format!(
                "the payment is in {}, and lines of a payment journal are in {}: enter it by hand",
                transaction.amount.currency.code(),
                self.currency.code()
            );
            return Err(CallError::data(OPERATION, problem));
        }
        let code = around.maps.require(OPERATION, "payment", &transaction.gateway)?;
        let sale = self.find_sale(api, order, around).await?.ok_or_else(|| missing(order))?;
        let (customer, invoice, done) = match &sale {
            Sale::Open(order) => (payer(&order.customer_id, &order.bill_to_customer_id), None, performed(order)),
            Sale::Invoiced(invoices) => {
                let newest = invoices.first().ok_or_else(|| missing(order))?;
                let open = invoices.iter().find(|it| it.remaining_amount.0 > Decimal::ZERO);
                (payer(&newest.customer_id, &newest.bill_to_customer_id), open, performed_invoice(newest))
            }
        };
        let journal = self.journal(api, &transaction.gateway, code).await?;
        let number = document_number(transaction, around);
        if self.is_recorded(api, &journal, &number).await? {
            return Ok(Performed { unchanged: true, ..done });
        }
        let name = order.number.as_ref().or(order.id.as_ref()).map_or("", String::as_str);
        let payment = NewPayment {
            customer_id: customer,
            posting_date: mark::day(transaction.processed_at),
            document_number: number,
            external_document_number: shortened(format!("{}:{}", transaction.gateway, transaction.id), 35),
            // What a customer pays is credited.
            amount: Number(-transaction.amount.amount),
            applies_to_invoice_number: invoice.map(|it| it.number.as_str()),
            description: shortened(format!("{name} {}", transaction.gateway), 100),
        };
        let path = self.path(&format!("customerPaymentJournals({journal})/customerPayments"));
        api.post(OPERATION, path).json(&payment).fetch::<Id>().await?;
        Ok(done)
    }

    pub(super) async fn recorded_payment(
        &self,
        api: &Api,
        transaction: &Transaction,
        around: &Around<'_>,
    ) -> Result<Option<Performed>, CallError> {
        if !transaction.brings_money() {
            return Ok(Some(Performed::unchanged()));
        }
        let code = around.maps.require(OPERATION, "payment", &transaction.gateway)?;
        let journal = self.journal(api, &transaction.gateway, code).await?;
        let found = self.is_recorded(api, &journal, &document_number(transaction, around)).await?;
        Ok(found.then(Performed::done))
    }

    async fn journal(&self, api: &Api, gateway: &str, code: &str) -> Result<String, CallError> {
        let filter = format!("code eq {}", quoted(&code.to_uppercase()));
        let options = [("$filter", filter.as_str()), ("$top", "1"), ("$select", "id")];
        let path = with_query(self.path("customerPaymentJournals"), &options);
        let found: List<Id> = api.get("find_journal", path).fetch().await?;
        found.value.into_iter().next().map(|it| it.id).ok_or_else(|| {
            let problem =
                format!("[maps.payment] \"{gateway}\": there is no customer payment journal {code} in Business Central");
            CallError::config(OPERATION, problem)
        })
    }

    /// In the journal, or posted already: then its line is gone, and the ledger has it.
    async fn is_recorded(&self, api: &Api, journal: &str, number: &str) -> Result<bool, CallError> {
        let filter = format!("documentNumber eq {}", quoted(number));
        let options = [("$filter", filter.as_str()), ("$top", "1"), ("$select", "id")];
        for set in [&format!("customerPaymentJournals({journal})/customerPayments"), "generalLedgerEntries"] {
            let found: List<Id> = api.get("find_payment", with_query(self.path(set), &options)).fetch().await?;
            if !found.value.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A line of the journal.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewPayment<'a> {
    customer_id: &'a str,
    posting_date: String,
    document_number: String,
    external_document_number: String,
    amount: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    applies_to_invoice_number: Option<&'a str>,
    description: String,
}

/// What a payment is found by again, in the journal and in the ledger.
fn document_number(transaction: &Transaction, around: &Around<'_>) -> String {
    mark::code("SP", around.from, &format!("{}:{}", transaction.gateway, transaction.id))
}

fn shortened(text: String, most: usize) -> String {
    text.chars().take(most).collect()
}

fn payer<'a>(customer: &'a str, bill_to: &'a Option<String>) -> &'a str {
    let bill_to = bill_to.as_deref().filter(|it| it.parse().is_ok_and(|id: uuid::Uuid| !id.is_nil()));
    bill_to.unwrap_or(customer)
}
