//! The PostgreSQL store: the suite of all stores, and what is its own: nodes, lost connections, servers it must not trust.
//! Needs `./scripts/services up`; each case has a schema of its own.
#![allow(clippy::unwrap_used)]

mod encryption;
mod faults;
mod lanes;
mod speed;
mod world;

use spindel_model::State;
use spindel_store::{
    Appended, CursorMove, EventFilter, Finished, NewDelivery, NewEvent, PostgresOptions, PostgresStore, Store, StoreError,
};
use spindel_testkit::store::fixture::*;
use std::sync::Arc;
use world::World;

async fn open() -> (Arc<dyn Store>, World) {
    let world = World::new().await;
    (world.open().await, world)
}

spindel_testkit::store_suite!(open());

async fn open_twice() -> (Arc<dyn Store>, Arc<dyn Store>, World) {
    let world = World::new().await;
    (world.open().await, world.open().await, world)
}

spindel_testkit::store_race_suite!(open_twice());

mod encrypted {
    //! The same suite with every payload encrypted.
    use super::*;

    async fn open() -> (Arc<dyn Store>, World) {
        let world = World::new().await;
        (PostgresStore::open(world.with_key(7)).await.unwrap(), world)
    }

    spindel_testkit::store_suite!(open());
}

async fn refused(options: PostgresOptions) -> StoreError {
    PostgresStore::open(options).await.err().expect("it is to be refused")
}

#[tokio::test]
async fn what_was_answered_is_there_for_the_next_node() {
    let world = World::new().await;
    let shared: Shared = world.open().await;
    let new = push("1", 1);
    let id = new.id;
    plan(&shared, vec![new]).await;
    claim_one(&shared, id, at(0)).await;
    let other = world.open().await;
    assert_eq!(other.delivery(id).await.unwrap().unwrap().delivery.state.name(), "running");
    assert_eq!(other.expired(at(100), None, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn nodes_that_start_at_once_migrate_once() {
    let world = World::new().await;
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let options = world.options();
            tokio::spawn(async move { PostgresStore::open(options).await })
        })
        .collect();
    for start in starts {
        start.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
    }
    assert_eq!(world.count("schema_version").await, 3);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let world = World::new().await;
    drop(world.open().await);
    world.run("INSERT INTO schema_version (version) VALUES (99)").await;
    assert!(matches!(refused(world.options()).await, StoreError::NewerSchema { found: 99, known: 3 }));
}

#[tokio::test]
async fn the_tables_of_another_program_are_left_alone() {
    let world = World::new().await;
    world.run("CREATE TABLE events (id int)").await;
    let error = refused(world.options()).await;
    assert!(error.to_string().contains("a table `events` of another program"), "{error}");
    assert_eq!(world.count("events").await, 0, "and nothing was made beside it");
}

#[tokio::test]
async fn other_tables_in_the_same_schema_do_not_matter() {
    let world = World::new().await;
    world.run("CREATE TABLE customers (id int)").await;
    world.open().await.probe().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_is_refused_without_being_repeated() {
    let world = World::new().await;
    let error = refused(PostgresOptions { password: Some("hemmelig-og-feil".into()), ..world.options() }).await;
    let text = format!("{error} {error:?}");
    assert!(matches!(error, StoreError::Unavailable(_)) && text.contains("password authentication failed"), "{text}");
    assert!(text.contains("127.0.0.1") && !text.contains("hemmelig-og-feil"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    // Bound and never listened on: refused at once, and nobody else takes it meanwhile.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("postgres://spindel:geheim@127.0.0.1:{}/hub", nobody.port());
    let error = refused(PostgresOptions { url, ..PostgresOptions::default() }).await.to_string();
    assert!(error.contains(&format!("database `hub` at 127.0.0.1:{}", nobody.port())) && !error.contains("geheim"), "{error}");
}

#[tokio::test]
async fn a_schema_that_does_not_exist_is_named_as_the_reason() {
    let world = World::new().await;
    let options = PostgresOptions { url: world.url("no_such_schema", None), ..PostgresOptions::default() };
    let error = refused(options).await.to_string();
    assert!(error.contains("schema"), "{error}");
}

#[tokio::test]
async fn a_wrong_or_missing_key_is_refused_and_the_setting_named() {
    let world = World::new().await;
    let plain = event("plain");
    let id = plain.id;
    world.open().await.append(plain).await.unwrap();
    let store = PostgresStore::open(world.with_key(7)).await.unwrap();
    assert!(store.event(id).await.unwrap().is_some(), "what was written before the key stays readable");
    for options in [world.with_key(8), world.options()] {
        let error = refused(options).await;
        assert!(matches!(&error, StoreError::Corrupt(why) if why.contains("store.encryption_key")), "{error}");
    }
}

#[tokio::test]
async fn a_job_that_fails_takes_none_of_its_group_with_it() {
    let world = World::new().await;
    let store = world.open().await;
    let first = event("first");
    store.append(first.clone()).await.unwrap();
    // The same id under another key breaks a rule of the database.
    let broken = NewEvent { id: first.id, ..event("broken") };
    let cursor = CursorMove { connection: SHOP.into(), kind: "order".into(), cursor: "2".into() };
    let page = store.append_page(vec![event("in the page"), broken.clone()], cursor);
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
async fn what_no_text_of_the_database_can_hold_is_kept_all_the_same() {
    let world = World::new().await;
    let store = world.open().await;
    let new = NewEvent { topic: "orders\0/create".into(), body: b"\0\xff".to_vec(), ..event("1") };
    let id = new.id;
    store.append(new).await.unwrap();
    // Read by another node, so that it comes from the database.
    let read = world.open().await.event(id).await.unwrap().unwrap();
    assert_eq!((read.topic.as_str(), &read.body[..]), ("orders\u{fffd}/create", &b"\0\xff"[..]));
}

#[tokio::test]
async fn events_keep_the_order_in_which_they_came() {
    let world = World::new().await;
    let store = world.open().await;
    let page: Vec<_> = (0..200).map(|n| event(&n.to_string())).collect();
    let ids: Vec<_> = page.iter().map(|event| event.id).collect();
    let cursor = CursorMove { connection: SHOP.into(), kind: "order".into(), cursor: "1".into() };
    store.append_page(page, cursor).await.unwrap();
    let listed = store.events(EventFilter { limit: 200, ..EventFilter::default() }).await.unwrap();
    assert_eq!(listed.iter().rev().map(|event| event.id).collect::<Vec<_>>(), ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_get_the_same_events_keep_each_once() {
    let world = World::new().await;
    let nodes = [world.open().await, world.open().await];
    let tasks: Vec<_> = (0..400)
        .map(|n| {
            let store = Arc::clone(&nodes[n % 2]);
            // Forwards to one and backwards to the other, so that both hold what the other waits for.
            let key = if n % 2 == 0 { n / 2 } else { 199 - n / 2 };
            tokio::spawn(async move { store.append(event(&key.to_string())).await.unwrap() })
        })
        .collect();
    let (mut new, mut repeated) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Appended::New(_) => new += 1,
            Appended::Duplicate(_) => repeated += 1,
        }
    }
    assert_eq!((new, repeated), (200, 200));
    assert_eq!(nodes[0].counts().await.unwrap().duplicates, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_race_for_the_same_work_each_take_a_part() {
    let world = World::new().await;
    let (one, two): (Shared, Shared) = (world.open().await, world.open().await);
    let deliveries: Vec<_> = (0..200).map(|n| NewDelivery { change: n, ..push(&n.to_string(), 1) }).collect();
    let ids = ids(&deliveries);
    plan(&one, deliveries).await;
    let take = |store: &Shared| {
        let (store, ids) = (Arc::clone(store), ids.clone());
        tokio::spawn(async move {
            let mut ended = 0;
            for some in ids.chunks(10) {
                for it in claim(&store, some, at(0)).await {
                    finish(&store, outcome(&it, State::Delivered, at(1))).await;
                    ended += 1;
                }
            }
            ended
        })
    };
    let (first, second) = (take(&one), take(&two));
    assert_eq!(first.await.unwrap() + second.await.unwrap(), 200);
    assert_eq!(one.counts().await.unwrap().deliveries["delivered"], 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_transaction_holds_for_a_moment_is_claimed_after_it() {
    let world = World::new().await;
    let store: Shared = world.open().await;
    let new = push("1", 1);
    let id = new.id;
    plan(&store, vec![new]).await;
    let holder = world.connect().await;
    holder.batch_execute("BEGIN; SELECT 1 FROM deliveries FOR UPDATE").await.unwrap();
    let waiting = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { claim(&store, &[id], at(0)).await.len() })
    };
    holder.batch_execute("SELECT pg_sleep(0.05); ROLLBACK").await.unwrap();
    assert_eq!(waiting.await.unwrap(), 1);
}

#[tokio::test]
async fn the_database_itself_refuses_two_at_the_head_of_a_lane() {
    let world = World::new().await;
    let store: Shared = world.open().await;
    plan(&store, vec![push("1", 1)]).await;
    plan(&store, vec![push("1", 2)]).await;
    let forced = world.connect().await.batch_execute("UPDATE deliveries SET place = 1, state = 'due'").await;
    assert!(forced.is_err());
}

#[tokio::test]
async fn pruning_leaves_nothing_behind() {
    let world = World::new().await;
    let store: Shared = world.open().await;
    let new = push("1", 1);
    let id = new.id;
    plan(&store, vec![new]).await;
    let claimed = claim_one(&store, id, at(0)).await;
    let done = spindel_store::Finish { attempt: Some(attempt("done")), ..outcome(&claimed, State::Delivered, at(1)) };
    assert!(matches!(store.finish(vec![done]).await.unwrap()[..], [Finished::Written { .. }]));
    assert_eq!(store.prune(at(100), at(100), 10).await.unwrap(), 1);
    for table in ["events", "contents", "mentions", "deliveries", "payloads", "attempts"] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
}

#[tokio::test]
async fn time_is_the_servers() {
    let world = World::new().await;
    let (one, two) = (world.open().await, world.open().await);
    let (before, after) = (one.time().await.unwrap(), two.time().await.unwrap());
    assert!(before <= after, "{before} {after}");
}
