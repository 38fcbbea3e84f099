//! Publishing a change: topic and source are its routing key, the id of the delivery its message id.

use crate::Amqp;
use spindel_connect::{Api, Ask, CallError, Envelope, Perform, Repeat};
use spindel_model::{Performed, SendChange};

const OPERATION: &str = "send_change";

impl Perform<SendChange> for Amqp {
    /// Consumers know a repetition by its message id.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, SendChange>) -> Result<Performed, CallError> {
        let change = &ask.verb.change;
        let routing_key = format!("{}.{}", change.topic, ask.from);
        let id = format!("msg_{}", ask.key.simple());
        let call = api.post(OPERATION, format!("/{routing_key}")).header("message-id", &id);
        call.json(&Envelope::of(change)).send().await?;
        Ok(Performed::done())
    }
}
