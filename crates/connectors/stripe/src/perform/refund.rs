//! `refund`: gives back what of a refund has not gone out yet.

use super::KEY;
use crate::{
    Stripe,
    request::list,
    wire::{self, PaymentIntent},
};
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{Decimal, Money, Performed, Refund, RefundOrder};

const REFUND: &str = "refund";
const MOST_PAGES: usize = 10;
/// Key of a refund's metadata that names the delivery it was made by.
const MARK: &str = "spindel";

impl Perform<RefundOrder> for Stripe {
    /// The key goes to Stripe, and into the refund's metadata: it is recognised after Stripe forgot the key, too.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, RefundOrder>) -> Result<Performed, CallError> {
        let refund = &ask.verb.refund;
        if outstanding(refund)?.amount <= Decimal::ZERO {
            return Ok(Performed::unchanged());
        }
        let payment = self.payment(api, REFUND, refund.payment.as_deref(), &refund.order, &ask.around).await?;
        let mark = ask.key.simple().to_string();
        let past: Vec<wire::Refund> =
            list(api, REFUND, "/v1/refunds", &[("payment_intent", &payment.id)], MOST_PAGES, |it: &wire::Refund| &it.id).await?;
        if let Some(made) = past.iter().find(|it| it.metadata.as_ref().and_then(|it| it.get(MARK)) == Some(&mark)) {
            made.check()?;
            return Ok(Performed { unchanged: true, ..Performed::at(payment.id) });
        }
        let minor = payment.to_refund(refund)?;
        let mut fields = vec![
            ("payment_intent".to_owned(), payment.id.clone()),
            ("amount".to_owned(), minor.to_string()),
            (format!("metadata[{MARK}]"), mark),
        ];
        fields.extend(self.order_fields(&refund.order));
        let made: wire::Refund = api.post(REFUND, "/v1/refunds").header(KEY, &ask.key.to_string()).form(fields).fetch().await?;
        made.check()?;
        Ok(Performed::at(payment.id))
    }
}

fn outstanding(refund: &Refund) -> Result<Money, CallError> {
    refund.outstanding().map_err(|error| CallError::data(REFUND, format!("the refund does not add up: {error}")))
}

impl PaymentIntent {
    /// In the buyer's currency as a rule; of a refund in two currencies the one that was paid in counts.
    fn to_refund(&self, refund: &Refund) -> Result<i64, CallError> {
        let left = outstanding(refund)?;
        let shop = refund.total.shop;
        let other_fits = left.currency != self.currency.0 && shop.currency == self.currency.0 && refund.transactions.is_empty();
        self.in_its_currency(REFUND, if other_fits { shop } else { left })
    }
}

impl wire::Refund {
    /// Stripe makes a refund that fails at once, and answers with it.
    fn check(&self) -> Result<(), CallError> {
        if !self.is_failed() {
            return Ok(());
        }
        let reason = self.failure_reason.as_deref().unwrap_or("no reason given");
        Err(CallError::data(
            REFUND,
            format!(
                "refund `{}` failed at Stripe ({reason}): the money is on the shop's balance, give it back another way",
                self.id
            ),
        ))
    }
}
