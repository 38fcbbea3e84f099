//! What Tryton can be asked to do: one implementation for each action; the work is in the modules below.

mod cancel;
mod find;
mod invoice;
mod mark;
mod order;
mod party;
mod payment;
mod refund;
mod sheet;

pub(crate) use mark::{order_of, row_of};

use crate::Tryton;
use spindel_connect::{Api, Ask, CallError, Perform, Repeat};
use spindel_model::{CancelOrder, Performed, PushOrder, RecordPayment, RecordRefund, UpsertCustomer};

impl Perform<PushOrder> for Tryton {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, PushOrder>) -> Result<Performed, CallError> {
        self.push_order(&self.rpc(api), &ask.verb.order, &ask.around).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, PushOrder>) -> Result<Option<Performed>, CallError> {
        self.pushed_order(&self.rpc(api), &ask.verb.order, &ask.around).await
    }
}

impl Perform<CancelOrder> for Tryton {
    const REPEAT: Repeat = Repeat::Harmless;

    async fn perform(&self, api: &Api, ask: Ask<'_, CancelOrder>) -> Result<Performed, CallError> {
        let rpc = self.rpc(api);
        let sale = self.find_sale(&rpc, &ask.verb.order, &ask.around).await?;
        self.cancel(&rpc, sale).await
    }
}

impl Perform<RecordPayment> for Tryton {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordPayment>) -> Result<Performed, CallError> {
        self.record_payment(&self.rpc(api), &ask.verb.order, &ask.verb.transaction, &ask.around).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, RecordPayment>) -> Result<Option<Performed>, CallError> {
        self.recorded_payment(&self.rpc(api), &ask.verb.transaction, &ask.around).await
    }
}

impl Perform<RecordRefund> for Tryton {
    const REPEAT: Repeat = Repeat::LookUpFirst;

    async fn perform(&self, api: &Api, ask: Ask<'_, RecordRefund>) -> Result<Performed, CallError> {
        self.record_refund(&self.rpc(api), &ask.verb.refund, &ask.around).await
    }

    async fn look_up(&self, api: &Api, ask: Ask<'_, RecordRefund>) -> Result<Option<Performed>, CallError> {
        self.recorded_refund(&self.rpc(api), &ask.verb.refund, &ask.around).await
    }
}

impl Perform<UpsertCustomer> for Tryton {
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, UpsertCustomer>) -> Result<Performed, CallError> {
        self.upsert_customer(&self.rpc(api), &ask.verb.customer, &ask.around).await
    }
}
