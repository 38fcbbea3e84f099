//! Cancels an order. Business Central knows no cancelled sales orders: it is deleted, and archived where that is set up.

use super::find::{Sale, missing, performed};
use crate::{
    BusinessCentral,
    wire::{Line, SalesOrder},
};
use spindel_connect::{Api, Around, CallError};
use spindel_model::{ErrorClass, OrderRef, Performed};

const OPERATION: &str = "cancel_order";

impl BusinessCentral {
    pub(super) async fn cancel_order(&self, api: &Api, order: &OrderRef, around: &Around<'_>) -> Result<Performed, CallError> {
        match self.find_sale(api, order, around).await? {
            Some(Sale::Open(found)) => self.delete_open(api, &found).await,
            Some(Sale::Invoiced(invoices)) => {
                let numbers: Vec<&str> = invoices.iter().map(|it| it.number.as_str()).collect();
                let problem = format!("the order is invoiced already ({}): credit it instead", numbers.join(", "));
                Err(CallError::data(OPERATION, problem))
            }
            // It was there, and is deleted.
            None if around.known.is_some() => Ok(Performed::unchanged()),
            None => Err(missing(order)),
        }
    }

    pub(super) async fn delete_open(&self, api: &Api, order: &SalesOrder) -> Result<Performed, CallError> {
        if !order.sales_order_lines.iter().any(|it| Line::mark(it).is_some()) {
            let problem =
                format!("{} has the order's number and was entered by people: delete it in Business Central", order.number);
            return Err(CallError::data(OPERATION, problem));
        }
        let moved =
            order.sales_order_lines.iter().any(|it| !it.shipped_quantity.0.is_zero() || !it.invoiced_quantity.0.is_zero());
        if moved {
            let problem = format!("parts of {} are shipped or invoiced already: finish it in Business Central", order.number);
            return Err(CallError::data(OPERATION, problem));
        }
        match self.delete_order(api, order).await {
            Err(error) if error.class != ErrorClass::Gone => Err(error),
            _ => Ok(performed(order)),
        }
    }
}
