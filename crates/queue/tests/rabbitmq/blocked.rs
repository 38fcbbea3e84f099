//! A broker with a memory alarm, without raising one: a relay that tells the client so and stops passing its bytes on, as
//! the broker does.

use crate::world::{World, connected, erp, fresh, receive_all, until};
use spindel_queue::{Queue, QueueError};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Passes AMQP on frame by frame; while `blocked` nothing of the client's.
async fn relay(broker: SocketAddr, blocked: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let blocked = blocked.clone();
            tokio::spawn(async move {
                let broker = TcpStream::connect(broker).await.unwrap();
                let (from_broker, to_broker) = broker.into_split();
                let (from_client, to_client) = client.into_split();
                tokio::select! {
                    _ = down(from_broker, to_client, blocked.clone()) => {}
                    _ = up(from_client, to_broker, blocked) => {}
                }
            });
        }
    });
    address
}

async fn up(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut blocked: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 || blocked.wait_for(|blocked| !blocked).await.is_err() {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
    }
}

async fn down(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut blocked: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        tokio::select! {
            _ = blocked.changed() => {
                // connection.blocked("low on memory") and connection.unblocked, on channel 0.
                let method: &[u8] = if *blocked.borrow_and_update() { b"\0\x0a\0\x3c\x0dlow on memory" } else { b"\0\x0a\0\x3d" };
                let mut frame = vec![1, 0, 0];
                frame.extend((method.len() as u32).to_be_bytes());
                frame.extend(method);
                frame.push(0xce);
                to.write_all(&frame).await?;
            }
            count = from.read_buf(&mut buffer) => {
                if count? == 0 {
                    return Ok(());
                }
                while let Some(size) = buffer.get(3..7) {
                    let whole = 8 + u32::from_be_bytes(size.try_into().unwrap()) as usize;
                    if buffer.len() < whole {
                        break;
                    }
                    to.write_all(&buffer[..whole]).await?;
                    buffer.drain(..whole);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_broker_that_takes_no_messages_is_told_of_and_nobody_waits_for_it() {
    let Some(world) = World::new() else { return };
    let (block, blocked) = watch::channel(false);
    let address = relay(world.broker(), blocked).await;
    let outside = connected(world.options_through(address)).await;
    let mut options = world.options_through(address);
    options.hand_over = true;
    let inside = connected(options).await;
    let mut consumer = inside.consume(&erp(), 10).await.unwrap();
    outside.publish(&erp(), fresh(1)).await.unwrap();
    let resets = *outside.resets().borrow();
    // One publish is under way when the alarm comes.
    let begun = Instant::now();
    block.send_replace(true);
    let under_way = outside.publish(&erp(), fresh(1)).await;
    assert!(matches!(under_way, Err(QueueError::Unavailable(_))), "{under_way:?}");
    until("both know", async || [&outside, &inside].iter().all(|queue| queue.trouble().is_some())).await;
    assert!(outside.trouble().unwrap().contains("low on memory"), "{:?}", outside.trouble());
    let refused = outside.publish(&erp(), fresh(1)).await;
    assert!(matches!(&refused, Err(QueueError::Unavailable(why)) if why.contains("low on memory")), "{refused:?}");
    let messages = fresh(3);
    inside.publish(&erp(), messages.clone()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "nothing hangs");
    receive_all(&mut consumer, &messages).await;
    block.send_replace(false);
    until("the alarm is over", async || outside.trouble().is_none() && inside.trouble().is_none()).await;
    assert!(*outside.resets().borrow() > resets, "what was refused is to be announced again");
    drop(consumer);
    let mut consumer = outside.consume(&erp(), 10).await.unwrap();
    let later = fresh(3);
    outside.publish(&erp(), later.clone()).await.unwrap();
    receive_all(&mut consumer, &later).await;
}
