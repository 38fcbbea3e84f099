//! A dispute: as Klarna tells of it, where it tells all, and as it is read.

use super::{Code, When, order_ref, some};
use serde::Deserialize;
use spindel_model::{Dispute, DisputeState, Money};

/// The same shape in webhooks and in what is read, but that webhooks leave out most of it after the first.
#[derive(Deserialize)]
pub(crate) struct Told {
    pub payment_dispute_id: String,
    order_id: Option<String>,
    payment_transaction_id: Option<String>,
    purchase_reference: Option<String>,
    state: String,
    pub updated_at: When,
    created_at: Option<When>,
    dispute_reason: Option<String>,
    dispute_details: Option<Details>,
    representment: Option<Request>,
    state_context: Option<Context>,
    arbitration_expires_at: Option<When>,
    dispute_outcome: Option<String>,
}

#[derive(Deserialize)]
struct Details {
    dispute_amount: i64,
    currency: Code,
}

#[derive(Deserialize)]
struct Request {
    state: Option<String>,
    expires_at: Option<When>,
}

#[derive(Deserialize)]
struct Context {
    representment: Option<Request>,
    arbitration_expires_at: Option<When>,
    dispute_outcome: Option<String>,
}

impl Told {
    /// The whole dispute; `None` when it must be read for its amount or its reason.
    pub fn whole(&self) -> Option<Dispute> {
        let details = self.dispute_details.as_ref()?;
        // In the shop's words: the order that was placed, and not the krn of its authorisation.
        let payment = some(self.order_id.clone()).or_else(|| some(self.payment_transaction_id.clone()));
        let state = self.state();
        Some(Dispute {
            id: self.payment_dispute_id.clone(),
            order: order_ref(self.purchase_reference.clone(), payment.as_deref()),
            payment,
            amount: Money::from_minor(details.dispute_amount, details.currency.0),
            reason: self.dispute_reason.as_ref()?.to_ascii_lowercase(),
            due_by: self.deadline().filter(|_| state == DisputeState::NeedsResponse).map(|it| it.0),
            state,
            created_at: self.created_at?.0,
            updated_at: self.updated_at.0,
        })
    }

    fn state(&self) -> DisputeState {
        match (self.state.as_str(), self.outcome()) {
            ("CLOSED", Some("WON")) => DisputeState::Won,
            ("CLOSED", Some("LOST")) => DisputeState::Lost,
            ("CLOSED", _) => DisputeState::Closed,
            ("PRE_ARBITRATION", _) => DisputeState::NeedsResponse,
            ("INITIATED", _) if self.is_asked() => DisputeState::NeedsResponse,
            _ => DisputeState::UnderReview,
        }
    }

    fn outcome(&self) -> Option<&str> {
        self.dispute_outcome.as_deref().or_else(|| self.state_context.as_ref()?.dispute_outcome.as_deref())
    }

    fn request(&self) -> Option<&Request> {
        self.representment.as_ref().or_else(|| self.state_context.as_ref()?.representment.as_ref())
    }

    /// Klarna wants to hear the shop.
    fn is_asked(&self) -> bool {
        self.request().is_some_and(|it| it.state.as_deref().is_none_or(|state| state == "EVIDENCE_REQUESTED"))
    }

    fn deadline(&self) -> Option<When> {
        if self.state == "PRE_ARBITRATION" {
            return self.arbitration_expires_at.or_else(|| self.state_context.as_ref()?.arbitration_expires_at);
        }
        self.request()?.expires_at
    }
}
