//! Jobs of a kind that wait at the same moment share one transaction, on a connection of their own.

use super::session::{Line, Session};
use crate::{
    BoxFuture, StoreError,
    admission::{GROUP, GROUP_BYTES, Part, Ticket, WAITING, Waiting},
    failure::{Failure, Tried},
};
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel, error::TrySendError},
        oneshot,
    },
    time::{sleep, timeout},
};

/// How often a group runs again after another transaction was in its way.
pub(super) const TRIES_IN_THE_WAY: u32 = 5;
/// How often after the connection was lost.
const TRIES_LOST: u32 = 3;

/// An answer for each of the jobs, or nothing is written.
type Run<J, A> = for<'a> fn(&'a Session, &'a [J], Before) -> BoxFuture<'a, Tried<Vec<A>>>;

/// What is done with the jobs of a group.
pub(super) struct Work<J, A> {
    pub run: Run<J, A>,
    /// No answer within this time: the connection is dead.
    pub limit: Duration,
    /// Whether it runs again after the connection was lost.
    pub repeats: bool,
    /// How long the caller waits at most, whatever is before it.
    pub patience: Option<Duration>,
    pub part: Part,
}

impl<J, A> Clone for Work<J, A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<J, A> Copy for Work<J, A> {}

/// What is known of earlier runs of the same jobs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// The connection was lost under it: it may have been committed.
    PerhapsDone,
}

/// The way to the workers of one kind. What was submitted is still carried out after it is dropped.
pub(super) struct Group<J, A> {
    jobs: Sender<Job<J, A>>,
    waiting: Waiting,
    work: Work<J, A>,
}

struct Job<J, A> {
    work: J,
    reply: oneshot::Sender<Result<A, StoreError>>,
    ticket: Ticket,
}

impl<J: Send + Sync + 'static, A: Send + 'static> Group<J, A> {
    /// One worker for each line.
    pub fn start(lines: impl IntoIterator<Item = Arc<Line>>, waiting: &Waiting, work: Work<J, A>) -> Self {
        let (sender, receiver) = channel(WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for line in lines {
            let worker = Worker { line, jobs: Arc::clone(&receiver), work };
            tokio::spawn(worker.serve());
        }
        Self { jobs: sender, waiting: waiting.clone(), work }
    }

    /// Carries `job` out in the next group and answers once that is on disk. `bytes` is what it keeps in memory until then.
    pub async fn submit(&self, bytes: usize, job: J) -> Result<A, StoreError> {
        let ticket = self.waiting.admit(self.work.part, bytes)?;
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send(Job { work: job, reply, ticket }).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Closed(_) => stopped(),
        })?;
        let answer = match self.work.patience {
            Some(patience) => timeout(patience, answer)
                .await
                .map_err(|_| StoreError::Unavailable(format!("the database gave no answer within {patience:?}")))?,
            None => answer.await,
        };
        answer.map_err(|_| stopped())?
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the store has stopped".into())
}

struct Worker<J, A> {
    line: Arc<Line>,
    jobs: Arc<Mutex<Receiver<Job<J, A>>>>,
    work: Work<J, A>,
}

impl<J: Send + Sync, A: Send> Worker<J, A> {
    async fn serve(self) {
        while let Some(group) = self.gather().await {
            let (mut jobs, mut callers) = (Vec::with_capacity(group.len()), Vec::with_capacity(group.len()));
            for Job { work, reply, ticket } in group {
                jobs.push(work);
                callers.push((reply, ticket));
            }
            let answers = self.carry_out(&jobs).await;
            // What they held is free again before the callers go on.
            drop(jobs);
            for ((reply, _), answer) in callers.into_iter().zip(answers) {
                // Nobody waits any more: the caller was cancelled.
                let _ = reply.send(answer);
            }
        }
    }

    /// The first job and whatever waits behind it.
    async fn gather(&self) -> Option<Vec<Job<J, A>>> {
        let mut jobs = self.jobs.lock().await;
        let first = jobs.recv().await?;
        let mut bytes = first.ticket.bytes();
        let mut group = vec![first];
        while group.len() < GROUP && bytes < GROUP_BYTES {
            let Ok(job) = jobs.try_recv() else { break };
            bytes += job.ticket.bytes();
            group.push(job);
        }
        Some(group)
    }

    async fn carry_out(&self, jobs: &[J]) -> Vec<Result<A, StoreError>> {
        match self.persist(jobs).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            // One of them is not as it should be: it fails alone.
            Err(Failure { error: StoreError::Corrupt(_), .. }) if jobs.len() > 1 => {
                let mut answers = Vec::with_capacity(jobs.len());
                for job in jobs {
                    let alone = self.persist(std::slice::from_ref(job)).await;
                    answers.push(alone.and_then(|mut answers| answers.pop().ok_or_else(unanswered)).map_err(StoreError::from));
                }
                answers
            }
            Err(failure) => jobs.iter().map(|_| Err(failure.error.clone())).collect(),
        }
    }

    /// Runs again what another transaction or a lost connection prevented, where that is harmless.
    async fn persist(&self, jobs: &[J]) -> Tried<Vec<A>> {
        let (mut in_the_way, mut lost) = (0, 0);
        let mut before = Before::Nothing;
        loop {
            let failure = match self.attempt(jobs, before).await {
                Ok(answers) if answers.len() == jobs.len() => return Ok(answers),
                Ok(_) => return Err(unanswered()),
                Err(failure) => failure,
            };
            let unavailable = matches!(failure.error, StoreError::Unavailable(_));
            if failure.again && in_the_way < TRIES_IN_THE_WAY {
                in_the_way += 1;
                sleep(Duration::from_millis(u64::from(in_the_way * in_the_way))).await;
            } else if failure.reopen && unavailable && self.work.repeats && lost < TRIES_LOST {
                lost += 1;
                before = Before::PerhapsDone;
            } else {
                return Err(failure);
            }
        }
    }

    async fn attempt(&self, jobs: &[J], before: Before) -> Tried<Vec<A>> {
        let session = self.line.session().await?;
        let mut run = pin!((self.work.run)(&session, jobs, before));
        let guarded = poll_fn(|context| {
            catch_unwind(AssertUnwindSafe(|| run.as_mut().poll(context))).unwrap_or_else(|_| {
                let panicked = Failure::corrupt("a write panicked; its transaction was rolled back");
                Poll::Ready(Err(Failure { reopen: true, ..panicked }))
            })
        });
        session.within(self.work.limit, guarded).await
    }
}

fn unanswered() -> Failure {
    Failure::corrupt("a group of writes was answered in part")
}
