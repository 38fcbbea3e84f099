//! Changes on a topic exchange: those who listen get them, and whoever publishes is told what became of them.

use crate::world::{DEADLINE, World, until};
use futures::future::join_all;
use lapin::{options::*, types::*};
use spindel_queue::{Changes, ChangesError, Options};
use spindel_testkit::proxy::{Mode, Proxy};
use std::time::{Duration, Instant};

fn changes(world: &World, options: Options) -> Changes {
    Changes::connect(options, world.name("changes").as_str()).unwrap()
}

#[tokio::test]
async fn changes_reach_those_who_listen() {
    let Some(world) = World::new() else { return };
    let changes = changes(&world, world.options());
    changes.publish("shop.order.created", "1", "{}".into()).await.expect("nobody has to listen");
    let (_connection, stranger) = world.stranger().await;
    let options = QueueDeclareOptions::exclusive();
    let inbox = stranger.queue_declare("".into(), options, FieldTable::default()).await.unwrap().name().clone();
    let key = "shop.order.*".into();
    let bound =
        stranger.queue_bind(inbox.clone(), world.name("changes"), key, QueueBindOptions::default(), FieldTable::default());
    bound.await.unwrap();
    changes.publish("shop.order.created", "2", r#"{"a":1}"#.into()).await.unwrap();
    changes.publish("shop.stock.changed", "3", "{}".into()).await.unwrap();
    let got = stranger.basic_get(inbox.clone(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!(got.data, br#"{"a":1}"#);
    assert_eq!(got.routing_key.as_str(), "shop.order.created");
    assert_eq!(got.properties.message_id().as_ref().unwrap().as_str(), "2");
    assert_eq!(got.properties.delivery_mode(), &Some(2));
    assert!(stranger.basic_get(inbox, BasicGetOptions { no_ack: true }).await.unwrap().is_none());
    let long = changes.publish(&"x".repeat(256), "4", "{}".into()).await;
    assert!(matches!(long, Err(ChangesError::Refused(_))), "{long:?}");
}

#[tokio::test]
async fn a_queue_that_is_full_is_no_reason_to_give_up() {
    let Some(world) = World::new() else { return };
    let changes = changes(&world, world.options());
    changes.publish("shop.order.created", "1", "{}".into()).await.unwrap();
    let (_connection, stranger) = world.stranger().await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let full = stranger.queue_declare("".into(), QueueDeclareOptions::exclusive(), arguments).await.unwrap().name().clone();
    let bound =
        stranger.queue_bind(full.clone(), world.name("changes"), "#".into(), QueueBindOptions::default(), FieldTable::default());
    bound.await.unwrap();
    changes.publish("shop.order.created", "2", "{}".into()).await.unwrap();
    until("the broker refuses one more", async || {
        changes.publish("shop.order.created", "3", "{}".into()).await == Err(ChangesError::Nacked)
    })
    .await;
    stranger.queue_purge(full, QueuePurgeOptions::default()).await.unwrap();
    until("there is room again", async || changes.publish("shop.order.created", "3", "{}".into()).await.is_ok()).await;
}

#[tokio::test]
async fn what_the_broker_objects_to_is_told_in_its_own_words() {
    let Some(world) = World::new() else { return };
    let changes = changes(&world, world.options());
    changes.publish("shop.order.created", "1", "{}".into()).await.unwrap();
    let (_connection, stranger) = world.stranger().await;
    stranger.exchange_delete(world.name("changes"), ExchangeDeleteOptions::default()).await.unwrap();
    let failed = changes.publish("shop.order.created", "2", "{}".into()).await;
    assert!(matches!(&failed, Err(ChangesError::Unknown(why)) if why.contains("NOT_FOUND")), "{failed:?}");
    until("the exchange is made anew", async || changes.publish("shop.order.created", "2", "{}".into()).await.is_ok()).await;
    // Somebody else's exchange of this name, of another type.
    let (name, other) = (world.name("changes"), ExchangeDeclareOptions::default());
    stranger.exchange_delete(name.clone(), ExchangeDeleteOptions::default()).await.unwrap();
    stranger.exchange_declare(name, lapin::ExchangeKind::Fanout, other, FieldTable::default()).await.unwrap();
    let mended = Changes::connect(world.options(), world.name("changes").as_str()).unwrap();
    until("the broker's words", async || {
        let failed = mended.publish("shop.order.created", "3", "{}".into()).await;
        matches!(&failed, Err(ChangesError::Unavailable(why)) if why.contains("inequivalent"))
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_hangs_while_a_change_is_published_is_waited_for_once() {
    let Some(world) = World::new() else { return };
    let proxy = Proxy::start(world.broker());
    let mut options = world.options_through(proxy.address);
    options.answer_within = Duration::from_secs(1);
    let changes = changes(&world, options);
    changes.publish("shop.order.created", "1", "{}".into()).await.unwrap();
    proxy.set(Mode::Freeze);
    let begun = Instant::now();
    let unheard = changes.publish("shop.order.created", "2", "{}".into()).await;
    assert!(matches!(unheard, Err(ChangesError::Unknown(_))), "sent, and perhaps taken: {unheard:?}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    // Now there is no channel to use, and all of these want one.
    let begun = Instant::now();
    for failed in join_all((0..8).map(|_| changes.publish("shop.order.created", "3", "{}".into()))).await {
        assert!(matches!(failed, Err(ChangesError::Unavailable(_))), "nothing was sent: {failed:?}");
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "they waited for each other: {:?}", begun.elapsed());
    proxy.set(Mode::Pass);
    until("taken again", async || changes.publish("shop.order.created", "3", "{}".into()).await.is_ok()).await;
}

#[tokio::test]
async fn a_broker_that_accepts_and_never_speaks_is_no_connection() {
    let Some(world) = World::new() else { return };
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = world.options_through(silent.local_addr().unwrap());
    options.answer_within = Duration::from_secs(1);
    let changes = changes(&world, options);
    let (_held, _) = tokio::time::timeout(DEADLINE, silent.accept()).await.unwrap().unwrap();
    let begun = Instant::now();
    let failed = changes.publish("shop.order.created", "1", "{}".into()).await;
    assert!(matches!(failed, Err(ChangesError::Unavailable(_))), "{failed:?}");
    assert!(matches!(changes.reach().await, Err(ChangesError::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}
