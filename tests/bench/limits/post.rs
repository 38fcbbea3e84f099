//! Posts over connections that stay open, with the HTTP library alone: no pool, no redirects, no encryption.

use crate::body::Orders;
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::{net::TcpStream, task::JoinSet};

pub struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    path: String,
}

impl Line {
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let rest = url.strip_prefix("http://").context("only http:// is known here")?;
        let (host, path) = rest.split_once('/').context("an address without a path")?;
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, host: host.to_owned(), path: format!("/{path}") })
    }

    pub async fn post(&mut self, body: Bytes) -> anyhow::Result<()> {
        let request = Request::post(&self.path)
            .header("host", &self.host)
            .header("content-type", "application/json")
            .body(Full::new(body))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        ensure!(status.is_success(), "the sink answered {status}");
        Ok(())
    }
}

/// Posts orders as fast as they are answered, until it is killed.
pub async fn all(url: &str, orders: Orders, lines: usize) -> anyhow::Result<()> {
    let ids = Arc::new(AtomicU64::new(1));
    let mut tasks = JoinSet::new();
    for _ in 0..lines {
        let (mut line, orders, ids) = (Line::open(url).await?, orders.clone(), Arc::clone(&ids));
        tasks.spawn(async move {
            loop {
                line.post(orders.body(ids.fetch_add(1, Relaxed)).into()).await?;
            }
        });
    }
    match tasks.join_next().await {
        Some(ended) => ended?,
        None => Ok(()),
    }
}
