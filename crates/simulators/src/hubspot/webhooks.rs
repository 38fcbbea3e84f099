//! Webhooks: events in batches of up to a hundred, signed over method, address, body and time (v3), tried up to ten times.

use super::state::Account;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Client;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

const MOST_IN_BATCH: usize = 100;
const TRIES: u32 = 10;
const TIMEOUT: Duration = Duration::from_secs(5);
/// Events of one moment go together.
const GATHER: Duration = Duration::from_millis(10);

/// Something that happened, as it is told.
pub(crate) struct Event(pub Value);

/// What goes over the wire together.
#[derive(Clone)]
pub(crate) struct Batch {
    url: String,
    events: Vec<Value>,
}

/// What became of the batches until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub events: u64,
    pub batches: u64,
    pub acknowledged: u64,
    /// Never answered with a success, after all tries.
    pub given_up: u64,
    /// Tries beyond the first.
    pub retries: u64,
}

/// What came of batches that must not be accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forged {
    pub sent: u64,
    /// Answered as a success: forgeries that got through.
    pub accepted: u64,
}

/// Base64 of HMAC-SHA256 over method, address, body and time, in which some characters of the address are decoded first.
pub fn sign(secret: &str, url: &str, body: &str, millis: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { unreachable!("HMAC takes a key of any length") };
    mac.update(format!("POST{}{body}{millis}", decoded(url)).as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn decoded(url: &str) -> String {
    let pairs = [
        ("%3A", ":"),
        ("%2F", "/"),
        ("%3F", "?"),
        ("%40", "@"),
        ("%21", "!"),
        ("%24", "$"),
        ("%27", "'"),
        ("%28", "("),
        ("%29", ")"),
        ("%2A", "*"),
        ("%2C", ","),
        ("%3B", ";"),
    ];
    pairs.into_iter().fold(url.to_owned(), |url, (code, letter)| url.replace(code, letter))
}

pub(crate) fn client() -> Result<Client, reqwest::Error> {
    // Fails when a provider is installed already, which serves as well.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy().build()
}

/// Sends one batch after the other.
pub(crate) async fn run(account: Arc<Account>, mut queue: mpsc::UnboundedReceiver<Event>) {
    while let Some(first) = queue.recv().await {
        tokio::time::sleep(GATHER).await;
        let mut events = vec![first.0];
        while events.len() < MOST_IN_BATCH {
            let Ok(next) = queue.try_recv() else { break };
            events.push(next.0);
        }
        let count = events.len();
        let url = account.with(|state| {
            state.sent.events += u64::try_from(count).unwrap_or_default();
            state.sent.batches += 1;
            state.target.clone()
        });
        if let Some(url) = url {
            deliver(&account, Batch { url, events }).await;
        }
        account.done(count);
    }
}

async fn deliver(account: &Account, mut batch: Batch) {
    let base = account.with(|state| state.options.retry_base);
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(base.saturating_mul(1 << (attempt - 1))).await;
            account.with(|state| state.sent.retries += 1);
        }
        for event in &mut batch.events {
            event["attemptNumber"] = attempt.into();
        }
        account.with(|state| state.last = Some(batch.clone()));
        if post(account, &batch, Kind::Genuine).await {
            account.with(|state| state.sent.acknowledged += 1);
            return;
        }
    }
    account.with(|state| state.sent.given_up += 1);
}

pub(crate) async fn repeat_last(account: &Account) -> Option<bool> {
    let batch = account.with(|state| state.last.clone())?;
    Some(post(account, &batch, Kind::Genuine).await)
}

pub(crate) async fn forge(account: &Account, n: usize) -> Forged {
    let Some(batch) = account.with(|state| state.last.clone()) else { return Forged::default() };
    let mut forged = Forged::default();
    for kind in [Kind::OtherSecret, Kind::OtherBody, Kind::Old, Kind::FirstVersion].into_iter().cycle().take(n) {
        forged.sent += 1;
        forged.accepted += u64::from(post(account, &batch, kind).await);
    }
    forged
}

/// In which way a batch is false, if it is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Genuine,
    OtherSecret,
    OtherBody,
    /// Signed ten minutes ago.
    Old,
    /// With the signatures of versions 1 and 2 alone, which hold.
    FirstVersion,
}

async fn post(account: &Account, batch: &Batch, kind: Kind) -> bool {
    let (secret, now) = account.with(|state| (state.options.client_secret.clone(), state.options.clock.now().as_millisecond()));
    let mut body = Value::from(batch.events.clone()).to_string();
    let millis = (now - if kind == Kind::Old { 600_000 } else { 0 }).to_string();
    let key = if kind == Kind::OtherSecret { "not the secret" } else { &secret };
    let signature = sign(key, &batch.url, &body, &millis);
    let hex = |text: String| Sha256::digest(text.as_bytes()).iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}"));
    let (first, second) = (hex(format!("{secret}{body}")), hex(format!("{secret}POST{}{body}", batch.url)));
    if kind == Kind::OtherBody {
        body = body.replacen("\"objectId\":", "\"objectId\":9", 1);
    }
    let mut request = account.client.post(&batch.url).header("content-type", "application/json");
    request = request.header("x-hubspot-signature", first).header("x-hubspot-signature-version", "v1");
    request = match kind {
        Kind::FirstVersion => request.header("x-hubspot-signature-v2", second),
        _ => request.header("x-hubspot-signature-v3", signature).header("x-hubspot-request-timestamp", millis),
    };
    match request.body(body).send().await {
        Ok(answer) => answer.status().is_success(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_match_those_of_other_programs() {
        let signed = sign("an-app-secret", "https://hooks.example.no/in/crm?a=b", r#"[{"eventId":1}]"#, "1795168800000");
        assert_eq!(signed, "mWtFv0T0hgNINXaN5Tzfe1kD0azhAEuw5QwiwtTMw+0=");
    }

    #[test]
    fn some_characters_of_the_address_are_signed_as_they_are_meant() {
        assert_eq!(decoded("https://x.no/in%2Fcrm?to=a%40b&c=%20"), "https://x.no/in/crm?to=a@b&c=%20");
    }
}
