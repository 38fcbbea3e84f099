//! One thread that commits all that waits at a moment in one transaction. Pragmas as Spindel's; bodies as they came.

use super::{BATCH, Committed, Job, Jobs};
use rusqlite::Connection;
use std::{path::Path, thread};
use tokio::sync::mpsc;

pub fn start(folder: &Path, jobs: Jobs, next: Option<mpsc::Sender<Committed>>) -> anyhow::Result<()> {
    let connection = Connection::open(folder.join("spindel.db"))?;
    connection.execute_batch(
        "PRAGMA page_size = 16384;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 1000;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -32768;
         CREATE TABLE events (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
         CREATE TABLE outcomes (event INTEGER PRIMARY KEY) STRICT;",
    )?;
    thread::spawn(move || {
        if let Err(error) = write(connection, jobs, next) {
            eprintln!("{error:#}");
            std::process::exit(1);
        }
    });
    Ok(())
}

fn write(mut connection: Connection, mut jobs: Jobs, next: Option<mpsc::Sender<Committed>>) -> anyhow::Result<()> {
    let mut last = 0;
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
        let mut inserted = Vec::new();
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO events (id, body) VALUES (?1, ?2)")?;
            let mut done = transaction.prepare_cached("INSERT INTO outcomes (event) VALUES (?1)")?;
            for job in batch.drain(..) {
                match job {
                    Job::Insert { body, committed } => {
                        last += 1;
                        insert.execute((last, body.as_ref()))?;
                        inserted.push((last, body, committed));
                    }
                    Job::Done { id, .. } => {
                        done.execute([id])?;
                    }
                }
            }
        }
        transaction.commit()?;
        for (id, body, committed) in inserted {
            let _ = committed.send(id);
            if let Some(next) = &next {
                next.blocking_send((id, body))?;
            }
        }
    }
    Ok(())
}
