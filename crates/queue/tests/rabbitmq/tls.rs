//! `amqps`: a broker whose certificate comes from a known authority is believed, any other is not.

use crate::world::{World, connected, erp, fresh, receive_all, until};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use spindel_queue::{Queue, RabbitMq};
use std::{net::SocketAddr, path::Path, process::Command, sync::Arc};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring::default_provider},
};

fn openssl(folder: &Path, arguments: &str) {
    let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().expect("openssl is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// An authority `ca.pem`, and `cert.pem` of it for this name.
fn certificates(folder: &Path, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(folder, &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority"));
    openssl(folder, &format!("req {key} -keyout key.pem -out request.pem -subj /CN=broker"));
    std::fs::write(folder.join("extensions"), format!("subjectAltName={name}\n")).unwrap();
    openssl(
        folder,
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out cert.pem",
    );
}

/// Takes TLS off in front of the broker.
async fn terminator(broker: SocketAddr, folder: &Path) -> u16 {
    let chain: Vec<_> = CertificateDer::pem_file_iter(folder.join("cert.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut broker = TcpStream::connect(broker).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_broker_with_a_known_certificate_is_believed() {
    let Some(world) = World::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), "DNS:localhost,IP:127.0.0.1");
    let port = terminator(world.broker(), folder.path()).await;
    for host in ["localhost", "127.0.0.1"] {
        let mut options = world.options_at(&world.address_at("amqps", &format!("{host}:{port}")));
        options.ca = Some(folder.path().join("ca.pem"));
        let queue = connected(options).await;
        let mut consumer = queue.consume(&erp(), 200).await.unwrap();
        let messages = fresh(500);
        queue.publish(&erp(), messages.clone()).await.unwrap();
        receive_all(&mut consumer, &messages).await;
    }
}

#[tokio::test]
async fn a_broker_with_another_certificate_is_not_believed() {
    let Some(world) = World::new() else { return };
    let (rogue, ours, misnamed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(rogue.path(), "DNS:localhost");
    certificates(ours.path(), "DNS:localhost");
    certificates(misnamed.path(), "DNS:elsewhere.example");
    for (server, ca, expected) in [
        (&rogue, Some(ours.path().join("ca.pem")), "invalid peer certificate"),
        (&rogue, None, "invalid peer certificate"),
        (&misnamed, Some(misnamed.path().join("ca.pem")), "invalid peer certificate"),
        (&ours, Some(ours.path().join("missing.pem")), "missing.pem"),
        (&ours, Some(ours.path().join("extensions")), "no certificate in it"),
    ] {
        let port = terminator(world.broker(), server.path()).await;
        let mut options = world.options_at(&world.address_at("amqps", &format!("localhost:{port}")));
        options.ca = ca.clone();
        let queue = RabbitMq::connect(options);
        let told = async || queue.trouble().is_some_and(|trouble| trouble.contains(expected));
        until(&format!("{ca:?}: {expected}"), told).await;
        assert!(queue.publish(&erp(), fresh(1)).await.is_err());
    }
}
