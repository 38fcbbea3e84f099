//! One connection to the broker, kept up: opened again and again after it was lost, with everything declared anew.

use super::{
    Background,
    options::Options,
    socket,
    topology::{Open, Topology},
};
use futures::StreamExt as _;
use lapin::{Connection, Event};
use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// Who asks right after the start waits this long for the first connection.
const FIRST_WITHIN: Duration = Duration::from_secs(3);
const WAIT_FIRST: Duration = Duration::from_millis(200);
const WAIT_MOST: Duration = Duration::from_secs(5);
/// A connection that stood for so long was a good one.
pub(super) const STEADY: Duration = Duration::from_secs(5);
/// A connection can end without an event.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A connection that stands.
pub(super) struct Live {
    pub connection: Connection,
    /// Which one it is, counted from one.
    pub number: u64,
    /// Why the broker takes no messages on it.
    pub blocked: watch::Receiver<Option<String>>,
}

impl Live {
    pub fn is_up(&self) -> bool {
        self.connection.status().connected()
    }
}

#[derive(Clone)]
enum State {
    Starting,
    Down(String),
    Up(Arc<Live>),
}

/// Cloning shares the connection. It is closed with the last clone.
#[derive(Clone)]
pub(super) struct Link {
    state: watch::Receiver<State>,
    _task: Arc<Background>,
}

impl Link {
    pub fn start(options: Arc<Options>, topology: Topology, role: &'static str, resets: watch::Sender<u64>) -> Self {
        let (sender, state) = watch::channel(State::Starting);
        let keeper = Keeper { options, topology, role, resets, state: sender, number: 0, warned: false };
        Self { state, _task: Arc::new(Background::spawn(keeper.keep())) }
    }

    /// The connection, or why there is none; at the very start it is waited for.
    pub async fn live(&self) -> Result<Arc<Live>, String> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| !matches!(state, State::Starting));
        match tokio::time::timeout(FIRST_WITHIN, settled).await {
            Ok(Ok(state)) => match &*state {
                State::Up(live) if live.is_up() => Ok(Arc::clone(live)),
                State::Down(reason) => Err(reason.clone()),
                _ => Err("the connection was just lost".into()),
            },
            _ => Err("the broker does not answer".into()),
        }
    }

    /// The connection, waited for as long as it takes.
    pub async fn up(&self) -> Arc<Live> {
        let mut state = self.state.clone();
        loop {
            if let State::Up(live) = &*state.borrow_and_update()
                && live.is_up()
            {
                return Arc::clone(live);
            }
            if state.changed().await.is_err() {
                // The keeper is gone with the queue; nobody waits for an answer any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// For people: what is wrong with it.
    pub fn trouble(&self) -> Option<String> {
        match &*self.state.borrow() {
            State::Starting => Some("no connection yet".into()),
            State::Down(reason) => Some(reason.clone()),
            State::Up(live) => {
                let blocked = live.connection.status().blocked();
                blocked.then(|| format!("the broker takes no messages: {}", blocked_by(&live.blocked.borrow())))
            }
        }
    }
}

fn blocked_by(reason: &Option<String>) -> &str {
    reason.as_deref().unwrap_or("blocked")
}

struct Keeper {
    options: Arc<Options>,
    topology: Topology,
    role: &'static str,
    resets: watch::Sender<u64>,
    state: watch::Sender<State>,
    number: u64,
    /// This outage was told of.
    warned: bool,
}

impl Keeper {
    async fn keep(mut self) {
        let mut wait = WAIT_FIRST;
        // What was asked for before the first connection may have been refused, when that took its time.
        let (mut lost, begun) = (false, Instant::now());
        loop {
            let reason = match self.open().await {
                Ok((live, blocked)) => {
                    let live = Arc::new(live);
                    // Before anybody publishes: the broker says that it is blocked as the answer to that.
                    let events = live.connection.events_listener();
                    self.state.send_replace(State::Up(Arc::clone(&live)));
                    if lost || self.number > 1 || begun.elapsed() >= FIRST_WITHIN {
                        self.resets.send_modify(|resets| *resets += 1);
                    }
                    tracing::info!(broker = self.options.place(), role = self.role, "connected to the broker");
                    (lost, self.warned) = (true, false);
                    let since = Instant::now();
                    let reason = self.stay(&live, &blocked, events).await;
                    if since.elapsed() >= STEADY {
                        wait = WAIT_FIRST;
                    }
                    reason
                }
                Err(reason) => {
                    lost = true;
                    reason
                }
            };
            self.tell(&reason);
            self.state.send_replace(State::Down(reason));
            tokio::time::sleep(wait + jitter(wait)).await;
            wait = (wait * 2).min(WAIT_MOST);
        }
    }

    async fn open(&mut self) -> Result<(Live, watch::Sender<Option<String>>), String> {
        let opening = async {
            let connection = socket::connect(&self.options, self.role).await?;
            let channel = Open::new(&connection).await?;
            self.topology.declare(&channel).await?;
            Ok::<_, lapin::Error>(connection)
        };
        let connection = match tokio::time::timeout(OPEN_WITHIN, opening).await {
            Ok(opened) => opened.map_err(|error| error.to_string())?,
            Err(_) => return Err("the broker does not answer".into()),
        };
        self.number += 1;
        let (blocked, watched) = watch::channel(None);
        Ok((Live { connection, number: self.number, blocked: watched }, blocked))
    }

    /// Resolves with the reason when the connection has ended.
    async fn stay(
        &self,
        live: &Live,
        blocked: &watch::Sender<Option<String>>,
        events: impl futures::Stream<Item = Event> + Send,
    ) -> String {
        let mut events = std::pin::pin!(events);
        let mut last = None;
        while live.is_up() {
            match tokio::time::timeout(LOOK_EVERY, events.next()).await {
                Ok(Some(Event::ConnectionBlocked(reason))) => {
                    tracing::warn!(broker = self.options.place(), role = self.role, reason, "the broker takes no messages");
                    blocked.send_replace(Some(reason));
                }
                Ok(Some(Event::ConnectionUnblocked)) => {
                    tracing::info!(broker = self.options.place(), role = self.role, "the broker takes messages again");
                    blocked.send_replace(None);
                    // What was refused meanwhile need not wait until it is announced by the clock.
                    self.resets.send_modify(|resets| *resets += 1);
                }
                Ok(Some(Event::Error(error))) => last = Some(error.to_string()),
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        last.unwrap_or_else(|| "the connection was closed".into())
    }

    /// Once an outage.
    fn tell(&mut self, reason: &str) {
        let (broker, role) = (self.options.place(), self.role);
        if self.warned {
            tracing::debug!(broker, role, reason, "still no connection to the broker");
        } else {
            tracing::warn!(broker, role, reason, "no connection to the broker; trying again");
            self.warned = true;
        }
    }
}

/// Up to half of it, so that many nodes do not come back at the same moment.
pub(super) fn jitter(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 1000;
    wait / 2 * u32::try_from(random).unwrap_or_default() / 1000
}
