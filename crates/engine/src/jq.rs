//! jq mappings, run in child processes with a memory limit, a time limit and an empty environment.
//!
//! In process, jq could loop for ever, overflow the stack or print the environment. The child is this same binary
//! (`spindel worker-jq`); parent and child speak in frames of a length (4 bytes, little endian) and JSON.

mod child;

pub use child::child_main;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{ffi::OsString, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    sync::{Mutex, Semaphore},
};

/// Longest run of one program over one input.
pub const TIME_LIMIT: Duration = Duration::from_millis(500);
/// Longest start of a child.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Address space of a child.
pub const MEMORY_LIMIT: u64 = 256 << 20;
/// Longest frame in either direction.
pub const FRAME_LIMIT: usize = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Ask {
    program: String,
    input: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok(Value),
    Error(String),
}

/// Why a mapping gave no value. Names program and limit; never the input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    #[error("the mapping `{program}` failed: {problem}")]
    Program { program: String, problem: String },
    #[error("the mapping `{program}` was ended: it took longer than {TIME_LIMIT:?}, or more than {} MiB", MEMORY_LIMIT >> 20)]
    Killed { program: String },
    #[error("the mapping `{program}` cannot be run: {problem}")]
    Unavailable { program: String, problem: String },
    #[error("the input of the mapping `{program}` is larger than {} MiB", FRAME_LIMIT >> 20)]
    TooLarge { program: String },
}

/// A few children that wait for work.
pub struct Pool {
    command: Vec<OsString>,
    idle: Mutex<Vec<Child>>,
    slots: Semaphore,
}

impl Pool {
    /// `command` starts a child: the path of this binary and `worker-jq`.
    pub fn new(command: Vec<OsString>, children: usize) -> Self {
        Self { command, idle: Mutex::new(Vec::new()), slots: Semaphore::new(children.max(1)) }
    }

    /// Runs `program` over `input`; it must give exactly one value.
    pub async fn apply(&self, program: &str, input: Value) -> Result<Value, JqError> {
        let named = || shortened(program);
        let unavailable = |error: &dyn std::fmt::Display| JqError::Unavailable { program: named(), problem: error.to_string() };
        let frame = serde_json::to_vec(&Ask { program: program.to_owned(), input }).map_err(|error| unavailable(&error))?;
        if frame.len() > FRAME_LIMIT {
            return Err(JqError::TooLarge { program: named() });
        }
        let _slot = self.slots.acquire().await.map_err(|error| unavailable(&error))?;
        let idle = self.idle.lock().await.pop();
        let mut child = match idle {
            Some(child) => child,
            None => self.started().await.map_err(|error| unavailable(&error))?,
        };
        // A child that does not answer is dropped, and with it killed.
        match tokio::time::timeout(TIME_LIMIT, exchange(&mut child, &frame)).await {
            Ok(Ok(answer)) => {
                self.idle.lock().await.push(child);
                match answer {
                    Answer::Ok(value) => Ok(value),
                    Answer::Error(problem) => Err(JqError::Program { program: named(), problem }),
                }
            }
            Ok(Err(_)) | Err(_) => {
                let _ = child.start_kill();
                let _ = child.wait().await;
                Err(JqError::Killed { program: named() })
            }
        }
    }

    /// A child that has answered once: how long it takes to start does not count for a program.
    async fn started(&self) -> std::io::Result<Child> {
        let mut child = self.spawn()?;
        let trial = serde_json::to_vec(&Ask { program: child::TRIAL.to_owned(), input: Value::Null })?;
        match tokio::time::timeout(START_LIMIT, exchange(&mut child, &trial)).await {
            Ok(answer) => answer.map(|_| child),
            Err(_) => Err(std::io::Error::other("the child did not start in time")),
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.kill_on_drop(true).spawn()
    }
}

async fn exchange(child: &mut Child, frame: &[u8]) -> std::io::Result<Answer> {
    let missing = || std::io::Error::other("the child has no pipes");
    let stdin = child.stdin.as_mut().ok_or_else(missing)?;
    stdin.write_all(&u32::try_from(frame.len()).map_err(std::io::Error::other)?.to_le_bytes()).await?;
    stdin.write_all(frame).await?;
    stdin.flush().await?;
    let stdout = child.stdout.as_mut().ok_or_else(missing)?;
    let mut length = [0; 4];
    stdout.read_exact(&mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_LIMIT {
        return Err(std::io::Error::other("the answer is too large"));
    }
    let mut answer = vec![0; length];
    stdout.read_exact(&mut answer).await?;
    serde_json::from_slice(&answer).map_err(std::io::Error::other)
}

fn shortened(program: &str) -> String {
    const SHOWN: usize = 80;
    if program.chars().count() <= SHOWN {
        return program.to_owned();
    }
    let start: String = program.chars().take(SHOWN).collect();
    format!("{start}…")
}
