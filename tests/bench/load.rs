//! Senders on keep-alive connections: as fast as they are answered, or at a fixed rate whose latencies count from the
//! moment that each request was due, however late it left.

use crate::body::Orders;
use anyhow::{Context as _, bail, ensure};
use rand::RngExt as _;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};

const ANSWERED_WITHIN: Duration = Duration::from_secs(40);
/// Before the same request is sent once more after 503.
const COME_AGAIN: Duration = Duration::from_millis(200);
/// Before a connection to a process that is not there is tried again.
const RECONNECT: Duration = Duration::from_millis(5);
/// The latest ids are not repeated: they may not have been answered yet.
const YOUNG: u64 = 1024;

#[derive(Clone)]
pub struct Load {
    pub orders: Orders,
    pub address: SocketAddr,
    pub connections: usize,
    pub pace: Pace,
    /// Every event takes its id here, so that several loads can follow each other.
    pub ids: Arc<AtomicU64>,
    /// Of a hundred requests, so many carry an event that was sent before.
    pub repeats: u8,
    /// Whether the receiver may vanish: the request is sent again until it is back.
    pub patient: bool,
}

#[derive(Clone)]
pub enum Pace {
    /// The next when the last is answered, for so long.
    Closed(Duration),
    /// The next when the last is answered, until so many events were accepted.
    Count(u64),
    /// So many a second, for so long.
    Open(f64, Duration),
    /// So many a second, until told to stop.
    Paced(f64, Arc<AtomicBool>),
}

/// One accepted request.
#[derive(Clone, Copy)]
pub struct Sent {
    pub id: u64,
    /// When it was due.
    pub at: Instant,
    pub took: Duration,
    pub repeated: bool,
}

#[derive(Default)]
pub struct Seen {
    pub accepted: Vec<Sent>,
    /// 503: asked to come again.
    pub put_off: u64,
}

impl Load {
    /// Sends, and answers what the senders saw.
    pub async fn run(&self) -> anyhow::Result<Seen> {
        let start = Instant::now();
        let turns = Arc::new(self.turns(start));
        let mut tasks = JoinSet::new();
        for _ in 0..self.connections {
            tasks.spawn(Sender { load: self.clone(), turns: Arc::clone(&turns), stream: None, buffer: Vec::new() }.run());
        }
        let mut seen = Seen::default();
        while let Some(one) = tasks.join_next().await {
            let one = one??;
            seen.accepted.extend(one.accepted);
            seen.put_off += one.put_off;
        }
        Ok(seen)
    }

    fn turns(&self, start: Instant) -> Turns {
        let due = Arc::new(Semaphore::new(0));
        let (rate, goes_on): (f64, Box<dyn Fn(u64) -> bool + Send>) = match &self.pace {
            Pace::Open(rate, time) => {
                let all = (rate * time.as_secs_f64()) as u64;
                (*rate, Box::new(move |number| number < all))
            }
            Pace::Paced(rate, stop) => {
                let stop = Arc::clone(stop);
                (*rate, Box::new(move |_| !stop.load(Relaxed)))
            }
            Pace::Closed(_) | Pace::Count(_) => return Turns { start, pace: self.pace.clone(), due, taken: AtomicU64::new(0) },
        };
        let gives = Arc::clone(&due);
        // A thread of its own: the timer of the runtime knows only whole milliseconds.
        thread::spawn(move || {
            for number in (0..).take_while(|number| goes_on(*number)) {
                thread::sleep(at(start, number, rate).saturating_duration_since(Instant::now()));
                gives.add_permits(1);
            }
            while gives.available_permits() > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            gives.close();
        });
        Turns { start, pace: self.pace.clone(), due, taken: AtomicU64::new(0) }
    }
}

fn at(start: Instant, number: u64, rate: f64) -> Instant {
    start + Duration::from_secs_f64(number as f64 / rate)
}

/// Whose turn it is, and since when.
struct Turns {
    start: Instant,
    pace: Pace,
    due: Arc<Semaphore>,
    taken: AtomicU64,
}

impl Turns {
    async fn next(&self) -> Option<Instant> {
        let taken = || self.taken.fetch_add(1, Relaxed);
        let goes_on = match &self.pace {
            Pace::Closed(time) => self.start.elapsed() < *time,
            Pace::Count(all) => taken() < *all,
            Pace::Open(rate, _) | Pace::Paced(rate, _) => {
                // Closed when there are no more; what is due is still taken.
                self.due.acquire().await.ok()?.forget();
                return Some(at(self.start, taken(), *rate));
            }
        };
        goes_on.then(Instant::now)
    }
}

struct Sender {
    load: Load,
    turns: Arc<Turns>,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Sender {
    async fn run(mut self) -> anyhow::Result<Seen> {
        let mut seen = Seen::default();
        let mut request = Vec::new();
        let turns = Arc::clone(&self.turns);
        while let Some(at) = turns.next().await {
            let (id, repeated) = self.event();
            self.load.orders.write(id, &mut request);
            while !self.ask(&request).await? {
                seen.put_off += 1;
                tokio::time::sleep(COME_AGAIN).await;
                self.load.orders.write(id, &mut request);
            }
            seen.accepted.push(Sent { id, at, took: at.elapsed(), repeated });
        }
        Ok(seen)
    }

    fn event(&self) -> (u64, bool) {
        let newest = self.load.ids.load(Relaxed);
        if newest > 2 * YOUNG && rand::rng().random_range(0..100) < self.load.repeats {
            return (rand::rng().random_range(1..newest - YOUNG), true);
        }
        (self.load.ids.fetch_add(1, Relaxed), false)
    }

    /// Whether the request was accepted; false when it is to come again.
    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<bool> {
        loop {
            let asked = tokio::time::timeout(ANSWERED_WITHIN, self.exchange(request)).await;
            match asked.context("a request was not answered").flatten() {
                Err(_) if self.load.patient => {
                    self.stream = None;
                    tokio::time::sleep(RECONNECT).await;
                }
                asked => return asked,
            }
        }
    }

    /// Everything but 200 and 503 is an error.
    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<bool> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.load.address).await?;
                stream.set_nodelay(true)?;
                none.insert(stream)
            }
        };
        stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            ensure!(stream.read_buf(&mut self.buffer).await? > 0, "the connection was closed");
            let Some((head, body)) = whole(&self.buffer)? else { continue };
            match head.split(' ').nth(1).unwrap_or_default() {
                // A commit that came too late for its answer is there when the request comes again.
                "200" if body.contains(r#""outcome":"accepted""#) || body.contains(r#""outcome":"duplicate""#) => {
                    return Ok(true);
                }
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
