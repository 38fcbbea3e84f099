//! A started Spindel with a fresh database of its own, and how it is stopped again.

use anyhow::{Context as _, bail, ensure};
use spindel_store::{Counts, SqliteStore, Store as _};
use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub const SECRET: &str = "bench-secret-of-no-worth";
const STARTED_WITHIN: Duration = Duration::from_secs(30);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// What every run needs.
pub struct Bench {
    spindel: PathBuf,
    /// Data of the runs, and the report. On the disk that holds the build, which is seldom one in memory.
    pub folder: PathBuf,
}

impl Bench {
    pub fn find(spindel: Option<PathBuf>) -> anyhow::Result<Self> {
        let this = std::env::current_exe()?;
        let build = this.ancestors().nth(2).context("the benchmark stands in no build folder")?;
        let spindel = spindel.unwrap_or_else(|| build.join("spindel"));
        ensure!(spindel.exists(), "{} is not there: start the benchmark by `scripts/bench`, which builds it", spindel.display());
        let folder = build.parent().context("the build folder stands nowhere")?.join("bench");
        fs::create_dir_all(&folder)?;
        Ok(Self { spindel, folder })
    }

    /// A Spindel that has nothing yet. What `more` makes of its folder is added to its config.
    pub async fn start(&self, more: impl FnOnce(&Path) -> String) -> anyhow::Result<Spindel> {
        settle().await?;
        let folder = tempfile::tempdir_in(&self.folder)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        fs::write(folder.path().join("secret"), SECRET)?;
        fs::write(folder.path().join("spindel.toml"), config(folder.path(), address, &more(folder.path())))?;
        let mut spindel = Spindel { program: self.spindel.clone(), folder, address, process: None };
        spindel.launch().await?;
        Ok(spindel)
    }
}

/// Deleting what a run left makes the disk busy for a moment.
async fn settle() -> anyhow::Result<()> {
    ensure!(Command::new("sync").status()?.success(), "`sync` failed");
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}

fn config(folder: &Path, address: SocketAddr, more: &str) -> String {
    let folder = folder.display();
    format!(
        r#"[server]
listen = "{address}"

[store]
url = "sqlite://{folder}/spindel.db"

[outbound]
allow = ["127.0.0.0/8"]

[connections.shop]
connector = "webhook"

[connections.shop.receive]
scheme = "hmac"
secrets = {{ file = "{folder}/secret" }}
header = "x-signature"
encoding = "base64"
topic = "order.created"
delivery_header = "x-delivery"

{more}"#
    )
}

pub struct Spindel {
    program: PathBuf,
    pub folder: TempDir,
    pub address: SocketAddr,
    process: Option<Child>,
}

impl Spindel {
    /// Starts the process and answers how long it took until it listened.
    pub async fn launch(&mut self) -> anyhow::Result<Duration> {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.path().join("spindel.toml")).arg("serve");
        let start = Instant::now();
        self.process = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?);
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.process.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!("Spindel ended with {status}:\n{}", self.log());
            }
            ensure!(start.elapsed() < STARTED_WITHIN, "Spindel does not listen:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(start.elapsed())
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    /// As an operator stops it.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        let told = Command::new("kill").arg("-TERM").arg(process.id().to_string()).status();
        let start = Instant::now();
        while told.as_ref().is_ok_and(std::process::ExitStatus::success) && start.elapsed() < STOPPED_WITHIN {
            if let Some(status) = process.try_wait()? {
                ensure!(status.success(), "Spindel stopped with {status}:\n{}", self.log());
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.process = Some(process);
        bail!("Spindel does not stop:\n{}", self.log())
    }

    /// What its database holds, looked at from outside as the command line does.
    pub async fn counts(&self) -> anyhow::Result<Counts> {
        let store = SqliteStore::open(self.folder.path().join("spindel.db"), spindel_store::Options::default())?;
        Ok(store.counts().await?)
    }

    /// Bytes of the database and what belongs to it.
    pub fn on_disk(&self) -> u64 {
        let sizes = ["spindel.db", "spindel.db-wal", "spindel.db-shm"].map(|name| fs::metadata(self.folder.path().join(name)));
        sizes.into_iter().flatten().map(|file| file.len()).sum()
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Spindel {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
