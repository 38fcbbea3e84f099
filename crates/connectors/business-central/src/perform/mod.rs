//! What Business Central can be asked to do: one implementation for each action; the work is in the modules below.

mod cancel;
mod customer;
mod find;
mod order;
mod payment;
mod refund;
mod sheet;
mod total;

use crate::BusinessCentral;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{CancelOrder, Performed, PushOrder, RecordPayment, RecordRefund, UpsertCustomer};

impl Perform<PushOrder> for BusinessCentral {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, PushOrder>) -> Result<Performed, CallError> {
        self.push_order(api, &ask.verb.order, &ask.around).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, PushOrder>) -> Result<Option<Performed>, CallError> {
        self.pushed_order(api, &ask.verb.order, &ask.around).await
    }
}

impl Perform<CancelOrder> for BusinessCentral {
    /// What is deleted stays so.
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, CancelOrder>) -> Result<Performed, CallError> {
        self.cancel_order(api, &ask.verb.order, &ask.around).await
    }
}

impl Perform<RecordPayment> for BusinessCentral {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordPayment>) -> Result<Performed, CallError> {
        self.record_payment(api, &ask.verb.order, &ask.verb.transaction, &ask.around).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, RecordPayment>) -> Result<Option<Performed>, CallError> {
        self.recorded_payment(api, &ask.verb.transaction, &ask.around).await
    }
}

impl Perform<RecordRefund> for BusinessCentral {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordRefund>) -> Result<Performed, CallError> {
        self.record_refund(api, &ask.verb.refund, &ask.around).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, RecordRefund>) -> Result<Option<Performed>, CallError> {
        self.recorded_refund(api, &ask.verb.refund, &ask.around).await
    }
}

impl Perform<UpsertCustomer> for BusinessCentral {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, UpsertCustomer>) -> Result<Performed, CallError> {
        self.upsert_customer(api, &ask.verb.customer, &ask.around).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, UpsertCustomer>) -> Result<Option<Performed>, CallError> {
        self.upserted_customer(api, &ask.verb.customer, &ask.around).await
    }
}
