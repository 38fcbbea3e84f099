//! Sends the webhooks of simulated payment providers: with each vendor's own waits between tries, signed anew for each try,
//! one after another where the vendor does so, and on demand doubled, shuffled and lost.

use crate::shopify::{Delivery, Sent};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reqwest::Client;
use sha2::Sha256;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
};

const TIMEOUT: Duration = Duration::from_secs(10);
/// A window that nothing fills any more is sent after this long.
const WINDOW_IDLE: Duration = Duration::from_millis(20);

/// One webhook as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The vendor's word for what it is about.
    pub topic: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Webhook {
    /// The value of a header, by any spelling of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn set_header(&mut self, name: &str, value: String) {
        if let Some((_, old)) = self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            *old = value;
        }
    }

    /// One that must not be accepted; `kind` picks the way in which it is false. `signature` is the header that carries it.
    pub(crate) fn forged(&self, kind: usize, signature: &str, other: String) -> Self {
        let mut forged = self.clone();
        match kind % 4 {
            0 => forged.set_header(signature, other),
            1 => {
                let mut body = self.body.to_vec();
                let middle = body.len() / 2;
                if let Some(byte) = body.get_mut(middle) {
                    *byte ^= 1;
                }
                forged.body = body.into();
            }
            2 => forged.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(signature)),
            _ => forged.set_header(signature, String::new()),
        }
        forged
    }
}

pub(crate) type Headers = Arc<dyn Fn() -> Vec<(String, String)> + Send + Sync>;

/// A webhook on its way to one address.
pub(crate) struct Letter {
    pub url: String,
    pub body: Bytes,
    /// Made for every try: a signature may carry its time.
    pub headers: Headers,
    /// One that fails is sent again.
    pub again: bool,
    /// Letters of a lane go one after another: one that is not accepted holds up the later ones.
    pub lane: Option<String>,
}

pub(crate) struct Settings {
    pub seed: u64,
    /// Before each try after the first.
    pub waits: Vec<Duration>,
    /// Which statuses count as received.
    pub accepts: fn(u16) -> bool,
}

pub(crate) struct Post {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<Letter>,
    task: AbortHandle,
}

struct Shared {
    client: Client,
    settings: Settings,
    delivery: Mutex<Delivery>,
    rng: Mutex<StdRng>,
    sent: Mutex<Sent>,
    /// Letters that are neither acknowledged nor given up.
    open: watch::Sender<u64>,
}

impl Post {
    pub(crate) fn start(settings: Settings) -> Result<Self, reqwest::Error> {
        // Fails when a provider is installed already, which serves as well.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let shared = Arc::new(Shared {
            client,
            rng: Mutex::new(StdRng::seed_from_u64(settings.seed)),
            settings,
            delivery: Mutex::default(),
            sent: Mutex::default(),
            open: watch::Sender::new(0),
        });
        let (queue, letters) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(Arc::clone(&shared), letters)).abort_handle();
        Ok(Self { shared, queue, task })
    }

    pub(crate) fn set_delivery(&self, delivery: Delivery) {
        *lock(&self.shared.delivery) = delivery;
    }

    pub(crate) fn send(&self, letter: Letter) {
        self.shared.open.send_modify(|open| *open += 1);
        if self.queue.send(letter).is_err() {
            self.shared.close(|sent| sent.given_up += 1);
        }
    }

    /// Waits until every letter was acknowledged or given up.
    pub(crate) async fn flush(&self) -> Sent {
        let mut open = self.shared.open.subscribe();
        let _sender_lives = open.wait_for(|open| *open == 0).await;
        self.sent()
    }

    pub(crate) fn sent(&self) -> Sent {
        *lock(&self.shared.sent)
    }

    /// One try outside all counts: whether it was accepted.
    pub(crate) async fn try_once(&self, url: &str, webhook: &Webhook) -> bool {
        self.shared.post(url, &webhook.headers, webhook.body.clone()).await
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(shared: Arc<Shared>, mut letters: mpsc::UnboundedReceiver<Letter>) {
    // Tries in flight live in the set, so that aborting this task ends them too.
    let mut flights = JoinSet::new();
    let mut lanes: BTreeMap<String, mpsc::UnboundedSender<Arc<Letter>>> = BTreeMap::new();
    let mut window: Vec<Letter> = Vec::new();
    while let Some(letter) = next_letter(&shared, &mut letters, &mut window).await {
        while flights.try_join_next().is_some() {}
        let Delivery { drop, duplicates, .. } = *lock(&shared.delivery);
        if shared.chance(drop) {
            shared.close(|sent| sent.dropped += 1);
            continue;
        }
        let copies = if shared.chance(duplicates) { 2 } else { 1 };
        if copies == 2 {
            shared.open.send_modify(|open| *open += 1);
            lock(&shared.sent).duplicates_sent += 1;
        }
        let letter = Arc::new(letter);
        for _ in 0..copies {
            lock(&shared.sent).sent += 1;
            match &letter.lane {
                None => {
                    flights.spawn(deliver(Arc::clone(&shared), Arc::clone(&letter)));
                }
                Some(lane) => {
                    let queue = lanes.entry(lane.clone()).or_insert_with(|| {
                        let (queue, mut waiting) = mpsc::unbounded_channel::<Arc<Letter>>();
                        let shared = Arc::clone(&shared);
                        flights.spawn(async move {
                            while let Some(letter) = waiting.recv().await {
                                deliver(Arc::clone(&shared), letter).await;
                            }
                        });
                        queue
                    });
                    let _lane_lives = queue.send(Arc::clone(&letter));
                }
            }
        }
    }
}

/// The next letter in the order of sending: a random one of the window.
async fn next_letter(shared: &Shared, letters: &mut mpsc::UnboundedReceiver<Letter>, window: &mut Vec<Letter>) -> Option<Letter> {
    let size = lock(&shared.delivery).reorder_window.max(1);
    if window.is_empty() {
        window.push(letters.recv().await?);
    }
    while window.len() < size {
        match tokio::time::timeout(WINDOW_IDLE, letters.recv()).await {
            Ok(Some(letter)) => window.push(letter),
            Ok(None) | Err(_) => break,
        }
    }
    let pick = lock(&shared.rng).random_range(0..window.len());
    Some(window.swap_remove(pick))
}

async fn deliver(shared: Arc<Shared>, letter: Arc<Letter>) {
    let mut waits = shared.settings.waits.iter();
    while !shared.post(&letter.url, &(letter.headers)(), letter.body.clone()).await {
        let Some(wait) = waits.next().filter(|_| letter.again) else {
            shared.close(|sent| sent.given_up += 1);
            return;
        };
        tokio::time::sleep(*wait).await;
        lock(&shared.sent).retries += 1;
    }
    shared.close(|sent| sent.acknowledged += 1);
}

impl Shared {
    async fn post(&self, url: &str, headers: &[(String, String)], body: Bytes) -> bool {
        let mut request = self.client.post(url).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) => (self.settings.accepts)(answer.status().as_u16()),
            Err(_) => false,
        }
    }

    fn close(&self, count: impl FnOnce(&mut Sent)) {
        count(&mut lock(&self.sent));
        self.open.send_modify(|open| *open = open.saturating_sub(1));
    }

    fn chance(&self, share: f64) -> bool {
        share > 0.0 && lock(&self.rng).random_bool(share.min(1.0))
    }
}

/// The vendor's waits, so many times shorter.
pub(crate) fn shortened(seconds: &[u64], speed: u32) -> Vec<Duration> {
    seconds.iter().map(|it| Duration::from_secs(*it) / speed.max(1)).collect()
}

pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key);
    let Ok(mut mac) = mac else { unreachable!("HMAC takes a key of any length") };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
