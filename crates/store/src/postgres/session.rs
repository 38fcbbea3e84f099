//! A connection with its prepared statements, and a line that always has one while the server is there.

use super::address::Address;
use crate::{
    StoreError,
    failure::{Failure, Tried},
};
use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    task::{AbortHandle, JoinHandle},
    time::timeout,
};
use tokio_postgres::{Client, Connection, Row, Socket, Statement, tls::TlsStream, types::ToSql};

pub(super) const APPLICATION: &str = "spindel";

/// Pauses between attempts to connect, growing.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A server that takes longer to say hello is not there.
const HELLO: Duration = Duration::from_secs(3);
/// How long a call waits for a connection that was just lost to be replaced.
const PATIENCE: Duration = Duration::from_secs(1);

/// Every statement goes by an index, and tables may grow from nothing to millions between two looks of the planner at
/// them: plans are made once and never by what a table happens to hold. The server ends what hangs.
pub(super) const SETTINGS: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '15s'; \
    SET synchronous_commit = on; SET plan_cache_mode = force_generic_plan; SET jit = off; SET client_min_messages = warning; \
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_mergejoin = off; SET work_mem = '16MB';";
/// Joins between tables are lookups; between the values of one statement they are better hashed.
pub(super) const LOOKUPS: &str = "SET enable_hashjoin = off;";

pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A client and the task that carries its messages.
pub(super) struct Connecting {
    client: Client,
    carrier: JoinHandle<()>,
}

impl Connecting {
    pub fn new<T: TlsStream + Unpin + Send + 'static>(client: Client, connection: Connection<Socket, T>) -> Self {
        let carrier = tokio::spawn(async move {
            // Whoever waits for an answer hears of the failure.
            let _ = connection.await;
        });
        Self { client, carrier }
    }
}

/// One connection.
pub(super) struct Session {
    client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
    given_up: AtomicBool,
    broken: Arc<Notify>,
}

impl Session {
    /// Connects once and makes the session ready. The second is done when the connection has ended.
    pub async fn open(address: &Address, joins: Joins) -> Tried<(Self, JoinHandle<()>)> {
        let connecting = async {
            let Connecting { client, carrier } = address.connect().await?;
            let extra = if joins == Joins::Lookups { LOOKUPS } else { "" };
            client.batch_execute(&format!("{SETTINGS}{extra}")).await?;
            Ok((Self { client, statements: Mutex::default(), given_up: AtomicBool::new(false), broken: Arc::default() }, carrier))
        };
        let opened = timeout(HELLO, connecting).await;
        opened
            .unwrap_or_else(|_| Err(Failure::lost(format!("no answer within {} s", HELLO.as_secs()))))
            .map_err(|failure| address.at(failure))
    }

    pub async fn query(&self, sql: &'static str, params: Params<'_>) -> Tried<Vec<Row>> {
        Ok(self.client.query(&self.statement(sql).await?, params).await?)
    }

    pub async fn query_opt(&self, sql: &'static str, params: Params<'_>) -> Tried<Option<Row>> {
        Ok(self.client.query_opt(&self.statement(sql).await?, params).await?)
    }

    pub async fn query_one(&self, sql: &'static str, params: Params<'_>) -> Tried<Row> {
        Ok(self.client.query_one(&self.statement(sql).await?, params).await?)
    }

    pub async fn execute(&self, sql: &'static str, params: Params<'_>) -> Tried<u64> {
        Ok(self.client.execute(&self.statement(sql).await?, params).await?)
    }

    /// A statement that was put together for this call: not kept.
    pub async fn query_once(&self, sql: &str, params: Params<'_>) -> Tried<Vec<Row>> {
        Ok(self.client.query(sql, params).await?)
    }

    /// Statements without parameters.
    pub async fn batch(&self, sql: &str) -> Tried<()> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Prepares those that are not yet, so that statements sent together arrive in the order in which they were sent.
    pub async fn prepare(&self, sets: &[&[&'static str]]) -> Tried<()> {
        let missing: Vec<_> = {
            let known = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
            sets.iter().copied().flatten().filter(|sql| !known.contains_key(*sql)).collect()
        };
        for sql in missing {
            self.statement(sql).await?;
        }
        Ok(())
    }

    async fn statement(&self, sql: &'static str) -> Tried<Statement> {
        let known = |statements: &Mutex<HashMap<_, Statement>>| {
            statements.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned()
        };
        if let Some(statement) = known(&self.statements) {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).insert(sql, statement.clone());
        Ok(statement)
    }

    /// Runs `work` between BEGIN and COMMIT. When it fails nothing of it is written.
    pub async fn transaction<T>(&self, work: impl Future<Output = Tried<T>>) -> Tried<T> {
        // Both are sent at once: BEGIN cannot fail while the connection lives.
        let (begun, done) = tokio::join!(self.batch("BEGIN"), work);
        begun?;
        match done {
            Ok(done) => self.batch("COMMIT").await.map(|()| done),
            Err(failure) => {
                if !failure.reopen {
                    self.batch("ROLLBACK").await?;
                }
                Err(failure)
            }
        }
    }

    /// Gives the connection up: another takes its place.
    pub fn give_up(&self) {
        self.given_up.store(true, Relaxed);
        self.broken.notify_one();
    }

    fn lives(&self) -> bool {
        !self.given_up.load(Relaxed) && !self.client.is_closed()
    }

    /// No answer within `limit` means that the connection is dead, even if it does not know.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = Tried<T>>) -> Tried<T> {
        let done = timeout(limit, work).await.unwrap_or_else(|_| Err(Failure::lost(format!("no answer within {limit:?}"))));
        if matches!(&done, Err(failure) if failure.reopen) {
            self.give_up();
        }
        done
    }
}

/// How a session joins what a statement brings with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Joins {
    Lookups,
    Hashed,
}

/// Always one session while the server can be reached: one that breaks is replaced in the background.
pub(super) struct Line {
    address: Arc<Address>,
    joins: Joins,
    state: watch::Sender<State>,
    keeper: OnceLock<AbortHandle>,
}

#[derive(Clone, Default)]
struct State {
    session: Option<Arc<Session>>,
    /// Why the last attempt to connect failed; `None` while the first is under way.
    refused: Option<StoreError>,
}

impl State {
    fn lives(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.lives())
    }
}

impl Line {
    pub fn new(address: Arc<Address>, joins: Joins) -> Arc<Self> {
        Arc::new(Self { address, joins, state: watch::Sender::default(), keeper: OnceLock::new() })
    }

    /// The session, or at once why there is none. Connects when it is asked for the first time.
    pub async fn session(&self) -> Tried<Arc<Session>> {
        self.keeper.get_or_init(|| {
            let (address, state) = (Arc::clone(&self.address), self.state.clone());
            tokio::spawn(keep(address, self.joins, state)).abort_handle()
        });
        let mut state = self.state.subscribe();
        let settled = timeout(PATIENCE, state.wait_for(|state| state.lives() || state.refused.is_some())).await;
        if let Ok(Ok(state)) = settled {
            match (&state.session, &state.refused) {
                (Some(session), _) => return Ok(Arc::clone(session)),
                (None, Some(refused)) => return Err(refused.clone().into()),
                (None, None) => {}
            }
        }
        Err(StoreError::Unavailable(format!("{}: not connected", self.address.name())).into())
    }

    /// Runs one autocommitted statement or several reads, with a time limit.
    pub async fn run<T, F>(&self, limit: Duration, work: impl FnOnce(Arc<Session>) -> F) -> Tried<T>
    where
        F: Future<Output = Tried<T>>,
    {
        let session = self.session().await?;
        session.within(limit, work(Arc::clone(&session))).await
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
    }
}

async fn keep(address: Arc<Address>, joins: Joins, state: watch::Sender<State>) {
    let mut pause = FIRST_PAUSE;
    let mut told = false;
    loop {
        match Session::open(&address, joins).await {
            Ok((session, mut carrier)) => {
                if std::mem::take(&mut told) {
                    tracing::info!(database = address.name(), "the database can be reached again");
                }
                pause = FIRST_PAUSE;
                let broken = Arc::clone(&session.broken);
                state.send_replace(State { session: Some(Arc::new(session)), refused: None });
                tokio::select! {
                    _ = &mut carrier => {}
                    () = broken.notified() => carrier.abort(),
                }
                state.send_replace(State::default());
            }
            Err(failure) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(error = %failure.error, "the database cannot be reached; trying again");
                }
                state.send_modify(|state| state.refused = Some(failure.error));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}
