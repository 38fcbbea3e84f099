//! Publishing with confirms: everything of a call is sent before the first confirm is awaited, and calls share a channel.

use super::{
    link::{Link, Live},
    lock,
    options::Options,
    topology::{Open, Topology, answered},
    wire,
};
use crate::Message;
use futures::future::{MaybeDone, join_all, maybe_done};
use lapin::{
    BasicProperties, Confirmation,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use std::{
    collections::HashSet,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// What became of one message.
#[derive(Debug)]
pub(crate) enum Outcome {
    Taken,
    /// The broker has no queue for it.
    Returned(Box<BasicReturnMessage>),
    Refused,
    /// It never left.
    Unsent,
    /// Sent, and not heard what became of it, for this reason.
    Unknown(String),
}

pub(crate) struct Parcel {
    pub exchange: ShortString,
    pub key: ShortString,
    pub mandatory: bool,
    pub properties: BasicProperties,
    pub body: Vec<u8>,
}

/// The publishing side; one channel for all.
pub(crate) struct Publisher {
    link: Link,
    topology: Topology,
    resets: watch::Sender<u64>,
    outlet: tokio::sync::Mutex<Option<Arc<Outlet>>>,
    /// How long a channel may take, and then a confirm.
    within: Duration,
}

impl Publisher {
    pub(super) fn new(link: Link, topology: Topology, resets: watch::Sender<u64>, within: Duration) -> Self {
        Self { link, topology, resets, outlet: tokio::sync::Mutex::default(), within }
    }

    /// With a connection of its own, where there is no queue.
    pub fn alone(options: Options, topology: Topology) -> Self {
        let (resets, within) = (watch::Sender::new(0), options.answer_within);
        let link = Link::start(Arc::new(options), topology.clone(), "changes", resets.clone());
        Self::new(link, topology, resets, within)
    }

    pub async fn reach(&self) -> Result<(), String> {
        by(self.deadline(), self.link.live()).await.map(drop)
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.within
    }

    pub fn trouble(&self) -> Option<String> {
        self.link.trouble()
    }

    /// Answers which messages the broker did not take, and why the first of them.
    pub async fn publish(&self, queue: &ShortString, messages: Vec<Message>) -> Result<(), (Vec<Message>, String)> {
        let outlet = match by(self.deadline(), self.outlet_to(queue)).await {
            Ok(outlet) => outlet,
            Err(reason) => return Err((messages, reason)),
        };
        let parcels = messages.iter().map(|message| self.parcel(queue.clone(), message));
        let mut outcomes = outlet.send(parcels.collect(), self.deadline()).await;
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Returned(_))) {
            outcomes = self.send_again(&outlet, outcomes).await;
        }
        let (mut left, mut why) = (Vec::new(), None);
        for (message, outcome) in messages.into_iter().zip(outcomes) {
            let reason = match outcome {
                Outcome::Taken => continue,
                Outcome::Returned(_) => "the broker has no queue for it".to_owned(),
                Outcome::Refused => "the broker refused it".to_owned(),
                Outcome::Unsent => "the connection was just lost".to_owned(),
                Outcome::Unknown(why) => why,
            };
            why.get_or_insert(reason);
            left.push(message);
        }
        match why {
            None => Ok(()),
            Some(why) => Err((left, outlet.live.blocked.borrow().clone().unwrap_or(why))),
        }
    }

    fn parcel(&self, key: ShortString, message: &Message) -> Parcel {
        let (properties, body) = (wire::properties(message.work), wire::encode(message.work));
        Parcel { exchange: self.topology.work(), key, mandatory: true, properties, body }
    }

    /// Queues that were deleted are declared once more. What a confirm brings back need not be the message that it confirms,
    /// so it goes by what was returned; whatever is mixed up by that is announced again.
    async fn send_again(&self, outlet: &Arc<Outlet>, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let mut again = Vec::new();
        let mut settled: Vec<Option<Outcome>> = Vec::new();
        for outcome in outcomes {
            let Outcome::Returned(returned) = outcome else {
                settled.push(Some(outcome));
                continue;
            };
            settled.push(None);
            again.push(Parcel {
                exchange: self.topology.work(),
                key: returned.routing_key.clone(),
                mandatory: true,
                properties: returned.properties.clone(),
                body: returned.data.clone(),
            });
        }
        // Once a queue, however many were for it.
        for key in again.iter().map(|parcel| &parcel.key).collect::<HashSet<_>>() {
            if lock(&outlet.declared).remove(key.as_str()) {
                tracing::warn!(queue = %key, "a queue is missing at the broker; declared again");
            }
            if let Err(error) = self.declare(outlet, key).await {
                tracing::debug!(queue = %key, %error, "not declared");
            }
        }
        // What else the queue held is gone with it.
        self.resets.send_modify(|resets| *resets += 1);
        let mut second = outlet.send(again, self.deadline()).await.into_iter();
        settled.into_iter().map(|first| first.or_else(|| second.next()).unwrap_or_else(unheard)).collect()
    }

    /// One message that is not for a queue of ours. Channel and confirm share the time.
    pub async fn publish_elsewhere(&self, parcel: Parcel) -> Result<Outcome, String> {
        let until = self.deadline();
        let outlet = by(until, self.outlet()).await?;
        Ok(outlet.send(vec![parcel], until).await.pop().unwrap_or_else(unheard))
    }

    async fn outlet_to(&self, queue: &ShortString) -> Result<Arc<Outlet>, String> {
        let outlet = self.outlet().await?;
        self.declare(&outlet, queue).await.map_err(|error| error.to_string())?;
        Ok(outlet)
    }

    /// Once a channel. Two at the same time do no harm.
    async fn declare(&self, outlet: &Outlet, queue: &ShortString) -> lapin::Result<()> {
        if lock(&outlet.declared).contains(queue.as_str()) {
            return Ok(());
        }
        // On a channel of its own, as what the broker objects to closes the channel with all that is under way.
        self.topology.open_with(&outlet.live.connection, queue).await?;
        lock(&outlet.declared).insert(queue.as_str().to_owned());
        Ok(())
    }

    /// The channel that is open, or a new one; an error at once when the broker takes no messages. All wait for the one who
    /// opens it, so whoever calls this has a deadline.
    async fn outlet(&self) -> Result<Arc<Outlet>, String> {
        let live = self.link.live().await?;
        if live.connection.status().blocked() {
            return Err(self.link.trouble().unwrap_or_default());
        }
        let mut outlet = self.outlet.lock().await;
        let before = match &*outlet {
            Some(outlet) if outlet.is_usable(live.number) => return Ok(Arc::clone(outlet)),
            Some(outlet) => outlet.live.number,
            None => 0,
        };
        let opened = Outlet::open(&live, &self.topology).await.map_err(|error| error.to_string())?;
        if before == live.number {
            // The broker closed the channel, so something that was declared is there no more.
            self.resets.send_modify(|resets| *resets += 1);
        }
        *outlet = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

/// A channel for publishing, and what was declared since it is open.
struct Outlet {
    live: Arc<Live>,
    channel: Open,
    declared: Mutex<HashSet<String>>,
    /// The client counts messages in one step and queues them in the next: two callers must not mix these.
    sending: Mutex<()>,
    /// Confirms were given up here, which the channel remembers for ever.
    spent: AtomicBool,
}

impl Outlet {
    async fn open(live: &Arc<Live>, topology: &Topology) -> lapin::Result<Arc<Self>> {
        let channel = Open::new(&live.connection).await?;
        topology.declare(&channel).await?;
        answered(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        let outlet = Self {
            live: Arc::clone(live),
            channel,
            declared: Mutex::default(),
            sending: Mutex::default(),
            spent: AtomicBool::new(false),
        };
        Ok(Arc::new(outlet))
    }

    fn is_usable(&self, number: u64) -> bool {
        self.live.number == number && self.channel.status().connected() && !self.spent.load(Ordering::Relaxed)
    }

    /// Sends all, then waits for all confirms. Gives up when they take too long or the broker stops taking messages.
    async fn send(&self, parcels: Vec<Parcel>, until: Instant) -> Vec<Outcome> {
        let mut sent: Vec<Pin<Box<MaybeDone<_>>>> =
            parcels.into_iter().map(|parcel| Box::pin(maybe_done(publish(&self.channel, parcel)))).collect();
        let unconfirmed = SpendOnDrop(Some(&self.spent));
        std::future::poll_fn(|cx| {
            let _in_one_step = lock(&self.sending);
            for one in &mut sent {
                let _ = one.as_mut().poll(cx);
            }
            Poll::Ready(())
        })
        .await;
        let mut blocked = self.live.blocked.clone();
        let in_time = tokio::select! {
            biased;
            _ = join_all(sent.iter_mut()) => true,
            _ = blocked.wait_for(Option::is_some) => false,
            () = tokio::time::sleep_until(until) => false,
        };
        if in_time {
            unconfirmed.keep();
        }
        sent.iter_mut().map(|one| one.as_mut().take_output().unwrap_or_else(unheard)).collect()
    }
}

fn unheard() -> Outcome {
    Outcome::Unknown("the broker did not confirm it in time".to_owned())
}

/// What was asked for, or an error when it takes longer than that.
async fn by<T>(until: Instant, asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout_at(until, asked).await.unwrap_or_else(|_| Err("the broker does not answer in time".to_owned()))
}

async fn publish(channel: &lapin::Channel, parcel: Parcel) -> Outcome {
    if !channel.status().connected() {
        return Outcome::Unsent;
    }
    let Parcel { exchange, key, mandatory, properties, body } = parcel;
    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
    let confirm = match channel.basic_publish(exchange, key, options, &body, properties).await {
        Ok(confirm) => confirm,
        Err(error) => return Outcome::Unknown(error.to_string()),
    };
    match pin!(confirm).await {
        Ok(Confirmation::Ack(None)) => Outcome::Taken,
        Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))) => Outcome::Returned(Box::new(returned)),
        Ok(Confirmation::Nack(None)) => Outcome::Refused,
        Ok(Confirmation::NotRequested) => unheard(),
        Err(error) => Outcome::Unknown(error.to_string()),
    }
}

/// Also when the caller goes away before the confirms have come.
struct SpendOnDrop<'a>(Option<&'a AtomicBool>);

impl SpendOnDrop<'_> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for SpendOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(spent) = self.0 {
            spent.store(true, Ordering::Relaxed);
        }
    }
}
