//! The socket that the AMQP client is given: plain or TLS, checked against the system's roots or a file, and able to be cut
//! from outside, because a client that waits for a broker that hangs would hold its thread and socket for ever.

use super::options::Options;
use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use futures::{AsyncRead, AsyncWrite, Stream, task::AtomicWaker};
use lapin::AsyncTcpStream;
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead as Reads, AsyncWrite as Writes, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

const REACHED_WITHIN: Duration = Duration::from_secs(5);

/// Opens a connection to the broker. Dropping the future before it is done cuts the socket.
pub(super) async fn connect(options: &Arc<Options>, role: &str) -> lapin::Result<lapin::Connection> {
    let cut = Arc::new(Cut::default());
    let guard = CutOnDrop(Some(Arc::clone(&cut)));
    let runtime = Runtime::new(RuntimeParts::new(Tokio::current(), Sockets(Tokio::current())));
    let properties = lapin::ConnectionProperties::default().with_connection_name(format!("{} {role}", options.name).into());
    let opened = Arc::clone(options);
    let connection = lapin::Connection::connector(
        options.uri(),
        runtime,
        async move |_, _| {
            let stream = tokio::time::timeout(REACHED_WITHIN, reach(&opened))
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time"))??;
            Ok(AsyncTcpStream::Plain(Socket { stream, cut: Arc::clone(&cut) }))
        },
        properties,
    )
    .await?;
    guard.keep();
    Ok(connection)
}

async fn reach(options: &Options) -> io::Result<Box<dyn Both>> {
    let plain = TcpStream::connect((options.host.as_str(), options.port)).await?;
    plain.set_nodelay(true)?;
    if !options.tls {
        return Ok(Box::new(plain));
    }
    let name = ServerName::try_from(options.host.clone()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::new(trust(options.ca.as_deref())?));
    Ok(Box::new(connector.connect(name, plain).await?))
}

/// Read anew for each connection, so that a renewed file needs no restart.
fn trust(ca: Option<&Path>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            let unreadable = |error: &dyn std::fmt::Display| io::Error::other(format!("`{}`: {error}", file.display()));
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
            if roots.is_empty() {
                return Err(unreadable(&"no certificate in it"));
            }
        }
        // Single roots that cannot be read are none that the broker's certificate is likely to come from.
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
    }
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

trait Both: Reads + Writes + Send + Unpin {}
impl<T: Reads + Writes + Send + Unpin> Both for T {}

/// Ends a socket that is in the client's hands.
#[derive(Default)]
struct Cut {
    done: AtomicBool,
    reader: AtomicWaker,
}

struct CutOnDrop(Option<Arc<Cut>>);

impl CutOnDrop {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        if let Some(cut) = self.0.take() {
            cut.done.store(true, Ordering::Release);
            cut.reader.wake();
        }
    }
}

struct Socket {
    stream: Box<dyn Both>,
    cut: Arc<Cut>,
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        self.cut.reader.register(cx.waker());
        if self.cut.done.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let mut read = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        Poll::Ready(Ok(read.filled().len()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Tokio's reactor with our socket in place of its own. The client gets that from [`connect`], and asks only for the time.
#[derive(Clone, Debug)]
struct Sockets(Tokio);

impl Reactor for Sockets {
    type TcpStream = Socket;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Socket, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    fn tcp_connect_addr(&self, _: SocketAddr) -> impl Future<Output = io::Result<Socket>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
