//! Webhooks: kept through the API, built when they are sent, signed over the raw body alone, tried once. Too many failures
//! in a row switch one off.

use super::{
    Forged,
    api::{Answer, Call, Problem, created, invalid, missing, no_route, ok, page, problem},
    resource::{Fields, fields, filled, php_json},
    state::{Shop, State},
};
use axum::http::{Method, StatusCode};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::Client;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// One that failed this often in a row is switched off by the next failure.
const MOST_FAILURES: u32 = 5;
/// The vendor waits a minute.
const TIMEOUT: Duration = Duration::from_secs(5);
const SIGNATURE: &str = "X-WC-Webhook-Signature";
const TOPICS: [&str; 9] = [
    "order.created",
    "order.updated",
    "order.deleted",
    "product.created",
    "product.updated",
    "product.deleted",
    "customer.created",
    "customer.updated",
    "customer.deleted",
];
/// Topics that are taken and never told here.
const SILENT: [&str; 6] =
    ["order.restored", "product.restored", "coupon.created", "coupon.updated", "coupon.deleted", "coupon.restored"];

/// A webhook as the shop keeps it.
pub(crate) struct Hook {
    pub id: u64,
    pub name: String,
    pub topic: String,
    pub delivery_url: String,
    secret: String,
    pub status: String,
    pub failures: u32,
    pub pinged: Option<u16>,
    created: Fields,
}

/// Something that a webhook is to tell.
pub(crate) struct Job {
    pub webhook: u64,
    pub topic: &'static str,
    pub resource: u64,
}

/// One webhook as it went over the wire.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// `order.updated`.
    pub topic: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// What came back; `None` where nothing did.
    pub status: Option<u16>,
}

/// Base64 of HMAC-SHA256 over the raw body.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { unreachable!("HMAC takes a key of any length") };
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

pub(crate) fn client() -> Result<Client, reqwest::Error> {
    // Fails when a provider is installed already, which serves as well.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy().build()
}

/// Sends one after the other.
pub(crate) async fn run(shop: Arc<Shop>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    while let Some(job) = jobs.recv().await {
        if let Some(mut webhook) = shop.with(|state| state.built(&job)) {
            webhook.status = post(&shop.client, &webhook).await;
            shop.with(|state| state.note(job.webhook, webhook));
        }
        shop.done();
    }
}

async fn post(client: &Client, webhook: &Webhook) -> Option<u16> {
    let mut request = client.post(&webhook.url).body(webhook.body.clone());
    for (name, value) in &webhook.headers {
        request = request.header(name, value);
    }
    Some(request.send().await.ok()?.status().as_u16())
}

/// Unsigned, and wants exactly 200.
pub(crate) async fn ping(shop: &Shop, id: u64) {
    let Some(url) = shop.with(|state| state.webhooks.get(&id).map(|it| it.delivery_url.clone())) else { return };
    let asked =
        shop.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(format!("webhook_id={id}"));
    let status = asked.send().await.map_or(0, |it| it.status().as_u16());
    shop.with(|state| {
        if let Some(hook) = state.webhooks.get_mut(&id) {
            hook.pinged = Some(status);
        }
    });
}

pub(crate) async fn forge(shop: &Shop, n: usize) -> Forged {
    let genuine: Vec<Webhook> = shop.with(|state| state.sent.iter().rev().take(n.max(1)).cloned().collect());
    let mut forged = Forged::default();
    for (kind, webhook) in genuine.iter().cycle().take(n).enumerate() {
        let mut false_one = webhook.clone();
        let signature = match kind % 4 {
            0 => Some(sign("not the secret", &webhook.body)),
            1 => {
                let mut body = webhook.body.to_vec();
                let middle = body.len() / 2;
                if let Some(byte) = body.get_mut(middle) {
                    *byte ^= 1;
                }
                false_one.body = body.into();
                Some(sign("", &webhook.body))
            }
            2 => None,
            _ => Some(String::new()),
        };
        false_one.headers.retain(|(name, _)| name != SIGNATURE);
        false_one.headers.extend(signature.map(|it| (SIGNATURE.to_owned(), it)));
        forged.sent += 1;
        forged.accepted += u64::from(post(&shop.client, &false_one).await.is_some_and(is_success));
    }
    forged
}

/// A redirect counts as received.
fn is_success(status: u16) -> bool {
    (200..303).contains(&status)
}

impl State {
    pub fn add_webhooks(&mut self, url: &str) {
        for topic in TOPICS {
            let secret = self.options.webhook_secret.clone();
            self.add_webhook(format!("By hand {topic}"), topic, url, secret, "active");
        }
    }

    fn add_webhook(&mut self, name: String, topic: &str, url: &str, secret: String, status: &str) -> u64 {
        let id = self.new_id();
        let mut created = Fields::new();
        self.stamp(&mut created, "date_created");
        let (topic, delivery_url, status) = (topic.to_owned(), url.to_owned(), status.to_owned());
        self.webhooks.insert(id, Hook { id, name, topic, delivery_url, secret, status, failures: 0, pinged: None, created });
        id
    }

    /// What it says is looked up now: two that were due say the same. Nothing, where it was switched off meanwhile.
    fn built(&self, job: &Job) -> Option<Webhook> {
        let hook = self.webhooks.get(&job.webhook).filter(|it| it.status == "active")?;
        let (resource, event) = job.topic.split_once('.')?;
        let record = match (resource, event) {
            (_, "deleted") => fields(json!({ "id": job.resource })),
            ("order", _) => self.orders.get(&job.resource)?.clone(),
            ("product", _) => self.products.get(&job.resource)?.clone(),
            _ => self.customers.get(&job.resource)?.clone(),
        };
        let body = php_json(&record.into());
        let headers = [
            ("Content-Type", "application/json".to_owned()),
            ("User-Agent", "WooCommerce/10.3.0 Hookshot (WordPress/6.8)".to_owned()),
            ("X-WC-Webhook-Source", format!("{}/", self.home)),
            ("X-WC-Webhook-Topic", job.topic.to_owned()),
            ("X-WC-Webhook-Resource", resource.to_owned()),
            ("X-WC-Webhook-Event", event.to_owned()),
            ("X-WC-Webhook-ID", hook.id.to_string()),
            ("X-WC-Webhook-Delivery-ID", delivery_id(hook.id, self.now())),
            (SIGNATURE, sign(&hook.secret, body.as_bytes())),
        ];
        Some(Webhook {
            topic: job.topic.to_owned(),
            url: hook.delivery_url.clone(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: body.into(),
            status: None,
        })
    }

    fn note(&mut self, id: u64, webhook: Webhook) {
        let success = webhook.status.is_some_and(is_success);
        self.sent.push(webhook);
        let Some(hook) = self.webhooks.get_mut(&id) else { return };
        match (success, hook.failures > MOST_FAILURES) {
            (true, _) => hook.failures = 0,
            (false, false) => hook.failures += 1,
            (false, true) => hook.status = "disabled".into(),
        }
    }

    /// The API below `/webhooks`.
    pub fn webhooks_api(&mut self, call: &Call, below: &[&str]) -> Result<Answer, Problem> {
        match (&call.method, below) {
            (&Method::GET, []) => {
                let wanted = call.query("status").unwrap_or("all");
                check_status(wanted, true)?;
                let rows = self.webhooks.values().filter(|it| wanted == "all" || it.status == wanted).map(Hook::json);
                page(call, rows.collect(), &["date", "id", "include", "title", "slug"])
            }
            (&Method::POST, []) => {
                let sent = &call.body;
                let (Some(topic), Some(url)) = (filled(sent, "topic"), filled(sent, "delivery_url")) else {
                    return Err(missing(if sent.contains_key("topic") { "delivery_url" } else { "topic" }));
                };
                check_topic(&topic)?;
                let status = filled(sent, "status").unwrap_or_else(|| "active".into());
                check_status(&status, false)?;
                let name = filled(sent, "name").unwrap_or_else(|| "Webhook created".into());
                let secret = filled(sent, "secret").unwrap_or_else(|| "made by the shop, and told nobody".into());
                let id = self.add_webhook(name, &topic, &url, secret, &status);
                let mut answer = created(self.webhooks[&id].json());
                answer.ping = (status == "active").then_some(id);
                Ok(answer)
            }
            (method, [id]) => {
                let unknown = || problem(StatusCode::NOT_FOUND, "woocommerce_rest_shop_webhook_invalid_id", "Invalid ID.");
                let id: u64 = id.parse().ok().filter(|id| self.webhooks.contains_key(id)).ok_or_else(unknown)?;
                match *method {
                    Method::GET => Ok(ok(self.webhooks[&id].json())),
                    Method::PUT | Method::POST => self.update_webhook(id, &call.body),
                    Method::DELETE if call.query("force") == Some("true") => {
                        Ok(ok(self.webhooks.remove(&id).map(|it| it.json()).unwrap_or_default()))
                    }
                    Method::DELETE => {
                        let message = "Webhooks do not support trashing.";
                        Err(problem(StatusCode::NOT_IMPLEMENTED, "woocommerce_rest_trash_not_supported", message))
                    }
                    _ => Err(no_route()),
                }
            }
            _ => Err(no_route()),
        }
    }

    fn update_webhook(&mut self, id: u64, sent: &Fields) -> Result<Answer, Problem> {
        let (topic, status) = (filled(sent, "topic"), filled(sent, "status"));
        topic.as_deref().map_or(Ok(()), check_topic)?;
        status.as_deref().map_or(Ok(()), |it| check_status(it, false))?;
        let Some(hook) = self.webhooks.get_mut(&id) else { return Err(no_route()) };
        hook.topic = topic.unwrap_or_else(|| hook.topic.clone());
        hook.delivery_url = filled(sent, "delivery_url").unwrap_or_else(|| hook.delivery_url.clone());
        hook.secret = filled(sent, "secret").unwrap_or_else(|| hook.secret.clone());
        if let Some(status) = status {
            hook.failures = 0;
            hook.status = status;
        }
        Ok(ok(hook.json()))
    }
}

impl Hook {
    /// The secret is never shown.
    fn json(&self) -> Fields {
        let (resource, event) = self.topic.split_once('.').unwrap_or_default();
        let mut json = self.created.clone();
        json.extend(fields(json!({
            "id": self.id, "name": self.name, "status": self.status, "topic": self.topic, "resource": resource, "event": event,
            "hooks": [format!("woocommerce_{}_{}", event.trim_end_matches('d'), resource)], "delivery_url": self.delivery_url,
        })));
        json
    }
}

fn check_topic(topic: &str) -> Result<(), Problem> {
    if TOPICS.contains(&topic) || SILENT.contains(&topic) || topic.starts_with("action.") {
        return Ok(());
    }
    Err(problem(StatusCode::BAD_REQUEST, "woocommerce_rest_webhook_invalid_topic", "Webhook topic must be valid."))
}

fn check_status(status: &str, all: bool) -> Result<(), Problem> {
    if matches!(status, "active" | "paused" | "disabled") || (all && status == "all") {
        return Ok(());
    }
    Err(invalid("status", &format!("status is not one of active, paused, disabled: {status}")))
}

/// Of the webhook and the second: what is sent within one second has one and the same.
fn delivery_id(webhook: u64, now: Timestamp) -> String {
    let digest = Sha256::digest(format!("{webhook}/{}", now.as_second()).as_bytes());
    digest.iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_match_those_of_other_programs() {
        let body = br#"{"id":727,"status":"processing","currency":"NOK","total":"129.00"}"#;
        assert_eq!(sign("wc_hook_secret_01", body), "MJvLtRMzq1bp60knGlV67+DVPeu/xkuWb8rJBSQE24o=");
        assert_eq!(sign("a&b'c", body), "O6gkggba5N9Gj31armIuSKnmbA2N8sbbbnSaMhF6/CQ=");
    }
}
