//! A TCP proxy that fails on demand: put it in front of a broker or a database, and switch at run time how the way there
//! behaves. Knows no protocol; a byte pattern tells it where in a conversation to cut.
#![allow(clippy::unwrap_used)]

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Notify, broadcast, watch},
    task::{AbortHandle, JoinSet},
};

const CHUNK: usize = 16 * 1024;
/// So much of what passed is remembered, to find a pattern that comes in pieces.
const LONGEST_PATTERN: usize = 64;

/// How the way to the target behaves. Connections that stand follow at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// New connections are reset; those that stand are left alone (see [`Proxy::cut`]).
    Refuse,
    /// A partition: connections are taken, nothing passes. What waits passes once this ends, as after a healed network.
    Freeze,
    /// Each chunk waits this long, in both directions.
    Delay(Duration),
    /// Bytes a second, of each connection and direction.
    Throttle(u64),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// RST: what is under way is thrown away.
    Reset,
    /// FIN: what is under way arrives, then the stream ends.
    Finish,
}

/// Where a connection is cut by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trap {
    /// Once this many more bytes have gone to the target over all connections.
    Bytes(u64),
    /// When this passes to the target, which never sees it.
    Before(Vec<u8>),
    /// When the target has seen this and answers; the client never gets the answer.
    After(Vec<u8>),
}

/// What has happened until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections taken, those that were reset at once included.
    pub connections: u64,
    /// Connections that stand.
    pub open: u64,
    /// Bytes passed to the target, and back.
    pub sent: u64,
    pub received: u64,
    /// Connections that a trap has cut.
    pub trapped: u64,
}

/// A running proxy. Dropping it ends it with all its connections.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    targets: Vec<SocketAddr>,
    mode: watch::Sender<Mode>,
    orders: broadcast::Sender<Order>,
    /// The trap that is set, and how many connections it still cuts.
    trap: Mutex<Option<(Trap, u64)>>,
    connections: AtomicU64,
    open: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    trapped: AtomicU64,
}

/// How each side of a connection ends.
struct End {
    client: Cut,
    server: Cut,
}

impl End {
    fn of(how: Cut) -> Self {
        Self { client: how, server: how }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Cut(Cut),
    HalfClose,
}

impl Proxy {
    /// Listens on a free port of the loopback, and passes everything on to `target`. Needs a running Tokio.
    pub fn start(target: SocketAddr) -> Self {
        Self::spread(vec![target])
    }

    /// Connections go to one target after the other; one that does not listen is passed over.
    pub fn spread(targets: Vec<SocketAddr>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            targets,
            mode: watch::Sender::new(Mode::Pass),
            orders: broadcast::Sender::new(16),
            trap: Mutex::default(),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            trapped: AtomicU64::new(0),
        });
        let task = tokio::spawn(listen(Arc::clone(&shared), TcpListener::from_std(listener).unwrap())).abort_handle();
        Self { address, shared, task }
    }

    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
    }

    /// Ends every connection that stands; new ones go by the mode.
    pub fn cut(&self, how: Cut) {
        let _nobody = self.shared.orders.send(Order::Cut(how));
    }

    /// Ends the direction to the target of every connection that stands; answers still come back.
    pub fn half_close(&self) {
        let _nobody = self.shared.orders.send(Order::HalfClose);
    }

    /// Cuts the next `times` connections that step into it, with RST towards the client. Replaces an earlier trap.
    pub fn trap(&self, trap: Trap, times: u64) {
        *self.shared.trap() = (times > 0).then_some((trap, times));
    }

    pub fn counts(&self) -> Counts {
        let Shared { connections, open, sent, received, trapped, .. } = &*self.shared;
        Counts {
            connections: connections.load(Relaxed),
            open: open.load(Relaxed),
            sent: sent.load(Relaxed),
            received: received.load(Relaxed),
            trapped: trapped.load(Relaxed),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    // The connections live in the set, so that aborting this task ends them too.
    let mut all = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while all.try_join_next().is_some() {}
        shared.connections.fetch_add(1, Relaxed);
        if *shared.mode.borrow() == Mode::Refuse {
            let _reset = client.set_zero_linger();
            continue;
        }
        // From here on, so that no order is missed.
        let orders = shared.orders.subscribe();
        all.spawn(carry(Arc::clone(&shared), client, orders));
    }
}

/// One connection, until either end or an order ends it.
async fn carry(shared: Arc<Shared>, mut client: TcpStream, mut orders: broadcast::Receiver<Order>) {
    let _open = Open::new(&shared);
    let half_closed = Notify::new();
    let ordered = async {
        loop {
            match orders.recv().await {
                Ok(Order::Cut(how)) => return how,
                Ok(Order::HalfClose) => half_closed.notify_one(),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return Cut::Reset,
            }
        }
    };
    let mut server = None;
    let end = tokio::select! {
        how = ordered => End::of(how),
        end = shared.pass_between(&mut client, &mut server, &half_closed) => end,
    };
    for (stream, how) in [(Some(&client), end.client), (server.as_ref(), end.server)] {
        if let Some(stream) = stream.filter(|_| how == Cut::Reset) {
            let _reset = stream.set_zero_linger();
        }
    }
}

impl Shared {
    async fn pass_between(&self, client: &mut TcpStream, server: &mut Option<TcpStream>, half_closed: &Notify) -> End {
        self.passage().await;
        let Some(stream) = self.connect().await else { return End::of(Cut::Reset) };
        let server = server.insert(stream);
        let _nagle = (client.set_nodelay(true), server.set_nodelay(true));
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let sprung = AtomicBool::new(false);
        let up = Pump { shared: self, count: &self.sent, towards_target: true, sprung: &sprung };
        let down = Pump { shared: self, count: &self.received, towards_target: false, sprung: &sprung };
        let both = async {
            tokio::try_join!(
                up.run(from_client, to_server, half_closed.notified()),
                down.run(from_server, to_client, std::future::pending())
            )
        };
        both.await.map_or_else(|end| end, |_| End::of(Cut::Finish))
    }

    async fn connect(&self) -> Option<TcpStream> {
        let first = self.connections.load(Relaxed) as usize;
        for step in 0..self.targets.len() {
            if let Ok(stream) = TcpStream::connect(self.targets[(first + step) % self.targets.len()]).await {
                return Some(stream);
            }
        }
        None
    }

    /// Waits while nothing may pass, and answers the mode that holds then.
    async fn passage(&self) -> Mode {
        let mut mode = self.mode.subscribe();
        let passes = mode.wait_for(|mode| *mode != Mode::Freeze).await;
        passes.map_or(Mode::Pass, |mode| *mode)
    }

    fn trap(&self) -> std::sync::MutexGuard<'_, Option<(Trap, u64)>> {
        self.trap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether these bytes, after those `before` them, step into the trap; the answer says on which side of them to cut.
    fn steps_into_trap(&self, before: &[u8], bytes: &[u8]) -> Option<Side> {
        let mut trap = self.trap();
        let (set, times) = trap.as_mut()?;
        let side = match set {
            Trap::Bytes(left) => {
                let length = bytes.len() as u64;
                if *left > length {
                    *left -= length;
                    return None;
                }
                Side::Before
            }
            Trap::Before(pattern) => passes_by(pattern, before, bytes).then_some(Side::Before)?,
            Trap::After(pattern) => passes_by(pattern, before, bytes).then_some(Side::After)?,
        };
        *times -= 1;
        if *times == 0 {
            *trap = None;
        }
        self.trapped.fetch_add(1, Relaxed);
        Some(side)
    }
}

enum Side {
    Before,
    After,
}

/// Whether the pattern ends in `bytes`; it may have begun in what came before.
fn passes_by(pattern: &[u8], before: &[u8], bytes: &[u8]) -> bool {
    let kept = before.len().min(pattern.len().saturating_sub(1));
    let seen = [&before[before.len() - kept..], bytes].concat();
    !pattern.is_empty() && seen.windows(pattern.len()).any(|window| window == pattern)
}

/// One direction of one connection.
struct Pump<'a> {
    shared: &'a Shared,
    count: &'a AtomicU64,
    towards_target: bool,
    /// The trap was stepped into: the next answer is not passed on.
    sprung: &'a AtomicBool,
}

impl Pump<'_> {
    /// Until the stream ends here, or the whole connection does.
    async fn run(&self, from: ReadHalf<'_>, mut to: WriteHalf<'_>, closed: impl Future<Output = ()>) -> Result<(), End> {
        tokio::select! {
            ended = self.pass(from, &mut to) => ended?,
            () = closed => {}
        }
        to.shutdown().await.map_err(gone)
    }

    async fn pass(&self, mut from: ReadHalf<'_>, to: &mut WriteHalf<'_>) -> Result<(), End> {
        let (mut buffer, mut before) = (vec![0; CHUNK], Vec::new());
        loop {
            let length = from.read(&mut buffer).await.map_err(gone)?;
            let mode = self.shared.passage().await;
            let bytes = &buffer[..length];
            if bytes.is_empty() {
                return Ok(());
            }
            self.watch(&mut before, bytes)?;
            match mode {
                Mode::Delay(time) => tokio::time::sleep(time).await,
                Mode::Throttle(rate) => tokio::time::sleep(Duration::from_secs_f64(length as f64 / rate.max(1) as f64)).await,
                Mode::Pass | Mode::Refuse | Mode::Freeze => {}
            }
            to.write_all(bytes).await.map_err(gone)?;
            self.count.fetch_add(length as u64, Relaxed);
        }
    }

    fn watch(&self, before: &mut Vec<u8>, bytes: &[u8]) -> Result<(), End> {
        if !self.towards_target {
            // The target must read what it was sent, so that only the answer is lost.
            let end = End { client: Cut::Reset, server: Cut::Finish };
            return if self.sprung.load(Relaxed) { Err(end) } else { Ok(()) };
        }
        match self.shared.steps_into_trap(before, bytes) {
            Some(Side::Before) => return Err(End::of(Cut::Reset)),
            Some(Side::After) => self.sprung.store(true, Relaxed),
            None => {}
        }
        before.extend_from_slice(bytes);
        before.drain(..before.len().saturating_sub(LONGEST_PATTERN));
        Ok(())
    }
}

fn gone(_: io::Error) -> End {
    End::of(Cut::Reset)
}

/// Counts a connection for as long as it stands.
struct Open<'a>(&'a AtomicU64);

impl<'a> Open<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.open.fetch_add(1, Relaxed);
        Self(&shared.open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
