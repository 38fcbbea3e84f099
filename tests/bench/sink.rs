//! The destinations: one HTTP server that notes when each event arrived, and can be slow, fail, or not be there.

use crate::{body::id_of, load::Sent};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::{AbortHandle, JoinSet},
};

/// Larger than any body here.
const BODY_LIMIT: usize = 4 << 20;
const WAITING_CONNECTIONS: u32 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Good,
    Slow(Duration),
    /// Answers so many in a hundred with this status.
    Failing(u8, u16),
    /// Nobody listens, until it is mended.
    Refusing,
}

/// One destination of the sink.
pub struct Destination {
    epoch: Instant,
    delay_ms: AtomicU32,
    failing: AtomicU8,
    status: u16,
    pub requests: AtomicU64,
    /// Different events.
    pub arrived: AtomicU64,
    /// Arrivals of what had arrived before.
    pub doubled: AtomicU64,
    /// Microseconds from the epoch to the first arrival, by id; zero when it has not arrived.
    at: Vec<AtomicU32>,
    /// Of a destination that nobody listens for: holds the port.
    closed: Mutex<Option<TcpSocket>>,
    pub address: SocketAddr,
}

impl Destination {
    /// When this event arrived first.
    pub fn arrival(&self, id: u64) -> Option<Duration> {
        match self.at.get(id as usize)?.load(Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros.into())),
        }
    }

    /// From when it was due to be sent until it arrived.
    pub fn end_to_end(&self, sent: &Sent) -> Option<Duration> {
        Some((self.epoch + self.arrival(sent.id)?).saturating_duration_since(sent.at))
    }

    /// All first arrivals.
    pub fn arrivals(&self) -> impl Iterator<Item = Duration> {
        (0..self.at.len() as u64).filter_map(|id| self.arrival(id))
    }

    fn note(&self, id: u64) {
        let Some(at) = self.at.get(id as usize) else { return };
        let now = (self.epoch.elapsed().as_micros() as u32).max(1);
        let first = at.compare_exchange(0, now, Relaxed, Relaxed).is_ok();
        if first { &self.arrived } else { &self.doubled }.fetch_add(1, Relaxed);
    }
}

pub struct Sink {
    pub epoch: Instant,
    pub destinations: Vec<Arc<Destination>>,
    servers: Mutex<JoinSet<()>>,
    router: Router,
}

impl Sink {
    /// `ids` is one more than the largest id that is noted.
    pub async fn start(epoch: Instant, manners: &[Manner], ids: u64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let destinations = manners.iter().map(|manner| destination(epoch, *manner, ids, address));
        let destinations: Vec<_> = destinations.collect::<anyhow::Result<_>>()?;
        let router = Router::new().route("/hooks/{number}", post(receive)).with_state(Arc::new(destinations.clone()));
        let sink = Self { epoch, destinations, servers: Mutex::default(), router };
        sink.serve(listener);
        Ok(sink)
    }

    pub fn urls(&self) -> Vec<String> {
        let url = |(number, it): (usize, &Arc<Destination>)| format!("http://{}/hooks/{number}", it.address);
        self.destinations.iter().enumerate().map(url).collect()
    }

    /// Every destination works from now on.
    pub fn mend(&self) -> anyhow::Result<()> {
        for it in &self.destinations {
            it.delay_ms.store(0, Relaxed);
            it.failing.store(0, Relaxed);
            if let Some(socket) = it.closed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                self.serve(socket.listen(WAITING_CONNECTIONS)?);
            }
        }
        Ok(())
    }

    fn serve(&self, listener: TcpListener) -> AbortHandle {
        let router = self.router.clone();
        let serving = async move {
            let _ = axum::serve(listener, router).await;
        };
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).spawn(serving)
    }
}

fn destination(epoch: Instant, manner: Manner, ids: u64, address: SocketAddr) -> anyhow::Result<Arc<Destination>> {
    let (mut delay, mut failing, mut closed, mut address) = (0, (0, 503), None, address);
    match manner {
        Manner::Good => {}
        Manner::Slow(by) => delay = by.as_millis() as u32,
        Manner::Failing(share, status) => failing = (share, status),
        Manner::Refusing => {
            // Bound and never listening: nobody answers there, and nobody else can take the port.
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            address = socket.local_addr()?;
            closed = Some(socket);
        }
    }
    Ok(Arc::new(Destination {
        epoch,
        delay_ms: delay.into(),
        failing: failing.0.into(),
        status: failing.1,
        requests: AtomicU64::new(0),
        arrived: AtomicU64::new(0),
        doubled: AtomicU64::new(0),
        at: (0..ids).map(|_| AtomicU32::new(0)).collect(),
        closed: Mutex::new(closed),
        address,
    }))
}

async fn receive(State(all): State<Arc<Vec<Arc<Destination>>>>, Path(number): Path<usize>, body: Body) -> StatusCode {
    let Some(destination) = all.get(number) else { return StatusCode::NOT_FOUND };
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else { return StatusCode::BAD_REQUEST };
    let Some(id) = id_of(&body) else { return StatusCode::UNPROCESSABLE_ENTITY };
    let number = destination.requests.fetch_add(1, Relaxed);
    let delay = destination.delay_ms.load(Relaxed);
    if delay > 0 {
        tokio::time::sleep(Duration::from_millis(delay.into())).await;
    }
    // Spread evenly, and the same in every run: 37 and 100 have no common divisor.
    if number * 37 % 100 < destination.failing.load(Relaxed).into() {
        return StatusCode::from_u16(destination.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    }
    destination.note(id);
    StatusCode::OK
}
