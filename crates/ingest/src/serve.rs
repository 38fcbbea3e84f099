//! The HTTP server: limits on slow and large headers, on connections, and a stop that finishes what it began.

use axum::Router;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// A sender has this long for its headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// A request may take this long in all, its body included.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
const MOST_CONNECTIONS: usize = 4096;
const MOST_HEADERS: usize = 100;

/// Serves until `stop`, then finishes the requests that were begun.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, drain: Duration) -> io::Result<()> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_headers(MOST_HEADERS).keep_alive(true);
    let builder = Arc::new(builder);
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { break };
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, or a peer that is gone already: neither ends the server.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        // Answers are small; waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let answer = router.clone().oneshot(request.map(axum::body::Body::new));
            async move {
                match tokio::time::timeout(REQUEST_WITHIN, answer).await {
                    Ok(answer) => answer,
                    Err(_) => {
                        let mut late = axum::response::Response::new(axum::body::Body::from("Request Timeout\n"));
                        *late.status_mut() = http::StatusCode::REQUEST_TIMEOUT;
                        Ok(late)
                    }
                }
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(error = %error, "connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped with requests still open");
    }
    Ok(())
}
