//! The SQLite store: the suite of all stores, and what is its own: files, processes, full disks, keys, commits.
#![allow(clippy::unwrap_used)]

use spindel_model::State;
use spindel_store::{Appended, CursorMove, EventFilter, NewEvent, Options, SqliteStore, Store, StoreError};
use spindel_testkit::store::fixture::*;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tempfile::TempDir;

async fn open() -> (Arc<dyn Store>, TempDir) {
    let (store, _, folder) = fresh();
    (store, folder)
}

spindel_testkit::store_suite!(open());

async fn open_twice() -> (Arc<dyn Store>, Arc<dyn Store>, TempDir) {
    let (store, path, folder) = fresh();
    (store, reopen(&path), folder)
}

spindel_testkit::store_race_suite!(open_twice());

mod encrypted {
    //! The same suite with every payload encrypted.
    use super::*;

    async fn open() -> (Arc<dyn Store>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (SqliteStore::open(folder.path().join("spindel.db"), key(7)).unwrap(), folder)
    }

    spindel_testkit::store_suite!(open());
}

fn fresh() -> (Arc<SqliteStore>, PathBuf, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spindel.db");
    (SqliteStore::open(&path, Options::default()).unwrap(), path, folder)
}

fn reopen(path: &PathBuf) -> Arc<SqliteStore> {
    SqliteStore::open(path, Options::default()).unwrap()
}

fn key(byte: u8) -> Options {
    Options { encryption_key: Some([byte; 32]) }
}

fn refused(path: &PathBuf, options: Options) -> StoreError {
    SqliteStore::open(path, options).err().expect("it is to be refused")
}

fn sqlite(path: &PathBuf) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

#[tokio::test]
async fn what_was_answered_is_there_for_whoever_opens_the_file_next() {
    let (store, path, _folder) = fresh();
    let shared: Shared = store.clone();
    let new = push("1", 1);
    let id = new.id;
    plan(&shared, vec![new]).await;
    claim_one(&shared, id, at(0)).await;
    // Never closed: the next one finds the file as a crash leaves it.
    std::mem::forget(store);
    std::mem::forget(shared);
    let store = reopen(&path);
    assert_eq!(store.delivery(id).await.unwrap().unwrap().delivery.state.name(), "running");
    assert_eq!(store.expired(at(100), None, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_together_share_a_commit() {
    let (store, _, _folder) = fresh();
    let before = store.commits();
    for round in 0..10 {
        let tasks: Vec<_> = (0..64)
            .map(|n| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.append(event(&format!("{round}/{n}"))).await.unwrap() })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    let commits = store.commits() - before;
    assert!(commits <= 320, "640 appends took {commits} commits");
    assert_eq!(store.counts().await.unwrap().events["accepted"], 640);
}

#[tokio::test]
async fn a_full_disk_refuses_and_nothing_acknowledged_is_lost() {
    let (store, _, _folder) = fresh();
    let large = |key: &str| {
        // Does not compress.
        let body = (0..4000).flat_map(|_| uuid::Uuid::new_v4().into_bytes()).collect();
        NewEvent { body, ..event(key) }
    };
    store.append(large("before")).await.unwrap();
    store.pragma("max_page_count = 1").await.unwrap();
    let mut acknowledged = vec![];
    let mut refused = 0;
    for n in 0..20 {
        let new = large(&n.to_string());
        let id = new.id;
        match store.append(new).await {
            Ok(_) => acknowledged.push(id),
            Err(StoreError::Unavailable(_)) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 10, "{refused} refused");
    let kept = store.events(EventFilter { limit: 100, ..EventFilter::default() }).await.unwrap();
    assert_eq!(kept.len(), acknowledged.len() + 1);
    store.pragma("max_page_count = 1000000").await.unwrap();
    assert!(matches!(store.append(large("after")).await, Ok(Appended::New(_))), "there is room again");
    store.probe().await.unwrap();
}

#[tokio::test]
async fn a_job_that_fails_takes_none_of_its_group_with_it() {
    let (store, _, _folder) = fresh();
    let first = event("first");
    store.append(first.clone()).await.unwrap();
    // The same id under another key breaks a rule of the database.
    let broken = NewEvent { id: first.id, ..event("broken") };
    let page = store.append_page(
        vec![event("in the page"), broken.clone()],
        CursorMove { connection: SHOP.into(), kind: "order".into(), cursor: "2".into() },
    );
    let (page, broken, good, also_good) =
        tokio::join!(page, store.append(broken), store.append(event("good")), store.append(event("also good")));
    assert!(matches!(page, Err(StoreError::Corrupt(_))), "{page:?}");
    assert!(matches!(broken, Err(StoreError::Corrupt(_))), "{broken:?}");
    assert!(good.is_ok() && also_good.is_ok());
    let kept = store.events(EventFilter { limit: 10, ..EventFilter::default() }).await.unwrap();
    assert_eq!(kept.len(), 3, "and nothing of the page");
    assert_eq!(store.cursor(SHOP, "order").await.unwrap(), None);
}

#[tokio::test]
async fn a_read_only_database_takes_no_writes_and_still_reads() {
    let (store, _, _folder) = fresh();
    let new = event("1");
    let id = new.id;
    store.append(new).await.unwrap();
    store.pragma("query_only = ON").await.unwrap();
    assert!(matches!(store.append(event("2")).await, Err(StoreError::Unavailable(_))));
    assert!(store.event(id).await.unwrap().is_some());
    // The writer gave its connection up and opens another, which may write.
    store.append(event("2")).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Dear Kari, ".repeat(1000)).unwrap();
    let error = refused(&path, Options::default());
    assert!(error.to_string().contains("letter.txt"), "{error}");
    let missing = folder.path().join("missing").join("spindel.db");
    assert!(matches!(refused(&missing, Options::default()), StoreError::Unavailable(_)));
}

#[tokio::test]
async fn a_second_process_reads_and_writes_beside_the_first() {
    let (server, path, _folder) = fresh();
    let command_line = reopen(&path);
    let (one, two): (Shared, Shared) = (server.clone(), command_line.clone());
    let new = push("1", 1);
    let id = new.id;
    plan(&one, vec![new]).await;
    assert_eq!(two.discard(vec![id], "kari", "a test", at(1)).await.unwrap(), [id]);
    assert_eq!(one.delivery(id).await.unwrap().unwrap().delivery.state.name(), "discarded");
    let writes = (0..100).map(|n| {
        let store = if n % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&two) };
        tokio::spawn(async move { store.append(event(&n.to_string())).await.unwrap() })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap();
    }
    assert_eq!(two.counts().await.unwrap().events["accepted"], 100);
}

#[tokio::test]
async fn a_writer_waits_for_another_process_that_writes() {
    let (store, path, _folder) = fresh();
    let other = sqlite(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.append(event("1")).await })
    };
    assert!(tokio::time::timeout(Duration::from_millis(50), store.probe()).await.is_err(), "it waits");
    other.execute_batch("COMMIT").unwrap();
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_it_holds_is_refused_at_once() {
    let (store, path, _folder) = fresh();
    let other = sqlite(&path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let tasks: Vec<_> = (0..6000)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.append(event(&n.to_string())).await })
        })
        .collect();
    // Those refused answer while the rest still waits.
    let deadline = std::time::Instant::now() + Duration::from_secs(4);
    while tasks.iter().filter(|task| task.is_finished()).count() < 1000 {
        assert!(std::time::Instant::now() < deadline, "nobody was refused");
        tokio::task::yield_now().await;
    }
    other.execute_batch("COMMIT").unwrap();
    let (mut kept, mut overloaded) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => kept += 1,
            Err(StoreError::Overloaded) => overloaded += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(kept >= 4000 && overloaded >= 1000, "{kept} kept, {overloaded} refused");
    assert_eq!(store.counts().await.unwrap().events["accepted"], kept);
}

#[tokio::test]
async fn payloads_and_credentials_are_not_readable_in_an_encrypted_file() {
    let (words, token) = ("Storgata 7, 0155 Oslo", "refresh-token-of-a-vendor");
    for (options, readable) in [(Options::default(), true), (key(7), false)] {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("spindel.db"), options).unwrap();
        let new = NewEvent { body: words.into(), headers: vec![], ..event("1") };
        let id = new.id;
        store.append(new).await.unwrap();
        assert_eq!(store.event(id).await.unwrap().unwrap().body, words.as_bytes());
        store.set_setting("refresh_token shop", token.into()).await.unwrap();
        assert_eq!(store.setting("refresh_token shop").await.unwrap().as_deref(), Some(token.as_bytes()));
        let mut bytes = Vec::new();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            bytes.extend(std::fs::read(file.unwrap().path()).unwrap());
        }
        for text in [words, token] {
            assert_eq!(bytes.windows(text.len()).any(|window| window == text.as_bytes()), readable, "{text}");
        }
    }
}

#[tokio::test]
async fn closing_the_store_leaves_one_file() {
    let (store, path, folder) = fresh();
    let new = event("1");
    let id = new.id;
    store.append(new).await.unwrap();
    assert!(store.event(id).await.unwrap().is_some());
    drop(store);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(left, [path]);
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_refused_and_the_setting_named() {
    let (store, path, _folder) = fresh();
    let plain = event("plain");
    let id = plain.id;
    store.append(plain).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path, key(7)).unwrap();
    assert!(store.event(id).await.unwrap().is_some(), "what was written before the key stays readable");
    drop(store);
    for options in [key(8), Options::default()] {
        let error = refused(&path, options);
        assert!(matches!(&error, StoreError::Corrupt(why) if why.contains("store.encryption_key")), "{error}");
    }
    SqliteStore::open(&path, key(7)).unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (store, path, _folder) = fresh();
    drop(store);
    sqlite(&path).execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(matches!(refused(&path, Options::default()), StoreError::NewerSchema { found: 99, known: 3 }));
}

#[tokio::test]
async fn the_database_itself_refuses_two_at_the_head_of_a_lane() {
    let (store, path, _folder) = fresh();
    let shared: Shared = store.clone();
    plan(&shared, vec![push("1", 1)]).await;
    plan(&shared, vec![push("1", 2)]).await;
    let forced = sqlite(&path).execute("UPDATE deliveries SET place = 1, state = 'due'", []);
    assert!(forced.is_err());
}

#[tokio::test]
async fn no_write_is_open_while_a_delivery_is_carried_out() {
    let (store, path, _folder) = fresh();
    let shared: Shared = store.clone();
    let new = push("1", 1);
    let id = new.id;
    plan(&shared, vec![new]).await;
    let claimed = claim_one(&shared, id, at(0)).await;
    let other = sqlite(&path);
    other.busy_timeout(Duration::ZERO).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
    finish(&shared, outcome(&claimed, State::Delivered, at(1))).await;
}
