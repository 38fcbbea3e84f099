//! Makes the total of a document in Business Central the source's, or says that it cannot be.

use super::{
    find::performed,
    sheet::{no_tax, object},
};
use crate::{
    BusinessCentral,
    mark::{Mark, ROUNDING},
    wire::{NewLine, Number, SalesOrder},
};
use serde::Serialize;
use spindel_connect::{Api, CallError, Maps};
use spindel_model::{Decimal, Money, Performed};

const OPERATION: &str = "push_order";

/// What the total must be.
pub struct Wanted<'a> {
    pub total: Money,
    pub tolerance: Decimal,
    pub maps: &'a Maps,
    /// Digests that a line of this order carries.
    pub order: &'a str,
    pub head: &'a str,
    /// The order was made by this very attempt: it is taken back when the total cannot be reached.
    pub is_new: bool,
}

impl BusinessCentral {
    /// Adds a rounding line where one explains the difference.
    pub(super) async fn settle(&self, api: &Api, order: SalesOrder, wanted: &Wanted<'_>) -> Result<Performed, CallError> {
        let missing = wanted.total.amount - order.total_amount_including_tax.0;
        if missing.is_zero() {
            return Ok(performed(&order));
        }
        if missing.abs() > wanted.tolerance {
            return Err(self.mismatch(api, &order, wanted).await);
        }
        if let Err(error) = self.round(api, &order, missing, wanted).await {
            return Err(self.taken_back(api, &order, wanted, error).await);
        }
        let order = self.read_order(api, &order.id).await?;
        if order.total_amount_including_tax.0 != wanted.total.amount {
            return Err(self.mismatch(api, &order, wanted).await);
        }
        Ok(performed(&order))
    }

    async fn round(&self, api: &Api, order: &SalesOrder, missing: Decimal, wanted: &Wanted<'_>) -> Result<(), CallError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Price {
            unit_price: Number,
        }
        let lines = self.path(&format!("salesOrders({})/salesOrderLines", order.id));
        let is_rounding = |mark: Mark| mark.key == ROUNDING && mark.order == wanted.order;
        if let Some(line) = order.sales_order_lines.iter().find(|it| it.mark().is_some_and(is_rounding)) {
            let price = Price { unit_price: Number(line.unit_price.0 + missing) };
            let path = format!("{lines}({})", line.id);
            // The order was read a moment ago, and any change of it since shows in its total.
            return api.patch("round_order", path).header("if-match", "*").json(&price).send().await.map(drop);
        }
        let object = object(OPERATION, &self.config.rounding, "rounding", "the order needs a rounding line")?;
        let (kind, number) = object.parts();
        let mark = Mark { key: ROUNDING.into(), order: wanted.order.to_owned(), row: "0".into(), head: wanted.head.to_owned() };
        let tax_code = no_tax(wanted.maps);
        let line = NewLine {
            line_type: Some(kind),
            line_object_number: Some(number),
            tax_code: tax_code.as_deref(),
            description: "Rounding",
            description2: mark.to_string(),
            quantity: Number(Decimal::ONE),
            unit_price: Number(missing.normalize()),
            discount_amount: Number(Decimal::ZERO),
        };
        api.post("round_order", lines).json(&line).send().await.map(drop)
    }

    async fn mismatch(&self, api: &Api, order: &SalesOrder, wanted: &Wanted<'_>) -> CallError {
        let theirs = Money::new(order.total_amount_including_tax.0, wanted.total.currency);
        let problem = format!(
            "totals_mismatch: the shop's total is {}, Business Central makes it {theirs} ({}); compare the codes in [maps.tax] with \
             the shop's taxes, and what people changed on the order",
            wanted.total, order.number
        );
        self.taken_back(api, order, wanted, CallError::data(OPERATION, problem)).await
    }

    /// An order that this attempt made, and that is not right, must not be shipped. If it cannot be deleted now, the next attempt
    /// finds it as it is.
    async fn taken_back(&self, api: &Api, order: &SalesOrder, wanted: &Wanted<'_>, error: CallError) -> CallError {
        if !wanted.is_new {
            return error;
        }
        let deleted = match self.read_order(api, &order.id).await {
            Ok(newest) => self.delete_order(api, &newest).await,
            Err(problem) => Err(problem),
        };
        let outcome = if deleted.is_ok() { "it was deleted again" } else { "it could not be deleted: do so by hand" };
        CallError { message: format!("{}; {} was new, {outcome}", error.message, order.number), ..error }
    }
}
