//! The bare programs: what the hardware and the libraries allow, with no product in them. Each runs as a process of its own.

mod broker;
mod intake;
mod post;
mod postgres;
mod sqlite;

use crate::body::Orders;
use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::sync::{Mutex, mpsc, oneshot};

/// Posts that are under way at the same time.
const IN_FLIGHT: usize = 64;
/// Rows that share a transaction at most.
const BATCH: usize = 512;
/// Between commit and post. A full one holds back the commits, so that memory stays bounded.
const HANDED_OVER: usize = 8192;

#[derive(Args)]
pub struct Limit {
    what: What,
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    folder: PathBuf,
    /// Where it posts to
    #[arg(long)]
    to: Option<String>,
    /// Size of the bodies that it posts
    #[arg(long)]
    body: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Ingest,
    Pipeline,
    Post,
}

/// What the writer is asked.
pub enum Job {
    Insert {
        body: Bytes,
        committed: oneshot::Sender<i64>,
    },
    /// It arrived. `tag` is what the broker calls its message.
    Done {
        id: i64,
        tag: u64,
    },
}

type Jobs = mpsc::UnboundedReceiver<Job>;
/// What was committed and is to be posted.
type Committed = (i64, Bytes);

/// One to be posted.
struct Parcel {
    id: i64,
    tag: u64,
    body: Bytes,
}

pub async fn run(limit: &Limit) -> anyhow::Result<()> {
    end_with_parent();
    let (jobs, todo) = mpsc::unbounded_channel();
    match (limit.what, std::env::var("BENCH_POSTGRES")) {
        (What::Post, _) => return post(limit).await,
        (What::Ingest, Err(_)) => sqlite::start(&limit.folder, todo, None)?,
        (What::Ingest, Ok(postgres)) => postgres::start(&postgres, todo, None, None).await?,
        (What::Pipeline, Err(_)) => {
            let (next, committed) = mpsc::channel::<Committed>(HANDED_OVER);
            sqlite::start(&limit.folder, todo, Some(next))?;
            let (parcels, waiting) = mpsc::channel(1);
            tokio::spawn(hand_over(committed, parcels));
            carry(limit, waiting, &jobs).await?;
        }
        (What::Pipeline, Ok(postgres)) => {
            let amqp = std::env::var("BENCH_AMQP").context("BENCH_AMQP is not set")?;
            let (next, committed) = mpsc::channel::<Committed>(HANDED_OVER);
            let (recorded, to_acknowledge) = mpsc::unbounded_channel();
            postgres::start(&postgres, todo, Some(next), Some(recorded)).await?;
            let (parcels, waiting) = mpsc::channel(IN_FLIGHT);
            broker::start(&amqp, &postgres, committed, parcels, to_acknowledge).await?;
            carry(limit, waiting, &jobs).await?;
        }
    }
    intake::serve(limit.listen, jobs).await
}

/// Whoever started this holds the other end of its input: even one that was killed leaves nothing running.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
}

async fn hand_over(mut committed: mpsc::Receiver<Committed>, parcels: mpsc::Sender<Parcel>) {
    while let Some((id, body)) = committed.recv().await {
        if parcels.send(Parcel { id, tag: 0, body }).await.is_err() {
            return;
        }
    }
}

/// Posts what waits, and has the outcome recorded.
async fn carry(limit: &Limit, waiting: mpsc::Receiver<Parcel>, jobs: &mpsc::UnboundedSender<Job>) -> anyhow::Result<()> {
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..IN_FLIGHT {
        let (waiting, jobs) = (Arc::clone(&waiting), jobs.clone());
        let mut line = post::Line::open(limit.to.as_deref().context("--to is missing")?).await?;
        tokio::spawn(async move {
            loop {
                let next = waiting.lock().await.recv().await;
                let Some(Parcel { id, tag, body }) = next else { return };
                if let Err(error) = line.post(body).await {
                    eprintln!("{error:#}");
                    std::process::exit(1);
                }
                let _ = jobs.send(Job::Done { id, tag });
            }
        });
    }
    Ok(())
}

async fn post(limit: &Limit) -> anyhow::Result<()> {
    let url = limit.to.as_deref().context("--to is missing")?;
    post::all(url, Orders::new(limit.body)?, IN_FLIGHT).await
}
