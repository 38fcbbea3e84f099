//! Where the database is: `store.url` read into a driver configuration, with TLS as it is asked for.

use super::{
    schema::quoted,
    session::{APPLICATION, Connecting},
};
use crate::{
    PostgresOptions, StoreError,
    failure::{Failure, Tried},
};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{future::Future, io, path::Path, pin::Pin, str::FromStr, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Config, NoTls, Socket,
    config::{Host, SslMode, TargetSessionAttrs},
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream},
};

/// A database that can be connected to.
pub(super) struct Address {
    config: Config,
    tls: Option<Tls>,
    schema: Option<String>,
}

impl Address {
    pub fn of(options: &PostgresOptions) -> Result<Self, StoreError> {
        let mut address = Self::parse(&options.url, options.password.as_deref(), options.ca.as_deref())?;
        if let Some(schema) = &options.schema {
            address.config.options(format!("-c search_path={}", quoted(schema)));
            address.schema = Some(schema.clone());
        }
        Ok(address)
    }

    /// Reads `postgres://user@host:port/database?sslmode=…`.
    ///
    /// `sslmode` is `disable`, `require` or `verify-full`; the last two are the same, as a certificate is always verified:
    /// against `sslrootcert` when it is given, else against those that the system trusts. Without it (or with `prefer`)
    /// the connection is plain on this machine and `require` to any other.
    pub fn parse(url: &str, password: Option<&str>, ca: Option<&Path>) -> Result<Self, StoreError> {
        let refused = |why: String| StoreError::Unavailable(format!("`store.url` {why}"));
        let (start, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots, mut rest) = ("prefer", None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = value,
                Some(("sslrootcert", value)) => roots = Some(Path::new(value)),
                _ => rest.push(pair),
            }
        }
        let url = if rest.is_empty() { start.to_owned() } else { format!("{start}?{}", rest.join("&")) };
        let mut config = Config::from_str(&url)
            .map_err(|error| refused(format!("is no address of a PostgreSQL database: {}", with_cause(&error))))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(refused("names no host: expected postgres://user@host:5432/database".into()));
        }
        let encrypts = match mode {
            "disable" => false,
            "require" | "verify-ca" | "verify-full" => true,
            "prefer" | "allow" => !is_local(&config),
            other => return Err(refused(format!("has sslmode `{other}`: expected disable, prefer, require or verify-full"))),
        };
        let tls = if encrypts { Some(Tls::trusting(ca.or(roots))?) } else { None };
        if let Some(password) = password {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION);
        }
        config
            .ssl_mode(if encrypts { SslMode::Require } else { SslMode::Disable })
            .connect_timeout(Duration::from_secs(3))
            .tcp_user_timeout(Duration::from_secs(5))
            .keepalives_idle(Duration::from_secs(10))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self { config, tls, schema: None })
    }

    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Names the database without user and password.
    pub fn name(&self) -> String {
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or("?");
        let hosts = self.config.get_hosts().iter().enumerate().map(|(n, host)| {
            let ports = self.config.get_ports();
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(host) => format!("{host}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        });
        format!("database `{database}` at {}", hosts.collect::<Vec<_>>().join(","))
    }

    pub async fn connect(&self) -> Tried<Connecting> {
        let connected = match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                Connecting::new(client, connection)
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                Connecting::new(client, connection)
            }
        };
        Ok(connected)
    }

    /// Names the database in what went wrong with it.
    pub fn at(&self, failure: Failure) -> Failure {
        let named = |why| format!("{}: {why}", self.name());
        let error = match failure.error {
            StoreError::Unavailable(why) => StoreError::Unavailable(named(why)),
            StoreError::Corrupt(why) => StoreError::Corrupt(named(why)),
            other => other,
        };
        Failure { error, ..failure }
    }
}

fn is_local(config: &Config) -> bool {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(|address| address.is_loopback());
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// TLS over a socket to the server.
#[derive(Clone)]
struct Tls(Arc<ClientConfig>);

impl Tls {
    fn trusting(file: Option<&Path>) -> Result<Self, StoreError> {
        let refused = |why: String| StoreError::Unavailable(why);
        let mut roots = RootCertStore::empty();
        match file {
            Some(file) => {
                let unreadable = |error| refused(format!("the certificates in {}: {error}", file.display()));
                let found = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))?;
                for certificate in found {
                    let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                    roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        if roots.is_empty() {
            return Err(refused("there is no certificate to trust the database by: name a file in `store.ca`".into()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(format!("TLS: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Handshake, io::Error> {
        let name = ServerName::try_from(domain.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a certificate can only be checked for a host's name"))?;
        Ok(Handshake { config: Arc::clone(&self.0), name })
    }
}

struct Handshake {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted, io::Error>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let connector = tokio_rustls::TlsConnector::from(self.config);
            Ok(Encrypted(Box::new(connector.connect(self.name, stream).await?)))
        })
    }
}

struct Encrypted(Box<tokio_rustls::client::TlsStream<Socket>>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>, buf: &[u8]) -> std::task::Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::parse(url, Some("geheim"), None).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_connection_to_another_machine_is_encrypted_unless_it_says_otherwise() {
        for (url, encrypts) in [
            ("postgres://spindel@127.0.0.1/spindel", false),
            ("postgres://spindel@localhost:5433/spindel", false),
            ("postgres://spindel@localhost/spindel?sslmode=require", true),
            ("postgres://spindel@db.example.no/spindel?sslmode=disable", false),
            ("postgres://spindel@db.example.no/spindel?sslmode=verify-full&application_name=x", true),
            ("postgresql:///spindel?host=/run/postgresql&user=spindel", false),
        ] {
            // Where the machine trusts nobody, asking for TLS is refused with words about certificates.
            match Address::parse(url, None, None) {
                Ok(address) => assert_eq!(address.tls.is_some(), encrypts, "{url}"),
                Err(error) => assert!(encrypts && error.to_string().contains("certificate"), "{url}: {error}"),
            }
        }
    }

    #[test]
    fn the_name_has_neither_user_nor_password() {
        assert_eq!(address("postgres://kari:hemmelig@localhost:5433/hub").name(), "database `hub` at localhost:5433");
    }

    #[test]
    fn what_is_no_address_is_refused_by_the_name_of_the_setting() {
        for url in
            ["postgres://", "postgres://a@localhost/x?sslmode=maybe", "postgres://a@localhost:port/x", "postgres://a@h/x?y=z"]
        {
            let error = Address::parse(url, None, None).err().unwrap_or_else(|| panic!("`{url}` is to be refused"));
            assert!(error.to_string().contains("`store.url`"), "{url}: {error}");
        }
    }
}
