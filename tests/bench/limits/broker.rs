//! Hand-over through a quorum queue: ids in, confirmed; ids out, their bodies read back; acknowledged many at a time once
//! the outcome is recorded.

use super::{Committed, Parcel, postgres};
use anyhow::Context as _;
use futures::{StreamExt as _, stream::FuturesUnordered};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use std::collections::{BTreeSet, HashMap};
use tokio::sync::mpsc;
use tokio_postgres::Client;

const QUEUE: &str = "events";
const PREFETCH: u16 = 512;
/// Bodies that are read in one statement.
const READ: usize = 128;
const UNCONFIRMED: usize = 1024;
const PERSISTENT: u8 = 2;

pub async fn start(
    amqp: &str,
    database: &str,
    committed: mpsc::Receiver<Committed>,
    parcels: mpsc::Sender<Parcel>,
    recorded: mpsc::UnboundedReceiver<u64>,
) -> anyhow::Result<()> {
    let publishing = Connection::connect(amqp, ConnectionProperties::default()).await?;
    let channel = publishing.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments).await?;

    let consuming = Connection::connect(amqp, ConnectionProperties::default()).await?;
    let inbound = consuming.create_channel().await?;
    inbound.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let consumer = inbound.basic_consume(QUEUE.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
    let reader = postgres::connect(database).await?;
    end_with(async move {
        let _open = publishing;
        publish(channel, committed).await
    });
    end_with(async move { read(consumer, reader, parcels).await });
    end_with(async move {
        let _open = consuming;
        acknowledge(inbound, recorded).await
    });
    Ok(())
}

/// Nothing is worth measuring once one of them has failed.
fn end_with(task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
    tokio::spawn(async move {
        if let Err(error) = task.await {
            eprintln!("{error:#}");
            std::process::exit(1);
        }
    });
}

async fn publish(channel: Channel, mut committed: mpsc::Receiver<Committed>) -> anyhow::Result<()> {
    let mut confirms = FuturesUnordered::new();
    loop {
        tokio::select! {
            next = committed.recv(), if confirms.len() < UNCONFIRMED => {
                let Some((id, _)) = next else { return Ok(()) };
                let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
                let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
                let sent = channel.basic_publish("".into(), QUEUE.into(), options, &id.to_be_bytes(), properties).await?;
                confirms.push(sent);
            }
            Some(confirm) = confirms.next() => {
                anyhow::ensure!(confirm?.is_ack(), "the broker refused a message");
            }
        }
    }
}

async fn read(consumer: Consumer, client: Client, parcels: mpsc::Sender<Parcel>) -> anyhow::Result<()> {
    let select = client.prepare("select id, body from events where id = any($1)").await?;
    let mut chunks = consumer.ready_chunks(READ);
    while let Some(chunk) = chunks.next().await {
        let mut tags = HashMap::new();
        for message in chunk {
            let message = message?;
            let id = i64::from_be_bytes(message.data.as_slice().try_into().context("a message that is no id")?);
            tags.insert(id, message.delivery_tag);
        }
        let ids: Vec<i64> = tags.keys().copied().collect();
        for row in client.query(&select, &[&ids]).await? {
            let id = row.get(0);
            let tag = tags.get(&id).copied().unwrap_or_default();
            parcels.send(Parcel { id, tag, body: row.get::<_, Vec<u8>>(1).into() }).await?;
        }
    }
    anyhow::bail!("the consumer ended")
}

async fn acknowledge(channel: Channel, mut recorded: mpsc::UnboundedReceiver<u64>) -> anyhow::Result<()> {
    let (mut all_until, mut ahead, mut batch) = (0, BTreeSet::new(), Vec::new());
    while recorded.recv_many(&mut batch, usize::from(PREFETCH)).await > 0 {
        ahead.extend(batch.drain(..));
        let before = all_until;
        while ahead.remove(&(all_until + 1)) {
            all_until += 1;
        }
        if all_until > before {
            channel.basic_ack(all_until, BasicAckOptions { multiple: true }).await?;
        }
    }
    Ok(())
}
