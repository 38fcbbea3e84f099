//! Sending a change, signed by Standard Webhooks 1.0.0 (<https://www.standardwebhooks.com>).

use crate::Webhook;
use http::{HeaderMap, HeaderValue, Method};
use spindel_connect::{Api, Ask, CallError, Envelope, Incoming, Perform, Proof, Repeat};
use spindel_model::{ErrorClass, Performed, SendChange};

const OPERATION: &str = "send_change";

impl Perform<SendChange> for Webhook {
    /// The receiver knows a repetition by its `webhook-id`.
    const REPEAT: Repeat = Repeat::VendorKey;

    async fn perform(&self, api: &Api, ask: Ask<'_, SendChange>) -> Result<Performed, CallError> {
        let Some(sender) = &self.sender else {
            return Err(CallError::config(OPERATION, "this connection has no `url` to send to"));
        };
        let body = serde_json::to_vec(&Envelope::of(&ask.verb.change));
        let body = body.map_err(|error| CallError::data(OPERATION, format!("the change cannot be written: {error}")))?;
        let signed = sign(&sender.secrets, &ask, body)?;
        let mut call = api.post(OPERATION, &sender.url).header("content-type", "application/json");
        for (name, value) in &sender.headers {
            call = call.header(name.as_str(), value.expose());
        }
        for (name, value) in &signed.headers {
            call = call.header(name.as_str(), value.to_str().unwrap_or_default());
        }
        call.bytes(signed.body).send().await?;
        Ok(Performed::done())
    }
}

/// The time is that of this try, so that a late one is not taken for a replay; id and body stay.
fn sign(secrets: &[spindel_connect::Secret], ask: &Ask<'_, SendChange>, body: Vec<u8>) -> Result<Incoming, CallError> {
    let unsigned = |why: String| CallError::new(OPERATION, ErrorClass::Bug, format!("cannot be signed: {why}"));
    let id = format!("msg_{}", ask.key.simple());
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::from_str(&id).map_err(|error| unsigned(error.to_string()))?);
    let mut request = Incoming { method: Method::POST, uri: String::new(), origin: String::new(), headers, body: body.into() };
    Proof::standard_webhooks(secrets).sign(&mut request, ask.now).map_err(|why| unsigned(why.to_string()))?;
    Ok(request)
}
