//! TLS to the server: a relay with a certificate of its own stands before it.

use super::*;
use std::{net::SocketAddr, path::PathBuf};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/postgres/tls").join(name)
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(file("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Answers the request for TLS as a server does, as `localhost`, and passes on what comes out of it.
async fn relay(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = acceptor();
        while let Ok((mut client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                client.read_exact(&mut [0; 8]).await?;
                client.write_all(b"S").await?;
                let mut client = acceptor.accept(client).await?;
                copy_bidirectional(&mut client, &mut TcpStream::connect(server).await?).await
            });
        }
    });
    address
}

/// The store's options by way of the relay, under this name.
async fn encrypted(world: &World, host: &str, ca: Option<&str>) -> PostgresOptions {
    let relay = relay(world.server().await).await;
    let url = world.by(relay).url.replace("127.0.0.1", host);
    PostgresOptions { url: format!("{url}&sslmode=require"), ca: ca.map(file), ..PostgresOptions::default() }
}

#[tokio::test]
async fn a_certificate_is_verified_against_the_authority_that_is_named() {
    let world = World::new().await;
    let store = PostgresStore::open(encrypted(&world, "localhost", Some("ca.pem")).await).await.unwrap();
    store.append(event("1")).await.unwrap();
}

#[tokio::test]
async fn a_certificate_of_somebody_unknown_or_for_another_name_is_refused() {
    let world = World::new().await;
    for (host, ca) in [("localhost", None), ("127.0.0.1", Some("ca.pem"))] {
        let error = refused(encrypted(&world, host, ca).await).await;
        assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("certificate")), "{host} {ca:?}: {error}");
    }
}
