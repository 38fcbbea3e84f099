//! Feeds: each takes one queue of the broker into the inbox of a consumer, and attaches anew whenever it was cut off.

use super::{
    Background, Shared,
    link::{Live, STEADY, jitter},
    lock,
    topology::{Open, answered},
    window::Window,
    wire,
};
use crate::{Work, lines::Lines};
use futures::{FutureExt as _, StreamExt as _};
use lapin::{
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, futures::Notified, oneshot};

const WAIT_FIRST: Duration = Duration::from_millis(200);
const WAIT_MOST: Duration = Duration::from_secs(5);

/// Names one delivery to the broker.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    pub fresh: bool,
    /// Which channel it came on: numbers begin anew with each.
    epoch: u64,
    tag: u64,
}

/// What has arrived from the broker and was not yet taken, at most the prefetch of both feeds.
#[derive(Default)]
pub(super) struct Inbox {
    lines: Mutex<Lines<(Work, Ticket)>>,
    arrived: Notify,
    /// Of fresh work, and of what comes again.
    desks: [Mutex<Desk>; 2],
}

/// Where the deliveries of one feed are acknowledged.
#[derive(Default)]
struct Desk {
    epoch: u64,
    channel: Option<lapin::Channel>,
    window: Window,
    /// The last that had been delivered when old ones were looked for.
    looked_at: u64,
}

impl Desk {
    /// Only queues the frames. In the same step as the reckoning, as the broker takes offence at another order.
    fn done(&mut self, tags: &[u64]) {
        let Some(channel) = &self.channel else { return };
        for ack in self.window.done(tags) {
            let _ = channel.basic_ack(ack.tag, BasicAckOptions { multiple: ack.multiple }).now_or_never();
        }
    }
}

impl Inbox {
    pub fn arrived(&self) -> Notified<'_> {
        self.arrived.notified()
    }

    pub fn take(&self, max: usize, again: usize) -> Vec<(Work, Ticket)> {
        lock(&self.lines).take(max, again).into_iter().map(|(one, _)| one).collect()
    }

    /// Those of a channel that is gone come again.
    pub fn done(&self, tickets: &[Ticket]) {
        for fresh in [true, false] {
            let mut desk = lock(self.desk(fresh));
            let ours = tickets.iter().filter(|ticket| ticket.fresh == fresh && ticket.epoch == desk.epoch);
            let tags: Vec<u64> = ours.map(|ticket| ticket.tag).collect();
            if !tags.is_empty() {
                desk.done(&tags);
            }
        }
    }

    fn desk(&self, fresh: bool) -> &Mutex<Desk> {
        &self.desks[usize::from(!fresh)]
    }

    fn attach(&self, fresh: bool, channel: lapin::Channel) -> u64 {
        let mut desk = lock(self.desk(fresh));
        *desk = Desk { epoch: desk.epoch + 1, channel: Some(channel), ..Desk::default() };
        desk.epoch
    }

    /// What was not taken from here comes again to whoever is attached then.
    fn detach(&self, fresh: bool) {
        lock(self.desk(fresh)).channel = None;
        lock(&self.lines).line(fresh).clear();
    }

    /// Lets go of what was here when it was called before: the broker takes the channel from who holds a message for too
    /// long. What was not taken is dropped, as it is announced again; answers how much that was.
    fn let_go(&self, fresh: bool) -> usize {
        let mut desk = lock(self.desk(fresh));
        let (epoch, last) = (desk.epoch, desk.looked_at);
        let old = desk.window.open_up_to(last);
        desk.done(&old);
        desk.looked_at = desk.window.last();
        drop(desk);
        let mut lines = lock(&self.lines);
        let line = lines.line(fresh);
        let before = line.len();
        line.retain(|(_, ticket)| ticket.epoch != epoch || ticket.tag > last);
        before - line.len()
    }

    fn put(&self, queue: &ShortString, epoch: u64, fresh: bool, deliveries: Vec<Delivery>) {
        let (mut messages, mut unreadable) = (Vec::with_capacity(deliveries.len()), Vec::new());
        let mut desk = lock(self.desk(fresh));
        for delivery in deliveries {
            let tag = delivery.delivery_tag;
            desk.window.open(tag);
            match wire::decode(&delivery.data) {
                Some(work) => messages.push((work, Ticket { fresh, epoch, tag })),
                None => unreadable.push(tag),
            }
        }
        if !unreadable.is_empty() {
            metrics::counter!("spindel_queue_unreadable_messages_total").increment(unreadable.len() as u64);
            tracing::warn!(%queue, count = unreadable.len(), "messages that are not Spindel's, or of another version, were dropped");
            desk.done(&unreadable);
        }
        drop(desk);
        if !messages.is_empty() {
            lock(&self.lines).line(fresh).extend(messages);
            self.arrived.notify_waiters();
        }
    }
}

/// Starts a feed; the receiver resolves when it is attached, or will not be soon.
pub(super) fn start(
    shared: &Arc<Shared>,
    inbox: &Arc<Inbox>,
    queue: ShortString,
    fresh: bool,
    prefetch: u16,
) -> (Background, oneshot::Receiver<()>) {
    let (settled, wait) = oneshot::channel();
    let feed = Feed { shared: Arc::clone(shared), inbox: Arc::clone(inbox), queue, fresh, prefetch, settled: Some(settled) };
    (Background::spawn(feed.keep()), wait)
}

struct Feed {
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    queue: ShortString,
    fresh: bool,
    prefetch: u16,
    settled: Option<oneshot::Sender<()>>,
}

impl Feed {
    async fn keep(mut self) {
        let mut wait = WAIT_FIRST;
        let mut attached_on = 0;
        loop {
            if self.shared.consuming.live().await.is_err() {
                self.settle();
            }
            let live = self.shared.consuming.up().await;
            match self.attach(&live).await {
                Ok((channel, consumer)) => {
                    self.shared.clear_trouble(&self.queue);
                    if attached_on == live.number {
                        tracing::info!(queue = %self.queue, "attached to the queue again");
                        // The queue was deleted or its channel closed: what it held may be gone.
                        self.shared.resets.send_modify(|resets| *resets += 1);
                    }
                    attached_on = live.number;
                    let epoch = self.inbox.attach(self.fresh, channel.clone());
                    self.settle();
                    let since = Instant::now();
                    let reason = self.pass_on(epoch, consumer).await;
                    self.inbox.detach(self.fresh);
                    if live.is_up() {
                        tracing::warn!(queue = %self.queue, reason, "the broker ended a consumer; attaching again");
                    }
                    if since.elapsed() >= STEADY {
                        wait = WAIT_FIRST;
                    }
                }
                Err(error) if live.is_up() => self.shared.note_trouble(&self.queue, &error),
                Err(_) => {}
            }
            self.settle();
            tokio::time::sleep(wait + jitter(wait)).await;
            wait = (wait * 2).min(WAIT_MOST);
        }
    }

    fn settle(&mut self) {
        if let Some(settled) = self.settled.take() {
            let _ = settled.send(());
        }
    }

    async fn attach(&self, live: &Live) -> lapin::Result<(Open, lapin::Consumer)> {
        let channel = self.shared.topology.open_with(&live.connection, &self.queue).await?;
        let consumer = consume(&channel, &self.queue, self.prefetch).await?;
        Ok((channel, consumer))
    }

    /// Until there is no more; all that is there at a time at once.
    async fn pass_on(&self, epoch: u64, mut consumer: lapin::Consumer) -> String {
        // What is here at one look has waited for at least one round at the next, and for two at most.
        let round = self.shared.options.hold_at_most / 2;
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + round, round);
        loop {
            let mut next = tokio::select! {
                next = consumer.next() => next,
                _ = look.tick() => {
                    let dropped = self.inbox.let_go(self.fresh);
                    if dropped > 0 {
                        tracing::debug!(queue = %self.queue, dropped, "held for long and dropped; the store announces it again");
                    }
                    continue;
                }
            };
            if next.is_none() {
                return "cancelled".into();
            }
            let mut deliveries = Vec::new();
            while let Some(delivery) = next {
                match delivery {
                    Ok(delivery) => deliveries.push(delivery),
                    Err(error) => return error.to_string(),
                }
                next = consumer.next().now_or_never().flatten();
            }
            self.inbox.put(&self.queue, epoch, self.fresh, deliveries);
        }
    }
}

/// A consumer that is to acknowledge, on this channel.
pub(super) async fn consume(channel: &Open, queue: &ShortString, prefetch: u16) -> lapin::Result<lapin::Consumer> {
    answered(channel.basic_qos(prefetch, BasicQosOptions { global: false })).await?;
    let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
    answered(channel.basic_consume(queue.clone(), tag, options, FieldTable::default())).await
}
