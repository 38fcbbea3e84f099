//! Sends webhooks: bounded concurrency, five seconds to a 2xx, up to eight retries with the original payload,
//! and on demand doubled, shuffled and lost ones.

use crate::shopify::webhooks::{WEBHOOK_ID, Webhook};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Client;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::{AbortHandle, JoinSet},
};

const RETRIES: u32 = 8;
const TIMEOUT: Duration = Duration::from_secs(5);
/// A window that nothing fills any more is sent after this long.
const WINDOW_IDLE: Duration = Duration::from_millis(20);

/// How badly the way to the target behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delivery {
    /// Share of webhooks that are sent twice, with the same ids.
    pub duplicates: f64,
    /// This many webhooks wait together, and leave in random order; 0 and 1 keep the order of sending.
    pub reorder_window: usize,
    /// Share of webhooks that are never sent.
    pub drop: f64,
}

/// What became of the webhooks until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Handed to the sender, doubles included, dropped ones not.
    pub sent: u64,
    /// Answered with a 2xx.
    pub acknowledged: u64,
    /// Never answered with a 2xx, after all retries.
    pub given_up: u64,
    pub duplicates_sent: u64,
    pub dropped: u64,
    /// Tries beyond the first.
    pub retries: u64,
}

/// A subscription made through the API; deleted after eight failures in a row.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub id: u64,
    /// `ORDERS_CREATE`.
    pub topic: String,
    pub uri: String,
    pub name: Option<String>,
    pub filter: Option<String>,
    pub include_fields: Vec<String>,
    pub created_at: jiff::Timestamp,
    pub failures: u32,
}

pub(crate) struct Settings {
    pub seed: u64,
    pub concurrency: usize,
    pub retry_base: Duration,
}

pub(crate) struct Sender {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<Job>,
    task: AbortHandle,
}

struct Job {
    webhook: Webhook,
    url: String,
    subscription: Option<u64>,
}

struct Shared {
    client: Client,
    /// The next webhook goes to the first.
    targets: Mutex<VecDeque<String>>,
    delivery: Mutex<Delivery>,
    subscriptions: Mutex<Vec<Subscription>>,
    rng: Mutex<StdRng>,
    slots: Arc<Semaphore>,
    retry_base: Duration,
    /// Webhooks that are neither acknowledged nor given up.
    open: watch::Sender<u64>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    acknowledged: AtomicU64,
    given_up: AtomicU64,
    duplicates_sent: AtomicU64,
    dropped: AtomicU64,
    retries: AtomicU64,
}

impl Sender {
    pub(crate) fn start(settings: Settings) -> Result<Self, reqwest::Error> {
        // Fails when a provider is installed already, which serves as well.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let shared = Arc::new(Shared {
            client,
            targets: Mutex::default(),
            delivery: Mutex::default(),
            subscriptions: Mutex::default(),
            rng: Mutex::new(StdRng::seed_from_u64(settings.seed)),
            slots: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            retry_base: settings.retry_base,
            open: watch::Sender::new(0),
            counts: Counts::default(),
        });
        let (queue, jobs) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(Arc::clone(&shared), jobs)).abort_handle();
        Ok(Self { shared, queue, task })
    }

    pub(crate) fn set_targets(&self, urls: Vec<String>) {
        *lock(&self.shared.targets) = urls.into();
    }

    pub(crate) fn set_delivery(&self, delivery: Delivery) {
        *lock(&self.shared.delivery) = delivery;
    }

    pub(crate) fn subscriptions(&self) -> MutexGuard<'_, Vec<Subscription>> {
        lock(&self.shared.subscriptions)
    }

    /// Sends to a target, if one is set, and to every subscription to the topic.
    pub(crate) fn send(&self, webhook: Webhook) {
        let topic = webhook.topic.replace('/', "_").to_uppercase();
        let subscribed: Vec<(u64, String)> = self
            .subscriptions()
            .iter()
            .filter(|subscription| subscription.topic == topic)
            .map(|subscription| (subscription.id, subscription.uri.clone()))
            .collect();
        for (id, url) in subscribed {
            let mut webhook = webhook.clone();
            let webhook_id = uuid::Builder::from_random_bytes(lock(&self.shared.rng).random());
            webhook.set_header(WEBHOOK_ID, webhook_id.into_uuid().to_string());
            self.enqueue(Job { webhook, url, subscription: Some(id) });
        }
        if let Some(url) = self.target() {
            self.enqueue(Job { webhook, url, subscription: None });
        }
    }

    /// Each in its turn.
    fn target(&self) -> Option<String> {
        let mut targets = lock(&self.shared.targets);
        let several = targets.len() > 1;
        targets.rotate_left(usize::from(several));
        targets.front().cloned()
    }

    fn enqueue(&self, job: Job) {
        self.shared.open.send_modify(|open| *open += 1);
        if self.queue.send(job).is_err() {
            self.shared.close(&self.shared.counts.given_up);
        }
    }

    /// Waits until every webhook was acknowledged or given up.
    pub(crate) async fn flush(&self) -> Sent {
        let mut open = self.shared.open.subscribe();
        let _sender_lives = open.wait_for(|open| *open == 0).await;
        self.sent()
    }

    pub(crate) fn sent(&self) -> Sent {
        let counts = &self.shared.counts;
        Sent {
            sent: counts.sent.load(SeqCst),
            acknowledged: counts.acknowledged.load(SeqCst),
            given_up: counts.given_up.load(SeqCst),
            duplicates_sent: counts.duplicates_sent.load(SeqCst),
            dropped: counts.dropped.load(SeqCst),
            retries: counts.retries.load(SeqCst),
        }
    }

    /// One try to the target, outside all counts: whether it was answered with a 2xx. `None` without a target.
    pub(crate) async fn try_once(&self, webhook: &Webhook) -> Option<bool> {
        let url = self.target()?;
        Some(self.shared.post(&url, webhook).await)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(shared: Arc<Shared>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    // Tries in flight live in the set, so that aborting this task ends them too.
    let mut flights = JoinSet::new();
    let mut window: Vec<Job> = Vec::new();
    while let Some(job) = next_job(&shared, &mut jobs, &mut window).await {
        while flights.try_join_next().is_some() {}
        let Delivery { drop, duplicates, .. } = *lock(&shared.delivery);
        if shared.chance(drop) {
            shared.close(&shared.counts.dropped);
            continue;
        }
        let copies = if shared.chance(duplicates) { 2 } else { 1 };
        if copies == 2 {
            shared.open.send_modify(|open| *open += 1);
            shared.counts.duplicates_sent.fetch_add(1, SeqCst);
        }
        let job = Arc::new(job);
        for _ in 0..copies {
            shared.counts.sent.fetch_add(1, SeqCst);
            // Waiting here bounds the flights as well as the connections.
            let Ok(slot) = Arc::clone(&shared.slots).acquire_owned().await else { return };
            flights.spawn(deliver(Arc::clone(&shared), Arc::clone(&job), slot));
        }
    }
}

/// The next job in the order of sending: a random one of the window.
async fn next_job(shared: &Shared, jobs: &mut mpsc::UnboundedReceiver<Job>, window: &mut Vec<Job>) -> Option<Job> {
    let size = lock(&shared.delivery).reorder_window.max(1);
    if window.is_empty() {
        window.push(jobs.recv().await?);
    }
    while window.len() < size {
        match tokio::time::timeout(WINDOW_IDLE, jobs.recv()).await {
            Ok(Some(job)) => window.push(job),
            Ok(None) | Err(_) => break,
        }
    }
    let pick = lock(&shared.rng).random_range(0..window.len());
    Some(window.swap_remove(pick))
}

async fn deliver(shared: Arc<Shared>, job: Arc<Job>, slot: tokio::sync::OwnedSemaphorePermit) {
    let mut slot = Some(slot);
    for retry in 0..=RETRIES {
        if shared.post(&job.url, &job.webhook).await {
            shared.note_subscription(&job, true);
            shared.close(&shared.counts.acknowledged);
            return;
        }
        shared.note_subscription(&job, false);
        if retry == RETRIES {
            break;
        }
        // A webhook that waits for its next try holds back no other.
        drop(slot.take());
        tokio::time::sleep(shared.retry_base.saturating_mul(1 << retry)).await;
        slot = Arc::clone(&shared.slots).acquire_owned().await.ok();
        shared.counts.retries.fetch_add(1, SeqCst);
    }
    shared.close(&shared.counts.given_up);
}

impl Shared {
    async fn post(&self, url: &str, webhook: &Webhook) -> bool {
        let mut request = self.client.post(url).body(webhook.body.clone());
        for (name, value) in &webhook.headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) => answer.status().is_success(),
            Err(_) => false,
        }
    }

    fn close(&self, count: &AtomicU64) {
        count.fetch_add(1, SeqCst);
        self.open.send_modify(|open| *open = open.saturating_sub(1));
    }

    fn chance(&self, share: f64) -> bool {
        share > 0.0 && lock(&self.rng).random_bool(share.min(1.0))
    }

    fn note_subscription(&self, job: &Job, acknowledged: bool) {
        let Some(id) = job.subscription else { return };
        let mut subscriptions = lock(&self.subscriptions);
        if let Some(subscription) = subscriptions.iter_mut().find(|subscription| subscription.id == id) {
            subscription.failures = if acknowledged { 0 } else { subscription.failures + 1 };
        }
        subscriptions.retain(|subscription| subscription.failures < RETRIES);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
