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

const MOST_HEADERS: usize = 100;
/// Of one request, in bytes.
const MOST_OF_HEADERS: usize = 64 * 1024;

/// How long one sender may take, and how many there may be.
struct Limits {
    /// From the connection, or the answer before, to the last header: a silent connection does not keep its slot.
    headers_within: Duration,
    /// For a request in all, its body included.
    request_within: Duration,
    connections: usize,
}

const LIMITS: Limits =
    Limits { headers_within: Duration::from_secs(10), request_within: Duration::from_secs(30), connections: 4096 };

/// Serves until `stop`, then finishes the requests that were begun.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken, drain: Duration) -> io::Result<()> {
    serve_within(listener, router, stop, drain, LIMITS).await
}

async fn serve_within(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    drain: Duration,
    limits: Limits,
) -> io::Result<()> {
    // HTTP/2 would bring many requests on one connection, and none of these limits holds for it.
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.headers_within).keep_alive(true);
    builder.http1().max_headers(MOST_HEADERS).max_buf_size(MOST_OF_HEADERS);
    let builder = Arc::new(builder);
    let slots = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot,
        };
        let Ok(slot) = slot else { break };
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
                match tokio::time::timeout(limits.request_within, answer).await {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
        task::JoinHandle,
        time::timeout,
    };

    const LONG: Duration = Duration::from_secs(10);

    async fn start(limits: Limits) -> (SocketAddr, CancellationToken, JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", axum::routing::get(async || "here"));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(serve_within(listener, router, stop.clone(), LONG, limits));
        (address, stop, serving)
    }

    /// Sends `request` and reads until the other side closes.
    async fn said(address: SocketAddr, request: &[u8]) -> String {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        timeout(LONG, connection.read_to_end(&mut answer)).await.expect("the connection stays open").unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test]
    async fn who_says_nothing_does_not_keep_a_connection() {
        let (address, ..) = start(Limits { headers_within: Duration::from_millis(100), ..LIMITS }).await;
        assert_eq!(said(address, b"").await, "");
        assert_eq!(said(address, b"GET / HT").await, "");
        // Neither does who was answered and then says nothing more.
        assert!(said(address, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.contains("here"));
    }

    #[tokio::test]
    async fn a_protocol_that_the_limits_do_not_cover_is_not_spoken() {
        let (address, ..) = start(LIMITS).await;
        let answer = said(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        assert!(!answer.contains('\0'), "{answer:?}");
    }

    #[tokio::test]
    async fn a_stop_is_heard_while_every_connection_is_taken_and_does_not_wait_for_silent_ones() {
        let (address, stop, serving) = start(Limits { connections: 1, ..LIMITS }).await;
        let mut taken = TcpStream::connect(address).await.unwrap();
        taken.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert!(taken.read(&mut [0; 16]).await.unwrap() > 0);
        stop.cancel();
        timeout(LONG / 2, serving).await.expect("still serving").unwrap().unwrap();
    }
}
