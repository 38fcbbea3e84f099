//! A database and a virtual host of its own for every run, on the PostgreSQL and the RabbitMQ that the environment names.

use crate::machine::{self, Used};
use anyhow::{Context as _, bail};
use std::{
    env,
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};
use tokio::sync::Mutex;
use tokio_postgres::NoTls;
use url::Url;

const POSTGRES: &str = "SPINDEL_TEST_POSTGRES";
const AMQP: &str = "SPINDEL_TEST_AMQP";
/// `rabbitmqctl` takes seconds, however little it is asked.
const VHOSTS_AT_A_TIME: u32 = 8;

/// Whether the environment names both.
pub fn given() -> bool {
    env::var_os(POSTGRES).is_some() && env::var_os(AMQP).is_some()
}

pub struct Services {
    postgres: Url,
    amqp: Url,
    admin: tokio_postgres::Client,
    /// Of the servers, where they run on this machine and may be looked at.
    postgres_pid: Option<u32>,
    rabbitmq_pid: Option<u32>,
    databases: AtomicU32,
    vhosts: Mutex<Vhosts>,
}

#[derive(Default)]
struct Vhosts {
    free: Vec<String>,
    used: Vec<String>,
    made: u32,
}

/// Where one run keeps its data.
pub struct Place {
    pub postgres: Url,
    pub amqp: Url,
}

impl Services {
    pub async fn find() -> anyhow::Result<Option<Self>> {
        if !given() {
            return Ok(None);
        }
        let url = |name| -> anyhow::Result<Url> { env::var(name)?.parse().with_context(|| format!("{name} is no address")) };
        let (postgres, amqp) = (url(POSTGRES)?, url(AMQP)?);
        let (admin, connection) = tokio_postgres::connect(postgres.as_str(), NoTls)
            .await
            .with_context(|| format!("no PostgreSQL answers at {POSTGRES}: `./scripts/services up`"))?;
        tokio::spawn(connection);
        let pid = |url: &Url, name| url.port().and_then(|port| machine::listener(port, name));
        let (postgres_pid, rabbitmq_pid) = (pid(&postgres, "postgres"), pid(&amqp, "beam"));
        if postgres_pid.is_none() || rabbitmq_pid.is_none() {
            eprintln!("the processes of the servers cannot be looked at: what they use counts as that of others");
        }
        Ok(Some(Self {
            postgres,
            amqp,
            admin,
            postgres_pid,
            rabbitmq_pid,
            databases: AtomicU32::new(0),
            vhosts: Mutex::default(),
        }))
    }

    pub async fn place(&self) -> anyhow::Result<Place> {
        let name = format!("bench_{}_{}", std::process::id(), self.databases.fetch_add(1, Relaxed));
        self.admin.batch_execute(&format!("create database {name}")).await?;
        // Else the checkpoint of one run may fall into the next.
        self.admin.batch_execute("checkpoint").await?;
        let (mut postgres, mut amqp) = (self.postgres.clone(), self.amqp.clone());
        postgres.set_path(&name);
        amqp.set_path(&self.vhost().await?);
        Ok(Place { postgres, amqp })
    }

    pub async fn remove(&self, place: &Place) -> anyhow::Result<()> {
        let name = place.postgres.path().trim_start_matches('/');
        Ok(self.admin.batch_execute(&format!("drop database if exists {name} with (force)")).await?)
    }

    /// Bytes of the tables and indexes of a run.
    pub async fn on_disk(&self, place: &Place) -> anyhow::Result<u64> {
        let name = place.postgres.path().trim_start_matches('/');
        let row = self.admin.query_one("select pg_database_size($1::text::name)", &[&name]).await?;
        Ok(row.get::<_, i64>(0).cast_unsigned())
    }

    pub fn used(&self) -> Used {
        self.pids().map(machine::used).fold(Used::default(), |sum, one| sum + one)
    }

    /// In MiB.
    pub fn memory(&self) -> f64 {
        self.pids().map(machine::shared_memory).sum()
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        [self.postgres_pid, self.rabbitmq_pid].into_iter().flatten()
    }

    async fn vhost(&self) -> anyhow::Result<String> {
        let mut vhosts = self.vhosts.lock().await;
        if vhosts.free.is_empty() {
            let used = std::mem::take(&mut vhosts.used);
            let more = vhosts.made..vhosts.made + VHOSTS_AT_A_TIME;
            vhosts.made = more.end;
            let more: Vec<_> = more.map(|number| format!("bench-{}-{number}", std::process::id())).collect();
            self.change_vhosts(&more, &used)?;
            vhosts.free = more;
        }
        let vhost = vhosts.free.pop().context("no vhost")?;
        vhosts.used.push(vhost.clone());
        Ok(vhost)
    }

    /// Takes away what runs have left that came to no end.
    pub async fn clean_up(&self) -> anyhow::Result<()> {
        let ours = format!("bench\\_{}\\_%", std::process::id());
        for row in self.admin.query("select datname::text from pg_database where datname like $1", &[&ours]).await? {
            self.admin.batch_execute(&format!("drop database {} with (force)", row.get::<_, String>(0))).await?;
        }
        let mut vhosts = self.vhosts.lock().await;
        let Vhosts { free, used, .. } = std::mem::take(&mut *vhosts);
        let all: Vec<String> = free.into_iter().chain(used).collect();
        if all.is_empty() { Ok(()) } else { self.change_vhosts(&[], &all) }
    }

    /// All in one call.
    fn change_vhosts(&self, more: &[String], gone: &[String]) -> anyhow::Result<()> {
        let list = |names: &[String]| names.iter().map(|name| format!("<<\"{name}\">>")).collect::<Vec<_>>().join(", ");
        let user = self.amqp.username();
        let program = format!(
            "lists:foreach(fun(V) -> rabbit_vhost:delete(V, <<\"bench\">>) end, [{}]), \
             lists:foreach(fun(V) -> rabbit_vhost:add(V, <<\"bench\">>), \
             rabbit_auth_backend_internal:set_permissions(<<\"{user}\">>, V, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"bench\">>) \
             end, [{}]).",
            list(gone),
            list(more)
        );
        let done = Command::new("./scripts/services").args(["rabbitmqctl", "eval", &program]).output()?;
        if !done.status.success() || !String::from_utf8_lossy(&done.stdout).contains("ok") {
            bail!(
                "the virtual hosts of the runs cannot be made: {}{}",
                String::from_utf8_lossy(&done.stdout),
                String::from_utf8_lossy(&done.stderr)
            );
        }
        Ok(())
    }
}
