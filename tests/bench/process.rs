//! The processes that are measured, each started on fresh data of its own and stopped again: Spindel, and the bare programs.

use crate::{
    body::{DELIVERY, SECRET, SIGNATURE, TIMESTAMP},
    machine::{self, Memory, Used},
    options::Options,
    services::{Place, Services},
};
use anyhow::{Context as _, bail, ensure};
use serde::Serialize;
use std::{
    fmt::Write as _,
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const STARTED_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    Embedded,
    Production,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Spindel,
    /// Checks the signature and inserts, no more.
    BareIngest,
    /// That, then hands over, posts, and records the outcome.
    BarePipeline,
    /// Posts.
    BarePost,
}

/// What every run needs.
pub struct Bench {
    spindel: PathBuf,
    /// Data of the runs, and the report. On the disk that holds the build, which is seldom one in memory.
    pub folder: PathBuf,
    concurrency: u32,
    services: Option<Services>,
}

/// What is to be started.
pub struct Setup {
    pub kind: Kind,
    pub shape: Shape,
    /// Addresses of the destinations; every event goes to each.
    pub destinations: Vec<String>,
    /// When a delivery is tried again.
    pub retry: &'static str,
    /// Of bodies that a bare program makes itself.
    pub size: usize,
}

impl Bench {
    pub async fn find(options: &Options) -> anyhow::Result<Self> {
        let this = std::env::current_exe()?;
        let build = this.ancestors().nth(2).context("the benchmark stands in no build folder")?;
        let spindel = options.spindel.clone().unwrap_or_else(|| build.join("spindel"));
        ensure!(spindel.exists(), "{} is not there: start the benchmark by `scripts/bench`, which builds it", spindel.display());
        let folder = build.parent().context("the build folder stands nowhere")?.join("bench");
        fs::create_dir_all(&folder)?;
        Ok(Self { spindel, folder, concurrency: options.concurrency, services: Services::find().await? })
    }

    /// Bytes of the program as it is shipped: without symbols.
    pub fn binary_size(&self) -> anyhow::Result<u64> {
        let stripped = tempfile::NamedTempFile::new_in(&self.folder)?;
        let strip = Command::new("strip").arg("-o").arg(stripped.path()).arg(&self.spindel).status();
        let counted = if strip.is_ok_and(|status| status.success()) { stripped.path() } else { &self.spindel };
        Ok(fs::metadata(counted)?.len())
    }

    pub async fn start(&self, setup: &Setup) -> anyhow::Result<Running<'_>> {
        settle().await?;
        let folder = tempfile::tempdir_in(&self.folder)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        // A client that only posts needs neither database nor broker.
        let keeps = setup.shape == Shape::Production && setup.kind != Kind::BarePost;
        let services = if keeps { self.services.as_ref() } else { None };
        let place = match services {
            Some(services) => Some(services.place().await?),
            None => None,
        };
        let command = match setup.kind {
            Kind::Spindel => self.spindel(setup, folder.path(), address, place.as_ref())?,
            _ => bare(setup, folder.path(), address, place.as_ref())?,
        };
        let mut running = Running { command, folder, address, services, place, process: None };
        match setup.kind {
            Kind::BarePost => running.spawn()?,
            _ => drop(running.launch().await?),
        }
        Ok(running)
    }

    fn spindel(&self, setup: &Setup, folder: &Path, address: SocketAddr, place: Option<&Place>) -> anyhow::Result<Command> {
        fs::write(folder.join("secret"), SECRET)?;
        if let Some(place) = place {
            fs::write(folder.join("postgres-password"), place.postgres.password().unwrap_or_default())?;
            fs::write(folder.join("amqp-password"), place.amqp.password().unwrap_or_default())?;
        }
        let path = folder.join("spindel.toml");
        fs::write(&path, config(setup, folder, address, place, self.concurrency))?;
        let mut command = Command::new(&self.spindel);
        command.arg("-c").arg(path).arg("serve");
        Ok(command)
    }

    pub async fn clean_up(&self) -> anyhow::Result<()> {
        match &self.services {
            Some(services) => services.clean_up().await,
            None => Ok(()),
        }
    }
}

/// Deleting what a run left makes the disk busy for a moment.
async fn settle() -> anyhow::Result<()> {
    ensure!(Command::new("sync").status()?.success(), "`sync` failed");
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}

fn config(setup: &Setup, folder: &Path, address: SocketAddr, place: Option<&Place>, concurrency: u32) -> String {
    let folder = folder.display();
    let stores = match place {
        None => format!("[store]\nurl = \"sqlite://{folder}/spindel.db\"\n"),
        Some(Place { postgres, amqp }) => {
            let (mut database, mut broker) = (postgres.clone(), amqp.clone());
            // Addresses that cannot carry a password never do.
            let _ = (database.set_password(None), broker.set_password(None));
            format!(
                "[store]\nurl = \"{database}\"\npassword = {{ file = \"{folder}/postgres-password\" }}\n\n\
                 [queue]\nurl = \"{broker}\"\npassword = {{ file = \"{folder}/amqp-password\" }}\n"
            )
        }
    };
    let mut text = format!(
        r#"{stores}
[server]
listen = "{address}"

[outbound]
allow = ["127.0.0.0/8"]

[connections.shop]
connector = "webhook"

[connections.shop.receive]
scheme = "hmac"
secrets = {{ file = "{folder}/secret" }}
header = "{SIGNATURE}"
encoding = "base64"
timestamp_header = "{TIMESTAMP}"
topic = "order.created"
delivery_header = "{DELIVERY}"
"#
    );
    for (number, url) in setup.destinations.iter().enumerate() {
        let _ = write!(
            text,
            r#"
[connections.to{number}]
connector = "webhook"
url = "{url}"
signing_secrets = {{ file = "{folder}/secret" }}
concurrency = {concurrency}

[flows.orders{number}]
from = "shop"
on = ["order.created"]
to = "to{number}"
do = "send_change"
retry = {retry}
"#,
            retry = setup.retry
        );
    }
    text
}

fn bare(setup: &Setup, folder: &Path, address: SocketAddr, place: Option<&Place>) -> anyhow::Result<Command> {
    let kind = match setup.kind {
        Kind::BareIngest => "ingest",
        Kind::BarePipeline => "pipeline",
        _ => "post",
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["limit", kind]).arg("--listen").arg(address.to_string()).arg("--folder").arg(folder);
    command.arg("--body").arg(setup.size.to_string());
    if let Some(destination) = setup.destinations.first() {
        command.arg("--to").arg(destination);
    }
    if let Some(place) = place {
        command.env("BENCH_POSTGRES", place.postgres.as_str()).env("BENCH_AMQP", place.amqp.as_str());
    }
    Ok(command)
}

pub struct Running<'a> {
    command: Command,
    pub folder: TempDir,
    pub address: SocketAddr,
    services: Option<&'a Services>,
    place: Option<Place>,
    process: Option<Child>,
}

impl Running<'_> {
    /// Starts the process and answers how long it took until it listened.
    pub async fn launch(&mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.spawn()?;
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.process.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("the program ended with {status}:\n{}", self.log());
            }
            ensure!(start.elapsed() < STARTED_WITHIN, "the program does not listen:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(start.elapsed())
    }

    fn spawn(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        self.process = Some(self.command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).spawn()?);
        Ok(())
    }

    /// Another command of the same program, on the same config.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.command.get_program());
        command.args(["-c", &self.folder.path().join("spindel.toml").to_string_lossy()]).args(arguments);
        command
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    pub fn used(&self) -> Used {
        machine::used(self.pid())
    }

    /// `None` without servers.
    pub fn servers_used(&self) -> Option<Used> {
        self.services.map(Services::used)
    }

    pub fn memory(&self) -> anyhow::Result<Memory> {
        machine::memory(self.pid())
    }

    /// In MiB; not a number without servers.
    pub fn servers_memory(&self) -> f64 {
        self.services.map_or(f64::NAN, Services::memory)
    }

    /// Waits until the process has nothing to do.
    pub async fn idle(&self, within: Duration) {
        let (start, mut quiet, mut before) = (Instant::now(), 0, self.used().cpu);
        while quiet < 3 && start.elapsed() < within {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let now = self.used().cpu;
            quiet = if now - before < 0.03 { quiet + 1 } else { 0 };
            before = now;
        }
    }

    /// Bytes of the database.
    pub async fn on_disk(&self) -> anyhow::Result<u64> {
        if let (Some(services), Some(place)) = (self.services, &self.place) {
            return services.on_disk(place).await;
        }
        let sizes = ["spindel.db", "spindel.db-wal", "spindel.db-shm"].map(|name| fs::metadata(self.folder.path().join(name)));
        Ok(sizes.into_iter().flatten().map(|file| file.len()).sum())
    }

    /// As the power does.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// As an operator stops it.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let told = Command::new("kill").arg("-TERM").arg(process.id().to_string()).status();
        let start = Instant::now();
        while told.as_ref().is_ok_and(std::process::ExitStatus::success) && start.elapsed() < STOPPED_WITHIN {
            if process.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.process = Some(process);
        bail!("the program does not stop:\n{}", self.log())
    }

    /// Ends it, without waiting for what it still has to do, and takes away what it kept.
    pub async fn remove(mut self) -> anyhow::Result<()> {
        self.kill()?;
        match (self.services, &self.place) {
            (Some(services), Some(place)) => services.remove(place).await,
            _ => Ok(()),
        }
    }

    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
