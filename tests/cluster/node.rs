//! One Spindel process, and the means to disturb it from outside.

use super::services::Services;
use serde_json::Value;
use spindel_testkit::proxy::Proxy;
use std::{
    fs::File,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The way from one node to the two services; each node has its own, so that it can be cut off alone.
pub struct Ways {
    pub broker: Proxy,
    pub store: Proxy,
}

pub struct Node {
    /// Where webhooks go.
    pub address: SocketAddr,
    /// Where it says how it is.
    pub admin: SocketAddr,
    pub folder: PathBuf,
    ways: Option<Ways>,
    /// Further arguments of `serve`.
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Runs before the binary in a shell: `trap`, `ulimit`.
    pub prelude: Option<String>,
    process: Option<Child>,
}

impl Node {
    pub fn new(folder: PathBuf, services: Option<&Services>) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        // Both at once, so that they differ.
        let (one, two) = (free(), free());
        Self {
            address: one.local_addr().unwrap(),
            admin: two.local_addr().unwrap(),
            folder,
            ways: services.map(|services| Ways { broker: Proxy::start(services.amqp), store: Proxy::start(services.postgres) }),
            arguments: Vec::new(),
            environment: Vec::new(),
            prelude: None,
            process: None,
        }
    }

    /// Only in the production shape.
    pub fn ways(&self) -> &Ways {
        self.ways.as_ref().unwrap()
    }

    pub fn launch(&mut self) {
        let mut command = match &self.prelude {
            None => Command::new(env!("CARGO_BIN_EXE_spindel")),
            Some(prelude) => {
                let mut shell = Command::new("bash");
                shell.arg("-c").arg(format!("{prelude}; exec {} \"$@\"", env!("CARGO_BIN_EXE_spindel"))).arg("spindel");
                shell
            }
        };
        let log = File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        command.arg("-c").arg(self.folder.join("spindel.toml")).arg("serve").args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// Waits until it takes requests; the log stands in the message if it does not.
    pub async fn listens(&mut self) {
        let until = Instant::now() + Duration::from_secs(30);
        // One that takes no webhooks still says how it is.
        let takes_webhooks = !self.arguments.iter().any(|it| it.starts_with("worker"));
        let address = if takes_webhooks { self.address } else { self.admin };
        while TcpStream::connect(address).is_err() {
            let gone = self.process.as_mut().and_then(|process| process.try_wait().unwrap());
            assert!(gone.is_none() && Instant::now() < until, "Spindel did not start:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
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

    /// SIGTERM, and the wait until it is gone by itself.
    pub async fn stop(&mut self) {
        self.signal("TERM");
        let until = Instant::now() + Duration::from_secs(45);
        loop {
            if let Some(status) = self.process.as_mut().unwrap().try_wait().unwrap() {
                assert!(status.success(), "Spindel ended with {status}:\n{}", self.log());
                self.process = None;
                return;
            }
            assert!(Instant::now() < until, "Spindel did not stop:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Resident memory, in MiB.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Runs the command line against its config and reads what it prints with `--json`.
    pub fn cli(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spindel"));
        command.arg("--json").arg("-c").arg(self.folder.join("spindel.toml")).args(arguments);
        let output = command.envs(self.environment.iter().map(|(name, value)| (name, value))).output().unwrap();
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "spindel {arguments:?} ended with {}: {text}{errors}", output.status);
        serde_json::from_str(&text).unwrap()
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
