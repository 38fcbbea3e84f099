//! A schema of its own on the shared server, removed at the end.
#![allow(clippy::print_stderr)]

use spindel_store::{PostgresOptions, PostgresStore};
use std::{net::SocketAddr, sync::Arc};
use tokio_postgres::{Client, NoTls};

const VARIABLE: &str = "SPINDEL_TEST_POSTGRES";

pub struct World {
    /// Without a query.
    server: String,
    pub schema: String,
}

impl World {
    pub async fn new() -> Self {
        let Ok(server) = std::env::var(VARIABLE) else {
            if std::env::var_os("SPINDEL_TEST_SKIP_SERVICES").is_some() {
                eprintln!("left out: {VARIABLE} names no PostgreSQL, and SPINDEL_TEST_SKIP_SERVICES is set");
                std::process::exit(0);
            }
            panic!("{VARIABLE} names no PostgreSQL: run `./scripts/services up && eval \"$(./scripts/services env)\"`");
        };
        let world = Self { server, schema: format!("test_{}", uuid::Uuid::new_v4().simple()) };
        connect(&world.server).await.batch_execute(&format!("CREATE SCHEMA {}", world.schema)).await.unwrap();
        world
    }

    /// The address, with a schema, and by way of a proxy where one is given.
    pub fn url(&self, schema: &str, by: Option<SocketAddr>) -> String {
        let (credentials, rest) = self.server.rsplit_once('@').unwrap();
        let (place, database) = rest.split_once('/').unwrap();
        let place = by.map_or(place.to_owned(), |by| by.to_string());
        format!("{credentials}@{place}/{database}?options=-c%20search_path%3D{schema}")
    }

    pub fn options(&self) -> PostgresOptions {
        PostgresOptions { url: self.url(&self.schema, None), ..PostgresOptions::default() }
    }

    pub fn by(&self, proxy: SocketAddr) -> PostgresOptions {
        PostgresOptions { url: self.url(&self.schema, Some(proxy)), ..PostgresOptions::default() }
    }

    pub fn with_key(&self, byte: u8) -> PostgresOptions {
        PostgresOptions { encryption_key: Some([byte; 32]), ..self.options() }
    }

    pub async fn open(&self) -> Arc<PostgresStore> {
        PostgresStore::open(self.options()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Where the server itself listens.
    pub async fn server(&self) -> SocketAddr {
        let (_, rest) = self.server.rsplit_once('@').unwrap();
        tokio::net::lookup_host(rest.split('/').next().unwrap()).await.unwrap().next().unwrap()
    }

    /// A connection beside the store, in the same schema.
    pub async fn connect(&self) -> Client {
        connect(&self.url(&self.schema, None)).await
    }

    pub async fn run(&self, sql: &str) {
        self.connect().await.batch_execute(sql).await.unwrap();
    }

    pub async fn count(&self, table: &str) -> i64 {
        self.connect().await.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Drop for World {
    fn drop(&mut self) {
        let (server, schema) = (self.server.clone(), self.schema.clone());
        // The test's own runtime is on its way out.
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = connect(&server).await;
                let end = format!(
                    "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                     WHERE c.relnamespace = '{schema}'::regnamespace AND l.pid <> pg_backend_pid(); DROP SCHEMA {schema} CASCADE"
                );
                if let Err(error) = client.batch_execute(&end).await {
                    eprintln!("schema {schema} is left behind: {error}");
                }
            });
        });
        let _panicked = removed.join();
    }
}
