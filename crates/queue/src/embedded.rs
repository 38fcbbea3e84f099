//! The queue inside the process: two lines of ids per channel, nothing on disk.

use crate::{BoxFuture, Channel, Consumer, Message, Queue, QueueError, Work, lines::Lines};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, watch};

/// Ids that a channel holds at most. What does not fit is dropped; the store announces it again.
const CAPACITY: usize = 100_000;

/// Carries ids between the tasks of one process. Cloning shares it.
#[derive(Clone)]
pub struct Embedded {
    channels: Arc<Mutex<HashMap<Channel, Arc<Line>>>>,
    capacity: usize,
}

impl Default for Embedded {
    fn default() -> Self {
        Self::new()
    }
}

impl Embedded {
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// Holds this many ids per channel.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { channels: Arc::default(), capacity }
    }

    fn line(&self, channel: &Channel) -> Arc<Line> {
        let mut channels = lock(&self.channels);
        match channels.get(channel) {
            Some(line) => Arc::clone(line),
            None => Arc::clone(channels.entry(channel.clone()).or_default()),
        }
    }
}

impl Queue for Embedded {
    fn publish(&self, channel: &Channel, messages: Vec<Message>) -> BoxFuture<'_, Result<(), QueueError>> {
        let line = self.line(channel);
        let channel = channel.clone();
        Box::pin(async move {
            let dropped = line.add(&messages, self.capacity);
            if dropped > 0 {
                tracing::debug!(?channel, dropped, "the queue is full; the store announces again what did not fit");
            }
            Ok(())
        })
    }

    fn consume(&self, channel: &Channel, _prefetch: u16) -> BoxFuture<'_, Result<Box<dyn Consumer>, QueueError>> {
        let line = self.line(channel);
        Box::pin(async move { Ok(Box::new(Taker { line, taken: HashMap::new() }) as Box<dyn Consumer>) })
    }

    fn depth(&self, channel: &Channel) -> BoxFuture<'_, Result<usize, QueueError>> {
        let line = self.line(channel);
        Box::pin(async move { Ok(lock(&line.waiting).known.len()) })
    }

    /// It lives and dies with its process, and that announces all anew when it starts.
    fn resets(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}

/// What waits in one channel.
#[derive(Default)]
struct Line {
    waiting: Mutex<Waiting>,
    added: Notify,
}

#[derive(Default)]
struct Waiting {
    lines: Lines<Work>,
    /// All that is in either line, so that a repeated announcement takes no second place.
    known: HashSet<Work>,
}

impl Line {
    /// Answers how many did not fit.
    fn add(&self, messages: &[Message], capacity: usize) -> usize {
        let mut waiting = lock(&self.waiting);
        let mut dropped = 0;
        for message in messages {
            if waiting.known.contains(&message.work) {
                continue;
            }
            if waiting.known.len() >= capacity {
                dropped += 1;
                continue;
            }
            waiting.known.insert(message.work);
            waiting.lines.line(message.fresh).push_back(message.work);
        }
        drop(waiting);
        self.added.notify_waiters();
        dropped
    }

    /// Puts back at the front what a consumer took and did not finish.
    fn put_back(&self, messages: impl Iterator<Item = Message>) {
        let mut waiting = lock(&self.waiting);
        for message in messages {
            if waiting.known.insert(message.work) {
                waiting.lines.line(message.fresh).push_front(message.work);
            }
        }
        drop(waiting);
        self.added.notify_waiters();
    }
}

impl Waiting {
    fn take(&mut self, max: usize, again: usize) -> Vec<Message> {
        let taken = self.lines.take(max, again);
        let messages = taken.into_iter().map(|(work, fresh)| Message { work, fresh });
        messages.inspect(|message| _ = self.known.remove(&message.work)).collect()
    }
}

/// Takes messages and remembers them until they are acknowledged.
struct Taker {
    line: Arc<Line>,
    /// Whether each was fresh.
    taken: HashMap<Work, bool>,
}

impl Consumer for Taker {
    fn receive(&mut self, max: usize, again: usize) -> BoxFuture<'_, Result<Vec<Message>, QueueError>> {
        Box::pin(async move {
            loop {
                let added = self.line.added.notified();
                tokio::pin!(added);
                // Listen before looking, so that what is published between the two is not missed.
                added.as_mut().enable();
                let messages = lock(&self.line.waiting).take(max.max(1), again);
                if !messages.is_empty() {
                    self.taken.extend(messages.iter().map(|message| (message.work, message.fresh)));
                    return Ok(messages);
                }
                added.await;
            }
        })
    }

    fn acknowledge(&mut self, messages: &[Message]) -> BoxFuture<'_, Result<(), QueueError>> {
        for message in messages {
            self.taken.remove(&message.work);
        }
        Box::pin(async { Ok(()) })
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        if !self.taken.is_empty() {
            self.line.put_back(self.taken.drain().map(|(work, fresh)| Message { work, fresh }));
        }
    }
}

/// A panic elsewhere leaves these lists whole: every change to them is complete before the lock is released.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
