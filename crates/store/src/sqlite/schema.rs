//! Opens connections to the database file and brings its schema forward.

use crate::StoreError;
use crate::failure::{Failure, Tried};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};
use std::{path::Path, time::Duration};

/// One script per version, oldest first. Append; never edit one that was released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_documents.sql"),
    include_str!("migrations/0003_notes.sql"),
];

/// Older ones can lose committed data in WAL mode when two connections checkpoint and write at once.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The connection that writes, with the newest schema.
pub(super) fn open_writer(path: &Path) -> Tried<Connection> {
    refuse_old_sqlite()?;
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    refuse_newer_schema(&connection)?;
    refuse_foreign(&connection)?;
    // The page size holds from the first write on. Small, frequent checkpoints keep the slowest commits short.
    connection.execute_batch(
        "PRAGMA page_size = 16384;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 1000;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -32768;",
    )?;
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(
            StoreError::Unavailable(format!("its journal mode is {mode} and cannot be WAL here: use a local disk")).into()
        );
    }
    keep_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(128);
    migrate(&mut connection)?;
    Ok(connection)
}

/// A connection that can only read.
pub(super) fn open_reader(path: &Path) -> Tried<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("PRAGMA cache_size = -4096;")?;
    keep_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Statements keep the plan they were prepared with. Otherwise many are parsed and planned anew with each value they are given.
fn keep_plans(connection: &Connection) -> Tried<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn refuse_old_sqlite() -> Tried<()> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreError::Unavailable(format!(
            "SQLite {} can lose data in WAL mode: build with SQLite 3.51.3 or newer",
            rusqlite::version()
        ))
        .into());
    }
    Ok(())
}

fn version(connection: &Connection) -> Tried<usize> {
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(found as usize)
}

fn refuse_newer_schema(connection: &Connection) -> Tried<usize> {
    let (found, known) = (version(connection)?, MIGRATIONS.len());
    if found > known {
        return Err(StoreError::NewerSchema { found: found as u32, known: known as u32 }.into());
    }
    Ok(found)
}

/// A file without a version is a new one, or not ours: nothing is written into somebody else's.
fn refuse_foreign(connection: &Connection) -> Tried<()> {
    // One statement, one snapshot: another process may be migrating it right now.
    let sql = "SELECT count(*) FROM sqlite_schema WHERE (SELECT user_version FROM pragma_user_version) = 0";
    let tables: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    if tables > 0 {
        return Err(Failure::corrupt("it is the database of another program: name another file in `store.url`"));
    }
    Ok(())
}

fn migrate(connection: &mut Connection) -> Tried<()> {
    while version(connection)? < MIGRATIONS.len() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Read again under the lock: another process may have done it in the meantime.
        let found = refuse_newer_schema(&transaction)?;
        if let Some(script) = MIGRATIONS.get(found) {
            transaction.execute_batch(script)?;
            transaction.pragma_update(None, "user_version", found as u32 + 1)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_on_disk_before_it_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_writer(&folder.path().join("spindel.db")).unwrap();
        let pragma = |name: &str| -> String {
            connection.query_row(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"), [], |row| row.get(0)).unwrap()
        };
        let set = ["journal_mode", "synchronous", "page_size", "foreign_keys"].map(pragma);
        assert_eq!(set, ["wal", "2", "16384", "1"]);
    }

    #[test]
    fn what_cannot_be_shared_between_connections_is_refused() {
        let error = open_writer(Path::new(":memory:")).unwrap_err().error;
        assert!(error.to_string().contains("WAL"), "{error}");
    }

    #[test]
    fn the_database_of_another_program_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE orders (id)").unwrap();
        let error = open_writer(&path).unwrap_err().error;
        assert!(error.to_string().ends_with("another program: name another file in `store.url`"), "{error}");
    }

    #[test]
    fn opening_again_migrates_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spindel.db");
        drop(open_writer(&path).unwrap());
        assert_eq!(version(&open_writer(&path).unwrap()).unwrap(), MIGRATIONS.len());
    }
}
