//! Sends messages one after another, each once: what is not answered 200 within three seconds is lost.

use crate::shipmondo::webhooks::Message;
use reqwest::Client;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};

const TIMEOUT: Duration = Duration::from_secs(3);

/// What became of the messages until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub sent: u64,
    /// Answered 200.
    pub acknowledged: u64,
    /// Answered otherwise, late, or not at all.
    pub lost: u64,
    /// Of those sent, the ones that had been sent before.
    pub again: u64,
}

pub(crate) struct Sender {
    client: Client,
    sent: Arc<Mutex<Sent>>,
    /// Messages that are neither acknowledged nor lost.
    open: watch::Sender<u64>,
    queue: mpsc::UnboundedSender<Message>,
    task: AbortHandle,
}

impl Sender {
    pub(crate) fn start() -> Result<Self, reqwest::Error> {
        // Fails when a provider is installed already, which serves as well.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        let (queue, messages) = mpsc::unbounded_channel();
        let (sent, open) = (Arc::<Mutex<Sent>>::default(), watch::Sender::new(0));
        let task = tokio::spawn(run(client.clone(), messages, Arc::clone(&sent), open.clone())).abort_handle();
        Ok(Self { client, sent, open, queue, task })
    }

    pub(crate) fn send(&self, message: Message) {
        self.open.send_modify(|open| *open += 1);
        count(&self.sent, |sent| sent.sent += 1);
        if self.queue.send(message).is_err() {
            count(&self.sent, |sent| sent.lost += 1);
            self.open.send_modify(|open| *open = open.saturating_sub(1));
        }
    }

    pub(crate) fn send_again(&self, message: Message) {
        count(&self.sent, |sent| sent.again += 1);
        self.send(message);
    }

    /// One try outside all counts: whether it was answered 200.
    pub(crate) async fn try_once(&self, message: &Message) -> bool {
        post(&self.client, message).await
    }

    pub(crate) async fn flush(&self) -> Sent {
        let mut open = self.open.subscribe();
        let _sender_lives = open.wait_for(|open| *open == 0).await;
        self.sent()
    }

    pub(crate) fn sent(&self) -> Sent {
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(client: Client, mut messages: mpsc::UnboundedReceiver<Message>, sent: Arc<Mutex<Sent>>, open: watch::Sender<u64>) {
    while let Some(message) = messages.recv().await {
        let acknowledged = post(&client, &message).await;
        count(&sent, |sent| if acknowledged { sent.acknowledged += 1 } else { sent.lost += 1 });
        open.send_modify(|open| *open = open.saturating_sub(1));
    }
}

async fn post(client: &Client, message: &Message) -> bool {
    let mut request = client.post(&message.url).body(message.body());
    for (name, value) in &message.headers {
        request = request.header(*name, value);
    }
    request.send().await.is_ok_and(|answer| answer.status() == reqwest::StatusCode::OK)
}

fn count(sent: &Mutex<Sent>, add: impl FnOnce(&mut Sent)) {
    add(&mut sent.lock().unwrap_or_else(PoisonError::into_inner));
}
