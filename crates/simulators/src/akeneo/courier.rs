//! Sends events: on the Event Platform three more tries and a suspension, in the Events API half a second and never again.

use super::events::Message;
use reqwest::Client;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
};

/// Minutes before each try after the first.
const WAITS: [u64; 3] = [5, 10, 20];

/// What became of the events until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Doubles included.
    pub sent: u64,
    pub acknowledged: u64,
    /// Never acknowledged, after all tries.
    pub dropped: u64,
    /// Not sent: the subscription was suspended.
    pub lost: u64,
    /// Tries beyond the first.
    pub retries: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Platform,
    EventsApi,
}

impl Way {
    fn timeout(self) -> Duration {
        match self {
            Self::Platform => Duration::from_secs(5),
            Self::EventsApi => Duration::from_millis(500),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Letter {
    pub url: String,
    pub message: Message,
    pub way: Way,
}

pub(crate) struct Courier {
    shared: Arc<Shared>,
    queue: mpsc::UnboundedSender<Letter>,
    task: AbortHandle,
}

struct Shared {
    client: Client,
    waits: Vec<Duration>,
    suspended: AtomicBool,
    doubles: AtomicU32,
    counts: Mutex<Sent>,
    /// Letters that are on their way.
    open: watch::Sender<u64>,
}

impl Courier {
    pub(crate) fn start(speed: u32) -> Result<Self, reqwest::Error> {
        // Fails when a provider is installed already, which serves as well.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let shared = Arc::new(Shared {
            client,
            waits: WAITS.iter().map(|minutes| Duration::from_secs(minutes * 60) / speed.max(1)).collect(),
            suspended: AtomicBool::new(false),
            doubles: AtomicU32::new(0),
            counts: Mutex::default(),
            open: watch::Sender::new(0),
        });
        let (queue, letters) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(Arc::clone(&shared), letters)).abort_handle();
        Ok(Self { shared, queue, task })
    }

    pub(crate) fn send(&self, letter: Letter) {
        let platform = letter.way == Way::Platform;
        if platform && self.is_suspended() {
            self.shared.counts().lost += 1;
            return;
        }
        let twice = platform && self.shared.doubles.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        for _ in 0..if twice { 2 } else { 1 } {
            self.shared.counts().sent += 1;
            self.shared.open.send_modify(|open| *open += 1);
            if self.queue.send(letter.clone()).is_err() {
                self.shared.close(|counts| counts.dropped += 1);
            }
        }
    }

    pub(crate) fn duplicate_next(&self, n: u32) {
        self.shared.doubles.store(n, SeqCst);
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.shared.suspended.load(SeqCst)
    }

    pub(crate) fn resume(&self) {
        self.shared.suspended.store(false, SeqCst);
    }

    pub(crate) async fn flush(&self) -> Sent {
        let mut open = self.shared.open.subscribe();
        let _courier_lives = open.wait_for(|open| *open == 0).await;
        *self.shared.counts()
    }

    /// One try outside all counts: whether it was accepted.
    pub(crate) async fn try_once(&self, url: &str, message: &Message) -> bool {
        let letter = Letter { url: url.to_owned(), message: message.clone(), way: Way::Platform };
        self.shared.post(&letter).await.is_some_and(|status| (200..300).contains(&status))
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(shared: Arc<Shared>, mut letters: mpsc::UnboundedReceiver<Letter>) {
    // Tries in flight live in the set, so that aborting this task ends them too.
    let mut flights = JoinSet::new();
    while let Some(letter) = letters.recv().await {
        while flights.try_join_next().is_some() {}
        flights.spawn(deliver(Arc::clone(&shared), letter));
    }
}

async fn deliver(shared: Arc<Shared>, letter: Letter) {
    let mut waits = shared.waits.iter().filter(|_| letter.way == Way::Platform);
    loop {
        match shared.post(&letter).await {
            Some(200..=299) => return shared.close(|counts| counts.acknowledged += 1),
            Some(404 | 300..=399) if letter.way == Way::Platform => {
                shared.suspended.store(true, SeqCst);
                return shared.close(|counts| counts.dropped += 1);
            }
            _ => {}
        }
        let Some(wait) = waits.next() else { return shared.close(|counts| counts.dropped += 1) };
        tokio::time::sleep(*wait).await;
        shared.counts().retries += 1;
    }
}

impl Shared {
    /// The answer's status, if there was one in time.
    async fn post(&self, letter: &Letter) -> Option<u16> {
        let mut request = self.client.post(&letter.url).timeout(letter.way.timeout()).body(letter.message.body.clone());
        for (name, value) in &letter.message.headers {
            request = request.header(name, value);
        }
        Some(request.send().await.ok()?.status().as_u16())
    }

    fn counts(&self) -> MutexGuard<'_, Sent> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, count: impl FnOnce(&mut Sent)) {
        count(&mut self.counts());
        self.open.send_modify(|open| *open = open.saturating_sub(1));
    }
}
