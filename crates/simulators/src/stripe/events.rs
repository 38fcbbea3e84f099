//! Events, the endpoints that want them, and their signatures.

use crate::{
    post::{Headers, Letter, Webhook, hex, hmac_sha256},
    stripe::state::{Event, State},
};
use bytes::Bytes;
use serde_json::{Value, json};
use spindel_model::Clock;
use std::sync::Arc;

pub(crate) const SIGNATURE: &str = "Stripe-Signature";
pub(crate) const API_VERSION: &str = "2026-10-28.endive";
/// The endpoint that a test sets.
const BY_HAND: &str = "we_byhand";
/// How long a rolled secret still holds.
const ROLLED_SECONDS: i64 = 24 * 3_600;

/// A webhook endpoint.
pub(crate) struct Hook {
    pub url: String,
    pub events: Vec<String>,
    pub enabled: bool,
    pub api_version: Option<String>,
    pub description: Option<String>,
    /// With the second at which it ends, where it was rolled.
    pub secrets: Vec<(String, Option<i64>)>,
    pub created: i64,
}

impl Hook {
    fn wants(&self, kind: &str) -> bool {
        self.enabled && self.events.iter().any(|it| it == kind || it == "*")
    }

    /// Those that hold, the newest first.
    fn valid(&self, now: i64) -> Vec<String> {
        self.secrets.iter().filter(|(_, until)| until.is_none_or(|it| it > now)).map(|(secret, _)| secret.clone()).collect()
    }
}

impl State {
    /// Tells that something happened to an object, as it stands now.
    pub(crate) fn tell(&mut self, kind: &str, id: &str) {
        self.tell_changed(kind, id, None);
    }

    /// The same with what the fields were before, which only `….updated` events say.
    pub(crate) fn tell_changed(&mut self, kind: &str, id: &str, previous: Option<Value>) {
        let Some(object) = self.object(id) else { return };
        let event = self.new_id("evt");
        let (request, key) = self.request.clone().map_or((None, None), |(id, key)| (Some(id), key));
        let mut body = json!({
            "id": event,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now(),
            "livemode": self.options.livemode,
            "pending_webhooks": self.hooks.values().filter(|it| it.wants(kind)).count(),
            "request": { "id": request, "idempotency_key": key },
            "type": kind,
            "data": { "object": object },
        });
        if let Some(previous) = previous {
            body["data"]["previous_attributes"] = previous;
        }
        self.events.insert(event, Event { kind: kind.to_owned(), body: body.clone() });
        self.mail(kind, &Bytes::from(body.to_string()));
    }

    fn mail(&mut self, kind: &str, body: &Bytes) {
        let now = self.now();
        let letters: Vec<Letter> = self
            .hooks
            .values()
            .filter(|hook| hook.wants(kind))
            .map(|hook| Letter {
                url: hook.url.clone(),
                body: body.clone(),
                headers: signer(self.options.clock.clone(), hook.valid(now), body.clone()),
                again: true,
                lane: None,
            })
            .collect();
        self.outbox.extend(letters);
        let secrets = self.hooks.get(BY_HAND).map_or_else(|| vec![self.options.webhook_secret.clone()], |it| it.valid(now));
        let headers = signer(self.options.clock.clone(), secrets, body.clone())();
        self.log.push(Webhook { topic: kind.to_owned(), headers, body: body.clone() });
    }

    pub(crate) fn set_target(&mut self, url: Option<&str>) {
        self.hooks.remove(BY_HAND);
        let Some(url) = url else { return };
        let hook = Hook {
            url: url.to_owned(),
            events: vec!["*".into()],
            enabled: true,
            api_version: Some(API_VERSION.into()),
            description: None,
            secrets: vec![(self.options.webhook_secret.clone(), None)],
            created: self.now(),
        };
        self.hooks.insert(BY_HAND.into(), hook);
    }

    pub(crate) fn target(&self) -> Option<String> {
        self.hooks.get(BY_HAND).map(|it| it.url.clone())
    }

    pub(crate) fn switch_off(&mut self, endpoint: &str) {
        if let Some(hook) = self.hooks.get_mut(endpoint) {
            hook.enabled = false;
        }
    }

    pub(crate) fn roll_secret(&mut self) -> String {
        let (now, secret) = (self.now(), format!("whsec_{}", self.random(32)));
        if let Some(hook) = self.hooks.get_mut(BY_HAND) {
            hook.secrets.iter_mut().for_each(|(_, until)| *until = Some(until.unwrap_or(now + ROLLED_SECONDS)));
            hook.secrets.insert(0, (secret.clone(), None));
        }
        secret
    }

    pub(crate) fn signature(&self, secrets: &[String], body: &[u8]) -> String {
        sign(secrets, self.now(), body)
    }
}

/// A retry has its own time, and so its own signature.
fn signer(clock: Clock, secrets: Vec<String>, body: Bytes) -> Headers {
    Arc::new(move || {
        vec![
            ("Content-Type".into(), "application/json; charset=utf-8".into()),
            ("User-Agent".into(), "Stripe/1.0 (+https://stripe.com/docs/webhooks)".into()),
            (SIGNATURE.into(), sign(&secrets, clock.now().as_second(), &body)),
        ]
    })
}

/// `t=…,v1=…` with a signature for each secret, over time, dot and body; the key is the whole text of the secret.
fn sign(secrets: &[String], at: i64, body: &[u8]) -> String {
    let time = at.to_string();
    let signatures = secrets.iter().map(|secret| hex(&hmac_sha256(secret.as_bytes(), &[time.as_bytes(), b".", body])));
    let signed: String = signatures.map(|it| format!(",v1={it}")).collect();
    format!("t={time}{signed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_match_the_documented_vector() {
        let body = "{\n  \"id\": \"evt_test_webhook\",\n  \"object\": \"event\"\n}";
        let signed = sign(&["whsec_test_secret".to_owned()], 1_614_265_330, body.as_bytes());
        assert_eq!(signed, "t=1614265330,v1=af4ead0627a34a8cca29808e8de9ada8e41a92e6237c63cef6eacf51d36cca34");
    }
}
