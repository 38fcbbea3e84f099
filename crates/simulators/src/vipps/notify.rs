//! Registrations of webhooks, and what is sent to them: one after another, each with the registration's own secret.

use crate::{
    post::{Letter, Webhook, hmac_sha256},
    vipps::{State, api::Problem, payments::Event},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

pub(crate) const SIGNATURE: &str = "Authorization";
/// The registration that a test makes.
const BY_HAND: &str = "00000000-0000-4000-8000-000000000001";
/// For one event of one sales unit.
const MOST_REGISTRATIONS: usize = 25;
const EVENTS: [&str; 8] = ["created", "authorized", "aborted", "expired", "terminated", "cancelled", "captured", "refunded"];

pub(crate) struct Registration {
    pub url: String,
    pub events: Vec<String>,
    pub secret: String,
}

/// `epayments.payment.captured.v1`
fn topic(name: &str) -> String {
    format!("epayments.payment.{}.v1", name.to_lowercase())
}

/// The headers that prove a webhook: date, hash of the body, and an HMAC over those, the path and the host, as the address was
/// registered. The key is the secret's text.
pub(crate) fn signed(url: &str, secret: &str, at: Timestamp, body: &[u8]) -> Vec<(String, String)> {
    let date = at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let hash = STANDARD.encode(Sha256::digest(body));
    let url = Url::parse(url).ok();
    let path = url.as_ref().map(path_and_query).unwrap_or_default();
    let host = url.as_ref().map(authority).unwrap_or_default();
    let text = format!("POST\n{path}\n{date};{host};{hash}");
    let signature = STANDARD.encode(hmac_sha256(secret.as_bytes(), &[text.as_bytes()]));
    let authorization = format!("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signature}");
    let headers = [("x-ms-date", date), ("x-ms-content-sha256", hash), (SIGNATURE, authorization)];
    headers.map(|(name, value)| (name.to_owned(), value)).into()
}

fn path_and_query(url: &Url) -> String {
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}

/// The port stands there only when it is not the usual one.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl State {
    pub(crate) fn tell(&mut self, reference: &str, event: &Event) {
        let Some(payment) = self.payments.get(reference) else { return };
        let mut body = payment.event_json(event);
        body["msn"] = self.options.merchant_serial_number.as_str().into();
        let (topic, body) = (topic(event.name), Bytes::from(body.to_string()));
        let wanted = self.registrations.iter().filter(|(_, it)| it.events.contains(&topic));
        let letters: Vec<Letter> = wanted.map(|(id, it)| self.letter(id, it, &body)).collect();
        self.outbox.extend(letters);
        let target = self.target().unwrap_or_else(|| "https://shop.example.com/in/vipps".to_owned());
        let headers = headers(BY_HAND, &target, &self.options.webhook_secret, self.now(), &body);
        self.log.push(Webhook { topic, headers, body });
    }

    fn letter(&self, id: &str, registration: &Registration, body: &Bytes) -> Letter {
        let (clock, url, secret) = (self.options.clock.clone(), registration.url.clone(), registration.secret.clone());
        let (id, body) = (id.to_owned(), body.clone());
        Letter {
            url: url.clone(),
            lane: Some(id.clone()),
            body: body.clone(),
            headers: Arc::new(move || headers(&id, &url, &secret, clock.now(), &body)),
            again: true,
        }
    }

    pub(crate) fn set_target(&mut self, url: Option<&str>) {
        self.registrations.remove(BY_HAND);
        let Some(url) = url else { return };
        let (events, secret) = (EVENTS.iter().map(|it| topic(it)).collect(), self.options.webhook_secret.clone());
        self.registrations.insert(BY_HAND.into(), Registration { url: url.to_owned(), events, secret });
    }

    pub(crate) fn target(&self) -> Option<String> {
        self.registrations.get(BY_HAND).map(|it| it.url.clone())
    }

    /// The only answer that has the secret.
    pub(crate) fn register(&mut self, body: &Value) -> Result<Value, Problem> {
        let invalid = |field: &str, why: &str| Problem::new(400, "Bad Request").about(field, why);
        let url = body["url"].as_str().unwrap_or_default().to_owned();
        let parsed = Url::parse(&url).map_err(|_| invalid("url", "The value is no URL."))?;
        // A receiver in a test has no certificate.
        if parsed.scheme() != "https" && parsed.host_str() != Some("127.0.0.1") {
            return Err(invalid("url", "The URL must use HTTPS."));
        }
        let listed = body["events"].as_array().filter(|it| !it.is_empty());
        let listed = listed.ok_or_else(|| invalid("events", "The property is required and cannot be null or empty."))?;
        let events: Vec<String> = listed.iter().filter_map(|it| it.as_str().map(str::to_owned)).collect();
        if events.len() != listed.len() || !events.iter().all(|it| EVENTS.iter().any(|known| *it == topic(known))) {
            return Err(invalid("events", "The event is not known."));
        }
        let full =
            |event: &String| self.registrations.values().filter(|it| it.events.contains(event)).count() >= MOST_REGISTRATIONS;
        if events.iter().any(full) {
            return Err(invalid("events", "Too many webhooks are registered for this event."));
        }
        let (id, bytes) = (self.new_uuid(), self.new_uuid() + &self.new_uuid());
        let secret = STANDARD.encode(bytes);
        self.registrations.insert(id.clone(), Registration { url, events, secret: secret.clone() });
        Ok(json!({ "id": id, "secret": secret }))
    }

    pub(crate) fn registered(&self) -> Value {
        let each = |(id, it): (&String, &Registration)| json!({ "id": id, "url": it.url, "events": it.events });
        json!({ "webhooks": self.registrations.iter().map(each).collect::<Vec<_>>() })
    }
}

fn headers(id: &str, url: &str, secret: &str, at: Timestamp, body: &[u8]) -> Vec<(String, String)> {
    let mut headers = signed(url, secret, at, body);
    headers.push(("Content-Type".into(), "application/json".into()));
    headers.push(("Webhook-Id".into(), id.to_owned()));
    headers
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn signatures_match_the_documented_vector() {
        let secret = "A0+AeKBRG2KRGvnNwJpQlb6IJFk48CKXCIcrLoHncVJKDILsQSxS6NWCccwWm6r6FhGKhiHTBsG2wo/xU6FY/A==";
        let body = r#"{"some-unique-content":"ee6e441b-cc4a-46f8-895d-a5af79bcc233/hello-world"}"#;
        let url = "https://webhook.site/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63";
        let headers = signed(url, secret, "2023-03-30T08:38:32Z".parse().unwrap(), body.as_bytes());
        let value = |name: &str| headers.iter().find(|(known, _)| known == name).unwrap().1.clone();
        assert_eq!(value("x-ms-date"), "Thu, 30 Mar 2023 08:38:32 GMT");
        assert_eq!(value("x-ms-content-sha256"), "lNlsp1XA03N34HrQsVzPgJKtC+r7l/RBF4V3JQUWMj4=");
        let signature = "Signature=agAiSyogQbDHpeucoNwYz+yAr5nJ+v+zasdkSbqzv+U=";
        assert!(value(SIGNATURE).ends_with(signature), "{}", value(SIGNATURE));
    }

    #[test]
    fn the_query_is_signed_and_the_usual_port_is_not_named() {
        let url = Url::parse("https://hub.example.no:443/in/vipps?a=1#part").unwrap();
        assert_eq!(path_and_query(&url), "/in/vipps?a=1");
        assert_eq!(authority(&url), "hub.example.no");
        assert_eq!(authority(&Url::parse("http://127.0.0.1:8080/").unwrap()), "127.0.0.1:8080");
    }
}
