//! The invoices of a sale.

use crate::{
    Tryton,
    records::{Invoice, Sale},
    rpc::Rpc,
};
use spindel_connect::CallError;
use spindel_model::Decimal;

impl Tryton {
    /// The booked invoices of a sale, newest first; a draft among them is posted first.
    pub(super) async fn booked_invoices(
        &self,
        rpc: &Rpc<'_>,
        operation: &'static str,
        sale: &Sale,
    ) -> Result<Vec<Invoice>, CallError> {
        let ids: Vec<i64> = sale.invoices.iter().filter(|it| it.state != "cancelled").map(|it| it.id).collect();
        let mut invoices: Vec<Invoice> = rpc.read(operation, "account.invoice", &ids, Invoice::FIELDS).await?;
        let drafts: Vec<i64> = invoices.iter().filter(|it| it.is_open()).map(|it| it.id).collect();
        if !drafts.is_empty() {
            rpc.press("post_invoice", "account.invoice", "post", &drafts).await?;
            invoices = rpc.read(operation, "account.invoice", &ids, Invoice::FIELDS).await?;
        }
        // Returns of a sale have credit notes, which are negative invoices.
        invoices.retain(|it| it.is_booked() && it.total_amount.0 >= Decimal::ZERO);
        invoices.sort_by_key(|it| std::cmp::Reverse(it.id));
        Ok(invoices)
    }
}

impl Invoice {
    pub(super) fn name(&self) -> String {
        self.number.as_ref().map_or_else(|| format!("invoice {}", self.id), |it| format!("invoice {it}"))
    }
}
