//! Quantities, a hundred in one call.

use crate::{account::Acme, wire};
use spindel_connect::{Api, Ask, CallError, PerformBatch, Repeat};
use spindel_model::{Performed, SetStock};

const SET_STOCK: &str = "set_stock";

impl PerformBatch<SetStock> for Acme {
    /// The quantity is set, not added.
    const REPEAT: Repeat = Repeat::Harmless;
    const MAX: usize = 100;

    async fn perform_batch(&self, api: &Api, asks: &[Ask<'_, SetStock>]) -> Vec<Result<Performed, CallError>> {
        let rows: Result<Vec<_>, CallError> = asks.iter().map(row).collect();
        let saved = match rows {
            Ok(rows) => api.post(SET_STOCK, "/stock").json(&rows).fetch::<Vec<wire::QuantitySaved>>().await,
            Err(error) => Err(error),
        };
        match saved {
            Ok(saved) if saved.len() == asks.len() => saved.into_iter().map(outcome).collect(),
            Ok(_) => vec![Err(CallError::unexpected(SET_STOCK, "not one row came back for each that was sent")); asks.len()],
            Err(error) => vec![Err(error); asks.len()],
        }
    }
}

fn row<'a>(ask: &'a Ask<'_, SetStock>) -> Result<wire::Quantity<'a>, CallError> {
    let stock = &ask.verb.stock;
    let location = ask.around.maps.translate(SET_STOCK, "location", &stock.location)?;
    let (Some(sku), Some(quantity)) = (&stock.sku, stock.available) else {
        return Err(CallError::data(SET_STOCK, "the stock level has no SKU or no quantity"));
    };
    Ok(wire::Quantity { sku, location, quantity: quantity.to_string() })
}

fn outcome(row: wire::QuantitySaved) -> Result<Performed, CallError> {
    match row.problem {
        None => Ok(Performed::done()),
        Some(problem) => Err(CallError::data(SET_STOCK, format!("Acme refuses the quantity: {problem}"))),
    }
}
