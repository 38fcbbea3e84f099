//! Two connections that take turns: each commits all that waits at a moment in one statement.

use super::{BATCH, Committed, Job, Jobs};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};
use tokio::sync::{Mutex, mpsc};
use tokio_postgres::{Client, NoTls, Statement};

const CONNECTIONS: usize = 2;

pub async fn connect(address: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Tags of recorded outcomes go to `recorded`.
pub async fn start(
    address: &str,
    jobs: Jobs,
    next: Option<mpsc::Sender<Committed>>,
    recorded: Option<mpsc::UnboundedSender<u64>>,
) -> anyhow::Result<()> {
    let client = connect(address).await?;
    client
        .batch_execute(
            "create table events (id bigint primary key, body bytea not null);
             alter table events alter column body set storage external;
             create table outcomes (event bigint primary key);",
        )
        .await?;
    let (jobs, last) = (Arc::new(Mutex::new(jobs)), Arc::new(AtomicI64::new(0)));
    for _ in 0..CONNECTIONS {
        let client = connect(address).await?;
        let insert = client.prepare("insert into events (id, body) select * from unnest($1::bigint[], $2::bytea[])").await?;
        let done = client.prepare("insert into outcomes (event) select * from unnest($1::bigint[])").await?;
        let writer = Writer { client, insert, done, last: Arc::clone(&last), next: next.clone(), recorded: recorded.clone() };
        let jobs = Arc::clone(&jobs);
        tokio::spawn(async move {
            if let Err(error) = writer.run(&jobs).await {
                eprintln!("{error:#}");
                std::process::exit(1);
            }
        });
    }
    Ok(())
}

struct Writer {
    client: Client,
    insert: Statement,
    done: Statement,
    last: Arc<AtomicI64>,
    next: Option<mpsc::Sender<Committed>>,
    recorded: Option<mpsc::UnboundedSender<u64>>,
}

impl Writer {
    async fn run(&self, jobs: &Mutex<Jobs>) -> anyhow::Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        while jobs.lock().await.recv_many(&mut batch, BATCH).await > 0 {
            let (mut ids, mut bodies, mut answers, mut done, mut tags) = (vec![], vec![], vec![], vec![], vec![]);
            for job in batch.drain(..) {
                match job {
                    Job::Insert { body, committed } => {
                        ids.push(self.last.fetch_add(1, Relaxed) + 1);
                        bodies.push(body);
                        answers.push(committed);
                    }
                    Job::Done { id, tag } => {
                        done.push(id);
                        tags.push(tag);
                    }
                }
            }
            self.commit(&ids, &bodies, &done).await?;
            for ((id, body), committed) in ids.into_iter().zip(bodies).zip(answers) {
                let _ = committed.send(id);
                if let Some(next) = &self.next {
                    next.send((id, body)).await?;
                }
            }
            if let Some(recorded) = &self.recorded {
                tags.into_iter().try_for_each(|tag| recorded.send(tag))?;
            }
        }
        Ok(())
    }

    async fn commit(&self, ids: &[i64], bodies: &[bytes::Bytes], done: &[i64]) -> anyhow::Result<()> {
        let bodies: Vec<&[u8]> = bodies.iter().map(AsRef::as_ref).collect();
        match (ids.is_empty(), done.is_empty()) {
            (false, true) => drop(self.client.execute(&self.insert, &[&ids, &bodies]).await?),
            (true, false) => drop(self.client.execute(&self.done, &[&done]).await?),
            // Sent together, so that one round trip does for all four.
            (false, false) => {
                let (ids, done): (&(dyn tokio_postgres::types::ToSql + Sync), _) = (&ids, &done);
                let insert = [ids, &bodies];
                let record: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [done];
                tokio::try_join!(
                    self.client.batch_execute("begin"),
                    self.client.execute(&self.insert, &insert),
                    self.client.execute(&self.done, &record),
                    self.client.batch_execute("commit"),
                )?;
            }
            (true, true) => {}
        }
        Ok(())
    }
}
