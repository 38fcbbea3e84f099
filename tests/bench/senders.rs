//! Senders on keep-alive connections: each sends its next request when the last one is answered.

use crate::body::Orders;
use anyhow::{Context as _, bail, ensure};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

const ANSWERED_WITHIN: Duration = Duration::from_secs(40);
/// Before the same request is sent once more after 503.
const COME_AGAIN: Duration = Duration::from_millis(200);

/// What the senders saw.
#[derive(Default)]
pub struct Seen {
    /// When each accepted request was sent, counted from the start, and how long its answer took.
    pub accepted: Vec<(Duration, Duration)>,
    /// 503: asked to come again.
    pub put_off: u64,
}

#[derive(Clone, Copy)]
pub enum Until {
    Over(Duration),
    /// So many events are accepted by all senders together.
    Accepted(u64),
}

/// Lets `senders` send, and answers what they saw. `ids` gives every event an id of its own.
pub async fn send(
    orders: &Orders,
    address: SocketAddr,
    senders: usize,
    until: Until,
    ids: &Arc<AtomicU64>,
) -> anyhow::Result<Seen> {
    let mut tasks = JoinSet::new();
    let begun = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    for _ in 0..senders {
        let sender = Sender { stream: connect(address).await?, buffer: Vec::new(), orders: orders.clone() };
        tasks.spawn(sender.run(start, until, Arc::clone(ids), Arc::clone(&begun)));
    }
    let mut seen = Seen::default();
    while let Some(one) = tasks.join_next().await {
        let one = one??;
        seen.accepted.extend(one.accepted);
        seen.put_off += one.put_off;
    }
    Ok(seen)
}

async fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

struct Sender {
    stream: TcpStream,
    buffer: Vec<u8>,
    orders: Orders,
}

impl Sender {
    async fn run(mut self, start: Instant, until: Until, ids: Arc<AtomicU64>, begun: Arc<AtomicU64>) -> anyhow::Result<Seen> {
        let mut seen = Seen::default();
        let mut request = Vec::new();
        let more = || match until {
            Until::Over(time) => start.elapsed() < time,
            Until::Accepted(count) => begun.fetch_add(1, Relaxed) < count,
        };
        while more() {
            self.orders.write(ids.fetch_add(1, Relaxed), &mut request);
            loop {
                let sent = start.elapsed();
                let answered =
                    tokio::time::timeout(ANSWERED_WITHIN, self.ask(&request)).await.context("a request was not answered")?;
                if answered? {
                    seen.accepted.push((sent, start.elapsed() - sent));
                    break;
                }
                seen.put_off += 1;
                tokio::time::sleep(COME_AGAIN).await;
            }
        }
        Ok(seen)
    }

    /// Whether the request was accepted; false when it is to come again. Everything else is an error.
    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<bool> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the connection was closed");
            let Some((head, body)) = whole(&self.buffer)? else { continue };
            let status = head.split(' ').nth(1).unwrap_or_default();
            match status {
                "200" if body.contains(r#""outcome":"accepted""#) => return Ok(true),
                // A commit that came too late for its answer is there when the request comes again.
                "200" if body.contains(r#""outcome":"duplicate""#) => return Ok(true),
                "503" => return Ok(false),
                _ => bail!("an answer that was not expected: {head}{body}"),
            }
        }
    }
}

/// Head and body, once both have arrived.
fn whole(buffer: &[u8]) -> anyhow::Result<Option<(&str, &str)>> {
    let text = std::str::from_utf8(buffer)?;
    let Some(end) = text.find("\r\n\r\n") else { return Ok(None) };
    let (head, body) = text.split_at(end + 4);
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("an answer without content-length")?;
    Ok((body.len() >= length.parse::<usize>()?).then_some((head, body)))
}
