//! What Commerce tells others: Adobe I/O Events, which come again until they are taken, and webhooks, which come once.

use super::{Push, state::State};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Client;
use ring::{
    rand::SystemRandom,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Map, Value, json};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

/// A pair of keys for tests, that protects nothing.
const PRIVATE: &str = include_str!("signing_key.pem");
const TIMEOUT: Duration = Duration::from_secs(10);
/// Before each try after the first, in minutes; and so many times shorter here.
const WAITS: [u64; 6] = [1, 2, 4, 8, 15, 15];
const SHORTER: u32 = 3000;

/// One request as it went out, with the status that came back last.
#[derive(Clone, Debug)]
pub struct Sent {
    /// `observer.sales_order_save_commit_after`
    pub event: String,
    pub body: String,
    /// 0 when nobody was there.
    pub status: u16,
    pub tries: u32,
}

/// What came of requests that must not be accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forged {
    pub sent: u64,
    /// Answered as a success: forgeries that got through.
    pub accepted: u64,
}

#[derive(Clone)]
pub(crate) struct Letter {
    event: String,
    url: String,
    headers: Vec<(String, String)>,
    body: String,
    again: bool,
}

/// The requests that an event makes; none where nobody is to be told.
pub(crate) fn letters(state: &mut State, observer: &str, fields: Value) -> Vec<Letter> {
    let Some(target) = state.target.clone() else { return Vec::new() };
    let event = format!("observer.{observer}");
    match state.options.push.clone() {
        Push::Nothing => Vec::new(),
        Push::IoEvents { client_id } => {
            let id = format!("event-{}", state.next_id());
            let code = format!("com.adobe.commerce.{event}");
            let value = texts(&fields);
            let body = json!({ "specversion": "1.0", "id": id, "source": "urn:uuid:commerce", "type": code,
                "datacontenttype": "application/json", "time": state.now().to_string(),
                "data": { "key": "k", "source": "shop", "value": value, "_metadata": { "commerceVersion": "2.4.9" } },
                "event_id": id, "recipient_client_id": client_id });
            let body = body.to_string();
            let signature = signed(body.as_bytes());
            let headers = vec![
                ("x-adobe-event-id".to_owned(), id),
                ("x-adobe-event-code".to_owned(), code),
                ("x-adobe-public-key1-path".to_owned(), "/prod/keys/pub-key-simulated-1.pem".to_owned()),
                ("x-adobe-digital-signature-1".to_owned(), signature.clone()),
                ("x-adobe-digital-signature-2".to_owned(), signature),
            ];
            vec![Letter { event, url: target, headers, body, again: true }]
        }
        Push::Webhooks => {
            let body = json!({ "data": texts(&fields) }).to_string();
            // Over the base64 of the body, unlike everybody else.
            let signature = signed(STANDARD.encode(&body).as_bytes());
            let headers = vec![("x-adobe-commerce-webhook-signature".to_owned(), signature)];
            vec![Letter { url: format!("{target}?hook={event}"), event, headers, body, again: false }]
        }
    }
}

/// As the database has them.
fn texts(fields: &Value) -> Value {
    let text = |value: &Value| match value {
        Value::Number(number) => Value::String(number.to_string()),
        other => other.clone(),
    };
    let pairs = fields.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value)));
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// RSA PKCS#1 v1.5 with SHA-256, base64.
fn signed(message: &[u8]) -> String {
    let text: String = PRIVATE.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = STANDARD.decode(text).ok().and_then(|der| RsaKeyPair::from_pkcs8(&der).ok());
    let Some(key) = key else { return String::new() };
    let mut signature = vec![0; key.public_key().modulus_len()];
    let made = key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
    made.map(|()| STANDARD.encode(signature)).unwrap_or_default()
}

/// Sends in the order of what happened, one after another.
pub(crate) struct Post {
    queue: mpsc::UnboundedSender<Letter>,
    open: watch::Sender<u64>,
    sent: Arc<Mutex<Vec<Sent>>>,
    last: Mutex<Option<Letter>>,
    tries: Arc<AtomicU64>,
    client: Client,
    task: AbortHandle,
}

impl Post {
    pub fn start() -> Result<Self, reqwest::Error> {
        // Fails when a provider is installed already, which serves as well.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let (queue, letters) = mpsc::unbounded_channel();
        let (open, sent, tries) = (watch::Sender::new(0), Arc::default(), Arc::default());
        let done = Done { open: open.clone(), sent: Arc::clone(&sent), tries: Arc::clone(&tries) };
        let task = tokio::spawn(run(client.clone(), letters, done)).abort_handle();
        Ok(Self { queue, open, sent, last: Mutex::default(), tries, client, task })
    }

    pub fn send(&self, letter: Letter) {
        self.open.send_modify(|open| *open += 1);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(letter.clone());
        if self.queue.send(letter).is_err() {
            self.open.send_modify(|open| *open -= 1);
        }
    }

    /// Waits until every request was taken or given up.
    pub async fn flush(&self) {
        let mut open = self.open.subscribe();
        let _sender_lives = open.wait_for(|open| *open == 0).await;
    }

    /// How often anything was sent until now.
    pub fn tries(&self) -> u64 {
        self.tries.load(Ordering::SeqCst)
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last request, `n` times and false in different ways.
    pub async fn forge(&self, n: usize) -> Forged {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(last) = last else { return Forged::default() };
        let mut forged = Forged::default();
        for kind in 0..n {
            let mut letter = last.clone();
            let is_signature = |name: &str| name.contains("signature");
            match kind % 4 {
                0 => letter.headers.iter_mut().filter(|(name, _)| is_signature(name)).for_each(|(_, it)| *it = signed(b"other")),
                1 => letter.body = letter.body.replacen("entity_id", "entity_iD", 1),
                2 => letter.headers.retain(|(name, _)| !is_signature(name)),
                _ => letter.headers.iter_mut().filter(|(name, _)| is_signature(name)).for_each(|(_, it)| it.clear()),
            }
            forged.sent += 1;
            forged.accepted += u64::from((200..300).contains(&post(&self.client, &letter, 0).await));
        }
        forged
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is kept of what was sent.
struct Done {
    open: watch::Sender<u64>,
    sent: Arc<Mutex<Vec<Sent>>>,
    tries: Arc<AtomicU64>,
}

async fn run(client: Client, mut letters: mpsc::UnboundedReceiver<Letter>, done: Done) {
    while let Some(letter) = letters.recv().await {
        let mut tries = 0;
        let mut waits = WAITS.iter();
        let status = loop {
            let status = post(&client, &letter, tries).await;
            tries += 1;
            done.tries.fetch_add(1, Ordering::SeqCst);
            // Anything else is dropped at once.
            let retried = status == 0 || status == 429 || (500..600).contains(&status) && status != 505;
            match waits.next().filter(|_| letter.again && retried) {
                Some(minutes) => tokio::time::sleep(Duration::from_secs(minutes * 60) / SHORTER).await,
                None => break status,
            }
        };
        let event = letter.event.clone();
        done.sent.lock().unwrap_or_else(PoisonError::into_inner).push(Sent { event, body: letter.body, status, tries });
        done.open.send_modify(|open| *open -= 1);
    }
}

async fn post(client: &Client, letter: &Letter, retry: u32) -> u16 {
    let mut request = client.post(&letter.url).header("content-type", "application/json").body(letter.body.clone());
    for (name, value) in &letter.headers {
        request = request.header(name, value);
    }
    if letter.again {
        request = request.header("x-adobe-delivery-id", format!("delivery-{retry}"));
    }
    if retry > 0 {
        request = request.header("x-adobe-retry-count", retry.to_string());
    }
    request.send().await.map(|answer| answer.status().as_u16()).unwrap_or_default()
}
