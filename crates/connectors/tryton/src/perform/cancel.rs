//! Cancels a sale. One that is processed cannot be cancelled in Tryton: what is open of it is, and its sale is closed without.

use super::find::{performed, unchanged};
use crate::{
    Tryton,
    records::{InState, Sale},
    rpc::Rpc,
};
use serde_json::{Value, json};
use spindel_connect::CallError;
use spindel_model::Performed;

const OPERATION: &str = "cancel_order";

impl Tryton {
    pub(super) async fn cancel(&self, rpc: &Rpc<'_>, sale: Sale) -> Result<Performed, CallError> {
        if sale.is_cancelled() {
            return Ok(unchanged(&sale));
        }
        if !sale.is_processed() {
            if sale.state == "confirmed" {
                rpc.press("reopen_order", "sale.sale", "draft", &[sale.id]).await?;
            }
            rpc.press(OPERATION, "sale.sale", "cancel", &[sale.id]).await?;
            return Ok(performed(&sale));
        }
        let shipments = among(&sale.shipments, &["draft", "waiting", "assigned", "picked", "packed"]);
        let invoices = among(&sale.invoices, &["draft", "validated"]);
        let is_exception = |sale: &Sale| sale.shipment_state == "exception" || sale.invoice_state == "exception";
        if shipments.is_empty() && invoices.is_empty() && !is_exception(&sale) {
            return Ok(unchanged(&sale));
        }
        if !shipments.is_empty() {
            rpc.press("cancel_shipments", "stock.shipment.out", "cancel", &shipments).await?;
        }
        if !invoices.is_empty() {
            rpc.press("cancel_invoices", "account.invoice", "cancel", &invoices).await?;
        }
        let now = self.sale(rpc, OPERATION, sale.id).await?;
        if now.shipment_state == "exception" {
            ignore(rpc, sale.id, "sale.handle.shipment.exception", "moves").await?;
        }
        if now.invoice_state == "exception" {
            ignore(rpc, sale.id, "sale.handle.invoice.exception", "invoices").await?;
        }
        Ok(performed(&sale))
    }
}

fn among(records: &[InState], states: &[&str]) -> Vec<i64> {
    records.iter().filter(|it| states.contains(&it.state.as_str())).map(|it| it.id).collect()
}

/// What was cancelled is not to be made anew.
async fn ignore(rpc: &Rpc<'_>, sale: i64, wizard: &'static str, what: &str) -> Result<(), CallError> {
    let wizard = rpc.wizard("close_order", wizard, "sale.sale", sale).await?;
    let form = wizard.step(json!({}), "ask").await?.form().unwrap_or_default();
    let all = form.get(&format!("domain_{what}")).cloned().unwrap_or_else(|| json!([]));
    let mut answers = serde_json::Map::new();
    answers.insert(format!("domain_{what}"), all.clone());
    answers.insert(format!("ignore_{what}"), all);
    answers.insert(format!("recreate_{what}"), json!([]));
    wizard.step(json!({ "ask": Value::Object(answers) }), "handle").await?;
    wizard.close().await;
    Ok(())
}
