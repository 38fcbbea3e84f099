//! The one thread that writes: jobs that wait at the same moment share one transaction and one fsync.

use super::schema;
use crate::{
    StoreError,
    admission::{GROUP, GROUP_BYTES, Part, Ticket, WAITING, Waiting},
    failure::{Failure, Tried},
};
use rusqlite::Connection;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};
use tokio::sync::oneshot;

/// The way to the writing thread. Dropping it waits until what was submitted is written.
pub(super) struct Writer {
    jobs: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    waiting: Waiting,
    commits: Arc<AtomicU64>,
}

impl Writer {
    pub fn start(path: PathBuf, connection: Connection) -> Result<Self, StoreError> {
        let (sender, receiver) = sync_channel(WAITING);
        let commits = Arc::new(AtomicU64::new(0));
        let worker = Worker { path, connection: Some(connection), jobs: receiver, commits: Arc::clone(&commits) };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || worker.run())
            .map_err(|error| StoreError::Unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { jobs: Some(sender), thread: Some(thread), waiting: Waiting::default(), commits })
    }

    /// Transactions committed so far.
    pub fn commits(&self) -> u64 {
        self.commits.load(Relaxed)
    }

    /// Runs `work` in the next transaction and answers once that is on disk. `bytes` is what it keeps in memory until then.
    /// `work` may run twice: its first run may be rolled back because of another job of the group.
    pub async fn submit<T, F>(&self, part: Part, bytes: usize, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Tried<T> + Send + 'static,
    {
        let ticket = self.waiting.admit(part, bytes)?;
        let (reply, answer) = oneshot::channel();
        let job = Task { work, broke: false, outcome: None, reply, ticket };
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.try_send(Box::new(job)).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => stopped(),
        })?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the writer has stopped".into())
}

trait Job: Send {
    fn bytes(&self) -> usize;
    /// Whether it did its work; what came of it is kept until [`Job::answer`].
    fn run(&mut self, connection: &Connection) -> bool;
    /// It failed in a way that the connection may not survive.
    fn broke(&self) -> bool;
    fn fail(&mut self, error: StoreError);
    fn answer(self: Box<Self>);
}

struct Task<T, F> {
    work: F,
    broke: bool,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    ticket: Ticket,
}

impl<T: Send, F: FnMut(&Connection) -> Tried<T> + Send> Job for Task<T, F> {
    fn bytes(&self) -> usize {
        self.ticket.bytes()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(connection)))
            .unwrap_or_else(|_| Err(Failure::corrupt("a write panicked; its transaction was rolled back")));
        let done = outcome.is_ok();
        self.broke = matches!(&outcome, Err(failure) if failure.reopen);
        self.outcome = Some(outcome.map_err(|failure| failure.error));
        done
    }

    fn broke(&self) -> bool {
        self.broke
    }

    fn fail(&mut self, error: StoreError) {
        self.outcome = Some(Err(error));
    }

    fn answer(self: Box<Self>) {
        let Self { work, outcome, reply, .. } = *self;
        // What it held is free again before the caller goes on.
        drop(work);
        // Nobody waits any more: the caller was cancelled.
        let _ = reply.send(outcome.unwrap_or_else(|| Err(stopped())));
    }
}

/// What runs on the thread.
struct Worker {
    path: PathBuf,
    /// `None` after it broke; opened again for the next group.
    connection: Option<Connection>,
    jobs: Receiver<Box<dyn Job>>,
    commits: Arc<AtomicU64>,
}

impl Worker {
    fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            let mut group = self.gather(first);
            if let Err(failure) = self.commit(&mut group) {
                tracing::warn!(error = %failure.error, jobs = group.len(), "nothing of this group was written");
                for job in &mut group {
                    job.fail(failure.error.clone());
                }
                if failure.reopen {
                    self.connection = None;
                }
            }
            if group.iter().any(|job| job.broke()) {
                self.connection = None;
            }
            for job in group {
                job.answer();
            }
        }
    }

    /// The first job and whatever waits behind it.
    fn gather(&self, first: Box<dyn Job>) -> Vec<Box<dyn Job>> {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while group.len() < GROUP && bytes < GROUP_BYTES {
            let Ok(job) = self.jobs.try_recv() else { break };
            bytes += job.bytes();
            group.push(job);
        }
        group
    }

    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Tried<()> {
        let connection = match &mut self.connection {
            Some(connection) => &*connection,
            broken => broken.insert(schema::open_writer(&self.path)?),
        };
        let written = write(connection, group);
        if written.is_err() && !connection.is_autocommit() {
            connection.execute_batch("ROLLBACK").map_err(|error| Failure { reopen: true, ..error.into() })?;
        }
        written?;
        self.commits.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// All jobs in one transaction. Most of the time none fails, so savepoints, which copy every page they touch, are only
/// made when one did: then the group runs again and the failing job fails alone.
fn write(connection: &Connection, group: &mut [Box<dyn Job>]) -> Tried<()> {
    execute(connection, "BEGIN IMMEDIATE")?;
    if !group.iter_mut().all(|job| job.run(connection)) {
        if !connection.is_autocommit() {
            execute(connection, "ROLLBACK")?;
        }
        execute(connection, "BEGIN IMMEDIATE")?;
        for job in group {
            run_alone(connection, job.as_mut())?;
        }
    }
    execute(connection, "COMMIT")
}

fn run_alone(connection: &Connection, job: &mut dyn Job) -> Tried<()> {
    execute(connection, "SAVEPOINT job")?;
    if !job.run(connection) {
        if connection.is_autocommit() {
            return Err(StoreError::Unavailable("the database gave up the whole transaction".into()).into());
        }
        execute(connection, "ROLLBACK TO job")?;
    }
    execute(connection, "RELEASE job")
}

fn execute(connection: &Connection, sql: &str) -> Tried<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::WAITING_BYTES;

    fn start() -> (Writer, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spindel.db");
        let connection = schema::open_writer(&path).unwrap();
        (Writer::start(path, connection).unwrap(), folder)
    }

    fn set(key: &'static str) -> impl FnMut(&Connection) -> Tried<()> + Send {
        move |c| super::super::upkeep::set_setting(c, key, b"1")
    }

    async fn settings(writer: &Writer) -> u32 {
        let count = |c: &Connection| Ok(c.query_row("SELECT count(*) FROM settings", [], |row| row.get(0))?);
        writer.submit(Part::Progress, 0, count).await.unwrap()
    }

    #[tokio::test]
    async fn a_job_that_panics_fails_alone_and_leaves_nothing() {
        let (writer, _folder) = start();
        let panics = |c: &Connection| -> Tried<()> {
            set("half")(c)?;
            panic!("a bug");
        };
        let (before, broken, after) = tokio::join!(
            writer.submit(Part::Progress, 0, set("before")),
            writer.submit(Part::Progress, 0, panics),
            writer.submit(Part::Progress, 0, set("after")),
        );
        assert!(before.is_ok() && after.is_ok());
        assert!(matches!(broken, Err(StoreError::Corrupt(_))));
        assert_eq!(settings(&writer).await, 2);
    }

    #[tokio::test]
    async fn intake_is_refused_by_size_while_work_under_way_goes_on() {
        let (writer, _folder) = start();
        let held = writer.waiting.admit(Part::Intake, WAITING_BYTES).unwrap();
        let refused = writer.submit(Part::Intake, 1, set("intake")).await;
        assert!(matches!(refused, Err(StoreError::Overloaded)));
        writer.submit(Part::Progress, 1, set("progress")).await.unwrap();
        drop(held);
        writer.submit(Part::Intake, 1, set("intake")).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_broke_is_replaced() {
        let (writer, _folder) = start();
        let broken = |_: &Connection| -> Tried<()> { Err(Failure::lost("the disk is gone")) };
        let spoil = |c: &Connection| Ok(c.execute_batch("PRAGMA query_only = ON")?);
        writer.submit(Part::Progress, 0, spoil).await.unwrap();
        assert!(writer.submit(Part::Progress, 0, broken).await.is_err());
        writer.submit(Part::Progress, 0, set("after")).await.unwrap();
    }
}
