//! Reading back: one movement of an order, a dispute, a payout.

use crate::{
    Klarna,
    wire::{self, dispute, order, payout},
};
use spindel_connect::{Api, CallError, Read};
use spindel_model::{Dispute, OrderRef, Payout, Transaction};

const READ_TRANSACTION: &str = "read_transaction";
const READ_DISPUTE: &str = "read_dispute";
const READ_PAYOUT: &str = "read_payout";

/// Rows of a payout in one answer: Klarna gives no more.
const ROWS: usize = 500;
/// 50 000 rows; a payout that has more is not read in halves.
const MOST_PAGES: usize = 100;

impl Read<(OrderRef, Transaction)> for Klarna {
    /// `ORDER` is the authorisation, `ORDER/captures/CAPTURE` and `ORDER/refunds/REFUND` what came of it.
    async fn read(&self, api: &Api, id: &str) -> Result<Option<(OrderRef, Transaction)>, CallError> {
        let Some((order_id, which)) = order::movement(id).filter(|(order_id, _)| wire::is_id(order_id)) else {
            return Ok(None);
        };
        let found = api.get(READ_TRANSACTION, wire::order_path(order_id)).find::<order::Order>().await?;
        Ok(found.and_then(|order| Some((order.reference(), order.transaction(which, self.playground)?))))
    }
}

impl Read<Dispute> for Klarna {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Dispute>, CallError> {
        let id = wire::checked(READ_DISPUTE, "a dispute", id)?;
        let Some(key) = &self.api_key else {
            let problem = "`api_key` is missing: disputes are read with an API key of the Klarna Network";
            return Err(CallError::config(READ_DISPUTE, problem));
        };
        let address = format!("{}/v4/payment/disputes/{id}", self.global_url);
        let call = api.get(READ_DISPUTE, address).header("authorization", &format!("Basic {}", key.expose()));
        let Some(told) = call.find::<dispute::Told>().await? else { return Ok(None) };
        let whole = told.whole();
        whole.map(Some).ok_or_else(|| CallError::unexpected(READ_DISPUTE, "the dispute has no amount, reason or date"))
    }
}

impl Read<Payout> for Klarna {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Payout>, CallError> {
        let id = wire::checked(READ_PAYOUT, "a payout", id)?;
        let call = api.get(READ_PAYOUT, format!("/settlements/v1/payouts/{id}"));
        match call.find::<payout::Settled>().await? {
            Some(settled) => with_rows(api, READ_PAYOUT, &settled).await.map(Some),
            None => Ok(None),
        }
    }
}

/// The payout with all its rows.
pub(crate) async fn with_rows(api: &Api, operation: &'static str, settled: &payout::Settled) -> Result<Payout, CallError> {
    let reference = wire::checked(operation, "a payout", &settled.payment_reference)?;
    let mut rows = Vec::new();
    for page in 0..MOST_PAGES {
        let offset = page * ROWS;
        let path = format!("/settlements/v1/transactions?payment_reference={reference}&size={ROWS}&offset={offset}");
        let some = api.get(operation, path).fetch::<payout::Rows>().await?.transactions;
        let last = some.len() < ROWS;
        rows.extend(some);
        if last {
            let payout = settled.payout(&rows);
            return payout.map_err(|error| CallError::unexpected(operation, format!("the rows do not add up: {error}")));
        }
    }
    Err(CallError::data(operation, format!("payout {reference} has more than {} rows", MOST_PAGES * ROWS)))
}
