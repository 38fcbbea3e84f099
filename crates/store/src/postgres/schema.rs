//! Brings the schema forward while other nodes may do the same, and refuses what it should not touch.

use super::session::Session;
use crate::{
    StoreError,
    failure::{Failure, Tried},
};
use tokio_postgres::Row;

/// One script per version, oldest first. Append; never edit one that was released. Other nodes run while one migrates:
/// scripts add, and take away only what no released version uses any more.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_documents.sql"),
    include_str!("migrations/0003_notes.sql"),
];

/// Names tables of ours: where one stands without `schema_version`, it is somebody else's.
const OURS: &[&str] = &["events", "contents", "deliveries", "payloads", "attempts", "links", "settings"];

const SERVER: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
    current_setting('server_encoding'), current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on', \
    current_setting('max_connections'), current_schema()::text";
const TABLES: &str = "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace \
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname = ANY ($1)";
const VERSION: &str = "SELECT coalesce(max(version), 0) FROM schema_version";
/// The nodes that migrate one schema wait for each other; other schemas of the database are not concerned.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1936746596, current_schema()::regnamespace::oid::int)";
const NOTE: &str = "INSERT INTO schema_version (version) VALUES ($1)";

/// The oldest server whose planner and vacuum can be set as they need to be.
const OLDEST_SERVER: i32 = 130_000;

/// Makes the schema that the tables are to stand in.
pub(super) async fn create(s: &Session, schema: Option<&str>) -> Tried<()> {
    let Some(schema) = schema else { return Ok(()) };
    let sql = format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema));
    match s.batch(&sql).await {
        // Another node made it at the same moment.
        Err(_) => s.batch(&sql).await,
        made => made,
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Refuses a server that cannot keep what it is given, and says when it may lose it.
pub(super) async fn check_server(s: &Session, name: &str) -> Tried<()> {
    let row = s.query_one(SERVER, &[]).await?;
    let (number, version, encoding): (i32, &str, &str) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let refused = |why: String| Err(StoreError::Unavailable(why).into());
    if number < OLDEST_SERVER {
        return refused(format!("it is PostgreSQL {version}: use version 13 or newer"));
    }
    if encoding != "UTF8" {
        return refused(format!("its encoding is {encoding}: create the database with UTF8"));
    }
    if row.try_get::<_, Option<&str>>(5)?.is_none() {
        return refused("the user has no schema of its own: name one in `store.schema`".into());
    }
    if !row.try_get::<_, bool>(3)? {
        tracing::warn!(database = name, "fsync or full_page_writes is off at this server: a crash of its machine loses data");
    }
    Ok(())
}

pub(super) async fn migrate(s: &Session) -> Tried<()> {
    while version(s).await? < MIGRATIONS.len() {
        s.transaction(step(s)).await?;
    }
    Ok(())
}

async fn step(s: &Session) -> Tried<()> {
    // Waiting for another node that migrates is fine; waiting with half a migration done, for its queries, is not.
    s.batch("SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '10min'").await?;
    s.query(LOCK, &[]).await?;
    s.batch("SET LOCAL lock_timeout = '5s'").await?;
    // Read again under the lock: another node may have done it in the meantime.
    let found = version(s).await?;
    if let Some(script) = MIGRATIONS.get(found) {
        s.batch("CREATE TABLE IF NOT EXISTS schema_version (version int PRIMARY KEY)").await?;
        s.batch(script).await?;
        s.execute(NOTE, &[&(found as i32 + 1)]).await?;
    }
    Ok(())
}

/// The version that stands in the database; 0 in an empty one.
async fn version(s: &Session) -> Tried<usize> {
    let wanted: Vec<&str> = OURS.iter().copied().chain(["schema_version"]).collect();
    let tables = s.query(TABLES, &[&wanted]).await?;
    let tables = tables.iter().map(|row: &Row| row.try_get(0)).collect::<Result<Vec<&str>, _>>()?;
    if !tables.contains(&"schema_version") {
        return match tables.first() {
            Some(table) => Err(Failure::corrupt(format!(
                "it has a table `{table}` of another program: name another database in `store.url`, or a schema in `store.schema`"
            ))),
            None => Ok(0),
        };
    }
    let found: i32 = s.query_one(VERSION, &[]).await?.try_get(0)?;
    let (found, known) = (found.max(0) as u32, MIGRATIONS.len() as u32);
    if found > known {
        return Err(StoreError::NewerSchema { found, known }.into());
    }
    Ok(found as usize)
}
