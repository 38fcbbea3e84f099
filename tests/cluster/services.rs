//! A RabbitMQ and a PostgreSQL of the tests' own, which they may restart, cut off and wipe without disturbing anybody.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

/// Held by one test at a time. The servers outlive it: the next test finds them running.
pub struct Services {
    folder: PathBuf,
    pub password: String,
    pub postgres: SocketAddr,
    pub amqp: SocketAddr,
    _lock: File,
}

impl Services {
    /// Waits until no other test uses them, and brings them up. `None` where tests with services are to be left out.
    #[allow(clippy::print_stderr)]
    pub fn take() -> Option<Self> {
        if std::env::var_os("SPINDEL_TEST_SKIP_SERVICES").is_some() {
            eprintln!("left out: SPINDEL_TEST_SKIP_SERVICES is set, and this test needs RabbitMQ and PostgreSQL");
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("services");
        std::fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("in-use")).unwrap();
        lock.lock().unwrap();
        run(&folder, &["up"]);
        let text = run(&folder, &["env"]);
        let address = |variable: &str| {
            let line = text.lines().find(|line| line.contains(variable)).unwrap();
            let (before, after) = line.split_once('@').unwrap();
            let password = before.rsplit(':').next().unwrap().to_owned();
            (password, after.split('/').next().unwrap().parse().unwrap())
        };
        let ((password, postgres), (_, amqp)) = (address("SPINDEL_TEST_POSTGRES"), address("SPINDEL_TEST_AMQP"));
        Some(Self { folder, password, postgres, amqp, _lock: lock })
    }

    /// `./scripts/services …` against these two, and what it prints.
    pub fn run(&self, arguments: &[&str]) -> String {
        run(&self.folder, arguments)
    }

    pub fn rabbitmqctl(&self, arguments: &[&str]) -> String {
        self.run(&[&["rabbitmqctl", "--quiet"], arguments].concat())
    }

    /// One statement in this database, unaligned and without headings.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        self.run(&["psql", "-d", database, "-qAtc", statement]).trim().to_owned()
    }
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/services");
    let output = Command::new(script).args(arguments).env("SPINDEL_SERVICES_DIR", folder).output().unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "`./scripts/services {arguments:?}` does not work here: {printed}{errors}");
    printed.into_owned()
}
