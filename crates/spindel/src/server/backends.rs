//! Store and queue as the config names them: a file and a queue in this process, or PostgreSQL and RabbitMQ.

use anyhow::{Context as _, bail};
use base64::Engine as _;
use spindel_config::{QueueSettings, Remote, Settings, StoreLocation, StoreSettings};
use spindel_connect::Secret;
use spindel_queue::{Channel, Embedded, Queue, RabbitMq};
use spindel_store::{PostgresOptions, PostgresStore, SqliteStore, Store};
use std::{fs::File, path::Path, sync::Arc};

/// Opens the store and brings its schema forward.
pub async fn open_store(settings: &StoreSettings) -> anyhow::Result<Arc<dyn Store>> {
    let encryption_key = settings.encryption_key.as_ref().map(encryption_key).transpose()?;
    match &settings.location {
        StoreLocation::Sqlite { path } => open_file(path, encryption_key),
        StoreLocation::Postgres { server, schema } => {
            let options = PostgresOptions { encryption_key, ..postgres(server, schema) };
            Ok(PostgresStore::open(options).await.context("cannot open the store")?)
        }
    }
}

fn postgres(server: &Remote, schema: &Option<String>) -> PostgresOptions {
    PostgresOptions {
        url: server.url.clone(),
        password: server.password.as_ref().map(|password| password.expose().to_owned()),
        ca: server.ca.clone(),
        schema: schema.clone(),
        encryption_key: None,
    }
}

/// A new database file belongs to this user alone, for it holds people's orders.
fn open_file(path: &Path, encryption_key: Option<[u8; 32]>) -> anyhow::Result<Arc<dyn Store>> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let store = SqliteStore::open(path, spindel_store::Options { encryption_key });
    Ok(store.with_context(|| format!("cannot open the store {}", path.display()))?)
}

fn encryption_key(secret: &Secret) -> anyhow::Result<[u8; 32]> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(secret.expose().trim()).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .context("`store.encryption_key` must be 32 bytes in base64: `openssl rand -base64 32` makes one")
}

/// One process at a time works on a database file; many share a database server.
pub fn lock(location: &StoreLocation) -> anyhow::Result<Option<File>> {
    match location {
        StoreLocation::Sqlite { path } => lock_file(path).map(Some),
        StoreLocation::Postgres { .. } => Ok(None),
    }
}

/// The command line may look at the file beside the one that holds this lock.
fn lock_file(database: &Path) -> anyhow::Result<File> {
    if let Some(folder) = database.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let path = database.with_extension("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}: the folder must be writable", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => bail!("another Spindel works on {}: stop it, or give this one another `store.url`", database.display()),
    }
}

/// The queue. What a broker does not take is carried inside the process where that works itself.
pub fn open_queue(settings: &QueueSettings, node: &str, worker: bool) -> anyhow::Result<Arc<dyn Queue>> {
    match settings {
        QueueSettings::Embedded => Ok(Arc::new(Embedded::new())),
        QueueSettings::Amqp { broker, prefix } => {
            let mut options = amqp(broker, prefix)?;
            options.hand_over = worker;
            options.name = format!("spindel {node}");
            Ok(Arc::new(RabbitMq::connect(options)))
        }
    }
}

fn amqp(broker: &Remote, prefix: &str) -> anyhow::Result<spindel_queue::Options> {
    let password = broker.password.as_ref().map(|password| password.expose().to_owned());
    let mut options = spindel_queue::Options::new(&broker.url, password)?;
    options.ca = broker.ca.clone();
    options.prefix = prefix.to_owned();
    Ok(options)
}

/// Removes what a demo made at servers that outlive it.
pub async fn remove(settings: &Settings) -> anyhow::Result<()> {
    if let StoreLocation::Postgres { server, schema } = &settings.store.location {
        PostgresStore::drop_schema(&postgres(server, schema)).await?;
    }
    if let QueueSettings::Amqp { broker, prefix } = &settings.queue {
        let destinations = settings.connections.keys().cloned().map(Channel::Deliver);
        let channels: Vec<Channel> = std::iter::once(Channel::Plan).chain(destinations).collect();
        RabbitMq::connect(amqp(broker, prefix)?).delete(&channels).await?;
    }
    Ok(())
}
