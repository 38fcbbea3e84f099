//! A few connections that only read, off the async threads.

use super::schema;
use crate::{StoreError, failure::Tried};
use rusqlite::Connection;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

const READERS: usize = 4;

pub(super) struct Readers {
    pool: Arc<Pool>,
    permits: Arc<Semaphore>,
}

struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub fn new(path: PathBuf) -> Self {
        Self { pool: Arc::new(Pool { path, idle: Mutex::default() }), permits: Arc::new(Semaphore::new(READERS)) }
    }

    /// Runs `work` on a connection that sees everything committed so far.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Tried<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = |_| StoreError::Unavailable("the readers have stopped".into());
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(gone)?;
        let pool = Arc::clone(&self.pool);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            pool.run(work)
        });
        done.await.map_err(|_| StoreError::Corrupt("a read panicked".into()))?.map_err(|failure| failure.error)
    }
}

impl Pool {
    fn run<T>(&self, work: impl FnOnce(&Connection) -> Tried<T>) -> Tried<T> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.path)?,
        };
        // One snapshot for all statements of a read.
        let result = connection.transaction().map_err(Into::into).and_then(|transaction| work(&transaction));
        if !matches!(&result, Err(failure) if failure.reopen) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        result
    }
}
