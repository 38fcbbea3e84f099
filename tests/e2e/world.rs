//! A Spindel process with its two neighbours, and the means to look at it from outside.

use serde_json::Value;
pub use spindel_simulators::pair::FLOWS;
use spindel_simulators::{pair::Pair, shopify::Options};
use std::{
    fs::File,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub struct World {
    pub pair: Pair,
    pub folder: TempDir,
    pub address: SocketAddr,
    process: Option<Child>,
}

impl World {
    /// Everything up, and the shop's webhooks on their way to Spindel.
    pub async fn start(flows: &str, options: Options) -> Self {
        let mut world = Self::prepare(flows, options).await;
        world.launch();
        world
    }

    /// Everything but Spindel's process.
    pub async fn prepare(flows: &str, options: Options) -> Self {
        spindel_http::init();
        let pair = Pair::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        pair.write_config(folder.path(), address, flows).unwrap();
        pair.shop.set_target(Some(&format!("http://{address}/in/shop")));
        Self { pair, folder, address, process: None }
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("spindel.toml")
    }

    pub fn launch(&mut self) {
        self.launch_with(Command::new(env!("CARGO_BIN_EXE_spindel")));
    }

    /// `command` becomes `… -c CONFIG serve`.
    pub fn launch_with(&mut self, mut command: Command) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        command.arg("-c").arg(self.config()).arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(self.address).is_err() {
            let gone = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
            assert!(gone.is_none() && Instant::now() < until, "Spindel did not start:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// SIGKILL, in the middle of whatever it does.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.pid().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the process to end by itself.
    pub fn wait_for_end(&mut self, within: Duration) -> std::process::ExitStatus {
        let mut process = self.process.take().unwrap();
        let until = Instant::now() + within;
        loop {
            if let Some(status) = process.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "Spindel did not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Runs the command line against this Spindel's config and reads what it prints with `--json`.
    pub fn cli(&self, arguments: &[&str]) -> Value {
        let (code, json) = self.cli_with_code(arguments);
        assert_eq!(code, 0, "spindel {arguments:?} ended with {code}: {json}");
        json
    }

    pub fn cli_with_code(&self, arguments: &[&str]) -> (i32, Value) {
        let output = Command::new(env!("CARGO_BIN_EXE_spindel"))
            .arg("--json")
            .arg("-c")
            .arg(self.config())
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// All deliveries in these states, page by page.
    pub fn deliveries(&self, states: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let before = all.last().map(|last| last["id"].as_str().unwrap().to_owned());
            let mut arguments = vec!["deliveries", "list", "--limit", "1000", "--state", states];
            if let Some(before) = &before {
                arguments.extend(["--before", before]);
            }
            let page = self.cli(&arguments);
            let page = page.as_array().unwrap();
            all.extend(page.iter().cloned());
            if page.len() < 1000 {
                return all;
            }
        }
    }

    /// Waits until the ERP has every order of the shop once, equal in state and amount.
    pub async fn wait_until_clean(&self, within: Duration) {
        let until = Instant::now() + within;
        loop {
            let account = self.pair.account();
            if account.is_clean() {
                return;
            }
            if Instant::now() > until {
                let open = self.cli(&["deliveries", "list", "--undelivered", "--limit", "10"]);
                panic!("both ends do not agree: {account:#?}\nundelivered: {open:#}\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for a condition, with a deadline that says what was waited for.
pub async fn wait_for(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + within;
    while !holds() {
        assert!(Instant::now() < until, "waited {within:?} in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The seed of a random test: from `SPINDEL_SEED` to repeat a failure, else new. Printed, so that a failure shows it.
#[allow(clippy::print_stderr)]
pub fn seed() -> u64 {
    let seed =
        std::env::var("SPINDEL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| rand::random_range(1..1_000_000));
    eprintln!("seed: repeat this run with SPINDEL_SEED={seed}");
    seed
}
