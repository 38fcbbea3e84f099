//! Builds webhooks as the vendor sends them: headers, raw body, signature with the client secret. Sending is in `sender`.

use crate::shopify::state::State;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use uuid::Uuid;

/// One webhook as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// `orders/create`.
    pub topic: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The order it is about, as text; `None` for stock and products.
    pub order_id: Option<String>,
}

pub(crate) const SIGNATURE: &str = "X-Shopify-Hmac-Sha256";
pub(crate) const WEBHOOK_ID: &str = "X-Shopify-Webhook-Id";

impl Webhook {
    /// The value of a header, by any spelling of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn set_header(&mut self, name: &str, value: String) {
        if let Some((_, old)) = self.headers.iter_mut().find(|(known, _)| known == name) {
            *old = value;
        }
    }
}

/// Base64 of HMAC-SHA256 over the raw body.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
    let Ok(mut mac) = mac else { unreachable!("HMAC takes a key of any length") };
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

pub(crate) fn build(state: &mut State, topic: &str, event_id: Uuid, order_id: Option<u64>, body: &Value) -> Webhook {
    let body = Bytes::from(body.to_string());
    let webhook_id = state.new_uuid();
    let triggered_at = state.options.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string();
    let headers = [
        ("Content-Type", "application/json".to_owned()),
        ("X-Shopify-Topic", topic.to_owned()),
        (SIGNATURE, sign(&state.options.client_secret, &body)),
        ("X-Shopify-Shop-Domain", state.options.shop.clone()),
        ("X-Shopify-API-Version", state.options.api_version.clone()),
        (WEBHOOK_ID, webhook_id.to_string()),
        ("X-Shopify-Event-Id", event_id.to_string()),
        ("X-Shopify-Triggered-At", triggered_at),
    ];
    Webhook {
        topic: topic.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        body,
        order_id: order_id.map(|id| id.to_string()),
    }
}

/// A webhook that must not be accepted; `kind` picks the way in which it is false.
pub(crate) fn forged(genuine: &Webhook, kind: usize) -> Webhook {
    let mut forged = genuine.clone();
    match kind % 4 {
        0 => forged.set_header(SIGNATURE, sign("not the secret", &genuine.body)),
        1 => {
            let mut body = genuine.body.to_vec();
            let middle = body.len() / 2;
            if let Some(byte) = body.get_mut(middle) {
                *byte ^= 1;
            }
            forged.body = body.into();
        }
        2 => forged.headers.retain(|(name, _)| name != SIGNATURE),
        _ => forged.set_header(SIGNATURE, String::new()),
    }
    forged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_match_the_documented_vectors() {
        let signed = sign("kitties are cute", br#"{"foo": "bar"}"#);
        assert_eq!(signed, "whZTLhA7huY97fFO2wQU8i6CSxBGsM289q1MWkxqp2g=");
        let signed = sign("hush", br##"{"id":820982911946154508,"name":"#1001"}"##);
        assert_eq!(signed, "Mkf2s8BiWQBb/dlay3RDP15QWaH8IejS3UDTmBxVmfo=");
    }
}
