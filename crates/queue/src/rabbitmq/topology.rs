//! Exchanges and queues: their names, and declaring them again and again.

use crate::Channel;
use futures::FutureExt as _;
use lapin::{
    Connection, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPSoftError},
    types::{AMQPValue, FieldTable, ShortString},
};
use std::{future::Future, ops::Deref, sync::Arc, time::Duration};
use tokio::sync::Mutex;

/// Longer than a broker that works takes for anything but a confirm.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The broker's answer, or an error when it takes its time.
pub(super) async fn answered<T>(asked: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "the broker does not answer").into()),
    }
}

/// A channel that is closed when it is dropped. The client itself leaves one open for ever whose consumer was not yet
/// confirmed: the broker would go on delivering to nobody.
pub(super) struct Open(lapin::Channel);

impl Open {
    pub async fn new(connection: &Connection) -> lapin::Result<Self> {
        answered(connection.create_channel()).await.map(Self)
    }
}

impl Deref for Open {
    type Target = lapin::Channel;

    fn deref(&self) -> &lapin::Channel {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // The first step queues the frame; nobody waits for the answer.
        let _ = self.0.close(200, "done".into()).now_or_never();
    }
}

/// Everything that Spindel calls its own at the broker.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    prefix: String,
    delivery_limit: u32,
    /// There is no queue of ours at this broker, only this topic exchange for changes.
    changes: Option<ShortString>,
    /// The broker refuses messages for a quorum queue that was declared twice at the same moment.
    one_at_a_time: Arc<Mutex<()>>,
}

impl Topology {
    pub fn new(prefix: &str, delivery_limit: u32) -> Self {
        Self { prefix: prefix.to_owned(), delivery_limit, changes: None, one_at_a_time: Arc::default() }
    }

    /// Nothing but the topic exchange for changes, under this name.
    pub fn of_changes(exchange: ShortString) -> Self {
        Self { prefix: String::new(), delivery_limit: 0, changes: Some(exchange), one_at_a_time: Arc::default() }
    }

    /// The direct exchange for work.
    pub fn work(&self) -> ShortString {
        format!("{}.work", self.prefix).into()
    }

    /// The exchange and the queue for what was delivered too often.
    pub fn dead(&self) -> ShortString {
        format!("{}.dead", self.prefix).into()
    }

    /// What is fresh and what comes again lie apart, so that one can be taken without the other.
    pub fn queue(&self, channel: &Channel, fresh: bool) -> ShortString {
        let prefix = &self.prefix;
        let again = if fresh { "" } else { ".again" };
        match channel {
            Channel::Plan => format!("{prefix}.plan{again}"),
            Channel::Deliver(to) => format!("{prefix}.deliver.{to}{again}"),
        }
        .into()
    }

    /// Declares what is there for all channels.
    pub async fn declare(&self, channel: &lapin::Channel) -> lapin::Result<()> {
        if let Some(changes) = &self.changes {
            return exchange(channel, changes.clone(), ExchangeKind::Topic).await;
        }
        exchange(channel, self.work(), ExchangeKind::Direct).await?;
        exchange(channel, self.dead(), ExchangeKind::Fanout).await?;
        let options = QueueDeclareOptions::durable();
        let _one_at_a_time = self.one_at_a_time.lock().await;
        answered(channel.queue_declare(self.dead(), options, quorum())).await?;
        bind(channel, self.dead(), self.dead()).await
    }

    /// A channel of its own on which this queue was declared. A queue that stands with other arguments is used as it is: to
    /// delete it is for people to decide.
    pub(super) async fn open_with(&self, connection: &Connection, queue: &ShortString) -> lapin::Result<Open> {
        let channel = Open::new(connection).await?;
        let mut arguments = quorum();
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(self.delivery_limit.cast_signed()));
        arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(self.dead().as_str().into()));
        let options = QueueDeclareOptions::durable();
        let one_at_a_time = self.one_at_a_time.lock().await;
        let declared = answered(channel.queue_declare(queue.clone(), options, arguments)).await;
        drop(one_at_a_time);
        match declared {
            Err(error) if is(&error, AMQPSoftError::PRECONDITIONFAILED) => {
                tracing::warn!(%queue, %error, "the queue was declared otherwise; delete it while it is empty and it is made anew");
                let channel = Open::new(connection).await?;
                bind(&channel, queue.clone(), self.work()).await?;
                Ok(channel)
            }
            declared => {
                declared?;
                bind(&channel, queue.clone(), self.work()).await?;
                Ok(channel)
            }
        }
    }
}

async fn exchange(channel: &lapin::Channel, name: ShortString, kind: ExchangeKind) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    answered(channel.exchange_declare(name, kind, options, FieldTable::default())).await
}

async fn bind(channel: &lapin::Channel, queue: ShortString, exchange: ShortString) -> lapin::Result<()> {
    let key = queue.clone();
    answered(channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default())).await
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments
}

/// Whether the broker closed a channel for this reason.
pub(super) fn is(error: &lapin::Error, reason: AMQPSoftError) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if *error.kind() == AMQPErrorKind::Soft(reason))
}
