//! Reads records back as they stand now.

use crate::{
    Stripe,
    request::{list, read},
    wire,
    wire::{BalanceTransaction, Charge, Expandable, PaymentIntent},
};
use spindel_connect::{Api, CallError, Read};
use spindel_model::{Dispute, OrderRef, Payout, PayoutLine, Refund, Transaction, TransactionKind};

const TRANSACTION: &str = "read_transaction";
const REFUND: &str = "read_refund";
const DISPUTE: &str = "read_dispute";
const PAYOUT: &str = "read_payout";
/// Of 100 lines each.
const MOST_PAGES: usize = 100;

type Movement = (OrderRef, Transaction);

impl Read<Movement> for Stripe {
    /// By the id of the movement: `pi_…`, `ch_…` or `re_…`.
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Movement>, CallError> {
        if id.starts_with("re_") || id.starts_with("pyr_") {
            return self.refund_movement(api, id).await;
        }
        if id.starts_with("pi_") {
            let expand = ["latest_charge.balance_transaction"];
            let payment: Option<PaymentIntent> = read(api, TRANSACTION, "/v1/payment_intents", id, &expand).await?;
            return Ok(payment.and_then(|it| {
                let transaction = it.authorization_now().or_else(|| it.outcome_now())?;
                Some((self.keys.order(it.metadata.as_ref()), transaction))
            }));
        }
        let expand = ["payment_intent.latest_charge.balance_transaction", "balance_transaction"];
        let charge: Option<Charge> = read(api, TRANSACTION, "/v1/charges", id, &expand).await?;
        Ok(charge.and_then(|it| self.charge_movement(&it)))
    }
}

impl Stripe {
    fn charge_movement(&self, charge: &Charge) -> Option<Movement> {
        let payment = charge.payment_intent.as_ref().and_then(Expandable::object);
        let Some(payment) = payment else {
            return Some((self.keys.order(charge.metadata.as_ref()), charge.movement_now()?));
        };
        let transaction = payment.outcome_now().filter(|it| it.id == charge.id).or_else(|| {
            // An attempt that failed is followed by another charge of the same payment.
            let kind = if payment.is_manual() { TransactionKind::Authorization } else { TransactionKind::Sale };
            Some(Transaction { kind, ..charge.movement_now()? })
        })?;
        Some((self.keys.order(payment.metadata.as_ref()), transaction))
    }

    async fn refund_movement(&self, api: &Api, id: &str) -> Result<Option<Movement>, CallError> {
        let refund: Option<wire::Refund> = read(api, TRANSACTION, "/v1/refunds", id, &["payment_intent"]).await?;
        Ok(refund.map(|it| (it.order(&self.keys), it.transaction(it.created.0, self.is_live(&it)))))
    }

    /// A refund does not say; its payment does, else the key.
    fn is_live(&self, refund: &wire::Refund) -> bool {
        refund.livemode().or(self.live).unwrap_or(true)
    }

    async fn lines(&self, api: &Api, payout: &str) -> Result<Vec<PayoutLine>, CallError> {
        let query = [("payout", payout), ("expand[]", "data.source")];
        let all = list(api, PAYOUT, "/v1/balance_transactions", &query, MOST_PAGES, |it: &BalanceTransaction| &it.id).await?;
        Ok(all.iter().filter_map(|it| it.line(&self.keys, payout)).collect())
    }
}

impl Read<Refund> for Stripe {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Refund>, CallError> {
        let refund: Option<wire::Refund> = read(api, REFUND, "/v1/refunds", id, &["payment_intent"]).await?;
        Ok(refund.map(|it| it.canonical(&self.keys, self.is_live(&it))))
    }
}

impl Read<Dispute> for Stripe {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Dispute>, CallError> {
        let dispute: Option<wire::Dispute> = read(api, DISPUTE, "/v1/disputes", id, &["payment_intent"]).await?;
        Ok(dispute.map(|it| it.canonical(&self.keys, it.last_moved_at())))
    }
}

impl Read<Payout> for Stripe {
    async fn read(&self, api: &Api, id: &str) -> Result<Option<Payout>, CallError> {
        let payout: Option<wire::Payout> = read(api, PAYOUT, "/v1/payouts", id, &[]).await?;
        let Some(payout) = payout else { return Ok(None) };
        let lines = if payout.is_itemised() { self.lines(api, &payout.id).await? } else { Vec::new() };
        Ok(Some(payout.canonical(payout.stands_since(), lines)))
    }
}
