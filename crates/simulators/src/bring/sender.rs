//! Sends webhooks: bounded concurrency, a 2xx or again after half an hour, after another, and last after a whole one.

use axum::body::Bytes;
use reqwest::Client;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{AbortHandle, JoinSet},
};

/// In units of half an hour.
const WAITS: [u32; 3] = [1, 1, 2];
const AT_A_TIME: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(5);

/// One webhook as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Webhook {
    /// The value of a header, by any spelling of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// One that must not be accepted; `kind` picks the way in which it is false. A changed body is no such way: nothing is signed.
    pub(crate) fn forged(&self, header: &str, kind: usize) -> Self {
        let mut forged = self.clone();
        let right = self.header(header).unwrap_or_default().to_owned();
        forged.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header));
        let mut shortened = right;
        shortened.pop();
        match kind % 4 {
            0 => forged.headers.push((header.to_owned(), "not the secret".to_owned())),
            1 => {}
            2 => forged.headers.push((header.to_owned(), String::new())),
            _ => forged.headers.push((header.to_owned(), shortened)),
        }
        forged
    }
}

/// What became of the webhooks until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Handed to the sender, doubles included.
    pub sent: u64,
    /// Answered with a 2xx.
    pub acknowledged: u64,
    /// Never answered with a 2xx, after all retries.
    pub given_up: u64,
    pub duplicates_sent: u64,
    /// Tries beyond the first.
    pub retries: u64,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    given_up: AtomicU64,
    duplicates_sent: AtomicU64,
    retries: AtomicU64,
}

struct Shared {
    client: Client,
    unit: Duration,
    slots: Semaphore,
    doubled: AtomicU32,
    /// Webhooks that are neither acknowledged nor given up.
    open: watch::Sender<u64>,
    counts: Counts,
}

pub(crate) struct Sender {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<Webhook>,
    task: AbortHandle,
}

impl Sender {
    pub(crate) fn start(unit: Duration) -> Result<Self, reqwest::Error> {
        // Fails when a provider is installed already, which serves as well.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let shared = Arc::new(Shared {
            client,
            unit,
            slots: Semaphore::new(AT_A_TIME),
            doubled: AtomicU32::new(0),
            open: watch::Sender::new(0),
            counts: Counts::default(),
        });
        let (queue, webhooks) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(Arc::clone(&shared), webhooks)).abort_handle();
        Ok(Self { shared, queue, task })
    }

    pub(crate) fn duplicate_next(&self, n: u32) {
        self.shared.doubled.store(n, SeqCst);
    }

    pub(crate) fn send(&self, webhook: Webhook) {
        let left = self.shared.doubled.try_update(SeqCst, SeqCst, |it| it.checked_sub(1));
        if left.is_ok() {
            self.shared.counts.duplicates_sent.fetch_add(1, SeqCst);
            self.enqueue(webhook.clone());
        }
        self.enqueue(webhook);
    }

    fn enqueue(&self, webhook: Webhook) {
        self.shared.counts.sent.fetch_add(1, SeqCst);
        self.shared.open.send_modify(|open| *open += 1);
        if self.queue.send(webhook).is_err() {
            self.shared.close(&self.shared.counts.given_up);
        }
    }

    /// Waits until every webhook was acknowledged or given up.
    pub(crate) async fn flush(&self) -> Sent {
        let mut open = self.shared.open.subscribe();
        let _sender_lives = open.wait_for(|open| *open == 0).await;
        let counts = &self.shared.counts;
        Sent {
            sent: counts.sent.load(SeqCst),
            acknowledged: counts.acknowledged.load(SeqCst),
            given_up: counts.given_up.load(SeqCst),
            duplicates_sent: counts.duplicates_sent.load(SeqCst),
            retries: counts.retries.load(SeqCst),
        }
    }

    /// One try outside all counts: whether it was answered with a 2xx.
    pub(crate) async fn try_once(&self, webhook: &Webhook) -> bool {
        self.shared.post(webhook).await
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(shared: Arc<Shared>, mut webhooks: mpsc::UnboundedReceiver<Webhook>) {
    // Tries in flight live in the set, so that aborting this task ends them too.
    let mut flights = JoinSet::new();
    while let Some(webhook) = webhooks.recv().await {
        while flights.try_join_next().is_some() {}
        flights.spawn(deliver(Arc::clone(&shared), webhook));
    }
}

async fn deliver(shared: Arc<Shared>, webhook: Webhook) {
    let mut waits = WAITS.iter();
    loop {
        if shared.post(&webhook).await {
            return shared.close(&shared.counts.acknowledged);
        }
        let Some(wait) = waits.next() else { break };
        tokio::time::sleep(shared.unit.saturating_mul(*wait)).await;
        shared.counts.retries.fetch_add(1, SeqCst);
    }
    shared.close(&shared.counts.given_up);
}

impl Shared {
    async fn post(&self, webhook: &Webhook) -> bool {
        let Ok(_slot) = self.slots.acquire().await else { return false };
        let mut request = self.client.post(&webhook.url).body(webhook.body.clone());
        for (name, value) in &webhook.headers {
            request = request.header(name, value);
        }
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    fn close(&self, count: &AtomicU64) {
        count.fetch_add(1, SeqCst);
        self.open.send_modify(|open| *open = open.saturating_sub(1));
    }
}
